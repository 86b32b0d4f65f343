"""An OpenAI-compatible server over HTTP: where its paths are, how it refuses, what it does not take.

What a vendor says about a failure goes to the log, with the request's id and without the key; nobody else reads it.
"""

import asyncio
import io
import logging
from types import TracebackType
from typing import Self

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from msgspec import Struct
from yarl import URL

from palaver.bots.completion import Completion, encode_completion, read_refused_field
from palaver.bots.models import decode_models
from palaver.chat.backoff import read_retry_after
from palaver.chat.model import OfferedModel
from palaver.watching import spans

log = logging.getLogger("palaver.bots")

CONNECT_SECONDS = 5.0
MODELS_SECONDS = 5.0
# What is promised is an answer within five seconds: its own way back is part of them.
HEALTH_SECONDS = 4.8

# Answers that another try may change.
PASSING = frozenset({429, 500, 502, 503, 504})

# Answers that a path gives which is not there.
NO_PATH = frozenset({404, 405})

# How much of a vendor's words the log gets, and how long they are waited for.
SHOWN = 500
_TEXT_BYTES = 4096
_TEXT_SECONDS = 2.0

# After [DONE] only the end of the HTTP answer is missing, which most servers send in the same moment.
_SETTLE_SECONDS = 0.1

# Lists of models reach a megabyte (OpenRouter).
_BODY_BYTES = 16 * 1024 * 1024

# From here on aiohttp wants a file, which it sends in parts, so that the loop is not held up.
_LARGE_BODY = 1024 * 1024

_NOTHING: frozenset[str] = frozenset()
_JSON = {"Content-Type": "application/json"}
_OF_THE_SERVER = frozenset({"stream_options", "prompt_cache_key"})


class BadBotOptions(ValueError):
    """Options that cannot work: a sentence for the operator, with what would do."""


class UpstreamFailed(Exception):
    """The server cannot be used just now. Why, in words for the log that go on from "The LLM server …"."""


class Refused(UpstreamFailed):
    """The server answers, and does not do it. `retry_after`: seconds after which it wants to be asked again."""

    def __init__(self, status: int, text: str, retry_after: float | None) -> None:
        super().__init__(f"answers {status}: {text}")
        self.status = status
        self.text = text
        self.retry_after = retry_after

    @property
    def passes(self) -> bool:
        """Whether another try may change it."""
        return self.status in PASSING


class Untold(UpstreamFailed):
    """The server answers, and tells no models."""

    def __init__(self, words: str, status: int = 200) -> None:
        super().__init__(words)
        self.refuses_key = status in (401, 403)


class _Root(Struct, frozen=True):
    """A place where the protocol's paths may begin."""

    models: URL
    completions: URL


class Answer:
    """A reply on its way: bytes as they arrive. Closing it early closes the connection, so that the server stops.

    `failure` is set where it broke off, in words for the log.
    """

    __slots__ = ("_response", "failure")

    def __init__(self, response: ClientResponse) -> None:
        self.failure: str | None = None
        self._response = response

    async def read(self, patience: float | None) -> bytes:
        """What has arrived. Nothing at its end, where it broke off, or where nothing comes for so many seconds."""
        content = self._response.content
        try:
            if patience is None or content.is_eof():
                return await content.readany()
            async with asyncio.timeout(patience):
                return await content.readany()
        except TimeoutError:
            return b""
        except (ClientError, OSError) as error:
            self.failure = _to_words(error)
            # aiohttp would throw away what arrived together with the break; it is part of the reply.
            rest: bytes = content._read_nowait(-1)
            return rest

    async def settle(self) -> None:
        """Waits a moment for the end of a reply that has said all: then the connection can be used again."""
        content = self._response.content
        if content.is_eof():
            return
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                await content.readany()
        except (ClientError, OSError):
            return

    def close(self) -> None:
        self._response.close()


class Upstream:
    """One server, with connections of its own. It is used inside `async with`, or between `open` and `close`."""

    def __init__(self, url: str, *, api_key: str | None = None) -> None:
        self._url = to_url(url)
        self._roots = _to_roots(self._url)
        self._secrets = tuple(filter(None, (api_key, self._url.password)))
        self._left_out: frozenset[str] = _NOTHING
        self._left_out_for: dict[str, frozenset[str]] = {}
        self._headers = {"User-Agent": "palaver", "Accept-Encoding": "identity"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def open(self) -> None:
        """To be called while the loop runs, and `close` once nobody needs it any more."""
        self._session = ClientSession(
            # With aiohttp's own limit the 101st reply would wait for one of the first hundred to end.
            connector=TCPConnector(limit=0),
            cookie_jar=DummyCookieJar(),
            headers=self._headers,
            # Silence is for others to judge, who know what is allowed before the first piece and after.
            timeout=ClientTimeout(total=None, connect=CONNECT_SECONDS),
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def shown_url(self) -> str:
        """Where it is, without secrets."""
        return str(self._url.with_user(None).with_query(None))

    async def complete(self, completion: Completion, request_id: str) -> Answer:
        """The reply to this, from its first byte on. Raises `UpstreamFailed`, mostly `Refused`, where there is none."""
        known = self._left_out | self._left_out_for.get(completion.model, _NOTHING)
        left_out = known
        while True:
            said = await self._ask(encode_completion(completion, left_out), request_id)
            if isinstance(said, Answer):
                if left_out is not known:
                    self._remember(completion.model, left_out)
                return said
            field = read_refused_field(completion, left_out, said.text) if said.status in (400, 422) else None
            if field is None:
                raise said
            self.log_failure(request_id, str(said))
            left_out |= {field}

    async def fetch_models(self) -> tuple[OfferedModel, ...]:
        """The models it offers just now, by name. Raises `UpstreamFailed`."""
        try:
            async with asyncio.timeout(MODELS_SECONDS):
                return await self._fetch_models()
        except TimeoutError:
            raise UpstreamFailed(f"does not tell its models within {MODELS_SECONDS:g} s") from None

    async def is_healthy(self) -> bool:
        """It says so itself, or at least tells its models, within five seconds."""
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                if not await self._says_healthy():
                    await self._fetch_models()
        except (TimeoutError, UpstreamFailed):
            return False
        return True

    def log_failure(self, request_id: str, words: str) -> None:
        """The only place where a vendor's words go."""
        for secret in self._secrets:
            words = words.replace(secret, "(secret)")
        # On one line: what others say must not look like lines of ours.
        shown = " ".join(words[:SHOWN].split())
        who = f"Request {request_id}: the" if request_id else "The"
        log.warning("%s LLM server at %s %s", who, self.shown_url, shown, extra={"request_id": request_id})

    async def _ask(self, body: bytes, request_id: str) -> Answer | Refused:
        """The answer of the first place where there is one; the place that gives a reply is the first from then on."""
        headers = _JSON if not request_id else {**_JSON, "X-Request-Id": request_id}
        if spans.tracing is not None:
            headers = {**headers, **spans.tracing.outgoing()}
        refusals = []
        for root in self._roots:
            said = await self._post(root, body, headers)
            if isinstance(said, Answer):
                self._prefer(root)
                return said
            if said.status not in NO_PATH:
                return said
            refusals.append(said)
        # A model that is not there is a 404 as well, told by the place that is likelier to be right.
        return refusals[0]

    async def _post(self, root: _Root, body: bytes, headers: dict[str, str]) -> Answer | Refused:
        data = body if len(body) < _LARGE_BODY else io.BytesIO(body)
        try:
            response = await self._http.post(root.completions, data=data, headers=headers, allow_redirects=False)
        except (ClientError, OSError) as error:
            raise UpstreamFailed(_to_words(error)) from None
        if response.status == 200:
            return Answer(response)
        retry_after = read_retry_after(response.headers.get("Retry-After"))
        return Refused(response.status, await _read_text(response), retry_after)

    async def _fetch_models(self) -> tuple[OfferedModel, ...]:
        failures = []
        for root in self._roots:
            try:
                models = await self._fetch_models_from(root)
            except UpstreamFailed as error:
                failures.append(error)
            else:
                self._prefer(root)
                return models
        # Where it has no such path it has no opinion of the key either.
        raise next((one for one in failures if isinstance(one, Untold) and one.refuses_key), failures[0])

    async def _fetch_models_from(self, root: _Root) -> tuple[OfferedModel, ...]:
        try:
            async with self._http.get(root.models, allow_redirects=False) as response:
                if response.status != 200:
                    words = f"answers {response.status} for its models: {await _read_text(response)}"
                    raise Untold(words, response.status)
                return decode_models(await _read_at_most(response, _BODY_BYTES))
        except (ClientError, OSError) as error:
            raise UpstreamFailed(_to_words(error)) from None
        except ValueError as error:
            raise Untold(f"tells no list of models: {error}") from None

    async def _says_healthy(self) -> bool:
        try:
            async with self._http.get(self._url / "health", allow_redirects=False) as response:
                return response.status == 200
        except (ClientError, OSError) as error:
            raise UpstreamFailed(_to_words(error)) from None

    @property
    def _http(self) -> ClientSession:
        if self._session is None:
            raise RuntimeError("An Upstream is used once it is open.")
        if self._session.closed:
            # aiohttp's own error for that is none of its others.
            raise UpstreamFailed("is not used any more: it was changed or removed")
        return self._session

    def _prefer(self, root: _Root) -> None:
        if root is not self._roots[0]:
            self._roots = (root, *(other for other in self._roots if other is not root))

    def _remember(self, model: str, left_out: frozenset[str]) -> None:
        """Usage in a stream and the cache's key are a matter of the server, all else one of the model."""
        self._left_out |= left_out & _OF_THE_SERVER
        self._left_out_for[model] = left_out - _OF_THE_SERVER


def to_url(url: str) -> URL:
    """The URL as given, or with `http://` where it has no scheme. Raises `BadBotOptions` for what is none."""
    parsed = URL(url.strip().rstrip("/") if "://" in url else f"http://{url.strip().rstrip('/')}")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        # Not shown as given: it may hold a password.
        raise BadBotOptions(
            "The LLM server's URL cannot be used: it needs a host, as in LLM_SERVER_URL=http://localhost:8001"
        )
    return parsed


def _to_roots(url: URL) -> tuple[_Root, ...]:
    """Where the paths may be, with and without `/v1`, the likelier first.

    Not the other way round: LM Studio answers 200 for paths that it does not have, and nearly all have `/v1`.
    """
    places = (url, url.parent) if url.name == "v1" else (url / "v1", url)
    query = url.query
    return tuple(
        _Root((place / "models").with_query(query), (place / "chat" / "completions").with_query(query))
        for place in places
    )


async def _read_text(response: ClientResponse) -> str:
    """The beginning of what a server says about its refusal."""
    try:
        async with asyncio.timeout(_TEXT_SECONDS):
            return (await _read_at_most(response, _TEXT_BYTES)).decode("utf-8", "replace")
    except (ClientError, OSError, ValueError):
        return ""
    finally:
        response.close()


async def _read_at_most(response: ClientResponse, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size < limit and (data := await response.content.readany()):
        parts.append(data)
        size += len(data)
    return b"".join(parts)[:limit]


def _to_words(error: Exception) -> str:
    # Not `repr`, which for some of aiohttp's errors holds the request with its headers, and so the key.
    return f"cannot be reached or broke off: {type(error).__name__}: {error}"
