"""How far each setting of a conversation or preset goes. An API may allow less than this, and never more.

Every API draws its fields from here (`api/speaking.py`), and the core checks once more what reaches it, so that no way
in can keep a value that a bot could not be asked with.
"""

from typing import Self

from msgspec import UNSET, Struct

from palaver.chat.errors import Invalid

# What the store can hold.
LARGEST_WHOLE = 2**63 - 1

# Lengths of texts, in characters.
NAME_LENGTH = 100
PROMPT_LENGTH = 20_000
MODEL_LENGTH = 100
PROVIDER_LENGTH = 30
COLLECTION_LENGTH = 100


class Range(Struct, frozen=True):
    """From `least` to `most`, both of them included."""

    least: float
    most: float

    def holds(self, value: float) -> bool:
        return self.least <= value <= self.most

    def within(self, least: float, most: float) -> Self:
        """The part of it that one API allows. Raises `ValueError` for what is no part of it."""
        if not self.least <= least <= most <= self.most:
            raise ValueError(f"{least} to {most} is not within {self.least} to {self.most}")
        return type(self)(least, most)


TEMPERATURE = Range(0, 2)
PENALTY = Range(-2, 2)
MAX_TOKENS = Range(1, LARGEST_WHOLE)
WINDOW = Range(0, 200)
TOKEN_BUDGET = Range(1, LARGEST_WHOLE)

# By the names that settings have wherever the core speaks of them.
RANGES = {
    "temperature": TEMPERATURE,
    "max_tokens": MAX_TOKENS,
    "presence_penalty": PENALTY,
    "frequency_penalty": PENALTY,
    "window": WINDOW,
    "token_budget": TOKEN_BUDGET,
}


def check_ranges(settings: Struct) -> None:
    """Raises `Invalid` for the first of its settings that is out of its range. What is left open is in any."""
    for name, allowed in RANGES.items():
        value = getattr(settings, name)
        if value is not None and value is not UNSET and not allowed.holds(value):
            raise Invalid(name, "out_of_range")
