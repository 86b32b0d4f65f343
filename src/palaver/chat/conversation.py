"""What a conversation and its messages are, as kept in the store and handed around in the core."""

import re
from typing import Literal, NewType

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from palaver.chat.clock import Micros
from palaver.chat.knowledge import Source
from palaver.chat.user import Reader, UserId

ConversationId = NewType("ConversationId", int)
MessageId = NewType("MessageId", int)
TextId = NewType("TextId", int)
PresetId = NewType("PresetId", int)

Origin = Literal["chat_flow", "chatify", "chat_domain", "ai_chat", "streaming_chat", "people"]
# With a bot; of two people; of several.
Kind = Literal["bot", "pair", "group"]
Role = Literal["user", "assistant", "system", "tool"]
Status = Literal["complete", "queued", "running", "stopped", "interrupted", "failed"]
End = Literal["complete", "stopped", "interrupted", "failed"]
WhenBusy = Literal["queue", "reject", "interrupt"]

TITLE_LENGTH = 50


class Speaking(Struct, frozen=True):
    """How the bot of a conversation is asked; what a preset passes on when a conversation starts.

    `None` is the server's default, but for `window` (no window) and `temperature` with `sends_temperature` off.
    """

    provider: str | None = None
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    window: int | None = None
    slides: bool = False
    token_budget: int | None = None
    enable_tools: bool = False
    collection: str | None = None
    caches_answers: bool = False
    """Whether the same question may get the answer that was given before (`chat/cache.py`)."""


class Conversation(Struct, frozen=True):
    id: ConversationId
    uuid: str
    owner_id: UserId
    app_id: UserId | None
    origin: Origin
    ended: bool
    title: str
    prompt_id: TextId | None
    preset_id: PresetId | None
    preset_slug: str
    speaking: Speaking
    label: str
    revision: int
    context_from: int
    last_number: int
    leaf_number: int
    message_count: int
    exchange_count: int
    open_replies: int
    created_at: Micros
    updated_at: Micros
    last_message_at: Micros | None
    ended_at: Micros | None
    event: int = 0
    """The number of the last event that was told here (`chat/events.py`)."""
    leaf_uuid: str | None = None
    """The message that the next one is shown to follow."""
    open_by_id: bool = False
    """Whether it is a guest's: whoever knows its id opens it, where guests are let in."""
    summary_to: int = 0
    """What was said before this number is summarised; 0: there is no summary."""
    pinned_at: Micros | None = None
    """Since when it stands at the top of its owner's list."""
    archived_at: Micros | None = None
    """Since when it is out of its owner's list, with the others that were put away."""
    kind: Kind = "bot"
    used_tokens: int = 0
    """What its replies have used, questions and answers together."""

    @property
    def is_of_people(self) -> bool:
        """Who may open it are those who are in it: the store alone knows them."""
        return self.kind != "bot"

    def admits(self, reader: Reader) -> bool:
        """Whether the reader may open it; the same rule as the store's."""
        return self.kind == "bot" and (
            self.owner_id == reader.user_id
            or (reader.app_id is not None and self.app_id == reader.app_id)
            or (reader.guests_allowed and self.open_by_id)
        )


class NewConversation(Struct, frozen=True):
    """A conversation about to be made.

    `client_id` makes the making of it safe to repeat; `client_name` is what its owner calls it, once in the owner's.
    """

    uuid: str
    owner_id: UserId
    app_id: UserId | None
    origin: Origin
    title: str
    system_prompt: str
    speaking: Speaking
    preset_id: PresetId | None = None
    preset_slug: str = "general"
    label: str = ""
    client_id: str | None = None
    client_name: str | None = None
    open_by_id: bool = False
    ends_when_idle: bool = False
    lists_prompt: bool = False
    """The system prompt, where there is one, is its first message."""


class ConversationChange(Struct, frozen=True):
    """What to change; `UNSET` stays as it is, `None` is a value. A system prompt is listed from then on as the first
    message; an empty one takes it away."""

    title: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    max_tokens: int | UnsetType | None = UNSET
    enable_tools: bool | UnsetType = UNSET
    window: int | UnsetType | None = UNSET
    token_budget: int | UnsetType | None = UNSET
    presence_penalty: float | UnsetType | None = UNSET
    frequency_penalty: float | UnsetType | None = UNSET
    caches_answers: bool | UnsetType = UNSET
    provider: str | UnsetType | None = UNSET
    collection: str | UnsetType | None = UNSET
    system_prompt: str | UnsetType = UNSET


class Marks(Struct, frozen=True):
    """Where a conversation stands in its owner's list; `UNSET` stays as it is."""

    pinned: bool | UnsetType = UNSET
    archived: bool | UnsetType = UNSET


class Usage(Struct, frozen=True):
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    estimated: bool = False
    """Counted here, where the bot did not say."""

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


class Message(Struct, frozen=True):
    id: MessageId
    uuid: str
    conversation_id: ConversationId
    number: int
    parent_number: int | None
    role: Role
    status: Status
    content: str
    created_at: Micros
    """Of a reply that has ended: when it did."""
    sender_id: UserId | None = None
    client_message_id: str | None = None
    token_count: int | None = None
    model: str | None = None
    reason: str | None = None
    usage: Usage | None = None
    details: str | None = None
    attempt: int = 1
    exchange: int | None = None
    """Of a reply that answered: which exchange of its conversation it was."""
    event: int = 0
    """The number of the event that told it: of a reply, its start."""
    end_event: int = 0
    """Of a reply that has ended: the last number under which that was told."""
    in_view: bool = True
    parent_uuid: str | None = None
    """The message it follows, where whoever made this knew it."""
    cached: bool = False
    """Of a reply: nobody was asked for it, it had been given before."""
    sources: tuple[Source, ...] = ()
    """Of a reply: the passages that it was given. As they come from the store, they tell nothing but their places."""
    sender: str | None = None
    """Among people: who said it, by the id that APIs show."""


class Past(Struct, frozen=True):
    """One earlier message as the bot may see it."""

    number: int
    role: Role
    content: str
    token_count: int


class Turn(Struct, frozen=True):
    """A person's message and the bot's reply to it, in the conversation as it is after both were written."""

    conversation: Conversation
    prompt: Message
    reply: Message


def to_spoken(conversation: Conversation, max_tokens: int) -> Speaking:
    """How its bot is asked: only sessions of ai_chat leave the length of a reply to the server where they name none."""
    speaking = conversation.speaking
    if speaking.max_tokens is None and conversation.origin == "ai_chat":
        return replace(speaking, max_tokens=max_tokens)
    return speaking


# The bot that is given passages.
KNOWING = "openai_rag"


def may_know(speaking: Speaking) -> bool:
    """Whether its bot may be given passages. Who answers where nobody is named is not known before a turn runs."""
    return bool(speaking.collection) and speaking.provider in (KNOWING, None)


def to_title(text: str) -> str:
    """The title a conversation gets from its first words, line breaks as blanks."""
    return re.sub(r"\r\n|\r|\n", " ", text.strip())[:TITLE_LENGTH] or "New Chat"
