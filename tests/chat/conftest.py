"""The core over a real SQLite store, a clock that is moved by hand, and a bot that says what the test hands it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from palaver.bus import Hub, MemoryBus
from palaver.chat import ending, orphans
from palaver.chat import reply as replying
from palaver.chat.books import Books
from palaver.chat.conversation import Conversation
from palaver.chat.flow import Chat, Rules
from palaver.chat.ledger import Budgets
from palaver.chat.ports import Bus
from palaver.chat.reply import Replies
from palaver.chat.rooms import Rooms
from palaver.chat.running import ReplyLimits
from palaver.chat.user import User
from palaver.store import SqlStore, StoreOptions, open_store
from tests.chat.talking import HandBot, HandBots, HandClock
from tests.ports.talking import NOW, new_conversation, new_user

StartChat = Callable[..., Awaitable[Chat]]


@pytest.fixture
async def store(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[SqlStore]:
    shutil.copyfile(sqlite_template, tmp_path / "palaver.sqlite3")
    async with open_store(StoreOptions(tmp_path)) as store:
        yield store


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def bot() -> HandBot:
    return HandBot()


@pytest.fixture
async def alice(store: SqlStore) -> User:
    return await store.accounts.add_user(new_user("alice"))


@pytest.fixture
async def conversation(store: SqlStore, alice: User) -> Conversation:
    return await store.conversations.create(new_conversation(alice), NOW)


@pytest.fixture
def hub() -> Hub:
    """What joins the workers."""
    return Hub()


@pytest.fixture
async def start_chat(
    store: SqlStore, clock: HandClock, bot: HandBot, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[StartChat]:
    """`await start_chat("worker", first_seconds=0.05)`: a worker with its watch; ended with the test."""
    for module, name in (
        (replying, "CHECKPOINT_SECONDS"),
        (replying, "WATCH_SECONDS"),
        (replying, "POLL_SECONDS"),
        (ending, "RETRY_SECONDS"),
    ):
        monkeypatch.setattr(module, name, 0.01)
    monkeypatch.setattr(orphans, "SURE_SECONDS", 0)
    working: list[tuple[Replies, asyncio.Task[None]]] = []

    async def start(
        worker: str = "this-worker",
        *,
        watched: bool = True,
        bus: Bus | None = None,
        over: SqlStore | None = None,
        summarises: bool = False,
        budgets: Budgets | None = None,
        **limits: float,
    ) -> Chat:
        rooms = Rooms(store=over or store, bus=bus or MemoryBus(hub), worker=worker)
        await rooms.start()
        books = Books(store, clock, budgets or Budgets())
        replies = Replies(
            store=store,
            bots=HandBots(bot),
            clock=clock,
            limits=ReplyLimits(**limits),  # type: ignore[arg-type]
            worker=worker,
            rooms=rooms,
            summarises=summarises,
            books=books,
        )
        if watched:
            working.append((replies, asyncio.create_task(replies.watch())))
        return Chat(store, HandBots(bot), replies, rooms, clock, Rules(), books)

    yield start
    for replies, watching in working:
        await replies.drain(0)
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


@pytest.fixture
async def chat(start_chat: StartChat) -> Chat:
    return await start_chat()
