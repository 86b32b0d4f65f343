"""What a text is found by, in any language, and the piece of it that shows why it was found.

Both databases are given words that are cut here, so that they find the same: without case and accents, and where a
script writes no blanks between words, by every two characters that follow each other.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

# Letters and digits; what scripts without blanks write (Thai to Khmer, kana, Han) is cut further.
WORD = re.compile(r"[^\W_]+")
UNBROKEN = re.compile("([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]+)")

# A word longer than this is no word, and one database takes none of 2 KiB.
LONGEST = 40

# So many different words, and characters of them, stand for a text: one database takes no more than 1 MiB.
MOST_WORDS = 20_000
MOST_CHARACTERS = 200_000

# Of what somebody looks for.
MOST_WANTED = 12

SNIPPET = 160
BEFORE = 40
# Of a longer text the beginning is shown where its first part does not hold the words.
LOOKED_AT = 50_000


def to_words(text: str) -> list[str]:
    """The different words of the text, in the order in which they come."""
    found: dict[str, None] = {}
    characters = 0
    for word in _words(text):
        if word not in found:
            found[word] = None
            characters += len(word)
            if len(found) == MOST_WORDS or characters >= MOST_CHARACTERS:
                break
    return list(found)


def to_wanted(text: str) -> list[str]:
    """The words that are looked for: a text is found by words that begin with them. None: there is nothing to find."""
    wanted = to_words(text[:1000])
    # Of the last two of an unbroken run the second is the end of the first.
    return [word for word in wanted if not _ends_another(word, wanted)][:MOST_WANTED]


def to_snippet(text: str, wanted: Sequence[str]) -> str:
    """About a line of the text, with the first of the wanted words that it holds."""
    start = max(0, _first_place(text[:LOOKED_AT], wanted) - BEFORE)
    if start:
        # Not in the middle of a word, where there is a blank to begin after.
        blank = text.find(" ", start, start + BEFORE)
        start = start if blank < 0 else blank + 1
    line = " ".join(text[start : start + SNIPPET].split())
    return f"{'…' if start else ''}{line}{'…' if start + SNIPPET < len(text) else ''}"


def _words(text: str) -> Iterator[str]:
    for run in WORD.findall(_folded(text)):
        if run.isascii():
            yield run[:LONGEST]
            continue
        for part in UNBROKEN.split(run):
            if not UNBROKEN.match(part):
                if part:
                    yield part[:LONGEST]
            else:
                yield from (part[place : place + 2] for place in range(len(part)))


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    # Case last: it makes one letter of what was composed of several.
    apart = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in apart if not unicodedata.category(letter).startswith("M")).casefold()


def _ends_another(word: str, words: Sequence[str]) -> bool:
    return len(word) == 1 and bool(UNBROKEN.match(word)) and any(len(one) == 2 and one[1] == word for one in words)


def _first_place(text: str, wanted: Sequence[str]) -> int:
    for chunk in re.finditer(r"\S+", text):
        for word in _words(chunk.group()):
            if word.startswith(tuple(wanted)):
                return chunk.start() + max(0, _folded(chunk.group()).find(word))
    return 0
