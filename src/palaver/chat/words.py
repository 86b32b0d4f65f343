"""What a text is found by, in any language, and the piece of it that shows why it was found.

Both databases are given words that are cut here, so that they find the same: without case and accents, and where a
script writes no blanks between words, by every two characters that follow each other.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice

# Letters and digits; what scripts without blanks write (Thai to Khmer, kana, Han) is cut further.
WORD = re.compile(r"[^\W_]+")
UNBROKEN_LETTER = "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]"
UNBROKEN = re.compile(f"({UNBROKEN_LETTER}+)")

# A word longer than this is no word, and one database takes none of 2 KiB.
LONGEST = 40

# So many different words, and characters of them, stand for a text: one database takes no more than 1 MiB.
MOST_WORDS = 20_000
MOST_CHARACTERS = 200_000

# Of what somebody looks for.
MOST_WANTED = 12

# What words end in that differ in no more than number, case, gender or tense, in English, German and Italian alike. One
# after the other is taken off, the longest first, as long as something like a root is left.
ENDINGS = ("ing", "ern", "ed", "en", "er", "em", "es", "ly", "s", "n", "a", "e", "i", "o", "y")
SHORTEST_ROOT = 4

# More than any few languages have letters.
REMEMBERED = 30_000

SNIPPET = 160
BEFORE = 40
# Of a longer text the beginning is shown where its first part does not hold the words. All texts of a page together are
# looked at no further than that either: it takes some milliseconds.
LOOKED_AT = 10_000
LOOKED_AT_IN_ALL = 200_000


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


def to_terms(text: str) -> list[str]:
    """The stems of all words of the text, in the order in which they come, as often as they stand there."""
    return [to_stem(word) for word in islice(_words(text), MOST_WORDS)]


@lru_cache(maxsize=50_000)
def to_stem(word: str) -> str:
    """What is left of one of `to_words` when its endings are taken off: what it is found by, whatever its form."""
    if not word.isascii() or not word.isalpha():
        return word
    while True:
        ending = next((one for one in ENDINGS if word.endswith(one) and len(word) - len(one) >= SHORTEST_ROOT), "")
        if not ending and len(word) > SHORTEST_ROOT and word[-1] == word[-2]:
            # Cancelled, to cancel.
            ending = word[-1]
        if not ending:
            return word
        word = word.removesuffix(ending)


def count_held(text: str, stems: Sequence[str]) -> int:
    """How many of the stems begin a word of the text or stand within one, as in a compound."""
    folded = _folded(text)
    return sum(stem in folded for stem in stems)


def to_snippets(texts: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """As `to_snippet`, in a time that has a bound, however many they are and however long."""
    looked_at = min(LOOKED_AT, LOOKED_AT_IN_ALL // max(1, len(texts)))
    return [to_snippet(text, wanted, looked_at) for text in texts]


def to_snippet(text: str, wanted: Sequence[str], looked_at: int = LOOKED_AT) -> str:
    """About a line of the text, with the first of the wanted words that it holds."""
    start = max(0, _first_place(text[:looked_at], wanted) - BEFORE)
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
    return text.translate(FOLDED)


class _Folded(dict[int, str]):
    """What becomes of each letter, by itself: so a place in a folded text is known in the text, too.

    It holds the letters of those who talk here; of all that there are it would be a hundred megabytes.
    """

    def __missing__(self, letter: int) -> str:
        # Case last: it makes one letter of what was composed of several.
        apart = unicodedata.normalize("NFKD", chr(letter))
        folded = "".join(one for one in apart if not unicodedata.category(one).startswith("M")).casefold()
        if len(self) >= REMEMBERED:
            self.clear()
        self[letter] = folded
        return folded


FOLDED = _Folded()


def _ends_another(word: str, words: Sequence[str]) -> bool:
    return len(word) == 1 and bool(UNBROKEN.match(word)) and any(len(one) == 2 and one[1] == word for one in words)


def _first_place(text: str, wanted: Sequence[str]) -> int:
    """Where the first word begins that begins with a wanted one; 0 where there is none."""
    if not wanted:
        return 0
    folded = _folded(text)
    found = _beginning_with(tuple(wanted)).search(folded)
    if found is None:
        return 0
    place = 0
    for before, letter in enumerate(text):
        place += len(FOLDED[ord(letter)])
        if place > found.start():
            return before
    return 0


@lru_cache(maxsize=100)
def _beginning_with(wanted: tuple[str, ...]) -> re.Pattern[str]:
    """A word begins behind what is no letter or digit; in a script without blanks, and behind it, anywhere."""
    anywhere = [word for word in wanted if UNBROKEN.match(word)]
    words = "|".join(word for word in wanted if word not in anywhere)
    behind = [f"(?:(?<![^\\W_])|(?<={UNBROKEN_LETTER}))(?:{words})"] if words else []
    return re.compile("|".join(behind + anywhere))
