"""What the stand-in says: the request that it answers, the words, and the pieces in which they leave."""

import re
from functools import lru_cache
from itertools import cycle, islice

import msgspec

from palaver.llm_server.script import Script
from palaver.llm_server.usage import Usage, count_tokens

OVERSIZED_BYTES = 10 * 1024 * 1024

_WORD = re.compile(r"\S+\s*|\s+")
_FILLER = (" and", " so", " it", " goes", " on,", " one", " little", " word", " after", " another,")
# Seventeen digits, which last until a machine has been up for three years, and a blank.
_STAMP_BYTES = 18


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class ChatRequest(msgspec.Struct, frozen=True):
    """What the stand-in reads of a request. Messages stay as they came: most are only counted."""

    model: str
    messages: list[msgspec.Raw]
    stream: bool | None = None
    stream_options: StreamOptions | None = None


class _Part(msgspec.Struct, frozen=True):
    text: str = ""


class _Message(msgspec.Struct, frozen=True):
    role: str
    content: str | list[_Part] | None = None


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """The words of a reply, as the `delta` of each piece and as the one message of an answer that is not streamed."""

    deltas: tuple[bytes, ...]
    message: bytes
    finish_reason: str
    tokens: int


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to a chat request. A `usage` of None is not told; `usage_event` asks for it at a stream's end."""

    number: int
    created: int
    model: str
    said: Said
    usage: Usage | None
    usage_event: bool


_decode_message = msgspec.json.Decoder(_Message).decode


def last_role(messages: list[msgspec.Raw]) -> str:
    return _decode_message(messages[-1]).role if messages else ""


def last_user_text(messages: list[msgspec.Raw]) -> str:
    for raw in reversed(messages):
        message = _decode_message(raw)
        if message.role == "user":
            return _to_text(message.content)
    return ""


def all_texts(messages: list[msgspec.Raw]) -> str:
    return "\n".join(_to_text(_decode_message(raw).content) for raw in messages)


def say(script: Script, heard: str, *, tool_done: bool) -> Said:
    """The words that the script asks for; without any, an echo of what was heard."""
    if script.fault == "empty":
        return _say_text("", "", None, None)
    if script.stamp:
        return _say_stamps(script.pieces or 1)
    if script.tool and not tool_done:
        return _call_tool(script.tool, script.arguments)
    return _say_text(heard, script.text, script.pieces, script.reasoning)


def encode_completion(reply: Reply) -> bytes:
    """The answer to a request that asked for no stream."""
    usage = b',"usage":' + msgspec.json.encode(reply.usage) if reply.usage else b""
    return (
        b'{"id":"chatcmpl-%d","object":"chat.completion","created":%d,"model":%b,"choices":[{"index":0,"message":%b,'
        b'"logprobs":null,"finish_reason":"%b"}]%b}'
    ) % (
        reply.number,
        reply.created,
        msgspec.json.encode(reply.model),
        reply.said.message,
        reply.said.finish_reason.encode(),
        usage,
    )


def to_delta(field: str, value: object) -> bytes:
    return msgspec.json.encode({field: value})


@lru_cache(maxsize=128)
def _say_text(heard: str, text: str | None, pieces: int | None, reasoning: str | None) -> Said:
    words = _echo(heard, pieces) if text is None else _split(text, pieces)
    thoughts = _split(reasoning or "", None)
    message = {
        "role": "assistant",
        "content": "".join(words),
        **({"reasoning_content": reasoning} if reasoning else {}),
    }
    return Said(
        deltas=(
            *(to_delta("reasoning_content", thought) for thought in thoughts),
            *(to_delta("content", word) for word in words),
        ),
        message=msgspec.json.encode(message),
        finish_reason="stop",
        tokens=count_tokens("".join((*thoughts, *words)).encode()),
    )


@lru_cache(maxsize=128)
def _say_stamps(pieces: int) -> Said:
    """A reply whose pieces are stamped when they are sent; not streamed, it is empty."""
    message = msgspec.json.encode({"role": "assistant", "content": ""})
    tokens = count_tokens(b" " * _STAMP_BYTES * pieces)
    return Said(deltas=(b"",) * pieces, message=message, finish_reason="stop", tokens=tokens)


@lru_cache(maxsize=128)
def _call_tool(name: str, arguments: str) -> Said:
    """A call of one tool. Streamed, its name comes first and its arguments in two halves, as vendors do."""
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}
    opening = {"index": 0, **call, "function": {"name": name, "arguments": ""}}
    halves = ({"index": 0, "function": {"arguments": half}} for half in split_evenly(arguments, 2))
    return Said(
        deltas=tuple(to_delta("tool_calls", [part]) for part in (opening, *halves)),
        message=msgspec.json.encode({"role": "assistant", "content": None, "tool_calls": [call]}),
        finish_reason="tool_calls",
        tokens=count_tokens((name + arguments).encode()),
    )


def _echo(heard: str, pieces: int | None) -> list[str]:
    """What was heard, said back; with as many words more as the number of pieces needs."""
    text = f"You said: {heard}" if heard else "You said nothing."
    words = _split(text, None)
    if pieces is None or pieces == len(words):
        return words
    if pieces < len(words):
        return split_evenly(text, pieces)
    return [*words, *islice(cycle(_FILLER), pieces - len(words))]


def _split(text: str, pieces: int | None) -> list[str]:
    return _WORD.findall(text) if pieces is None else split_evenly(text, pieces)


def split_evenly(text: str, pieces: int) -> list[str]:
    """At most so many parts, none of them empty."""
    count = min(pieces, len(text))
    return [text[len(text) * i // count : len(text) * (i + 1) // count] for i in range(count)]


def _to_text(content: str | list[_Part] | None) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.text for part in content or ())
