"""PostgreSQL stopped and started again while people talk: each send is acknowledged or refused in plain words, nothing
that was acknowledged is lost or doubled, running replies go on, and so does the server, by itself."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import get_args
from uuid import uuid4

import aiohttp
import pytest

from tests.chaos.device import Device, open_alice, open_session
from tests.chaos.kept import Kept, turn_in
from tests.chaos.person import APIS, ApiName, Person, Told
from tests.chaos.waiting import wait_while
from tests.parts.llm import LLM
from tests.parts.palaver import Database, Server, StartServer, StoreKind
from tests.parts.postgres import Postgres, StopMode, open_cluster
from tests.parts.process import wait_until
from tests.parts.redis import Redis
from tests.parts.run import Run
from tests.promises import Measured
from tests.serve.crew import Crew

pytestmark = pytest.mark.proof("faults")

REFUSED = "The server cannot reach its data just now. Try again in a moment."

SECONDS_TO_RESUME = 10.0
"""After the database is there again, everybody who was refused has an answer. In small other tests run beside it."""

PIECES = 150


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "postgres"


@pytest.fixture(scope="module")
def cluster(run: Run) -> Iterator[Postgres]:
    with open_cluster(run) as cluster:
        yield cluster


@pytest.fixture
def database(cluster: Postgres) -> Iterator[Database]:
    name = cluster.create_database()
    yield Database("postgres", {"PALAVER_DATABASE_URL": cluster.url(name)})
    cluster.drop_database(name)


@dataclass
class Talker:
    """Says one thing after another, each at once again until it is answered."""

    person: Person
    api: ApiName
    conversation: str
    answers: dict[str, str] = field(default_factory=dict)
    """By the client id of what they answer."""
    refused: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    """How often it was told that the reply to it had failed, by the same ids."""
    answered_at: float = 0.0

    async def talk(self, until: asyncio.Event) -> None:
        while not until.is_set():
            client_message_id = uuid4().hex
            self.answers[client_message_id] = (await self._say(client_message_id)).text
            self.answered_at = time.monotonic()

    async def _say(self, client_message_id: str) -> Told:
        while True:
            told = await self.person.say(
                f"{client_message_id} [[pieces=4&delay=0.01]]",
                self.conversation,
                api=self.api,
                client_message_id=client_message_id,
            )
            if told.is_answer:
                return told
            self.refused += 1
            if told.says_model_failed:
                # Where the database stays away for seconds, the end of a reply is not waited for. It goes on being
                # tried, and until it is kept everybody who asks is told the same.
                self.broken[client_message_id] += 1
                continue
            assert told.status == 503, told.everything
            assert told.json == {"detail": REFUSED}
            assert int(told.headers["Retry-After"]) > 0


def has_begun(device: Device) -> bool:
    return any(device.texts.values())


async def hear_long_reply(device: Device, hold: str) -> None:
    """From its first piece to its end, by one stream that never breaks."""
    message = f"{uuid4().hex} [[pieces={PIECES}&delay=0.02&hold={hold}]]"
    body = {"message": message, "session_id": device.session}
    assert await device.by_asking(body, lambda one: bool(one.ends))
    assert list(device.ends.values()) == ["complete"]


async def test_restarted_database_loses_and_doubles_nothing_and_ends_no_reply(
    start_server: StartServer,
    http: aiohttp.ClientSession,
    redis: Redis,
    llm: LLM,
    cluster: Postgres,
    prove: bool,
    measured: Measured,
) -> None:
    """With one worker, and at full size with two and Redis as well."""
    for workers in (1, 2) if prove else (1,):
        settings = {} if workers == 1 else {"PALAVER_WORKERS": "2", "PALAVER_REDIS_URL": redis.url}
        server = await start_server(**settings)
        alice = Person(http, server, await server.token("admin"))
        tried = Tried()
        talkers = [Talker(alice, api, await alice.open_conversation(api)) for api in APIS * (8 if prove else 1)]
        for mode in (*get_args(StopMode),) * (5 if prove else 1):
            await restart_under_load(cluster, llm, mode, talkers, streams=8 if prove else 2, tried=tried)
        await check_kept(server, talkers)
        with_workers = f"with {workers} worker(s)"
        measured(f"restarts of PostgreSQL under load, {with_workers}", tried.restarts, "")
        measured(f"turns acknowledged meanwhile, {with_workers}", sum(len(one.answers) for one in talkers), "")
        measured(f"sends refused meanwhile, {with_workers}", sum(one.refused for one in talkers), "")
        measured(f"until the last who was refused had an answer, {with_workers}", round(tried.slowest, 1), "s")
        assert tried.slowest < (SECONDS_TO_RESUME if prove else inf)


@dataclass
class Tried:
    restarts: int = 0
    slowest: float = 0.0
    """Seconds from the start of the database until everybody had an answer."""


async def restart_under_load(
    cluster: Postgres, llm: LLM, mode: StopMode, talkers: Sequence[Talker], *, streams: int, tried: Tried
) -> None:
    """While all of them talk, and so many long replies run."""
    alice = talkers[0].person
    async with open_alice(alice.server, alice.token) as client:
        devices = [Device(client, await open_session(client)) for _ in range(streams)]
        # However long it takes, they end after the restart.
        hold = uuid4().hex
        await llm.let_go(hold, pieces=PIECES - 1)
        hearing = asyncio.gather(*(hear_long_reply(device, hold) for device in devices))
        over = asyncio.Event()
        talking = asyncio.gather(*(talker.talk(over) for talker in talkers))
        assert await wait_until(lambda: all(map(has_begun, devices)), seconds=60)
        await asyncio.to_thread(cluster.restart, mode)
        restarted = time.monotonic()
        await llm.let_go(hold)
        over.set()
        await talking
        tried.restarts += 1
        tried.slowest = max(tried.slowest, *(talker.answered_at - restarted for talker in talkers))
        await hearing


async def check_kept(server: Server, talkers: Sequence[Talker]) -> None:
    kept = Kept(server)
    await wait_while(kept.open_replies, seconds=10, what="replies that ran when the database went")
    messages = await kept.messages()
    for talker in talkers:
        for client_message_id, answer in talker.answers.items():
            turn = turn_in(messages, client_message_id)
            assert (turn.reply.status, turn.reply.content) == ("complete", answer)
            # However often it is told, a failure has at most one other attempt follow.
            assert 1 <= turn.reply.attempt <= 1 + talker.broken[client_message_id]
    assert not await kept.miscounted()
    assert "Traceback" not in server.log_text()
    crew = Crew(server)
    assert len(crew.pids()) == crew.count_served(), "no worker had to be started anew"
