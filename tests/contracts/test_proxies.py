"""Streams through nginx and HAProxy as they come: what is said is seen at once, and what is silent lives."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from math import inf
from statistics import median

import pytest
from aiohttp import ClientPayloadError, ClientSession

from tests.contracts.talking import make
from tests.journeys.client import Client, open_client
from tests.journeys.socket import Closed, Event, open_conversation
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer, StoreKind
from tests.parts.proxies import DeployedNginx, HAProxy, Nginx, Proxy
from tests.parts.run import Run
from tests.promises import Measured

SECONDS = 15.0
REPLIES, PIECES = 5, 5
MOST_SECONDS = 0.1

# Shorter than what is silent below, and so much longer than what keeps it alive that a server which stands still for a
# moment is not cut off.
PATIENCE_SECONDS = 3.0
SIGN_OF_LIFE_SECONDS = 0.1
SILENT = "[[first=4&text=At last]]"
SILENT_FOR_EVER = "[[fault=no-first-byte]]"

# At full size everybody is as patient as they come: more than the minute of nginx is silent.
SILENT_IN_FULL = "[[first=70&text=At last]]"
FULL_SECONDS = 90

pytestmark = pytest.mark.usefixtures("llm")

each_proxy = pytest.mark.parametrize("kind", [Nginx, HAProxy, DeployedNginx])


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "sqlite"


@pytest.fixture(scope="module")
def server_environment(prove: bool) -> Mapping[str, str]:
    often = str(SIGN_OF_LIFE_SECONDS)
    lively = {"PALAVER_HEARTBEAT_SECONDS": often, "PALAVER_PING_SECONDS": often}
    return {"LLM_TIMEOUT": "60", **(lively if not prove else {})}


@asynccontextmanager
async def behind(proxy: Proxy, server: Server) -> AsyncIterator[Client]:
    """Somebody who speaks to the proxy alone."""
    token = await server.token("alice")
    await proxy.start()
    try:
        async with open_client(server) as client:
            yield Client(client._http, proxy.url, {"Authorization": f"Bearer {token}"})
    finally:
        proxy.process.kill()


async def hear_events(person: Client, message: str) -> AsyncIterator[Event]:
    """The events of a turn of streaming_chat, as they come."""
    async with person._http.post(
        f"{person.url}/api/chat/stream/",
        json={"message": message},
        headers=person._headers,
        timeout=None,
    ) as response:
        assert response.status == 200
        async for line in response.content:
            name, _, data = line.decode().partition(": ")
            if name == "data":
                yield json.loads(data)


async def hear_frames(person: Client, message: str) -> AsyncIterator[Event]:
    """The events of a turn over ai_chat's socket, as they come."""
    session = await make(person)
    async with open_conversation(person, session, "full_content=0") as socket:
        await socket.expect("connection_established")
        await socket.say(message)
        while (event := await socket.next(seconds=FULL_SECONDS))["type"] != "ai_typing_stop":
            yield event


TRANSPORTS = {"events": hear_events, "frames": hear_frames}

each_way = pytest.mark.parametrize("way", sorted(TRANSPORTS))


def is_piece(event: Event) -> bool:
    return event["type"] in ("chunk", "ai_message_chunk")


async def hear_piece_by_piece(person: Client, way: str, llm: LLM, number: int) -> list[float]:
    """How long each piece was under way. None is written before the one before it is heard, so that of a proxy which
    gathers them nothing is ever heard."""
    events = TRANSPORTS[way](person, f"[[pieces={PIECES}&hold=reply-{number}]]")
    took: list[float] = []
    async with asyncio.timeout(SECONDS):
        await anext(events)
        await llm.record(n=number)
        for _ in range(PIECES):
            written = time.monotonic()
            await llm.let_go(f"reply-{number}", pieces=1)
            while not is_piece(await anext(events)):
                continue
            took.append(time.monotonic() - written)
        assert [event async for event in events if is_piece(event)] == []
    return took


@pytest.mark.proof("streams", alone=True)
@each_proxy
@each_way
async def test_piece_is_seen_within_a_tenth_of_a_second_of_being_written(
    kind: type[Proxy], way: str, run: Run, shared_server: Server, llm: LLM, prove: bool, measured: Measured
) -> None:
    """By way of nginx and HAProxy, and before the next is written.

    In small nothing is said of how soon.
    """
    most = MOST_SECONDS if prove else inf
    async with behind(kind(run, shared_server.url), shared_server) as person:
        replies = [
            await hear_piece_by_piece(person, way, llm, number) for number in range(1, REPLIES + 1 if prove else 2)
        ]
    # Not the slowest: even on a machine that does nothing else, one may be late for reasons of its own.
    medians = [median(took) for took in replies]
    firsts = median(took[0] for took in replies)
    measured("first pieces, median", round(firsts * 1000, 1), "ms")
    measured("pieces, median of the slowest reply", round(max(medians) * 1000, 1), "ms")
    assert max(firsts, *medians) < most


async def test_stream_ends_with_its_connection(shared_server: Server) -> None:
    """In chunks HAProxy would keep its first pieces back."""
    token = await shared_server.token("alice")
    async with (
        ClientSession(shared_server.url) as http,
        http.post(
            "/api/chat/stream/", json={"message": "hello"}, headers={"Authorization": f"Bearer {token}"}
        ) as response,
    ):
        assert response.headers["Connection"] == "close"
        assert {"Transfer-Encoding", "Content-Length"}.isdisjoint(response.headers)
        assert b'"type": "end"' in await response.read()


@pytest.mark.proof("streams")
@each_proxy
@each_way
async def test_silent_connection_lives(
    kind: type[Proxy], way: str, run: Run, shared_server: Server, prove: bool, measured: Measured
) -> None:
    message, patience = (SILENT_IN_FULL, None) if prove else (SILENT, PATIENCE_SECONDS)
    measured("the model is told", message, "")
    async with behind(kind(run, shared_server.url, patience=patience), shared_server) as person:
        texts = [event["content"] async for event in TRANSPORTS[way](person, message) if is_piece(event)]
    assert "".join(texts) == "At last"


@each_proxy
async def test_without_a_sign_of_life_a_proxy_cuts_what_is_silent(
    kind: type[Proxy], run: Run, start_server: StartServer
) -> None:
    """That the proxies of the test above are no more patient than it says."""
    quiet = await start_server(PALAVER_HEARTBEAT_SECONDS="60", PALAVER_PING_SECONDS="60")
    async with behind(kind(run, quiet.url, patience=PATIENCE_SECONDS), quiet) as person:
        with pytest.raises(Closed):
            _ = [event async for event in hear_frames(person, SILENT_FOR_EVER)]
        heard = hear_events(person, SILENT_FOR_EVER)
        assert (await anext(heard))["type"] == "start"
        # Some say that it is no whole answer, and some end it as if it were.
        with pytest.raises((ClientPayloadError, StopAsyncIteration)):
            await anext(heard)
