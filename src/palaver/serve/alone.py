"""A server of one process: it listens, obeys signals, and has its data folder for itself."""

import asyncio
import fcntl
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from palaver.serve import CannotStart
from palaver.serve.draining import Draining
from palaver.serve.listening import listening
from palaver.serve.output import ALONE, say_ready, set_up_logging
from palaver.serve.serving import serve
from palaver.settings import Settings
from palaver.watching.boards import ALONE as THE_ONE

log = logging.getLogger("palaver")


def serve_alone(settings: Settings) -> int:
    """Serves until SIGTERM or SIGINT. Gives the process's exit code; what went wrong is said on stderr."""
    set_up_logging(settings, ALONE, THE_ONE)
    return serve(settings, _opening(settings), Signals(settings))


@contextmanager
def _opening(settings: Settings) -> Iterator[socket.socket]:
    with listening(settings.host, settings.port) as listener, alone_in(settings):
        yield listener


class Signals:
    """The operator's orders: the first signal drains, the second ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @contextmanager
    def obeyed_by(self, draining: Draining) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        handlers = {
            signal.SIGTERM: draining.begin_or_end_now,
            signal.SIGINT: draining.begin_or_end_now,
            signal.SIGHUP: _ignore,
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    def hear_ready(self, address: tuple[str, int], code: str | None) -> None:
        say_ready(self._settings.public_url, address, code)


def _ignore() -> None:
    log.info("SIGHUP is ignored: there is one process, and nothing to take its place (--workers)")


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
