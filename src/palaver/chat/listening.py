"""Hearing a reply while it is said: from any position, on any worker, at the listener's own speed.

A listener holds no queue. It has a position in the reply's log and takes what has been said since; so what waits for a
slow one is merged into one piece, and nobody is delayed by it.
"""

import asyncio
from collections.abc import AsyncIterator

from msgspec import Struct

from palaver.chat.errors import BotUnavailable, Draining, NotFound
from palaver.chat.flow import Chat
from palaver.chat.ports import Begun
from palaver.chat.reply import Outcome, RunningReply

# The first piece leaves at once; what comes after it is gathered for a moment, so that a burst is few messages.
GATHER_SECONDS = 0.01


class TextAdded(Struct, frozen=True):
    """What was said up to `position` since the last event."""

    text: str
    position: int


class ReplyEnded(Struct, frozen=True):
    """The reply as it is kept. It comes after all of its text."""

    outcome: Outcome


ReplyEvent = TextAdded | ReplyEnded


async def listen(chat: Chat, begun: Begun, position: int = 0) -> AsyncIterator[ReplyEvent]:
    """What is said after `position`, and last how it ended, whichever worker makes it.

    A position beyond what was said is where the talk now stands. Raises `Draining` where this server goes away and the
    reply is not made here, `NotFound` where it is gone, and `BotUnavailable` where it broke off and is being made anew.
    """
    replies = chat.replies
    reply = begun.turn.reply
    while True:
        running = replies.running(reply.id)
        latest_attempt = (begun if running is None else running.begun).turn.reply.attempt
        if latest_attempt != reply.attempt:
            raise BotUnavailable("interrupted")
        if running is not None:
            position = min(position, running.log.length)
            async for event in _follow(running, position):
                yield event
            return
        if begun.turn.reply.status not in ("queued", "running"):
            rest = begun.turn.reply.content[position:]
            if rest:
                yield TextAdded(rest, position + len(rest))
            yield ReplyEnded(Outcome(begun.turn, begun.exchanges))
            return
        if begun.turn.reply.status == "running":
            kept = await chat.store.turns.kept(reply.id, begun.turn.reply.attempt)
            if len(kept) > position:
                yield TextAdded(kept[position:], len(kept))
                position = len(kept)
        if replies.draining:
            raise Draining
        await replies.wait_for_news(reply.id)
        if replies.running(reply.id) is None:
            latest = await chat.store.turns.get(reply.id)
            if latest is None:
                raise NotFound
            begun = latest


async def _follow(running: RunningReply, position: int) -> AsyncIterator[ReplyEvent]:
    with running.heard_by() as more:
        while True:
            more.clear()
            # Looked at before the text: what is said after this look wakes us again.
            ended = running.done.done()
            text = running.log.since(position)
            if text:
                position += len(text)
                yield TextAdded(text, position)
            if ended:
                outcome = running.done.result()
                # What is kept can be less than was said, where another worker has taken the reply over.
                yield ReplyEnded(outcome)
                return
            await more.wait()
            if not running.done.done() and position:
                await asyncio.sleep(GATHER_SECONDS)
