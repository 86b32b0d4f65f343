"""How a server goes away without taking a reply with it."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Literal

from palaver.chat.reply import Replies
from palaver.serve.server import Server
from palaver.settings import Settings

log = logging.getLogger("palaver")


class Draining:
    """Whatever way it goes: what runs gets its time, then replies end and are kept, and last uvicorn closes.

    `Replies.drain` is the place where all that talks hears that the server goes; what it leaves open, uvicorn closes
    (sockets with 1012).
    """

    def __init__(self, replies: Replies, server: Server, settings: Settings) -> None:
        self._replies = replies
        self._server = server
        self._settings = settings
        self._stage: Literal["staying", "leaving", "draining"] = "staying"
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """No new turns from now on; running replies get `drain_seconds`."""
        if self._stage == "draining":
            return
        log.info("draining: no new turns, running replies get %s s", self._settings.drain_seconds)
        self._replies.draining = True
        self._go("draining", self._drain(self._settings.drain_seconds))

    def begin_or_end_now(self) -> None:
        """The first signal, and the second."""
        if self._stage == "draining":
            self.end_now()
        else:
            self.begin()

    def end_now(self) -> None:
        self._server.should_exit = True

    def leave(self) -> None:
        """Another worker takes new connections at the same socket; what is connected here may end by itself."""
        if self._stage != "staying":
            return
        log.info("leaving: running replies may end by themselves, within %s s", self._settings.reply_seconds)
        self._go("leaving", self._leave(self._settings.reply_seconds))

    def orphaned(self) -> None:
        """The supervisor has died. This worker gives up the port at once, so that the next one can start, and
        says so once it has."""
        self._server.stop_accepting()
        log.warning("the supervisor has gone")
        self.begin()

    def _go(self, stage: Literal["leaving", "draining"], how: Coroutine[Any, Any, None]) -> None:
        if self._task is not None:
            self._task.cancel()
        self._stage = stage
        self._task = asyncio.create_task(how)

    async def _leave(self, seconds: float) -> None:
        self._server.stop_accepting()
        # Turns are still taken, and replies of other workers heard here: nothing is refused in a roll.
        await self._server.see_requests_off(seconds)
        # What nobody waits for over HTTP any more; as long as the longest reply takes, so that none is cut.
        await self._drain(seconds)

    async def _drain(self, seconds: float) -> None:
        await self._replies.drain(seconds)
        await self._server.hear_newcomers()
        self._server.should_exit = True
