"""Knowledge: collections of documents, the passages they are cut into, and those that a reply was given."""

import re
from typing import Literal, NewType

from msgspec import UNSET, Struct, UnsetType

from palaver.chat.clock import SECOND, Micros
from palaver.chat.errors import Invalid
from palaver.chat.user import UserId

CollectionId = NewType("CollectionId", int)
DocumentId = NewType("DocumentId", int)
PassageId = NewType("PassageId", int)
EmbeddingId = NewType("EmbeddingId", int)

# `arriving`: its bytes still come in. `waiting`: to be read; `reading`: a worker does. Only what is `ready` is
# searched.
DocumentStatus = Literal["arriving", "waiting", "reading", "ready", "failed"]

# Why a document cannot be read; what a person is told of it is in `api/language.py`.
Problem = Literal["unknown_kind", "broken", "encrypted", "too_large", "too_slow", "too_deep", "empty"]

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


# So long the one that is searched keeps its place after the last server that is set to it: one is started again.
HELD_SECONDS = 600

# So long one is kept that is not searched and that no server is set to.
UNWANTED_SECONDS = 24 * 3600


class Sizes(Struct, frozen=True):
    """How long a passage is at most, and how much of the one before it begins with. Tokens are estimated as by
    `count_tokens`: four bytes of Latin text, one East Asian character."""

    most: int = 400
    overlap: int = 60
    unit: Literal["tokens", "characters"] = "tokens"


class Collection(Struct, frozen=True):
    """Documents that are searched together. Who owns it, whom it is shared with and, if it is public, everybody may
    search and read it; its owner and admins change it."""

    id: CollectionId
    uuid: str
    owner_id: UserId
    owner_name: str
    name: str
    description: str
    is_public: bool
    document_count: int
    size: int
    """Bytes of all its documents, as they were uploaded."""
    created_at: Micros
    updated_at: Micros
    can_ask: bool = True
    """Whether a search of whoever looks at it finds anything: an admin sees all, and asks what they could without."""


class NewCollection(Struct, frozen=True):
    name: str
    description: str = ""
    is_public: bool = False


def is_uuid(name: str) -> bool:
    """It names the collection with that UUID and no other, whatever others are called."""
    return _UUID.fullmatch(name) is not None


def check_is_no_uuid(name: str) -> None:
    """Nobody takes another collection's UUID for a name. Raises `Invalid`."""
    if is_uuid(name):
        raise Invalid("name", "is_a_uuid")


class CollectionChange(Struct, frozen=True):
    """`UNSET` stays as it is."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    is_public: bool | UnsetType = UNSET


class Document(Struct, frozen=True):
    id: DocumentId
    uuid: str
    collection_id: CollectionId
    name: str
    """Its file's name, or the path below the folder that was ingested: the `source` of its passages."""
    media_type: str
    size: int
    status: DocumentStatus
    problem: Problem | None
    passage_count: int
    created_at: Micros
    updated_at: Micros
    sizes: Sizes | None = None
    """Of its passages, where they are not to be as the server usually makes them."""


class Cut(Struct, frozen=True):
    """A passage as it is cut out of a document: `start` and `end` count characters of the document's text.

    The passages of a document, in order and without their overlaps, are its whole text.
    """

    number: int
    start: int
    end: int
    text: str
    page: int | None = None
    heading: str = ""
    """The headings it stands under, outermost first, joined by ` › `."""


class Passage(Struct, frozen=True):
    """One that was found, or is read."""

    id: PassageId
    document: str
    """The document's UUID."""
    name: str
    number: int
    start: int
    end: int
    text: str
    page: int | None
    heading: str


class Source(Struct, frozen=True):
    """A passage that a reply was given. It is kept with the message by `document` and `passage`, the passage's number,
    alone: of a document that is deleted nothing stays.

    `number` is what the reply cites it by, from 1. `name` is empty where the reader may not see the document any more.
    """

    number: int
    document: str
    passage: int
    name: str = ""
    page: int | None = None
    heading: str = ""


class Quota(Struct, frozen=True):
    """What one person may keep; None is no limit."""

    collections: int | None = None
    documents: int | None = None
    bytes: int | None = None


class Claimed(Struct, frozen=True):
    """A document that a worker reads now. `attempt` fences: who comes late with an older one writes nothing."""

    document: Document
    attempt: int


class Embedding(Struct, frozen=True):
    """A model and the size of its vectors. What is searched is the newest one that has all passages (`is_current`)."""

    id: EmbeddingId
    model: str
    dimensions: int
    is_current: bool
    wanted_at: Micros
    """When a server that is set to it last said so."""

    def yields_to(self, model: str, now: Micros) -> bool:
        """Whether that model may take its place. Not while a server is set to this one: of two servers that are set to
        different models each would undo what the other does."""
        return model == self.model or now >= self.wanted_at + HELD_SECONDS * SECOND


class Hits(Struct, frozen=True):
    """What one search found: by words and by meaning, each best first."""

    by_words: tuple[Passage, ...] = ()
    by_meaning: tuple[Passage, ...] = ()
