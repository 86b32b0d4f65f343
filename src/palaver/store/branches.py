"""The tree of a conversation's messages: what is in view, what leaves it, and what else stands in the same place.

These are rare: they may cost what the conversation is long. A turn never does.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from palaver.chat.clock import Micros
from palaver.chat.conversation import Conversation, Message, MessageId
from palaver.chat.cursor import Mark
from palaver.chat.errors import Busy, NotFound
from palaver.chat.ports import Branching, OpenReply, Overview, Silent
from palaver.chat.turn import number_in
from palaver.chat.user import Reader, UserId
from palaver.store.database import Database, Row, Transaction
from palaver.store.rows import MESSAGE, MESSAGE_COLUMNS, OPEN, PARENT, UUID_OF, to_conversation, to_message

BY_NUMBER = f"SELECT {MESSAGE} FROM messages m WHERE m.conversation_id = $1 AND m.number = $2"
# 1 where a message is listed: it has ended, and has text unless a person said it.
LISTED = "CASE WHEN status IN ('queued', 'running') OR (role = 'assistant' AND content = '') THEN 0 ELSE 1 END"
LEAVING = f"SELECT id, status, {LISTED} FROM messages WHERE conversation_id = $1 AND in_view AND number > $2"
LEAVE = "UPDATE messages SET in_view = FALSE WHERE conversation_id = $1 AND in_view AND number > $2"
NOT_ANSWERED = "UPDATE messages SET status = 'failed', reason = 'replaced' WHERE id = $1"
# Of another branch the bot sees all that it may, and a summary may tell what was never said there.
SEEN_ANEW = "context_from = 0, summary = NULL, summary_to = 0, summary_lease = 0"
# What the bot no longer sees may have stayed in view as it was: then its front stays, and what stands for it.
SEEN_STILL = (
    "context_from = CASE WHEN context_from - 1 <= $4 THEN context_from ELSE 0 END, "
    "summary = CASE WHEN context_from - 1 <= $4 THEN summary END, "
    "summary_to = CASE WHEN context_from - 1 <= $4 THEN summary_to ELSE 0 END, "
    "summary_lease = CASE WHEN context_from - 1 <= $4 THEN summary_lease ELSE 0 END"
)
CUT = (
    f"UPDATE conversations SET revision = revision + 1, {SEEN_STILL}, message_count = message_count - $2, "
    "open_replies = open_replies - $3, leaf_number = $4, leaf_uuid = $5 WHERE id = $1"
)
TREE = f"SELECT number, parent_number, in_view, {LISTED} FROM messages WHERE conversation_id = $1 ORDER BY number"
VIEW = "UPDATE messages SET in_view = $3 WHERE conversation_id = $1 AND number = $2"
SHOW = (
    f"UPDATE conversations SET revision = revision + 1, event = event + 1, {SEEN_ANEW}, leaf_number = $2, "
    "leaf_uuid = $3, message_count = $4, updated_at = $5 WHERE id = $1"
)
SIBLINGS = (
    f"SELECT {MESSAGE}, {PARENT} FROM messages m WHERE m.conversation_id = $1 AND m.role = $2 "
    "AND COALESCE(m.parent_number, 0) = $3 AND m.status NOT IN ('queued', 'running') "
    "AND (m.content <> '' OR m.role <> 'assistant') ORDER BY m.number"
)


# What has text or is to have some: of all other replies nothing can be shown.
SHOWABLE = (
    "SELECT number, COALESCE(parent_number, 0), role, uuid, in_view FROM messages WHERE conversation_id = $1 "
    "AND number > 0 AND (content <> '' OR role <> 'assistant' OR status IN ('queued', 'running')) ORDER BY number"
)
OPEN_REPLIES = (
    "SELECT m.uuid, p.uuid, m.status FROM messages m JOIN messages p ON p.conversation_id = m.conversation_id "
    "AND p.number = m.parent_number WHERE m.conversation_id = $1 AND m.status = '{status}' ORDER BY m.number"
)
SILENT = (
    "SELECT m.uuid, p.uuid, m.status FROM messages m JOIN messages p ON p.conversation_id = m.conversation_id "
    "AND p.number = m.parent_number WHERE m.conversation_id = $1 AND m.in_view AND m.role = 'assistant' "
    "AND m.status IN ('stopped', 'failed') AND m.content = '' ORDER BY m.number"
)


class Left(Struct, frozen=True):
    """The conversation without what has left its view; of that, the reply that runs, and those that waited."""

    conversation: Conversation
    running: MessageId | None
    dropped: tuple[MessageId, ...]


async def leave_view(tx: Transaction, conversation: Conversation, leaf: int | None) -> Left:
    """What followed the message `leaf` leaves the view; None: everything that was said."""
    above = leaf or 0
    rows: Sequence[Row] = await tx.all(LEAVING, conversation.id, above)
    dropped = tuple(row[0] for row in rows if row[1] == "queued")
    running = next((row[0] for row in rows if row[1] == "running"), None)
    listed = sum(row[2] for row in rows)
    if dropped:
        await tx.run_many(NOT_ANSWERED, [(id_,) for id_ in dropped])
    await tx.run(LEAVE, conversation.id, above)
    row = await tx.one(UUID_OF, conversation.id, above)
    leaf_uuid = None if row is None else row[0]
    await tx.run(CUT, conversation.id, listed, len(dropped), above, leaf_uuid)
    stays = conversation.context_from - 1 <= above
    cut = replace(
        conversation,
        revision=conversation.revision + 1,
        context_from=conversation.context_from if stays else 0,
        summary_to=conversation.summary_to if stays else 0,
        message_count=conversation.message_count - listed,
        open_replies=conversation.open_replies - len(dropped),
        leaf_number=above,
        leaf_uuid=leaf_uuid,
    )
    return Left(cut, running, dropped)


async def find_in_view(tx: Transaction, conversation: Conversation, uuid: str) -> Message:
    """Raises `NotFound`."""
    found = await find_message(tx, conversation, uuid)
    if not found.in_view:
        raise NotFound
    return found


async def find_message(tx: Transaction, conversation: Conversation, uuid: str) -> Message:
    """Raises `NotFound`."""
    number = number_in(uuid)
    row = None if number is None else await tx.one(BY_NUMBER, conversation.id, number)
    if row is None or row[1] != uuid:
        raise NotFound
    return to_message(row)


async def open_conversation(tx: Transaction, reader: Reader, uuid: str, lock: str = "") -> Conversation:
    """Raises `NotFound`."""
    row = await tx.one(OPEN + lock, uuid, reader.user_id, reader.app_id, reader.guests_allowed)
    if row is None:
        raise NotFound
    return to_conversation(row)


class SqlBranches:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def show(self, reader: Reader, conversation: str, message: str, now: Micros) -> tuple[UserId, Mark] | None:
        async def work(tx: Transaction) -> tuple[UserId, Mark] | None:
            found = await open_conversation(tx, reader, conversation, tx.lock)
            wanted = await find_message(tx, found, message)
            if found.open_replies:
                raise Busy
            rows = await tx.all(TREE, found.id)
            path = _path(rows, wanted.number)
            turned = [(found.id, row[0], row[0] in path) for row in rows if bool(row[2]) != (row[0] in path)]
            if not turned:
                return None
            await tx.run_many(VIEW, turned)
            leaf = max(path)
            row = await tx.one(UUID_OF, found.id, leaf)
            assert row is not None
            listed = sum(row[3] for row in rows if row[0] in path)
            await tx.run(SHOW, found.id, leaf, row[0], listed, now)
            return found.owner_id, Mark(found.revision + 1, found.event + 1, found.last_number + 1)

        return await self._database.write(work)

    async def siblings(self, reader: Reader, conversation: str, message: str) -> Sequence[Message]:
        async def work(tx: Transaction) -> list[Message]:
            found = await open_conversation(tx, reader, conversation)
            wanted = await find_message(tx, found, message)
            rows = await tx.all(SIBLINGS, found.id, wanted.role, wanted.parent_number or 0)
            return [to_message(row, row[MESSAGE_COLUMNS]) for row in rows]

        return await self._database.read(work)

    async def overview(self, reader: Reader, conversation: str) -> Overview:
        async def work(tx: Transaction) -> Overview:
            found = await open_conversation(tx, reader, conversation)
            replies: list[OpenReply] = []
            for status in ("running", "queued") if found.open_replies else ():
                rows = await tx.all(OPEN_REPLIES.format(status=status), found.id)
                replies += [OpenReply(row[0], row[1], row[2] == "running") for row in rows]
            silent = [Silent(row[0], row[1], row[2] == "stopped") for row in await tx.all(SILENT, found.id)]
            return Overview(await _branchings(tx, found), replies, silent)

        return await self._database.read(work, one_state=True)


async def _branchings(tx: Transaction, conversation: Conversation) -> list[Branching]:
    if conversation.revision == 1:
        # Every branch that was begun has made it another one: in the usual straight conversation nothing is read.
        return []
    rows = await tx.all(SHOWABLE, conversation.id)
    in_view = {row[0]: row[3] for row in rows if row[4]}
    places: dict[tuple[int, str], list[Row]] = {}
    for row in rows:
        if row[1] == 0 or row[1] in in_view:
            places.setdefault((row[1], row[2]), []).append(row)
    return [
        Branching(in_view.get(parent), next((row[3] for row in beside if row[4]), None), [row[3] for row in beside])
        for (parent, _), beside in places.items()
        if len(beside) > 1 or not beside[0][4]
    ]


def _path(rows: Sequence[Row], wanted: int) -> set[int]:
    """The branch through `wanted`: all that it follows, and from there on what was said last."""
    parents = {row[0]: row[1] for row in rows}
    # In order of their numbers, so that the last child of each is what stays.
    # What follows nothing follows the system message, which has number 0 whether it is there or not.
    last_child = {row[1] or 0: row[0] for row in rows if row[0]}
    path = {0} if 0 in parents else set()
    number: int | None = wanted
    while number is not None:
        path.add(number)
        number = parents[number]
    number = last_child.get(wanted)
    while number is not None:
        path.add(number)
        number = last_child.get(number)
    return path
