"""Conversations read and changed, always together with the right to do so."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from msgspec import UNSET, UnsetType
from msgspec.structs import asdict, replace

from palaver.chat.clock import Micros
from palaver.chat.conversation import (
    Conversation,
    ConversationChange,
    ConversationId,
    Marks,
    Message,
    MessageId,
    NewConversation,
    Role,
    TextId,
)
from palaver.chat.errors import Ended, NotFound
from palaver.chat.ports import ALL_ROLES, Hidden, Said, Totals
from palaver.chat.user import Reader, UserId
from palaver.store.answers import FORGET_ANSWERS
from palaver.store.database import Database, Row, Transaction
from palaver.store.locks import LOCK_CONVERSATION
from palaver.store.prompts import change_prompt, list_prompt
from palaver.store.rows import CONVERSATION, MESSAGE, OPEN, PARENT, READABLE, to_conversation, to_message
from palaver.store.search import FORGET_WORDS
from palaver.store.texts import Texts
from palaver.store.turns import KEEP_USAGE_OF_ALL, add_conversation, count_use

# An integer can be guessed: it opens what is the reader's own or of the reader's application, nothing else.
OPEN_BY_NUMBER = f"SELECT {CONVERSATION} FROM conversations c WHERE c.id = $1 AND {READABLE}"
MINE = (
    f"SELECT {CONVERSATION} FROM conversations c WHERE c.owner_id = $1 AND c.kind = 'bot' AND c.deleted_at IS NULL "
    "ORDER BY c.updated_at DESC, c.id DESC LIMIT $2 OFFSET $3"
)
# What is put away, or what is not, with what is pinned first.
IN_LIST = (
    f"SELECT {CONVERSATION} FROM conversations c WHERE c.owner_id = $1 AND c.kind = 'bot' AND c.deleted_at IS NULL "
    "AND (c.archived_at IS NOT NULL) = $2 "
    "ORDER BY c.pinned_at DESC NULLS LAST, c.updated_at DESC, c.id DESC LIMIT $3 OFFSET $4"
)
OPEN_OR_NAMED = (
    f"SELECT {CONVERSATION} FROM conversations c WHERE (c.uuid = $1 AND {READABLE}) "
    "OR (c.owner_id = $2 AND c.client_name = $1 AND c.kind = 'bot' AND c.deleted_at IS NULL) "
    "ORDER BY (c.uuid = $1) DESC LIMIT 1"
)
LAST_TALKED_IN = (
    "SELECT id, last_message_at FROM conversations WHERE owner_id = $1 AND kind = 'bot' AND deleted_at IS NULL "
    "AND last_message_at IS NOT NULL ORDER BY last_message_at DESC, id LIMIT $2 OFFSET $3"
)
# A reply stands behind its message, in the usual straight conversation right behind it.
TURNS = (
    "SELECT m.uuid, m.content, COALESCE((SELECT r.content FROM messages r WHERE r.conversation_id = $1 "
    "AND r.number > m.number AND r.parent_number = m.number AND r.role = 'assistant' AND r.in_view "
    "AND r.status NOT IN ('queued', 'running') ORDER BY r.number LIMIT 1), ''), m.created_at, m.id "
    "FROM messages m WHERE m.conversation_id = $1 AND m.role = 'user' AND m.in_view ORDER BY m.number DESC LIMIT $2"
)
# Queued and running replies are not there yet; one that failed has no text to show.
IN_VIEW = (
    f"SELECT {MESSAGE} FROM messages m WHERE m.conversation_id = $1 AND m.in_view "
    "AND m.status NOT IN ('queued', 'running') AND (m.content <> '' OR m.role <> 'assistant') "
)
NEWEST = f"{IN_VIEW} ORDER BY m.number DESC LIMIT $2"
# Where these stand in the columns of a message.
NUMBER, FOLLOWS = 3, 4
PARENT_OF = f"SELECT m.number, {PARENT} FROM messages m WHERE m.conversation_id = $1 AND m.number = $2"
OWN = "FROM conversations c WHERE c.owner_id = $1 AND c.kind = 'bot' AND c.deleted_at IS NULL"
COUNT = f"SELECT COUNT(*) {OWN}"
COUNT_IN_LIST = f"{COUNT} AND (c.archived_at IS NOT NULL) = $2"
MARK = "UPDATE conversations SET pinned_at = $2, archived_at = $3 WHERE id = $1"
# A system prompt is a message as old as its conversation, and moves nothing.
NEWEST_AT = "COALESCE(c.last_message_at, CASE WHEN c.message_count > 0 THEN c.created_at END)"
TOTALS = f"SELECT COUNT(*), CAST(COALESCE(SUM(c.message_count), 0) AS BIGINT), MAX({NEWEST_AT}) {OWN}"
FAVORITE = (
    f"SELECT COALESCE(c.model, $2) AS name, COUNT(*) AS times {OWN} GROUP BY name ORDER BY times DESC, name LIMIT 1"
)
DELETE = "UPDATE conversations SET deleted_at = $2, kept = $3, creation_key = NULL, client_name = NULL WHERE id = $1"
END = "UPDATE conversations SET status = 'ended', ended_at = $2, updated_at = $2 WHERE id = $1"
# Nobody has done anything in it: it keeps its place in the list.
END_IDLE = "UPDATE conversations SET status = 'ended', ended_at = $2 WHERE id = $1"
DROP_WAITING = (
    "UPDATE messages SET status = 'failed', reason = $2 WHERE conversation_id = $1 AND status = 'queued' RETURNING id"
)
STOP_RUNNING = "UPDATE messages SET stop_asked = TRUE WHERE conversation_id = $1 AND status = 'running' RETURNING id"
FEWER_OPEN = "UPDATE conversations SET open_replies = open_replies - $2 WHERE id = $1"
IDLE = (
    "SELECT id, owner_id FROM conversations WHERE ends_when_idle AND status = 'active' AND deleted_at IS NULL "
    "AND COALESCE(last_message_at, created_at) < $1 AND open_replies = 0 ORDER BY uuid LIMIT $2"
)
EVERYTHING = 1 << 62
NO_CHANGE = ConversationChange()
# The fields of a change, and the columns they are kept in where the names differ.
COLUMNS = {"window": "history_window"}
# What was used outlives what was said.
PURGE = (
    KEEP_USAGE_OF_ALL,
    *FORGET_WORDS,
    "DELETE FROM reply_log WHERE message_id IN (SELECT id FROM messages WHERE conversation_id = $1)",
    "DELETE FROM messages WHERE conversation_id = $1",
    "DELETE FROM participants WHERE conversation_id = $1",
    FORGET_ANSWERS,
)
# What a person said can stand in a system prompt; it goes with the last conversation that had it.
FORGET_TEXT = "DELETE FROM texts WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM conversations WHERE prompt_id = $1)"
# A transaction that held the writer for longer would be felt by those who talk.
CLEANED_AT_ONCE = 100


class SqlConversations:
    def __init__(self, database: Database, texts: Texts) -> None:
        self._database = database
        self._texts = texts

    async def access(self, reader: Reader, conversation: str | ConversationId) -> Conversation:
        return await self._database.read(lambda tx: _open(tx, reader, conversation))

    async def by_name(self, reader: Reader, name: str) -> Conversation | None:
        values = (name, reader.user_id, reader.app_id, reader.guests_allowed)
        row = await self._database.read(lambda tx: tx.one(OPEN_OR_NAMED, *values))
        return None if row is None else to_conversation(row)

    async def recent_turns(self, reader: Reader, conversation: Conversation | None, limit: int) -> Sequence[Said]:
        async def work(tx: Transaction) -> list[Said]:
            if conversation is None:
                rows = await _newest_turns(tx, reader.user_id, limit)
            else:
                rows = _newest_first(await tx.all(TURNS, conversation.id, limit))
            return [Said(*row[:4]) for row in rows[:limit]]

        return await self._database.read(work)

    async def create(self, new: NewConversation, now: Micros) -> Conversation:
        async def work(tx: Transaction) -> Conversation:
            made = await add_conversation(tx, self._texts, new, now)
            await count_use(tx, [new])
            if not (new.lists_prompt and new.system_prompt):
                return made
            prompt_uuid = await list_prompt(tx, made, new.system_prompt)
            await tx.run(
                "UPDATE conversations SET message_count = 1, leaf_uuid = $2 WHERE id = $1", made.id, prompt_uuid
            )
            return replace(made, message_count=1, leaf_uuid=prompt_uuid)

        return await self._database.write(work)

    async def list(self, reader: Reader, *, limit: int | None, offset: int) -> Sequence[Conversation]:
        rows = await self._database.read(lambda tx: tx.all(MINE, reader.user_id, limit or EVERYTHING, offset))
        return [to_conversation(row) for row in rows]

    async def count(self, reader: Reader) -> int:
        row = await self._database.read(lambda tx: tx.one(COUNT, reader.user_id))
        return 0 if row is None else int(row[0])

    async def in_list(
        self, reader: Reader, *, archived: bool, limit: int, offset: int
    ) -> tuple[Sequence[Conversation], int]:
        async def work(tx: Transaction) -> tuple[Sequence[Row], int]:
            rows = await tx.all(IN_LIST, reader.user_id, archived, limit, offset)
            count = await tx.one(COUNT_IN_LIST, reader.user_id, archived)
            return rows, 0 if count is None else int(count[0])

        rows, total = await self._database.read(work, one_state=True)
        return [to_conversation(row) for row in rows], total

    async def mark(self, reader: Reader, uuid: str, marks: Marks, now: Micros) -> Conversation:
        async def work(tx: Transaction) -> Conversation:
            found = await _open(tx, reader, uuid, tx.lock)
            pinned_at = _marked(found.pinned_at, marks.pinned, now)
            archived_at = _marked(found.archived_at, marks.archived, now)
            await tx.run(MARK, found.id, pinned_at, archived_at)
            return replace(found, pinned_at=pinned_at, archived_at=archived_at)

        return await self._database.write(work)

    async def messages(
        self, conversation: Conversation, *, limit: int | None, offset: int, roles: Sequence[Role] = ALL_ROLES
    ) -> Sequence[Message]:
        # The one before the first is read as well: mostly it is the first one's parent.
        back = 1 if offset else 0
        values = (conversation.id, min(limit or EVERYTHING, EVERYTHING) + back, offset - back)

        async def work(tx: Transaction) -> list[Message]:
            rows = await tx.all(_in_order(tuple(roles)), *values)
            return await _to_messages(tx, rows, rows[back:])

        return await self._database.read(work)

    async def newest(self, conversation: Conversation, limit: int) -> tuple[Sequence[Message], bool]:
        async def work(tx: Transaction) -> tuple[list[Message], bool]:
            rows = (await tx.all(NEWEST, conversation.id, limit + 1))[::-1]
            return await _to_messages(tx, rows, rows[-limit:]), len(rows) > limit

        return await self._database.read(work)

    async def totals(self, reader: Reader, default_model: str) -> Totals:
        async def work(tx: Transaction) -> Totals:
            row = await tx.one(TOTALS, reader.user_id)
            assert row is not None
            favorite = await tx.one(FAVORITE, reader.user_id, default_model)
            return Totals(row[0], row[1], None if favorite is None else (favorite[0], favorite[1]), row[2])

        return await self._database.read(work)

    async def text(self, text_id: TextId) -> str:
        return await self._texts.get(text_id)

    async def change(self, reader: Reader, uuid: str, change: ConversationChange, now: Micros) -> Conversation:
        async def work(tx: Transaction) -> Conversation:
            found = await _open(tx, reader, uuid, tx.lock)
            columns = _columns(change)
            if change.system_prompt is not UNSET:
                columns |= await change_prompt(tx, self._texts, found, change.system_prompt, now)
            if change == NO_CHANGE:
                return found
            columns["updated_at"] = now
            assigned = ", ".join(f"{column} = ${place}" for place, column in enumerate(columns, 2))
            await tx.run(f"UPDATE conversations SET {assigned} WHERE id = $1", found.id, *columns.values())
            return await _open(tx, reader, uuid)

        return await self._database.write(work)

    async def delete(self, reader: Reader, uuid: str, now: Micros, *, keep: bool = False) -> Hidden:
        async def work(tx: Transaction) -> Hidden:
            found = await _open(tx, reader, uuid, tx.lock)
            await tx.run(DELETE, found.id, now, keep)
            await tx.run(FORGET_ANSWERS, found.id)
            return Hidden(found.owner_id, await stop_all(tx, found.id, "deleted"))

        return await self._database.write(work)

    async def end(self, reader: Reader, uuid: str, now: Micros) -> tuple[Conversation, Sequence[MessageId]]:
        async def work(tx: Transaction) -> tuple[Conversation, list[MessageId]]:
            found = await _open(tx, reader, uuid, tx.lock)
            if found.ended:
                raise Ended
            await tx.run(END, found.id, now)
            waiting = await _drop_waiting(tx, found.id, "ended")
            return await _open(tx, reader, uuid), waiting

        return await self._database.write(work)

    async def active(self) -> Sequence[str]:
        rows = await self._database.read(
            lambda tx: tx.all(
                "SELECT uuid FROM conversations WHERE origin = 'chatify' AND status = 'active' "
                "AND deleted_at IS NULL ORDER BY id"
            )
        )
        return [row[0] for row in rows]

    async def end_idle(self, before: Micros, now: Micros) -> Sequence[UserId]:
        async def work(tx: Transaction) -> Sequence[Row]:
            rows = await tx.all(IDLE + tx.lock, before, CLEANED_AT_ONCE)
            # Nothing waits there.
            await tx.run_many(END_IDLE, [(row[0], now) for row in rows])
            return rows

        owners: list[UserId] = []
        while rows := await self._database.write(work):
            owners += [row[1] for row in rows]
        return owners

    async def purge(self, deleted_before: Micros) -> int:
        purged = 0
        while ids := await self._database.read(lambda tx: _deleted(tx, deleted_before)):
            for conversation_id in ids:
                await self._database.write(lambda tx, id_=conversation_id: purge(tx, id_))  # type: ignore[misc]
            purged += len(ids)
        return purged

    async def remove_left_texts(self, left_before: Micros) -> int:
        return await self._texts.remove_left(left_before)


async def _open(tx: Transaction, reader: Reader, conversation: str | ConversationId, lock: str = "") -> Conversation:
    by_uuid = isinstance(conversation, str)
    row = await tx.one(
        (OPEN if by_uuid else OPEN_BY_NUMBER) + lock,
        conversation,
        reader.user_id,
        reader.app_id,
        reader.guests_allowed and by_uuid,
    )
    if row is None:
        raise NotFound
    return to_conversation(row)


async def _newest_turns(tx: Transaction, owner: UserId, limit: int) -> Sequence[Row]:
    """Of all the conversations, newest first; there may be more than `limit`. Where a reply has ended late, its
    conversation stands before others that have newer turns: these are looked at as long as there can be any."""
    found: dict[MessageId, Row] = {}
    offset = 0
    while True:
        talked_in = await tx.all(LAST_TALKED_IN, owner, limit + 1, offset)
        asked = [(row[0], limit) for row in talked_in[:limit]]
        found |= {row[4]: row for row in (await tx.all_many(TURNS, asked) if asked else ())}
        newest = _newest_first(found.values())
        if len(talked_in) <= limit or (len(newest) >= limit and newest[limit - 1][3] > talked_in[limit][1]):
            return newest
        offset += limit


def _newest_first(turns: Iterable[Row]) -> Sequence[Row]:
    return sorted(turns, key=lambda row: (row[3], row[4]), reverse=True)


def _marked(since: Micros | None, wanted: bool | UnsetType, now: Micros) -> Micros | None:
    if wanted is UNSET:
        return since
    # What is marked already keeps its place.
    return (since or now) if wanted else None


async def _drop_waiting(tx: Transaction, conversation_id: ConversationId, reason: str) -> list[MessageId]:
    dropped: Sequence[Row] = await tx.all(DROP_WAITING, conversation_id, reason)
    if dropped:
        await tx.run(FEWER_OPEN, conversation_id, len(dropped))
    return [row[0] for row in dropped]


async def stop_all(tx: Transaction, conversation_id: ConversationId, reason: str) -> list[MessageId]:
    """Drops what waits and asks what runs to stop. Gives all of them."""
    waiting = await _drop_waiting(tx, conversation_id, reason)
    return waiting + [row[0] for row in await tx.all(STOP_RUNNING, conversation_id)]


async def _deleted(tx: Transaction, before: Micros) -> Sequence[ConversationId]:
    rows = await tx.all(
        "SELECT id FROM conversations WHERE deleted_at IS NOT NULL AND deleted_at < $1 AND NOT kept "
        "AND open_replies = 0 LIMIT $2",
        before,
        CLEANED_AT_ONCE,
    )
    return [row[0] for row in rows]


async def purge(tx: Transaction, conversation_id: ConversationId) -> None:
    if tx.lock:
        # Held before its words are forgotten: who reads it for search would write them again behind our back.
        await tx.one(LOCK_CONVERSATION, conversation_id)
    for statement in PURGE:
        await tx.run(statement, conversation_id)
    gone = await tx.one("DELETE FROM conversations WHERE id = $1 RETURNING prompt_id", conversation_id)
    if gone is not None:
        await tx.run(FORGET_TEXT, gone[0])


@lru_cache(maxsize=20)
def _in_order(roles: tuple[Role, ...]) -> str:
    which = ", ".join(f"'{role}'" for role in roles)
    return f"{IN_VIEW} AND m.role IN ({which}) ORDER BY m.number LIMIT $2 OFFSET $3"


async def _to_messages(tx: Transaction, rows: Sequence[Row], shown: Sequence[Row]) -> list[Message]:
    """Those that are `shown`, each with the one that it follows: among `rows`, but for replies that are still to come
    and such as have ended without a word."""
    listed = {row[NUMBER]: row[1] for row in rows}
    apart = [(row[2], row[NUMBER]) for row in shown if row[FOLLOWS] and row[FOLLOWS] not in listed]
    parents = {row[NUMBER]: listed.get(row[FOLLOWS] or 0) for row in shown if row[NUMBER]}
    parents |= {row[0]: row[1] for row in (await tx.all_many(PARENT_OF, apart) if apart else ())}
    return [to_message(row, parents.get(row[NUMBER])) for row in shown]


def _columns(change: ConversationChange) -> dict[str, object]:
    return {
        COLUMNS.get(name, name): value
        for name, value in asdict(change).items()
        if value is not UNSET and name != "system_prompt"
    }
