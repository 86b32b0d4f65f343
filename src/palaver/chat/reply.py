"""The running replies of this worker: who talks, what was said, how it ended.

A reply belongs to the server, not to the connection that asked for it. It runs in a task of its own from the moment
its prompt is committed until its end is; whoever wants to hear of it listens. Once a second all of them together write
what is new and renew their leases; the fencing in the store lets nothing in from a worker that lost its lease.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import aclosing, suppress
from contextvars import Context
from hashlib import blake2b
from typing import Any, Literal, TypeVar
from weakref import WeakValueDictionary

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from palaver.chat.books import Books
from palaver.chat.cache import Cache, to_question
from palaver.chat.clock import SECOND, Clock, Micros
from palaver.chat.context import (
    TOKENS_AROUND,
    Allowance,
    Seen,
    count_tokens,
    history_budget,
    reasoning_tokens,
    reply_share,
    to_seen,
)
from palaver.chat.conversation import Conversation, End, MessageId, Turn, Usage, to_spoken
from palaver.chat.counting import Tally
from palaver.chat.errors import BotUnavailable, Draining, NotFound
from palaver.chat.events import ReplyEnded, ReplyStarted
from palaver.chat.ledger import to_billed_as
from palaver.chat.limits import Grant
from palaver.chat.pieces import Finished, Piece, Prompt, Text
from palaver.chat.ports import Begun, Bots, Checkpoint, EndedReply, Ending, Store
from palaver.chat.rooms import Rooms
from palaver.chat.summary import Summaries
from palaver.chat.telling import Telling
from palaver.chat.tokens import Tokens, to_key
from palaver.chat.told import to_name, to_sound
from palaver.watching.asking import NOBODY
from palaver.watching.numbers import ENDED

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

# Whoever waits for the end of a reply that cannot be kept is told so after this long; it goes on being tried.
PATIENCE_SECONDS = 5.0

# How often the end of a reply is tried again while the store does not answer.
RETRY_SECONDS = 0.5


class ReplyLimits(Struct, frozen=True):
    """Seconds a bot may be silent before its first piece and between pieces, and talk in all; tokens it may be sent.

    `max_tokens`: how long a reply may be where that is left to the server. `cache_seconds`: how long an answer may be
    given again, where that is wanted (0: never); `cache_answers`: how many are kept for that.
    """

    first_seconds: float = 60
    between_seconds: float = 30
    total_seconds: float = 600
    lease_seconds: float = 10
    context_tokens: int = 16_384
    reserved_tokens: int = 1024
    max_tokens: int = 2000
    cache_seconds: float = 3600
    cache_answers: int = 10_000


class Outcome(Struct, frozen=True):
    """A turn whose reply has ended, and how many exchanges the conversation then had."""

    turn: Turn
    exchanges: int


class RunningReply:
    """One reply while it is made."""

    def __init__(
        self, begun: Begun, allowance: Allowance, seen: Seen, now: float, request_id: str, granted: Grant | None
    ) -> None:
        self.begun = begun
        self.allowance = allowance
        self.granted = granted
        self.seen = seen
        self.prompt: Prompt | None = None
        self.provider = ""
        """Who talks, once somebody does."""
        self.request_id = request_id
        self.telling = Telling(begun.turn.reply, None)
        self.tally = Tally(self.telling, asked=bool(request_id))
        self.log = self.telling.log
        self.finished: Finished | None = None
        self.thought = 0
        """How many characters of reasoning there were."""
        self.started = now
        self.last_piece = now
        self.checkpointed = 0
        self.logged = False
        self.phase: Literal["new", "talking", "ending"] = "new"
        self.asked_to_end: str | None = None
        self.asked_at = 0.0
        self.cause = ""
        self.task: asyncio.Task[None] | None = None
        self.leaving: asyncio.Task[None] | None = None
        self.done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    @property
    def id(self) -> MessageId:
        return self.begun.turn.reply.id

    def counted(self) -> int:
        """The tokens of all that the bot was sent, as they are counted here."""
        history = self.seen.history
        return self.allowance.besides + sum([past.token_count for past in history]) + TOKENS_AROUND * len(history)

    def has_ended(self, outcome: Outcome) -> None:
        """The first word stands: whoever waited may have been told already that the end cannot be kept just now."""
        if self.done.done():
            return
        self.done.set_result(outcome)
        if self.granted is not None:
            self.granted.release()
        self.telling.end(outcome.turn.reply)

    def ask_to_end(self, why: str) -> None:
        """Ends it now: the bot is left at once, what was said is kept. The first reason given stands."""
        if self.asked_to_end is not None or self.phase == "ending":
            return
        self.asked_to_end = why
        self.asked_at = asyncio.get_running_loop().time()
        # A task that is cancelled before its first step would never get to write the end.
        if self.phase == "talking" and self.task is not None:
            self.task.cancel()

    def end(self) -> tuple[End, str]:
        """How it ended, and why."""
        text = self.log.length > 0
        if self.asked_to_end == "stopped":
            return "stopped", "stopped"
        if self.asked_to_end is None and self.finished is not None:
            return ("complete", self.finished.reason) if text else ("failed", "empty")
        return "interrupted" if text else "failed", self.asked_to_end or self.cause or "cut"


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
        self._cache = Cache(store, clock, seconds=limits.cache_seconds, most=limits.cache_answers)
        self.tokens = tokens or Tokens()
        making = Summaries(store=store, bots=bots, clock=clock, tokens=self.tokens, start=self.answering, books=books)
        self._summaries = making if summarises else None
        self._running: dict[MessageId, RunningReply] = {}
        # Gone with the last of those who wait.
        self._awaited: WeakValueDictionary[MessageId, asyncio.Event] = WeakValueDictionary()
        self._answers: set[asyncio.Task[Any]] = set()
        self._beginnings: set[asyncio.Task[Any]] = set()
        self._out_of_time = False
        self.worker = worker
        self.draining = False
        self.closing = False
        """All that was made here has ended; whoever hears of replies made elsewhere has to go on there."""
        rooms.find_here = self.telling
        rooms.stop_here = self.stop_here

    def lease_until(self) -> Micros:
        return Micros(self._clock.now() + int(self.limits.lease_seconds * SECOND))

    def start(self, begun: Begun, request_id: str = "", granted: Grant | None = None) -> None:
        """Makes the reply that the store has just given to this worker. It claims what was granted, until it ends."""
        allowance = self._allow(begun)
        seen = self._see(begun, allowance)
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

    async def wait_end(self, begun: Begun) -> Outcome:
        """The turn once its reply has ended, whichever worker makes it.

        Raises `Draining` where it still waits for its turn when this server goes away, and `NotFound` where it is gone.
        """
        reply_id = begun.turn.reply.id
        while True:
            running = self._running.get(reply_id)
            if running is not None:
                return await asyncio.shield(running.done)
            if begun.turn.reply.status not in ("queued", "running"):
                return Outcome(begun.turn, begun.exchanges)
            if self.draining:
                raise Draining
            async with self._rooms.following(begun.turn.conversation.uuid, lambda: self.tell(reply_id)):
                # Whatever was told before it was followed is looked up first.
                latest = await self._store.turns.get(reply_id)
                while latest is not None and latest.turn.reply.status in ("queued", "running"):
                    if reply_id in self._running or self.draining:
                        break
                    await self.wait_for_news(reply_id)
                    latest = await self._store.turns.get(reply_id)
            if latest is None and reply_id not in self._running:
                raise NotFound
            begun = latest or begun

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
        task.add_done_callback(self._beginnings.discard)
        return task

    def answering(self, answer: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """An answer that is stored nowhere: draining waits for it as for a reply, and then cancels it."""
        task = asyncio.create_task(answer)
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)
        return task

    def _allow(self, begun: Begun) -> Allowance:
        speaking = to_spoken(begun.turn.conversation, self.limits.max_tokens)
        model = self._bots.model_for_turn(speaking.model)
        context = self._bots.context_length(model, self.limits.context_tokens)
        besides = (begun.turn.prompt.token_count or 0) + TOKENS_AROUND
        for standing in (begun.system_prompt, begun.summary):
            if standing:
                besides += self.tokens.count_standing(standing) + TOKENS_AROUND
        unbounded = self.limits.max_tokens if begun.is_reserved else self.limits.reserved_tokens
        return Allowance(
            context=context,
            reply=reply_share(context, speaking.max_tokens or unbounded),
            besides=besides,
            key=to_key(speaking.provider, model),
        )

    def _see(self, begun: Begun, allowance: Allowance) -> Seen:
        conversation = begun.turn.conversation
        budget = history_budget(
            allowance.context,
            reply=allowance.reply,
            besides=allowance.besides,
            factor=self.tokens.factor(allowance.key),
            most=conversation.speaking.token_budget,
        )
        return to_seen(conversation, begun.history, budget)

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
        prompt = reply.prompt = self._prompt(reply, conversation)
        clock = asyncio.get_running_loop().time
        async with aclosing(self._ask(reply, provider, prompt)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                if reply.asked_to_end is not None:
                    # The bot took no notice of being cancelled.
                    return
                if isinstance(piece, Text):
                    reply.telling.say(piece.text)
                elif isinstance(piece, Finished):
                    reply.finished = piece
                    return
                else:
                    reply.thought += len(piece.text)
                reply.last_piece = clock()

    def _ask(self, reply: RunningReply, provider: str, prompt: Prompt) -> AsyncIterator[Piece]:
        conversation = reply.begun.turn.conversation
        if not self._cache.serves(conversation.speaking):
            return self._bots.bot(provider).talk(prompt)
        question = to_question(conversation, provider, prompt)
        return self._cache.talk(
            question,
            lambda: self._bots.bot(provider).talk(prompt),
            has_left=lambda: reply.asked_to_end is not None,
            # Who has one asked for beside the old one wants no old one.
            anew=reply.begun.replaces is not None,
        )

    def _prompt(self, reply: RunningReply, conversation: Conversation) -> Prompt:
        speaking = to_spoken(conversation, self.limits.max_tokens)
        if reply.begun.is_reserved and speaking.max_tokens is None:
            # No more than was held back for it.
            speaking = replace(speaking, max_tokens=reply.allowance.reply)
        return Prompt(
            message=reply.begun.turn.prompt.content,
            system=reply.begun.system_prompt,
            history=reply.seen.history,
            speaking=speaking,
            model=self._bots.model_for_turn(conversation.speaking.model),
            request_id=reply.request_id,
            attempt=reply.begun.turn.reply.attempt,
            summary=reply.begun.summary,
            cache_key=to_cache_key(conversation.uuid),
        )

    async def _end(self, reply: RunningReply) -> None:
        end, why = reply.end()
        text = reply.log.text()
        # Not what was reported: that may hold reasoning, which is never sent again.
        ending = self._ending(reply, end, why, text, await self.tokens.count(text))
        if end in ("failed", "interrupted"):
            log.warning("request %s: reply %s ended %s: %s", reply.request_id or "none", reply.id, end, why)
        outcome, kept = await self._keep_end(reply, ending)
        del self._running[reply.id]
        turn = outcome.turn
        if kept.done:
            # Before those who wait for it: what they ask for next is told after it.
            await self._tell_end(turn, kept)
        granted = reply.granted
        if kept.next is not None:
            # The one that waited takes its place, and what it holds.
            reply.granted = None
        reply.has_ended(outcome)
        if kept.next is not None:
            self._take_over(kept.next, granted)
        if kept.done and end == "complete":
            self._learn(reply)

    def _take_over(self, begun: Begun, granted: Grant | None) -> None:
        try:
            self.start(begun, granted=granted)
        except BaseException:
            if granted is not None:
                granted.release()
            raise

    def _learn(self, reply: RunningReply) -> None:
        """From a turn that went well: how far off the counts were, and what it cut."""
        usage = reply.finished.usage if reply.finished else None
        if usage is not None and not usage.estimated:
            self.tokens.learn(reply.allowance.key, reply.counted(), usage.prompt_tokens)
        if self._summaries is not None and reply.prompt is not None and not self.draining:
            conversation = reply.begun.turn.conversation
            self._summaries.turn_ended(conversation, reply.seen.context_from, reply.prompt, reply.allowance)

    async def _tell_end(self, turn: Turn, kept: EndedReply) -> None:
        self._rooms.tell(turn.conversation.uuid, ReplyEnded(kept.mark, turn.reply))
        self._rooms.lists.reply_ended(turn.conversation.owner_id, turn.conversation.uuid, turn.reply)

    async def _keep_end(self, reply: RunningReply, ending: Ending) -> tuple[Outcome, EndedReply]:
        """How it ended as far as the store knows, once it does; and what is to be answered next."""
        turn = reply.begun.turn
        nothing = EndedReply(done=False)
        loop = asyncio.get_running_loop()
        began = loop.time()
        unkept = Outcome(_ended_turn(turn, replace(ending, end="failed", reason="unavailable", text="")), 0)
        while True:
            try:
                ended = await self._store.turns.finish(ending)
                if ended.done:
                    return Outcome(_ended_turn(turn, ending, ended), ended.exchanges), ended
                log.warning("reply %s is no longer this worker's; what it said is not kept", reply.id)
                latest = await self._store.turns.get(reply.id)
                if latest is not None:
                    return Outcome(latest.turn, latest.exchanges), nothing
                await self._bill_gone(turn.conversation, ending)
                return Outcome(_ended_turn(turn, ending), ended.exchanges), nothing
            except OSError as error:
                log.warning("the end of reply %s cannot be kept yet: %s", reply.id, error)
                await asyncio.sleep(RETRY_SECONDS)
                if loop.time() - began > PATIENCE_SECONDS:
                    reply.has_ended(unkept)
            except Exception:
                log.exception("the end of reply %s cannot be kept", reply.id)
                if ending.details is None and ending.model is None and ending.usage is None:
                    # Nobody renews its lease from here on: the sweep ends it with what was kept.
                    return unkept, nothing
                # The text is what matters: once more without what came beside it, the bill last.
                beside = ending.details is not None or ending.model is not None
                ending = replace(ending, details=None, model=None, usage=ending.usage if beside else None)

    async def _bill_gone(self, conversation: Conversation, ending: Ending) -> None:
        """Whoever it was made for was erased meanwhile: what it has used is counted all the same."""
        if ending.usage is not None:
            await self._store.ledger.add_usage(
                ending.owner_id, conversation.app_id, ending.model, ending.usage, ending.now, billed_as=ending.billed_as
            )

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
            end=end,
            reason=why,
            text=text,
            token_count=token_count,
            context_from=reply.seen.context_from,
            model=to_name(finished.model) if finished and finished.model else None,
            usage=_to_usage(reply, token_count),
            cached=finished is not None and finished.cached,
            billed_as=self._billed_as(reply),
            details=None if details is None else msgspec.json.encode(details).decode(),
            checkpointed=reply.logged,
            promote_to=None if self.draining else self.worker,
            lease_until=self.lease_until(),
        )

    def _billed_as(self, reply: RunningReply) -> str:
        """The model by the name that the operator knows it by: servers may tell a longer one."""
        speaking = reply.begun.turn.conversation.speaking
        asked = self._bots.model_for_turn(speaking.model) or self._bots.default_model()
        told = reply.finished.model if reply.finished and reply.finished.model else None
        return to_billed_as(reply.provider, asked or to_name(told or ""))

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

    async def take_over(self, *, everything: bool) -> None:
        """Ends replies that nobody makes any more and starts what waits behind them, as long as this worker stays.

        They may be this worker's own, where its caller or the database's answer was lost on the way.
        `everything`: no other worker lives, so that no lease is waited for.
        """
        now = self._clock.now()
        expired_before = Micros(1 << 62) if everything else now
        left = await self._store.turns.abandoned(now, expired_before)
        # All at once: each asks the other workers for what they have heard, and waits for it.
        await asyncio.gather(*(self._end_abandoned(one) for one in left if one.reply_id not in self._running))
        if not self.draining:
            await self.beginning(self._promote_waiting(now))

    async def _promote_waiting(self, now: Micros) -> None:
        self._start_all(await self._store.turns.promote_waiting(self.worker, now, self.lease_until()))

    async def _end_abandoned(self, ending: Ending) -> None:
        promote = replace(ending, promote_to=None if self.draining else self.worker, lease_until=self.lease_until())
        try:
            # What its worker had said since the last checkpoint may have been heard elsewhere.
            heard = await self._rooms.heard_elsewhere(ending.conversation, ending.reply_id)
            if heard is not None and len(heard) > len(ending.text):
                promote = replace(promote, end="interrupted", text=heard, token_count=count_tokens(heard))
            promote = replace(promote, usage=_to_abandoned_usage(promote), billed_as=await self._abandoned_as(promote))
            ended = await self._store.turns.finish(promote)
        except OSError:
            raise
        except Exception:
            # One that cannot be ended must not keep the others from it.
            log.exception("reply %s was left behind and cannot be ended", ending.reply_id)
            return
        if not ended.done:
            return
        log.warning("reply %s was left behind by its worker and ends %s", ending.reply_id, ending.end)
        ENDED.of(NOBODY, promote.end).add()
        kept = await self._store.turns.get(ending.reply_id)
        if kept is not None:
            await self._tell_end(kept.turn, ended)
        self._start_all([ended.next] if ended.next else [])

    async def _abandoned_as(self, ending: Ending) -> str:
        """As one that ends here is billed: by the model that answers where this one was asked for."""
        provider = ending.provider or await self._bots.default_provider()
        model = self._bots.model_for_turn(ending.billed_as or None) or self._bots.default_model()
        return to_billed_as(provider, model)

    def _start_all(self, begun: Sequence[Begun]) -> None:
        for one in begun:
            self.start(one)

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


def to_cache_key(conversation: str) -> str:
    """What a provider is told to find a conversation's front again by; it learns no id of ours."""
    return blake2b(conversation.encode(), digest_size=16, person=b"prompt cache").hexdigest()


def _to_usage(reply: RunningReply, token_count: int) -> Usage | None:
    """What the bot says it has used, as far as that can be; else, where it has talked or thought, what we count."""
    if reply.finished is not None and reply.finished.cached:
        return None
    reported = to_sound(reply.finished.usage if reply.finished else None)
    if reported is not None:
        return reported
    if not reply.log.length and not reply.thought:
        return None
    return Usage(reply.counted(), token_count + reasoning_tokens(reply.thought), estimated=True)


def _to_abandoned_usage(ending: Ending) -> Usage | None:
    """Nothing where nothing was heard: then nobody knows whether the bot was ever asked."""
    if ending.usage is None or not ending.text:
        return None
    return replace(ending.usage, completion_tokens=ending.token_count)


def _ended_turn(turn: Turn, ending: Ending, kept: EndedReply | None = None) -> Turn:
    reply = replace(
        turn.reply,
        status=ending.end,
        content=ending.text,
        reason=ending.reason,
        token_count=ending.token_count,
        model=ending.model,
        usage=ending.usage,
        cached=ending.cached,
        details=ending.details,
        exchange=kept.exchange if kept else None,
        end_event=kept.mark.event if kept else 0,
    )
    return Turn(turn.conversation, turn.prompt, reply)
