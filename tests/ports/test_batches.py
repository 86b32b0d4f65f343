"""What shares a commit does not share its fate."""

import asyncio
from collections.abc import Sequence

from palaver.chat.conversation import Conversation
from palaver.chat.errors import NotFound
from palaver.chat.user import User
from palaver.store import SqlStore
from palaver.store.database import Batcher, Transaction
from tests.ports.talking import answer, new_conversation, rows, said

# A lone half of a character, which no database can keep.
UNKEEPABLE = "\ud83d"


async def test_message_that_cannot_be_kept_does_not_fail_its_neighbours(store: SqlStore, alice: User) -> None:
    talks = [(await store.turns.begin(said(alice, "hi", new_conversation(alice)))) for _ in range(6)]
    for talk in talks:
        await answer(store, talk)
    texts = ["one", "two", UNKEEPABLE, "four", "five", "six"]
    outcomes = await asyncio.gather(
        *(
            store.turns.begin(said(alice, text, talk.turn.conversation.uuid))
            for text, talk in zip(texts, talks, strict=True)
        ),
        return_exceptions=True,
    )
    failed = [isinstance(outcome, BaseException) for outcome in outcomes]
    assert failed == [False, False, True, False, False, False]
    # Bad input is no outage.
    assert not isinstance(outcomes[2], OSError)
    kept = [row[0] for row in await rows(store, "SELECT content FROM messages WHERE role = 'user' AND number > 1")]
    assert sorted(kept) == ["five", "four", "one", "six", "two"]


async def test_end_that_cannot_be_kept_does_not_fail_its_neighbours(store: SqlStore, alice: User) -> None:
    begun = [await store.turns.begin(said(alice, "hi", new_conversation(alice))) for _ in range(4)]
    texts = ["one", UNKEEPABLE, "three", "four"]
    outcomes = await asyncio.gather(
        *(answer(store, one, text) for one, text in zip(begun, texts, strict=True)), return_exceptions=True
    )
    assert [isinstance(outcome, BaseException) for outcome in outcomes] == [False, True, False, False]
    left = await rows(store, "SELECT id FROM messages WHERE status = 'running'")
    assert [row[0] for row in left] == [begun[1].turn.reply.id]


async def test_refused_message_does_not_fail_its_neighbours(
    store: SqlStore, alice: User, bob: User, conversation: Conversation
) -> None:
    outcomes = await asyncio.gather(
        store.turns.begin(said(alice, "one", conversation.uuid)),
        store.turns.begin(said(bob, "two", new_conversation(bob))),
        store.turns.begin(said(bob, "three", "00000000-0000-4000-8000-000000000000")),
        store.turns.begin(said(alice, "four", new_conversation(alice))),
        return_exceptions=True,
    )
    assert [type(outcome).__name__ for outcome in outcomes] == ["Begun", "Begun", "NotFound", "Begun"]


async def test_caller_that_goes_away_takes_no_message_with_it(store: SqlStore, alice: User) -> None:
    talks = [await store.turns.begin(said(alice, "hi", new_conversation(alice))) for _ in range(3)]
    for talk in talks:
        await answer(store, talk)
    callers = [
        asyncio.create_task(store.turns.begin(said(alice, f"{number}", talk.turn.conversation.uuid)))
        for number, talk in enumerate(talks)
    ]
    # They have asked and wait for their commit.
    await asyncio.sleep(0)
    callers[1].cancel()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(outcome).__name__ for outcome in outcomes] == ["Begun", "CancelledError", "Begun"]
    # The commit was under way: also the message of who went away is there.
    kept = [row[0] for row in await rows(store, "SELECT content FROM messages WHERE number = 3 ORDER BY content")]
    assert kept == ["0", "1", "2"]


async def test_transaction_that_fails_takes_back_its_own_changes_alone(store: SqlStore) -> None:
    async def add(tx: Transaction, name: str, fails: bool) -> str:
        await tx.run("INSERT INTO server (name, value) VALUES ($1, '')", name)
        if fails:
            raise NotFound
        return name

    names = [f"name {number}" for number in range(9)]
    outcomes = await asyncio.gather(
        *(
            store.database.write(lambda tx, name=name: add(tx, name, name.endswith("4")))  # type: ignore[misc]
            for name in names
        ),
        return_exceptions=True,
    )
    assert [type(outcome).__name__ for outcome in outcomes] == ["str"] * 4 + ["NotFound"] + ["str"] * 4
    kept = [row[0] for row in await rows(store, "SELECT name FROM server WHERE value = '' ORDER BY name")]
    assert kept == [name for name in names if not name.endswith("4")]


async def test_writer_that_goes_away_does_not_lose_its_neighbours(store: SqlStore) -> None:
    async def add(tx: Transaction, number: int) -> int:
        await tx.run("INSERT INTO server (name, value) VALUES ($1, '')", f"name {number}")
        return number

    writers = [
        asyncio.create_task(store.database.write(lambda tx, number=number: add(tx, number)))  # type: ignore[misc]
        for number in range(5)
    ]
    await asyncio.sleep(0)
    writers[2].cancel()
    outcomes = await asyncio.gather(*writers, return_exceptions=True)
    assert [outcome for outcome in outcomes if isinstance(outcome, int)] == [0, 1, 3, 4]
    kept = {row[0] for row in await rows(store, "SELECT name FROM server WHERE value = ''")}
    assert {f"name {number}" for number in (0, 1, 3, 4)} <= kept


async def test_items_of_one_key_never_share_a_transaction_and_keep_their_order(store: SqlStore) -> None:
    batches: list[list[str]] = []

    async def note(_tx: Transaction, items: Sequence[str]) -> list[str | Exception]:
        batches.append(list(items))
        return [item.upper() for item in items]

    batcher: Batcher[str, str] = Batcher(store.database, note, lambda item: item[0])
    items = ["a1", "a2", "b1", "c1", "b2", "a3"]
    assert await asyncio.gather(*(batcher.submit(item) for item in items)) == ["A1", "A2", "B1", "C1", "B2", "A3"]
    assert all(len({item[0] for item in batch}) == len(batch) for batch in batches)
    for key in "abc":
        mine = [item for batch in batches for item in batch if item[0] == key]
        assert mine == sorted(mine)
    assert len(batches) == 3


async def test_what_is_written_together_keeps_the_order_of_each_key_and_fails_alone(store: SqlStore) -> None:
    batches: list[list[str]] = []

    async def note(tx: Transaction, items: Sequence[str]) -> list[str | Exception]:
        batches.append(list(items))
        for item in items:
            await tx.run("INSERT INTO server (name, value) VALUES ($1, '')", item)
        if "c1" in items:
            raise ValueError
        return [NotFound() if item == "b2" else item.upper() for item in items]

    write = store.database.together(note, lambda item: item[0])
    items = ["a1", "a2", "b1", "c1", "b2", "a3"]
    outcomes = await asyncio.gather(*(write(item) for item in items), return_exceptions=True)
    assert [one if isinstance(one, str) else type(one) for one in outcomes] == [
        "A1", "A2", "B1", ValueError, NotFound, "A3",
    ]  # fmt: skip
    assert all(len({item[0] for item in batch}) == len(batch) for batch in batches)
    for key in "abc":
        mine = [item for batch in batches for item in batch if item[0] == key]
        assert mine == sorted(mine)
    kept = [row[0] for row in await rows(store, "SELECT name FROM server WHERE value = '' ORDER BY name")]
    assert kept == ["a1", "a2", "a3", "b1", "b2"]


async def test_hundred_turns_at_once_each_get_their_own_answer(store: SqlStore, alice: User) -> None:
    begun = await asyncio.gather(
        *(store.turns.begin(said(alice, f"{number}", new_conversation(alice))) for number in range(100))
    )
    ended = await asyncio.gather(*(answer(store, one, one.turn.prompt.content) for one in begun))
    assert all(one.done for one in ended)
    pairs = await rows(
        store,
        "SELECT p.content, r.content FROM messages p JOIN messages r ON r.conversation_id = p.conversation_id "
        "AND r.parent_number = p.number",
    )
    assert {tuple(pair) for pair in pairs} == {(f"{number}", f"{number}") for number in range(100)}
