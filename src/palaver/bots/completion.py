"""What is asked of an OpenAI-compatible server: a request for a reply, and how it is worded where one is refused."""

from collections.abc import Set as AbstractSet
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from palaver.chat.pieces import Prompt


class AskedMessage(Struct, frozen=True):
    role: str
    content: str


class StreamOptions(Struct, frozen=True):
    include_usage: bool


class Completion(Struct, frozen=True, omit_defaults=True):
    """A request's body. What is `UNSET` is not sent."""

    model: str
    messages: list[AskedMessage]
    stream: bool
    stream_options: StreamOptions | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    max_tokens: int | UnsetType = UNSET
    max_completion_tokens: int | UnsetType = UNSET
    presence_penalty: float | UnsetType = UNSET
    frequency_penalty: float | UnsetType = UNSET


class _VendorError(Struct, frozen=True):
    param: str | None = None
    code: str | int | None = None


class _Refusal(Struct, frozen=True):
    error: _VendorError | None = None


_WITH_USAGE = StreamOptions(include_usage=True)
_UNSUPPORTED = ("unsupported_parameter", "unsupported_value")

_encode = msgspec.json.Encoder().encode
_decode_refusal = msgspec.json.Decoder(_Refusal).decode


def to_completion(prompt: Prompt, model: str) -> Completion:
    speaking = prompt.speaking
    return Completion(
        model=model,
        messages=_to_messages(prompt),
        stream=True,
        stream_options=_WITH_USAGE,
        temperature=_or_unset(speaking.temperature),
        max_tokens=UNSET if speaking.max_tokens is None else speaking.max_tokens,
        presence_penalty=_or_unset(speaking.presence_penalty),
        frequency_penalty=_or_unset(speaking.frequency_penalty),
    )


def encode_completion(completion: Completion, left_out: AbstractSet[str] = frozenset()) -> bytes:
    """The body's bytes, without the fields that the server does not take."""
    if left_out:
        changed: dict[str, Any] = dict.fromkeys(left_out, UNSET)
        if "max_tokens" in left_out:
            # The newer name, which OpenAI's reasoning models insist on.
            changed["max_completion_tokens"] = completion.max_tokens
        completion = msgspec.structs.replace(completion, **changed)
    return _encode(completion)


def read_refused_field(completion: Completion, left_out: AbstractSet[str], text: str) -> str | None:
    """The field to leave out so that the server may take the request after all; None where nothing would help.

    Vendors are precise about some fields (gpt-5 takes no `max_tokens` and no temperature but 1); a server that knows no
    `stream_options` may say so in any words.
    """
    try:
        error = _decode_refusal(text).error or _VendorError()
    except ValueError:
        error = _VendorError()
    field = error.param or "stream_options"
    if error.code not in _UNSUPPORTED and not field.startswith("stream_options"):
        return None
    field = field.partition(".")[0]
    sent = field not in left_out and getattr(completion, field, UNSET) is not UNSET
    return field if sent and field not in ("model", "messages", "stream") else None


def _to_messages(prompt: Prompt) -> list[AskedMessage]:
    messages = [AskedMessage("system", prompt.system)] if prompt.system else []
    messages += [AskedMessage(past.role, past.content) for past in prompt.history]
    messages.append(AskedMessage(prompt.role, prompt.message))
    return messages


def _or_unset(value: float | None) -> float | UnsetType:
    return UNSET if value is None else value
