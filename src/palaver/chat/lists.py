"""Those who look at a person's list of conversations, and hear when it is another now."""

import asyncio
from collections.abc import Collection
from typing import Protocol

from msgspec import DecodeError

from palaver.chat.conversation import Message
from palaver.chat.events import AmongPeople, ListChanged, ReplyUnheard, decode_notice, encode_notice, user_channel
from palaver.chat.ports import Bus
from palaver.chat.user import UserId

READ_AT_ONCE = 4


class ListListener(Protocol):
    def changed(self) -> None:
        """Something in the list is another now."""
        ...

    def reply_ended(self, conversation: str, reply: Message) -> None: ...
    def among_people(self, told: AmongPeople) -> None: ...


class Lists:
    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._listeners: dict[UserId, set[ListListener]] = {}
        self.reading = asyncio.Semaphore(READ_AT_ONCE)
        """For whoever reads a list again: after a gap in the bus all of them do."""

    async def listen(self, owner: UserId, listener: ListListener) -> None:
        first = owner not in self._listeners
        self._listeners.setdefault(owner, set()).add(listener)
        if first:
            await self._bus.subscribe(_channel(owner), lambda data: self._hear(owner, data))

    def leave(self, owner: UserId, listener: ListListener) -> None:
        listeners = self._listeners.get(owner, set())
        listeners.discard(listener)
        if not listeners and self._listeners.pop(owner, None) is not None:
            self._bus.unsubscribe(_channel(owner))

    def changed(self, owner: UserId) -> None:
        self._tell_changed(owner)
        if not self._bus.alone:
            self._bus.publish(_channel(owner), encode_notice(ListChanged()))

    def reply_ended(self, owner: UserId, conversation: str, reply: Message) -> None:
        """The list is another now, and whoever looks at it may not have heard the reply."""
        self._tell_ended(owner, conversation, reply)
        if not self._bus.alone:
            self._bus.publish(_channel(owner), encode_notice(ReplyUnheard(conversation, reply)))

    def among_people(self, to: UserId, told: AmongPeople) -> None:
        self._tell_among_people(to, told)
        if not self._bus.alone:
            self._bus.publish(_channel(to), encode_notice(told))

    def listening(self) -> Collection[UserId]:
        """Those who have their list open here."""
        return self._listeners.keys()

    def _hear(self, owner: UserId, data: bytes | None) -> None:
        try:
            notice = ListChanged() if data is None else decode_notice(data)
        except DecodeError:
            notice = ListChanged()
        if isinstance(notice, ReplyUnheard):
            self._tell_ended(owner, notice.conversation, notice.message)
        elif isinstance(notice, AmongPeople):
            self._tell_among_people(owner, notice)
        else:
            self._tell_changed(owner)

    def _tell_changed(self, owner: UserId) -> None:
        for listener in tuple(self._listeners.get(owner, ())):
            listener.changed()

    def _tell_ended(self, owner: UserId, conversation: str, reply: Message) -> None:
        for listener in tuple(self._listeners.get(owner, ())):
            listener.changed()
            listener.reply_ended(conversation, reply)

    def _tell_among_people(self, owner: UserId, told: AmongPeople) -> None:
        for listener in tuple(self._listeners.get(owner, ())):
            listener.among_people(told)


def _channel(owner: UserId) -> str:
    return user_channel(str(owner))
