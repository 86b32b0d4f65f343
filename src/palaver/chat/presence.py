"""Who was here a moment ago. It is kept in the process, and written at most once a minute for each, all together."""

import asyncio
import logging
from collections.abc import Collection
from typing import NoReturn, Protocol

from palaver.chat.clock import SECOND, Clock, Micros
from palaver.chat.ports import Connections, Member
from palaver.chat.user import NOT_STORED, User, UserId

log = logging.getLogger("palaver.presence")

ROUND_SECONDS = 5.0
WRITE_SECONDS = 60

# Within a minute; who stays is written down again a round after it, and must not seem to come and go.
PRESENT_SECONDS = 90

REMEMBERED = 100_000


class Open(Protocol):
    """Who has something open here."""

    def listening(self) -> Collection[UserId]: ...


class Presence:
    def __init__(self, store: Connections, clock: Clock, open_lists: Open) -> None:
        self._store = store
        self._clock = clock
        self._open = open_lists
        self._seen: dict[UserId, Micros] = {}
        self._written: dict[UserId, Micros] = {}

    def seen(self, user: User) -> None:
        """It costs nothing."""
        if user.id != NOT_STORED and user.kind in ("person", "app_user"):
            self._seen[user.id] = self._clock.now()

    def is_present(self, member: Member) -> bool | None:
        """None where somebody does not say."""
        if not member.shows_presence:
            return None
        return member.seen_at is not None and self._clock.now() - member.seen_at < PRESENT_SECONDS * SECOND

    async def keep(self) -> None:
        """Writes down who was here."""
        now = self._clock.now()
        self._seen.update(dict.fromkeys(self._open.listening(), now))
        wait = WRITE_SECONDS * SECOND
        due = {id_: at for id_, at in self._seen.items() if now - self._written.get(id_, 0) >= wait}
        if not due:
            return
        await self._store.keep_seen(list(due.items()))
        # Who was seen again meanwhile has a newer time.
        self._seen = {id_: at for id_, at in self._seen.items() if due.get(id_) != at}
        if len(self._written) > REMEMBERED:
            self._written.clear()
        self._written.update(dict.fromkeys(due, now))

    async def watch(self) -> NoReturn:
        """Runs until cancelled."""
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            try:
                await self.keep()
            except OSError as error:
                # Who is here is seen again in the next round.
                log.debug("who is here cannot be written down just now: %s", error)
            except Exception:
                # A fault in one round must not end all the rounds to come.
                log.exception("who is here cannot be written down")
