"""Those present in one conversation on this worker: what happens there, in order, each hearing it at their own speed.

A room holds a short tape of lasting events and the log of the reply that runs. A listener holds only its place in them,
so that a slow one costs nothing and delays nobody: what waits for it is merged when it asks. Events come numbered
without a gap; where one is missing the room reads from the store what it was.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import assert_never

from palaver.chat.conversation import Conversation, Message
from palaver.chat.cursor import Cursor, Mark, encode_cursor
from palaver.chat.events import (
    Dropped,
    Gone,
    Lasting,
    MessageRead,
    MessageSaid,
    ReplyEnded,
    ReplyStarted,
    Turned,
    Typing,
    first_number,
)
from palaver.chat.ports import Present, Since
from palaver.chat.telling import Pace, Telling, Wake
from palaver.chat.user import NOT_STORED, Reader, UserId

# Whoever falls further behind reads the store.
TAPE_EVENTS = 64
TAPE_CHARACTERS = 500_000

# What passes by (who types) is worth no more waiting than this.
PASSING_WAITS = 16


class Entry:
    """A lasting event. `frames` is for those who encode it: once for all listeners."""

    __slots__ = ("event", "first", "frames", "last")

    def __init__(self, event: Lasting) -> None:
        self.event = event
        self.first = first_number(event)
        self.last = event.mark.event
        self.frames: dict[str, str] = {}


class Part:
    """Text that a reply has said from `start` to `end`; `whole` is all up to there. `frames` as in `Entry`."""

    __slots__ = ("_whole", "end", "frames", "start", "text", "uuid")

    def __init__(self, uuid: str, start: int, text: str, whole: Callable[[], str]) -> None:
        self.uuid = uuid
        self.start = start
        self.end = start + len(text)
        self.text = text
        self.frames: dict[str, str] = {}
        self._whole = whole

    def whole(self) -> str:
        return self._whole()[: self.end]


class Quiet:
    """Nobody types any more: the last word of a reply's end."""

    __slots__ = ("entry",)

    def __init__(self, entry: Entry) -> None:
        self.entry = entry


class Behind:
    """The listener is too far behind for the tape, and has to be brought up from the store."""


Heard = Entry | Part | Quiet | Typing | Dropped | Gone | Behind


class Room:
    __slots__ = (
        "_due",
        "_due_at",
        "_early",
        "_followers",
        "_listeners",
        "_pace",
        "_part",
        "_said_at",
        "_tape",
        "_tape_characters",
        "_tape_from",
        "announced",
        "asked_at",
        "asked_for",
        "conversation",
        "empty_since",
        "gone",
        "is_stale",
        "mark",
        "opened",
        "resyncing",
        "telling",
        "uuid",
    )

    def __init__(self, uuid: str, pace: Pace) -> None:
        self.uuid = uuid
        self.conversation: Conversation | None = None
        self.mark = Mark(0, 0, 0)
        self.telling: Telling | None = None
        self.gone = False
        self.empty_since = 0.0
        self.opened: asyncio.Future[None] | None = None
        self.resyncing: asyncio.Task[None] | None = None
        self.is_stale = False
        self.announced: tuple[str, ...] = ()
        """Where other workers hear that it is open here."""
        self.asked_at = 0.0
        self.asked_for: Telling | None = None
        self._pace = pace
        self._tape: list[Entry] = []
        self._tape_from = 0
        self._tape_characters = 0
        self._early: list[tuple[Lasting, Telling | None]] = []
        self._listeners: list[Listener] = []
        self._followers: list[Wake] = []
        self._part: tuple[Telling, int, int, Part] | None = None
        self._due: asyncio.TimerHandle | None = None
        self._due_at = 0.0
        self._said_at = 0.0

    # Who is here

    @property
    def is_empty(self) -> bool:
        return not self._listeners and not self._followers

    @property
    def is_followed(self) -> bool:
        return bool(self._followers)

    @property
    def sockets(self) -> int:
        return len(self._listeners)

    @property
    def is_of_people(self) -> bool:
        return self.conversation is not None and self.conversation.is_of_people

    def shows_to(self, user: UserId) -> bool:
        """Whether it is open here to that user; one with a bot, to anybody."""
        return any(listener.user == user or not self.is_of_people for listener in self._listeners)

    def admits(self, reader: Reader) -> bool:
        """Whether the reader may hear what is said here."""
        return self.conversation is not None and not self.gone and self.conversation.admits(reader)

    def add(self, listener: "Listener") -> None:
        if not self._listeners and self.telling is not None:
            self.telling.wakes(self._more_was_said)
        self._listeners.append(listener)

    def remove(self, listener: "Listener") -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)
        if not self._listeners and self.telling is not None:
            self.telling.wakes_no_more(self._more_was_said)

    def add_follower(self, wake: Wake) -> None:
        self._followers.append(wake)

    def remove_follower(self, wake: Wake) -> None:
        self._followers.remove(wake)

    def wake_followers(self) -> None:
        for wake in tuple(self._followers):
            wake()

    # What happens

    def open(self, present: Present, telling: Telling | None) -> bool:
        """From here on events are heard; those that came while this was read count. False as for `hear`."""
        self.conversation = present.conversation
        self._begin(present.mark, telling)
        if telling is not None:
            telling.hear(0, present.kept)
        return self._hear_early()

    def _hear_early(self) -> bool:
        early, self._early = self._early, []
        for index, (event, telling) in enumerate(early):
            if not self.hear(event, telling):
                self._early += early[index + 1 :]
                return False
        return True

    def _begin(self, mark: Mark, telling: Telling | None) -> None:
        self.mark = mark
        self._tape.clear()
        self._tape_from = mark.event
        self._tape_characters = 0
        self._set_telling(telling)

    @property
    def is_open(self) -> bool:
        return self.conversation is not None and self.resyncing is None

    def hear(self, event: Lasting, telling: Telling | None) -> bool:
        """False where something before it is missing: then the room has to be read anew. `telling` comes with the
        start of a reply."""
        if not self.is_open:
            self._early.append((event, telling))
            if len(self._early) > TAPE_EVENTS:
                # The oldest is in the store by now, and its absence is noticed.
                self._early.pop(0)
            return True
        if event.mark.event <= self.mark.event:
            self._found_here(telling)
            return True
        if first_number(event) != self.mark.event + 1:
            self._early.append((event, telling))
            return False
        self._append(event, telling)
        self._flush()
        return True

    def _found_here(self, telling: Telling | None) -> None:
        """The store told of a reply before the worker that makes it, this one, had begun to."""
        mirror = self.telling
        if telling is None or mirror is None or telling.worker is not None:
            return
        if (mirror.id, mirror.attempt) == (telling.id, telling.attempt):
            self._set_telling(telling)

    def hear_since(self, found: Since, find: Callable[[Message, str | None], Telling]) -> bool:
        """What the store knows of the time that was missed. False as for `hear`."""
        present = found.present
        if not found.known:
            self._begin(present.mark, _telling_of(present, find))
            self._tape_from -= 1
            self._tape.append(Entry(Turned(present.mark)))
        else:
            runs = None if present.reply is None else present.reply.id
            for event in to_events(found, self.mark):
                starts = isinstance(event, ReplyStarted) and event.message.id == runs
                self._append(event, _telling_of(present, find) if starts else None)
            self.mark = present.mark
            if self.telling is None and present.reply is not None:
                self._set_telling(_telling_of(present, find))
        if self.telling is not None and present.reply is not None and self.telling.attempt == present.reply.attempt:
            self.telling.hear(0, present.kept)
        self.conversation = present.conversation
        self.resyncing = None
        self._flush()
        return self._hear_early()

    def _append(self, event: Lasting, telling: Telling | None) -> None:
        match event:
            case ReplyStarted():
                self._set_telling(telling)
            case ReplyEnded():
                self._end_telling(event.message)
                self._tape_characters += len(event.message.content)
            case MessageSaid():
                self._tape_characters += len(event.message.content)
            case Turned() if self.is_of_people:
                # Whoever listens looks anew, and what somebody took back is not kept here either.
                self._tape.clear()
                self._tape_from, self._tape_characters = event.mark.event - 1, 0
            case MessageRead() | Turned():
                pass
            case _:
                assert_never(event)
        self._tape.append(Entry(event))
        self.mark = event.mark
        while len(self._tape) > TAPE_EVENTS or (self._tape_characters > TAPE_CHARACTERS and len(self._tape) > 1):
            dropped = self._tape.pop(0)
            self._tape_from = dropped.last
            if isinstance(dropped.event, ReplyEnded | MessageSaid):
                self._tape_characters -= len(dropped.event.message.content)

    def _set_telling(self, telling: Telling | None) -> None:
        if self.telling is not None:
            self.telling.wakes_no_more(self._more_was_said)
        self.telling = telling
        self._part = None
        if telling is not None and self._listeners:
            telling.wakes(self._more_was_said)

    def _end_telling(self, message: Message) -> None:
        telling = self.telling
        if telling is not None and telling.id == message.id and telling.worker is not None:
            # Of one that is made here its maker says when it is over, and this may be the word of that.
            telling.hear(0, message.content)
            telling.end(message)
        self._set_telling(None)

    def leave_off(self) -> None:
        """The conversation is not to be found any more."""
        self.gone = True
        self.pass_on(Gone())

    def pass_on(self, event: Typing | Dropped | Gone) -> None:
        for listener in self._listeners:
            waiting = listener.passing
            if waiting is None:
                listener.passing = [event]
            elif len(waiting) < PASSING_WAITS or not isinstance(event, Typing):
                waiting.append(event)
        self._flush()

    # How it is told

    def _more_was_said(self) -> None:
        if self._due is not None:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = self._said_at + self._pace.seconds
        if now >= due:
            self._said_at = now
            self._wake_listeners()
        else:
            self._due_at = due
            self._due = loop.call_at(due, self._flush_late)

    def _flush_late(self) -> None:
        self._said_at = asyncio.get_running_loop().time()
        self._pace.learn(self._said_at - self._due_at)
        self._due = None
        self._wake_listeners()

    def _flush(self) -> None:
        """Something lasting has happened: everybody hears of it, and of what was said until then."""
        self._wake_listeners()
        self.wake_followers()

    def _wake_listeners(self) -> None:
        if self._due is not None:
            # What was gathered leaves with the event. An event alone starts no gathering: what begins a reply must not
            # keep its first piece back.
            self._due.cancel()
            self._due = None
            self._said_at = asyncio.get_running_loop().time()
        for listener in tuple(self._listeners):
            listener.wake()

    def covers(self, mark: Mark) -> bool:
        """Whether all that came after that moment is still on the tape."""
        return mark.revision == self.mark.revision and self._tape_from <= mark.event <= self.mark.event

    def after(self, mark: Mark) -> Iterable[Entry] | None:
        """What came after it; None where the tape does not reach back so far."""
        if mark.event < self._tape_from:
            return None
        if mark.event >= self.mark.event and mark.revision == self.mark.revision:
            return ()
        return [entry for entry in self._tape if entry.last > mark.event or entry.event.mark.revision > mark.revision]

    def told_after(self, mark: Mark) -> list[Lasting]:
        """What is on the tape of it."""
        return [entry.event for entry in self.after(mark) or ()]

    def part(self, telling: Telling, start: int) -> Part | None:
        """What was said after `start`: the same object for all who are at the same place."""
        end = telling.log.length
        if end <= start:
            return None
        if self._part is not None:
            of, since, until, part = self._part
            if of is telling and since == start and until == end:
                return part
        part = Part(telling.uuid, start, telling.log.since(start), telling.log.text)
        self._part = telling, start, end, part
        return part


class Listener:
    """One who is present: its place in what is told, and nothing else. `wake` is called when there is more."""

    __slots__ = ("_replay", "_until", "mark", "passing", "position", "reply", "room", "skip", "user", "wake")

    def __init__(self, room: Room, wake: Wake, user: UserId = NOT_STORED) -> None:
        self.room = room
        self.wake = wake
        self.user = user
        self.mark = room.mark
        self.reply: int | None = None
        self.position = 0
        self.skip: int | None = None
        self.passing: list[Typing | Dropped | Gone] | None = None
        self._replay: list[Entry] = []
        self._until: Mark | None = None
        room.add(self)

    def leave(self) -> None:
        self.room.remove(self)

    @property
    def cursor(self) -> str:
        if self.skip is not None:
            return encode_cursor(self.room.uuid, self.mark, self.skip, None)
        return encode_cursor(self.room.uuid, self.mark, self.reply, self.position)

    def place(self, mark: Mark, reply: int | None = None, position: int = 0) -> None:
        """All up to there is heard."""
        self.mark, self.reply, self.position, self.skip = mark, reply, position, None
        self._replay, self._until = [], None

    def resume(self, cursor: Cursor) -> None:
        """Goes back to the cursor; the room's tape reaches so far."""
        self.place(cursor.mark, cursor.reply, cursor.position or 0)
        if cursor.position is None:
            self.reply, self.skip = None, cursor.reply

    def resume_by(self, found: Since, cursor: Cursor) -> None:
        """Goes back to the cursor, and hears from the store what came since."""
        self.resume(cursor)
        self._replay = [Entry(event) for event in to_events(found, cursor.mark)]
        self._until = found.present.mark

    def take(self) -> Sequence[tuple[Heard, str]]:
        """All that is new, in order, each with the cursor after it. What waited of a reply is one part."""
        heard: list[tuple[Heard, str]] = []
        if self._until is not None:
            for entry in self._replay:
                self._hear(entry, heard)
            self.mark, self._replay, self._until = self._until, [], None
        entries = self.room.after(self.mark)
        if entries is None:
            heard.append((Behind(), ""))
            return heard
        for entry in entries:
            self._hear(entry, heard)
        telling = self.room.telling
        if telling is not None and telling.number == self.reply:
            part = self.room.part(telling, self.position)
            if part is not None:
                self.position = part.end
                heard.append((part, self.cursor))
        if self.passing is not None:
            heard += [(event, self.cursor) for event in self.passing]
            self.passing = None
        return heard

    def _hear(self, entry: Entry, heard: list[tuple[Heard, str]]) -> None:
        event = entry.event
        if isinstance(event, ReplyEnded):
            number = event.message.number
            if number == self.skip:
                self.mark, self.skip = event.mark, None
                return
            if self.mark.event < entry.first:
                self._hear_rest(event.message, heard)
            if self.reply == number:
                self.reply, self.position = None, 0
            if self.mark.event < entry.first:
                # Half of it is yet to be told: whoever comes back from here has to find this reply.
                self.mark = Mark(event.mark.revision, entry.first, min(event.mark.lowest, number))
                heard.append((entry, self.cursor))
            self.mark = event.mark
            heard.append((Quiet(entry), self.cursor))
            return
        if isinstance(event, ReplyStarted):
            if self.reply != event.message.number:
                self.position = 0
            self.reply = event.message.number
        elif isinstance(event, Turned):
            self.reply, self.position = None, 0
        self.mark = event.mark
        heard.append((entry, self.cursor))

    def _hear_rest(self, message: Message, heard: list[tuple[Heard, str]]) -> None:
        position = self.position if self.reply == message.number else 0
        if position > len(message.content):
            # More was heard than could be kept: only a fresh look is honest.
            heard.append((Entry(Turned(self.mark)), self.cursor))
            return
        rest = message.content[position:]
        if rest:
            self.reply, self.position = message.number, len(message.content)
            part = Part(message.uuid, position, rest, lambda: message.content)
            heard.append((part, self.cursor))


def _telling_of(present: Present, find: Callable[[Message, str | None], Telling]) -> Telling | None:
    return None if present.reply is None else find(present.reply, present.worker)


def is_kept(told: Iterable[Lasting], cursor: Cursor) -> bool:
    """False where the reply that the cursor points into has ended with less than was heard of it."""
    for event in told:
        if isinstance(event, ReplyEnded) and event.message.number == cursor.reply:
            return cursor.position is None or cursor.position <= len(event.message.content)
    return True


def to_events(found: Since, after: Mark) -> list[Lasting]:
    """What was told after that moment, in the order in which it was."""
    last = found.present.mark

    def mark(event: int) -> Mark:
        # Looking for news from too low on is never wrong.
        return last if event == last.event else Mark(last.revision, event, min(after.lowest, last.lowest))

    events: list[Lasting] = []
    for message in found.messages:
        if message.role == "assistant":
            if message.event > after.event:
                worker, beside = found.present.worker or "", found.beside.get(message.number)
                events.append(ReplyStarted(mark(message.event), message, worker, beside))
            if message.end_event > after.event:
                events.append(ReplyEnded(mark(message.end_event), message))
        elif message.event > after.event:
            events.append(MessageSaid(mark(message.event), message))
    events += [MessageRead(mark(read.event), read.message_uuid, read.user) for read in found.reads]
    return sorted(events, key=lambda event: event.mark.event)
