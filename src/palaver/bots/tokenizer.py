"""Exact counts of tokens where the extra `palaver[tokens]` is installed, which brings its vocabularies with it."""

import asyncio
import importlib
import logging
from collections.abc import Callable
from importlib.util import find_spec

from palaver.chat.tokens import Tokens

log = logging.getLogger("palaver.bots")

PACKAGE = "bpe_openai"

# OpenAI's since gpt-4o. Others are near it, and what their servers report sets it right.
VOCABULARY = "o200k_base"


async def use_tokenizer(tokens: Tokens) -> None:
    """Has texts counted exactly from the moment the vocabulary is there; it takes half a second, in a thread."""
    if find_spec(PACKAGE) is None:
        return
    try:
        count = await asyncio.to_thread(load_tokenizer)
    except Exception:
        # Another version of somebody else's package; estimates do as well.
        log.exception("Tokens are estimated: %s cannot be used", PACKAGE)
        return
    tokens.use(count)


def load_tokenizer() -> Callable[[str], int]:
    """A count that does not fail, whatever the text. Raises whatever the package raises where it cannot be used."""
    encode = importlib.import_module(PACKAGE).get_encoding(VOCABULARY).encode_ordinary

    def count(text: str) -> int:
        return len(encode(text))

    count("The first text has the vocabulary loaded.")
    return count
