"""The running replies of this worker: who talks, what was said, how it ended.

A reply belongs to the server, not to the connection that asked for it. It runs in a task of its own from the moment
its prompt is committed until its end is; whoever wants to hear of it listens. Once a second all of them together write
what is new and renew their leases; the fencing in the store lets nothing in from a worker that lost its lease.
"""

import asyncio
import logging
from collections.abc import Collection, Coroutine
from contextlib import aclosing, suppress
from contextvars import Context
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import msgspec
from msgspec.structs import replace

from palaver.chat.aside import Asides
from palaver.chat.books import Books
from palaver.chat.cache import Cache
from palaver.chat.clock import SECOND, Clock, Micros
from palaver.chat.conversation import ConversationId, End, MessageId, Turn
from palaver.chat.crowd import Crowd
from palaver.chat.ending import billed_as, keep_end, to_usage, why_gone
from palaver.chat.errors import BotUnavailable, Draining
from palaver.chat.events import ReplyEnded, ReplyStarted
from palaver.chat.limits import Grant
from palaver.chat.pieces import Finished, Sources, Text
from palaver.chat.ports import Begun, Bots, Checkpoint, EndedReply, Ending, Held, Store
from palaver.chat.prompting import Prompting
from palaver.chat.rooms import Rooms
from palaver.chat.running import Outcome, ReplyLimits, RunningReply
from palaver.chat.summary import Summaries
from palaver.chat.telling import Telling
from palaver.chat.tokens import Tokens
from palaver.chat.told import to_name

T = TypeVar("T")

log = logging.getLogger("palaver.reply")

CHECKPOINT_SECONDS = 1.0

# How exactly the limits on silence hold; a timer for each piece would cost more than the piece.
WATCH_SECONDS = 0.2

# A reply that another worker makes is looked up this often by whoever waits for its end here, should the bus lose word.
POLL_SECONDS = 1.0

# How long a server that goes away tries to keep the ends of its replies.
END_SECONDS = 10.0

# A bot that takes no notice of being ended is left behind after so long.
LEAVE_SECONDS = 5.0


class Replies:
    """All replies that run in this worker."""

    def __init__(
        self,
        *,
        store: Store,
        bots: Bots,
        clock: Clock,
        limits: ReplyLimits,
        worker: str,
        rooms: Rooms,
        tokens: Tokens | None = None,
        summarises: bool = False,
        books: Books | None = None,
    ) -> None:
        self._store = store
        self._rooms = rooms
        self._bots = bots
        self._clock = clock
        self.limits = limits
        self.tokens = tokens or Tokens()
        asides = Asides(store, bots, clock, self.tokens, books)
        making = Summaries(store=store, bots=bots, clock=clock, tokens=self.tokens, start=self.answering, asides=asides)
        cache = Cache(store, clock, seconds=limits.cache_seconds, most=limits.cache_answers)
        self._prompting = Prompting(bots, limits, self.tokens, cache, making if summarises else None)
        self._running: dict[MessageId, RunningReply] = {}
        # Gone with the last of those who wait.
        self._awaited: WeakValueDictionary[MessageId, asyncio.Event] = WeakValueDictionary()
        self._answers: set[asyncio.Task[Any]] = set()
        self._beginnings: set[asyncio.Task[Any]] = set()
        self.crowd = Crowd(limits.overload_seconds)
        self._left_to_sweep: set[tuple[MessageId, int]] = set()
        self._out_of_time = False
        self.worker = worker
        self.draining = False
        self.closing = False
        """All that was made here has ended; whoever hears of replies made elsewhere has to go on there."""
        rooms.find_here = self.telling
        rooms.stop_here = self.stop_here

    def check_stays(self) -> None:
        """Raises `Draining` where this server goes away."""
        if self.draining:
            raise Draining

    def lease_until(self) -> Micros:
        return Micros(self._clock.now() + int(self.limits.lease_seconds * SECOND))

    def start(self, begun: Begun, request_id: str = "", granted: Grant | None = None) -> None:
        """Makes the reply that the store has just given to this worker. It claims what was granted, until it ends."""
        allowance = self._prompting.allow(begun)
        seen = self._prompting.see(begun, allowance)
        reply = RunningReply(begun, allowance, seen, asyncio.get_running_loop().time(), request_id, granted)
        self._running[reply.id] = reply
        if granted is not None:
            granted.claimed = True
        if self._out_of_time:
            reply.ask_to_end("draining")
        # What goes on by itself, behind a reply that has ended, is not part of the request for that one.
        context = None if request_id else Context()
        reply.task = asyncio.create_task(self._run(reply), name=f"reply {reply.id}", context=context)
        turn = begun.turn
        started = ReplyStarted(begun.mark, turn.reply, self.worker, begun.replaces)
        self._rooms.tell(turn.conversation.uuid, started, reply.telling)
        self.tell(reply.id)

    async def wait_end(self, begun: Begun, *, is_stopped: bool = False) -> Outcome:
        """The turn once its reply has ended, whichever worker makes it.

        Raises `Draining` where it still waits for its turn, or is made elsewhere, when this server goes away;
        `Withdrawn` where its prompt was taken back, and `NotFound` where it is gone with its conversation.
        `is_stopped`: it was asked to end, which is near enough to be waited for by a server that goes away, until that
        is about to close its connections.
        """
        reply_id = begun.turn.reply.id
        while True:
            running = self._running.get(reply_id)
            if running is not None:
                return await asyncio.shield(running.done)
            if begun.turn.reply.status not in ("queued", "running"):
                return Outcome(begun.turn, begun.exchanges)
            if self._leaves(is_stopped=is_stopped):
                raise Draining
            async with self._rooms.following(begun.turn.conversation.uuid, lambda: self.tell(reply_id)):
                # Whatever was told before it was followed is looked up first.
                latest = await self._store.turns.get(reply_id)
                while latest is not None and latest.turn.reply.status in ("queued", "running"):
                    if reply_id in self._running or self._leaves(is_stopped=is_stopped):
                        break
                    await self.wait_for_news(reply_id)
                    latest = await self._store.turns.get(reply_id)
            if latest is None and reply_id not in self._running:
                raise await why_gone(self._store, begun.turn.conversation.uuid)
            begun = latest or begun

    def _leaves(self, *, is_stopped: bool) -> bool:
        return self.closing if is_stopped else self.draining

    def makes(self, reply_id: MessageId) -> bool:
        """Whether it runs in this worker."""
        return reply_id in self._running

    def leave_to_sweep(self, reply: Held | Ending) -> None:
        """It cannot be made here, or its end cannot be kept: it is ended once its lease is over."""
        self._left_to_sweep.add(to_key(reply))

    def is_left_to_sweep(self, reply: Held) -> bool:
        return to_key(reply) in self._left_to_sweep

    def forget_but(self, held: Collection[Held]) -> None:
        """Of those that were left to the sweep no other than these is this worker's any more."""
        self._left_to_sweep &= {to_key(one) for one in held}

    def talking_in(self) -> set[ConversationId]:
        """The conversations in which a reply runs in this worker."""
        return {reply.begun.turn.conversation.id for reply in self._running.values()}

    def telling(self, reply_id: MessageId) -> Telling | None:
        """The reply as it is told, if it is made in this worker just now."""
        running = self._running.get(reply_id)
        return None if running is None else running.telling

    async def stop(self, reply_id: MessageId) -> None:
        """Stops it wherever it runs; keeps what was said."""
        if not self.stop_here(reply_id):
            worker = await self._store.turns.ask_to_stop(reply_id)
            # The word in the store is heard within a second, this one at once.
            self._rooms.tell_worker_to_stop(worker, reply_id)

    def stop_here(self, reply_id: MessageId) -> bool:
        """Stops it if it runs in this worker; whoever waits for one that is queued looks again."""
        self.tell(reply_id)
        running = self._running.get(reply_id)
        if running is not None:
            running.ask_to_end("stopped")
        return running is not None

    async def watch(self) -> None:
        """Ends replies that are silent for too long, and once a second writes what is new. Runs until cancelled."""
        loop = asyncio.get_running_loop()
        next_checkpoint = loop.time() + CHECKPOINT_SECONDS
        while True:
            # To the moment: how late a checkpoint is, so much more a dying process loses.
            await asyncio.sleep(min(WATCH_SECONDS, next_checkpoint - loop.time()))
            now = loop.time()
            try:
                self._end_silent(now)
            except Exception:
                # A fault in one round must not end all the rounds to come.
                log.exception("replies cannot be looked after")
            if now >= next_checkpoint:
                next_checkpoint = now + CHECKPOINT_SECONDS
                self.crowd.say_turned_away()
                await self._checkpoint()

    async def drain(self, seconds: float) -> None:
        """Lets running replies finish for `seconds`, then ends the rest as interrupted.

        Returns when all have ended, or when their ends cannot be kept just now: the next start ends those.
        """
        self.draining = True
        for reply_id in list(self._awaited):
            self.tell(reply_id)
        if seconds > 0:
            await self._wait_for_ends(seconds)
        self._out_of_time = True
        for reply in self._running.values():
            reply.ask_to_end("draining")
        for answer in self._answers:
            answer.cancel()
        await self._wait_for_ends(END_SECONDS)
        self.closing = True
        self._rooms.wake_followers()

    async def _wait_for_ends(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                # Meanwhile replies may begin: of turns that were just being committed, and of those that waited.
                while ends := self._open_ends():
                    await asyncio.wait(ends)

    def _open_ends(self) -> list[asyncio.Future[Any]]:
        ends = [*(reply.done for reply in self._running.values()), *self._answers, *self._beginnings]
        return [end for end in ends if not end.done()]

    def beginning(self, begin: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """What has a reply started once it is committed: draining waits for that, too."""
        task = asyncio.create_task(begin)
        self._beginnings.add(task)
        self.crowd.enter(task)
        task.add_done_callback(self._has_begun)
        return task

    def _has_begun(self, task: asyncio.Task[Any]) -> None:
        self._beginnings.discard(task)
        self.crowd.leave(task)

    def beginnings(self) -> list[asyncio.Task[Any]]:
        """What just now may have a reply started."""
        return list(self._beginnings)

    def answering(self, answer: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """An answer that is stored nowhere: draining waits for it as for a reply, and then cancels it."""
        task = asyncio.create_task(answer)
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)
        return task

    async def _run(self, reply: RunningReply) -> None:
        reply.phase = "talking"
        try:
            if reply.asked_to_end is None:
                await self._talk(reply)
        except asyncio.CancelledError:
            if reply.asked_to_end is None:
                if _is_cancelled():
                    raise
                # Something inside the bot was cancelled, and nobody asked for it here.
                log.warning("request %s: the bot of reply %s cancelled itself", reply.request_id, reply.id)
                reply.cause = "unavailable"
        except BotUnavailable as error:
            reply.cause = error.cause
        except Exception:
            # A bot may be anybody's code; whatever it throws ends its own reply and nothing else.
            log.exception("request %s: the bot of reply %s failed", reply.request_id, reply.id)
            reply.cause = "unavailable"
        if reply.leaving is None:
            reply.phase = "ending"
            await self._end_somehow(reply)

    async def _end_somehow(self, reply: RunningReply) -> None:
        try:
            await self._end(reply)
        except Exception:
            # Whoever waits must hear of it; the lease runs out, and the sweep ends the reply.
            log.exception("request %s: the end of reply %s was not kept", reply.request_id, reply.id)
            self._running.pop(reply.id, None)
            lost = replace(reply.begun.turn.reply, status="failed", reason="unavailable")
            reply.has_ended(Outcome(replace(reply.begun.turn, reply=lost), 0))
        finally:
            kept = reply.done.result().turn.reply if reply.done.done() else None
            reply.tally.end(kept, lost=reply.asked_to_end == "lost")

    async def _talk(self, reply: RunningReply) -> None:
        conversation = reply.begun.turn.conversation
        provider = reply.provider = conversation.speaking.provider or await self._bots.default_provider()
        prompt = reply.prompt = self._prompting.prompt(reply, conversation)
        clock = asyncio.get_running_loop().time
        async with aclosing(self._prompting.ask(reply, provider, prompt)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                if reply.asked_to_end is not None:
                    # The bot took no notice of being cancelled.
                    return
                if isinstance(piece, Text):
                    reply.telling.say(piece.text)
                elif isinstance(piece, Finished):
                    reply.finished = piece
                    return
                elif isinstance(piece, Sources):
                    reply.given = piece
                else:
                    reply.thought += len(piece.text)
                reply.last_piece = clock()

    async def _end(self, reply: RunningReply) -> None:
        end, why = reply.end()
        text = reply.log.text()
        # Not what was reported: that may hold reasoning, which is never sent again.
        ending = self._ending(reply, end, why, text, await self.tokens.count(text))
        if text and end != "stopped" and await self._is_awaited_elsewhere(reply):
            ending = replace(ending, tells_owner=True)
        if end in ("failed", "interrupted"):
            log.warning("request %s: reply %s ended %s: %s", reply.request_id or "none", reply.id, end, why)
        outcome, kept = await keep_end(self._store, self.crowd, reply, ending)
        del self._running[reply.id]
        turn = outcome.turn
        if not kept.done:
            self.leave_to_sweep(ending)
        if kept.done:
            # Before those who wait for it: what they ask for next is told after it.
            await self.tell_end(turn, kept)
        granted = reply.granted
        if kept.next is not None:
            # The one that waited takes its place, and what it holds.
            reply.granted = None
        reply.has_ended(outcome)
        if kept.next is not None:
            self._take_over(kept.next, granted)
        if kept.done and end == "complete":
            self._prompting.learn(reply, goes_on=not self.draining)

    async def _is_awaited_elsewhere(self, reply: RunningReply) -> bool:
        """Whether it took long, and whoever it is for does not see its end. Nothing shows whether somebody who asked
        for all of it in one answer still waits."""
        took, long = asyncio.get_running_loop().time() - reply.started, self.limits.tell_seconds
        if not long or took < long or reply.telling.is_heard:
            return False
        conversation = reply.begun.turn.conversation
        return not await self._rooms.is_looking(conversation.uuid, conversation.owner_id)

    def _take_over(self, begun: Begun, granted: Grant | None) -> None:
        try:
            self.start(begun, granted=granted)
        except BaseException:
            if granted is not None:
                granted.release()
            raise

    async def tell_end(self, turn: Turn, kept: EndedReply) -> None:
        self._rooms.tell(turn.conversation.uuid, ReplyEnded(kept.mark, turn.reply))
        self._rooms.lists.reply_ended(turn.conversation.owner_id, turn.conversation.uuid, turn.reply)

    def _ending(self, reply: RunningReply, end: End, why: str, text: str, token_count: int) -> Ending:
        turn = reply.begun.turn
        finished = reply.finished
        details = finished.details if finished else None
        return Ending(
            conversation_id=turn.conversation.id,
            owner_id=turn.conversation.owner_id,
            reply_id=turn.reply.id,
            attempt=turn.reply.attempt,
            worker=self.worker,
            now=self._clock.now(),
            said_at=turn.prompt.created_at,
            end=end,
            reason=why,
            text=text,
            token_count=token_count,
            context_from=reply.seen.context_from,
            model=to_name(finished.model) if finished and finished.model else None,
            usage=to_usage(reply, token_count),
            cached=finished is not None and finished.cached,
            billed_as=billed_as(self._bots, reply),
            details=None if details is None else msgspec.json.encode(details).decode(),
            sources=() if reply.given is None else reply.given.sources,
            checkpointed=reply.logged,
            promote_to=None if self.draining else self.worker,
            lease_until=self.lease_until(),
        )

    def _end_silent(self, now: float) -> None:
        limits = self.limits
        for reply in list(self._running.values()):
            if reply.asked_to_end is not None and reply.phase == "talking" and now - reply.asked_at > LEAVE_SECONDS:
                log.warning("request %s: the bot of reply %s is left behind", reply.request_id, reply.id)
                reply.phase = "ending"
                reply.leaving = asyncio.create_task(self._end_somehow(reply))
                continue
            allowed = limits.between_seconds if reply.log.length else limits.first_seconds
            if now - reply.last_piece > allowed or now - reply.started > limits.total_seconds:
                reply.ask_to_end("timeout")

    async def _checkpoint(self) -> None:
        # Those that have just begun as well: left for the next time, they could lose two seconds, and be stopped late.
        replies = list(self._running.values())
        if not replies:
            return
        # The end of a reply brings its whole text, and takes away only what it knows to have been written.
        new = [reply for reply in replies if reply.phase != "ending" and reply.log.length > reply.checkpointed]
        written = [
            Checkpoint(
                reply.id, reply.begun.turn.reply.attempt, reply.checkpointed, reply.log.since(reply.checkpointed)
            )
            for reply in new
        ]
        held = [(reply.id, reply.begun.turn.reply.attempt) for reply in replies]
        ends = {reply.id: reply.log.length for reply in new}
        for reply in new:
            # Before it is written: it may be there although the answer is lost, or the reply may end meanwhile.
            reply.logged = True
        try:
            renewed = await self._store.turns.checkpoint(self.worker, self.lease_until(), held, written)
        except OSError as error:
            log.warning("running replies cannot be kept just now: %s", error)
            return
        except Exception:
            # A fault in one round must not end all the rounds to come.
            log.exception("running replies cannot be kept")
            return
        for reply in replies:
            if reply.id in renewed.stop:
                reply.ask_to_end("stopped")
            elif reply.id in renewed.held:
                reply.checkpointed = ends.get(reply.id, reply.checkpointed)
            elif reply.id in self._running:
                reply.ask_to_end("lost")

    def tell(self, reply_id: MessageId) -> None:
        """Whoever waits for this reply looks again."""
        event = self._awaited.pop(reply_id, None)
        if event is not None:
            event.set()

    async def wait_for_news(self, reply_id: MessageId) -> None:
        """Returns when there may be news of it, and after a while in any case."""
        event = self._awaited.setdefault(reply_id, asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await event.wait()


def _is_cancelled() -> bool:
    """Whether somebody wants this task to end, and not only something in it was cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def to_key(reply: Held | Ending) -> tuple[MessageId, int]:
    return reply.reply_id, reply.attempt
