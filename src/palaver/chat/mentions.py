"""Who is named in a message."""

import re
from functools import lru_cache


def is_named(name: str, text: str) -> bool:
    """Whether `text` has `@name`, in any case, as a word of its own."""
    return "@" in text and _pattern(name.casefold()).search(text.casefold()) is not None


@lru_cache(maxsize=1000)
def _pattern(name: str) -> re.Pattern[str]:
    # A name may hold dots; one that ends a sentence is no part of it.
    return re.compile(rf"(?<![\w@.+-])@{re.escape(name)}(?![\w@+-]|\.\w)")
