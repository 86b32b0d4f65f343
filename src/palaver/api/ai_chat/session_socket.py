"""One conversation over a WebSocket: turns, events as they happen, and all that was missed since a cursor."""

from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, assert_never

from msgspec import Struct
from msgspec.structs import asdict
from starlette.types import Receive, Send

from palaver.api.ai_chat import frames
from palaver.api.ai_chat.contract import MESSAGE
from palaver.api.ai_chat.sessions import show_snapshot
from palaver.api.call import Call
from palaver.api.fields import Body, Text, optional, required
from palaver.api.language import text
from palaver.api.socket import Frames, JsonSocket, echo
from palaver.api.turns import CLIENT_ID, WHEN_BUSY, check_length
from palaver.chat import connections, invited
from palaver.chat.citing import cite
from palaver.chat.conversation import Message, MessageId
from palaver.chat.cursor import ANEW, Cursor, decode_cursor
from palaver.chat.errors import BotUnavailable, ChatError, Ended, NotFound
from palaver.chat.events import Dropped, Gone, MessageRead, MessageSaid, ReplyEnded, ReplyStarted, Turned, Typing
from palaver.chat.flow import ask_for_another, check_answered, continue_chat, read_up_to, stop_reply
from palaver.chat.limits import Grant
from palaver.chat.ports import Begun, Seat, Since
from palaver.chat.room import Behind, Entry, Heard, Listener, Part, Quiet, Room
from palaver.chat.snapshot import take_snapshot
from palaver.watching import spans
from palaver.watching.asking import asked_by

MESSAGE_ID = Text(at_least=1, at_most=100)

EMPTY = "Message cannot be empty"

# More than ever wait at once.
MOST_ASKED = 100


class Say(Body):
    message = required(MESSAGE)
    client_message_id = optional(CLIENT_ID)
    when_busy = optional(WHEN_BUSY)


class Edit(Say):
    message_id = required(MESSAGE_ID)


class Stop(Body):
    message_id = optional(MESSAGE_ID)


class Another(Stop):
    when_busy = optional(WHEN_BUSY)


class One(Body):
    message_id = required(MESSAGE_ID)


class Resume(Body):
    cursor = required(Text())


class Asked(Struct, frozen=True):
    """A reply that was asked for here: what an error about it names."""

    message_id: str
    client_message_id: str | None

    def named(self) -> dict[str, str]:
        return {name: value for name, value in asdict(self).items() if value is not None}


# Of these there is nothing, or another thing, where people talk to each other.
OTHERWISE_AMONG_PEOPLE = frozenset(("send_message", "read", "stop", "regenerate", "edit", "typing", "stop_typing"))

BEGINS_TURN = frozenset(("send_message", "edit", "regenerate"))


class SessionSocket(JsonSocket):
    commands = frozenset(
        ("send_message", "stop", "regenerate", "edit", "read", "typing", "stop_typing", "resume", "ping")
    )

    def __init__(self, call: Call, receive: Receive, send: Send) -> None:
        super().__init__(call, receive, send)
        self._uuid = call.parameters["id"]
        self._whole = call.query("full_content") != "0"
        self._room: Room
        self._listener: Listener | None = None
        self._listens = True
        # Replies that were asked for here: whoever asked is told why there is none.
        self._asked: dict[MessageId, Asked] = {}

    async def open(self) -> None:
        rooms = self.call.chat.rooms
        given = self.call.query("cursor")
        cursor = None if given is None else decode_cursor(given)
        self._room, missed = await rooms.enter(self.call.reader, self._uuid, cursor)
        self._listener = await rooms.listen(self._room, self.wake, self.call.user.id)
        if given is not None:
            # Nothing of what was missed is told yet: whoever is cut before that comes back from where it was.
            self.say(frames.connected(self._uuid, ANEW if cursor is None else given))
            await self._go_back(cursor, missed)
            return
        telling = self._room.telling
        if telling is not None:
            self._listener.place(self._room.mark, telling.number)
        self.say(frames.connected(self._uuid, self._listener.cursor))
        if telling is not None:
            self.say(frames.running(telling.uuid, self._listener.cursor))

    def leave(self) -> None:
        if self._listener is not None:
            self.call.chat.rooms.leave(self._listener)
            self._listener = None

    async def handle(self, kind: str, payload: dict[str, Any]) -> None:
        asked_by.set("ai_chat")
        if kind in BEGINS_TURN:
            self.call.chat.replies.crowd.ask_room()
        if spans.tracing is None or kind not in BEGINS_TURN:
            await self._obey(kind, payload)
            return
        call = self.call
        with spans.tracing.message(call.route, kind, call.request_id, call.scope["headers"]):
            await self._obey(kind, payload)

    async def _obey(self, kind: str, payload: dict[str, Any]) -> None:
        if self._room.is_of_people:
            self.call.site.presence.seen(self.call.user)
            if kind in OTHERWISE_AMONG_PEOPLE:
                await self._obey_person(kind, payload)
                return
        match kind:
            case "send_message":
                await self._send_message(payload)
            case "stop":
                await self._stop(payload)
            case "regenerate":
                await self._regenerate(payload)
            case "edit":
                await self._edit(payload)
            case "read":
                await self._read(payload)
            case "typing" | "stop_typing":
                typing = Typing(self.call.user.name, on=kind == "typing")
                self.call.chat.rooms.pass_on(self._uuid, typing)
            case "resume":
                await self._go_back(decode_cursor(Resume.read(payload).cursor))
            case "ping":
                self.say(frames.PONG)

    async def _obey_person(self, kind: str, payload: dict[str, Any]) -> None:
        """Among people nobody commands a bot."""
        match kind:
            case "send_message":
                if self._has_words(payload):
                    await self._say_to_people(Say.read(payload))
            case "read":
                speaker, message = self.call.user, One.read(payload).message_id
                await connections.read_up_to(self.call.chat, Seat(speaker.id), self._uuid, message, speaker)
            case "typing" | "stop_typing":
                speaker, on = self.call.user, kind == "typing"
                await connections.type_to(self.call.chat, Seat(speaker.id), self._uuid, speaker, on=on)
            case _:
                self.error("unsupported", text("unsupported", self.call.language), **echo(payload))

    async def _say_to_people(self, body: Say) -> None:
        check_length(self.call, "message", body.message)
        call, speaker = self.call, self.call.user
        with self._not_listening():
            await call.site.limits.allow_search(speaker, call.counted_as)
            await call.site.limits.allow_among_people(speaker, self._uuid, by_app=False)
            spoken = await connections.say(
                call.chat, Seat(speaker.id), self._uuid, body.message, client_message_id=body.client_message_id
            )
            if spoken.known:
                self.say(frames.said(spoken.written.message, self._cursor))
            answer = await invited.answer_if_named(call.chat, spoken, speaker, call.site.limits, call.request_id)
            if isinstance(answer, Begun):
                self._note_asked(answer)
        if isinstance(answer, ChatError):
            # The message was said all the same.
            raise answer

    # What the client asks for

    async def _send_message(self, payload: dict[str, Any]) -> None:
        if self._has_words(payload):
            await self._say(Say.read(payload), None)

    async def _edit(self, payload: dict[str, Any]) -> None:
        if self._has_words(payload):
            body = Edit.read(payload)
            await self._say(body, body.message_id)

    async def _say(self, body: Say, edits: str | None) -> None:
        check_length(self.call, "message", body.message)
        with self._not_listening(), await self._granted() as granted:
            begun = await continue_chat(
                self.call.chat,
                self.call.reader,
                body.message,
                conversation=self._uuid,
                client_message_id=body.client_message_id,
                when_busy=body.when_busy,
                edits=edits,
                request_id=self.call.request_id,
                granted=granted,
            )
            await self._asked_for(begun, edits)

    async def _granted(self) -> Grant:
        return await self.call.site.limits.allow_turn(self.call.user, self.call.counted_as)

    def _has_words(self, payload: dict[str, Any]) -> bool:
        said = payload.get("message", "")
        if said is None or (isinstance(said, str) and not said.strip()):
            self.error("invalid", EMPTY, **echo(payload))
            return False
        return True

    async def _asked_for(self, begun: Begun, edits: str | None) -> None:
        self._note_asked(begun)
        if begun.state == "known":
            await self._say_again(begun, edits)
        elif begun.turn.reply.attempt > 1:
            # It was said before, and only its reply is made anew.
            self.say(frames.said(begun.turn.prompt, self._cursor, edits))

    def _note_asked(self, begun: Begun) -> None:
        reply = begun.turn.reply
        if reply.status in ("queued", "running"):
            self._asked[reply.id] = Asked(reply.uuid, begun.turn.prompt.client_message_id)
            if len(self._asked) > MOST_ASKED:
                # Its end was passed over, by a snapshot.
                del self._asked[next(iter(self._asked))]

    async def _say_again(self, begun: Begun, edits: str | None) -> None:
        """A turn that was asked for before, once more to this one alone; what is still to come of it comes as ever."""
        prompt = begun.turn.prompt
        [reply] = await cite(self.call.chat.store.passages, self.call.reader, [begun.turn.reply])
        self.say(frames.said(prompt, self._cursor, edits))
        telling = self.call.chat.replies.telling(reply.id) or self._room.telling
        if telling is not None and telling.id != reply.id:
            telling = None
        if reply.status == "queued" or (reply.status == "running" and telling is None):
            return
        self.say(frames.running(reply.uuid, self._cursor))
        listener = self._listener
        if telling is not None and reply.status == "running":
            if listener is not None and listener.reply == telling.number:
                listener.position = 0
            return
        if reply.content:
            whole = reply.content if self._whole else None
            self.say(frames.chunk(reply.uuid, reply.content, whole, len(reply.content), self._cursor))
        self._say_end(reply)
        self.say(frames.quiet(reply, self._cursor))

    def _say_end(self, reply: Message) -> None:
        ended = frames.ended(reply, self._cursor)
        if ended is not None:
            self.say(ended)

    async def _stop(self, payload: dict[str, Any]) -> None:
        body = Stop.read(payload)
        conversation = self._room.conversation
        assert conversation is not None, "a room that somebody is in is open"
        if await stop_reply(self.call.chat, conversation.id, body.message_id) is not None:
            return
        named = {} if body.message_id is None else {"message_id": body.message_id}
        self.error("not_running", text("not_running", self.call.language), **named)

    async def _regenerate(self, payload: dict[str, Any]) -> None:
        body = Another.read(payload)
        with self._not_listening(), await self._granted() as granted:
            begun = await ask_for_another(
                self.call.chat,
                self.call.reader,
                self._uuid,
                body.message_id,
                when_busy=body.when_busy,
                request_id=self.call.request_id,
                granted=granted,
            )
            self._note_asked(begun)

    async def _read(self, payload: dict[str, Any]) -> None:
        user = await self.call.stored_user()
        await read_up_to(self.call.chat, self.call.reader, self._uuid, One.read(payload).message_id, user.name)

    async def _go_back(self, cursor: Cursor | None, missed: Since | None = None) -> None:
        """`missed`: what the store has told of it already."""
        listener = self._listener
        assert listener is not None, "only who is in can go back"
        with self._not_listening():
            if await self.call.chat.rooms.resume(self.call.reader, listener, cursor, missed):
                self.say(frames.resumed(self._cursor, recovered=True))
            else:
                await self._look_anew()

    @contextmanager
    def _not_listening(self) -> Iterator[None]:
        """What happens meanwhile is heard afterwards: by then it is known what was asked for here."""
        self._listens = False
        try:
            yield
        finally:
            self._listens = True
            self.wake()

    async def _look_anew(self) -> None:
        """An honest word that this is another story by now, and how it stands. Raises `NotFound`."""
        listener = self._listener
        assert listener is not None, "only who is in can look"
        snapshot = await take_snapshot(self.call.chat, self.call.reader, self._room)
        shown = await show_snapshot(self.call, snapshot)
        listener.place(snapshot.mark, None if snapshot.reply is None else snapshot.reply.number, len(snapshot.text))
        self.say(frames.resumed(listener.cursor, recovered=False))
        self.say(frames.with_cursor(shown, listener.cursor))

    # What the client is told

    @property
    def _cursor(self) -> str:
        assert self._listener is not None, "only who is in has a place"
        return self._listener.cursor

    def take(self) -> Frames | Coroutine[Any, Any, Frames]:
        listener = self._listener
        if listener is None or not self._listens:
            return []
        told: Frames = []
        for heard, cursor in listener.take():
            if isinstance(heard, Behind) or (isinstance(heard, Entry) and isinstance(heard.event, Turned)):
                return self._catch_up(told, listener, heard)
            told += self._frames(heard, cursor)
        return told

    async def _catch_up(self, told: Frames, listener: Listener, heard: Heard) -> Frames:
        """From the store: what the room's tape does not hold any more, or, where it is no story, all of it."""
        try:
            behind, cursor = isinstance(heard, Behind), decode_cursor(listener.cursor)
            if not (behind and await self.call.chat.rooms.resume(self.call.reader, listener, cursor)):
                await self._look_anew()
        except NotFound:
            self.say_gone()
        if self._shut:
            # The last word is said already, and comes after nothing.
            return []
        waiting, self._out = self._out, []
        if not waiting:
            more = self.take()
            waiting = more if isinstance(more, list) else await more
        return told + waiting

    def _frames(self, heard: Heard, cursor: str) -> list[str]:
        match heard:
            case Part():
                return [frames.part(heard, cursor, whole=self._whole)]
            case Quiet():
                return [*self._why(heard.entry), frames.entry_quiet(heard.entry, cursor)]
            case Entry(event=MessageSaid() | ReplyStarted() | MessageRead()):
                return [frames.entry(heard, cursor)]
            case Entry(event=ReplyEnded()):
                ended = frames.entry_ended(heard, cursor)
                return [] if ended is None else [ended]
            case Typing():
                return [frames.typing(heard, cursor)]
            case Dropped():
                return self._why_dropped(heard)
            case Gone():
                self.say_gone()
                return []
            case Entry() | Behind():
                return []
            case _:
                assert_never(heard)

    def _why(self, entry: Entry) -> list[str]:
        """To whoever asked: that there is no whole answer."""
        event = entry.event
        if not isinstance(event, ReplyEnded) or event.message.id not in self._asked:
            return []
        asked = self._asked.pop(event.message.id)
        try:
            check_answered(event.message)
        except (BotUnavailable, Ended, NotFound):
            if event.message.status in ("failed", "interrupted"):
                words = text("bot_unavailable", self.call.language)
                return [frames.error("bot_unavailable", words, **asked.named())]
        return []

    def _why_dropped(self, dropped: Dropped) -> Frames:
        why: Frames = []
        for reply_id in dropped.replies:
            asked = self._asked.pop(reply_id, None)
            if asked is not None and not dropped.taken_back:
                code = "ended" if dropped.ended else "bot_unavailable"
                why.append(frames.error(code, text(code, self.call.language), **asked.named()))
        return why
