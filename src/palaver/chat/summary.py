"""What was cut from the bot's view, summarised by the bot itself, after the turn and for nobody to wait for.

A summary stands between the system prompt and the history until the next cut, so that the front stays the same. Where
one is missing, because it failed or its worker died, the next turn makes it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from msgspec.structs import replace

from palaver.chat.aside import Asides
from palaver.chat.clock import SECOND, Clock, Micros
from palaver.chat.context import TOKENS_AROUND, Allowance, history_budget, within_budget
from palaver.chat.conversation import Conversation
from palaver.chat.errors import BotUnavailable, OverBudget
from palaver.chat.pieces import Prompt
from palaver.chat.ports import Bots, Store, Unsummarised
from palaver.chat.tokens import Tokens
from palaver.chat.whole import Patience

log = logging.getLogger("palaver.summary")

# Nobody waits for it; a model that is busy answering people may take its time.
PATIENCE = Patience(first=60, between=30, total=120)

# As long as nobody else tries: longer than it can take. A failure is left alone for the rest of it.
LEASE_SECONDS = 180

# What it may take of every later turn: some 350 words, and less where the context is small.
MOST_TOKENS = 512
LEAST_SHARE = 8

# A bot that takes no notice of a bound does not fill the context with it.
MOST_CHARACTERS = 8 * MOST_TOKENS

# Last, behind the very messages that were sent before, so that the provider's prompt cache has nearly all of it.
INSTRUCTION = (
    "Our conversation is getting long, and what was said above will not be shown to you any more. Write a summary of "
    "it for yourself to go on from, in the language of the conversation and at most 300 words: who I am and what I "
    "want, facts, names and numbers, what was decided or found out, what is still open. Write the summary alone."
)


class Summaries:
    """Makes them in the background: `start` begins a task that ends with this worker."""

    def __init__(
        self,
        *,
        store: Store,
        bots: Bots,
        clock: Clock,
        tokens: Tokens,
        start: Callable[[Coroutine[Any, Any, None]], object],
        asides: Asides,
    ) -> None:
        self._store = store
        self._bots = bots
        self._clock = clock
        self._tokens = tokens
        self._start = start
        self._asides = asides

    def turn_ended(self, conversation: Conversation, up_to: int, prompt: Prompt, allowance: Allowance) -> None:
        """Where something before the number `up_to` is in no summary, and nobody is at it, makes one. `prompt` is what
        the bot was given for the turn."""
        if up_to > conversation.summary_to:
            self._start(self._make_if_missing(conversation, up_to, prompt, allowance))

    async def _make_if_missing(
        self, conversation: Conversation, up_to: int, prompt: Prompt, allowance: Allowance
    ) -> None:
        try:
            now = self._clock.now()
            until = Micros(now + LEASE_SECONDS * SECOND)
            cut = await self._store.summaries.claim(conversation.id, up_to, now, until)
            if cut is not None:
                await self._make(cut, conversation, self._to_prompt(cut, prompt, allowance))
        except OverBudget:
            log.info("request %s: there is no summary for now: nothing is left to pay it with", prompt.request_id)
        except BotUnavailable as error:
            # It is not tried again before the lease has run out: each try costs what a turn costs.
            log.info("request %s: there is no summary for now: %s", prompt.request_id, error.cause)
        except OSError as error:
            log.warning("request %s: a summary cannot be kept just now: %s", prompt.request_id, error)
        except Exception:
            log.exception("request %s: a summary failed", prompt.request_id)

    async def _make(self, cut: Unsummarised, conversation: Conversation, prompt: Prompt) -> None:
        provider = conversation.speaking.provider or await self._bots.default_provider()
        try:
            text = await self._asides.ask(conversation.owner_id, conversation.app_id, provider, prompt, PATIENCE)
        except asyncio.CancelledError:
            # This worker goes away; whoever has the next turn need not wait for the lease.
            await self._store.summaries.give_up(cut)
            raise
        # PostgreSQL keeps no text that holds this character.
        summary = text.replace("\0", "").strip()[:MOST_CHARACTERS]
        if summary and not await self._store.summaries.keep(cut, summary):
            log.info("request %s: what was summarised is not in view any more", prompt.request_id)

    def _to_prompt(self, cut: Unsummarised, prompt: Prompt, allowance: Allowance) -> Prompt:
        words = min(MOST_TOKENS, allowance.context // LEAST_SHARE)
        besides = [prompt.system, cut.summary, INSTRUCTION]
        budget = history_budget(
            allowance.context,
            reply=words,
            besides=sum(self._tokens.count_standing(text) + TOKENS_AROUND for text in besides),
            factor=self._tokens.factor(allowance.key),
        )
        # Several cuts may be missing, where summaries failed for long: then the oldest stays untold.
        past = within_budget(cut.past, budget)
        return replace(
            prompt,
            message=INSTRUCTION,
            role="user",
            summary=cut.summary,
            history=tuple(reversed(past)),
            volatile="",
            knowledge=None,
            speaking=replace(prompt.speaking, max_tokens=words),
        )
