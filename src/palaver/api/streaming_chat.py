"""streaming_chat: a message goes, an answer comes, whole or in pieces. Every path ends in a slash."""

import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from palaver.api.call import Answer, Call, Stream, to_time
from palaver.api.fields import Body, FieldProblem, Flag, Invalid, Text, defaulting, omittable, optional, required
from palaver.api.language import text
from palaver.api.operation import EVENT_STREAM, Also, Api, Style
from palaver.api.sse import HEADERS, HEARTBEAT, encode_event, paced
from palaver.api.turns import CLIENT_ID, WHEN_BUSY
from palaver.chat.conversation import MessageId, Turn
from palaver.chat.errors import BotUnavailable, ChatError
from palaver.chat.flow import check_answered, continue_chat
from palaver.chat.listening import ReplyEnded, TextAdded, listen
from palaver.chat.ports import Begun
from palaver.chat.starting import new_streaming_conversation

api = Api("streaming_chat", Style.STREAMING)

SESSION = Text(at_least=1, at_most=100, blank=False)
MOST_TURNS = 20

# The reply, its attempt, and how much of it was heard. Opaque to clients.
CURSOR = re.compile(r"r(\d{1,18})\.(\d{1,9})\.(\d{1,9}|end)", re.ASCII)


class Say(Body):
    message = required(Text(at_least=1, trimmed=True))
    session_id = omittable(SESSION)
    client_message_id = optional(CLIENT_ID)
    when_busy = optional(WHEN_BUSY)


class SayAtOnce(Say):
    streaming = defaulting(Flag(), default=False)


class InSession(Body):
    session_id = required(SESSION)


class MaybeInSession(Body):
    session_id = optional(SESSION)


class ChatAnswer(Struct):
    response: str
    session_id: str
    success: bool
    is_streaming: bool
    is_final: bool = True
    error: str | UnsetType = UNSET


class Stopped(Struct):
    success: bool
    stopped: bool


class TurnShown(Struct):
    id: str
    user_message: str
    assistant_response: str
    created_at: datetime


class History(Struct):
    messages: list[TurnShown]


class Cursor(Struct, frozen=True):
    reply_id: MessageId
    attempt: int
    position: int | None
    """None: the end was heard."""


@api.add("POST", "/api/chat/", body=SayAtOnce, answer=ChatAnswer, starts_turn=True)
async def chat(call: Call) -> ChatAnswer:
    body = call.read(SayAtOnce)
    begun, session_id = await _begin(call, body)
    turn = (await call.chat.replies.wait_end(begun)).turn
    cause = _failure(call, turn)
    if cause is None:
        return ChatAnswer(turn.reply.content, session_id, success=True, is_streaming=body.streaming)
    said = turn.reply.content or text("apology", call.language)
    return ChatAnswer(said, session_id, success=False, is_streaming=body.streaming, error=cause)


@api.add("POST", "/api/chat/stream/", body=Say, starts_turn=True, content_types=EVENT_STREAM)
async def stream(call: Call) -> Stream:
    begun, session_id = await _begin(call, call.read(Say))
    return Stream(_events(call, begun, session_id, 0, with_start=True), HEADERS)


@api.add(
    "GET",
    "/api/chat/stream/",
    query=InSession,
    content_types=EVENT_STREAM,
    also={204: Also("Nothing runs and nothing was missed", content_types=())},
)
async def stream_on(call: Call) -> Stream | Answer:
    session_id = call.read_query(InSession).session_id
    conversation = await call.chat.store.conversations.by_name(call.reader, session_id)
    if conversation is None:
        return Answer(status=204)
    cursor = _to_cursor(call.header(b"last-event-id"))
    running = await call.chat.store.turns.open_reply(conversation.id)
    if running is not None:
        within = cursor is not None and _belongs(cursor, running) and cursor.position is not None
        position = cursor.position if within and cursor is not None else None
        return Stream(_events(call, running, session_id, position or 0, with_start=position is None), HEADERS)
    missed = None if cursor is None else await call.chat.store.turns.get(cursor.reply_id)
    if cursor is None or cursor.position is None or missed is None or not _belongs(cursor, missed):
        return Answer(status=204)
    if missed.turn.conversation.id != conversation.id:
        return Answer(status=204)
    return Stream(_events(call, missed, session_id, cursor.position, with_start=False), HEADERS)


@api.add("POST", "/api/chat/stop/", body=InSession, answer=Stopped)
async def stop(call: Call) -> Stopped:
    session_id = call.read(InSession).session_id
    conversation = await call.chat.store.conversations.by_name(call.reader, session_id)
    running = None if conversation is None else await call.chat.store.turns.open_reply(conversation.id)
    if running is None or running.turn.reply.status != "running":
        return Stopped(success=True, stopped=False)
    await call.chat.replies.stop(running.turn.reply.id)
    # It may end by itself meanwhile; and once this is answered, the history holds what was said.
    outcome = await call.chat.replies.wait_end(running)
    return Stopped(success=True, stopped=outcome.turn.reply.status == "stopped")


@api.add("GET", "/api/history/", query=MaybeInSession, answer=History)
async def history(call: Call) -> History:
    session_id = call.read_query(MaybeInSession).session_id
    conversation = None
    if session_id is not None:
        conversation = await call.chat.store.conversations.by_name(call.reader, session_id)
        if conversation is None:
            return History([])
    turns = await call.chat.store.conversations.recent_turns(call.reader, conversation, MOST_TURNS)
    return History([TurnShown(turn.uuid, turn.prompt, turn.answer, to_time(turn.created_at)) for turn in turns])


async def _begin(call: Call, body: Say) -> tuple[Begun, str]:
    """The turn on its way, and the session's id as the client knows it."""
    most = call.site.streaming_chat_max_message
    if len(body.message) > most:
        raise Invalid([FieldProblem("message", "string_too_long", {"at_most": most})], "body")
    name = body.session_id
    found = None if name is None else await call.chat.store.conversations.by_name(call.reader, name)
    new = None
    if found is None:
        user = await call.stored_user()
        new = await new_streaming_conversation(
            call.chat, user, body.message, name=name, client_id=body.client_message_id
        )
    begun = await continue_chat(
        call.chat,
        call.reader,
        body.message,
        conversation=None if found is None else found.uuid,
        new=new,
        client_message_id=body.client_message_id,
        when_busy=body.when_busy,
        request_id=call.request_id,
    )
    return begun, name or begun.turn.conversation.uuid


async def _events(
    call: Call, begun: Begun, session_id: str, position: int, *, with_start: bool
) -> AsyncIterator[bytes]:
    place = f"r{begun.turn.reply.id}.{begun.turn.reply.attempt}"
    if with_start:
        yield encode_event({"type": "start", "session_id": session_id}, f"{place}.0")
    try:
        async for event in paced(call, listen(call.chat, begun, position)):
            match event:
                case None:
                    yield HEARTBEAT
                case TextAdded():
                    yield encode_event({"type": "chunk", "content": event.text}, f"{place}.{event.position}")
                case ReplyEnded():
                    yield encode_event(_last(call, event.outcome.turn), f"{place}.end")
    except ChatError as error:
        yield encode_event({"type": "error", "error": text(error.code, call.language)})


def _last(call: Call, turn: Turn) -> dict[str, Any]:
    cause = _failure(call, turn)
    if cause is not None:
        return {"type": "error", "error": cause}
    ended: dict[str, Any] = {"type": "end", "complete_response": turn.reply.content}
    return ended | ({"stopped": True} if turn.reply.status == "stopped" else {})


def _failure(call: Call, turn: Turn) -> str | None:
    """Why there is no whole answer, for people; None where there is one. Raises what is no failure of the bot."""
    try:
        check_answered(turn)
    except BotUnavailable as error:
        return text(f"reason_{error.cause}", call.language)
    return None


def _belongs(cursor: Cursor, begun: Begun) -> bool:
    reply = begun.turn.reply
    return cursor.reply_id == reply.id and cursor.attempt == reply.attempt


def _to_cursor(given: str) -> Cursor | None:
    found = CURSOR.fullmatch(given)
    if found is None:
        return None
    position = None if found[3] == "end" else int(found[3])
    return Cursor(MessageId(int(found[1])), int(found[2]), position)
