"""Conversations of people as one of them sees them."""

from collections.abc import Sequence

from palaver.chat.clock import Micros
from palaver.chat.conversation import Conversation, Message
from palaver.chat.ports import Blocked, Connection, InvitedBot, Seat, StatusWanted, Written
from palaver.chat.user import User, UserId
from palaver.store.database import Database, Row, Transaction
from palaver.store.people.rows import (
    AT_ODDS,
    LISTED,
    MEMBER_AT,
    MEMBERS,
    WRITTEN,
    find_written,
    name_senders,
    open_seat,
    to_member,
    to_written,
)
from palaver.store.rows import CONVERSATION, USER, to_conversation, to_user

MINE = (
    f"SELECT {CONVERSATION} FROM conversations c JOIN participants p ON p.conversation_id = c.id "
    "WHERE p.user_id = $1 AND p.left_at IS NULL AND c.kind <> 'bot' AND c.deleted_at IS NULL "
    "AND (c.kind = 'pair' OR NOT $2) AND ($3 = 'all' OR c.status = $3) "
    "ORDER BY COALESCE(c.last_message_at, c.created_at) DESC, c.id DESC LIMIT $4 OFFSET $5"
)
LAST = f"{WRITTEN} WHERE m.conversation_id = $1 AND {LISTED} ORDER BY m.number DESC LIMIT 1"
BEFORE = f"{WRITTEN} WHERE m.conversation_id = $1 AND m.number < $2 AND {LISTED} ORDER BY m.number DESC LIMIT $3"
BLOCKED = (
    f"SELECT {USER}, b.created_at FROM blocks b JOIN users u ON u.id = b.blocked_id WHERE b.blocker_id = $1 "
    "ORDER BY b.created_at DESC, u.id"
)
BOT = "SELECT id, slug, name FROM presets WHERE id = $1"
UNREAD_TOTAL = (
    "SELECT CAST(COALESCE(SUM(p.unread), 0) AS BIGINT) FROM participants p JOIN conversations c "
    "ON c.id = p.conversation_id WHERE p.user_id = $1 AND p.left_at IS NULL AND NOT p.muted AND c.kind <> 'bot' "
    "AND c.deleted_at IS NULL AND c.status = 'active'"
)
APP_USER = f"SELECT {USER} FROM users u WHERE u.kind = 'app_user' AND u.app_id = $1 AND u.name = $2"
EVERYTHING = 1 << 62


class ReadsPeople:
    """What is only looked at."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, seat: Seat, conversation: str) -> Connection:
        async def work(tx: Transaction) -> Connection:
            [one] = await see(tx, seat.user_id, [await open_seat(tx, seat, conversation)])
            return one

        return await self._database.read(work, one_state=True)

    async def list(
        self, seat: Seat, status: StatusWanted, *, limit: int, offset: int
    ) -> tuple[Sequence[Connection], bool]:
        async def work(tx: Transaction) -> tuple[Sequence[Connection], bool]:
            rows = await tx.all(MINE, seat.user_id, seat.pairs_only, status, limit + 1, offset)
            page = [to_conversation(row) for row in rows[:limit]]
            return await see(tx, seat.user_id, page), len(rows) > limit

        return await self._database.read(work, one_state=True)

    async def unread_total(self, user_id: UserId) -> int:
        row = await self._database.read(lambda tx: tx.one(UNREAD_TOTAL, user_id))
        return 0 if row is None else int(row[0])

    async def messages(
        self, seat: Seat, conversation: str, *, before: str | None, limit: int
    ) -> tuple[Sequence[Written], bool]:
        async def work(tx: Transaction) -> tuple[Sequence[Written], bool]:
            found = await open_seat(tx, seat, conversation)
            number = EVERYTHING
            if before is not None:
                number = (await find_written(tx, found, before)).message.number
            rows = await tx.all(BEFORE, found.id, number, limit + 1)
            return [to_written(row) for row in rows[limit - 1 :: -1]], len(rows) > limit

        return await self._database.read(work, one_state=True)

    async def name_senders(self, conversation: Conversation, messages: Sequence[Message]) -> Sequence[Message]:
        return await self._database.read(lambda tx: name_senders(tx, conversation, messages))

    async def check(self, user_id: UserId, conversation: str) -> None:
        await self._database.read(lambda tx: open_seat(tx, Seat(user_id), conversation))

    async def blocks(self, user_id: UserId) -> Sequence[Blocked]:
        rows = await self._database.read(lambda tx: tx.all(BLOCKED, user_id))
        return [Blocked(to_user(row[:10]), Micros(row[10])) for row in rows]

    async def shows_presence(self, user_id: UserId) -> bool:
        row = await self._database.read(lambda tx: tx.one("SELECT shows_presence FROM users WHERE id = $1", user_id))
        return row is not None and bool(row[0])

    async def find_app_user(self, app_id: UserId, name: str) -> User | None:
        row = await self._database.read(lambda tx: tx.one(APP_USER, app_id, name))
        return None if row is None else to_user(row)


async def see(tx: Transaction, user_id: UserId, found: Sequence[Conversation]) -> list[Connection]:
    """As one of those who are in them sees them."""
    if not found:
        return []
    ids = [(conversation.id,) for conversation in found]
    members: dict[object, list[Row]] = {}
    for row in await tx.all_many(MEMBERS, ids):
        members.setdefault(row[0], []).append(row)
    last = {row[2]: to_written(row) for row in await tx.all_many(LAST, ids)}
    at_odds = await tx.all(AT_ODDS, user_id)
    blocked = {row[1] for row in at_odds if row[0] == user_id}
    hidden = ({row[0] for row in at_odds} | {row[1] for row in at_odds}) - {user_id}
    presets = sorted({conversation.preset_id for conversation in found if conversation.preset_id is not None})
    bots = {row[0]: InvitedBot(*row) for row in await tx.all_many(BOT, [(id_,) for id_ in presets])} if presets else {}
    connections = []
    for conversation in found:
        rows = members.get(conversation.id, [])
        mine = next((row for row in rows if row[1] == user_id), None)
        unread, muted = (0, False) if mine is None else (mine[MEMBER_AT + 4], bool(mine[MEMBER_AT + 5]))
        is_blocked = conversation.kind == "pair" and any(row[1] in blocked for row in rows)
        bot = None if conversation.preset_id is None else bots.get(conversation.preset_id)
        connections.append(
            Connection(
                conversation,
                [to_member(row, hides=row[1] in hidden) for row in rows],
                unread,
                muted,
                is_blocked,
                last.get(conversation.id),
                bot,
            )
        )
    return connections
