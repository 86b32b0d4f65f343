"""Who holds an open stream, and is shut out of it within two seconds once a token is revoked or a user disabled.

The store counts every such change in one row. A worker looks at that row alone, however many streams are open, and at
once where another worker says so; the commands beside the server say nothing and are found out by the look.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Self

from palaver.chat.accounts import Accounts, Caller
from palaver.chat.clock import Clock
from palaver.chat.events import ACCESS_CHANNEL, AccessChanged, encode_notice
from palaver.chat.ports import Bus, Store

log = logging.getLogger("palaver.stays")

LOOK_SECONDS = 0.5

# Between finding out who asks and the stream's first piece a message may have to be committed.
BEGIN_SECONDS = 15.0


class Stay:
    """An open stream of somebody, while the block runs. `over` once they may hear no more."""

    __slots__ = ("_all", "_shut_out", "caller", "over")

    def __init__(self, among: set["Stay"], caller: Caller, shut_out: Callable[[], None]) -> None:
        self.caller = caller
        self.over = False
        self._all = among
        self._shut_out = shut_out

    def __enter__(self) -> Self:
        self._all.add(self)
        return self

    def __exit__(self, *_error: object) -> None:
        self._all.discard(self)

    def end(self) -> None:
        if not self.over:
            self.over = True
            self._shut_out()


class Stays:
    def __init__(self, *, store: Store, accounts: Accounts, bus: Bus, clock: Clock) -> None:
        self._store = store.accounts
        self._accounts = accounts
        self._bus = bus
        self._clock = clock
        self._stays: set[Stay] = set()
        self._seen: str | None = None
        self._changed_at = -BEGIN_SECONDS
        # Who was let in shortly before a change may stay only after it: these are looked at once more.
        self._fresh: set[Stay] = set()
        self._look = asyncio.Event()
        accounts.when_changed = self._tell

    async def start(self) -> None:
        self._seen = await self._store.access_changes()
        await self._bus.subscribe(ACCESS_CHANNEL, lambda _data: self._look_now())

    def staying(self, caller: Caller, shut_out: Callable[[], None]) -> Stay:
        """`shut_out` is called when the caller may hear no more."""
        stay = Stay(self._stays, caller, shut_out)
        if asyncio.get_running_loop().time() - self._changed_at < BEGIN_SECONDS:
            self._fresh.add(stay)
        return stay

    async def watch(self) -> None:
        """Runs until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._look.wait()
            self._look.clear()
            try:
                await self._look_at_all()
            except OSError as error:
                # That shuts nobody out; the next look tells.
                log.debug("who may still hear cannot be looked up just now: %s", error)
            except Exception:
                # A fault in one round must not end all the rounds to come.
                log.exception("who may still hear cannot be looked up")

    async def _look_at_all(self) -> None:
        if not self._stays:
            return
        now = self._clock.now()
        for stay in tuple(self._stays):
            if stay.caller.expires_at is not None and stay.caller.expires_at <= now:
                stay.end()
        changes = await self._store.access_changes()
        if changes != self._seen:
            self._accounts.forget()
            self._changed_at = asyncio.get_running_loop().time()
            await self._look_at(tuple(self._stays))
            self._seen = changes
        elif self._fresh:
            await self._look_at(tuple(self._fresh & self._stays))
        self._fresh.clear()

    async def _look_at(self, stays: Collection[Stay]) -> None:
        tokens = {stay.caller.token_id for stay in stays if stay.caller.token_id is not None}
        users = {stay.caller.user.id for stay in stays if stay.caller.token_id is None}
        open_tokens, known_users = await self._store.still_open(tokens, users)
        for stay in stays:
            caller = stay.caller
            if caller.token_id is not None:
                stays_open = caller.token_id in open_tokens
            else:
                stays_open = not caller.user.id or caller.user.id in known_users
            if not stays_open:
                stay.end()

    def _tell(self) -> None:
        self._look_now()
        if not self._bus.alone:
            self._bus.publish(ACCESS_CHANNEL, encode_notice(AccessChanged()))

    def _look_now(self) -> None:
        self._accounts.forget()
        self._look.set()
