"""What one request asks of the stand-in: how to talk and how to fail.

A script is written like a query string, `pieces=200&delay=0.01&fault=stall&after=3`. It may stand in four places, of
which a later one overrules an earlier one field by field: the server's options, `POST /_control`, the model's name
(`gpt-4?fault=500`), and the last user message (`[[fault=500]]`).
"""

import re
from functools import lru_cache
from typing import Annotated, Literal, get_args
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

# "After its pieces": after as many as the script's `after` says. An answer that is not streamed has the fault's nearest
# kin, often in the middle of its body. The ends: "hangs" sends nothing more and keeps the connection open.
#
#   429, 429-retry-after   an error; the second with a Retry-After of `retry_after`
#   500, 503               an error
#   no-first-byte          hangs before the first byte
#   headers-only           hangs after the headers
#   stall                  hangs after its pieces
#   cut                    a clean end after its pieces, no finish_reason, no [DONE]; one body: closed in its middle
#   reset                  resets the connection after its pieces
#   malformed              a line that is no JSON after its pieces, then the rest; one body: no JSON
#   one-byte               every byte is a write of its own
#   crlf                   lines end with CRLF
#   comments               a byte order mark, a comment before each event, no blank after each second `data:`
#   emoji-cut              two halves of a surrogate pair in two events, then the rest; one body: the first half
#   bytes-cut              a character's bytes in two writes, then the rest
#   oversized              a line of 10 MiB, then the rest; one body: a text of 10 MiB
#   error-in-stream        an error as the last event after its pieces; one body: an error with status 200
#   html                   a page with status 200
#   empty                  no text, a proper end
#   wrong-type             a stream with the content type of JSON; one body: with that of plain text
#   no-usage               no usage, though it was asked for
#   reject-stream-options  status 400 if the request has stream_options
#   slow-headers           the head line by line
Fault = Literal[
    "429",
    "429-retry-after",
    "500",
    "503",
    "no-first-byte",
    "headers-only",
    "stall",
    "cut",
    "reset",
    "malformed",
    "one-byte",
    "crlf",
    "comments",
    "emoji-cut",
    "bytes-cut",
    "oversized",
    "error-in-stream",
    "html",
    "empty",
    "wrong-type",
    "no-usage",
    "reject-stream-options",
    "slow-headers",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one answer is given. Times are seconds."""

    pieces: Annotated[int, Meta(ge=1)] | None = None
    delay: Annotated[float, Meta(ge=0)] = 0.0
    first: Annotated[float, Meta(ge=0)] = 0.0
    hold: str | None = None
    """A stream keeps its pieces until they are let go by this name: `POST /_let_go` with
    `{"hold": "name", "pieces": 2}` for two more of each, without `pieces` for all."""
    text: str | None = None
    stamp: bool = False
    """Each piece of a stream says the time at which it was written, `time.monotonic_ns()`, so that a reader on the same
    machine can measure how long it was under way."""
    repeats: bool = False
    """Say back all that was sent, whoever said it, as a model would that keeps nothing to itself."""
    reasoning: str | None = None
    tool: str | None = None
    """Call this tool, unless the conversation already ends with a tool's result."""
    arguments: str = "{}"
    fault: Fault | None = None
    after: Annotated[int, Meta(ge=0)] = 1
    """Pieces that are still sent before a fault in the middle of a stream."""
    retry_after: str = "1"
    times: Annotated[int, Meta(ge=0)] | None = None
    """Only the first so many requests with this script fail; see `key`."""
    key: str | None = None
    """Requests with the same fault and key are counted together, whatever else their scripts say."""


class ScriptInvalid(ValueError):
    """A script names something that does not exist or cannot be."""


_IN_MESSAGE = re.compile(rf"\[\[((?:{'|'.join(Script.__struct_fields__)})=.*?)\]\]", re.DOTALL)


@lru_cache(maxsize=4096)
def read_script(query: str) -> Script:
    """The script that `query` spells; of a field that is given twice, the last one holds."""
    try:
        return msgspec.convert(
            dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))), Script, strict=False
        )
    except ValueError as error:
        raise ScriptInvalid(f"The script {query!r} cannot be followed: {error}") from error


def script_in_model(model: str) -> str:
    """The script that a model's name carries, or an empty one."""
    return model.partition("?")[2]


def script_in_message(text: str) -> str:
    """The script that a user's message carries, or an empty one."""
    if "[[" not in text:
        return ""
    found = _IN_MESSAGE.search(text)
    return found[1] if found else ""
