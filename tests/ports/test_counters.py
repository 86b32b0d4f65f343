"""What is counted is true after whatever may happen, in whatever order."""

from collections.abc import Sequence
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from msgspec.structs import replace

from palaver.chat.clock import SECOND, Micros
from palaver.chat.conversation import Conversation, Usage
from palaver.chat.errors import Busy, Conflict, Ended, NotFound
from palaver.chat.ports import Begun, Checkpoint
from palaver.chat.user import Reader, User
from palaver.store import SqlStore
from tests.ports.talking import HERE, LEASE, NOW, THERE, ending, new_conversation, rows, said

# Each example is a dozen transactions and as many recounts.
EXAMPLES = hypothesis.settings().max_examples // 5

PLACES = st.integers(0, 1)
USAGES = st.none() | st.builds(Usage, st.integers(0, 50), st.integers(0, 50))
WORKERS = st.sampled_from([HERE, THERE])

SAY = st.tuples(
    st.just("say"),
    PLACES,
    st.sampled_from(["hello", "bye"]),
    st.sampled_from([None, "c1", "c2"]),
    st.sampled_from(["queue", "reject", "interrupt"]),
    WORKERS,
)
FINISH = st.tuples(
    st.just("finish"),
    st.sampled_from(["complete", "stopped", "interrupted", "failed"]),
    st.sampled_from(["", "An answer."]),
    USAGES,
    st.booleans(),
)
RARELY = st.one_of(
    st.tuples(st.just("checkpoint"), PLACES, st.sampled_from(["", "so far"])),
    st.just(("take over",)),
    st.tuples(st.just("promote"), WORKERS),
    st.tuples(st.just("end"), PLACES),
    st.tuples(st.just("delete"), PLACES),
)
# Seven of eight are messages and the ends of their replies.
OPERATIONS = st.integers(0, 7).flatmap(lambda kind: (SAY, SAY, SAY, FINISH, FINISH, FINISH, FINISH, RARELY)[kind])

COUNTED = (
    "SELECT message_count, exchange_count, open_replies, last_number, prompt_tokens, completion_tokens "
    "FROM conversations WHERE id = $1"
)
RECOUNTED = (
    "SELECT (SELECT count(*) FROM messages WHERE conversation_id = $1 AND status NOT IN ('queued', 'running') "
    "  AND (role = 'user' OR content <> '')), "
    "(SELECT count(*) FROM messages WHERE conversation_id = $1 AND role = 'assistant' AND content <> '' "
    "  AND status IN ('complete', 'stopped') AND exchange IS NOT NULL), "
    "(SELECT count(*) FROM messages WHERE conversation_id = $1 AND status IN ('queued', 'running')), "
    "(SELECT COALESCE(max(number), 0) FROM messages WHERE conversation_id = $1), "
    "(SELECT COALESCE(sum(u.prompt_tokens), 0) FROM usage u JOIN messages m ON m.id = u.message_id "
    "  WHERE m.conversation_id = $1) + "
    "(SELECT COALESCE(sum(prompt_tokens), 0) FROM messages WHERE conversation_id = $1), "
    "(SELECT COALESCE(sum(u.completion_tokens), 0) FROM usage u JOIN messages m ON m.id = u.message_id "
    "  WHERE m.conversation_id = $1) + "
    "(SELECT COALESCE(sum(completion_tokens), 0) FROM messages WHERE conversation_id = $1)"
)
RUNNING = "SELECT count(*) FROM messages WHERE conversation_id = $1 AND status = 'running'"


class Talk:
    """Two conversations, and who answers in them."""

    def __init__(self, store: SqlStore, alice: User, places: Sequence[Conversation]) -> None:
        self.store = store
        self.alice = alice
        self.places = places
        self.running: dict[int, tuple[str, Begun]] = {}
        self.time = NOW

    async def carry_out(self, operation: tuple[Any, ...]) -> None:
        self.time = Micros(self.time + SECOND)
        try:
            match operation:
                case "say", place, text, client_id, when_busy, worker:
                    begun = await self.store.turns.begin(
                        said(
                            self.alice,
                            text,
                            self.places[place].uuid,
                            client_id=client_id,
                            when_busy=when_busy,
                            worker=worker,
                        )
                    )
                    if begun.state == "started":
                        self.running[place] = worker, begun
                case "finish", end, text, usage, promote if self.running:
                    worker, begun = self.running.pop(min(self.running))
                    ended = await self.store.turns.finish(
                        ending(begun, text, end, worker=worker, usage=usage, promote=promote)
                    )
                    self._go_on(worker, [ended.next])
                case "checkpoint", place, text if place in self.running:
                    worker, begun = self.running[place]
                    reply = begun.turn.reply
                    piece = Checkpoint(reply.id, reply.attempt, 0, text)
                    await self.store.turns.checkpoint(
                        worker, LEASE, [(reply.id, reply.attempt)], [piece] if text else []
                    )
                case ("take over",):
                    for left in await self.store.turns.abandoned(self.time, Micros(1 << 62)):
                        ended = await self.store.turns.finish(replace(left, promote_to=THERE, lease_until=LEASE))
                        self._go_on(THERE, [ended.next])
                case "promote", worker:
                    self._go_on(worker, await self.store.turns.promote_waiting(worker, self.time, LEASE))
                case "end", place:
                    await self.store.conversations.end(Reader(self.alice.id), self.places[place].uuid, self.time)
                case "delete", place:
                    await self.store.conversations.delete(Reader(self.alice.id), self.places[place].uuid, self.time)
        except (Busy, Conflict, Ended, NotFound):
            return

    def _go_on(self, worker: str, begun: Sequence[Begun | None]) -> None:
        for one in begun:
            for place, conversation in enumerate(self.places):
                if one is not None and one.turn.conversation.id == conversation.id:
                    self.running[place] = worker, one


@hypothesis.settings(
    max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@pytest.mark.proof("money")
@given(operations=st.lists(OPERATIONS, min_size=6, max_size=16))
async def test_counters_equal_a_recount_whatever_happens(
    store: SqlStore, alice: User, operations: list[tuple[Any, ...]]
) -> None:
    places = [await store.conversations.create(new_conversation(alice), NOW) for _ in range(2)]
    talk = Talk(store, alice, places)
    for operation in operations:
        await talk.carry_out(operation)
        for place in places:
            [counted] = await rows(store, COUNTED, place.id)
            [recounted] = await rows(store, RECOUNTED, place.id)
            assert tuple(counted) == tuple(recounted)
            [running] = await rows(store, RUNNING, place.id)
            assert running[0] in (0, 1)
    # Whatever is left open is ended or answered in the end.
    for _ in operations:
        await talk.carry_out(("take over",))
        await talk.carry_out(("promote", HERE))
    assert [(await rows(store, COUNTED, place.id))[0][2] for place in places] == [0, 0]
