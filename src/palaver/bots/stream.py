"""What an OpenAI-compatible server says in a stream: bytes in, pieces out.

No network here. What one read held is given out as one piece of text, so that a burst costs little.
"""

import json
from typing import Any, Literal

import msgspec
from msgspec import Struct

from palaver.bots.characters import join_halves, to_plain, without_nul
from palaver.bots.sse import EventSplitter, EventTooLarge
from palaver.chat.conversation import Usage
from palaver.chat.pieces import Finished, Piece, Reasoning, Text


class _Delta(Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(Struct):
    choices: list[_Choice] | None = None
    id: str | int | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


class _CachedTokens(Struct):
    cached_tokens: int | None = None


class _Usage(Struct):
    prompt_tokens: int
    completion_tokens: int = 0
    prompt_tokens_details: _CachedTokens | None = None
    prompt_cache_hit_tokens: int = 0


Reason = Literal["stop", "length", "tool_calls", "content_filter"]

_REASONS: dict[str, Reason] = {
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}

# Marks by which OpenRouter, vLLM and DeepSeek say that they have not finished.
_BROKEN = frozenset({"error", "abort", "insufficient_system_resource"})

_DONE = b"[DONE]"
_TOO_LARGE = "sends an event that is too large"
_SHOWN = 500

_decode = msgspec.json.Decoder(_Chunk).decode


class CompletionStream:
    """One reply as it arrives.

    `finish_reason` is the model's word that it said all; what may follow is the usage and `done`, the stream's own end.
    `failure` says why nothing more can come of it, in words for the log.
    """

    __slots__ = (
        "_chunk", "_events", "_first", "_halved", "_held", "_kind", "_texts", "_usage",
        "done", "failure", "finish_reason",
    )  # fmt: skip

    def __init__(self) -> None:
        self.done = False
        self.failure: str | None = None
        self._events = EventSplitter()
        self._first = b""
        self._chunk: _Chunk | None = None
        self._usage: dict[str, Any] | None = None
        self.finish_reason: str | None = None
        self._kind: type[Text | Reasoning] = Text
        self._texts: list[str] = []
        self._halved = False
        self._held: dict[type[Text | Reasoning], str] = {}

    @property
    def ended(self) -> bool:
        return self.done or self.failure is not None

    def feed(self, data: bytes) -> list[Piece]:
        """What these bytes say. Neighbouring texts are one."""
        if self._chunk is None:
            self._first = self._first or data[:_SHOWN]
        try:
            events = self._events.feed(data)
        except EventTooLarge:
            self.failure = _TOO_LARGE
            return []
        return self._read(events) if events else []

    def finish(self) -> list[Piece]:
        """What the end leaves over: a last event without its blank line, and halves of characters."""
        pieces = [] if self.ended else self._read(self._last_events())
        if self._chunk is None and not self.ended:
            self.failure = f"gives no reply but {self._first!r}"
        return pieces + [kind("\ufffd") for kind, held in self._held.items() if held]

    def finished(self) -> Finished | None:
        """The model's own word that it has said all; None where it did not give it."""
        reason, chunk = self.finish_reason, self._chunk
        if reason is None or chunk is None:
            return None
        details: dict[str, Any] = {"id": chunk.id, "model": chunk.model, "finish_reason": reason, "usage": self._usage}
        if self._halved:
            details = json.loads(to_plain(json.dumps(details, ensure_ascii=False)))
        return Finished(
            reason=_REASONS.get(reason, "stop"),
            details=details,
            usage=None if self._usage is None else _to_usage(self._usage),
            model=details["model"],
        )

    def _last_events(self) -> list[bytes]:
        try:
            event = self._events.finish()
        except EventTooLarge:
            self.failure = _TOO_LARGE
            return []
        # One that was cut off says nothing, and is no fault of its own.
        return [event] if event is not None and event.endswith((b"}", _DONE)) else []

    def _read(self, events: list[bytes]) -> list[Piece]:
        pieces: list[Piece] = []
        for event in events:
            delta = self._read_event(event)
            if delta is not None:
                if thought := delta.reasoning_content or delta.reasoning:
                    self._add(Reasoning, thought, pieces)
                if text := delta.content:
                    self._add(Text, text, pieces)
            elif self.ended:
                break
        if self._texts:
            self._say(pieces)
        return pieces

    def _read_event(self, event: bytes) -> _Delta | None:
        if event == _DONE:
            self.done = True
            return None
        try:
            chunk = _decode(event)
        except ValueError:
            lenient = self._decode_leniently(event)
            if lenient is None:
                return None
            chunk = lenient
        if chunk.error is not None:
            self.failure = f"tells an error in the stream: {chunk.error}"
            return None
        return self._read_chunk(chunk)

    def _read_chunk(self, chunk: _Chunk) -> _Delta | None:
        if chunk.usage is not None:
            self._usage = chunk.usage
        if not chunk.choices:
            return None
        self._chunk = chunk
        choice = chunk.choices[0]
        if choice.finish_reason in _BROKEN:
            self.failure = f"did not finish but says {choice.finish_reason}"
            return None
        if choice.finish_reason:
            self.finish_reason = choice.finish_reason
        return choice.delta

    def _decode_leniently(self, event: bytes) -> _Chunk | None:
        """Half an emoji, escaped or as raw bytes, is no JSON by the book, and yet what some servers send."""
        try:
            chunk = msgspec.convert(json.loads(event.decode("utf-8", "replace")), _Chunk)
        except (ValueError, RecursionError) as error:
            self.failure = f"sends an event that is no chunk of a completion ({error}): {event[:_SHOWN]!r}"
            return None
        self._halved = True
        return chunk

    def _add(self, kind: type[Text | Reasoning], text: str, pieces: list[Piece]) -> None:
        if kind is not self._kind:
            self._say(pieces)
            self._kind = kind
        self._texts.append(text)

    def _say(self, pieces: list[Piece]) -> None:
        text = "".join(self._texts)
        self._texts.clear()
        if self._halved:
            text, self._held[self._kind] = join_halves(self._held.get(self._kind, "") + text)
        if text:
            pieces.append(self._kind(without_nul(text)))


def _to_usage(told: dict[str, Any]) -> Usage | None:
    try:
        usage = msgspec.convert(told, _Usage, strict=False)
    except msgspec.ValidationError:
        return None
    cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else None
    return Usage(usage.prompt_tokens, usage.completion_tokens, cached or usage.prompt_cache_hit_tokens)
