"""The words in which the store suite says what happens: messages on their way in, and ends of replies."""

import re
import uuid
from collections.abc import Mapping, Sequence

from palaver.chat.clock import SECOND, Micros
from palaver.chat.conversation import Conversation, End, NewConversation, PresetId, Speaking, Usage, WhenBusy
from palaver.chat.ports import Begun, EndedReply, Ending, NewTurn
from palaver.chat.user import NOT_STORED, Reader, User, UserId, UserKind
from palaver.store import SqlStore
from palaver.store.database import Row
from palaver.store.migrate import migrations

NOW = Micros(1_700_000_000_123_456)
LATER = Micros(NOW + 5 * SECOND)
LEASE = Micros(NOW + 10 * SECOND)
EXPIRED = Micros(LEASE + 1)

HERE = "this-worker"
THERE = "other-worker"

TABLES = re.findall(r"CREATE TABLE (\w+)", "".join(migration.text for migration in migrations()))


def new_user(name: str, kind: UserKind = "person", *, email: str = "", app_id: UserId | None = None) -> User:
    return User(NOT_STORED, str(uuid.uuid4()), kind, name, email, app_id=app_id, created_at=NOW)


def new_conversation(
    owner: User,
    *,
    client_id: str | None = None,
    system_prompt: str = "Be kind.",
    speaking: Speaking | None = None,
    open_by_id: bool = False,
    ends_when_idle: bool = False,
    app_id: UserId | None = None,
) -> NewConversation:
    return NewConversation(
        uuid=str(uuid.uuid4()),
        owner_id=owner.id,
        app_id=app_id or owner.app_id,
        origin="chatify",
        title="A talk",
        system_prompt=system_prompt,
        speaking=speaking or Speaking(model="gpt-4"),
        preset_id=PresetId(1),
        client_id=client_id,
        open_by_id=open_by_id,
        ends_when_idle=ends_when_idle,
    )


def said(
    who: User,
    text: str,
    where: str | NewConversation,
    *,
    client_id: str | None = None,
    when_busy: WhenBusy = "queue",
    worker: str = HERE,
    now: Micros = NOW,
    lease_until: Micros = LEASE,
) -> NewTurn:
    """A message on its way into a conversation: one that is there, or one that it makes."""
    return NewTurn(
        reader=Reader(who.id),
        text=text,
        token_count=3,
        now=now,
        worker=worker,
        lease_until=lease_until,
        when_busy=when_busy,
        conversation=where if isinstance(where, str) else None,
        new=where if isinstance(where, NewConversation) else None,
        client_message_id=client_id,
    )


def ending(
    begun: Begun,
    text: str = "An answer.",
    end: End = "complete",
    *,
    worker: str = HERE,
    attempt: int | None = None,
    usage: Usage | None = None,
    promote: bool = False,
    now: Micros = LATER,
) -> Ending:
    turn = begun.turn
    return Ending(
        conversation_id=turn.conversation.id,
        owner_id=turn.conversation.owner_id,
        reply_id=turn.reply.id,
        attempt=turn.reply.attempt if attempt is None else attempt,
        worker=worker,
        now=now,
        end=end,
        reason="stop" if end == "complete" else "unavailable",
        text=text,
        token_count=len(text.split()),
        context_from=turn.conversation.context_from,
        model="gpt-4",
        usage=usage,
        promote_to=worker if promote else None,
        lease_until=Micros(now + 10 * SECOND),
    )


async def answer(
    store: SqlStore,
    begun: Begun,
    text: str = "An answer.",
    end: End = "complete",
    *,
    worker: str = HERE,
    promote: bool = False,
    usage: Usage | None = None,
) -> EndedReply:
    return await store.turns.finish(ending(begun, text, end, worker=worker, promote=promote, usage=usage))


async def seen(store: SqlStore, conversation: Conversation) -> Conversation:
    """The conversation as its owner finds it now."""
    return await store.conversations.access(Reader(conversation.owner_id), conversation.uuid)


async def rows(store: SqlStore, sql: str, *values: object) -> Sequence[Row]:
    return await store.database.read(lambda tx: tx.all(sql, *values))


async def dump(store: SqlStore) -> Mapping[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    return {
        table: sorted((tuple(row) for row in await rows(store, f"SELECT * FROM {table}")), key=repr) for table in TABLES
    }
