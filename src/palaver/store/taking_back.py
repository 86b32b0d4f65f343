"""A prompt whose reply waits for its turn is taken back: as if it had never been said."""

from palaver.chat.clock import Micros
from palaver.chat.conversation import Message
from palaver.chat.cursor import Mark
from palaver.chat.errors import NotFound, NotWaiting
from palaver.chat.ports import TakenBack
from palaver.chat.user import Reader
from palaver.store.branches import BY_NUMBER, LISTED, find_message, open_conversation
from palaver.store.database import Transaction
from palaver.store.events import lowest_open
from palaver.store.rows import MESSAGE, SHOW_LEAF, UUID_OF, to_message

WAITING_REPLY = (
    f"SELECT {MESSAGE} FROM messages m WHERE m.conversation_id = $1 AND m.status = 'queued' AND m.parent_number = $2 "
    "ORDER BY m.number LIMIT 1"
)
ANSWERED_BEFORE = (
    "SELECT 1 FROM messages WHERE conversation_id = $1 AND number > $2 AND parent_number = $2 AND number <> $3 LIMIT 1"
)
# What waits behind it follows what it had followed.
FOLLOW = "UPDATE messages SET parent_number = $3 WHERE conversation_id = $1 AND number > $2 AND parent_number = $2"
REMOVE = "DELETE FROM messages WHERE id = $1"
FORGET = "DELETE FROM search WHERE rowid = $1"
NOT_ANSWERED = "UPDATE messages SET status = 'failed', reason = 'taken_back' WHERE id = $1"
LAST_LISTED_AT = (
    f"SELECT MAX(created_at) FROM messages WHERE conversation_id = $1 AND in_view AND number > 0 AND {LISTED} = 1"
)
TAKE_BACK = (
    "UPDATE conversations SET revision = revision + 1, event = event + 1, open_replies = open_replies - 1, "
    "message_count = message_count - $2, updated_at = $3 WHERE id = $1"
)
END_AT = "UPDATE conversations SET leaf_number = $2, leaf_uuid = $3, last_message_at = $4 WHERE id = $1"


async def take_back(tx: Transaction, reader: Reader, conversation: str, message: str, now: Micros) -> TakenBack:
    """Raises `NotFound` and `NotWaiting`."""
    found = await open_conversation(tx, reader, conversation, tx.lock)
    prompt, reply = await _waiting(tx, await find_message(tx, found, message))
    # A prompt that was answered before stays, and only the answer that was wanted anew is not given.
    answered = reply.attempt > 1 or await tx.one(ANSWERED_BEFORE, found.id, prompt.number, reply.number) is not None
    if answered:
        await tx.run(NOT_ANSWERED, reply.id)
        await tx.run(SHOW_LEAF, found.id)
    else:
        await tx.run(FOLLOW, found.id, reply.number, prompt.parent_number)
        await tx.run_many(REMOVE, [(prompt.id,), (reply.id,)])
        await tx.run(FORGET, prompt.id)
        if found.leaf_number == reply.number:
            leaf = await tx.one(UUID_OF, found.id, prompt.parent_number or 0)
            last = await tx.one(LAST_LISTED_AT, found.id)
            assert last is not None
            await tx.run(END_AT, found.id, prompt.parent_number or 0, None if leaf is None else leaf[0], last[0])
    await tx.run(TAKE_BACK, found.id, 0 if answered or not prompt.in_view else 1, now)
    lowest = await lowest_open(tx, found.id, found.last_number + 1)
    mark = Mark(found.revision + 1, found.event + 1, lowest)
    return TakenBack(found.owner_id, prompt, reply.id, mark)


async def _waiting(tx: Transaction, named: Message) -> tuple[Message, Message]:
    """The prompt and the reply that waits, of which one was named."""
    if named.role == "user":
        row = await tx.one(WAITING_REPLY, named.conversation_id, named.number)
        if row is None:
            raise NotWaiting
        return named, to_message(row)
    if named.status != "queued":
        raise NotWaiting
    row = await tx.one(BY_NUMBER, named.conversation_id, named.parent_number)
    if row is None:
        raise NotFound
    return to_message(row), named
