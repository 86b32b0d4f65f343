"""How many tokens a text is: counted where a tokenizer is there, else estimated; set right by what servers report.

A budget that is kept by an estimate alone is passed by texts that fall apart into more tokens than usual, and the
server refuses the turn. What it says of each prompt tells how far off the counts are for its model.
"""

import asyncio
from collections.abc import Callable

from palaver.chat.context import count_tokens

# Longer texts are counted in a thread: up to here it takes about a tenth of a millisecond.
COUNTED_AT_ONCE = 4_000

# System prompts and summaries: few, and counted at every turn.
REMEMBERED = 2_000

# As long as nothing was reported, counts are taken to be too low by so much: code has more tokens than prose.
UNLEARNED = 1.2

# Less than this, and what a server puts around a prompt says more than the prompt.
LEAST_COUNTED = 256

# No tokenizer is further off; some servers leave out what their cache held, or report a sum over all turns.
NONSENSE_BELOW, NONSENSE_ABOVE = 0.25, 8.0
LEAST, MOST = 0.5, 3.0

# How much of what is new is learned, and how far one report may move what is known. Up sooner than down: a front that
# is too short costs a little memory, one that is too long costs the turn.
WEIGHT = 0.3
MOST_DOWN, MOST_UP = 0.05, 0.15

# Whoever asks for models by ever new names does not fill the memory.
MOST_MODELS = 500


def to_key(provider: str | None, model: str | None) -> str:
    """Who counts: the same name may mean another model at another bot."""
    return f"{provider or ''}/{model or ''}"


class Tokens:
    """The counts of this process, and what it has learned of its models."""

    def __init__(self) -> None:
        self._exact: Callable[[str], int] | None = None
        self._remembered: dict[str, int] = {}
        self._factors: dict[str, float] = {}

    def use(self, exact: Callable[[str], int]) -> None:
        """From now on texts are counted by this, which is ready, never raises, and may be called in a thread."""
        self._exact = exact

    async def count(self, text: str) -> int:
        """The tokens of a text, to be kept with it. Without a tokenizer, or before it is ready, an estimate."""
        if self._exact is None:
            return count_tokens(text)
        if len(text) <= COUNTED_AT_ONCE:
            return self._exact(text)
        return await asyncio.to_thread(self._exact, text)

    def count_standing(self, text: str) -> int:
        """The same for a text that comes again and again; very long ones are estimated."""
        if self._exact is None or len(text) > COUNTED_AT_ONCE:
            return count_tokens(text)
        known = self._remembered.get(text)
        if known is None:
            if len(self._remembered) >= REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            known = self._remembered[text] = self._exact(text)
        return known

    def factor(self, model: str) -> float:
        """How many tokens the model makes of one that was counted."""
        return self._factors.get(model, UNLEARNED)

    def learn(self, model: str, counted: int, reported: int) -> None:
        """A prompt that was counted here and had so many tokens there."""
        if counted < LEAST_COUNTED or not NONSENSE_BELOW <= reported / counted <= NONSENSE_ABOVE:
            return
        known = self.factor(model)
        step = WEIGHT * (reported / counted - known)
        learned = known + min(max(step, -MOST_DOWN * known), MOST_UP * known)
        if model not in self._factors and len(self._factors) >= MOST_MODELS:
            del self._factors[next(iter(self._factors))]
        self._factors[model] = min(max(learned, LEAST), MOST)
