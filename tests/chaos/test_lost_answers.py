"""PostgreSQL commits, and its answer is lost on the way: whoever says the same once more has said it once, and has one
reply, at once."""

import time
from collections.abc import AsyncIterator, Mapping
from uuid import uuid4

import pytest

from tests.chaos.device import open_alice, open_session
from tests.chaos.kept import Kept
from tests.chaos.person import APIS, ApiName, Person
from tests.chaos.waiting import wait_while
from tests.journeys.socket import enter, said_by
from tests.parts.llm import LLM
from tests.parts.palaver import Database, Server, StoreKind
from tests.parts.postgres import Postgres
from tests.parts.relay import PostgresRelay
from tests.parts.run import Run
from tests.promises import Measured

pytestmark = pytest.mark.proof("faults")

REFUSED = "The server cannot reach its data just now. Try again in a moment."

LEASE_SECONDS = 60.0
SECONDS_TO_ANSWER = LEASE_SECONDS / 2
"""For who asks again: half of a lease, which is what a worker would be waited for that has died."""


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "postgres"


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_LEASE_SECONDS": str(LEASE_SECONDS)}


@pytest.fixture
async def relay(run: Run, postgres: Postgres) -> AsyncIterator[PostgresRelay]:
    relay = PostgresRelay(run.make_folder("relay"), postgres.folder)
    async with relay.open():
        yield relay


@pytest.fixture
def database(postgres_url: str, postgres: Postgres, relay: PostgresRelay) -> Database:
    return Database("postgres", {"PALAVER_DATABASE_URL": postgres_url.replace(str(postgres.folder), str(relay.folder))})


def to_end(id_: str) -> tuple[str, str]:
    """By what the transaction is known that keeps the end of the reply to this. A checkpoint has its text, too."""
    return f"You said: {id_}", "complete"


async def say_until_answered(alice: Person, api: ApiName, conversation: str, id_: str) -> tuple[str, int]:
    """The answer, and how many tries were refused before it."""
    for refused in range(10):
        told = await alice.say(id_, conversation, api=api, client_message_id=id_)
        if told.is_answer:
            return told.text, refused
        assert (told.status, told.json) == (503, {"detail": REFUSED})
        assert int(told.headers["Retry-After"]) > 0
    raise AssertionError(f"{id_} was never answered")


async def test_who_says_again_what_was_committed_without_an_answer_has_said_it_once(
    alice: Person, kept: Kept, llm: LLM, relay: PostgresRelay, prove: bool, measured: Measured
) -> None:
    trials = 200 if prove else 6
    slowest, conversations = 0.0, {api: await alice.open_conversation(api) for api in APIS}
    refused = 0
    for trial in range(trials):
        api, id_ = APIS[trial % 3], uuid4().hex
        # In turn that of the message, and that of the end of the reply to it.
        ending = trial // 3 % 2
        relay.lose(*(to_end(id_) if ending else (id_,)))
        asked_at = time.monotonic()
        answer, times = await say_until_answered(alice, api, conversations[api], id_)
        slowest = max(slowest, time.monotonic() - asked_at)
        refused += times
        assert relay.lost == trial + 1
        turn = await kept.turn(id_)
        assert turn.reply.content == answer == f"You said: {id_}"
        assert (turn.reply.status, turn.reply.attempt) == ("complete", 1)
        assert times == (0 if ending else 1)
    assert slowest < SECONDS_TO_ANSWER
    assert len(await llm.record()) == trials
    await wait_while(kept.open_replies, seconds=10, what="a reply")
    assert not await kept.miscounted()
    assert "Traceback" not in alice.server.log_text()
    measured("commits whose answer was lost", trials, "")
    measured("until the same message was answered, at most", round(slowest, 1), "s")


async def test_those_present_hear_what_was_committed_without_an_answer_and_what_waited_goes_on(
    server: Server, kept: Kept, llm: LLM, relay: PostgresRelay
) -> None:
    async with open_alice(server, await server.token("admin")) as alice:
        session = await open_session(alice)
        async with enter(alice, session, "full_content=0") as here, enter(alice, session, "full_content=0") as there:
            first, second = uuid4().hex, uuid4().hex
            relay.lose(*to_end(first))
            # The end of the first lets the second begin: both are committed, and neither is told.
            await llm.let_go(first, pieces=1)
            await here.say(f"{first} [[pieces=20&hold={first}]]", client_message_id=first)
            await here.until("ai_message_chunk")
            await here.say(second, client_message_id=second)
            await here.until("user_message", client_message_id=second)
            assert relay.lost == 0
            await llm.let_go(first)
            for socket in (here, there):
                await socket.until("ai_typing_stop")
                await socket.until("ai_typing_stop", seconds=SECONDS_TO_ANSWER)
                assert said_by(socket.heard).endswith(f"You said: {second}")
            assert relay.lost == 1
            assert [event["type"] for event in here.heard if event["type"] != "ai_message_chunk"] == [
                event["type"] for event in there.heard if event["type"] != "ai_message_chunk"
            ]
            # One that begins without an answer is told as well, once its worker has found it.
            third = uuid4().hex
            relay.lose(third)
            await here.say(third, client_message_id=third)
            await there.until("ai_typing_stop", seconds=SECONDS_TO_ANSWER)
            assert said_by(there.heard).endswith(f"You said: {third}")
    turns = [await kept.turn(id_) for id_ in (first, second, third)]
    assert [(turn.reply.status, turn.reply.attempt) for turn in turns] == [("complete", 1)] * 3
    assert not await kept.miscounted()
