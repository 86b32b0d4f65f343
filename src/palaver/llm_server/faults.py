"""How each fault is done, on a stream and on an answer in one piece.

Every text here that a vendor would have written contains `SECRET`: a client of ours must never show it to anyone.
"""

from typing import Literal, assert_never

import msgspec

from palaver.llm_server.replies import OVERSIZED_BYTES, Reply, encode_completion, to_delta
from palaver.llm_server.responses import (
    LAST_CHUNK,
    SECRET,
    to_chunk,
    to_error,
    to_error_response,
    to_head,
    to_json_response,
    to_response,
)
from palaver.llm_server.script import Script
from palaver.llm_server.steps import ARRIVAL, End, Steps, Wait, Write
from palaver.llm_server.streams import Stream, commented, to_crlf_event, to_event

_EMOJI = "😀"
_EMOJI_HALVES = (rb'{"content":"\ud83d"}', rb'{"content":"\ude00"}')
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Four header lines then take a fifth of a second: late enough to be seen as slow, early enough for a test.
_SLOW_LINE = Wait(0.05)


def check_refused(script: Script) -> Steps | None:
    """The answer to a request that is not looked into, or None."""
    match script.fault:
        case "429":
            return _refuse(429, "Rate limit reached", "requests", "rate_limit_exceeded")
        case "429-retry-after":
            retry_after = f"retry-after: {script.retry_after}"
            return _refuse(429, "Rate limit reached", "requests", "rate_limit_exceeded", retry_after)
        case "500":
            return _refuse(500, "The server had an error while processing your request", "server_error", None)
        case "503":
            return _refuse(503, "The engine is currently overloaded", "server_error", "overloaded")
        case "html":
            return _give_page()
        case "no-first-byte":
            return iter((End.HANG,))
        case _:
            return None


def reject_stream_options() -> Steps:
    return _refuse(400, "Unrecognized request argument supplied: stream_options", "invalid_request_error", None)


def give_stream(reply: Reply, script: Script) -> Steps:
    """The reply as server-sent events, with the script's fault."""
    stream = _to_stream(reply, script)
    match script.fault:
        case "headers-only":
            yield Write(stream.head)
            yield End.HANG
        case "stall":
            yield from stream.opening(script.after)
            yield End.HANG
        case "cut":
            yield from stream.opening(script.after)
            yield Write(LAST_CHUNK)
            yield End.FAULTY
        case "reset":
            yield from stream.opening(script.after)
            yield ARRIVAL
            yield End.RESET
        case "error-in-stream":
            yield from stream.opening(script.after)
            yield Write(stream.event(_error_in_stream()) + LAST_CHUNK)
            yield End.FAULTY
        case "malformed" | "emoji-cut" | "bytes-cut" | "oversized":
            yield from stream.opening(script.after)
            yield from _between(stream, script.fault)
            yield from stream.closing(script.after)
        case "one-byte":
            yield from _by_byte(stream.whole())
        case "slow-headers":
            yield from _by_header_line(stream.whole())
        case _:
            yield from stream.whole()


def give_completion(reply: Reply, script: Script) -> Steps:
    """The reply as one JSON body, with the script's fault."""
    match script.fault:
        case "oversized":
            return give_body(_completion_saying(reply, to_delta("content", "x" * OVERSIZED_BYTES)), script)
        case "emoji-cut":
            return give_body(_completion_saying(reply, _EMOJI_HALVES[0]), script)
        case "bytes-cut":
            return give_body(_completion_saying(reply, to_delta("content", _EMOJI)), script)
        case _:
            return give_body(encode_completion(reply), script)


def give_body(body: bytes, script: Script) -> Steps:
    """A JSON body, with the script's fault where it has a meaning for one."""
    head = to_head(200, "application/json", f"content-length: {len(body)}")
    half = body[: len(body) // 2]
    match script.fault:
        case "headers-only":
            yield Write(head)
            yield End.HANG
        case "stall":
            yield Write(head + half)
            yield End.HANG
        case "cut":
            yield Write(head + half)
            yield End.CLOSE
        case "reset":
            yield Write(head + half)
            yield ARRIVAL
            yield End.RESET
        case "malformed":
            yield Write(to_json_response(half + SECRET.encode()))
            yield End.FAULTY
        case "error-in-stream":
            yield Write(to_json_response(_error_in_stream()))
            yield End.FAULTY
        case "bytes-cut":
            yield from _cut_in_emoji(head + body)
        case "one-byte":
            yield from _by_byte(iter((Write(head + body),)))
        case "slow-headers":
            yield from _by_header_line(iter((Write(head + body),)))
        case "wrong-type":
            yield Write(to_response(200, "text/plain", body))
        case _:
            yield Write(head + body)


def _refuse(status: int, message: str, kind: str, code: str | None, *headers: str) -> Steps:
    yield Write(to_error_response(status, f"{message} ({SECRET})", kind, code, *headers))
    yield End.FAULTY


def _give_page() -> Steps:
    page = f"<!doctype html><title>502 Bad Gateway</title><h1>{SECRET}: the gateway is having a moment</h1>\n"
    yield Write(to_response(200, "text/html; charset=utf-8", page.encode()))
    yield End.FAULTY


def _error_in_stream() -> bytes:
    return to_error(f"{SECRET}: upstream worker 7 ran out of memory", "server_error", "internal_error")


def _to_stream(reply: Reply, script: Script) -> Stream:
    match script.fault:
        case "crlf":
            return Stream(reply, script, spell=to_crlf_event)
        case "comments":
            return Stream(reply, script, spell=commented(), front=_BYTE_ORDER_MARK)
        case "wrong-type":
            return Stream(reply, script, content_type="application/json")
        case _:
            return Stream(reply, script)


def _between(stream: Stream, fault: Literal["malformed", "emoji-cut", "bytes-cut", "oversized"]) -> Steps:
    """What comes in the middle of a stream that then goes on as if nothing had been."""
    match fault:
        case "malformed":
            yield Write(stream.event(b'{"choices":[{"index":0,"delta":{"content":"' + SECRET.encode()))
        case "emoji-cut":
            yield Write(b"".join(map(stream.piece, _EMOJI_HALVES)))
        case "bytes-cut":
            first, second = _halve_in_emoji(to_event(stream.data(to_delta("content", _EMOJI))))
            yield Write(to_chunk(first))
            yield ARRIVAL
            yield Write(to_chunk(second))
        case "oversized":
            around = len(to_event(stream.data(to_delta("content", ""))))
            yield Write(stream.piece(to_delta("content", "x" * (OVERSIZED_BYTES - around))))
        case _:
            assert_never(fault)


def _completion_saying(reply: Reply, message: bytes) -> bytes:
    said = msgspec.structs.replace(reply.said, message=b'{"role":"assistant",' + message[1:])
    return encode_completion(msgspec.structs.replace(reply, said=said))


def _halve_in_emoji(data: bytes) -> tuple[bytes, bytes]:
    """Both halves of the data, cut in the middle of the emoji; without one, all of it and nothing."""
    place = data.find(_EMOJI.encode())
    cut = place + 2 if place >= 0 else len(data)
    return data[:cut], data[cut:]


def _cut_in_emoji(data: bytes) -> Steps:
    first, second = _halve_in_emoji(data)
    yield Write(first)
    yield ARRIVAL
    yield Write(second)


def _by_byte(steps: Steps) -> Steps:
    for step in steps:
        if isinstance(step, Write):
            yield from _write_by_byte(step)
        else:
            yield step


def _write_by_byte(write: Write) -> Steps:
    for i in range(len(write.data)):
        yield Write(write.data[i : i + 1])
        yield Wait(0)
    yield Write(b"", pieces=write.pieces)


def _by_header_line(steps: Steps) -> Steps:
    first = next(steps)
    if not isinstance(first, Write):
        raise TypeError("An answer starts with its head.")
    head, end, body = first.data.partition(b"\r\n\r\n")
    for line in (head + end).splitlines(keepends=True):
        yield Write(line)
        yield _SLOW_LINE
    yield Write(body, pieces=first.pieces)
    yield from steps
