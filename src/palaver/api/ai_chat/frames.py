"""What ai_chat's sockets say, as it goes out. What many hear is encoded once; only its cursor is put in for each."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from palaver.api.ai_chat.shapes import MessageShown, SessionShown, WholeSession, show_message
from palaver.chat.conversation import Message
from palaver.chat.events import MessageRead, MessageSaid, ReplyEnded, ReplyStarted, Typing
from palaver.chat.room import Entry, Part

_encode = msgspec.json.Encoder().encode

PONG = '{"type":"pong"}'


class UserMessage(Struct, tag_field="type", tag="user_message"):
    message: MessageShown
    client_message_id: str | UnsetType = UNSET
    replaces: str | UnsetType = UNSET
    sender_id: str | UnsetType = UNSET
    """Among people."""


class AiTyping(Struct, tag_field="type", tag="ai_typing"):
    message_id: str
    message: str = "AI is thinking..."
    position: int = 0
    replaces: str | UnsetType = UNSET


class AiComplete(Struct, tag_field="type", tag="ai_message_complete"):
    message: MessageShown
    message_id: str
    position: int


class AiStopped(Struct, tag_field="type", tag="ai_message_stopped"):
    message: MessageShown
    message_id: str
    position: int


class AiQuiet(Struct, tag_field="type", tag="ai_typing_stop"):
    message_id: str
    position: int
    reason: str


class ReadSoFar(Struct, tag_field="type", tag="message_read"):
    message_id: str
    user: str


class ReplyShown(Struct):
    message_id: str
    content: str
    position: int


class Snapshot(Struct, tag_field="type", tag="snapshot"):
    session: WholeSession
    has_more: bool
    reply: ReplyShown | None


class ListUpdate(Struct, tag_field="type", tag="chat_list_update"):
    sessions: Sequence[SessionShown]
    total: int


def with_cursor(told: Struct, cursor: str) -> str:
    return _close(_open(told), cursor)


def _open(told: Struct) -> str:
    """Without its last brace: a cursor follows."""
    return _encode(told).decode()[:-1]


def _close(body: str, cursor: str) -> str:
    # A cursor of ours holds nothing that JSON would escape.
    return f'{body},"cursor":"{cursor}"}}'


def error(code: str, message: str, **more: Any) -> str:
    return _encode({"type": "error", "message": message, "code": code, **more}).decode()


def connected(uuid: str, cursor: str) -> str:
    body = _encode({"type": "connection_established", "session_id": uuid, "message": "Connected to chat session"})
    return _close(body.decode()[:-1], cursor)


def resumed(cursor: str, *, recovered: bool) -> str:
    return _close(f'{{"type":"resumed","recovered":{"true" if recovered else "false"}', cursor)


def typing(event: Typing, cursor: str) -> str:
    kind = "user_typing" if event.on else "user_typing_stop"
    return _close(_encode({"type": kind, "user": event.user}).decode()[:-1], cursor)


def said(message: Message, cursor: str, replaces: str | None = None) -> str:
    return with_cursor(_said(message, replaces), cursor)


def running(uuid: str, cursor: str) -> str:
    return with_cursor(AiTyping(uuid), cursor)


def chunk(uuid: str, text: str, whole: str | None, position: int, cursor: str) -> str:
    """Put together by hand: of all frames only this one comes by the thousand, and so it costs half."""
    full = "" if whole is None else f',"full_content":{_encode(whole).decode()}'
    return (
        f'{{"type":"ai_message_chunk","content":{_encode(text).decode()},"message_id":"{uuid}","position":{position}'
        f'{full},"cursor":"{cursor}"}}'
    )


def ended(message: Message, cursor: str) -> str | None:
    """None for one that failed or broke off: that it is over is told in its stead."""
    told = _ended(message)
    return None if told is None else with_cursor(told, cursor)


def quiet(message: Message, cursor: str) -> str:
    return with_cursor(AiQuiet(message.uuid, len(message.content), message.status), cursor)


def part(of: Part, cursor: str, *, whole: bool) -> str:
    """The same for all who are at the same place: their cursors are the same, too."""
    key = f"{whole}{cursor}"
    frame = of.frames.get(key)
    if frame is None:
        frame = of.frames[key] = chunk(of.uuid, of.text, of.whole() if whole else None, of.end, cursor)
    return frame


def entry(of: Entry, cursor: str) -> str:
    """A message that was said or read, or a reply that has begun."""
    body = of.frames.get("")
    if body is None:
        body = of.frames[""] = _open(_entry(of))
    return _close(body, cursor)


def _entry(of: Entry) -> Struct:
    event = of.event
    if isinstance(event, MessageSaid):
        return _said(event.message, event.replaces)
    if isinstance(event, ReplyStarted):
        return AiTyping(event.message.uuid, replaces=UNSET if event.replaces is None else event.replaces)
    assert isinstance(event, MessageRead), "the ends of replies have frames of their own"
    return ReadSoFar(event.message_uuid, event.user)


def entry_ended(of: Entry, cursor: str) -> str | None:
    event = of.event
    assert isinstance(event, ReplyEnded)
    body = of.frames.get("ended")
    if body is None:
        told = _ended(event.message)
        body = of.frames["ended"] = "" if told is None else _open(told)
    return _close(body, cursor) if body else None


def entry_quiet(of: Entry, cursor: str) -> str:
    event = of.event
    assert isinstance(event, ReplyEnded)
    body = of.frames.get("quiet")
    if body is None:
        message = event.message
        body = of.frames["quiet"] = _open(AiQuiet(message.uuid, len(message.content), message.status))
    return _close(body, cursor)


def _said(message: Message, replaces: str | None) -> UserMessage:
    return UserMessage(
        show_message(message),
        UNSET if message.client_message_id is None else message.client_message_id,
        UNSET if replaces is None else replaces,
        UNSET if message.sender is None else message.sender,
    )


def _ended(message: Message) -> AiComplete | AiStopped | None:
    match message.status:
        case "complete":
            return AiComplete(show_message(message), message.uuid, len(message.content))
        case "stopped":
            return AiStopped(show_message(message), message.uuid, len(message.content))
        case _:
            return None
