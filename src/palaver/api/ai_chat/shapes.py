"""What ai_chat shows, and how it is drawn from what the core knows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict

from palaver.api.call import to_time
from palaver.chat.conversation import Conversation, Message, Role, Usage
from palaver.chat.knowledge import Source
from palaver.chat.user import User

ShownStatus = Literal["complete", "running", "stopped", "interrupted", "failed"]


class UserShown(Struct):
    id: int
    username: str
    first_name: str
    last_name: str


class UsageShown(Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class SourceShown(Struct):
    """A passage that the reply was given: `number` is what its text cites it by. `document_name` is empty where the
    reader may not see the document (any more)."""

    number: int
    document_id: str
    document_name: str
    passage: int
    page: int | None
    heading: str


class Metadata(Struct):
    """Only what there is."""

    model: str | UnsetType = UNSET
    usage: UsageShown | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    client_message_id: str | UnsetType = UNSET
    passages: list[SourceShown] | UnsetType = UNSET
    sender_id: str | UnsetType = UNSET
    """Among people."""


class MessageShown(Struct):
    id: str
    role: Role
    content: str
    tool_calls: list[dict[str, Any]] | None
    tool_call_id: str | None
    metadata: Metadata
    created_at: datetime
    token_count: int | None
    number: int
    status: ShownStatus
    parent_id: str | None


class SessionShown(Struct):
    """As in a list."""

    id: str
    user: UserShown
    title: str
    model_name: str
    temperature: float | None
    max_tokens: int | None
    enable_tools: bool
    is_active: bool
    status: Literal["active", "ended"]
    created_at: datetime
    updated_at: datetime
    message_count: int
    last_message_time: datetime


class WholeSession(SessionShown):
    window: int | None
    token_budget: int | None
    messages: list[MessageShown]


def show_user(user: User) -> UserShown:
    first, _, last = user.full_name.partition(" ")
    return UserShown(user.id, user.name, first, last)


def show_session(
    conversation: Conversation, owner: User, default_model: str, *, is_active: bool = True
) -> SessionShown:
    """`default_model` is that of a conversation which names none."""
    speaking = conversation.speaking
    return SessionShown(
        id=conversation.uuid,
        user=show_user(owner),
        title=conversation.title,
        model_name=speaking.model or default_model,
        temperature=speaking.temperature,
        max_tokens=speaking.max_tokens,
        enable_tools=speaking.enable_tools,
        is_active=is_active,
        status="ended" if conversation.ended else "active",
        created_at=to_time(conversation.created_at),
        updated_at=to_time(conversation.updated_at),
        message_count=conversation.message_count,
        last_message_time=to_time(conversation.last_message_at or conversation.created_at),
    )


def show_whole_session(session: SessionShown, conversation: Conversation, messages: Sequence[Message]) -> WholeSession:
    speaking = conversation.speaking
    return WholeSession(
        **asdict(session),
        window=speaking.window,
        token_budget=speaking.token_budget,
        messages=[show_message(message) for message in messages],
    )


def show_message(message: Message) -> MessageShown:
    return MessageShown(
        id=message.uuid,
        role=message.role,
        content=message.content,
        tool_calls=None,
        tool_call_id=None,
        metadata=_metadata(message),
        created_at=to_time(message.created_at),
        token_count=message.token_count,
        number=message.number,
        # To whoever looks from outside, what waits for its turn is on its way.
        status="running" if message.status == "queued" else message.status,
        parent_id=message.parent_uuid,
    )


def _metadata(message: Message) -> Metadata:
    return Metadata(
        model=message.model or UNSET,
        usage=_usage(message.usage),
        reason=UNSET if message.status == "complete" else message.reason or UNSET,
        client_message_id=message.client_message_id or UNSET,
        passages=[_source(source) for source in message.sources] or UNSET,
        sender_id=message.sender or UNSET,
    )


def _source(source: Source) -> SourceShown:
    return SourceShown(source.number, source.document, source.name, source.passage, source.page, source.heading)


def _usage(usage: Usage | None) -> UsageShown | UnsetType:
    # What the bot did not say is our own estimate, and no usage.
    if usage is None or usage.estimated:
        return UNSET
    return UsageShown(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
