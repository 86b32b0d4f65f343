"""How people, their conversations and what they say to each other are shown."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from palaver.api.call import Call, to_time
from palaver.api.fields import Text, Whole, defaulting
from palaver.api.operation import Api, Style
from palaver.api.people.speaker import For
from palaver.chat.conversation import Status
from palaver.chat.ports import Connection, Member, Written

PREFIX = "/api/people"
CONVERSATIONS = f"{PREFIX}/conversations"
ONE = f"{CONVERSATIONS}/{{id}}"
MESSAGES = f"{ONE}/messages"

CONTENT = Text(at_least=1, at_most=10_000, blank=False)
TITLE = Text(at_least=1, at_most=200, trimmed=True)
MESSAGE_ID = Text(at_least=1, at_most=100)


def new_api() -> Api:
    """For the operations of one module."""
    return Api("people", Style.FASTAPI)


class Page(For):
    limit = defaulting(Whole(1, 100), 50)
    offset = defaulting(Whole(0), 0)


class PersonShown(Struct):
    """`id` is what an application calls its user, else a UUID. `present`: seen within a minute; null where the person
    does not say."""

    id: str
    username: str
    full_name: str
    present: bool | None


class MemberShown(PersonShown):
    """`read_number`: of the last message that they have seen."""

    manages: bool
    read_number: int


class SenderShown(Struct):
    id: str
    username: str


class BotShown(Struct):
    """It answers where it is mentioned as `@slug`."""

    preset_id: int
    slug: str
    name: str


class PersonMessage(Struct):
    """`sender` is null for the bot, and for somebody who was erased. What was removed has no content."""

    id: str
    number: int
    sender: SenderShown | None
    role: Literal["user", "assistant", "system", "tool"]
    content: str
    created_at: datetime
    edited_at: datetime | None
    removed: bool
    status: Status
    client_message_id: str | None


class PeopleConversation(Struct):
    id: str
    kind: Literal["pair", "group"]
    title: str
    members: list[MemberShown]
    bot: BotShown | None
    status: Literal["active", "ended"]
    blocked: bool
    muted: bool
    unread_count: int
    last_message: PersonMessage | None
    created_at: datetime
    last_activity: datetime


def show_member(call: Call, member: Member) -> MemberShown:
    user = member.user
    present = call.site.presence.is_present(member)
    return MemberShown(user.shown_id, user.name, user.full_name, present, member.manages, member.read_number)


def show_conversation(call: Call, connection: Connection) -> PeopleConversation:
    conversation, bot = connection.conversation, connection.bot
    return PeopleConversation(
        id=conversation.uuid,
        kind="pair" if conversation.kind == "pair" else "group",
        title=conversation.title,
        members=[show_member(call, member) for member in connection.members],
        bot=None if bot is None else BotShown(bot.preset_id, bot.slug, bot.name),
        status="ended" if conversation.ended else "active",
        blocked=connection.blocked,
        muted=connection.muted,
        unread_count=connection.unread,
        last_message=None if connection.last is None else show_message(connection.last),
        created_at=to_time(conversation.created_at),
        last_activity=to_time(conversation.last_message_at or conversation.created_at),
    )


def show_message(written: Written) -> PersonMessage:
    message, sender = written.message, written.sender
    return PersonMessage(
        id=message.uuid,
        number=message.number,
        sender=None if sender is None else SenderShown(sender.shown_id, sender.name),
        role=message.role,
        content=message.content,
        created_at=to_time(message.created_at),
        edited_at=None if written.edited_at is None else to_time(written.edited_at),
        removed=written.removed_at is not None,
        status=message.status,
        client_message_id=message.client_message_id,
    )
