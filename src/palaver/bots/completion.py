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
    prompt_cache_key: str | UnsetType = UNSET


class _VendorError(Struct, frozen=True):
    param: str | None = None
    code: str | int | None = None


class _Refusal(Struct, frozen=True):
    error: _VendorError | None = None


_WITH_USAGE = StreamOptions(include_usage=True)
_UNSUPPORTED = ("unsupported_parameter", "unsupported_value", "unknown_parameter")

# What a server may never have heard of, and no reply depends on; the likelier to be refused first.
_EXTRAS = ("prompt_cache_key", "stream_options")

# A second system message would be clearer; the templates of many models take only one, and only at the front.
SUMMARY_HEAD = "What was said before, summarised:"

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
        prompt_cache_key=UNSET if prompt.cache_key is None else prompt.cache_key,
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
    `stream_options` or `prompt_cache_key` may say so in any words.
    """
    try:
        error = _decode_refusal(text).error or _VendorError()
    except ValueError:
        error = _VendorError()
    sent = [name for name in completion.__struct_fields__ if getattr(completion, name) is not UNSET]
    optional = set(sent) - left_out - {"model", "messages", "stream"}
    if error.param is None:
        extras = [name for name in _EXTRAS if name in optional]
        return next((name for name in extras if name in text), extras[0] if extras else None)
    field = error.param.partition(".")[0]
    return field if field in optional and (error.code in _UNSUPPORTED or field in _EXTRAS) else None


def _to_messages(prompt: Prompt) -> list[AskedMessage]:
    front = prompt.system
    if prompt.summary:
        summary = f"{SUMMARY_HEAD}\n{prompt.summary}"
        front = f"{front}\n\n{summary}" if front else summary
    messages = [AskedMessage("system", front)] if front else []
    if prompt.pinned:
        messages.append(AskedMessage("system", prompt.pinned))
    messages += [AskedMessage(past.role, past.content) for past in prompt.history]
    # With the new message, not before it: there, too, many templates take no message that nobody has said.
    message = f"{prompt.volatile}\n\n{prompt.message}" if prompt.volatile else prompt.message
    messages.append(AskedMessage(prompt.role, message))
    return messages


def _or_unset(value: float | None) -> float | UnsetType:
    return UNSET if value is None else value
