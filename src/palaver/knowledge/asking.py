"""The vectors of questions: of the model whose vectors are searched, remembered, and never waited for long."""

import asyncio
import logging
import time
from array import array
from collections.abc import Callable, Sequence
from typing import Protocol

from palaver.chat.knowledge import Embedding
from palaver.knowledge.embeddings import EmbeddingsFailed

log = logging.getLogger("palaver.knowledge")

# How long a question waits for its vector before it is answered by words alone.
PATIENCE_SECONDS = 1.5

# A server that failed is left alone for so long: not every question is to wait for it.
REST_SECONDS = 15.0

REMEMBERED = 512


class Embeds(Protocol):
    async def embed(self, model: str, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """A vector for each. Raises `EmbeddingsFailed`."""
        ...


class Searched(Protocol):
    async def embedding(self) -> Embedding | None: ...


class AskedVectors:
    def __init__(self, passages: Searched, embeds: Embeds, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._passages = passages
        self._embeds = embeds
        self._monotonic = monotonic
        self._known: dict[tuple[str, str], Sequence[float]] = {}
        self._rests_until = 0.0
        self._fails = False

    async def of(self, texts: Sequence[str]) -> Sequence[Sequence[float] | None]:
        """One for each; None where there is none in time, or none are searched."""
        current = await self._passages.embedding()
        if current is None:
            return [None] * len(texts)
        missing = [text for text in dict.fromkeys(texts) if (current.model, text) not in self._known]
        if missing and self._monotonic() >= self._rests_until:
            await self._fetch(current, missing)
        return [self._look_up(current, text) for text in texts]

    async def _fetch(self, current: Embedding, texts: Sequence[str]) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                vectors = await self._embeds.embed(current.model, texts)
            if any(len(vector) != current.dimensions for vector in vectors):
                raise EmbeddingsFailed(f"gives vectors of another size than the {current.dimensions} that are kept")
        except (EmbeddingsFailed, TimeoutError) as error:
            if isinstance(error, EmbeddingsFailed) and error.of_the_texts:
                # One long question is not to leave those of others without their vectors.
                return
            self._rests_until = self._monotonic() + REST_SECONDS
            if not self._fails:
                why = f"says nothing within {PATIENCE_SECONDS:g} s" if isinstance(error, TimeoutError) else str(error)
                log.warning("questions are answered by words alone: the embedding server %s", why)
            self._fails = True
            return
        if self._fails:
            log.info("questions have vectors again")
        self._fails = False
        for text, vector in zip(texts, vectors, strict=True):
            self._keep((current.model, text), vector)

    def _look_up(self, current: Embedding, text: str) -> Sequence[float] | None:
        key = (current.model, text)
        vector = self._known.pop(key, None)
        if vector is not None:
            # What was asked last goes last.
            self._known[key] = vector
        return vector

    def _keep(self, key: tuple[str, str], vector: Sequence[float]) -> None:
        if len(self._known) >= REMEMBERED:
            del self._known[next(iter(self._known))]
        # An eighth of what a list of floats takes.
        self._known[key] = array("f", vector)
