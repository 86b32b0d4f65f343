"""What people say to each other: read, said, worded anew, taken away, and how far one has read."""

from msgspec import Struct
from msgspec.structs import asdict

from palaver.api.call import Call
from palaver.api.fields import Body, Whole, defaulting, optional, required
from palaver.api.language import Language, text
from palaver.api.people.shapes import CONTENT, MESSAGE_ID, MESSAGES, ONE, PersonMessage, new_api, show_message
from palaver.api.people.speaker import For, count_for, find_speaker
from palaver.api.refusals import find_refusal
from palaver.api.turns import CLIENT_ID, check_length
from palaver.chat import connections, invited
from palaver.chat.errors import ChatError, Draining, Ended, Unreachable
from palaver.chat.ports import Seat

api = new_api()


class MessagesWanted(For):
    before = optional(MESSAGE_ID)
    limit = defaulting(Whole(1, 100), 50)


class Say(Body):
    content = required(CONTENT)
    client_message_id = optional(CLIENT_ID)


class Edit(Body):
    content = required(CONTENT)


class Read(Body):
    message_id = required(MESSAGE_ID)


class PersonMessages(Struct):
    """Oldest first."""

    messages: list[PersonMessage]
    has_more: bool


class PersonSaid(PersonMessage):
    """`bot_refused`: why the bot that is mentioned does not answer; null where it does, or is not mentioned. What was
    said stands all the same."""

    bot_refused: str | None


class UnreadLeft(Struct):
    unread_count: int


@api.add(
    "GET",
    MESSAGES,
    who="signed_in",
    query=MessagesWanted,
    answer=PersonMessages,
    summary="Read what people said",
)
async def list_messages(call: Call) -> PersonMessages:
    wanted = call.read_query(MessagesWanted)
    seat = Seat((await find_speaker(call)).id)
    found, has_more = await call.chat.store.connections.messages(
        seat, call.parameters["id"], before=wanted.before, limit=wanted.limit
    )
    return PersonMessages([show_message(one) for one in found], has_more)


@api.add(
    "POST",
    MESSAGES,
    who="signed_in",
    query=For,
    body=Say,
    answer=PersonSaid,
    to_people=True,
    raises=(Unreachable,),
    summary="Say something to people",
)
async def say(call: Call) -> PersonSaid:
    body = call.read(Say)
    check_length(call, "content", body.content)
    speaker = await find_speaker(call)
    await count_for(call, speaker)
    spoken = await connections.say(
        call.chat, Seat(speaker.id), call.parameters["id"], body.content, client_message_id=body.client_message_id
    )
    answer = await invited.answer_if_named(call.chat, spoken, speaker, call.site.limits, call.request_id)
    shown = show_message(spoken.written)
    return PersonSaid(
        **asdict(shown), bot_refused=_why(answer, call.language) if isinstance(answer, ChatError) else None
    )


def _why(error: ChatError, language: Language) -> str:
    refusal = find_refusal(error, {})
    return text("internal", language) if refusal is None else refusal.words(error, language)


@api.add(
    "PATCH",
    f"{MESSAGES}/{{message_id}}",
    who="signed_in",
    query=For,
    body=Edit,
    answer=PersonMessage,
    to_people=True,
    raises=(Unreachable, Ended, Draining),
    summary="Say one's own message in other words",
)
async def edit(call: Call) -> PersonMessage:
    body = call.read(Edit)
    check_length(call, "content", body.content)
    speaker = await find_speaker(call)
    await count_for(call, speaker)
    uuid, message = call.parameters["id"], call.parameters["message_id"]
    return show_message(await connections.edit(call.chat, Seat(speaker.id), uuid, message, body.content))


@api.add(
    "DELETE",
    f"{MESSAGES}/{{message_id}}",
    who="signed_in",
    query=For,
    answer=PersonMessage,
    counts_as_turn=True,
    summary="Take one's own message away for all: no word of it is kept",
)
async def remove(call: Call) -> PersonMessage:
    speaker = await find_speaker(call)
    await count_for(call, speaker)
    seat = Seat(speaker.id)
    return show_message(await connections.remove(call.chat, seat, call.parameters["id"], call.parameters["message_id"]))


@api.add(
    "POST", f"{ONE}/read", who="signed_in", query=For, body=Read, answer=UnreadLeft, summary="Tell how far one has read"
)
async def read(call: Call) -> UnreadLeft:
    body = call.read(Read)
    speaker = await find_speaker(call)
    unread = await connections.read_up_to(call.chat, Seat(speaker.id), call.parameters["id"], body.message_id, speaker)
    return UnreadLeft(unread)
