"""chat_domain: a conversation that starts with its first message. FastAPI style, camelCase, bare lists."""

from datetime import datetime

from msgspec import UNSET, Struct, UnsetType

from palaver.api.call import Call, to_time
from palaver.api.fields import Body, Text, Whole, defaulting, optional, required
from palaver.api.operation import Api, Style, fixed
from palaver.api.turns import CLIENT_ID, WHEN_BUSY, answered, check_length
from palaver.chat.conversation import Conversation, ConversationChange, Message, Role
from palaver.chat.conversations import change_conversation
from palaver.chat.errors import BotUnavailable, Ended, NotFound
from palaver.chat.flow import continue_chat, delete_conversation, owner
from palaver.chat.starting import new_domain_conversation
from palaver.chat.user import User

api = Api(
    "chat_domain",
    Style.FASTAPI,
    {
        NotFound: fixed(404, "Session not found"),
        Ended: fixed(409, "Session has ended"),
        BotUnavailable: fixed(503, "AI service unavailable"),
    },
)

ROLES: tuple[Role, ...] = ("user", "assistant")


class Say(Body):
    message = required(Text(at_least=1, at_most=10_000, trimmed=True))
    session_id = optional(Text(), "sessionId", "session_id")
    client_message_id = optional(CLIENT_ID, "clientMessageId", "client_message_id")
    when_busy = optional(WHEN_BUSY, "whenBusy", "when_busy")


class Rename(Body):
    title = required(Text(at_least=1, at_most=255, trimmed=True))


class SessionPage(Body):
    limit = defaulting(Whole(1, 100), 100)
    offset = defaulting(Whole(0), 0)


class MessagePage(Body):
    limit = optional(Whole(1))
    offset = defaulting(Whole(0), 0)


class DomainUsage(Struct, rename="camel"):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatResponse(Struct, rename="camel"):
    message: str
    session_id: str
    message_id: str
    usage: DomainUsage | UnsetType = UNSET


class SessionResponse(Struct, rename="camel"):
    session_id: str
    user_id: str
    title: str
    created_at: datetime
    updated_at: datetime


class MessageResponse(Struct, rename="camel"):
    message_id: str
    session_id: str
    role: str
    content: str
    created_at: datetime


class Success(Struct):
    success: bool = True


@api.add("POST", "/api/chat", body=Say, answer=ChatResponse, starts_turn=True)
async def chat(call: Call) -> ChatResponse:
    body = call.read(Say)
    check_length(call, "message", body.message)
    new = None
    reader = call.reader
    if not body.session_id:
        user = await call.stored_user()
        new = await new_domain_conversation(call.chat, user, body.message, body.client_message_id)
    begun = await continue_chat(
        call.chat,
        reader,
        body.message,
        conversation=body.session_id or None,
        new=new,
        client_message_id=body.client_message_id,
        when_busy=body.when_busy,
        request_id=call.request_id,
        granted=call.granted,
    )
    turn = (await answered(call, begun)).turn
    usage = turn.reply.usage
    return ChatResponse(
        turn.reply.content,
        turn.conversation.uuid,
        turn.reply.uuid,
        DomainUsage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
        if usage and not usage.estimated
        else UNSET,
    )


@api.add("GET", "/api/chat/sessions", query=SessionPage, answer=list[SessionResponse])
async def list_sessions(call: Call) -> list[SessionResponse]:
    page = call.read_query(SessionPage)
    conversations = await call.chat.store.conversations.list(call.reader, limit=page.limit, offset=page.offset)
    return [_session(conversation, call.user) for conversation in conversations]


@api.add("GET", "/api/chat/sessions/{id}", answer=SessionResponse)
async def get_session(call: Call) -> SessionResponse:
    return await _answer(call, await call.chat.store.conversations.access(call.reader, call.parameters["id"]))


@api.add("GET", "/api/chat/sessions/{id}/messages", query=MessagePage, answer=list[MessageResponse])
async def list_messages(call: Call) -> list[MessageResponse]:
    page = call.read_query(MessagePage)
    conversation = await call.chat.store.conversations.access(call.reader, call.parameters["id"])
    messages = await call.chat.store.conversations.messages(
        conversation, limit=page.limit, offset=page.offset, roles=ROLES
    )
    return [_message(conversation, message) for message in messages]


@api.add("POST", "/api/chat/sessions/{id}", body=Rename, answer=SessionResponse)
async def rename_session(call: Call) -> SessionResponse:
    return await _rename(call)


@api.add("PATCH", "/api/chat/sessions/{id}", body=Rename, answer=SessionResponse)
async def patch_session(call: Call) -> SessionResponse:
    return await _rename(call)


@api.add("DELETE", "/api/chat/sessions/{id}", answer=Success)
async def delete_session(call: Call) -> Success:
    await delete_conversation(call.chat, call.reader, call.parameters["id"])
    return Success()


async def _rename(call: Call) -> SessionResponse:
    title = call.read(Rename).title
    change = ConversationChange(title=title)
    return await _answer(call, await change_conversation(call.chat, call.reader, call.parameters["id"], change))


async def _answer(call: Call, conversation: Conversation) -> SessionResponse:
    return _session(conversation, await owner(call.chat, call.user, conversation))


def _session(conversation: Conversation, owner: User) -> SessionResponse:
    return SessionResponse(
        conversation.uuid,
        owner.shown_id,
        conversation.title,
        to_time(conversation.created_at),
        to_time(conversation.updated_at),
    )


def _message(conversation: Conversation, message: Message) -> MessageResponse:
    return MessageResponse(message.uuid, conversation.uuid, message.role, message.content, to_time(message.created_at))
