"""What was told in a conversation, read from its messages: for whoever comes in, and whoever comes back."""

from palaver.chat.clock import Micros
from palaver.chat.conversation import Conversation, ConversationId, Message
from palaver.chat.cursor import Mark
from palaver.chat.errors import NotFound
from palaver.chat.ports import Present, ReadMark, Since
from palaver.chat.user import Reader
from palaver.store.branches import find_message, open_conversation
from palaver.store.database import Database, Row, Transaction
from palaver.store.people.rows import name_senders
from palaver.store.rows import (
    CONVERSATION,
    MEMBERS_OWN,
    MESSAGE,
    MESSAGE_COLUMNS,
    PARENT,
    READABLE,
    to_conversation,
    to_message,
)

BY_UUID = f"SELECT {CONVERSATION} FROM conversations c WHERE c.uuid = $1 AND c.deleted_at IS NULL"
# Whoever hears what happens in a conversation may be in it with other people.
PRESENT = f"SELECT {CONVERSATION} FROM conversations c WHERE c.uuid = $1 AND (({READABLE}) OR ({MEMBERS_OWN}))"
WITH_PARENT = f"{MESSAGE}, m.worker, {PARENT}"
RUNNING = f"SELECT {WITH_PARENT} FROM messages m WHERE m.conversation_id = $1 AND m.status = 'running'"
LOWEST_OPEN = (
    "SELECT number FROM messages WHERE conversation_id = $1 AND status = 'running' UNION ALL "
    "SELECT number FROM messages WHERE conversation_id = $1 AND status = 'queued' ORDER BY number LIMIT 1"
)
KEPT = "SELECT text FROM reply_log WHERE message_id = $1 AND attempt = $2 ORDER BY position"
NEWER = (
    f"SELECT {WITH_PARENT} FROM messages m WHERE m.conversation_id = $1 AND m.number >= $2 "
    "AND (m.event > $3 OR m.end_event > $3) ORDER BY m.number"
)
HOW_MUCH = (
    "SELECT COUNT(*), COALESCE(SUM(LENGTH(m.content)), 0) FROM messages m WHERE m.conversation_id = $1 "
    "AND m.number >= $2 AND (m.event > $3 OR m.end_event > $3)"
)
# Whoever missed more than this is better served with how things stand, and would cost as much memory as it missed.
MOST_MESSAGES = 500
MOST_CHARACTERS = 500_000
# Replies that were asked for beside others: their numbers, and those others. They follow the same message.
BESIDE = (
    "SELECT m.number, s.uuid FROM messages m JOIN messages s ON s.conversation_id = m.conversation_id "
    "AND s.number > m.parent_number AND s.number < m.number AND s.parent_number = m.parent_number "
    "WHERE m.conversation_id = $1 AND m.number >= $2 AND m.event > $3 AND m.role = 'assistant' "
    "AND s.role = 'assistant' ORDER BY s.number"
)
READ_SINCE = (
    "SELECT u.name, m.uuid, p.read_event FROM participants p JOIN users u ON u.id = p.user_id "
    "JOIN messages m ON m.conversation_id = p.conversation_id AND m.number = p.read_number "
    "WHERE p.conversation_id = $1 AND p.read_event > $2 ORDER BY p.read_event"
)
MARK_READ = (
    "INSERT INTO participants (conversation_id, user_id, joined_at, read_number, read_event) "
    "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (conversation_id, user_id) DO UPDATE SET "
    "read_number = excluded.read_number, read_event = excluded.read_event "
    "WHERE participants.read_number < excluded.read_number RETURNING read_number"
)
UNREAD = (
    "SELECT COUNT(*) FROM (SELECT 1 FROM messages m WHERE m.conversation_id = $1 AND m.in_view "
    "AND m.role = 'assistant' AND m.content <> '' AND m.status NOT IN ('queued', 'running') AND m.number > "
    "COALESCE((SELECT p.read_number FROM participants p WHERE p.conversation_id = $1 AND p.user_id = $2), 0) "
    "ORDER BY m.number DESC LIMIT 1000) AS unread"
)
UNREAD_OF_PEOPLE = "SELECT unread FROM participants WHERE conversation_id = $1 AND user_id = $2 AND NOT muted"
ONE_MORE_EVENT = "UPDATE conversations SET event = event + 1 WHERE id = $1"


class SqlEvents:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def present(self, reader: Reader | None, conversation: str) -> Present:
        async def work(tx: Transaction) -> Present:
            return await _present(tx, await _open(tx, reader, conversation))

        return await self._database.read(work, one_state=True)

    async def since(self, reader: Reader | None, conversation: str, mark: Mark) -> Since:
        async def work(tx: Transaction) -> Since:
            found = await _open(tx, reader, conversation)
            present = await _present(tx, found)
            if found.revision != mark.revision or found.event < mark.event:
                return Since(present, known=False)
            if found.event == mark.event:
                return Since(present)
            size = await tx.one(HOW_MUCH, found.id, mark.lowest, mark.event)
            if size is None or size[0] > MOST_MESSAGES or size[1] > MOST_CHARACTERS:
                return Since(present, known=False)
            newer = await tx.all(NEWER, found.id, mark.lowest, mark.event)
            beside = await tx.all(BESIDE, found.id, mark.lowest, mark.event)
            reads = await tx.all(READ_SINCE, found.id, mark.event)
            messages = await name_senders(tx, found, [_message(row) for row in newer])
            return Since(present, messages, [ReadMark(*row) for row in reads], {row[0]: row[1] for row in beside})

        return await self._database.read(work, one_state=True)

    async def unread(self, reader: Reader, conversation: str) -> int:
        async def work(tx: Transaction) -> int:
            found = await _open(tx, reader, conversation)
            row = await tx.one(UNREAD_OF_PEOPLE if found.is_of_people else UNREAD, found.id, reader.user_id)
            if row is None:
                raise NotFound
            return int(row[0])

        return await self._database.read(work)

    async def read_up_to(self, reader: Reader, conversation: str, message: str, now: Micros) -> Mark | None:
        async def work(tx: Transaction) -> Mark | None:
            found = await open_conversation(tx, reader, conversation, tx.lock)
            wanted = await find_message(tx, found, message)
            event = found.event + 1
            row = await tx.one(MARK_READ, found.id, reader.user_id, now, wanted.number, event)
            if row is None:
                return None
            await tx.run(ONE_MORE_EVENT, found.id)
            return Mark(found.revision, event, await _lowest(tx, found))

        return await self._database.write(work)


async def _open(tx: Transaction, reader: Reader | None, conversation: str) -> Conversation:
    """Raises `NotFound`."""
    if reader is None:
        row = await tx.one(BY_UUID, conversation)
    else:
        row = await tx.one(PRESENT, conversation, reader.user_id, reader.app_id, reader.guests_allowed)
    if row is None:
        raise NotFound
    return to_conversation(row)


async def _present(tx: Transaction, conversation: Conversation) -> Present:
    mark = Mark(conversation.revision, conversation.event, await _lowest(tx, conversation))
    row = await tx.one(RUNNING, conversation.id) if conversation.open_replies else None
    if row is None:
        return Present(conversation, mark)
    reply = _message(row)
    kept = await tx.all(KEPT, reply.id, reply.attempt)
    return Present(conversation, mark, reply, row[MESSAGE_COLUMNS], "".join(part for (part,) in kept))


async def _lowest(tx: Transaction, conversation: Conversation) -> int:
    if not conversation.open_replies:
        return conversation.last_number + 1
    return await lowest_open(tx, conversation.id, conversation.last_number + 1)


async def lowest_open(tx: Transaction, conversation_id: ConversationId, otherwise: int) -> int:
    """The lowest number of a reply that runs or waits there."""
    row = await tx.one(LOWEST_OPEN, conversation_id)
    return otherwise if row is None else int(row[0])


def _message(row: Row) -> Message:
    return to_message(row, parent_uuid=row[MESSAGE_COLUMNS + 1])
