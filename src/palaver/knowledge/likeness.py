"""Passages that say the same: a document kept twice, an old version beside the new one, a footer on every page."""

import re
from collections.abc import Sequence

from palaver.chat.knowledge import Passage

WORDS_OF_A_SHINGLE = 4

# So much of the shorter one stands in the other. Neighbours, which overlap, have 15 to 30 percent of each other.
SAME_FROM = 0.8

# Of each, at its beginning and at its end; a passage of the usual size has 1,600 characters.
LOOKED_AT = 1_000

_WORD = re.compile(r"\w+")


def without_repetitions(passages: Sequence[Passage], most: int) -> list[Passage]:
    """The first so many that say something which none before them says."""
    kept: list[Passage] = []
    known: list[frozenset[int]] = []
    for passage in passages:
        if len(kept) == most:
            break
        shingles = to_shingles(passage.text)
        if not any(is_same(shingles, other) for other in known):
            kept.append(passage)
            known.append(shingles)
    return kept


def to_shingles(text: str) -> frozenset[int]:
    if len(text) > 2 * LOOKED_AT:
        text = f"{text[:LOOKED_AT]} {text[-LOOKED_AT:]}"
    words = _WORD.findall(text.casefold())
    places = range(max(1, len(words) - WORDS_OF_A_SHINGLE + 1))
    return frozenset(hash(tuple(words[place : place + WORDS_OF_A_SHINGLE])) for place in places)


def is_same(one: frozenset[int], other: frozenset[int]) -> bool:
    shorter, longer = sorted((one, other), key=len)
    if len(shorter) * 2 < len(longer):
        # A sentence that a long passage quotes is no repetition of it, nor it of the sentence.
        return False
    return len(shorter & longer) >= SAME_FROM * len(shorter)
