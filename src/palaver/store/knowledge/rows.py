"""Rows to what the core knows of knowledge, and who may see it."""

import msgspec
from msgspec.structs import replace

from palaver.chat.knowledge import Collection, Document, DocumentId, Embedding, Passage, PassageId, Sizes
from palaver.store.database import Row

COLLECTION = (
    "c.id, c.uuid, c.owner_id, u.name, c.name, c.description, c.is_public, c.document_count, c.size, c.created_at, "
    "c.updated_at"
)
COLLECTION_COLUMNS = 11
COLLECTIONS = "collections c JOIN users u ON u.id = c.owner_id"

DOCUMENT = (
    "d.id, d.uuid, d.collection_id, d.name, d.media_type, d.size, d.status, d.problem, d.passage_count, d.created_at, "
    "d.updated_at, d.sizes"
)

PASSAGE = "p.id, d.uuid, d.name, p.number, p.begins, p.ends, p.text, p.page, p.heading"

# So many passages no document has: each stands at its number behind where its document begins.
IDS_OF_A_DOCUMENT = 1 << 24

EMBEDDING = "e.id, e.model, e.dimensions, e.is_current, e.wanted_at"

SHARED = "EXISTS (SELECT 1 FROM collection_shares s WHERE s.collection_id = c.id AND s.user_id = $1)"
# What a person may search: $1 the reader.
SEARCHABLE = f"NOT c.is_deleted AND (c.owner_id = $1 OR c.is_public OR {SHARED})"
# What a person sees: $2 whether it is an admin.
VISIBLE = f"NOT c.is_deleted AND (c.owner_id = $1 OR c.is_public OR $2 OR {SHARED})"


def to_collection(row: Row) -> Collection:
    id_, uuid, owner_id, owner_name, name, description, is_public, *numbers = row
    return Collection(id_, uuid, owner_id, owner_name, name, description, bool(is_public), *numbers)


def to_document(row: Row) -> Document:
    return replace(Document(*row[:-1]), sizes=to_sizes(row[-1]))


def to_sizes(kept: str | None) -> Sizes | None:
    return None if kept is None else msgspec.json.decode(kept, type=Sizes)


def from_sizes(sizes: Sizes | None) -> str | None:
    return None if sizes is None else msgspec.json.encode(sizes).decode()


def to_passage(row: Row) -> Passage:
    return Passage(*row)


def to_passage_id(document_id: DocumentId, number: int) -> PassageId:
    return PassageId(document_id * IDS_OF_A_DOCUMENT + number)


def to_embedding(row: Row) -> Embedding:
    id_, model, dimensions, is_current, wanted_at = row
    return Embedding(id_, model, dimensions, bool(is_current), wanted_at)
