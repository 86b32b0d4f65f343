"""chatify's second part: connections, from person to person. FastAPI style, every success is 200, no bot."""

from datetime import datetime
from typing import Literal

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict

from palaver.api.call import Call, to_time
from palaver.api.fields import Body, Choice, FieldProblem, Invalid, Text, Whole, defaulting, optional, required
from palaver.api.operation import Api, Style, fixed, worded
from palaver.api.people.speaker import count_for, find_app_user
from palaver.api.turns import CLIENT_ID, check_length
from palaver.chat import connections
from palaver.chat.errors import Ended, NoSuchPerson, NotForOthers, NotFound, Unreachable
from palaver.chat.ports import Connection, Seat, StatusWanted, Written
from palaver.chat.user import User

api = Api(
    "chatify",
    Style.FASTAPI,
    {
        NotFound: fixed(404, "Connection not found"),
        NoSuchPerson: fixed(404, "User not found"),
        NotForOthers: worded(403, "forbidden"),
        Unreachable: fixed(403, "This person cannot be reached"),
        Ended: fixed(409, "Connection has ended"),
    },
)

PATH = "/api/v1/connections"
ONE = f"{PATH}/{{id}}"

PERSON = Text(at_least=1, at_most=255)
STATUS: Choice[StatusWanted] = Choice("active", "ended", "all")
MESSAGE_ID = Text(at_least=1, at_most=100)


class NewConnection(Body):
    user1_id = optional(PERSON)
    user2_id = required(PERSON)


class Page(Body):
    status = defaulting(STATUS, "active")
    limit = defaulting(Whole(1, 100), 50)
    offset = defaulting(Whole(0), 0)
    user_id = optional(PERSON)


class For(Body):
    user_id = optional(PERSON)


class Say(Body):
    content = required(Text(at_least=1, at_most=4000, blank=False))
    client_message_id = optional(CLIENT_ID)
    sender_id = optional(PERSON)


class MessagesWanted(Body):
    before = optional(MESSAGE_ID)
    limit = defaulting(Whole(1, 100), 50)
    user_id = optional(PERSON)


class Read(Body):
    message_id = required(MESSAGE_ID)
    user_id = optional(PERSON)


class MessageFields(Struct):
    message_id: str
    connection_id: str
    sender_id: str
    content: str
    timestamp: datetime
    number: int
    client_message_id: str | UnsetType = UNSET


class Sent(MessageFields):
    success: bool = True


class ConnectionFields(Struct):
    connection_id: str
    user1_id: str
    user2_id: str
    status: Literal["active", "ended"]
    blocked: bool
    created_at: datetime
    last_activity: datetime
    last_message: MessageFields | None
    unread_count: int


class Made(Struct):
    connection_id: str
    created: bool
    connection: ConnectionFields
    success: bool = True


class Listed(Struct):
    connections: list[ConnectionFields]
    has_more: bool
    success: bool = True


class Got(Struct):
    connection: ConnectionFields
    success: bool = True


class Messages(Struct):
    messages: list[MessageFields]
    has_more: bool
    success: bool = True


class Unread(Struct):
    unread_count: int
    success: bool = True


class ConnectionEnded(Struct):
    success: bool = True
    message: str = "Connection ended successfully"


class Block(Struct):
    blocked: bool
    success: bool = True


@api.add(
    "POST",
    PATH,
    who="signed_in",
    body=NewConnection,
    answer=Made,
    raises=(NoSuchPerson, Unreachable),
    summary="Find the connection of two people, or begin it",
)
async def connect(call: Call) -> Made:
    body = call.read(NewConnection)
    first, second, asks = await _pair(call, body.user1_id, body.user2_id)
    made, is_new = await connections.connect_pair(call.chat, first, second, asks)
    return Made(made.conversation.uuid, is_new, _connection(made))


async def _pair(call: Call, first: str | None, second: str) -> tuple[User, User, User]:
    """The two, and who of them asks. Raises `NotForOthers` and `NoSuchPerson`."""
    caller = call.user
    if caller.kind == "app":
        if first is None:
            raise Invalid([FieldProblem("user1_id", "missing", {})], "body")
        if first == second:
            raise Invalid([FieldProblem("user2_id", "same_person", {})], "body")
        begins = await connections.mention(call.chat, caller, first)
        return begins, await connections.mention(call.chat, caller, second), begins
    if first is None or _is_called(caller, first):
        return caller, await connections.find_person(call.chat, caller, second), caller
    if not _is_called(caller, second):
        raise NotForOthers
    return await connections.find_person(call.chat, caller, first), caller, caller


@api.add("GET", PATH, who="signed_in", query=Page, answer=Listed, summary="List one's connections")
async def list_connections(call: Call) -> Listed:
    page = call.read_query(Page)
    seat, _ = await _seat(call, page.user_id, "query", "user_id", made=True)
    found, has_more = await call.chat.store.connections.list(seat, page.status, limit=page.limit, offset=page.offset)
    return Listed([_connection(one) for one in found], has_more)


@api.add("GET", ONE, who="signed_in", query=For, answer=Got, summary="Tell of one connection")
async def get_connection(call: Call) -> Got:
    seat, _ = await _seat(call, call.read_query(For).user_id, "query", "user_id")
    return Got(_connection(await call.chat.store.connections.get(seat, call.parameters["id"])))


@api.add(
    "POST",
    f"{ONE}/message",
    who="signed_in",
    body=Say,
    answer=Sent,
    to_people=True,
    raises=(Unreachable,),
    summary="Say something to the other person",
)
async def say(call: Call) -> Sent:
    body = call.read(Say)
    check_length(call, "content", body.content)
    seat, sender = await _seat(call, body.sender_id, "body", "sender_id")
    await count_for(call, sender)
    spoken = await connections.say(
        call.chat, seat, call.parameters["id"], body.content, client_message_id=body.client_message_id
    )
    return Sent(**asdict(_message(spoken.written, spoken.conversation.uuid)))


@api.add("GET", f"{ONE}/messages", who="signed_in", query=MessagesWanted, answer=Messages, summary="Read what was said")
async def list_messages(call: Call) -> Messages:
    wanted = call.read_query(MessagesWanted)
    seat, _ = await _seat(call, wanted.user_id, "query", "user_id")
    uuid = call.parameters["id"]
    found, has_more = await call.chat.store.connections.messages(seat, uuid, before=wanted.before, limit=wanted.limit)
    return Messages([_message(one, uuid) for one in found], has_more)


@api.add("POST", f"{ONE}/read", who="signed_in", body=Read, answer=Unread, summary="Tell how far one has read")
async def read(call: Call) -> Unread:
    body = call.read(Read)
    seat, reader = await _seat(call, body.user_id, "body", "user_id")
    return Unread(await connections.read_up_to(call.chat, seat, call.parameters["id"], body.message_id, reader))


@api.add("DELETE", ONE, who="signed_in", query=For, answer=ConnectionEnded, summary="End a connection")
async def end(call: Call) -> ConnectionEnded:
    seat, _ = await _seat(call, call.read_query(For).user_id, "query", "user_id")
    await connections.end(call.chat, seat, call.parameters["id"])
    return ConnectionEnded()


@api.add("POST", f"{ONE}/block", who="signed_in", body=For, answer=Block, summary="Block the other person")
async def block(call: Call) -> Block:
    seat, _ = await _seat(call, call.read(For).user_id, "body", "user_id")
    await connections.block(call.chat, seat, call.parameters["id"])
    return Block(blocked=True)


@api.add("DELETE", f"{ONE}/block", who="signed_in", query=For, answer=Block, summary="Take a block back")
async def unblock(call: Call) -> Block:
    seat, _ = await _seat(call, call.read_query(For).user_id, "query", "user_id")
    await connections.unblock(call.chat, seat, call.parameters["id"])
    return Block(blocked=False)


async def _seat(call: Call, named: str | None, place: str, field: str, *, made: bool = False) -> tuple[Seat, User]:
    """For whom it is: the caller, or the user whom an application names. `made`: at first mention.

    Raises `NotForOthers`, and `NotFound` for a user of whom the application has said nothing yet.
    """
    caller = call.user
    if caller.kind != "app":
        if named is not None and not _is_called(caller, named):
            raise NotForOthers
        return Seat(caller.id, pairs_only=True), caller
    if named is None:
        raise Invalid([FieldProblem(field, "missing", {})], place)
    found = await find_app_user(call, named, made=made)
    return Seat(found.id, pairs_only=True), found


def _is_called(user: User, named: str) -> bool:
    return named.casefold() in (user.name.casefold(), user.uuid)


def _connection(connection: Connection) -> ConnectionFields:
    conversation, members = connection.conversation, connection.members
    last = connection.last
    return ConnectionFields(
        connection_id=conversation.uuid,
        user1_id=members[0].user.shown_id,
        user2_id=members[-1].user.shown_id,
        status="ended" if conversation.ended else "active",
        blocked=connection.blocked,
        created_at=to_time(conversation.created_at),
        last_activity=to_time(conversation.last_message_at or conversation.created_at),
        last_message=None if last is None else _message(last, conversation.uuid),
        unread_count=connection.unread,
    )


def _message(written: Written, connection: str) -> MessageFields:
    message = written.message
    return MessageFields(
        message_id=message.uuid,
        connection_id=connection,
        # Nobody is left of who was erased.
        sender_id=message.sender or "",
        content=message.content,
        timestamp=to_time(message.created_at),
        number=message.number,
        client_message_id=message.client_message_id or UNSET,
    )
