"""One process that serves: the app opened, a listening socket, and somebody whose orders it obeys."""

import asyncio
import gc
import logging
import socket
import sys
from contextlib import AbstractContextManager
from typing import Protocol

import uvloop

from palaver.app import CannotNotify, CannotTrace, Palaver, running
from palaver.bots.upstream import BadBotOptions
from palaver.bus import BadBusOptions
from palaver.chat.errors import StoreUnavailable, Taken
from palaver.options import CannotEmbed
from palaver.serve import CannotStart
from palaver.serve.descriptors import watch_descriptors
from palaver.serve.draining import Draining
from palaver.serve.output import complain
from palaver.serve.server import Server
from palaver.settings import Settings
from palaver.store.migrate import SchemaTooNew

log = logging.getLogger("palaver")

ADMIN = "admin"

# How soon a thread that computes hands the interpreter back. By Python's own five milliseconds the loop would wait that
# long after each read and write while SQLite's thread is busy; with 300 replies, whose texts are kept once a second,
# the latest of a hundred pieces came 30 ms later for it.
SWITCH_SECONDS = 0.0005


class Orders(Protocol):
    """Who says when to go, and wants to know that this process serves."""

    def obeyed_by(self, draining: Draining) -> AbstractContextManager[None]:
        """While the block runs, orders are obeyed."""
        ...

    def hear_ready(self, address: tuple[str, int], code: str | None) -> None:
        """It serves there; `code` belongs into the first admin's sign-in link, where there was no admin."""
        ...


def serve(settings: Settings, opening: AbstractContextManager[socket.socket], orders: Orders) -> int:
    """Serves until ordered to go. Gives the process's exit code; what went wrong is said on stderr."""
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        with opening as listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, listener, orders))
    except (CannotStart, SchemaTooNew, BadBotOptions, BadBusOptions, CannotTrace, CannotEmbed, CannotNotify) as error:
        complain(error)
        return 1
    except StoreUnavailable as error:
        complain(f"Palaver cannot start: {error}{_explain(settings, error.__cause__)}")
        return 1
    return 0


def _explain(settings: Settings, cause: BaseException | None) -> str:
    if settings.database_url is None:
        return ". Check PALAVER_DATA_DIR: the folder must exist or be creatable, and be writable."
    kind = type(cause).__name__ if cause is not None else "no answer"
    return f" ({kind}). Check PALAVER_DATABASE_URL: server, port, database, user and password."


async def _serve(settings: Settings, listener: socket.socket, orders: Orders) -> None:
    host, port = listener.getsockname()[:2]
    async with running(settings, port=port) as palaver:
        code = await first_code(palaver)
        server = Server(settings, palaver)
        with orders.obeyed_by(Draining(palaver.chat.replies, server, settings)):
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            await asyncio.wait([serving, asyncio.ensure_future(server.ready.wait())], return_when="FIRST_COMPLETED")
            if server.started:
                orders.hear_ready((host, port), code)
            keep_what_stays()
            watching = asyncio.create_task(watch_descriptors())
            try:
                await serving
            finally:
                watching.cancel()


def keep_what_stays() -> None:
    """What was made by now lives as long as the server: the collector need not walk it, nor look at every 700th thing.

    Requests leave few cycles behind; measured, the collector was a tenth of a turn.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def first_code(palaver: Palaver) -> str | None:
    """The code of the first admin's sign-in link; None where there is an admin already."""
    if any(user.is_admin for user in await palaver.store.accounts.list_users()):
        return None
    try:
        admin = await palaver.accounts.add_person(ADMIN, None, full_name="Admin", is_admin=True)
    except Taken:
        # Another server was first and prints the link, or somebody who is no admin bears the name.
        log.warning("no sign-in link is made: the name %s is taken (palaver user add NAME --admin)", ADMIN)
        return None
    return await palaver.accounts.new_link(admin, forever=True)
