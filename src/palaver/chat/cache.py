"""Answers that are given again: to the same person, for exactly the same question, where the bot would say the same.

Only a conversation that `caches_answers` comes here, and only at temperature 0. Exactly the same means all that the bot
is given: who answers, the model, the system prompt, what was said before, the message, the settings. What a bot looks
up on its own is no part of that, so that a conversation with a collection of documents is never answered from here.

Equal questions that come while the first of them is being answered wait for that answer. They cannot hear it as it is
said: where the first one is stopped or breaks off, they could not unsay it, and each of them asks for itself.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from palaver.chat.clock import SECOND, Clock, Micros
from palaver.chat.conversation import Conversation, ConversationId, Speaking
from palaver.chat.pieces import Finished, KnownAnswer, Piece, Prompt, Reasoning, Text
from palaver.chat.ports import AnswerToKeep, Store
from palaver.chat.user import UserId

log = logging.getLogger("palaver.cache")

# What differs from one asking to the next, and no bot's answer depends on.
NOT_ASKED = ("request_id", "attempt", "history", "cache_key")

# Those who wait for the first one's answer look so often whether it still talks.
LOOK_SECONDS = 1.0

# Of one who waits: somebody lives at the other end. There is nothing to be heard of it yet.
SIGN_OF_LIFE = Reasoning("")


class Question(Struct, frozen=True):
    """All that an answer depends on, as one digest; and whose it is, and in which conversation it is asked."""

    digest: bytes
    user_id: UserId
    conversation_id: ConversationId


class Asking:
    """A question while the first of those who ask it is being answered."""

    def __init__(self, has_left: Callable[[], bool]) -> None:
        self.has_left = has_left
        """Whoever asked has been told to end, though the bot may take no notice of it."""
        self.answer: asyncio.Future[KnownAnswer | None] = asyncio.get_running_loop().create_future()
        """None where there is none to be shared."""
        self.heard = 0
        """How many pieces there were so far."""

    def settle(self, answer: KnownAnswer | None) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)


def to_question(conversation: Conversation, provider: str, prompt: Prompt) -> Question:
    """Equal for prompts that are, in whichever conversations of their owner."""
    asked = {name: value for name, value in asdict(prompt).items() if name not in NOT_ASKED}
    # The numbers of messages are no part of what was said.
    said = [(past.role, past.content) for past in prompt.history]
    digest = hashlib.sha256(msgspec.json.encode((conversation.owner_id, provider, asked, said), order="deterministic"))
    return Question(digest.digest(), conversation.owner_id, conversation.id)


class Cache:
    """The answers that may be given again: those that are just being given in this worker, and those in the store."""

    def __init__(self, store: Store, clock: Clock, *, seconds: float, most: int) -> None:
        self._store = store
        self._clock = clock
        self._seconds = seconds
        self._most = most
        self._asking: dict[bytes, Asking] = {}

    def serves(self, speaking: Speaking) -> bool:
        """Whether somebody wants it so, and the bot would say the same again."""
        wanted = speaking.caches_answers and self._seconds > 0
        return wanted and speaking.temperature == 0 and speaking.collection is None

    async def talk(
        self,
        question: Question,
        ask: Callable[[], AsyncIterator[Piece]],
        *,
        has_left: Callable[[], bool],
        anew: bool,
    ) -> AsyncGenerator[Piece, None]:
        """What was said to this before, marked as `cached`; else what `ask` brings, which is kept once it is whole.

        `has_left` tells when nobody waits for it any more. `anew`: whoever asks has seen an answer and wants another
        one, which is kept in place of the old one.
        """
        asking = Asking(has_left)
        first = asking if anew else self._first(question, asking)
        try:
            if first is asking:
                known = None if anew else await self._find(question)
            else:
                async for sign in _wait(first):
                    yield sign
                known = first.answer.result() if first.answer.done() else None
            if known is not None:
                asking.settle(known)
                yield Text(known.text)
                yield Finished(known.reason, model=known.model, cached=True)
                return
            said: list[str] = []
            async with aclosing(ask()) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    asking.heard += 1
                    if isinstance(piece, Text):
                        said.append(piece.text)
                    elif isinstance(piece, Finished):
                        await self._keep(question, "".join(said), piece, asking)
                    yield piece
        finally:
            asking.settle(None)
            if self._asking.get(question.digest) is asking:
                del self._asking[question.digest]

    def _first(self, question: Question, asking: Asking) -> Asking:
        first = self._asking.get(question.digest)
        if first is None or first.has_left():
            first = self._asking[question.digest] = asking
        return first

    async def _find(self, question: Question) -> KnownAnswer | None:
        try:
            return await self._store.answers.find(question.user_id, question.digest, self._clock.now())
        except Exception:
            # Whatever is wrong with the store: the bot can be asked.
            log.exception("what was answered before cannot be looked up")
            return None

    async def _keep(self, question: Question, text: str, finished: Finished, asking: Asking) -> None:
        """Kept before the reply's end is told: who asks the same after that gets the same."""
        reason = finished.reason
        if not text or reason == "tool_calls" or reason == "content_filter":
            return
        answer = KnownAnswer(text, reason, finished.model)
        asking.settle(answer)
        expires_at = Micros(self._clock.now() + int(self._seconds * SECOND))
        kept = AnswerToKeep(question.digest, question.user_id, question.conversation_id, answer, expires_at)
        try:
            await self._store.answers.keep(kept, self._most)
        except Exception:
            # Whatever is wrong with the store, or with what the bot said: it was said all the same.
            log.exception("an answer cannot be kept to be given again")


async def _wait(first: Asking) -> AsyncGenerator[Piece, None]:
    """Ends when there is an answer, or none; till then it gives a sign of life whenever there was one."""
    heard = first.heard
    while not (first.answer.done() or first.has_left()):
        await asyncio.wait([first.answer], timeout=LOOK_SECONDS)
        if first.heard != heard:
            heard = first.heard
            yield SIGN_OF_LIFE
