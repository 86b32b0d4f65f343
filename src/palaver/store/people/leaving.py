"""Replies of an invited bot that are not wanted any more: what waits is dropped, and what runs is asked to stop."""

from palaver.chat.conversation import ConversationId, MessageId
from palaver.chat.user import UserId
from palaver.store.database import Transaction
from palaver.store.rows import SHOW_LEAF

DROP = (
    "UPDATE messages SET status = 'failed', reason = 'taken_back' WHERE conversation_id = $1 AND status = 'queued' "
    "AND {which} RETURNING id"
)
STOP = (
    "UPDATE messages SET stop_asked = TRUE WHERE conversation_id = $1 AND status = 'running' AND {which} RETURNING id"
)
FEWER_OPEN = "UPDATE conversations SET open_replies = open_replies - $2 WHERE id = $1"


async def stop_replies_to(tx: Transaction, conversation_id: ConversationId, number: int) -> list[MessageId]:
    """Those to the message of that number."""
    return await _stop(tx, conversation_id, "parent_number = $2", number)


async def stop_replies_for(tx: Transaction, conversation_id: ConversationId, asker: UserId) -> list[MessageId]:
    """Those that one has asked for, or a user of that application."""
    which = "sender_id IN (SELECT u.id FROM users u WHERE u.id = $2 OR u.app_id = $2)"
    return await _stop(tx, conversation_id, which, asker)


async def _stop(tx: Transaction, conversation_id: ConversationId, which: str, value: int) -> list[MessageId]:
    dropped = await tx.all(DROP.format(which=which), conversation_id, value)
    if dropped:
        await tx.run(FEWER_OPEN, conversation_id, len(dropped))
        await tx.run(SHOW_LEAF, conversation_id)
    stopped = await tx.all(STOP.format(which=which), conversation_id, value)
    return [row[0] for row in (*dropped, *stopped)]
