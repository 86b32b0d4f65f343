"""The kinds of lines that an export of Palaver has: the table each is kept in, and its columns.

Ids are of one database alone: a line names what it belongs to by what that is called everywhere, a UUID or a name id.
"""

from typing import Literal

from msgspec import Struct

Target = Literal["users", "presets", "conversations", "collections", "documents"]
Holds = Literal["text", "whole", "real", "flag", "bytes"]

# What each is called everywhere.
NAMES: dict[Target, str] = {
    "users": "uuid",
    "presets": "slug",
    "conversations": "uuid",
    "collections": "uuid",
    "documents": "uuid",
}


class Column(Struct, frozen=True):
    """`may_lack`: NULL is a value. `refers` is where the id in it leads: the line has the name instead."""

    name: str
    column: str
    holds: Holds = "text"
    may_lack: bool = False
    refers: Target | None = None


class Kind(Struct, frozen=True):
    """`known_by` is how one is found again; None: by its own key alone."""

    name: str
    table: str
    columns: tuple[Column, ...]
    known_by: Target | None = None
    secret: bool = False


def _of(holds: Holds, names: str) -> list[Column]:
    """Columns by their names; one with a ? behind it may lack."""
    return [Column(one.rstrip("?"), one.rstrip("?"), holds, one.endswith("?")) for one in names.split()]


def _to(name: str, column: str, refers: Target, *, may_lack: bool = False) -> Column:
    return Column(name, column, "text", may_lack, refers)


SPEAKING = (
    *_of("text", "provider? model?"),
    *_of("real", "temperature? presence_penalty? frequency_penalty?"),
    *_of("whole", "max_tokens? history_window? token_budget?"),
    *_of("flag", "slides enable_tools caches_answers"),
    *_of("text", "collection?"),
)

USER = Kind(
    "user",
    "users",
    (
        *_of("text", "uuid kind name email full_name language?"),
        *_of("flag", "is_admin shows_presence"),
        _to("app", "app_id", "users", may_lack=True),
        *_of("whole", "created_at disabled_at? seen_at?"),
    ),
    "users",
)
PASSWORD = Column("password_hash", "password_hash", "text", True)
TOKEN = Kind(
    "token",
    "tokens",
    (
        _to("user", "user_id", "users"),
        *_of("text", "kind label"),
        *_of("bytes", "digest"),
        *_of("whole", "created_at expires_at? revoked_at? last_used_at?"),
    ),
    secret=True,
)
LIMIT = Kind(
    "limit",
    "limits",
    (
        _to("user", "user_id", "users"),
        *_of(
            "whole",
            "turns_a_minute? replies_at_once? sockets_at_once? tokens_a_day? tokens_a_month? money_a_month?",
        ),
    ),
)
PRESET = Kind(
    "preset",
    "presets",
    (
        *_of("text", "slug name title description category prompt welcome tags visibility"),
        _to("owner", "owner_id", "users", may_lack=True),
        *SPEAKING,
        *_of("flag", "is_default"),
        *_of("whole", "usage_count version created_at updated_at"),
        _to("changed_by", "changed_by", "users", may_lack=True),
    ),
    "presets",
)
PRESET_VERSION = Kind(
    "preset_version",
    "preset_versions",
    (
        _to("preset", "preset_id", "presets"),
        *_of("whole", "number changed_at"),
        _to("changed_by", "changed_by", "users", may_lack=True),
        *_of("text", "content"),
    ),
)
PRESET_SHARE = Kind(
    "preset_share", "preset_shares", (_to("preset", "preset_id", "presets"), _to("user", "user_id", "users"))
)
BLOCK = Kind(
    "block",
    "blocks",
    (_to("blocker", "blocker_id", "users"), _to("blocked", "blocked_id", "users"), *_of("whole", "created_at")),
)
COLLECTION = Kind(
    "collection",
    "collections",
    (
        *_of("text", "uuid name description"),
        _to("owner", "owner_id", "users"),
        *_of("flag", "is_public"),
        *_of("whole", "created_at updated_at"),
    ),
    "collections",
)
COLLECTION_SHARE = Kind(
    "collection_share",
    "collection_shares",
    (_to("collection", "collection_id", "collections"), _to("user", "user_id", "users")),
)
DOCUMENT = Kind(
    "document",
    "documents",
    (
        *_of("text", "uuid name media_type sizes?"),
        _to("collection", "collection_id", "collections"),
        *_of("bytes", "digest?"),
        *_of("whole", "size most_kept? created_at"),
    ),
    "documents",
)
DOCUMENT_PART = Kind(
    "document_part",
    "document_parts",
    (_to("document", "document_id", "documents"), *_of("whole", "number"), *_of("bytes", "data")),
)
CONVERSATION = Kind(
    "conversation",
    "conversations",
    (
        *_of("text", "uuid kind origin status title label creation_key? client_name?"),
        _to("owner", "owner_id", "users"),
        _to("app", "app_id", "users", may_lack=True),
        _to("preset", "preset_id", "presets", may_lack=True),
        *_of("text", "preset_slug"),
        *SPEAKING,
        *_of("flag", "open_by_id ends_when_idle"),
        *_of("text", "summary? leaf_uuid?"),
        *_of(
            "whole",
            "revision context_from summary_to last_number leaf_number event message_count exchange_count prompt_tokens "
            "completion_tokens cached_tokens cost created_at updated_at last_message_at? ended_at? pinned_at? "
            "archived_at?",
        ),
    ),
    "conversations",
)
PARTICIPANT = Kind(
    "participant",
    "participants",
    (
        _to("conversation", "conversation_id", "conversations"),
        _to("user", "user_id", "users"),
        *_of("whole", "joined_at left_at? read_number read_event unread"),
        *_of("flag", "muted manages"),
    ),
)
MESSAGE = Kind(
    "message",
    "messages",
    (
        _to("conversation", "conversation_id", "conversations"),
        *_of("whole", "number parent_number?"),
        *_of("text", "uuid role status content"),
        _to("sender", "sender_id", "users", may_lack=True),
        *_of("text", "client_message_id? model? reason? details? sources?"),
        *_of("flag", "in_view usage_estimated cached"),
        *_of(
            "whole",
            "created_at edited_at? removed_at? token_count? prompt_tokens? completion_tokens? cached_tokens? cost? "
            "exchange? attempt event end_event",
        ),
    ),
)

ALL = (
    USER, TOKEN, LIMIT, BLOCK, COLLECTION, COLLECTION_SHARE, DOCUMENT, DOCUMENT_PART, PRESET, PRESET_VERSION,
    PRESET_SHARE, CONVERSATION, PARTICIPANT, MESSAGE,
)  # fmt: skip
BY_NAME = {kind.name: kind for kind in ALL}

# Lines beside those of tables: `rules`, `document_end`, `ledger`.
RULES, DOCUMENT_END, LEDGER = "rules", "document_end", "ledger"
LEDGER_SUMS = ("turns", "prompt_tokens", "completion_tokens", "cached_tokens", "cost")
