"""What a model is asked beside the talk: summaries, and the order of what was found.

No conversation keeps the answer, and whoever it serves pays for it.
"""

import asyncio

from msgspec.structs import replace

from palaver.chat.books import Books
from palaver.chat.clock import Clock
from palaver.chat.context import TOKENS_AROUND
from palaver.chat.conversation import Usage
from palaver.chat.ledger import to_billed_as
from palaver.chat.pieces import Prompt
from palaver.chat.ports import Bots, Store
from palaver.chat.tokens import Tokens
from palaver.chat.told import to_name, to_sound
from palaver.chat.user import UserId
from palaver.chat.whole import Heard, Patience, hear_out

# What was held back for one whose worker died counts no longer than it could have taken, and this.
REFUND_SECONDS = 60


class Asides:
    def __init__(self, store: Store, bots: Bots, clock: Clock, tokens: Tokens, books: Books | None) -> None:
        self._store = store
        self._bots = bots
        self._clock = clock
        self._tokens = tokens
        self._books = books

    async def ask(self, payer: UserId, app: UserId | None, provider: str, prompt: Prompt, patience: Patience) -> str:
        """All that is said, which may be nothing. Whatever becomes of it, what was heard is paid for.

        Raises `OverBudget` before anything is asked, and `BotUnavailable` or `BotTimeout` as `hear_out`.
        """
        held = await self._reserve(payer, app, prompt, patience)
        heard = Heard()

        async def bill(usage: Usage, told: str) -> None:
            model = told or prompt.model or provider
            await self._store.ledger.add_usage(
                payer,
                app,
                model,
                usage,
                self._clock.now(),
                billed_as=to_billed_as(provider, prompt.model or self._bots.default_model() or model),
                reservation=held,
            )

        async def settle() -> None:
            if heard.is_anything:
                await bill(self._estimate(prompt, heard), "")
            elif held is not None:
                await self._store.ledger.refund_answer(held)

        try:
            finished = await hear_out(self._bots.bot(provider), prompt, patience, heard)
        except BaseException:
            # Whoever is in a hurry and leaves pays for what was said, too, or gets back what was held.
            await asyncio.shield(settle())
            raise
        await asyncio.shield(
            bill(to_sound(finished.usage) or self._estimate(prompt, heard), to_name(finished.model or ""))
        )
        return heard.text

    async def _reserve(self, payer: UserId, app: UserId | None, prompt: Prompt, patience: Patience) -> int | None:
        if self._books is None:
            return None
        speaking = replace(prompt.speaking, model=prompt.model or self._bots.default_model())
        seconds = patience.total + REFUND_SECONDS
        return await self._books.reserve(payer, app, speaking, self._prompt_tokens(prompt), seconds)

    def _estimate(self, prompt: Prompt, heard: Heard) -> Usage:
        return Usage(self._prompt_tokens(prompt), heard.tokens, estimated=True)

    def _prompt_tokens(self, prompt: Prompt) -> int:
        past = sum(message.token_count + TOKENS_AROUND for message in prompt.history)
        besides = [prompt.system, prompt.summary, prompt.message]
        return past + sum(self._tokens.count_standing(said) + TOKENS_AROUND for said in besides if said)
