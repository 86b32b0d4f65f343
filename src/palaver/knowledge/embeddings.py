"""A server that makes vectors of texts, by `/v1/embeddings`.

What it says about a failure goes to the log alone, and its key nowhere: it is in no repr, error or line of the log.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Self

import msgspec
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from msgspec import Struct
from yarl import URL

from palaver.chat.backoff import Backoff, read_retry_after

log = logging.getLogger("palaver.knowledge")

BATCH = 64
AT_ONCE = 2
SECONDS = 60.0
CONNECT_SECONDS = 5.0

# 64 vectors of 4,096 numbers, written out.
_BODY_BYTES = 16 * 1024 * 1024
MOST_DIMENSIONS = 8192

# Answers that another try may change, those to a path that is not there, and those to texts that are too many or too
# long.
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_NO_PATH = frozenset({404, 405})
_TOO_MUCH = frozenset({400, 413, 422})

# A model takes at least so many characters.
_SHORTEST = 200

_SHOWN = 300

# What every model has a vector for.
HARMLESS = "palaver"

Ask = Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]


class EmbeddingsFailed(Exception):
    """There are no vectors just now. Why, in words for the log that go on from "The embedding server …"."""

    passes = True
    """Whether another try may change it."""
    of_the_texts = False
    """The server is well; it takes no texts as long, or as many."""
    retry_after: float | None = None


class _Refused(EmbeddingsFailed):
    def __init__(self, status: int, text: str, retry_after: float | None) -> None:
        super().__init__(f"answers {status}: {text}")
        self.status = status
        self.passes = status in _PASSING
        self.of_the_texts = status in _TOO_MUCH
        self.retry_after = retry_after


class _TextsRefused(EmbeddingsFailed):
    of_the_texts = True

    def __init__(self) -> None:
        super().__init__("refuses a text")


class EmbeddingOptions(Struct, frozen=True, kw_only=True):
    """Where the server is, with or without /v1, and whose vectors are wanted of it."""

    url: str
    model: str
    key: str | None = None

    def __repr__(self) -> str:
        """Without the key, and without a URL that may hold one."""
        return f"EmbeddingOptions({self.model!r})"


class _Vector(Struct, frozen=True):
    embedding: list[float]
    index: int | None = None


class _Answer(Struct, frozen=True):
    data: list[_Vector]


_DECODER = msgspec.json.Decoder(_Answer)


class EmbeddingServer:
    """It is used inside `async with`."""

    def __init__(self, options: EmbeddingOptions, backoff: Backoff | None = None) -> None:
        url = URL(options.url.rstrip("/"))
        places = (url, url.parent) if url.name == "v1" else (url / "v1", url)
        self.model = options.model
        self._paths = tuple((place / "embeddings").with_query(url.query) for place in places)
        self._secrets = tuple(filter(None, (options.key, url.password)))
        self._headers = {"User-Agent": "palaver", "Content-Type": "application/json"}
        if options.key:
            self._headers["Authorization"] = f"Bearer {options.key}"
        self._backoff = backoff or Backoff(tries=5, base=1.0, cap=30.0, longest_told=60.0)
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = ClientSession(
            connector=TCPConnector(limit=0),
            cookie_jar=DummyCookieJar(),
            headers=self._headers,
            timeout=ClientTimeout(total=SECONDS, connect=CONNECT_SECONDS),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def embed(self, model: str, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """A vector for each, asked for once. Raises `EmbeddingsFailed`."""
        vectors = await _fit(texts, partial(self._ask, model))
        if None in vectors:
            raise _TextsRefused
        return [vector for vector in vectors if vector is not None]

    async def embed_all(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """A vector for each, in batches, and asked for again where that may help. A text that the server refuses, and
        no other, has one that leads nowhere. Raises `EmbeddingsFailed`."""
        places = asyncio.Semaphore(AT_ONCE)

        async def one(batch: Sequence[str]) -> Sequence[Sequence[float] | None]:
            async with places:
                try:
                    return [*await self._ask_patiently(batch)]
                except EmbeddingsFailed as error:
                    if not error.of_the_texts:
                        raise
                # Where it refuses this one too, it is not the texts that are at fault.
                await self._ask_patiently([HARMLESS])
                return await _fit(batch, self._ask_patiently)

        batches = [texts[place : place + BATCH] for place in range(0, len(texts), BATCH)]
        tasks = [asyncio.create_task(one(batch)) for batch in batches]
        try:
            vectors = [vector for vectors in await asyncio.gather(*tasks) for vector in vectors]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if None not in vectors:
            return [vector for vector in vectors if vector is not None]
        log.warning("the embedding server refuses %d texts, which are found by their words alone", vectors.count(None))
        [known] = await self._ask_patiently([HARMLESS])
        return [_nowhere(len(known)) if vector is None else vector for vector in vectors]

    async def _ask_patiently(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        failed = 0
        while True:
            try:
                return await self._ask(self.model, texts)
            except EmbeddingsFailed as error:
                failed += 1
                if not error.passes or failed == self._backoff.tries:
                    raise
                told = error.retry_after
            await self._backoff.sleep(self._backoff.seconds(failed, told))

    async def _ask(self, model: str, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        body = msgspec.json.encode({"model": model, "input": texts})
        try:
            answer = await self._post(body)
        except (ClientError, OSError, TimeoutError) as error:
            # Not its text: that of some holds the address with all that is in it.
            raise EmbeddingsFailed(f"cannot be reached or broke off: {type(error).__name__}") from None
        return read_vectors(answer, len(texts))

    async def _post(self, body: bytes) -> bytes:
        """The answer of the first path where there is one; that path is the first from then on."""
        if self._session is None:
            raise RuntimeError("An EmbeddingServer is used inside `async with`.")
        refusals: list[_Refused] = []
        for path in self._paths:
            async with self._session.post(path, data=body, allow_redirects=False) as response:
                if response.status == 200:
                    self._paths = (path, *(other for other in self._paths if other is not path))
                    return await _read_at_most(response, _BODY_BYTES)
                refusals.append(await self._to_refusal(response))
            if refusals[-1].status not in _NO_PATH:
                raise refusals[-1]
        # A model that is not there is a 404 as well, told by the place that is likelier to be right.
        raise refusals[0]

    async def _to_refusal(self, response: ClientResponse) -> _Refused:
        text = (await response.content.read(_SHOWN)).decode("utf-8", "replace")
        for secret in self._secrets:
            text = text.replace(secret, "(secret)")
        retry_after = read_retry_after(response.headers.get("Retry-After"))
        return _Refused(response.status, " ".join(text.split()), retry_after)


async def _fit(texts: Sequence[str], ask: Ask) -> list[Sequence[float] | None]:
    """What `ask` gives. Of texts that are too many it is asked for half at a time, one that is longer than the model
    takes is known by its beginning, and one that is refused all the same has None."""
    try:
        return [*await ask(texts)]
    except EmbeddingsFailed as error:
        if not error.of_the_texts:
            raise
    if len(texts) == 1:
        return [None] if len(texts[0]) <= _SHORTEST else await _fit([texts[0][: len(texts[0]) // 2]], ask)
    half = len(texts) // 2
    return [*await _fit(texts[:half], ask), *await _fit(texts[half:], ask)]


def read_vectors(answer: bytes, count: int) -> list[list[float]]:
    """So many vectors in the order of their texts, of one size and with numbers that are some. Raises
    `EmbeddingsFailed`."""
    try:
        data = _DECODER.decode(answer).data
    except msgspec.DecodeError as error:
        raise EmbeddingsFailed(f"answers with something else than vectors: {error}") from None
    order = [place if one.index is None else one.index for place, one in enumerate(data)]
    if sorted(order) != list(range(count)):
        raise EmbeddingsFailed(f"gives {len(data)} vectors for {count} texts, or not one for each")
    vectors = [
        vector
        for _, vector in sorted(zip(order, (one.embedding for one in data), strict=True), key=lambda pair: pair[0])
    ]
    sizes = {len(vector) for vector in vectors}
    if len(sizes) != 1 or not 0 < max(sizes) <= MOST_DIMENSIONS:
        raise EmbeddingsFailed("gives vectors of different sizes, or of none")
    # A sum tells of one number in it that is none.
    if not all(math.isfinite(sum(vector)) for vector in vectors):
        raise EmbeddingsFailed("gives vectors with numbers that are infinite or none")
    return [vector if any(vector) else _nowhere(len(vector)) for vector in vectors]


def _nowhere(dimensions: int) -> list[float]:
    """For a text that says nothing a server may give zeros, which have no direction and cannot be compared."""
    return [1.0] + [0.0] * (dimensions - 1)


async def _read_at_most(response: ClientResponse, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while data := await response.content.readany():
        size += len(data)
        if size > limit:
            raise EmbeddingsFailed(f"answers with more than {limit} bytes")
        parts.append(data)
    return b"".join(parts)
