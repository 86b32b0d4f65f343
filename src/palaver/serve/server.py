"""uvicorn as we run it: without signals of its own, and able to go away bit by bit."""

import asyncio
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import uvicorn

from palaver.app import Palaver
from palaver.serve.connections import NEWCOMER_SECONDS, HttpConnection, SocketConnection, connections_of
from palaver.serve.listening import BACKLOG
from palaver.settings import Settings

# Longest a connection may keep the process once every reply has ended.
CLOSE_SECONDS = 5

# A connection that says nothing for so long after an answer is closed.
IDLE_SECONDS = 5

# Of all that wait; the rest are the next round's. With 64, one in a hundred of a crowd of thousands waits for half a
# second; so many hold a round up by some 25 ms at the most.
ACCEPTED_A_ROUND = 512

MOST_SOCKET_MESSAGE = 1_048_576

_LOOK_SECONDS = 0.1
_LOOKS_A_SECOND = 10

# What a process needs besides its connections: the database, the bus, LLM servers, documents being read.
_DESCRIPTORS_KEPT = 128


class Server(uvicorn.Server):
    """It leaves signals to others (draining comes before closing), and tells when it is ready."""

    def __init__(self, settings: Settings, palaver: Palaver) -> None:
        self._most_connections = settings.connections or connections_allowed()
        super().__init__(_to_config(settings, palaver, self._most_connections))
        self.ready = asyncio.Event()
        self._accepting: set[asyncio.Task[Any]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._connect = partial(  # type: ignore[call-arg] # (as uvicorn has it)
            self.config.http_protocol_class, config=self.config, server_state=self.server_state,
            app_state=self.lifespan.state,
        )  # fmt: skip
        self._listeners = sockets or []
        for listener in self._listeners:
            listener.setblocking(False)
        # uvicorn calls it, and no more.
        self.config.http_protocol_class = self._connect_and_accept  # type: ignore[assignment]
        await super().startup(sockets)
        self.ready.set()

    def _connect_and_accept(self, **_named: Any) -> asyncio.Protocol:
        """libuv accepts one connection in each round of the loop: under load, ten or twenty a second. Whoever waits
        behind it is accepted here, whatever else the round has to do."""
        self._accept_waiting(ACCEPTED_A_ROUND)
        return self._connect()

    def _accept_waiting(self, most: int) -> None:
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            for _ in range(self._room(most)):
                try:
                    accepted, _address = listener.accept()
                except OSError:
                    # Nobody waits, or nobody can be let in just now: libuv says so with the next one.
                    break
                accepted.setblocking(False)
                further = loop.create_task(loop.connect_accepted_socket(self._connect, accepted))
                self._accepting.add(further)
                further.add_done_callback(self._has_accepted)

    def _room(self, wanted: int) -> int:
        """For so many of them. Whoever comes beyond is told so, one in each round."""
        if self._most_connections is None:
            return wanted
        free = self._most_connections - len(self.server_state.connections) - len(self._accepting)
        return max(0, min(wanted, free))

    def _has_accepted(self, further: "asyncio.Task[Any]") -> None:
        self._accepting.discard(further)
        if not further.cancelled():
            # Who has left again meanwhile is no fault of ours.
            further.exception()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        if counter % _LOOKS_A_SECOND == 0:
            now = asyncio.get_running_loop().time()
            for connection in self._http_connections():
                connection.look(now)
        return await super().on_tick(counter)

    def stop_accepting(self) -> None:
        """Closes this process's own copy of the listening socket. Another process may go on accepting at it."""
        for server in self.servers:
            server.close()

    async def hear_newcomers(self) -> None:
        """Lets nobody in any more. Whoever just was has a moment to ask: its request may be on its way already."""
        self._say_close()
        # Those that wait are let in, too: with this socket they would go.
        self._accept_waiting(BACKLOG)
        self.stop_accepting()
        await _wait_until(self._has_no_newcomers, NEWCOMER_SECONDS)

    def _has_no_newcomers(self) -> bool:
        now = asyncio.get_running_loop().time()
        return not (self._accepting or any(one.is_newcomer(now) for one in self._http_connections()))

    async def see_requests_off(self, seconds: float) -> None:
        """Until every request has its answer, and its client knows that the connection is no more; `seconds` at most.

        Sockets stay open.
        """
        self._say_close()
        deadline = asyncio.get_running_loop().time() + seconds
        # Closed at once, a connection could take a request with it that is on its way.
        await _wait_until(self._has_no_http, min(IDLE_SECONDS + 2, seconds))
        for connection in self._http_connections():
            connection.shutdown()
        await _wait_until(self._has_no_http, deadline - asyncio.get_running_loop().time())

    def _has_no_http(self) -> bool:
        return not self._http_connections()

    def _say_close(self) -> None:
        close = (b"connection", b"close")
        if close in self.config.encoded_headers:
            return
        # uvicorn makes the second from the first, once a second.
        self.config.encoded_headers = [*self.config.encoded_headers, close]
        self.server_state.default_headers = [*self.server_state.default_headers, close]

    def _http_connections(self) -> list[HttpConnection]:
        return [found for found in self.server_state.connections if isinstance(found, HttpConnection)]


async def _wait_until(done: Callable[[], bool], seconds: float) -> None:
    """Or so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not done():  # noqa: ASYNC110 (uvicorn tells nobody when a connection asks, or closes)
                await asyncio.sleep(_LOOK_SECONDS)


def _to_config(settings: Settings, palaver: Palaver, most_connections: int | None) -> uvicorn.Config:
    return uvicorn.Config(
        palaver.app,
        interface="asgi3",
        loop="none",
        http=connections_of(settings.client_seconds, most_connections, palaver.app),
        ws=SocketConnection,
        ws_max_size=MOST_SOCKET_MESSAGE,
        ws_ping_interval=settings.ping_seconds,
        ws_ping_timeout=20,
        ws_per_message_deflate=False,
        lifespan="off",
        access_log=False,
        server_header=False,
        log_config=None,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies or None,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )


def connections_allowed() -> int | None:
    """How many a process may have so that what else it opens can still be opened; none: the system sets no limit."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if most == resource.RLIM_INFINITY else max(most - _DESCRIPTORS_KEPT, most // 2)
