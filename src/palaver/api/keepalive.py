"""`/ws/keepalive`: a socket that only says that the server is there. Open to everybody, and hears nobody."""

import asyncio
import time

import msgspec
from msgspec import Struct
from starlette.types import Message, Receive, Send

from palaver.api.call import Call
from palaver.api.socket import may_stay

PING_SECONDS = 30.0
MOST_BYTES = 64 * 1024

TOO_BIG = 1009


class Ping(Struct):
    timestamp: str
    type: str = "ping"
    status: str = "alive"
    service: str = "palaver"


async def keepalive(call: Call, receive: Receive, send: Send, *, seconds: float = PING_SECONDS) -> None:
    """A ping at once and every `seconds`, until the client leaves, says too much, or the server closes."""
    await receive()
    headers = [(b"x-request-id", call.request_id.encode())]
    if not await may_stay(call, send, headers, None):
        return
    await send({"type": "websocket.accept", "headers": headers})
    clock = asyncio.get_running_loop().time
    try:
        while True:
            await send({"type": "websocket.send", "text": _ping()})
            try:
                # One task does both: a second one would cost every idle socket some KiB.
                async with asyncio.timeout_at(clock() + seconds):
                    code = await _wait_for_the_end(receive)
            except TimeoutError:
                continue
            if code is not None:
                await send({"type": "websocket.close", "code": code})
            return
    except OSError:
        # The client went away while it was spoken to.
        return


async def _wait_for_the_end(receive: Receive) -> int | None:
    """Listens without heed. Gives the code to close with; None where it is closed already."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return None
        if _is_too_big(message):
            return TOO_BIG


def _is_too_big(message: Message) -> bool:
    text: str = message.get("text") or ""
    data: bytes = message.get("bytes") or b""
    return len(data) > MOST_BYTES or len(text) > MOST_BYTES or len(text.encode()) > MOST_BYTES


def _ping() -> str:
    return msgspec.json.encode(Ping(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))).decode()
