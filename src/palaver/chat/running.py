"""One reply while it is made: how far it is, how it ends, and who is told."""

import asyncio
from typing import Literal

from msgspec import Struct

from palaver.chat.context import Allowance, Seen, tokens_of
from palaver.chat.conversation import End, MessageId, Turn
from palaver.chat.counting import Tally
from palaver.chat.limits import Grant
from palaver.chat.pieces import Finished, Prompt, Sources
from palaver.chat.ports import Begun
from palaver.chat.telling import Telling


class ReplyLimits(Struct, frozen=True):
    """Seconds a bot may be silent before its first piece and between pieces, and talk in all; tokens it may be sent,
    and of these for passages.

    `max_tokens`: how long a reply may be where that is left to the server. `cache_seconds`: how long an answer may be
    given again, where that is wanted (0: never); `cache_answers`: how many are kept for that. `tell_seconds`: whoever
    has waited longer, and is not there any more, is told that it has ended (0: never). `overload_seconds`: once
    many have waited longer than that to be committed, whoever brings more is turned away until it keeps up (0: nobody
    is).
    """

    first_seconds: float = 60
    between_seconds: float = 30
    total_seconds: float = 600
    lease_seconds: float = 10
    context_tokens: int = 16_384
    reserved_tokens: int = 1024
    max_tokens: int = 2000
    knowledge_tokens: int = 2000
    cache_seconds: float = 3600
    cache_answers: int = 10_000
    tell_seconds: float = 20
    overload_seconds: float = 0.15


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
        self.tally = Tally(self.telling, request_id)
        self.log = self.telling.log
        self.finished: Finished | None = None
        self.given: Sources | None = None
        """The passages that the bot was given, once it says so."""
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
        besides = self.allowance.besides + (0 if self.given is None else self.given.tokens)
        history, tokens = self.seen.history, self.begun.history_tokens
        if tokens is None or len(history) < len(self.begun.history):
            tokens = tokens_of(history)
        return besides + tokens

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
