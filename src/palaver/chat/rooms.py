"""All rooms of this worker, and their ties to the other workers over the bus.

What happens here is told to the room here at once, and published for rooms elsewhere. A reply's text is published only
while somebody elsewhere has asked for it. The bus may lose what it likes: rooms notice what is missing by its number
and read it from the store.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from msgspec import DecodeError
from msgspec.structs import replace

from palaver.chat.citing import cite
from palaver.chat.conversation import Message, MessageId
from palaver.chat.cursor import Cursor, Mark
from palaver.chat.errors import NotFound
from palaver.chat.events import (
    Dropped,
    Gone,
    Lasting,
    MessageRead,
    MessageSaid,
    ReplyEnded,
    ReplyStarted,
    StopWanted,
    TextAdded,
    TextWanted,
    Turned,
    Typing,
    conversation_channel,
    decode_notice,
    encode_notice,
    looking_channel,
    open_channel,
    worker_channel,
)
from palaver.chat.last_words import LastWords
from palaver.chat.lists import Lists
from palaver.chat.ports import Begun, Bus, Since, Store
from palaver.chat.relay import Relay
from palaver.chat.room import Listener, Room, is_kept, to_events
from palaver.chat.telling import Pace, Telling, Wake
from palaver.chat.user import NOT_STORED, Reader, UserId

log = logging.getLogger("palaver.rooms")

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# Whoever comes back within it finds the room as it was, and asks the store nothing.
LINGER_SECONDS = 60.0
MOST_LINGERING = 20_000

WATCH_SECONDS = 1.0

# Who makes a reply goes on telling it elsewhere as long as it is asked again.
ASK_AGAIN_SECONDS = 3.0

READ_AT_ONCE = 4

# A worker that makes a reply answers at once; one that is gone never does.
ANSWER_SECONDS = 0.5

# So often whoever comes back with more of a reply than is known here has it asked for, before that is not believed.
ASKED_TIMES = 4


class Rooms:
    def __init__(self, *, store: Store, bus: Bus, worker: str, polls: bool = False) -> None:
        """`polls`: other servers share the store and no bus; what they make is looked for there."""
        self._store = store
        self._polls = polls
        self._bus = bus
        self._worker = worker
        self._rooms: dict[str, Room] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._relays: dict[MessageId, Relay] = {}
        self._last_words = LastWords(bus)
        # While the bus is away all rooms look into the store; the database is to notice as little as possible.
        self._reading = asyncio.Semaphore(READ_AT_ONCE)
        self.lists = Lists(bus)
        self.pace = Pace()
        self.find_here: Callable[[MessageId], Telling | None] = lambda _reply: None
        """The reply, if it is made in this worker."""
        self.stop_here: Callable[[MessageId], object] = lambda _reply: None

    async def start(self) -> None:
        """From here on other workers reach this one."""
        await self._bus.subscribe(worker_channel(self._worker), self._hear_for_worker)

    # What happens here

    def tell(self, uuid: str, event: Lasting, telling: Telling | None = None) -> None:
        """Tells all who are present, on every worker, what was committed here."""
        room = self._rooms.get(uuid)
        if room is not None and not room.hear(event, telling):
            self._resync(room)
        if not self._bus.alone:
            self._bus.publish(conversation_channel(uuid), encode_notice(event))

    def pass_on(self, uuid: str, event: Typing | Dropped | Gone) -> None:
        """Tells all who are present just now."""
        room = self._rooms.get(uuid)
        if room is not None:
            self._pass_on(room, event)
        if not self._bus.alone:
            self._bus.publish(conversation_channel(uuid), encode_notice(event))

    def tell_worker_to_stop(self, worker: str | None, reply_id: MessageId) -> None:
        if worker is not None and not self._bus.alone:
            self._bus.publish(worker_channel(worker), encode_notice(StopWanted(reply_id)))

    async def is_open(self, uuid: str) -> bool:
        """Whether anybody has the conversation open, on whichever worker."""
        room = self._rooms.get(uuid)
        if room is not None and room.sockets:
            return True
        return not self._bus.alone and await self._bus.count(open_channel(uuid)) > 0

    async def is_looking(self, uuid: str, user: UserId) -> bool:
        """Whether this one has the conversation open, on whichever worker. One with a bot only its owner has open."""
        room = self._rooms.get(uuid)
        if room is not None and room.shows_to(user):
            return True
        if self._bus.alone:
            return False
        return (
            await self._bus.count(looking_channel(uuid, str(user))) > 0 or await self._bus.count(open_channel(uuid)) > 0
        )

    # Coming in and going out

    async def enter(self, reader: Reader, uuid: str, cursor: Cursor | None = None) -> tuple[Room, Since | None]:
        """Raises `NotFound`. Asks the store once, and nothing where the room is there.

        Where it is asked it is asked as well what came since the cursor: `resume` needs no look of its own then.
        """
        while True:
            room = self._rooms.get(uuid)
            if room is None:
                return await self._make(reader, uuid, cursor)
            if room.opened is not None:
                await asyncio.wait([room.opened])
                continue
            if room.is_of_people:
                # People come and go: who is in it is only known where it is kept.
                await self._store.connections.check(reader.user_id, uuid)
            elif not room.admits(reader):
                raise NotFound
            return room, None

    async def listen(self, room: Room, wake: Wake, user: UserId = NOT_STORED) -> Listener:
        """`user`: who it is, for a room of people. Raises `NotFound` for who is not in it any more."""
        # In the room before anything is waited for: an empty one may be forgotten meanwhile, and then hears nothing.
        listener = Listener(room, wake, user)
        try:
            channel = self._open_channel(listener)
            if channel not in room.announced and not self._bus.alone:
                room.announced = (*room.announced, channel)
                await self._bus.subscribe(channel, lambda _data: None)
            listener.place(room.mark)
            if room.is_of_people:
                # From here on it hears of it when this one is removed; that may have been told before.
                await self._store.connections.check(user, room.uuid)
        except BaseException:
            self.leave(listener)
            raise
        self._want_text(room)
        return listener

    def leave(self, listener: Listener) -> None:
        listener.leave()
        room = listener.room
        channel = self._open_channel(listener)
        if channel in room.announced and not room.shows_to(listener.user):
            room.announced = tuple(other for other in room.announced if other != channel)
            self._bus.unsubscribe(channel)
        self._rest(room)

    def _open_channel(self, listener: Listener) -> str:
        room = listener.room
        return looking_channel(room.uuid, str(listener.user)) if room.is_of_people else open_channel(room.uuid)

    async def resume(
        self, reader: Reader, listener: Listener, cursor: Cursor | None, found: Since | None = None
    ) -> bool:
        """Whether the listener goes on exactly at the cursor. If not it stays where it is. `found` is what `enter` has
        told this reader. Raises `NotFound`."""
        room = listener.room
        if cursor is None or not room.uuid.startswith(cursor.conversation):
            return False
        if room.covers(cursor.mark):
            if not await self._is_said(room, cursor) or not is_kept(room.told_after(cursor.mark), cursor):
                return False
            listener.resume(cursor)
            return True
        if found is None:
            found = await self._since(None, room.uuid, cursor.mark, sees=reader)
        if not found.known or not is_kept(to_events(found, cursor.mark), cursor):
            return False
        if not await self._is_said(room, cursor):
            return False
        listener.resume_by(found, cursor)
        return True

    async def _since(self, reader: Reader | None, uuid: str, mark: Mark, *, sees: Reader | None = None) -> Since:
        """Its sources as `sees` does to whom it is told; what is told to all who are present, as its owner does: each
        frame is made once for all of them. Raises `NotFound`."""
        found = await self._store.events.since(reader, uuid, mark)
        sees = sees or Reader(found.present.conversation.owner_id)
        messages = await cite(self._store.passages, sees, found.messages)
        return found if messages is found.messages else replace(found, messages=messages)

    async def _is_said(self, room: Room, cursor: Cursor) -> bool:
        telling = room.telling
        if telling is None or telling.number != cursor.reply or cursor.position is None:
            return True
        return await self._has_said(room, telling, cursor.position)

    async def is_said(self, uuid: str, begun: Begun, position: int) -> bool:
        """Whether so much was said of a reply that runs or waits. Raises `NotFound`."""
        reply = begun.turn.reply
        here = self.find_here(reply.id)
        if here is not None or not position:
            return here is None or here.log.length >= position
        async with self.following(uuid, lambda: None) as room:
            telling = room.telling
            if telling is None or (telling.id, telling.attempt) != (reply.id, reply.attempt):
                # It has just ended, or its start is not known here yet: nothing speaks against it.
                return True
            return await self._has_said(room, telling, position)

    async def _has_said(self, room: Room, telling: Telling, position: int) -> bool:
        """Elsewhere it may just have been said, and not be known here yet."""
        if telling.log.length >= position:
            return True
        if telling.worker is None:
            return False
        heard = asyncio.Event()
        with telling.waking(heard.set):
            for tried in range(ASKED_TIMES):
                self._want_text(room, again=True)
                if tried:
                    # Where the bus loses it, a checkpoint has it within a second.
                    self._resync(room)
                with suppress(TimeoutError):
                    async with asyncio.timeout(ANSWER_SECONDS):
                        while telling.log.length < position and telling.ended is None:
                            heard.clear()
                            await heard.wait()
                if telling.log.length >= position or telling.ended is not None:
                    break
        return telling.log.length >= position

    @asynccontextmanager
    async def following(self, uuid: str, wake: Wake) -> AsyncIterator[Room]:
        """The room without being in it: `wake` is called with whatever lasts. Raises `NotFound`."""
        room = self._rooms.get(uuid)
        while room is None or room.opened is not None:
            if room is None:
                room, _ = await self._make(None, uuid)
            elif room.opened is not None:
                await asyncio.wait([room.opened])
                room = self._rooms.get(uuid)
        room.add_follower(wake)
        self._want_text(room)
        try:
            yield room
        finally:
            room.remove_follower(wake)
            self._rest(room)

    def wake_followers(self) -> None:
        """They look again at what they wait for."""
        for room in self._rooms.values():
            room.wake_followers()

    async def _make(self, reader: Reader | None, uuid: str, cursor: Cursor | None = None) -> tuple[Room, Since | None]:
        if not UUID.fullmatch(uuid):
            raise NotFound
        room = Room(uuid, self.pace)
        room.opened = asyncio.get_running_loop().create_future()
        self._rooms[uuid] = room
        try:
            await self._bus.subscribe(conversation_channel(uuid), lambda data: self._hear(room, data))
            found = None
            if cursor is None or not uuid.startswith(cursor.conversation):
                present = await self._store.events.present(reader, uuid)
            else:
                found = await self._since(reader, uuid, cursor.mark, sees=reader)
                present = found.present
            complete = room.open(present, None if present.reply is None else self._find(present.reply, present.worker))
        except BaseException:
            self._forget(room)
            raise
        finally:
            opened, room.opened = room.opened, None
            opened.set_result(None)
        if room.gone:
            # It was deleted after it was read, and before anybody was in.
            raise NotFound
        if not complete or room.is_stale:
            self._resync(room)
        self._rest(room)
        return room, found

    def _find(self, message: Message, worker: str | None) -> Telling:
        """The reply as it is made here, else a place for what is heard of it."""
        here = self.find_here(message.id)
        if here is not None and here.attempt == message.attempt:
            return here
        return Telling(message, worker or "")

    def _rest(self, room: Room) -> None:
        if room.is_empty:
            room.empty_since = asyncio.get_running_loop().time()

    def _forget(self, room: Room) -> None:
        if self._rooms.get(room.uuid) is room:
            del self._rooms[room.uuid]
            self._bus.unsubscribe(conversation_channel(room.uuid))

    # What happens elsewhere

    def _hear(self, room: Room, data: bytes | None) -> None:
        if data is None:
            if room.is_empty and room.opened is None:
                # Nobody is there to whom something must not be lost; whoever comes reads anew.
                self._forget(room)
            else:
                self._resync(room)
            return
        try:
            notice = decode_notice(data)
        except DecodeError:
            # Another version publishes while workers are replaced one by one; the store knows what happened.
            self._resync(room)
            return
        match notice:
            case ReplyStarted():
                telling = self._find(notice.message, notice.worker)
                if not room.hear(notice, telling):
                    self._resync(room)
                self._want_text(room)
            case MessageSaid() | ReplyEnded() | MessageRead() | Turned():
                if not room.hear(notice, None):
                    self._resync(room)
            case TextAdded():
                self._hear_text(room, notice)
            case Typing() | Dropped() | Gone():
                self._pass_on(room, notice)
            case TextWanted():
                self._tell_text(notice)
                self._say_told(notice)
            case _:
                log.warning("a notice came over a channel that is not its own: %s", type(notice).__name__)

    def _hear_text(self, room: Room, added: TextAdded) -> None:
        telling = room.telling
        if telling is None or (telling.id, telling.attempt) != (added.reply_id, added.attempt):
            return
        if telling.worker is None:
            # It is made here.
            return
        if not telling.hear(added.start, added.text):
            if added.text:
                self._want_text(room, again=True)
        elif added.worker:
            self._last_words.hear(added.reply_id, added.worker)

    def _pass_on(self, room: Room, event: Typing | Dropped | Gone) -> None:
        if isinstance(event, Gone):
            room.leave_off()
            self._forget(room)
        else:
            room.pass_on(event)

    def _hear_for_worker(self, data: bytes | None) -> None:
        if data is None:
            return
        try:
            notice = decode_notice(data)
        except DecodeError:
            return
        match notice:
            case StopWanted():
                self.stop_here(notice.reply_id)
            case TextWanted():
                self._tell_text(notice)
            case _:
                log.warning("a notice came over a channel that is not its own: %s", type(notice).__name__)

    def _tell_text(self, wanted: TextWanted) -> None:
        """Publishes what is missing elsewhere, and from now on what comes."""
        channel = conversation_channel(wanted.conversation)
        telling = self.find_here(wanted.reply_id)
        if telling is None:
            room = self._rooms.get(wanted.conversation)
            known = None if room is None else room.telling
            if known is not None and known.id == wanted.reply_id and known.attempt == wanted.attempt:
                self._publish_text(channel, known, wanted.position)
            return
        if telling.attempt != wanted.attempt:
            return
        relay = self._relays.get(wanted.reply_id)
        if relay is None or relay.telling is not telling:
            # The one of an attempt before ends by itself.
            relay = Relay(telling, lambda start: self._publish_text(channel, telling, start))
            self._relays[wanted.reply_id] = relay
        relay.ask(wanted.position)

    def _say_told(self, wanted: TextWanted) -> None:
        """Whoever has asked everybody waits until all have told what they know, also where that is nothing."""
        told = TextAdded(wanted.reply_id, wanted.attempt, wanted.position, "", self._worker)
        self._bus.publish(conversation_channel(wanted.conversation), encode_notice(told))

    def _publish_text(self, channel: str, telling: Telling, start: int) -> None:
        text = telling.log.since(start)
        if text:
            self._bus.publish(channel, encode_notice(TextAdded(telling.id, telling.attempt, start, text)))

    def _want_text(self, room: Room, *, again: bool = False) -> None:
        telling = room.telling
        if telling is None or telling.worker is None or self._bus.alone or room.is_empty:
            return
        now = asyncio.get_running_loop().time()
        if not again and now - room.asked_at < ASK_AGAIN_SECONDS and room.asked_for is telling:
            return
        room.asked_at, room.asked_for = now, telling
        wanted = TextWanted(room.uuid, telling.id, telling.attempt, telling.log.length)
        self._bus.publish(worker_channel(telling.worker), encode_notice(wanted))

    async def heard_elsewhere(self, uuid: str, reply_id: MessageId) -> str | None:
        """The longest that any worker has heard of a reply whose own worker is gone; None where nobody can tell."""
        if self._bus.alone:
            return None
        with suppress(NotFound):
            # Deleted meanwhile, nobody has it open.
            async with self.following(uuid, lambda: None) as room:
                telling = room.telling
                if telling is None or telling.id != reply_id:
                    return None
                if telling.worker is None:
                    # It was made here, where all of it is known.
                    return telling.log.text()
                await self._last_words.ask(telling, uuid)
                # Where the room was read anew meanwhile, that was begun anew, too, and has heard the rest.
                latest = room.telling
                if latest is None or (latest.id, latest.attempt) != (telling.id, telling.attempt):
                    latest = telling
                return max(telling.log.text(), latest.log.text(), key=len)
        return None

    # Looking anew

    def _resync(self, room: Room) -> None:
        # What is being read just now may have been read before that happened.
        room.is_stale = True
        if room.resyncing is None and room.opened is None and not room.gone:
            task = asyncio.create_task(self._read_anew(room), name=f"room {room.uuid}")
            room.resyncing = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def look_again(self) -> None:
        """All who are present, on every worker, are told from the store what they were not told when it happened."""
        for room in self._rooms.values():
            self._resync(room)
        self._bus.tell_of_a_gap()

    async def _read_anew(self, room: Room) -> None:
        try:
            async with self._reading:
                room.is_stale = False
                found = await self._since(None, room.uuid, room.mark)
        except NotFound:
            room.resyncing = None
            self._pass_on(room, Gone())
            return
        except OSError as error:
            # The watch tries again.
            log.warning("what was missed in a room cannot be read just now: %s", error)
            room.resyncing, room.is_stale = None, True
            return
        except Exception:
            # The task's outer edge: a fault in one look must not leave the room deaf.
            log.exception("what was missed in a room cannot be read")
            room.resyncing, room.is_stale = None, True
            return
        if not room.hear_since(found, self._find) or room.is_stale:
            self._resync(room)
        self._want_text(room, again=True)

    async def watch(self) -> None:
        """Clears rooms where nobody is any more, and asks again for what is told elsewhere. Runs until cancelled."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                self._look_around(asyncio.get_running_loop().time())
            except Exception:
                # A fault in one round must not end all the rounds to come.
                log.exception("rooms cannot be looked after")

    def _look_around(self, now: float) -> None:
        self._relays = {key: relay for key, relay in self._relays.items() if relay.goes_on(now)}
        empty = [room for room in self._rooms.values() if room.is_empty and room.opened is None]
        keep = 0.0 if len(empty) > MOST_LINGERING else LINGER_SECONDS
        for room in empty:
            if now - room.empty_since >= keep:
                self._forget(room)
        for room in list(self._rooms.values()):
            made_elsewhere = room.telling is not None and room.telling.worker is not None
            if room.is_stale or (self._polls and (room.is_followed or made_elsewhere)):
                self._resync(room)
            self._want_text(room)
