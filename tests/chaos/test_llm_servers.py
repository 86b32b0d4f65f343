"""Several LLM servers, of which some die, stall or refuse: nobody hears of it while one of them lives, and one that
takes connections and never answers costs nobody else anything."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from math import inf
from statistics import quantiles

import aiohttp
import pytest

from palaver.bots.breaker import LONGEST_PAUSE
from tests.chaos.person import Person
from tests.journeys.client import Answer, Client, ask_until, open_client
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StoreKind
from tests.parts.run import Run
from tests.promises import Measured

pytestmark = pytest.mark.proof("faults")

SERVERS = "/api/admin/servers"
SESSIONS = "/ai-chat/api/sessions/"
NAMES = ("one", "two", "three")

# Of other endpoints: what people look at while they wait.
ELSEWHERE = ("/health", "/ai-chat/api/models/", "/ai-chat/api/health/stats/", "/api/chat/sessions")
ROUNDS = 15
HANGING = 20
SECONDS_TO_TELL = 30.0

# What noise of a shared machine may add to the slowest twentieth.
NOISE_SECONDS = 0.1


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "sqlite"


@pytest.fixture(scope="module")
async def llms(run: Run) -> AsyncIterator[Sequence[LLM]]:
    """Three servers with the same models."""
    started = [LLM(run, "--text", f"This is {name}.") for name in NAMES]
    await asyncio.gather(*(llm.start() for llm in started))
    yield started
    for llm in started:
        llm.process.kill()


@pytest.fixture(scope="module")
def server_environment(llms: Sequence[LLM]) -> Mapping[str, str]:
    named = [{"name": name, "url": llm.url} for name, llm in zip(NAMES, llms, strict=True)]
    # More patience than a living one needs on a busy machine: it would be taken for one that stalls.
    return {"LLM_SERVER_URL": "", "PALAVER_LLM_SERVERS": json.dumps(named), "PALAVER_LLM_PATIENCE_SECONDS": "3"}


@pytest.fixture
def alice(shared_alice: Person) -> Person:
    return shared_alice


@pytest.fixture
async def admin(shared_server: Server, shared_token: str) -> AsyncIterator[Client]:
    async with open_client(shared_server) as client:
        yield client.bearing(shared_token)


async def talk(alice: Person, times: int) -> list[str]:
    """The answers to so many people who speak at once. `AssertionError` where one of them hears of an error."""
    return [told.text for told in await asyncio.gather(*(alice.say("Hello.") for _ in range(times)))]


async def breakers(admin: Client) -> dict[str, str]:
    return {shown["name"]: shown["breaker"] for shown in (await admin.get(SERVERS)).body}


async def test_nobody_hears_of_servers_that_die_stall_or_refuse_while_one_lives(
    alice: Person, admin: Client, llms: Sequence[LLM], measured: Measured
) -> None:
    dies, stalls, refuses = llms
    # One that has not told yet what it offers is asked by nobody.
    await ask_until(
        lambda: admin.get(SERVERS), lambda told: all(shown["offers"] for shown in told.body), seconds=SECONDS_TO_TELL
    )
    assert set(await talk(alice, 12)) == {f"This is {name}." for name in NAMES}

    # Under way: one is killed while replies run that have not begun, one falls silent, and the last refuses some.
    for llm in llms:
        await llm.control(first=0.3)
    under_way = asyncio.create_task(talk(alice, 12))
    await dies.record("arrived", n=5)
    dies.process.kill()
    await stalls.control(fault="no-first-byte")
    await refuses.control(fault="429-retry-after", retry_after="0.3", times=2)
    answers = await under_way
    for _ in range(3):
        answers += await talk(alice, 6)
    measured("turns, none of which failed", len(answers), "")
    assert len(answers) == 30
    # Their pauses may be over by now: then they are half open, until a trial succeeds. Whatever the third has refused,
    # it was the last to answer everybody.
    found = await breakers(admin)
    assert "closed" not in (found["one"], found["two"])
    assert found["three"] == "closed"
    assert set(await talk(alice, 6)) == {"This is three."}

    # They are well again: a trial of each closes its breaker, and they have their share as before.
    await dies.restart()
    await stalls.control()
    await refuses.control()

    async def talk_and_look() -> Answer:
        await talk(alice, 1)
        return await admin.get(SERVERS)

    await ask_until(
        talk_and_look, lambda told: {shown["breaker"] for shown in told.body} == {"closed"}, seconds=2 * LONGEST_PAUSE
    )
    assert set(await talk(alice, 12)) == {f"This is {name}." for name in NAMES}


@contextmanager
def never_answers() -> Iterator[str]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def never_accepts() -> Iterator[str]:
    """So full of connections that nobody takes that the system answers no further ones."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


async def slowest(admin: Client) -> float:
    """Seconds that all but the slowest twentieth of the answers of other endpoints stay below."""
    taken = []
    for _ in range(ROUNDS):
        for path in ELSEWHERE:
            began = time.monotonic()
            assert (await admin.get(path)).status == 200
            taken.append(time.monotonic() - began)
    return quantiles(taken, n=20)[-1]


@pytest.mark.parametrize("hole", [never_answers, never_accepts])
@pytest.mark.proof("faults", alone=True)
async def test_black_hole_slows_nothing_else(
    admin: Client, alice: Person, hole: Callable[[], AbstractContextManager[str]], prove: bool, measured: Measured
) -> None:
    before = await slowest(admin)
    with hole() as url:
        added = await admin.post(SERVERS, name="hole", url=url, models=["hole", "qwen3:8b"])
        assert added.status == 201, added.text
        # One more, of which nobody says what it offers: it is asked for that, and never tells.
        assert (await admin.post(SERVERS, name="mute", url=url)).status == 201
        made = await admin.post(SESSIONS, model_name="hole")
        assert made.status == 201, made.text
        sessions = [(await admin.post(SESSIONS, model_name="hole")).body["id"] for _ in range(HANGING)]
        hanging = [asyncio.create_task(_send(admin, session)) for session in sessions]
        try:
            running = await ask_until(
                lambda: admin.get(f"{SERVERS}/hole"), lambda told: told.body["running"] >= HANGING, seconds=10
            )
            assert running.body["running"] >= HANGING
            among = await slowest(admin)
            measured("turns that hang", HANGING, "")
            measured("other answers, p95, before", round(before * 1000, 1), "ms")
            measured("and beside them", round(among * 1000, 1), "ms")
            # In small, other tests may have begun in between.
            assert among < (2 * before + NOISE_SECONDS if prove else inf)
            # Its model is another's too, which answers.
            assert set(await talk(alice, 6)) <= {f"This is {name}." for name in NAMES}
            began = time.monotonic()
            assert (await admin.get("/ai-chat/api/health/llm_server/")).body["llm_server_healthy"] is True
            assert time.monotonic() - began < 5
            synced = await admin.post("/ai-chat/api/models/sync_models/")
            assert (synced.status, "hole" in {model["name"] for model in synced.body["models"]}) == (200, True)
        finally:
            for name in ("hole", "mute"):
                assert (await admin.delete(f"{SERVERS}/{name}")).status == 204
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)


async def _send(admin: Client, session: str) -> None:
    try:
        await admin.post(f"{SESSIONS}{session}/send_message/", message="hi")
    except aiohttp.ClientError:
        # The server goes away before the reply does.
        return
