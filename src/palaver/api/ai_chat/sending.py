"""ai_chat's turns over HTTP: one JSON body once the reply has ended, or events while it is said."""

import json
from collections.abc import AsyncIterator
from datetime import datetime

import msgspec
from msgspec import Struct

from palaver.api.ai_chat.contract import MESSAGE, PREFIX, new_api
from palaver.api.call import Call, Stream, to_time
from palaver.api.fields import Body, Choice, Flag, defaulting, optional, required
from palaver.api.operation import EVENT_STREAM, JSON_ONLY
from palaver.api.refusals import find_refusal
from palaver.api.sse import HEADERS, HEARTBEAT, hear, quote
from palaver.api.turns import CLIENT_ID, WHEN_BUSY, answered, check_length
from palaver.chat.conversation import Message
from palaver.chat.errors import ChatError
from palaver.chat.flow import check_answered, continue_chat
from palaver.chat.listening import Over, TextSaid
from palaver.chat.ports import Begun

api = new_api()

DONE = b"data: [DONE]\n\n"


class Say(Body):
    message = required(MESSAGE)
    stream = defaulting(Flag(), default=False)
    client_message_id = optional(CLIENT_ID)
    when_busy = optional(WHEN_BUSY)


class Wanted(Body):
    full_content = defaulting(Choice("1", "0"), "1")


class SaidShown(Struct):
    id: str
    content: str
    created_at: datetime


class Exchange(Struct):
    success: bool
    user_message: SaidShown
    ai_message: SaidShown


@api.add(
    "POST",
    f"{PREFIX}/sessions/{{id}}/send_message/",
    body=Say,
    query=Wanted,
    answer=Exchange,
    content_types=(*JSON_ONLY, *EVENT_STREAM),
    starts_turn=True,
)
async def send_message(call: Call) -> Exchange | Stream:
    conversation = await call.chat.store.conversations.access(call.reader, call.parameters["id"])
    body, wanted = call.read(Say), call.read_query(Wanted)
    check_length(call, "message", body.message)
    begun = await continue_chat(
        call.chat,
        call.reader,
        body.message,
        conversation=conversation.uuid,
        client_message_id=body.client_message_id,
        when_busy=body.when_busy,
        request_id=call.request_id,
        granted=call.granted,
    )
    if body.stream:
        return Stream(_events(call, begun, full_content=wanted.full_content == "1"), HEADERS)
    turn = (await answered(call, begun)).turn
    return Exchange(success=True, user_message=_said(turn.prompt), ai_message=_said(turn.reply))


async def _events(call: Call, begun: Begun, *, full_content: bool) -> AsyncIterator[bytes]:
    yield _event("user_message", _said(begun.turn.prompt))
    said = ""
    try:
        async for heard in hear(call, begun, 0):
            match heard:
                case None:
                    yield HEARTBEAT
                case TextSaid():
                    whole = ""
                    if full_content:
                        said += heard.text
                        whole = f', "full_content": {quote(said)}'
                    data = f'{{"content": {quote(heard.text)}{whole}}}'
                    yield f'data: {{"type": "ai_chunk", "data": {data}}}\n\n'.encode()
                case Over():
                    check_answered(heard.reply)
                    yield _event("ai_complete", _said(heard.reply))
                    yield DONE
    except ChatError as error:
        # Of a server that goes away, too: nobody comes back to this stream by itself.
        yield _event("error", {"error": _words(call, error)})
        yield DONE


def _event(kind: str, data: object) -> bytes:
    return f"data: {json.dumps({'type': kind, 'data': msgspec.to_builtins(data)})}\n\n".encode()


def _words(call: Call, error: ChatError) -> str:
    """What is told of a failure after the start: the same as of one before it."""
    refusal = find_refusal(error, api.refusals)
    assert refusal is not None, "every error of a turn has its refusal"
    return refusal.words(error, call.language)


def _said(message: Message) -> SaidShown:
    return SaidShown(message.uuid, message.content, to_time(message.created_at))
