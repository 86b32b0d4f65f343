"""Hearing one reply while it is said: from any position, on any worker, at the listener's own speed.

A listener holds no queue. It has a position in the reply's log and takes what has been said since; so what waits for a
slow one is merged into one piece, and nobody is delayed by it.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing

from msgspec import Struct

from palaver.chat.conversation import Message
from palaver.chat.ending import why_gone
from palaver.chat.errors import BotUnavailable, Draining, NotFound
from palaver.chat.flow import Chat
from palaver.chat.ports import Begun
from palaver.chat.room import Room
from palaver.chat.telling import Pace, Telling, Waker


class TextSaid(Struct, frozen=True):
    """What was said up to `position` since the last event. `began` is the number under which the reply's start was
    told."""

    text: str
    position: int
    began: int


class Over(Struct, frozen=True):
    """The reply as it is kept. It comes after all of its text."""

    reply: Message


def listen(chat: Chat, begun: Begun, position: int, waker: Waker) -> AsyncGenerator[TextSaid | Over | None, None]:
    """What is said after `position`, and last how it ended, whichever worker makes it. None wherever somebody else has
    called the `waker`.

    Raises `Draining` where this server goes away and the reply is not made here, `Withdrawn` where its prompt was taken
    back, `NotFound` where it is gone with its conversation, and `BotUnavailable` where it broke off and is being made
    anew.
    """
    reply = begun.turn.reply
    telling = chat.replies.telling(reply.id)
    if telling is not None:
        # Handed out as it is: each layer more would be paid for with every piece.
        return _hear(telling, reply.attempt, position, waker, chat.rooms.pace)
    if reply.status in ("queued", "running"):
        return _come_in(chat, begun, position, waker)
    return _read_out(reply, position)


async def _read_out(reply: Message, position: int) -> AsyncGenerator[TextSaid | Over | None, None]:
    for event in _read(reply, reply.attempt, position):
        yield event


async def _come_in(
    chat: Chat, begun: Begun, position: int, waker: Waker
) -> AsyncGenerator[TextSaid | Over | None, None]:
    async with chat.rooms.following(begun.turn.conversation.uuid, waker) as room:
        async for event in _follow(chat, room, begun, position, waker):
            yield event


async def _follow(
    chat: Chat, room: Room, begun: Begun, position: int, waker: Waker
) -> AsyncIterator[TextSaid | Over | None]:
    """A reply that waits for its turn, or that another worker makes."""
    reply, replies = begun.turn.reply, chat.replies
    while True:
        latest = await chat.store.turns.get(reply.id)
        if room.gone:
            raise NotFound
        if latest is None:
            raise await why_gone(chat.store, begun.turn.conversation.uuid)
        if latest.turn.reply.status not in ("queued", "running"):
            for event in _read(latest.turn.reply, reply.attempt, position):
                yield event
            return
        telling = replies.telling(reply.id) or room.telling
        if telling is None or telling.id != reply.id:
            if replies.closing:
                raise Draining
            await waker.wait()
            yield None
            continue
        async with aclosing(_hear(telling, reply.attempt, position, waker, chat.rooms.pace)) as events:
            async for heard in events:
                yield heard
                if isinstance(heard, Over):
                    return
                if heard is not None:
                    position = heard.position
                elif telling.worker is not None and replies.closing:
                    raise Draining
                elif (
                    telling.worker is not None and telling.ended is None and (room.gone or room.telling is not telling)
                ):
                    # Its end was missed here: the store knows of it.
                    break


def _read(reply: Message, attempt: int, position: int) -> Iterator[TextSaid | Over]:
    if reply.attempt != attempt:
        raise BotUnavailable("interrupted")
    rest = reply.content[position:]
    if rest:
        yield TextSaid(rest, position + len(rest), reply.event)
    yield Over(reply)


async def _hear(
    telling: Telling, attempt: int, position: int, waker: Waker, pace: Pace
) -> AsyncGenerator[TextSaid | Over | None, None]:
    """Of one that another worker makes less may be known here than was heard elsewhere: then it is waited for."""
    if telling.attempt != attempt:
        raise BotUnavailable("interrupted")
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
                yield TextSaid(text, position, telling.event)
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
