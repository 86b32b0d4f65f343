"""The caller's list of conversations over a WebSocket: as it is, whenever it is another, and what ended meanwhile.

With `?marks=1`, which is ours, it is the list as its owner has ordered it (`marks.py`).
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
from starlette.types import Receive, Send

from palaver.api.ai_chat import frames
from palaver.api.ai_chat.marks import show_my_sessions
from palaver.api.ai_chat.sessions import show_sessions
from palaver.api.call import Call, to_time
from palaver.api.socket import Frames, JsonSocket
from palaver.chat.conversation import Message
from palaver.chat.errors import NotFound
from palaver.chat.events import AmongPeople, PersonRead, PersonWrote
from palaver.chat.user import NOT_STORED

# The newest of them; whoever wants the others asks for the next page over HTTP.
SHOWN = 100

# A list that changes all the time is told once in so long; the last state always arrives.
PACE_SECONDS = 1.0

PREVIEW = 120
MOST_WAITING = 100


class ListSocket(JsonSocket):
    commands = frozenset(("refresh_chat_list", "ping"))

    def __init__(self, call: Call, receive: Receive, send: Send) -> None:
        super().__init__(call, receive, send)
        self._owner = NOT_STORED
        self._marks = call.query("marks") == "1"
        self._loop = asyncio.get_running_loop()
        self._dirty = False
        self._told: int | None = None
        self._told_at = 0.0
        self._due: asyncio.TimerHandle | None = None
        self._ended: list[tuple[str, Message]] = []
        self._people: list[AmongPeople] = []

    async def open(self) -> None:
        # A guest who is new is stored now: what it makes from here on belongs into this list.
        self._owner = (await self.call.stored_user()).id
        await self.call.chat.rooms.lists.listen(self._owner, self)
        self._ask()

    def leave(self) -> None:
        self.call.chat.rooms.lists.leave(self._owner, self)
        if self._due is not None:
            self._due.cancel()

    async def handle(self, kind: str, payload: dict[str, Any]) -> None:  # noqa: ARG002 (neither has fields)
        if kind == "ping":
            self.say(frames.PONG)
        else:
            self._ask()

    def _ask(self) -> None:
        """The client is told what there is, whether it is another or not."""
        self._told = None
        self.changed()

    # What it hears of

    def changed(self) -> None:
        self._dirty = True
        if self._due is not None:
            return
        wait = self._told_at + PACE_SECONDS - self._loop.time()
        if wait <= 0:
            self.wake()
        else:
            self._due = self._loop.call_later(wait, self._now)

    def _now(self) -> None:
        self._due = None
        self.wake()

    def reply_ended(self, conversation: str, reply: Message) -> None:
        if reply.content and len(self._ended) < MOST_WAITING:
            self._ended.append((conversation, reply))
            self.wake()

    def among_people(self, told: AmongPeople) -> None:
        # The contract's list knows nothing of what was read elsewhere.
        if isinstance(told, PersonRead) and not self._marks:
            return
        # Of who is slow: the newest say how much is unread.
        self._people = [*self._people[1 - MOST_WAITING :], told]
        self.wake()

    def take(self) -> Frames | Coroutine[Any, Any, Frames]:
        people, self._people = self._people, []
        if people:
            self.wake()
            return [_written(one) if isinstance(one, PersonWrote) else _read(one) for one in people]
        return self._tell_news() if self._ended or self._is_list_due() else []

    def _is_list_due(self) -> bool:
        return self._dirty and self._due is None and self._loop.time() >= self._told_at + PACE_SECONDS

    async def _tell_news(self) -> Frames:
        told = []
        while self._ended:
            conversation, reply = self._ended.pop(0)
            told += await self._notification(conversation, reply)
        if self._is_list_due():
            # Before it is read: what changes while it is read is told again.
            self._dirty = False
            async with self.call.chat.rooms.lists.reading:
                update = msgspec.json.encode(await self._list()).decode()
            self._told_at = self._loop.time()
            if self._dirty:
                self.changed()
            # While the bus is away it may have changed at any time, and mostly has not.
            if hash(update) != self._told:
                self._told = hash(update)
                told.append(update)
        return told

    async def _list(self) -> frames.ListUpdate:
        if self._marks:
            mine = await show_my_sessions(self.call, archived=False, limit=SHOWN, offset=0)
            return frames.ListUpdate(mine.sessions, mine.total)
        return frames.ListUpdate(*await show_sessions(self.call, SHOWN))

    async def _notification(self, conversation: str, reply: Message) -> list[str]:
        """Whoever has the conversation open has heard it."""
        if await self.call.chat.rooms.is_looking(conversation, self._owner):
            return []
        try:
            unread = await self.call.chat.store.events.unread(self.call.reader, conversation)
        except NotFound:
            # It ended because the conversation was put away, or among people who are not to be heard of.
            return []
        told = {
            "type": "notification",
            "kind": "reply",
            "session_id": conversation,
            "message_id": reply.uuid,
            "sender": None,
            "preview": reply.content[:PREVIEW],
            "unread_count": unread,
            "created_at": to_time(reply.created_at),
        }
        return [msgspec.json.encode(told).decode()]


def _written(wrote: PersonWrote) -> str:
    told = {
        "type": "notification",
        "kind": "message",
        "session_id": wrote.conversation,
        "message_id": wrote.message_uuid,
        "sender": {"id": wrote.sender, "username": wrote.sender_name},
        "preview": wrote.preview,
        "unread_count": wrote.unread,
        "created_at": to_time(wrote.created_at),
    }
    return msgspec.json.encode(told).decode()


def _read(read: PersonRead) -> str:
    told = {
        "type": "notification",
        "kind": "read",
        "session_id": read.conversation,
        "message_id": read.message_uuid,
        "unread_count": read.unread,
    }
    return msgspec.json.encode(told).decode()
