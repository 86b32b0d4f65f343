"""A second request is never answered that was not sent as one: by the server alone, and behind nginx and HAProxy.

The cases are in tests/contracts/smuggling.py. What is hidden in them says in the server's log when it is taken.
"""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest

from tests.contracts.raw import connect
from tests.contracts.smuggling import AFTER, CASES, HIDDEN, PROBE
from tests.parts.palaver import Server, StoreKind
from tests.parts.proxies import DeployedNginx, HAProxy, Nginx, Proxy
from tests.parts.run import Run
from tests.promises import Measured

pytestmark = [pytest.mark.proof("security"), pytest.mark.usefixtures("llm")]

SECONDS = 10.0
PROBES = 8
# So many requests after each other find nothing new where nothing more comes.
QUIET = 50


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "sqlite"


class Answers:
    """What comes back on a connection."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.heard = b""
        self._listening = asyncio.create_task(self._listen(reader))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            while part := await reader.read(65_536):
                self.heard += part

    async def until_the_end(self) -> bytes:
        """All of it, or what has come in a long time."""
        await asyncio.wait([self._listening], timeout=SECONDS)
        return self.heard


@asynccontextmanager
async def asking(url: str, data: bytes) -> AsyncIterator[Answers]:
    """What comes back for this and a plain request after it."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    answers = Answers(reader)
    try:
        with suppress(ConnectionError):
            writer.write(data)
            await writer.drain()
            writer.write(AFTER.encode())
        yield answers
    finally:
        writer.transport.abort()
        await answers.until_the_end()


async def until_quiet(url: str, count: Callable[[], int]) -> None:
    """Returns once nothing more comes, however long who is asked takes for it: they answer others, and all the time the
    count stays what it is. The end of a connection cannot be waited for: a proxy may wait for what it takes to be
    missing."""
    quiet = 0
    while quiet < QUIET:
        before = count()
        assert await ask(url)
        quiet = quiet + 1 if count() == before else 0


def statuses(heard: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3})", heard)]


def names(heard: bytes) -> list[str]:
    """The ids of the requests that were answered, in that order."""
    return re.findall(r"x-request-id: (\S+)", heard.decode("latin-1").lower())


def times_hidden(server: Server) -> int:
    return server.log_text().count(f"request {HIDDEN}")


@pytest.mark.parametrize("name", CASES)
async def test_request_ends_where_everybody_sees_its_end_or_is_refused(shared_server: Server, name: str) -> None:
    data, expected = CASES[name]
    before = times_hidden(shared_server)
    async with asking(shared_server.url, data) as answers:
        assert statuses(await answers.until_the_end()) == expected
    assert times_hidden(shared_server) == before


@pytest.mark.parametrize("kind", [Nginx, HAProxy, DeployedNginx])
async def test_proxy_and_server_see_the_same_requests(
    kind: type[Proxy], run: Run, shared_server: Server, measured: Measured
) -> None:
    proxy = kind(run, shared_server.url)
    await proxy.start()
    try:
        before = times_hidden(shared_server)
        async with AsyncExitStack() as stack:
            asked = [await stack.enter_async_context(asking(proxy.url, data)) for data, _ in CASES.values()]
            await until_quiet(
                proxy.url, lambda: times_hidden(shared_server) + sum(len(answers.heard) for answers in asked)
            )
            heard = [answers.heard for answers in asked]
            hidden = times_hidden(shared_server) - before
        # What ends a request for one ends it for the other: what comes then is the next, in its place.
        for name, ids in zip(CASES, map(names, heard), strict=True):
            assert ids[1:] in ([], [PROBE], [HIDDEN], [HIDDEN, PROBE]), name
            assert HIDDEN not in ids[:1]
        # The server has answered no more of them than who sent them was told of.
        assert hidden == sum(names(one).count(HIDDEN) for one in heard)
        # Connections to the server are used again: each answer still goes to who asked.
        assert await asyncio.gather(*(ask(proxy.url) for _ in range(PROBES))) == [True] * PROBES
        measured(f"odd requests by way of {proxy.name}", len(CASES), "")
    finally:
        proxy.process.kill()


async def ask(url: str) -> bool:
    """Whether the answer to a plain request is the one to it."""
    name = uuid.uuid4().hex
    async with connect(url) as raw:
        await raw.send(f"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {name}\r\n\r\n".encode())
        status, headers = await raw.head()
    return (status, headers["x-request-id"]) == (200, name)
