"""Rows to what the core knows, and the columns they are read from."""

import json
from collections.abc import Sequence

from palaver.chat.conversation import Conversation, Message, Speaking, Usage
from palaver.chat.knowledge import Source
from palaver.chat.preset import Preset
from palaver.chat.user import Token, User
from palaver.store.database import Row

SPEAKING = (
    "provider, model, temperature, max_tokens, presence_penalty, frequency_penalty, history_window, slides, "
    "token_budget, enable_tools, collection, caches_answers"
)

CONVERSATION = (
    "c.id, c.uuid, c.owner_id, c.app_id, c.origin, c.status, c.title, c.prompt_id, c.preset_id, c.preset_slug, "
    "c.label, c.revision, c.context_from, c.last_number, c.leaf_number, c.message_count, c.exchange_count, "
    "c.open_replies, c.created_at, c.updated_at, c.last_message_at, c.ended_at, c.event, c.leaf_uuid, c.open_by_id, "
    "c.summary_to, c.pinned_at, c.archived_at, c.prompt_tokens + c.completion_tokens, "
) + ", ".join(f"c.{column}" for column in (*SPEAKING.split(", "), "kind"))

MESSAGE = (
    "m.id, m.uuid, m.conversation_id, m.number, m.parent_number, m.role, m.status, m.content, m.created_at, "
    "m.sender_id, m.client_message_id, m.token_count, m.model, m.reason, m.prompt_tokens, m.completion_tokens, "
    "m.cached_tokens, m.usage_estimated, m.details, m.attempt, m.exchange, m.event, m.end_event, m.in_view, m.cached, "
    "m.sources"
)
MESSAGE_COLUMNS = 26
# Of the reply that has an id. Said so that it is found by that: while few run, PostgreSQL takes a walk through the
# index of all that do for quicker, and walks on once a thousand do.
IT_RUNS = "status || '' = 'running'"

# Whoever follows a reply that has ended without a word is shown to follow what that was to answer: it is in no list.
_SHOWN = (
    "CASE WHEN {of}.role = 'assistant' AND {of}.content = '' AND {of}.status NOT IN ('queued', 'running') "
    "THEN (SELECT b.uuid FROM messages b WHERE b.conversation_id = {of}.conversation_id "
    "AND b.number = {of}.parent_number) ELSE {of}.uuid END"
)
# What follows the message of that number follows this one.
UUID_OF = f"SELECT {_SHOWN.format(of='m')} FROM messages m WHERE m.conversation_id = $1 AND m.number = $2"
# What `m` follows; the first one follows the system message, where there is one.
PARENT = (
    f"(SELECT {_SHOWN.format(of='p')} FROM messages p WHERE p.conversation_id = m.conversation_id "
    "AND p.number = COALESCE(m.parent_number, 0) AND p.number <> m.number)"
)
# The last one may have begun to be such a reply, or have begun anew.
SHOW_LEAF = (
    f"UPDATE conversations SET leaf_uuid = (SELECT {_SHOWN.format(of='m')} FROM messages m "
    "WHERE m.conversation_id = conversations.id AND m.number = leaf_number) WHERE id = $1"
)

USER = (
    "u.id, u.uuid, u.kind, u.name, u.email, u.full_name, u.is_admin, u.app_id, u.created_at, "
    "u.disabled_at IS NOT NULL OR EXISTS "
    "(SELECT 1 FROM users a WHERE a.id = u.app_id AND a.disabled_at IS NOT NULL)"
)

TOKEN = "t.id, t.user_id, t.kind, t.label, t.created_at, t.expires_at, t.revoked_at, t.last_used_at"

PRESET = (
    "p.id, p.slug, p.owner_id, p.name, p.title, p.description, p.category, p.prompt, p.welcome, p.tags, p.visibility, "
    "p.is_default, p.usage_count, p.created_at, p.updated_at, p.version, p.changed_by, "
) + ", ".join(f"p.{column}" for column in SPEAKING.split(", "))

# What a reader may open: $1 the conversation, $2 the reader, $3 the reader's application, $4 whether guests are on.
READABLE = "c.kind = 'bot' AND c.deleted_at IS NULL AND (c.owner_id = $2 OR c.app_id = $3 OR ($4 AND c.open_by_id))"

OPEN = f"SELECT {CONVERSATION} FROM conversations c WHERE c.uuid = $1 AND {READABLE}"

# What people may open who are in it, and nobody else: $1 the conversation, $2 who asks.
MEMBERS_OWN = (
    "c.kind <> 'bot' AND c.deleted_at IS NULL AND EXISTS (SELECT 1 FROM participants p "
    "WHERE p.conversation_id = c.id AND p.user_id = $2 AND p.left_at IS NULL)"
)


def to_speaking(row: Row) -> Speaking:
    (provider, model, temperature, max_tokens, presence, frequency, window, slides, budget, tools, collection,
     caches) = row  # fmt: skip
    return Speaking(
        provider, model, temperature, max_tokens, presence, frequency, window, bool(slides), budget, bool(tools),
        collection, bool(caches),
    )  # fmt: skip


def from_speaking(speaking: Speaking) -> tuple[object, ...]:
    return (
        speaking.provider, speaking.model, speaking.temperature, speaking.max_tokens, speaking.presence_penalty,
        speaking.frequency_penalty, speaking.window, speaking.slides, speaking.token_budget, speaking.enable_tools,
        speaking.collection, speaking.caches_answers,
    )  # fmt: skip


def to_conversation(row: Row) -> Conversation:
    (id_, uuid, owner, app, origin, status, title, prompt, preset, slug, label, revision, context_from, last, leaf,
     messages, exchanges, open_replies, created, updated, last_message, ended, event, leaf_uuid,
     open_by_id, summary_to, pinned_at, archived_at, used_tokens) = row[:29]  # fmt: skip
    return Conversation(
        id_, uuid, owner, app, origin, status == "ended", title, prompt, preset, slug, to_speaking(row[29:41]), label,
        revision, context_from, last, leaf, messages, exchanges, open_replies, created, updated, last_message, ended,
        event, leaf_uuid, bool(open_by_id), summary_to, pinned_at, archived_at, row[41], used_tokens,
    )  # fmt: skip


def to_message(row: Row, parent_uuid: str | None = None) -> Message:
    (id_, uuid, conversation, number, parent, role, status, content, created, sender, client_id, tokens, model, reason,
     prompt_tokens, completion_tokens, cached_tokens, estimated, details, attempt, exchange, event,
     end_event, in_view, from_cache, sources) = row[:MESSAGE_COLUMNS]  # fmt: skip
    usage = None
    if prompt_tokens is not None:
        usage = Usage(prompt_tokens, completion_tokens, cached_tokens or 0, bool(estimated))
    return Message(
        id_, uuid, conversation, number, parent, role, status, content, created, sender, client_id, tokens, model,
        reason, usage, details, attempt, exchange, event, end_event,
        bool(in_view), parent_uuid, bool(from_cache), to_sources(sources) if sources else (),
    )  # fmt: skip


def from_sources(sources: Sequence[Source]) -> str:
    """Their places alone: whatever else they tell goes with the document."""
    return json.dumps([[source.document, source.passage] for source in sources])


def to_sources(kept: str) -> tuple[Source, ...]:
    return tuple(Source(number, document, passage) for number, (document, passage) in enumerate(json.loads(kept), 1))


def to_user(row: Row) -> User:
    id_, uuid, kind, name, email, full_name, is_admin, app_id, created, disabled = row
    return User(id_, uuid, kind, name, email, full_name, bool(is_admin), app_id, created, bool(disabled))


def to_token(row: Row) -> Token:
    return Token(*row)


def to_preset(row: Row) -> Preset:
    (id_, slug, owner, name, title, description, category, prompt, welcome, tags, visibility, default, used, created,
     updated, version, changed_by) = row[:17]  # fmt: skip
    return Preset(
        id_, slug, owner, name, title, description, category, prompt, welcome, to_speaking(row[17:29]),
        tuple(json.loads(tags)), visibility, bool(default), used, created, updated,
        version, changed_by,
    )  # fmt: skip
