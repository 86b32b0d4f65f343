"""`palaver export firebase`: an application's templates, sessions and connections in the shapes that Firebase gives."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import BinaryIO, TypeVar

import msgspec

from palaver.chat.clock import Micros, to_datetime
from palaver.chat.conversation import ConversationId
from palaver.chat.moved import MovedConnection, MovedMessage, MovedSession, Page
from palaver.chat.ports.moving import Leaving
from palaver.chat.preset import Preset
from palaver.chat.user import UserId
from palaver.moving.firebase_file import CONNECTIONS, HISTORY, MESSAGES, SESSIONS, TEMPLATES

MovedT = TypeVar("MovedT")

encode = msgspec.json.encode

WRITE_AT_ONCE = 256 * 1024


class FirebaseExport:
    """Writes all that is told of one application. `written` hears of each conversation."""

    def __init__(self, leaving: Leaving, app_id: UserId, file: BinaryIO, written: Callable[[], None]) -> None:
        self._leaving = leaving
        self._app_id = app_id
        self._file = file
        self._written = written
        self._buffer = bytearray()

    async def run(self) -> None:
        self._put(b'{"%s":{' % TEMPLATES.encode())
        for place, preset in enumerate(await self._leaving.templates(self._app_id)):
            self._put_pair(place, preset.slug, encode(_to_template(preset)))
        self._put(b'},\n"%s":{' % SESSIONS.encode())
        place = 0
        async for id_, session in self._all(self._leaving.sessions):
            self._put_pair(place, session.key, _open(encode(_to_session(session))))
            await self._put_list(HISTORY, b"[", b"]", id_, _to_entry)
            self._put(b"}")
            self._written()
            place += 1
        self._put(b'},\n"%s":{' % CONNECTIONS.encode())
        place = 0
        async for id_, connection in self._all(self._leaving.connections):
            self._put_pair(place, connection.key, _open(encode(_to_connection(connection))))
            await self._put_list(MESSAGES, b"{", b"}", id_, _to_message)
            self._put(b"}")
            self._written()
            place += 1
        self._put(b"}}\n")
        self._flush()

    async def _all(
        self, read: Callable[[UserId, ConversationId], Awaitable[Page[MovedT]]]
    ) -> AsyncIterator[tuple[ConversationId, MovedT]]:
        after = ConversationId(0)
        while page := await read(self._app_id, after):
            for one in page:
                yield one
            after = page[-1][0]

    async def _put_list(
        self, name: str, opens: bytes, closes: bytes, id_: ConversationId, to_bytes: Callable[[MovedMessage], bytes]
    ) -> None:
        self._put(b',"%s":%s' % (name.encode(), opens))
        after, separator = 0, b"\n"
        while page := await self._leaving.messages(id_, after):
            for _, message in page:
                self._put(separator + to_bytes(message))
                separator = b",\n"
            after = page[-1][0]
        self._put(closes)

    def _put_pair(self, place: int, key: str, value: bytes) -> None:
        self._put((b",\n" if place else b"\n") + encode(key) + b":" + value)

    def _put(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > WRITE_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        self._file.write(self._buffer)
        self._buffer.clear()


def _open(encoded: bytes) -> bytes:
    """An object to which more is to be added."""
    return encoded.removesuffix(b"}")


def _to_time(at: Micros | None) -> str | None:
    return None if at is None else to_datetime(at).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _told(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _to_template(preset: Preset) -> dict[str, object]:
    speaking = preset.speaking
    return _told({
        "name": preset.name,
        "personalityPrompt": preset.prompt,
        "title": preset.title,
        "description": preset.description,
        "category": preset.category,
        "welcomeMessage": preset.welcome,
        "model": speaking.model,
        "temperature": speaking.temperature,
        "maxTokens": speaking.max_tokens,
        "presencePenalty": speaking.presence_penalty,
        "frequencyPenalty": speaking.frequency_penalty,
        "tags": preset.tags,
        "isPublic": preset.is_public,
        "isDefault": preset.is_default,
    })  # fmt: skip


def _to_session(session: MovedSession) -> dict[str, object]:
    return _told({
        "session_id": session.key,
        "user_id": session.user,
        "template_id": session.template,
        "system_prompt": session.prompt,
        "status": _to_status(session),
        "created_at": _to_time(session.created_at),
        "last_activity": _to_time(session.last_activity),
        "ended_at": _to_time(session.ended_at),
        "message_count": session.exchanges,
    })  # fmt: skip


def _to_connection(connection: MovedConnection) -> dict[str, object]:
    return {
        "connectionId": connection.key,
        "user1Id": connection.user1,
        "user2Id": connection.user2,
        "status": _to_status(connection),
        "createdAt": _to_time(connection.created_at),
    }


def _to_status(of: MovedSession | MovedConnection) -> str:
    return "ended" if of.ended else "active"


def _to_entry(message: MovedMessage) -> bytes:
    return encode({"role": message.role, "content": message.content, "timestamp": _to_time(message.at)})


def _to_message(message: MovedMessage) -> bytes:
    told = {
        "messageId": message.id,
        "senderId": message.sender,
        "content": message.content,
        "timestamp": _to_time(message.at),
    }
    return encode(message.id) + b":" + encode(told)
