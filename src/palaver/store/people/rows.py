"""People in conversations with each other: the columns they are read from, and what is made of them."""

from collections.abc import Sequence

from msgspec.structs import replace

from palaver.chat.conversation import Conversation, Message
from palaver.chat.errors import NotFound
from palaver.chat.ports import Member, Seat, Written
from palaver.chat.turn import number_in
from palaver.store.database import Row, Transaction
from palaver.store.rows import (
    CONVERSATION,
    MEMBERS_OWN,
    MESSAGE,
    MESSAGE_COLUMNS,
    USER,
    to_conversation,
    to_message,
    to_user,
)

USER_COLUMNS = 10

# As `User.shown_id`.
SHOWN_ID = "CASE WHEN s.kind = 'app_user' THEN s.name ELSE s.uuid END"

DOOR = f"SELECT {CONVERSATION} FROM conversations c WHERE c.uuid = $1 AND {MEMBERS_OWN} AND (c.kind = 'pair' OR NOT $3)"

# In the order in which they came; of a pair who began it first.
MEMBERS = (
    f"SELECT p.conversation_id, {USER}, p.manages, p.joined_at, u.seen_at, u.shows_presence, p.unread, p.muted, "
    "p.read_number FROM participants p JOIN users u ON u.id = p.user_id "
    "JOIN conversations c ON c.id = p.conversation_id "
    "WHERE p.conversation_id = $1 AND p.left_at IS NULL ORDER BY p.joined_at, (u.id <> c.owner_id), u.id"
)
MEMBER_AT = 1 + USER_COLUMNS

# A message with who said it. A bot's has the one who asked for it as its sender: that is not who says it.
WRITTEN = (
    f"SELECT {MESSAGE}, m.edited_at, m.removed_at, s.id, s.uuid, s.kind, s.name, s.email, s.full_name, s.is_admin, "
    "s.app_id, s.created_at, s.disabled_at IS NOT NULL FROM messages m "
    "LEFT JOIN users s ON s.id = m.sender_id AND m.role = 'user' "
)
# Replies that have only begun are not there yet, and one that failed has nothing to show.
LISTED = "m.in_view AND m.status NOT IN ('queued', 'running') AND (m.content <> '' OR m.role = 'user')"
ONE = f"{WRITTEN} WHERE m.conversation_id = $1 AND m.number = $2"

AT_ODDS = "SELECT blocker_id, blocked_id FROM blocks WHERE blocker_id = $1 OR blocked_id = $1"

FIND_SHOWN_IDS = (
    f"SELECT s.id, {SHOWN_ID} FROM users s WHERE s.id IN "
    "(SELECT p.user_id FROM participants p WHERE p.conversation_id = $1)"
)


def to_member(row: Row, *, hides: bool = False) -> Member:
    """`hides`: a block is between this one and who sees it."""
    manages, joined_at, seen_at, shows, _, _, read_number = row[MEMBER_AT : MEMBER_AT + 7]
    user, shows = to_user(row[1:MEMBER_AT]), bool(shows) and not hides
    return Member(user, bool(manages), joined_at, seen_at if shows else None, shows, read_number)


def to_written(row: Row) -> Written:
    message = to_message(row)
    edited_at, removed_at = row[MESSAGE_COLUMNS : MESSAGE_COLUMNS + 2]
    sender_row = row[MESSAGE_COLUMNS + 2 : MESSAGE_COLUMNS + 2 + USER_COLUMNS]
    if sender_row[0] is None:
        return Written(message, None, edited_at, removed_at)
    sender = to_user(sender_row)
    return Written(replace(message, sender=sender.shown_id), sender, edited_at, removed_at)


async def open_seat(tx: Transaction, seat: Seat, conversation: str, lock: str = "") -> Conversation:
    """Raises `NotFound`. With a lock the seat is looked at once more behind it: who was removed meanwhile has none."""
    row = await tx.one(DOOR + lock, conversation, seat.user_id, seat.pairs_only)
    if row is not None and lock:
        row = await tx.one(DOOR, conversation, seat.user_id, seat.pairs_only)
    if row is None:
        raise NotFound
    return to_conversation(row)


async def find_written(tx: Transaction, conversation: Conversation, uuid: str) -> Written:
    """Raises `NotFound`."""
    number = number_in(uuid)
    row = None if number is None else await tx.one(ONE, conversation.id, number)
    if row is None or row[1] != uuid:
        raise NotFound
    return to_written(row)


async def name_senders(tx: Transaction, conversation: Conversation, messages: Sequence[Message]) -> Sequence[Message]:
    """With the ids of those who said them, as APIs show them. The bots' stay as they are."""
    if not conversation.is_of_people or not messages:
        return messages
    shown = {row[0]: row[1] for row in await tx.all(FIND_SHOWN_IDS, conversation.id)}
    return [
        replace(message, sender=shown.get(message.sender_id)) if message.role == "user" else message
        for message in messages
    ]
