"""Hearing one reply while it is said: from any position, on any worker, at the listener's own speed.

A listener holds no queue. It has a position in the reply's log and takes what has been said since; so what waits for a
slow one is merged into one piece, and nobody is delayed by it.
"""

import asyncio
from collections.abc import AsyncGenerator

from msgspec import Struct

from palaver.chat.conversation import Message
from palaver.chat.errors import BotUnavailable, Draining, NotFound
from palaver.chat.flow import Chat
from palaver.chat.ports import Begun
from palaver.chat.telling import Pace, Telling, Waker


class TextSaid(Struct, frozen=True):
    """What was said up to `position` since the last event."""

    text: str
    position: int


class Over(Struct, frozen=True):
    """The reply as it is kept. It comes after all of its text."""

    reply: Message


async def listen(chat: Chat, begun: Begun, position: int, waker: Waker) -> AsyncGenerator[TextSaid | Over | None, None]:
    """What is said after `position`, and last how it ended, whichever worker makes it. None wherever somebody else has
    called the `waker`.

    A position beyond what was said is where the talk now stands. Raises `Draining` where this server goes away and the
    reply is not made here, `NotFound` where it is gone, and `BotUnavailable` where it broke off and is being made anew.
    """
    replies, reply = chat.replies, begun.turn.reply
    telling = replies.telling(reply.id)
    if telling is None and reply.status in ("queued", "running"):
        async with chat.rooms.following(begun.turn.conversation.uuid, waker) as room:
            while True:
                latest = await chat.store.turns.get(reply.id)
                if latest is None:
                    raise NotFound
                reply = latest.turn.reply
                telling = replies.telling(reply.id) or room.telling
                if telling is not None and telling.id != reply.id:
                    telling = None
                if telling is not None or reply.status not in ("queued", "running"):
                    break
                if replies.closing:
                    raise Draining
                await waker.wait()
                yield None
            if telling is not None and telling.worker is not None:
                async for event in _hear(telling, begun.turn.reply.attempt, position, waker, chat.rooms.pace):
                    yield event
                    if isinstance(event, TextSaid):
                        position = event.position
                    elif event is None and replies.closing:
                        raise Draining
                return
    if telling is not None:
        async for event in _hear(telling, begun.turn.reply.attempt, position, waker, chat.rooms.pace):
            yield event
        return
    if reply.attempt != begun.turn.reply.attempt:
        raise BotUnavailable("interrupted")
    rest = reply.content[position:]
    if rest:
        yield TextSaid(rest, position + len(rest))
    yield Over(reply)


async def _hear(
    telling: Telling, attempt: int, position: int, waker: Waker, pace: Pace
) -> AsyncGenerator[TextSaid | Over | None, None]:
    if telling.attempt != attempt:
        raise BotUnavailable("interrupted")
    position = min(position, telling.log.length)
    clock = asyncio.get_running_loop().time
    said_at = 0.0
    with telling.waking(waker):
        while True:
            # Looked at before the text: what is said after this look wakes us again.
            ended = telling.ended
            text = telling.log.since(position)
            if text:
                position += len(text)
                said_at = clock()
                yield TextSaid(text, position)
            if ended is not None:
                # What is kept can be less than was said, where another worker has taken the reply over.
                yield Over(ended)
                return
            if not text:
                yield None
            await waker.wait()
            wait = said_at + pace.seconds - clock()
            if wait > 0 and telling.ended is None:
                until = clock() + wait
                await asyncio.sleep(wait)
                pace.learn(clock() - until)
