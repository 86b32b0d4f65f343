"""`palaver export firebase`: what is exported and brought into an empty server is exported there as the same."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palaver.chat.user import User
from palaver.store import SqlStore, StoreOptions, open_store
from palaver.store.migrate import migrate
from tests.moving.bringing import EXAMPLE, SESSION, bring, one_connection, one_session, read_session, take
from tests.ports.talking import NOW, answer, said

AT = 1_772_439_331_000


async def find_user(store: SqlStore, name: str) -> User:
    app = await store.accounts.find_app("firebase")
    assert app is not None
    return await store.accounts.app_user(app, name, "not made", NOW)


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """Another server, with nothing in it."""
    async with open_store(StoreOptions(tmp_path / "another")) as store:
        await migrate(store.database, store.engine)
        yield store


async def test_export_brought_into_an_empty_server_is_exported_as_the_same(store: SqlStore, empty: SqlStore) -> None:
    await bring(store, EXAMPLE)
    await bring(store, {
        "userSessions": {
            "old": {"user_id": 7, "status": "ended", "system_prompt": "", "created_at": "2025-01-01", "ended_at": AT},
            "long": {
                "user_id": "ü",
                "conversation_history": [{"role": "user", "content": f"{i}", "timestamp": AT} for i in range(2500)],
            },
        },
        **one_connection(*({"senderId": f"u-{1 + i % 2}", "content": f"{i}"} for i in range(9))),
    })  # fmt: skip
    exported = await take(store)
    told = await bring(empty, exported)
    assert told.lines == []
    assert await take(empty) == exported
    # On the server it comes from, all of it is known.
    again = await bring(store, exported)
    assert {kind: (added, skipped) for kind, (added, _, skipped) in again.counts.items()} == {
        "templates": (0, 0),
        "userSessions": (0, 0),
        "conversation_history": (0, 0),
        "connections": (0, 0),
        "messages": (0, 0),
    }


async def test_what_was_said_here_since_is_exported_too_and_known_when_it_comes_back(
    store: SqlStore, empty: SqlStore
) -> None:
    await bring(store, EXAMPLE)
    await answer(
        store, await store.turns.begin(said(await find_user(store, "u-81"), "And now?", SESSION)), "Now we sail."
    )
    exported = await take(store)
    history = json.loads(exported)["userSessions"][SESSION]["conversation_history"]
    assert [one["content"] for one in history] == ["Ahoy", "Arr!", "And now?", "Now we sail."]
    assert (await bring(store, exported)).counts["conversation_history"] == (0, 4, 0)
    await bring(empty, exported)
    session, _ = await read_session(empty)
    assert (session.exchange_count, session.message_count) == (2, 4)


async def test_nothing_is_brought_while_a_reply_is_written(store: SqlStore) -> None:
    await bring(store, one_session(("user", "a")))
    begun = await store.turns.begin(said(await find_user(store, "u-1"), "b", SESSION))
    told = await bring(store, one_session(("user", "a"), ("user", "c")))
    assert told.lines == [f"skipped userSessions/{SESSION}: a reply is written in it just now: bring it again later"]
    await answer(store, begun, "d")
    assert (await bring(store, one_session(("user", "a"), ("user", "c")))).counts["conversation_history"] == (1, 1, 0)
    assert [one.content for one in (await read_session(store))[1]] == ["a", "b", "d", "c"]


async def test_other_applications_and_people_are_not_in_it(store: SqlStore) -> None:
    await bring(store, EXAMPLE)
    await bring(store, one_session(("user", "Secret of another")), app="other")
    assert "Secret" not in await take(store)
