"""Server-sent events: whole, in ASCII, with a heartbeat, and ended when the one who listens may no longer hear."""

import asyncio
import json
from collections.abc import AsyncIterator

from palaver.api.call import Call
from palaver.api.who import identify
from palaver.chat.accounts import WrongCredentials
from palaver.chat.listening import ReplyEvent

HEARTBEAT_SECONDS = 15.0

# Revoking a token ends open streams within two seconds.
LOOK_SECONDS = 1.0

HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    # nginx would keep pieces back otherwise.
    (b"x-accel-buffering", b"no"),
)

HEARTBEAT = b":\n\n"


def encode_event(data: dict[str, object], event_id: str | None = None) -> bytes:
    """One event in one piece. JSON in ASCII cannot be cut inside a character by whoever reads byte by byte."""
    line = f"data: {json.dumps(data)}\n\n"
    return (f"id: {event_id}\n{line}" if event_id is not None else line).encode()


async def paced(call: Call, events: AsyncIterator[ReplyEvent]) -> AsyncIterator[ReplyEvent | None]:
    """The events, with None wherever a heartbeat is due. Ends without a further event once the caller is shut out."""
    loop = asyncio.get_running_loop()
    coming = asyncio.ensure_future(anext(events, None))
    looked = quiet_since = loop.time()
    try:
        while True:
            await asyncio.wait({coming}, timeout=LOOK_SECONDS)
            now = loop.time()
            if now - looked >= LOOK_SECONDS:
                looked = now
                if not await _may_still_hear(call):
                    return
            if coming.done():
                event = coming.result()
                if event is None:
                    return
                quiet_since = now
                yield event
                coming = asyncio.ensure_future(anext(events, None))
            elif now - quiet_since >= HEARTBEAT_SECONDS:
                quiet_since = now
                yield None
    finally:
        coming.cancel()


async def _may_still_hear(call: Call) -> bool:
    try:
        identity = await identify(call, "caller")
    except WrongCredentials:
        return False
    except OSError:
        # The store does not answer just now. That shuts nobody out; the next look will tell.
        return True
    # A session that runs out leaves a mere guest behind where guests are let in.
    return identity.caller.user.kind == call.user.kind
