"""Somebody who is present in a conversation, goes away and comes back; and the many points at which things can happen
while they do."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from palaver.bus import Hub, MemoryBus
from palaver.chat.conversation import Message
from palaver.chat.cursor import Cursor, Mark, decode_cursor
from palaver.chat.events import MessageRead, MessageSaid, ReplyEnded, ReplyStarted, Turned
from palaver.chat.ports import Hear, Present, Since
from palaver.chat.room import Behind, Entry, Heard, Listener, Part, Quiet
from palaver.chat.rooms import Rooms
from palaver.chat.telling import Waker
from palaver.chat.user import Reader
from palaver.store import SqlStore
from palaver.store.events import SqlEvents

At = Callable[[str], Awaitable[None]]


async def settle() -> None:
    """What was published has been heard, and led to whatever it leads to that waits for nothing else."""
    for _ in range(10):
        await asyncio.sleep(0)


class PausingBus(MemoryBus):
    """Says before and after it begins to listen to a channel, and waits for what happens then."""

    def __init__(self, hub: Hub, at: At) -> None:
        super().__init__(hub)
        self._at = at

    async def subscribe(self, channel: str, hear: Hear) -> None:
        kind = channel.partition(":")[0]
        await self._at(f"subscribing to {kind}")
        await super().subscribe(channel, hear)
        await self._at(f"subscribed to {kind}")


class PausingEvents(SqlEvents):
    """Says when it has been asked, and when it has read and not answered yet."""

    at: At

    async def present(self, reader: Reader | None, conversation: str) -> Present:
        await self.at("reading")
        present = await super().present(reader, conversation)
        await self.at("read")
        return present

    async def since(self, reader: Reader | None, conversation: str, mark: Mark) -> Since:
        await self.at("looking back")
        since = await super().since(reader, conversation, mark)
        await self.at("looked back")
        return since


class PausingStore(SqlStore):
    def __init__(self, store: SqlStore, at: At) -> None:
        super().__init__(store.database, store.engine)
        self.events = PausingEvents(store.database)
        self.events.at = at


class LossyBus(MemoryBus):
    """Loses what `loses` says, and hears late what waits in `late`, in whatever order that is then told."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self.loses: Callable[[], bool] = lambda: False
        self.is_late: Callable[[], bool] = lambda: False
        self.late: list[tuple[str, bytes]] = []

    def receive(self, channel: str, data: bytes) -> None:
        if self.loses():
            return
        if self.is_late():
            self.late.append((channel, data))
        else:
            super().receive(channel, data)

    def hear_late(self) -> None:
        late, self.late = self.late, []
        for channel, data in late:
            super().receive(channel, data)

    def tell_of_a_gap(self) -> None:
        self._listeners.tell_of_a_gap()


Told = tuple[str, int]
"""What was told, and of which message by its number."""


@dataclass
class Ear:
    """Goes by its last cursor alone, as a client does; remembers all that it was told since it began anew."""

    reader: Reader
    uuid: str
    since: Mark | None = None
    """The moment from which on it was told everything."""
    cursor: str | None = None
    told: list[Told] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    parts: int = 0
    recovered: list[bool] = field(default_factory=list)
    """For each return whether it went on exactly where it was."""
    _rooms: Rooms | None = None
    _listener: Listener | None = None
    _waker: Waker = field(default_factory=Waker)

    async def come(self, rooms: Rooms) -> None:
        assert self._listener is None
        cursor = None if self.cursor is None else decode_cursor(self.cursor)
        room, missed = await rooms.enter(self.reader, self.uuid, cursor)
        self._rooms, self._listener = rooms, await rooms.listen(room, self._waker, self.reader.user_id)
        if cursor is None:
            telling = room.telling
            self._listener.place(room.mark, None if telling is None else telling.number)
            self._begin(room.mark, None if telling is None else telling.uuid, "")
        else:
            await self._resume(cursor, missed)
        self.cursor = self._listener.cursor

    async def _resume(self, cursor: Cursor | None, missed: Since | None = None) -> None:
        assert self._rooms is not None
        assert self._listener is not None
        recovered = await self._rooms.resume(self.reader, self._listener, cursor, missed)
        self.recovered.append(recovered)
        if not recovered:
            await self._look_anew()

    async def _look_anew(self) -> None:
        """As a snapshot tells it."""
        assert self._rooms is not None
        assert self._listener is not None
        room = self._listener.room
        present = await self._rooms._store.events.present(self.reader, self.uuid)
        if present.reply is None:
            self._listener.place(present.mark)
            self._begin(present.mark, None, "")
            return
        telling = room.telling
        said = telling.log.text() if telling is not None and telling.id == present.reply.id else present.kept
        self._listener.place(present.mark, present.reply.number, len(said))
        self._begin(present.mark, present.reply.uuid, said)

    def _begin(self, mark: Mark, running: str | None, said: str) -> None:
        self.since, self.told = mark, []
        self.texts = {} if running is None else {running: said}

    @property
    def event(self) -> int:
        """The number of the last event that it has heard."""
        assert self._listener is not None
        return self._listener.mark.event

    def leave(self) -> None:
        assert self._rooms is not None
        assert self._listener is not None
        self._rooms.leave(self._listener)
        self._listener = None

    async def hear(self) -> None:
        """All that there is for it now."""
        assert self._rooms is not None
        assert self._listener is not None
        while heard := self._listener.take():
            for one, cursor in heard:
                if isinstance(one, Behind):
                    await self._resume(decode_cursor(self._listener.cursor))
                elif isinstance(one, Entry) and isinstance(one.event, Turned):
                    self.recovered.append(False)
                    await self._look_anew()
                    break
                else:
                    self._note(one)
                    self.cursor = cursor

    async def hear_until(self, done: Callable[[], bool]) -> None:
        """`AssertionError` where it does not hear so much in time."""
        try:
            async with asyncio.timeout(10):
                await self.hear()
                while not done():
                    await self._waker.wait()
                    await self.hear()
        except TimeoutError:
            raise AssertionError(f"it heard only {self.told}, {self.texts}") from None

    def _note(self, heard: Heard) -> None:
        match heard:
            case Part():
                known = self.texts.setdefault(heard.uuid, "")
                assert heard.start == len(known), f"after {len(known)} characters it was told those from {heard.start}"
                assert heard.whole() == known + heard.text
                self.texts[heard.uuid] = known + heard.text
                self.parts += 1
            case Entry(event=MessageSaid() as said):
                self.told.append(("said", said.message.number))
            case Entry(event=ReplyStarted() as started):
                self.told.append(("started", started.message.number))
                self.texts[started.message.uuid] = ""
            case Entry(event=ReplyEnded() as ended):
                self.told.append(("ended", ended.message.number))
                assert self.texts.get(ended.message.uuid, "") == ended.message.content
            case Entry(event=MessageRead() as read):
                self.told.append((f"read by {read.user}", read.mark.event))
            case Quiet(entry=entry):
                assert isinstance(entry.event, ReplyEnded)
                self.told.append(("quiet", entry.event.message.number))


def to_told(messages: Sequence[Message], after: Mark) -> list[Told]:
    """What somebody was to be told of these messages who has heard all up to that moment."""
    told: list[tuple[int, str, int]] = []
    for message in messages:
        if message.role == "user":
            told.append((message.event, "said", message.number))
        else:
            told.append((message.event, "started", message.number))
            told.append((message.end_event - 1, "ended", message.number))
            told.append((message.end_event, "quiet", message.number))
    return [(what, number) for event, what, number in sorted(told) if event > after.event]


def check_heard_everything(ear: Ear, messages: Sequence[Message]) -> None:
    """Exactly what was said since it began, in order, nothing twice; and what it put together is what is kept."""
    assert ear.since is not None
    assert ear.told == to_told(messages, ear.since)
    kept = {message.uuid: message.content for message in messages}
    assert ear.texts == {uuid: kept[uuid] for uuid in ear.texts}
