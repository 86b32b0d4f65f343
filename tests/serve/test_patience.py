"""Who sends too slowly, or reads nothing, holds a connection for so long and no longer, and others are served then."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import islice

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from palaver.serve.connections import (
    MOST_PIPELINED,
    NEWCOMER_SECONDS,
    HttpConnection,
    SocketConnection,
    connections_of,
)
from palaver.serve.door import Door
from tests.contracts.raw import UPGRADE, Raw, connect, request
from tests.journeys.client import open_client
from tests.parts.palaver import Server, StartServer, StoreKind

SECONDS = 10.0
PATIENCE = 60.0
# uvicorn's own.
IDLE = 5.0
A_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

Answering = Callable[[Scope, Receive, Send], Awaitable[None]]


class Small:
    """A server that answers as it is told, and whose clock is moved by hand."""

    def __init__(self, server: uvicorn.Server) -> None:
        self._server = server
        self.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

    @property
    def connections(self) -> list[HttpConnection]:
        return [one for one in self._server.server_state.connections if isinstance(one, HttpConnection)]

    def pass_seconds(self, seconds: float) -> None:
        """Since a client is waited for, or from now on: what passes by the clock of the machine does not count."""
        now = asyncio.get_running_loop().time()
        for connection in self.connections:
            since = connection._awaited_since
            connection.look((now if since is None else since) + seconds)

    async def until(self, done: Callable[[HttpConnection], bool]) -> None:
        """Until the server has read what was sent: it tells nobody."""
        async with asyncio.timeout(SECONDS):
            while not (self.connections and all(done(one) for one in self.connections)):  # noqa: ASYNC110 (see above)
                await asyncio.sleep(0)


async def take(receive: Receive) -> int:
    """The size of the body; -1 where its client leaves."""
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return -1
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            return size


async def say(send: Send, text: bytes) -> None:
    length = (b"content-length", str(len(text)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": text})


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        return
    await say(send, str(await take(receive)).encode())


class ClosedDoor:
    """Turns everybody away."""

    is_busy = True

    def turn_away(self, *_asked: object) -> tuple[int, bytes, bytes]:
        return 503, b"content-length: 4\r\n", b"full"


@asynccontextmanager
async def serving(
    answering: Answering = answer, *, most: int | None = None, door: Door | None = None
) -> AsyncIterator[Small]:
    config = uvicorn.Config(
        answering, port=0, http=connections_of(PATIENCE, most, door), ws=SocketConnection, lifespan="off",
        log_config=None,
    )  # fmt: skip
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield Small(server)
    finally:
        await server.shutdown()


def head(length: int) -> bytes:
    return request("/", {"Content-Length": str(length)}, method="POST")


def has_come(size: int) -> Callable[[HttpConnection], bool]:
    return lambda connection: connection._body_bytes == size


async def check_shown_out(raw: Raw) -> None:
    status, headers = await raw.head()
    assert (status, headers["connection"]) == (408, "close")
    assert b"Request Timeout" in await raw.end()


@pytest.mark.parametrize("begun", [b"", b"\r\n", b"G", A_REQUEST[:-2]])
async def test_request_that_does_not_come_whole_is_not_waited_for(begun: bytes) -> None:
    async with serving() as small, connect(small.url) as raw:
        await raw.send(begun)
        await small.until(lambda one: bool(begun.strip()) == one._in_head)
        small.pass_seconds(PATIENCE - 1)
        # A byte now and then does not buy more time.
        await raw.send(b"\r\n"[: len(begun.strip())])
        small.pass_seconds(PATIENCE + 1)
        await check_shown_out(raw)


async def test_connection_that_says_nothing_more_is_closed_without_a_word() -> None:
    async with serving() as small, connect(small.url) as raw:
        await raw.send(A_REQUEST)
        assert (await raw.head())[0] == 200
        await raw.send(b"\r\n")
        await small.until(lambda one: one._awaited_since is not None)
        small.pass_seconds(PATIENCE + 1)
        assert b"HTTP/1.1" not in await raw.end()


@pytest.mark.parametrize(
    ("trailer", "status"), [(b"X-Forwarded-For: 6.6.6.6\r\n\r\n", b"400"), (b"X: " + b"a" * 200_000, b"431")]
)
async def test_nothing_behind_a_body_becomes_a_header_or_is_kept(trailer: bytes, status: bytes) -> None:
    async with serving() as small, connect(small.url) as raw:
        await raw.send(request("/", {"Transfer-Encoding": "chunked"}, method="POST") + b"1\r\nx\r\n0\r\n")
        await small.until(lambda one: one._open_cycle is not None)
        await raw.send(trailer)
        assert (await raw.end()).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize("begun", [b"GET / HT", request("/", {"Content-Length": "9"}, method="POST") + b"x"])
async def test_second_request_is_waited_for_no_longer_than_the_first(begun: bytes) -> None:
    async with serving() as small, connect(small.url) as raw:
        await raw.send(A_REQUEST)
        assert (await raw.head())[0] == 200
        await raw.send(begun)
        await small.until(lambda one: one._awaited_since is not None)
        small.pass_seconds(PATIENCE + 1)
        assert b"HTTP/1.1 408" in await raw.end()


async def test_body_that_comes_too_slowly_is_refused_and_its_handler_hears_that_nobody_is_there() -> None:
    taken: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait(_scope: Scope, receive: Receive, _send: Send) -> None:
        taken.set_result(await take(receive))

    async with serving(wait) as small, connect(small.url) as raw:
        await raw.send(head(1000) + b"x" * 10)
        await small.until(has_come(10))
        small.pass_seconds(PATIENCE + 1)
        await check_shown_out(raw)
        assert await asyncio.wait_for(taken, SECONDS) == -1


async def test_body_has_the_time_that_so_much_of_it_takes() -> None:
    async with serving() as small, connect(small.url) as raw:
        await raw.send(head(5001) + b"x" * 5000)
        await small.until(has_come(5000))
        # At 500 bytes a second, ten more.
        small.pass_seconds(PATIENCE + 9)
        await raw.send(b"x")
        assert (await raw.head())[0] == 200
        assert await small_body(raw) == b"5001"


async def small_body(raw: Raw, size: int = 4) -> bytes:
    async with asyncio.timeout(SECONDS):
        return await raw._reader.readexactly(size)


async def test_body_that_breaks_off_under_its_answer_gets_no_second_one() -> None:
    async def hasty(_scope: Scope, _receive: Receive, send: Send) -> None:
        await say(send, b"413.")

    async with serving(hasty) as small, connect(small.url) as raw:
        await raw.send(head(1000) + b"x")
        assert (await raw.head())[0] == 200
        assert await small_body(raw) == b"413."
        small.pass_seconds(PATIENCE + 1)
        assert await raw.end() == b""


async def test_server_that_takes_its_time_is_waited_for() -> None:
    go = asyncio.Event()

    async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
        await go.wait()
        await say(send, b"done")

    async with serving(slow) as small, connect(small.url) as raw:
        await raw.send(A_REQUEST)
        await small.until(lambda one: one._awaited_since is None)
        small.pass_seconds(100 * PATIENCE)
        go.set()
        assert (await raw.head())[0] == 200


async def test_who_takes_nothing_of_an_answer_is_shown_out() -> None:
    ended = asyncio.Event()

    async def flood(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
        ended.set()

    async with serving(flood) as small, connect(small.url) as raw:
        await raw.send(A_REQUEST)
        await small.until(lambda one: one.flow.write_paused)
        small.pass_seconds(0)
        small.pass_seconds(PATIENCE + 1)
        # What is sent to nobody is taken at once.
        await asyncio.wait_for(ended.wait(), SECONDS)


async def test_half_closed_connection_ends() -> None:
    async with serving() as small, connect(small.url) as raw:
        await raw.send(head(1000) + b"x")
        raw.half_close()
        assert await raw.end() == b""


async def test_who_was_turned_away_has_all_the_time_for_the_next_request() -> None:
    async with serving(door=ClosedDoor()) as small, connect(small.url) as raw:
        await raw.send(A_REQUEST)
        assert (await raw.head())[0] == 503
        assert await small_body(raw) == b"full"
        await small.until(lambda one: one._idle_since is not None)
        await raw.send(b"GET / HT")
        await small.until(lambda one: one._in_head)
        # It is not the idle one any more that is closed after five seconds.
        small.pass_seconds(PATIENCE - 1)
        await raw.send(A_REQUEST[len(b"GET / HT") :])
        assert (await raw.head())[0] == 200


@pytest.mark.parametrize("door", [None, ClosedDoor()])
async def test_who_says_nothing_more_after_an_answer_is_shown_out_without_a_word(door: Door | None) -> None:
    answer = b"0" if door is None else b"full"
    async with serving(door=door) as small, connect(small.url) as raw:
        for seconds in (IDLE - 1, IDLE + 1):
            await raw.send(A_REQUEST)
            await raw.head()
            assert await small_body(raw, len(answer)) == answer
            await small.until(lambda one: one._idle_since is not None)
            small.pass_seconds(seconds)
        assert await raw.end() == b""


@pytest.mark.parametrize("asked", [A_REQUEST, head(1000) + b"x"], ids=["whole", "half"])
async def test_who_is_turned_away_is_told_so_though_the_server_goes(asked: bytes) -> None:
    async with serving(door=ClosedDoor()) as small, connect(small.url) as raw:
        await small.until(lambda one: one._awaited_since is not None)
        [one] = small.connections
        one.data_received(asked)
        one.shutdown()
        assert (await raw.head())[0] == 503
        assert await raw.end() == b"full"


async def test_who_asks_behind_a_request_that_is_turned_away_is_not_taken_for_idle() -> None:
    go = asyncio.Event()

    async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
        await go.wait()
        await say(send, b"late")

    async with serving(slow, door=ClosedDoor()) as small, connect(small.url) as raw:
        await raw.send(A_REQUEST + A_REQUEST)
        assert (await raw.head())[0] == 503
        assert await small_body(raw) == b"full"
        await small.until(lambda one: one._is_answering())
        small.pass_seconds(IDLE + 1)
        go.set()
        assert (await raw.head())[0] == 200
        assert await small_body(raw) == b"late"


async def test_who_is_turned_away_and_wants_no_more_is_closed() -> None:
    async with serving(door=ClosedDoor()) as small, connect(small.url) as raw:
        await raw.send(request("/", {"Connection": "close"}) + A_REQUEST)
        status, headers = await raw.head()
        assert (status, headers["connection"]) == (503, "close")
        assert await raw.end() == b"full"


async def test_who_was_only_turned_away_hears_nothing_unasked() -> None:
    async with serving(door=ClosedDoor()) as small, connect(small.url) as raw:
        await raw.send(A_REQUEST)
        await raw.head()
        await small_body(raw)
        await raw.send(b"\r\n")
        await small.until(lambda one: one._idle_since is None)
        small.pass_seconds(PATIENCE + 1)
        assert await raw.end() == b""


async def test_who_was_let_in_is_a_newcomer_until_it_asks_or_has_had_its_moment() -> None:
    async with serving() as small, connect(small.url) as raw:
        await small.until(lambda one: one._awaited_since is not None)
        [one] = small.connections
        assert one._awaited_since is not None
        assert one.is_newcomer(one._awaited_since + NEWCOMER_SECONDS / 2)
        assert not one.is_newcomer(one._awaited_since + NEWCOMER_SECONDS)
        await raw.send(A_REQUEST)
        assert (await raw.head())[0] == 200
        assert not one.is_newcomer(asyncio.get_running_loop().time())


async def test_idle_sockets_are_left_alone() -> None:
    async with serving() as small, connect(small.url) as raw:
        await raw.send(request("/", UPGRADE))
        assert (await raw.head())[0] == 101
        assert small.connections == []


POST = {"X-Request-Id": "mine-1", "Transfer-Encoding": "chunked"}
A_HEAD = request("/", POST, method="POST")
A_SIZED_HEAD = request("/", {"X-Request-Id": "mine-1", "Content-Length": "2"}, method="POST")


@pytest.mark.parametrize("door", [None, ClosedDoor()])
@pytest.mark.parametrize("begun", [A_HEAD + b"1\r\nx\r\n", A_SIZED_HEAD + b"x"], ids=["in chunks", "at once"])
async def test_body_that_comes_too_slowly_is_refused_by_the_name_of_its_request(
    begun: bytes, door: Door | None
) -> None:
    async with serving(door=door) as small, connect(small.url) as raw:
        await raw.send(begun)
        await small.until(has_come(1))
        small.pass_seconds(PATIENCE + 1)
        status, headers = await raw.head()
    assert (status, headers["x-request-id"]) == (408, "mine-1")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (A_HEAD + b"no size", 400),
        (A_HEAD + b"0\r\nX-Y: behind it\r\n\r\n", 400),
        (A_HEAD + b"0\r\nX-Y: " + b"y" * 200_000, 431),
        # Whose it is cannot be said, and it came whole all the same.
        (request("/", {**POST, "host": "another"}, method="POST"), 400),
        (request("/", {**UPGRADE, "X-Request-Id": "mine-1", "Sec-WebSocket-Version": "7"}), 400),
    ],
    ids=["broken chunk", "trailer", "endless trailer", "two hosts", "bad handshake"],
)
async def test_request_whose_head_came_whole_is_refused_by_its_own_name(sent: bytes, status: int) -> None:
    async with serving() as small, connect(small.url) as raw:
        await raw.send(sent)
        answered, headers = await raw.head()
    assert (answered, headers["x-request-id"]) == (status, "mine-1")


async def test_socket_in_the_middle_of_an_answer_is_refused_by_its_own_name() -> None:
    go = asyncio.Event()

    async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
        await go.wait()
        await say(send, b"")

    async with serving(slow) as small, connect(small.url) as raw:
        await raw.send(A_REQUEST + request("/", {**UPGRADE, "X-Request-Id": "mine-1"}))
        await small.until(lambda one: one._refusal is not None)
        go.set()
        assert (await raw.head())[0] == 200
        status, headers = await raw.head()
    assert (status, headers["x-request-id"]) == (400, "mine-1")


@pytest.mark.parametrize(
    "behind", [b"\0\r\n\r\n", request("/", {})[:-2] + b": none\r\n\r\n"], ids=["no request", "broken head"]
)
async def test_what_comes_behind_a_request_is_not_refused_by_the_name_of_that(behind: bytes) -> None:
    async with serving() as small, connect(small.url) as raw:
        await raw.send(request("/", {"X-Request-Id": "mine-1"}))
        assert (await raw.head())[0] == 200
        await small_body(raw, 1)
        await raw.send(behind)
        status, headers = await raw.head()
    assert status == 400
    assert re.fullmatch("[0-9a-f]{16}", headers["x-request-id"])


async def test_more_connections_than_there_may_be_are_refused_at_once() -> None:
    async with serving(most=3) as small, AsyncExitStack() as opened:
        for _ in range(3):
            held = await opened.enter_async_context(connect(small.url))
        await small.until(lambda one: one._awaited_since is not None)
        async with connect(small.url) as raw:
            assert b"HTTP/1.1 503" in await raw.end()
        await held.send(A_REQUEST)
        assert (await held.head())[0] == 200


async def test_more_requests_at_once_than_can_wait_are_refused_behind_the_answers_to_those_before() -> None:
    async with serving() as small, connect(small.url) as raw:
        await raw.send(A_REQUEST * (MOST_PIPELINED + 5))
        heard = await raw.end()
    assert heard.count(b"HTTP/1.1 200") == MOST_PIPELINED + 1
    assert heard.count(b"HTTP/1.1 400") == 1
    assert heard.rindex(b"HTTP/1.1 400") > heard.rindex(b"HTTP/1.1 200")


async def test_refusal_waits_for_the_answer_that_is_under_way() -> None:
    go = asyncio.Event()

    async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        await go.wait()
        await send({"type": "http.response.body", "body": b"half"})

    async with serving(slow) as small, connect(small.url) as raw:
        await raw.send(A_REQUEST + b"\0\r\n\r\n")
        await small.until(lambda one: one._refusal is not None)
        go.set()
        heard = await raw.end()
    assert heard.index(b"halfhalf") < heard.index(b"HTTP/1.1 400")


async def test_socket_does_not_begin_in_the_middle_of_an_answer() -> None:
    go = asyncio.Event()

    async def slow(scope: Scope, _receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await go.wait()
        await say(send, b"done")

    async with serving(slow) as small, connect(small.url) as raw:
        await raw.send(A_REQUEST + request("/", UPGRADE))
        await small.until(lambda one: one._refusal is not None)
        go.set()
        heard = await raw.end()
    assert heard.startswith(b"HTTP/1.1 200")
    assert heard.count(b"HTTP/1.1 400") == 1
    assert b"HTTP/1.1 101" not in heard


# A whole server


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "sqlite"


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_CLIENT_SECONDS": "1"}


@pytest.mark.usefixtures("llm")
async def test_of_many_that_connect_at_once_no_more_are_let_in_than_there_may_be(start_server: StartServer) -> None:
    # Those who were let in say nothing, and stay.
    server = await start_server(PALAVER_CONNECTIONS="3", PALAVER_CLIENT_SECONDS="60")
    async with AsyncExitStack() as opened:
        came = await asyncio.gather(*(opened.enter_async_context(connect(server.url)) for _ in range(20)))
        first = [asyncio.create_task(raw.head()) for raw in came]
        ended = asyncio.as_completed(first, timeout=SECONDS)
        refused = [(await one)[0] for one in islice(ended, 17)]
        assert refused == [503] * 17
        assert sum(one.done() for one in first) == 17
        for one in first:
            one.cancel()


@pytest.mark.usefixtures("llm")
async def test_slow_clients_are_shown_out_while_others_are_served(shared_server: Server) -> None:
    begun = (b"", b"GET /health HT", request("/api/chat", {"Content-Length": "99"}, method="POST") + b"x")
    async with AsyncExitStack() as opened, open_client(shared_server) as client:
        slow = [await opened.enter_async_context(connect(shared_server.url)) for _ in range(30)]
        for number, raw in enumerate(slow):
            await raw.send(begun[number % 3])
        ends = asyncio.gather(*(raw.end() for raw in slow))
        served = 0
        while not ends.done():
            assert (await client.get("/health")).status == 200
            served += 1
    assert served > 0
    assert all(b"HTTP/1.1 408" in end for end in ends.result())
    assert "Traceback" not in shared_server.log_text()
