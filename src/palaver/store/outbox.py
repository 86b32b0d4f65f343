"""What has to reach somebody who may be away, written in the transaction that gave the reason."""

from collections.abc import Sequence
from typing import Literal

from palaver.chat.clock import Micros
from palaver.chat.conversation import ConversationId, MessageId
from palaver.chat.user import UserId
from palaver.store.database import Transaction

# A person wrote; a person was named in a group; a reply that took long has ended.
NoticeKind = Literal["message", "mention", "reply"]

ADD = (
    "INSERT INTO outbox (user_id, conversation_id, message_id, kind, payload, created_at, due_at) "
    "VALUES ($1, $2, $3, $4, '', $5, $5)"
)


async def add_notices(
    tx: Transaction,
    notices: Sequence[tuple[UserId, ConversationId, MessageId, NoticeKind]],
    now: Micros,
) -> None:
    """Each of these people is to hear of that message, should they not see it by themselves."""
    if notices:
        await tx.run_many(ADD, [(*notice, now) for notice in notices])
