"""Messages that were said elsewhere, put behind what stands in a conversation, with all that is counted of them."""

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from palaver.chat.clock import Micros
from palaver.chat.context import count_tokens
from palaver.chat.conversation import ConversationId
from palaver.chat.moved import MovedMessage, MovedSession, Part, known_by_words
from palaver.chat.turn import make_message_uuid, number_in
from palaver.chat.user import UserId
from palaver.store.database import Transaction
from palaver.store.rows import SHOW_LEAF

UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")

STATE = (
    "SELECT last_number, leaf_number, leaf_uuid, message_count, exchange_count, open_replies, event, revision, "
    "updated_at, last_message_at, status, ended_at, deleted_at FROM conversations WHERE id = $1"
)
IS_KNOWN = "SELECT digest FROM moved_messages WHERE conversation_id = $1 AND digest = $2"
IS_ONE_OF_OURS = "SELECT uuid FROM messages WHERE conversation_id = $1 AND number = $2 AND uuid = $3"
SAID_HERE = (
    "SELECT number, role, content, created_at FROM messages WHERE conversation_id = $1 AND number > $2 "
    "AND status NOT IN ('queued', 'running') ORDER BY number LIMIT 1000"
)
KNOW = (
    "INSERT INTO moved_messages (conversation_id, digest) VALUES ($1, $2) "
    "ON CONFLICT (conversation_id, digest) DO NOTHING"
)
REMEMBERED_TO = "UPDATE moved SET remembered_to = $2, exchanges = $3 WHERE conversation_id = $1"
ROLE_AT = "SELECT role FROM messages WHERE conversation_id = $1 AND number = $2"
ADD = (
    "INSERT INTO messages (conversation_id, number, parent_number, uuid, role, status, content, sender_id, created_at, "
    "token_count, event, end_event, exchange) VALUES ($1, $2, $3, $4, $5, 'complete', $6, $7, $8, $9, $10, $11, $12)"
)
ADVANCE = (
    "UPDATE conversations SET last_number = $2, leaf_number = $3, leaf_uuid = $4, message_count = $5, "
    "exchange_count = $6, event = $7, revision = $8, updated_at = $9, last_message_at = $10, status = $11, "
    "ended_at = $12 WHERE id = $1"
)
SEATS = "SELECT user_id, read_number, unread FROM participants WHERE conversation_id = $1"
READ = "UPDATE participants SET read_number = $3, unread = $4 WHERE conversation_id = $1 AND user_id = $2"


class Known(Struct, frozen=True):
    """A conversation that is known by a key: how many exchanges were brought, and up to which number what was said is
    known by its words."""

    id: ConversationId
    exchanges: int
    remembered_to: int
    is_new: bool = False
    """Made in this transaction."""
    ends: bool = False
    """Of a new one: it has ended already."""


async def find_fresh(tx: Transaction, known: Known, part: Part) -> Sequence[MovedMessage] | None:
    """Those that are not there yet; None where they cannot be put there now."""
    state = await tx.one(STATE + tx.lock, known.id)
    if state is None or state[12] is not None:
        # Whoever deleted it does not want it back.
        return []
    if isinstance(part.of, MovedSession):
        await _remember_what_was_said_here(tx, known, for_good=not state[5])
    asked = [(known.id, message.known_by) for message in part.messages]
    there = {bytes(row[0]) for row in await tx.all_many(IS_KNOWN, asked)} if asked else set()
    fresh = [message for message in part.messages if message.known_by not in there]
    ours = [(known.id, number_in(message.id), message.id) for message in fresh if message.id]
    ours = [one for one in ours if one[1] is not None]
    uuids = {row[0] for row in await tx.all_many(IS_ONE_OF_OURS, ours)} if ours else set()
    fresh = [message for message in fresh if not message.id or message.id not in uuids]
    return None if fresh and state[5] else fresh


async def _remember_what_was_said_here(tx: Transaction, known: Known, *, for_good: bool) -> None:
    """So that an export of it, brought back, is known by its words. While a reply is open that is done again."""
    number = known.remembered_to
    while rows := await tx.all(SAID_HERE, known.id, number):
        said = [(known.id, known_by_words(role, content, at)) for _, role, content, at in rows]
        await tx.run_many(KNOW, said)
        number = rows[-1][0]
    if for_good and number != known.remembered_to:
        await tx.run(REMEMBERED_TO, known.id, number, known.exchanges)


async def add_messages(
    tx: Transaction, known: Known, part: Part, messages: Sequence[MovedMessage], senders: Mapping[str, UserId]
) -> None:
    """`senders` are users by their names; '' is a session's own."""
    if not (messages or known.is_new):
        return
    state = await tx.one(STATE, known.id)
    assert state is not None
    (last, leaf, leaf_uuid, count, exchange_count, _, event, revision, updated_at, last_at, status, ended_at, _) = state
    role_before = await tx.one(ROLE_AT, known.id, leaf) if leaf else None
    before = None if role_before is None else role_before[0]
    # What was ended here was so after all that had been said; an end of the file's own moves with what it brings.
    ended_with_the_last = ended_at == (part.of.created_at if last_at is None else last_at)
    rows: list[tuple[object, ...]] = []
    numbers: list[tuple[int, UserId | None]] = []
    counted = 0
    for message in messages:
        last, event = last + 1, event + 1
        is_reply = message.role == "assistant"
        answers = is_reply and before == "user" and message.content != ""
        counted += answers
        sender = senders[message.sender or ""] if message.role == "user" else None
        uuid = _keep_uuid(message, last)
        rows.append((
            known.id, last, leaf or None, uuid, message.role, message.content, sender, message.at,
            count_tokens(message.content), event, event if is_reply else 0,
            exchange_count + counted if answers else None,
        ))  # fmt: skip
        numbers.append((last, sender))
        count += not is_reply or message.content != ""
        leaf, leaf_uuid, before = last, uuid, message.role
        last_at = _latest(last_at, message.at)
    if rows:
        await tx.run_many(ADD, rows)
        await tx.run_many(KNOW, [(known.id, message.known_by) for message in messages])
    of = part.of
    exchanges = known.exchanges + counted
    told_end = None
    if isinstance(of, MovedSession):
        exchanges = exchanges if of.exchanges is None else max(of.exchanges, known.exchanges)
        last_at = _latest(last_at, of.last_activity)
        told_end = of.ended_at
    else:
        await _seat(tx, known.id, numbers)
    if known.ends:
        status = "ended"
    if known.ends or (status == "ended" and of.ended and ended_with_the_last):
        quiet_since = of.created_at if last_at is None else last_at
        ended_at = quiet_since if told_end is None else told_end
    await tx.run(
        ADVANCE, known.id, last, leaf, leaf_uuid, count, exchange_count + exchanges - known.exchanges, event,
        revision if known.is_new else revision + 1, max(updated_at, last_at or 0), last_at, status, ended_at,
    )  # fmt: skip
    await tx.run(SHOW_LEAF, known.id)
    await tx.run(REMEMBERED_TO, known.id, last, exchanges)


def _latest(*times: Micros | None) -> Micros | None:
    return max((at for at in times if at is not None), default=None)


async def _seat(tx: Transaction, conversation_id: ConversationId, said: Sequence[tuple[int, UserId | None]]) -> None:
    """Whoever says something has read all before it; for the other it is one more to read."""
    seats = {row[0]: (row[1], row[2]) for row in await tx.all(SEATS, conversation_id)}
    for number, sender in said:
        for user_id, (read, unread) in seats.items():
            seats[user_id] = (number, 0) if user_id == sender else (read, unread + 1)
    if said:
        await tx.run_many(READ, [(conversation_id, user_id, *seat) for user_id, seat in sorted(seats.items())])


def _keep_uuid(message: MovedMessage, number: int) -> str:
    """Its own where it says what a UUID says here: which message of its conversation it is."""
    return (
        message.id
        if number_in(message.id) == number and UUID.fullmatch(message.id)
        else make_message_uuid(message.at, number)
    )
