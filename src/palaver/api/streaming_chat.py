"""streaming_chat: a message goes, an answer comes, whole or in pieces. Every path ends in a slash."""

from collections.abc import AsyncIterator
from datetime import datetime

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from palaver.api.call import Answer, Call, Stream, to_time
from palaver.api.fields import Body, FieldProblem, Flag, Invalid, Text, defaulting, omittable, optional, required
from palaver.api.language import text
from palaver.api.operation import EVENT_STREAM, Also, Api, Style
from palaver.api.sse import HEADERS, HEARTBEAT, hear, quote
from palaver.api.turns import CLIENT_ID, WHEN_BUSY, check_length
from palaver.chat.conversation import Conversation, Message
from palaver.chat.cursor import decode_cursor, encode_cursor
from palaver.chat.errors import BotUnavailable, ChatError, Draining, NotFound, Withdrawn
from palaver.chat.flow import check_answered, continue_chat, stop_reply
from palaver.chat.listening import Over, TextSaid
from palaver.chat.places import Place, find_place
from palaver.chat.ports import Begun
from palaver.chat.starting import new_streaming_conversation

api = Api("streaming_chat", Style.STREAMING)

SESSION = Text(at_least=1, at_most=100, blank=False)
MOST_TURNS = 20


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


@api.add("POST", "/api/chat/", body=SayAtOnce, answer=ChatAnswer, starts_turn=True)
async def chat(call: Call) -> ChatAnswer:
    body = call.read(SayAtOnce)
    begun, session_id = await _begin(call, body)
    reply = (await call.chat.replies.wait_end(begun)).turn.reply
    call.given_again = reply.cached
    cause = _failure(call, reply)
    if cause is None:
        return ChatAnswer(reply.content, session_id, success=True, is_streaming=body.streaming)
    said = reply.content or text("apology", call.language)
    return ChatAnswer(said, session_id, success=False, is_streaming=body.streaming, error=cause)


@api.add("POST", "/api/chat/stream/", body=Say, starts_turn=True, content_types=EVENT_STREAM)
async def stream(call: Call) -> Stream:
    begun, session_id = await _begin(call, call.read(Say))
    return Stream(_events(call, Place(begun, begun.mark), session_id), HEADERS)


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
    place = await find_place(call.chat, conversation, decode_cursor(call.header(b"last-event-id")))
    if place is None:
        return Answer(status=204)
    return Stream(_events(call, place, session_id), HEADERS)


@api.add("POST", "/api/chat/stop/", body=InSession, answer=Stopped)
async def stop(call: Call) -> Stopped:
    session_id = call.read(InSession).session_id
    conversation = await call.chat.store.conversations.by_name(call.reader, session_id)
    stopped = None if conversation is None else await stop_reply(call.chat, conversation.id)
    if stopped is None:
        return Stopped(success=True, stopped=False)
    # It may end by itself meanwhile; and once this is answered, the history holds what was said.
    try:
        outcome = await call.chat.replies.wait_end(stopped, is_stopped=True)
    except (NotFound, Withdrawn):
        # It went with its conversation before it could end.
        return Stopped(success=True, stopped=False)
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
    check_length(call, "message", body.message)
    most = call.site.streaming_chat_max_message
    if len(body.message) > most:
        raise Invalid([FieldProblem("message", "string_too_long", {"at_most": most})], "body")
    name = body.session_id
    found = await _find(call, name)
    try:
        begun = await _continue(call, body, found)
    except NotFound:
        if found is None:
            raise
        # It was deleted since: its string is free again.
        begun = await _continue(call, body, await _find(call, name))
    return begun, name or begun.turn.conversation.uuid


async def _find(call: Call, name: str | None) -> Conversation | None:
    return None if name is None else await call.chat.store.conversations.by_name(call.reader, name)


async def _continue(call: Call, body: Say, found: Conversation | None) -> Begun:
    """In the conversation that was found, else in a new one. Raises `NotFound` where it is there no more."""
    new = None
    if found is None:
        user = await call.stored_user()
        new = await new_streaming_conversation(
            call.chat, user, body.message, name=body.session_id, client_id=body.client_message_id
        )
    return await continue_chat(
        call.chat,
        call.reader,
        body.message,
        conversation=None if found is None else found.uuid,
        new=new,
        client_message_id=body.client_message_id,
        when_busy=body.when_busy,
        request_id=call.request_id,
        granted=call.granted,
    )


async def _events(call: Call, place: Place, session_id: str) -> AsyncIterator[bytes]:
    begun = place.begun
    uuid, number = begun.turn.conversation.uuid, begun.turn.reply.number

    def event(began: int, position: int | None, data: str) -> bytes:
        """One event, in one piece."""
        # While the reply waited for its turn others were told, which whoever goes on by a WebSocket has to hear. Not
        # so once it has begun: then the cursor is a place in this one.
        mark = place.mark if began <= place.mark.event else replace(place.mark, event=began)
        return f"id: {encode_cursor(uuid, mark, number, position)}\ndata: {{{data}}}\n\n".encode()

    if place.position is None:
        yield event(0, 0, f'"type": "start", "session_id": {quote(session_id)}')
    began, position = 0, place.position or 0
    try:
        async for heard in hear(call, begun, position):
            match heard:
                case None:
                    yield HEARTBEAT
                case TextSaid():
                    began, position = heard.began, heard.position
                    yield event(heard.began, heard.position, f'"type": "chunk", "content": {quote(heard.text)}')
                case Over():
                    yield event(heard.reply.event, None, _last(call, heard.reply))
    except Draining:
        # The reply goes on elsewhere; whoever comes back with the last id hears the rest of it.
        return
    except ChatError as error:
        # Not the end of the reply: whoever comes back with this id goes on from here.
        yield event(began, position, f'"type": "error", "error": {quote(text(error.code, call.language))}')


def _last(call: Call, reply: Message) -> str:
    try:
        cause = _failure(call, reply)
    except ChatError as error:
        # The conversation ended, or somebody took the message back, while it waited: this reply is over all the same.
        cause = text(error.code, call.language)
    if cause is not None:
        return f'"type": "error", "error": {quote(cause)}'
    stopped = ', "stopped": true' if reply.status == "stopped" else ""
    return f'"type": "end", "complete_response": {quote(reply.content)}{stopped}'


def _failure(call: Call, reply: Message) -> str | None:
    """Why there is no whole answer, for people; None where there is one. Raises what is no failure of the bot."""
    try:
        check_answered(reply)
    except BotUnavailable as error:
        return text(f"reason_{error.cause}", call.language)
    return None
