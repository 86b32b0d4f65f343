"""One opened store for each test, once on SQLite and once on PostgreSQL."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palaver.chat.conversation import Conversation
from palaver.chat.user import User
from palaver.store import SqlStore, StoreOptions, open_store, postgres
from tests.parts.palaver import StoreKind
from tests.ports.recalled import check_remembered
from tests.ports.talking import NOW, new_conversation, new_user


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transactions stand still here while a test waits for what happens beside them, and dozens of them wait for each
    other on a few connections."""
    monkeypatch.setattr(postgres, "ABANDON_SECONDS", 3600)
    monkeypatch.setattr(postgres, "ACQUIRE_SECONDS", 60)


@pytest.fixture
def store_options(request: pytest.FixtureRequest, store_kind: StoreKind, tmp_path: Path) -> StoreOptions:
    if store_kind == "postgres":
        return StoreOptions(tmp_path, request.getfixturevalue("postgres_url"), connections=4)
    shutil.copyfile(request.getfixturevalue("sqlite_template"), tmp_path / "palaver.sqlite3")
    return StoreOptions(tmp_path)


@pytest.fixture
async def store(store_options: StoreOptions) -> AsyncIterator[SqlStore]:
    async with open_store(store_options) as store:
        yield store
        await check_remembered(store)


@pytest.fixture
async def other_store(store: SqlStore, store_options: StoreOptions) -> AsyncIterator[SqlStore]:
    """The same database as another process has it open."""
    async with open_store(store_options) as other_store:
        assert other_store is not store
        yield other_store
        await check_remembered(other_store)


@pytest.fixture
async def alice(store: SqlStore) -> User:
    return await store.accounts.add_user(new_user("alice", email="alice@example.com"))


@pytest.fixture
async def bob(store: SqlStore) -> User:
    return await store.accounts.add_user(new_user("bob"))


@pytest.fixture
async def conversation(store: SqlStore, alice: User) -> Conversation:
    """Alice's, with nothing said in it."""
    return await store.conversations.create(new_conversation(alice), NOW)
