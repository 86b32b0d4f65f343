"""`palaver serve`: one process that listens, drains when told to go, and leaves nothing behind."""

import asyncio
import fcntl
import gc
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
import uvloop

from palaver.app import Palaver, running
from palaver.bots.upstream import BadBotOptions
from palaver.chat.accounts import Accounts
from palaver.chat.errors import StoreUnavailable, Taken
from palaver.settings import Settings
from palaver.store.migrate import SchemaTooNew

log = logging.getLogger("palaver")

ADMIN = "admin"

# Longest a connection may keep the process once every reply has ended.
CLOSE_SECONDS = 5

MOST_SOCKET_MESSAGE = 1_048_576


class CannotStart(Exception):
    """Why the server does not start, and what would help: a sentence for the operator."""


def serve(settings: Settings) -> int:
    """Serves until SIGTERM or SIGINT. Gives the process's exit code; what went wrong is said on stderr."""
    set_up_logging(settings.log_level)
    try:
        with (
            listening(settings.host, settings.port) as listener,
            alone_in(settings),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(_serve(settings, listener))
    except (CannotStart, SchemaTooNew, BadBotOptions) as error:
        print(error, file=sys.stderr)  # noqa: T201 (this is the command's own output)
        return 1
    except StoreUnavailable as error:
        cause = error.__cause__
        print(f"Palaver cannot start: {error}{_explain(settings, cause)}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _explain(settings: Settings, cause: BaseException | None) -> str:
    if settings.database_url is None:
        return ". Check PALAVER_DATA_DIR: the folder must exist or be creatable, and be writable."
    kind = type(cause).__name__ if cause is not None else "no answer"
    return f" ({kind}). Check PALAVER_DATABASE_URL: server, port, database, user and password."


async def _serve(settings: Settings, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    async with running(settings, port=port) as palaver:
        link = await first_link(palaver.accounts, palaver)
        server = _Server(_uvicorn_config(settings, palaver))
        with _Draining(palaver, server, settings.drain_seconds).on_signals():
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            await asyncio.wait([serving, asyncio.ensure_future(server.ready.wait())], return_when="FIRST_COMPLETED")
            address = f"http://{_shown(host)}:{port}"
            if server.started:
                say(f"Palaver is ready on {address}")
                if link is not None:
                    say(f"Sign in as {ADMIN} (this link works once): {settings.public_url or address}/sign-in/{link}")
            keep_what_stays()
            await serving


def keep_what_stays() -> None:
    """What was made by now lives as long as the server: the collector need not walk it, nor look at every 700th thing.

    Requests leave few cycles behind; measured, the collector was a tenth of a turn.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers (draining comes before closing), that tells when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 (this is the command's own output)


def _shown(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


class _Draining:
    """On the first signal: no new turns, running replies get their time, then uvicorn closes. On the second: now."""

    def __init__(self, palaver: Palaver, server: _Server, seconds: float) -> None:
        self._palaver = palaver
        self._server = server
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._begin)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _begin(self) -> None:
        if self._task is None:
            log.info("draining: no new turns, running replies get %s s", self._seconds)
            self._palaver.chat.replies.draining = True
            self._task = asyncio.create_task(self._drain())
        else:
            self._server.should_exit = True

    async def _drain(self) -> None:
        await self._palaver.chat.replies.drain(self._seconds)
        self._server.should_exit = True


async def first_link(accounts: Accounts, palaver: Palaver) -> str | None:
    """The code of the first admin's sign-in link; None where there is an admin already."""
    if any(user.is_admin for user in await palaver.store.accounts.list_users()):
        return None
    try:
        admin = await accounts.add_person(ADMIN, None, full_name="Admin", is_admin=True)
    except Taken:
        # Another worker was first and prints the link, or somebody who is no admin bears the name.
        log.warning("no sign-in link is made: the name %s is taken (palaver user add NAME --admin)", ADMIN)
        return None
    return await accounts.new_link(admin, forever=True)


def _uvicorn_config(settings: Settings, palaver: Palaver) -> uvicorn.Config:
    return uvicorn.Config(
        palaver.app,
        loop="none",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=MOST_SOCKET_MESSAGE,
        ws_ping_interval=25,
        ws_ping_timeout=20,
        ws_per_message_deflate=False,
        lifespan="off",
        access_log=False,
        server_header=False,
        log_config=None,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies or None,
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket; with port 0, on a free one. Raises `CannotStart`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(2048)
        except OSError as error:
            raise CannotStart(
                f"Palaver cannot listen on {host}:{port}: {error.strerror}. "
                "Stop what uses that port, or choose another by PALAVER_PORT or --port."
            ) from error
        yield listener


@contextmanager
def alone_in(settings: Settings) -> Iterator[None]:
    """Holds the data folder for this server: two on one SQLite file would end each other's replies."""
    if settings.database_url is not None:
        yield
        return
    path = Path(settings.data_dir) / "palaver.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = path.open("w")
    except OSError as error:
        raise CannotStart(
            f"The data folder {settings.data_dir} cannot be used: {error.strerror}. "
            "Make it writable, or choose another by PALAVER_DATA_DIR."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CannotStart(
                f"Another Palaver serves the data folder {settings.data_dir}. "
                "Stop it, choose another folder by PALAVER_DATA_DIR, or use PostgreSQL for more than one."
            ) from error
        yield


def set_up_logging(level: str) -> None:
    logging.basicConfig(level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # uvicorn tells every address with its query, and a query may hold a token: only its warnings are let through.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(is_news)


def is_news(record: logging.LogRecord) -> bool:
    """uvicorn calls each refused handshake an error; whoever likes could fill the log with them."""
    return "without completing handshake" not in record.getMessage()
