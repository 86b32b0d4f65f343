"""What people say to each other in the database: each message with all that it changes, in one transaction."""

from collections.abc import Sequence

from msgspec.structs import replace

from palaver.chat.clock import Micros
from palaver.chat.conversation import Conversation, Message, MessageId
from palaver.chat.cursor import Mark
from palaver.chat.errors import Conflict, Ended, NotFound, Unreachable
from palaver.chat.mentions import is_named
from palaver.chat.ports import Changed, NewSaid, Seat, Spoken, Written
from palaver.chat.turn import make_message_uuid
from palaver.chat.user import UserId
from palaver.store.database import Database, Transaction
from palaver.store.events import lowest_open
from palaver.store.outbox import NoticeKind, add_notices
from palaver.store.people.leaving import stop_replies_to
from palaver.store.people.rows import AT_ODDS, ONE, WRITTEN, find_written, open_seat, to_written

SAID_BEFORE = f"{WRITTEN} WHERE m.conversation_id = $1 AND m.sender_id = $2 AND m.client_message_id = $3"
ADD = (
    "INSERT INTO messages (conversation_id, number, parent_number, uuid, role, status, content, sender_id, "
    "client_message_id, created_at, token_count, event) "
    "VALUES ($1, $2, $3, $4, 'user', 'complete', $5, $6, $7, $8, $9, $10) RETURNING id"
)
ADVANCE = (
    "UPDATE conversations SET last_number = $2, leaf_number = $2, leaf_uuid = $3, message_count = message_count + 1, "
    "updated_at = $4, last_message_at = $4, event = $5 WHERE id = $1"
)
ONE_MORE_UNREAD = (
    "UPDATE participants SET unread = unread + 1 WHERE conversation_id = $1 AND user_id <> $2 AND left_at IS NULL "
    "RETURNING user_id, unread, muted"
)
ONE_LESS_UNREAD = (
    "UPDATE participants SET unread = unread - 1 WHERE conversation_id = $1 AND user_id <> $2 AND left_at IS NULL "
    "AND read_number < $3"
)
# What others have said behind the mark, and have not taken back.
COUNT_UNREAD = (
    "SELECT COUNT(*) FROM messages m WHERE m.conversation_id = participants.conversation_id "
    "AND m.number > {after} AND m.role = 'user' AND m.sender_id <> participants.user_id AND m.removed_at IS NULL"
)
READ = (
    f"UPDATE participants SET read_number = $3, read_event = $4, unread = ({COUNT_UNREAD.format(after='$3')}) "
    "WHERE conversation_id = $1 AND user_id = $2 AND read_number < $3 RETURNING unread"
)
UNREAD = "SELECT unread FROM participants WHERE conversation_id = $1 AND user_id = $2"
ONE_MORE_EVENT = "UPDATE conversations SET event = event + 1 WHERE id = $1"
# What was told is not so any more: whoever listens looks anew.
ANOTHER_STORY = "UPDATE conversations SET revision = revision + 1, event = event + 1 WHERE id = $1"
EDIT = "UPDATE messages SET content = $2, token_count = $3, edited_at = $4 WHERE id = $1"
REMOVE = "UPDATE messages SET content = '', token_count = 0, edited_at = NULL, removed_at = $2 WHERE id = $1"
IN_IT = "SELECT user_id FROM participants WHERE conversation_id = $1 AND left_at IS NULL ORDER BY user_id"
NAMES = (
    "SELECT u.id, u.name FROM participants p JOIN users u ON u.id = p.user_id "
    "WHERE p.conversation_id = $1 AND p.left_at IS NULL"
)


class SaysToPeople:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def check_open(self, seat: Seat, conversation: str) -> None:
        async def work(tx: Transaction) -> None:
            found = await open_seat(tx, seat, conversation)
            if found.ended:
                raise Ended
            await check_reachable(tx, found, seat.user_id)

        await self._database.read(work)

    async def say(self, said: NewSaid) -> Spoken:
        return await self._database.write(lambda tx: _say(tx, said))

    async def edit(
        self, seat: Seat, conversation: str, message: str, text: str, token_count: int, now: Micros
    ) -> tuple[Written, Changed]:
        async def work(tx: Transaction) -> tuple[Written, Changed]:
            found, written = await _own(tx, seat, conversation, message)
            if found.ended:
                raise Ended
            await check_reachable(tx, found, seat.user_id)
            if written.removed_at is not None:
                raise NotFound
            if written.message.content == text:
                return written, Changed(found, None)
            await tx.run(EDIT, written.message.id, text, token_count, now)
            return await _read_again(tx, written), await tell_anew(tx, found)

        # What it said before is overwritten where it stood. SQLite may have moved it, for another message's sake.
        return await self._database.write(work, for_good=True)

    async def remove(self, seat: Seat, conversation: str, message: str, now: Micros) -> tuple[Written, Changed]:
        async def work(tx: Transaction) -> tuple[Written, Changed]:
            found, written = await _own(tx, seat, conversation, message)
            if written.removed_at is not None:
                return written, Changed(found, None)
            await tx.run(REMOVE, written.message.id, now)
            await tx.run(ONE_LESS_UNREAD, found.id, seat.user_id, written.message.number)
            stopped = await stop_replies_to(tx, found.id, written.message.number) if found.open_replies else []
            return await _read_again(tx, written), await tell_anew(tx, found, stopped=stopped)

        return await self._database.write(work, for_good=True)

    async def read_up_to(self, seat: Seat, conversation: str, message: str, now: Micros) -> tuple[int, Mark | None]:  # noqa: ARG002
        async def work(tx: Transaction) -> tuple[int, Mark | None]:
            found = await open_seat(tx, seat, conversation, tx.lock)
            wanted = (await find_written(tx, found, message)).message
            if await _is_cut_off(tx, found, seat.user_id):
                # It counts for this one; the other does not learn of it, nor by coming back.
                row = await tx.one(READ, found.id, seat.user_id, wanted.number, 0)
                row = row or await tx.one(UNREAD, found.id, seat.user_id)
                return 0 if row is None else int(row[0]), None
            event = found.event + 1
            row = await tx.one(READ, found.id, seat.user_id, wanted.number, event)
            if row is None:
                row = await tx.one(UNREAD, found.id, seat.user_id)
                return 0 if row is None else int(row[0]), None
            await tx.run(ONE_MORE_EVENT, found.id)
            return int(row[0]), Mark(found.revision, event, await lowest(tx, found))

        return await self._database.write(work)


async def _say(tx: Transaction, said: NewSaid) -> Spoken:
    user_id = said.seat.user_id
    found = await open_seat(tx, said.seat, said.conversation, tx.lock)
    if said.client_message_id is not None:
        row = await tx.one(SAID_BEFORE, found.id, user_id, said.client_message_id)
        if row is not None:
            return _said_before(found, to_written(row), said.text)
    if found.ended:
        raise Ended
    at_odds = await check_reachable(tx, found, user_id)
    number, event = found.last_number + 1, found.event + 1
    message = Message(
        MessageId(0), make_message_uuid(said.now, number), found.id, number, found.leaf_number or None,
        "user", "complete", said.text, said.now, user_id, said.client_message_id, said.token_count,
        event=event, parent_uuid=found.leaf_uuid,
    )  # fmt: skip
    added = await tx.one(
        ADD, found.id, number, message.parent_number, message.uuid, said.text, user_id, said.client_message_id,
        said.now, said.token_count, event,
    )  # fmt: skip
    assert added is not None
    await tx.run(ADVANCE, found.id, number, message.uuid, said.now, event)
    counted = await tx.all(ONE_MORE_UNREAD, found.id, user_id)
    named = await _named(tx, found, said.text)
    kinds: dict[UserId, NoticeKind] = {
        row[0]: "mention" if row[0] in named else "message" for row in counted if not row[2] and row[0] not in at_odds
    }
    await add_notices(tx, [(to, found.id, added[0], kind) for to, kind in sorted(kinds.items())], said.now)
    row = await tx.one(ONE, found.id, number)
    assert row is not None
    written = to_written(row)
    written = replace(written, message=replace(written.message, parent_uuid=found.leaf_uuid))
    return Spoken(
        replace(found, last_number=number, event=event, last_message_at=said.now),
        written,
        Mark(found.revision, event, await lowest(tx, found, number + 1)),
        {row[0]: int(row[1]) for row in counted},
        {row[0] for row in counted if row[0] not in kinds},
        names_bot=_names_bot(found, said.text),
    )


def _said_before(found: Conversation, before: Written, text: str) -> Spoken:
    """What was edited or removed since is what it is by now, and names the bot or does not."""
    if before.edited_at is None and before.removed_at is None and before.message.content != text:
        raise Conflict
    names_bot = _names_bot(found, before.message.content)
    return Spoken(found, before, Mark(found.revision, found.event, 0), known=True, names_bot=names_bot)


def _names_bot(found: Conversation, text: str) -> bool:
    has_bot = found.kind == "group" and found.preset_id is not None
    return has_bot and not found.ended and is_named(found.preset_slug, text)


async def _named(tx: Transaction, found: Conversation, text: str) -> set[UserId]:
    if found.kind != "group" or "@" not in text:
        return set()
    return {row[0] for row in await tx.all(NAMES, found.id) if is_named(row[1], text)}


async def check_reachable(tx: Transaction, found: Conversation, user_id: UserId) -> set[UserId]:
    """Those whom this one has blocked, or who have blocked this one. Raises `Unreachable` where that is the other of a
    pair."""
    rows = await tx.all(AT_ODDS, user_id)
    at_odds = {row[0] for row in rows} | {row[1] for row in rows}
    if found.kind == "pair" and at_odds:
        others = {row[0] for row in await tx.all(IN_IT, found.id)} - {user_id}
        if others & at_odds:
            raise Unreachable
    return at_odds


async def _is_cut_off(tx: Transaction, found: Conversation, user_id: UserId) -> bool:
    """From the other of a pair."""
    try:
        if found.kind == "pair":
            await check_reachable(tx, found, user_id)
    except Unreachable:
        return True
    return False


async def _own(tx: Transaction, seat: Seat, conversation: str, message: str) -> tuple[Conversation, Written]:
    """Raises `NotFound` for what somebody else has said, too."""
    found = await open_seat(tx, seat, conversation, tx.lock)
    written = await find_written(tx, found, message)
    if written.message.sender_id != seat.user_id or written.message.role != "user":
        raise NotFound
    return found, written


async def _read_again(tx: Transaction, written: Written) -> Written:
    row = await tx.one(ONE, written.message.conversation_id, written.message.number)
    assert row is not None
    return to_written(row)


async def tell_anew(
    tx: Transaction, found: Conversation, *, also: Sequence[UserId] = (), stopped: Sequence[MessageId] = ()
) -> Changed:
    """Everybody in it has to look anew."""
    await tx.run(ANOTHER_STORY, found.id)
    told = {row[0] for row in await tx.all(IN_IT, found.id)} | set(also)
    mark = Mark(found.revision + 1, found.event + 1, await lowest(tx, found))
    return Changed(found, mark, frozenset(told), stopped)


async def lowest(tx: Transaction, found: Conversation, otherwise: int | None = None) -> int:
    """Where to look for news of what is told next."""
    following = found.last_number + 1 if otherwise is None else otherwise
    return await lowest_open(tx, found.id, following) if found.open_replies else following
