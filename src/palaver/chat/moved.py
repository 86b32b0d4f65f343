"""What is brought here from another chat server, or taken there, and how it is known again."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal, TypeVar

from msgspec import Struct

from palaver.chat.clock import Micros
from palaver.chat.conversation import ConversationId
from palaver.chat.preset import NewPreset

# What is known by a key.
MovedKind = Literal["template", "session", "connection"]
MovedRole = Literal["user", "assistant", "system"]

DIGEST_BYTES = 16


class MovedTemplate(Struct, frozen=True):
    key: str
    new: NewPreset


class MovedMessage(Struct, frozen=True):
    """`known_by` is the digest it is known by; `sender` the name of the user who said it, None for a session's owner
    and the bot. `id` is what the message was called where it comes from, if it was called anything."""

    known_by: bytes
    role: MovedRole
    content: str
    at: Micros
    sender: str | None = None
    id: str = ""


class MovedSession(Struct, frozen=True):
    """One user and the bot. `prompt` None: as its template says. `exchanges` None: counted."""

    key: str
    uuid: str | None
    user: str
    template: str
    prompt: str | None
    ended: bool
    created_at: Micros
    last_activity: Micros | None = None
    ended_at: Micros | None = None
    exchanges: int | None = None


class MovedConnection(Struct, frozen=True):
    """Two users."""

    key: str
    uuid: str | None
    user1: str
    user2: str
    ended: bool
    created_at: Micros


T = TypeVar("T")

# Some of an application's conversations, in their order.
Page = Sequence[tuple[ConversationId, T]]


class Part(Struct, frozen=True):
    """A conversation with its messages, or with those of them that come next: a long one arrives in several parts."""

    of: MovedSession | MovedConnection
    messages: Sequence[MovedMessage]


class Arrived(Struct, frozen=True):
    """What became of it. `refused` is why nothing did; `note` is what is worth knowing although it did."""

    is_new: bool = False
    added: int = 0
    unchanged: int = 0
    refused: str | None = None
    note: str | None = None


class Put(Struct, frozen=True):
    """What became of a line of an export."""

    is_new: bool = False
    refused: str | None = None
    note: str | None = None


def known_by_key(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=DIGEST_BYTES).digest()


def known_by_words(role: str, content: str, at: Micros) -> bytes:
    words = blake2b(f"{role}\0{at}\0".encode(), digest_size=DIGEST_BYTES)
    words.update(content.encode())
    return words.digest()


def known_among_alike(by_words: bytes, before: int) -> bytes:
    """`before` is how many alike came before it."""
    return blake2b(by_words + before.to_bytes(8), digest_size=DIGEST_BYTES).digest() if before else by_words


def known_by_id(message_id: str) -> bytes:
    return blake2b(f"id\0{message_id}".encode(), digest_size=DIGEST_BYTES).digest()
