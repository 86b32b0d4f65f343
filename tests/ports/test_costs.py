"""A turn costs the same however long the conversation is."""

import pytest

from palaver.chat.clock import Micros
from palaver.chat.conversation import Conversation, Speaking, Usage
from palaver.chat.user import User
from palaver.store import SqlStore
from palaver.store.database import Transaction
from tests.ports.counting import CountingDatabase
from tests.ports.talking import NOW, answer, new_conversation, said

SHORT, LONG = 10, 2000

ADD_PAST = (
    "INSERT INTO messages (conversation_id, number, parent_number, uuid, role, status, content, created_at, "
    "token_count) VALUES ($1, $2, $3, $4, $5, 'complete', 'said before', $6, 2)"
)
ADVANCE = (
    "UPDATE conversations SET last_number = $2, leaf_number = $2, message_count = $2, exchange_count = $3 WHERE id = $1"
)

SUMMARISE = "UPDATE conversations SET context_from = $2, summary_to = $2, summary = 'They talked.' WHERE id = $1"


async def make_conversation(
    store: SqlStore, owner: User, messages: int, speaking: Speaking, *, cut: bool = False
) -> Conversation:
    """With `cut`, its bot sees the last eight messages, and of those before them a summary."""
    made = await store.conversations.create(new_conversation(owner, speaking=speaking), NOW)
    past = [
        (made.id, number, number - 1 or None, f"{made.id}-{number}", "user" if number % 2 else "assistant", Micros(NOW))
        for number in range(1, messages + 1)
    ]

    async def add(tx: Transaction) -> None:
        await tx.run_many(ADD_PAST, past)
        await tx.run(ADVANCE, made.id, messages, messages // 2)
        if cut:
            await tx.run(SUMMARISE, made.id, messages - 7)

    await store.database.write(add)
    return made


@pytest.fixture
def counting(store: SqlStore) -> CountingDatabase:
    return CountingDatabase(store.database)


async def ask(
    counting: CountingDatabase, owner: User, conversation: Conversation, engine: str
) -> list[tuple[str, int]]:
    """What a turn asked of the database: its statements and how many rows each of them gave."""
    # As a process that has not seen the conversation before.
    fresh = SqlStore(counting, "sqlite" if engine == "sqlite" else "postgres")
    counting.asked.clear()
    begun = await fresh.turns.begin(said(owner, "and now?", conversation.uuid, client_id="c1"))
    waiting = await fresh.turns.begin(said(owner, "and then?", conversation.uuid, client_id="c2"))
    ended = await answer(fresh, begun, usage=Usage(5, 5), promote=True)
    assert (begun.state, waiting.state, ended.next is not None) == ("started", "queued", True)
    return list(counting.asked)


@pytest.mark.parametrize("speaking", [Speaking(window=6), Speaking(window=10, slides=True)], ids=["window", "general"])
async def test_turn_in_a_long_conversation_asks_the_same_and_reads_no_more_rows(
    store: SqlStore, counting: CountingDatabase, alice: User, speaking: Speaking
) -> None:
    asked = [
        await ask(counting, alice, await make_conversation(store, alice, length, speaking), store.engine)
        for length in (SHORT, LONG)
    ]
    assert asked[0] == asked[1]
    assert len(asked[0]) > 5
    # A count would give one row and read them all.
    assert [sql for sql, _ in asked[1] if "count(" in sql] == []


async def test_turn_after_a_cut_reads_what_was_said_since_and_the_summary_and_no_more(
    store: SqlStore, counting: CountingDatabase, alice: User
) -> None:
    asked = [
        await ask(counting, alice, await make_conversation(store, alice, length, Speaking(), cut=True), store.engine)
        for length in (SHORT, LONG)
    ]
    assert asked[0] == asked[1]
    assert max(count for sql, count in asked[1] if "number >= $2 AND number < $3" in sql) == 10
    assert [count for sql, count in asked[1] if "summary FROM" in sql] == [1, 1]
