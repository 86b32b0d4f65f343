"""Uploads that come to no end: each is shut out, and none holds what others need."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress

import pytest
from msgspec.structs import replace

from palaver.chat.documents import keep_document
from palaver.chat.errors import RateLimited, Stalled
from palaver.chat.flow import Chat
from palaver.chat.uploads import MOST, Uploads
from palaver.chat.user import User
from palaver.store import SqlStore
from tests.ports.knowing import collect
from tests.ports.talking import rows

PART_SECONDS = 0.1


async def nothing_more() -> AsyncIterator[bytes]:
    yield b"x" * 300_000
    await asyncio.Event().wait()


async def a_byte_now_and_then() -> AsyncIterator[bytes]:
    never = asyncio.Event()
    while True:
        yield b"x"
        with suppress(TimeoutError):
            await asyncio.wait_for(never.wait(), PART_SECONDS / 4)


@pytest.mark.parametrize("pieces", [nothing_more, a_byte_now_and_then])
async def test_upload_that_comes_no_further_is_ended_and_leaves_nothing(
    chat: Chat, store: SqlStore, alice: User, pieces: object
) -> None:
    assert callable(pieces)
    short = replace(chat, rules=replace(chat.rules, part_seconds=PART_SECONDS))
    collection = await collect(store, alice)
    with pytest.raises(Stalled):
        await keep_document(short, collection, "a.txt", "text/plain", pieces())
    await store.documents.drop_unfinished(chat.clock.now())
    assert await rows(store, "SELECT name FROM documents") == []
    assert [row[0] for row in await rows(store, "SELECT arriving_size FROM collections")] == [0]
    # Its place is another's.
    with ExitStack() as held:
        for _ in range(MOST):
            held.enter_context(chat.uploads.one_more())


def test_so_many_are_on_their_way_and_then_another_one_is() -> None:
    uploads = Uploads(most=2)
    with uploads.one_more(), uploads.one_more(), pytest.raises(RateLimited), uploads.one_more():
        pass
    with uploads.one_more(), uploads.one_more():
        pass
