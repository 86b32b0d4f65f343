"""The bot that answers from documents: the OpenAI bot, given the passages that fit what was asked."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

from msgspec import Struct
from msgspec.structs import replace

from palaver.bots.passages import NOTHING, choose, quote_all, to_sources
from palaver.chat.context import TOKENS_AROUND, count_tokens
from palaver.chat.knowledge import Passage, Source
from palaver.chat.pieces import Bot, Finished, Knowledge, Piece, Prompt, Sources
from palaver.chat.ports import Collections, Finding

log = logging.getLogger("palaver.bots")

# Whoever waits for an answer would rather have one without passages.
SEARCH_SECONDS = 3.0

# More are looked for than most budgets take: of long ones fewer fit.
LOOKED_FOR = 20

# A question like "and in Italy?" is understood by what was asked before it.
EARLIER_QUESTIONS = 2


class Knowing(Struct, frozen=True):
    """Where passages are found, and which collections there are."""

    finding: Finding
    collections: Collections
    seconds: float = SEARCH_SECONDS


class RagBot:
    def __init__(self, bot: Bot, knowing: Knowing) -> None:
        self._bot = bot
        self._knowing = knowing

    def talk(self, prompt: Prompt) -> AsyncIterator[Piece]:
        """As the bot behind it, which knows of no passages where the prompt has no knowledge. Where searching fails or
        takes too long, it answers without."""
        knowledge = prompt.knowledge
        return self._bot.talk(prompt) if knowledge is None else self._answer(prompt, knowledge)

    async def _answer(self, prompt: Prompt, knowledge: Knowledge) -> AsyncGenerator[Piece, None]:
        told, tokens, sources = await self._look_up(prompt, knowledge)
        if told:
            yield Sources(sources, tokens)
        given = replace(prompt, pinned=told) if knowledge.in_front else replace(prompt, volatile=_after(prompt, told))
        async with aclosing(self._bot.talk(given)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                yield _with_sources(piece, sources) if isinstance(piece, Finished) else piece

    async def _look_up(self, prompt: Prompt, knowledge: Knowledge) -> tuple[str, int, tuple[Source, ...]]:
        """What the bot is told of it, the tokens that takes, and the passages in it."""
        nothing: tuple[str, int, tuple[Source, ...]] = "", 0, ()
        try:
            async with asyncio.timeout(self._knowing.seconds):
                found = await self._find(prompt, knowledge)
                if found is None:
                    return nothing
        except Exception as error:
            # Whatever is wrong with the search: the person gets an answer.
            why = "took too long" if isinstance(error, TimeoutError) else "failed"
            log.warning("request %s: searching documents %s", prompt.request_id, why, exc_info=error)
            return nothing
        if not found:
            return NOTHING, count_tokens(NOTHING) + TOKENS_AROUND, ()
        chosen, tokens = choose(found, knowledge.tokens, knowledge.most)
        return (quote_all(chosen), tokens, to_sources(chosen)) if chosen else nothing

    async def _find(self, prompt: Prompt, knowledge: Knowledge) -> Sequence[Passage] | None:
        """None where there is nothing to be searched."""
        reader, name = knowledge.reader, knowledge.collection
        asked = [past.content for past in prompt.history if past.role == "user"][-EARLIER_QUESTIONS:]
        limit = LOOKED_FOR if knowledge.most is None else knowledge.most
        found = await self._knowing.finding.search(reader, name, prompt.message, asked, limit)
        if found:
            return found
        collection = await self._knowing.collections.find(reader, name)
        return None if collection is None or not collection.document_count else ()


def _after(prompt: Prompt, told: str) -> str:
    return "\n\n".join(said for said in (prompt.volatile, told) if said)


def _with_sources(finished: Finished, sources: tuple[Source, ...]) -> Finished:
    """The passages are kept with the turn by their places alone: of a document that is deleted nothing stays."""
    if not sources:
        return finished
    passages = [{"document": source.document, "passage": source.passage} for source in sources]
    return replace(finished, details={**(finished.details or {}), "passages": passages})
