"""Embeddings without a model: texts that share words, or parts of words, point the same way, and a text always to the
same point. Of meaning they know nothing: a car and an automobile are strangers."""

import re
from base64 import b64encode
from collections.abc import Iterator
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

# Forms of a word, and the parts of a compound, share runs of letters. All runs of a word together weigh as much as it.
_RUN = 4
_PLACES_PER_RUN = 4

# Short words are mostly those that stand in every text.
_SHORT, _WEIGHT_OF_SHORT = 3, 0.3

# As many as OpenAI takes at once.
_MOST_TEXTS = 2048


class EmbeddingsRequest(msgspec.Struct, frozen=True):
    model: str
    input: str | Annotated[list[str | int | list[int]], Meta(min_length=1, max_length=_MOST_TEXTS)]
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
        for place, weight in _places(word, dimensions):
            vector[place] += weight
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
    """What the word adds to which places: about a length of one, or less where it is short."""
    if len(word) <= _SHORT:
        return tuple(_hashed(word, _PLACES_PER_WORD, _WEIGHT_OF_SHORT, dimensions))
    around = f"<{word}>"
    runs = [around[start : start + _RUN] for start in range(len(around) - _RUN + 1)]
    places = list(_hashed(word, _PLACES_PER_WORD, 1.0, dimensions))
    for run in runs:
        places += _hashed(run, _PLACES_PER_RUN, 1 / sqrt(len(runs)), dimensions)
    return tuple(places)


def _hashed(feature: str, places: int, length: float, dimensions: int) -> Iterator[tuple[int, float]]:
    digest = blake2b(feature.encode(), digest_size=4 * places).digest()
    for start in range(0, len(digest), 4):
        number = int.from_bytes(digest[start : start + 4])
        yield number // 2 % dimensions, (length if number % 2 else -length) / sqrt(places)
