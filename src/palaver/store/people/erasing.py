"""What becomes of conversations of people when one of them is erased."""

from palaver.chat.clock import Micros
from palaver.chat.conversation import MessageId
from palaver.chat.user import UserId
from palaver.store.database import Transaction
from palaver.store.people.leaving import stop_replies_for
from palaver.store.people.saying import ANOTHER_STORY, COUNT_UNREAD

# A user, and those that an application has brought.
THEM = "(SELECT u.id FROM users u WHERE u.id = $1 OR u.app_id = $1)"

# The talk of two goes with either of them.
PAIRS = f"kind = 'pair' AND id IN (SELECT p.conversation_id FROM participants p WHERE p.user_id IN {THEM})"

GROUPS = (
    "SELECT id FROM conversations WHERE kind = 'group' AND id IN "
    f"(SELECT p.conversation_id FROM participants p WHERE p.user_id IN {THEM}) ORDER BY uuid"
)
HEIR = (
    "SELECT p.user_id FROM participants p WHERE p.conversation_id = $2 AND p.left_at IS NULL "
    f"AND p.user_id NOT IN {THEM} ORDER BY p.manages DESC, p.joined_at, p.user_id LIMIT 1"
)
LET_MANAGE = "UPDATE participants SET manages = TRUE WHERE conversation_id = $1 AND user_id = $2"
HAND_OVER = f"UPDATE conversations SET owner_id = $3 WHERE id = $2 AND owner_id IN {THEM}"
KEEP_FOR_ERASING = "UPDATE conversations SET owner_id = $1 WHERE id = $2"
FORGET_WORDS = (
    "UPDATE messages SET content = '', token_count = 0, edited_at = NULL, removed_at = $3, client_message_id = NULL "
    f"WHERE conversation_id = $2 AND role = 'user' AND sender_id IN {THEM}"
)
FORGET_NAMES = f"UPDATE messages SET sender_id = NULL WHERE conversation_id = $2 AND sender_id IN {THEM}"
TAKE_OUT = f"DELETE FROM participants WHERE conversation_id = $2 AND user_id IN {THEM}"
RECOUNT = (
    f"UPDATE participants SET unread = ({COUNT_UNREAD.format(after='participants.read_number')}) "
    "WHERE conversation_id = $1 AND left_at IS NULL"
)


async def leave_groups(tx: Transaction, user_id: UserId, now: Micros) -> list[MessageId]:
    """Groups go on with those who are left, without a word of this one. Where nobody is left, the group is made the
    user's own: it goes with what else they have. Gives the replies that ran or waited for this one."""
    stopped: list[MessageId] = []
    for (group,) in await tx.all(GROUPS + tx.lock, user_id):
        heir = await tx.one(HEIR, user_id, group)
        if heir is None:
            await tx.run(KEEP_FOR_ERASING, user_id, group)
            continue
        await tx.run(LET_MANAGE, group, heir[0])
        await tx.run(HAND_OVER, user_id, group, heir[0])
        stopped += await stop_replies_for(tx, group, user_id)
        await tx.run(FORGET_WORDS, user_id, group, now)
        await tx.run(FORGET_NAMES, user_id, group)
        await tx.run(TAKE_OUT, user_id, group)
        await tx.run(RECOUNT, group)
        await tx.run(ANOTHER_STORY, group)
    return stopped
