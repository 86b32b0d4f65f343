"""Reaches people who are away, for as long as the server lives: one task in each worker.

What is due is claimed, so that no two workers send one delivery while both live; what a worker leaves that was ended is
due again once its lease is over. A try that failed is made again, later each time, until it is given up.
"""

import asyncio
import logging
from contextlib import suppress

from msgspec import Struct

from palaver.chat.backoff import Backoff
from palaver.chat.clock import SECOND, Clock, Micros
from palaver.chat.notices import settle, to_notice
from palaver.chat.ports import ChannelKind, Channels, Later, Outcome
from palaver.chat.ports.outbox import Claim, Claimed, DueNotice, Looking, Outbox, Settled
from palaver.watching.numbers import DELIVERIES

log = logging.getLogger("palaver.sender")

# How late a worker hears of what another one has committed, or has left.
LOOK_SECONDS = 1.0

# In one look.
NOTICES_AT_ONCE = 50
# Each is a transaction of its own, and there are ten connections.
ADDRESSED_AT_ONCE = 4

# About half a day of tries.
BACKOFF = Backoff(tries=15, base=10.0, cap=4 * 3600.0, longest_told=86_400.0)

# How often what became of a try is written again while the store does not answer.
RETRY_SECONDS = 0.5
# What is under way when the server goes away gets so long; after that another one begins it anew.
LEAVE_SECONDS = 2.0


class SendRules(Struct, frozen=True, kw_only=True):
    """`delay_seconds`: whoever has read it by then is not bothered; `mail_seconds`: mail waits for so much longer.

    A try takes no longer than `send_seconds`, however slow whoever is called: longer than any channel takes by itself,
    and well below `lease_seconds`. `of_host` of the `at_once` places are what one host can take up.
    """

    delay_seconds: float = 3.0
    mail_seconds: float = 300.0
    lease_seconds: float = 90.0
    send_seconds: float = 40.0
    look_seconds: float = LOOK_SECONDS
    at_once: int = 64
    of_host: int = 8
    backoff: Backoff = BACKOFF
    public_url: str = ""
    language: str = "en"


class Sender:
    def __init__(
        self, outbox: Outbox, channels: Channels, looking: Looking, clock: Clock, worker: str, rules: SendRules
    ) -> None:
        self._outbox = outbox
        self._channels = channels
        self._looking = looking
        self._clock = clock
        self._worker = worker
        self._rules = rules
        self._woken = asyncio.Event()
        self._addressing = asyncio.Semaphore(ADDRESSED_AT_ONCE)
        self._sending: set[asyncio.Task[None]] = set()
        self._busy: dict[str, int] = {}
        self._waits_for_a_place = False

    def wake(self) -> None:
        """Something was committed here: once it is due it need not wait for the next look."""
        asyncio.get_running_loop().call_later(self._rules.delay_seconds, self._woken.set)

    async def work(self) -> None:
        """Runs until cancelled; what is under way then has a moment to end."""
        failed = ""
        try:
            while True:
                self._woken.clear()
                try:
                    await self.look()
                    failed = ""
                except OSError as error:
                    if str(error) != failed:
                        log.warning("reaching people has to wait: %s", error)
                    failed = str(error)
                except Exception:
                    # A fault in one round must not end all the rounds to come.
                    log.exception("reaching people failed")
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._rules.look_seconds):
                        await self._woken.wait()
        finally:
            await self._leave()

    async def look(self) -> None:
        """Whatever is due becomes a delivery, and is on its way as far as there are places."""
        try:
            await self.address_due()
        finally:
            # One that cannot be addressed just now must not hold up what can be sent.
            while await self._begin_some():
                pass

    async def settled(self) -> None:
        """Returns when nothing is on its way from here."""
        while self._sending:
            await asyncio.wait(self._sending)

    async def address_due(self) -> None:
        before = Micros(self._clock.now() - int(self._rules.delay_seconds * SECOND))
        while due := await self._outbox.due_notices(before, NOTICES_AT_ONCE):
            done = await asyncio.gather(*(self._address(notice) for notice in due), return_exceptions=True)
            for failed in done:
                if isinstance(failed, BaseException):
                    raise failed
            if len(due) < NOTICES_AT_ONCE:
                return

    async def _address(self, notice: DueNotice) -> None:
        async with self._addressing:
            looking = await self._looking.is_looking(notice.conversation, notice.user_id)
            now = self._clock.now()
            due = {kind: self._due(kind, now) for kind in self._channels.kinds}
            await self._outbox.address(notice.id, due, now, looking=looking)

    def _due(self, kind: ChannelKind, now: Micros) -> Micros:
        """Each mail stays: there is one for all that is written within some minutes. Whatever else is sent at once."""
        return Micros(now + int(self._rules.mail_seconds * SECOND)) if kind == "mail" else now

    async def _begin_some(self) -> bool:
        rules, now = self._rules, self._clock.now()
        places = rules.at_once - len(self._sending)
        if places <= 0:
            self._waits_for_a_place = True
            return False
        until = Micros(now + int(rules.lease_seconds * SECOND))
        claimed = await self._outbox.claim(Claim(self._worker, now, until, places, rules.of_host, dict(self._busy)))
        for one in claimed:
            self._busy[one.host] = self._busy.get(one.host, 0) + 1
            task = asyncio.create_task(self._send(one, until))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        self._waits_for_a_place = any(running >= rules.of_host for running in self._busy.values())
        return bool(claimed)

    async def _send(self, claimed: Claimed, lease_until: Micros) -> None:
        try:
            if self._clock.now() + self._rules.send_seconds * SECOND > lease_until:
                # This worker stood still since it claimed it: by the time it had sent it, another one may.
                return
            outcome = await self._try(claimed)
            settled = settle(outcome, claimed.failures, self._rules.backoff, self._clock.now())
            if await self._record(claimed, settled, lease_until):
                _count(claimed, settled)
        finally:
            self._busy[claimed.host] -= 1
            if not self._busy[claimed.host]:
                del self._busy[claimed.host]
            if self._waits_for_a_place:
                self._woken.set()

    async def _try(self, claimed: Claimed) -> Outcome:
        rules = self._rules
        notice = to_notice(claimed, public_url=rules.public_url, language=rules.language)
        try:
            async with asyncio.timeout(rules.send_seconds):
                return await self._channels.send(claimed.target, notice)
        except TimeoutError:
            return Later(why="no answer in time")
        except Exception as error:  # noqa: BLE001 (one that cannot be sent must not keep the others from it)
            # Its own words may hold an address.
            log.error("delivery %s cannot be sent: %s", claimed.id, type(error).__name__)
            return Later(why="a fault of this server")

    async def _record(self, claimed: Claimed, settled: Settled, lease_until: Micros) -> bool:
        """Where the store does not answer until the lease is over, another one sends it again."""
        while True:
            try:
                return await self._outbox.settle(claimed, settled, self._clock.now())
            except OSError as error:
                if self._clock.now() > lease_until:
                    log.warning("what became of delivery %s cannot be kept: %s", claimed.id, error)
                    return False
                await asyncio.sleep(RETRY_SECONDS)

    async def _leave(self) -> None:
        if self._sending:
            await asyncio.wait(self._sending, timeout=LEAVE_SECONDS)
        for task in self._sending:
            task.cancel()
        if self._sending:
            await asyncio.wait(self._sending, timeout=LEAVE_SECONDS)


def _count(claimed: Claimed, settled: Settled) -> None:
    if settled.state == "dead":
        log.warning("delivery %s to %s is given up: %s", claimed.id, claimed.host, settled.problem)
    outcome = {"waiting": "failed", "not_needed": "gone"}.get(settled.state, settled.state)
    DELIVERIES.of[claimed.channel, outcome].add()
