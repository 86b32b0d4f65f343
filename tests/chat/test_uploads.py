"""Uploads that come to no end: each is shut out, and none holds what others need."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress

import pytest
from msgspec.structs import replace

from palaver.chat.documents import keep_document
from palaver.chat.errors import RateLimited, Stalled
from palaver.chat.flow import Chat
from palaver.chat.uploads import Uploads
from palaver.chat.user import Reader, User, UserId
from palaver.store import SqlStore
from tests.ports.knowing import collect
from tests.ports.talking import rows

ONE, OTHER = UserId(1), UserId(2)
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
        await keep_document(short, Reader(alice.id), collection, "a.txt", "text/plain", pieces())
    await store.documents.drop_unfinished(chat.clock.now())
    assert await rows(store, "SELECT name FROM documents") == []
    assert [row[0] for row in await rows(store, "SELECT arriving_size FROM collections")] == [0]
    # Its place is another's.
    with ExitStack() as held:
        for _ in range(8):
            held.enter_context(chat.uploads.one_more(alice.id))


def test_one_person_has_so_many_on_their_way_and_all_together_have() -> None:
    uploads = Uploads(of_one=2, of_all=3)
    with ExitStack() as held:
        for user in (ONE, ONE):
            held.enter_context(uploads.one_more(user))
        with pytest.raises(RateLimited) as refused, uploads.one_more(ONE):
            pass
        assert refused.value.limit is not None
        assert (refused.value.limit.name, refused.value.limit.most) == ("uploads_at_once", 2)
        held.enter_context(uploads.one_more(OTHER))
        with pytest.raises(RateLimited) as full, uploads.one_more(OTHER):
            pass
        assert full.value.limit is None
    with uploads.one_more(ONE), uploads.one_more(OTHER), uploads.one_more(OTHER):
        pass
