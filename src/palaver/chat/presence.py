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
WRITE_SECONDS = 45

# Within a minute, by what is written so much later.
PRESENT_SECONDS = 60 + WRITE_SECONDS

REMEMBERED = 100_000


class Open(Protocol):
    """Who has something open here."""

    def listening(self) -> Collection[UserId]: ...


class Presence:
    def __init__(self, store: Connections, clock: Clock, open_lists: Open) -> None:
        self._store = store
        self._clock = clock
        self._open = open_lists
        self._seen: set[UserId] = set()
        self._written: dict[UserId, Micros] = {}

    def seen(self, user: User) -> None:
        """It costs nothing."""
        if user.id != NOT_STORED and user.kind in ("person", "app_user"):
            self._seen.add(user.id)

    def is_present(self, member: Member) -> bool | None:
        """None where somebody does not say."""
        if not member.shows_presence:
            return None
        return member.seen_at is not None and self._clock.now() - member.seen_at < PRESENT_SECONDS * SECOND

    async def keep(self) -> None:
        """Writes down who was here."""
        now = self._clock.now()
        seen, self._seen = self._seen | set(self._open.listening()), set()
        due = [user_id for user_id in seen if now - self._written.get(user_id, 0) >= WRITE_SECONDS * SECOND]
        if not due:
            return
        await self._store.keep_seen([(user_id, now) for user_id in due])
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
