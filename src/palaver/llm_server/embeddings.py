"""Embeddings without a model: texts that share words point the same way, and a text always to the same point."""

import re
from base64 import b64encode
from functools import lru_cache
from hashlib import blake2b
from math import sqrt
from struct import pack
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from palaver.llm_server.usage import count_tokens

_WORD = re.compile(r"\w+")
# With one place a word, two words of a text would meet in 384 places often enough to make strangers look alike.
_PLACES_PER_WORD = 8


class EmbeddingsRequest(msgspec.Struct, frozen=True):
    model: str
    input: str | list[str | int | list[int]]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1)] | None = None


class _Embedding(msgspec.Struct, frozen=True):
    index: int
    embedding: list[float] | str
    object: str = "embedding"


class _EmbeddingsUsage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    total_tokens: int


class _Embeddings(msgspec.Struct, frozen=True):
    data: list[_Embedding]
    model: str
    usage: _EmbeddingsUsage
    object: str = "list"


def embed(text: str, dimensions: int) -> list[float]:
    """A vector of length one."""
    vector = [0.0] * dimensions
    for word in _WORD.findall(text.casefold()):
        for place, sign in _places(word, dimensions):
            vector[place] += sign
    length = sqrt(sum(value * value for value in vector))
    if not length:
        return [1.0] + [0.0] * (dimensions - 1)
    return [value / length for value in vector]


def encode_embeddings(asked: EmbeddingsRequest, dimensions: int) -> bytes:
    texts = _texts(asked.input)
    tokens = sum(count_tokens(text.encode()) for text in texts)
    vectors = (embed(text, asked.dimensions or dimensions) for text in texts)
    spell = _to_base64 if asked.encoding_format == "base64" else _to_numbers
    data = [_Embedding(index=index, embedding=spell(vector)) for index, vector in enumerate(vectors)]
    return msgspec.json.encode(_Embeddings(data=data, model=asked.model, usage=_EmbeddingsUsage(tokens, tokens)))


def _texts(given: str | list[str | int | list[int]]) -> list[str]:
    """The texts that were given; token numbers are words of their own."""
    if isinstance(given, str):
        return [given]
    if given and all(isinstance(item, int) for item in given):
        return [_from_tokens(given)]
    return [item if isinstance(item, str) else _from_tokens(item) for item in given]


def _from_tokens(tokens: object) -> str:
    return " ".join(map(str, tokens)) if isinstance(tokens, list) else str(tokens)


def _to_numbers(vector: list[float]) -> list[float] | str:
    return vector


def _to_base64(vector: list[float]) -> list[float] | str:
    return b64encode(pack(f"<{len(vector)}f", *vector)).decode()


@lru_cache(maxsize=50_000)
def _places(word: str, dimensions: int) -> tuple[tuple[int, float], ...]:
    digest = blake2b(word.encode(), digest_size=4 * _PLACES_PER_WORD).digest()
    numbers = (int.from_bytes(digest[start : start + 4]) for start in range(0, len(digest), 4))
    return tuple((number // 2 % dimensions, 1.0 if number % 2 else -1.0) for number in numbers)
