"""Replies that nobody makes: their worker died, or never heard that they are its own."""

import asyncio
import logging
from collections.abc import Sequence

from msgspec.structs import replace

from palaver.chat.clock import Micros
from palaver.chat.context import count_tokens
from palaver.chat.conversation import MessageId
from palaver.chat.ending import abandoned_as, to_abandoned_usage
from palaver.chat.flow import Chat
from palaver.chat.ports import Ending, Held
from palaver.chat.reply import to_key
from palaver.watching.asking import NOBODY
from palaver.watching.numbers import ENDED

# Whoever lives renews its leases every second: one that is old after so long belongs to nobody.
SURE_SECONDS = 2.0

log = logging.getLogger("palaver.orphans")


class Orphans:
    def __init__(self, chat: Chat) -> None:
        self._replies = chat.replies
        self._turns = chat.store.turns
        self._store = chat.store
        self._rooms = chat.rooms
        self._bots = chat.bots
        self._clock = chat.clock
        self._seen: dict[tuple[MessageId, int], float] = {}
        self._looked_after = 0
        """So many transactions were broken off until it was last looked what became of them."""

    async def take_over(self, *, everything: bool) -> None:
        """Ends replies that nobody makes any more and starts what waits behind them, as long as this worker stays.

        They may be this worker's own, where its caller or the database's answer was lost on the way.
        `everything`: no other worker lives, so that no lease is waited for.
        """
        try:
            await self._take_up_unheard_of()
        except OSError as error:
            log.warning("replies that nobody here has heard of are looked for later: %s", error)
        now = self._clock.now()
        left = await self._turns.abandoned(now, Micros(1 << 62) if everything else now)
        left = [one for one in left if not self._replies.makes(one.reply_id)]
        if not everything:
            left = self._left_for_long(left)
        # All at once: each asks the other workers for what they have heard, and waits for it.
        await asyncio.gather(*(self._end(one) for one in left))
        if not self._replies.draining:
            await self._replies.beginning(self._promote_waiting(now))

    async def _take_up_unheard_of(self) -> None:
        """Where the database's answer to a commit was lost, a reply may be this worker's to make, and nobody here knows
        of it: without this it would hold its lease until that runs out."""
        broken_off = self._store.broken_off
        if broken_off == self._looked_after:
            return
        replies = self._replies
        held = set(await self._turns.held_by(replies.worker))
        committing = replies.beginnings()
        if committing:
            # What was just being told about then is known by now.
            await asyncio.wait(committing)
        busy = replies.talking_in()
        held &= set(await self._turns.held_by(replies.worker))
        replies.forget_but(held)
        busy |= replies.talking_in()
        unheard_of = [one for one in held if not replies.makes(one.reply_id) and not replies.is_left_to_sweep(one)]
        for one in unheard_of:
            # Where another one is just ending, it may be the next, which starts with that end.
            if one.conversation_id not in busy:
                await self._take_up(one)
        self._rooms.look_again()
        if not any(one.conversation_id in busy for one in unheard_of):
            self._looked_after = broken_off

    async def _take_up(self, held: Held) -> None:
        try:
            begun = await self._turns.take_up(held)
            if begun is not None:
                log.warning("reply %s begins late: the database's answer to its prompt was lost", held.reply_id)
                self._replies.start(begun)
        except OSError:
            raise
        except Exception:
            log.exception("reply %s cannot be taken up", held.reply_id)
            self._replies.leave_to_sweep(held)

    def _left_for_long(self, left: Sequence[Ending]) -> list[Ending]:
        """Those that were seen so a while ago. A clock that is put forward lets all leases look old at once: by then
        whoever lives has renewed them."""
        now = asyncio.get_running_loop().time()
        self._seen = {to_key(one): self._seen.get(to_key(one), now) for one in left}
        return [one for one in left if self._seen[to_key(one)] <= now - SURE_SECONDS]

    async def _promote_waiting(self, now: Micros) -> None:
        for begun in await self._turns.promote_waiting(self._replies.worker, now, self._replies.lease_until()):
            self._replies.start(begun)

    async def _end(self, left: Ending) -> None:
        replies = self._replies
        ending = left
        try:
            # What its worker had said since the last checkpoint may have been heard elsewhere.
            heard = await self._rooms.heard_elsewhere(left.conversation, left.reply_id)
            if heard is not None and len(heard) > len(left.text):
                ending = replace(ending, end="interrupted", text=heard, token_count=count_tokens(heard))
            billed = await abandoned_as(self._bots, ending)
            ending = replace(
                ending,
                usage=to_abandoned_usage(ending),
                billed_as=billed,
                promote_to=None if replies.draining else replies.worker,
                lease_until=replies.lease_until(),
            )
            ended = await self._turns.finish(ending)
        except OSError:
            raise
        except Exception:
            # One that cannot be ended must not keep the others from it.
            log.exception("reply %s was left behind and cannot be ended", left.reply_id)
            return
        if not ended.done:
            return
        log.warning("reply %s was left behind by its worker and ends %s", left.reply_id, ending.end)
        ENDED.of[NOBODY, ending.end].add()
        kept = await self._turns.get(left.reply_id)
        if kept is not None:
            await replies.tell_end(kept.turn, ended)
        if ended.next is not None:
            replies.start(ended.next)
