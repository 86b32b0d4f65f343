"""Who is in a conversation of people: how it begins, who comes and goes, and how it ends."""

from collections.abc import Sequence

from msgspec import UNSET

from palaver.chat.clock import Micros
from palaver.chat.conversation import Conversation, ConversationId
from palaver.chat.errors import Ended, Invalid, NotFound, NotManager, Unreachable
from palaver.chat.ports import Changed, Connection, GroupChange, NewBot, Seat
from palaver.chat.user import User, UserId
from palaver.store.conversations import stop_all
from palaver.store.database import Database, Transaction
from palaver.store.people.mentioned import store_mentioned
from palaver.store.people.reading import see
from palaver.store.people.rows import AT_ODDS, open_seat
from palaver.store.people.saying import IN_IT, tell_anew
from palaver.store.rows import CONVERSATION, SPEAKING, from_speaking, to_conversation
from palaver.store.texts import Texts

ACTIVE_PAIR = f"SELECT {CONVERSATION} FROM conversations c WHERE c.pair_key = $1"
# Of many who make it at the same moment one does, and the others find it.
ADD_PAIR = (
    "INSERT INTO conversations (uuid, kind, owner_id, app_id, origin, title, pair_key, created_at, updated_at) "
    "VALUES ($1, 'pair', $2, $3, 'people', '', $4, $5, $5) "
    "ON CONFLICT (pair_key) WHERE pair_key IS NOT NULL DO NOTHING RETURNING id"
)
ADD_GROUP = (
    "INSERT INTO conversations (uuid, kind, owner_id, app_id, origin, title, created_at, updated_at) "
    "VALUES ($1, 'group', $2, $3, 'people', $4, $5, $5) RETURNING id"
)
BY_ID = f"SELECT {CONVERSATION} FROM conversations c WHERE c.id = $1"
# Those who come together do so in the order in which they were named, a microsecond apart.
COME_IN = (
    "INSERT INTO participants (conversation_id, user_id, joined_at, read_number, manages) VALUES ($1, $2, $3, $4, $5) "
    "ON CONFLICT (conversation_id, user_id) DO UPDATE SET joined_at = excluded.joined_at, left_at = NULL, "
    "read_number = excluded.read_number, unread = 0, manages = excluded.manages, muted = FALSE"
)
GO = (
    "UPDATE participants SET left_at = $3, manages = FALSE, unread = 0 WHERE conversation_id = $1 AND user_id = $2 "
    "AND left_at IS NULL RETURNING user_id"
)
MANAGES = "SELECT 1 FROM participants WHERE conversation_id = $1 AND user_id = $2 AND left_at IS NULL AND manages"
# Who is there for longest, of those who manage it before all others.
LONGEST = (
    "SELECT user_id, manages FROM participants WHERE conversation_id = $1 AND left_at IS NULL "
    "ORDER BY manages DESC, joined_at, user_id LIMIT 1"
)
LET_MANAGE = "UPDATE participants SET manages = $3 WHERE conversation_id = $1 AND user_id = $2"
IS_IN_IT = "SELECT 1 FROM participants WHERE conversation_id = $1 AND user_id = $2 AND left_at IS NULL"
SOMEBODY_MANAGES = "SELECT 1 FROM participants WHERE conversation_id = $1 AND left_at IS NULL AND manages LIMIT 1"
TAKE_OVER = "UPDATE conversations SET owner_id = $2 WHERE id = $1"
NOBODY_IS_LEFT = "UPDATE conversations SET status = 'ended', ended_at = $2, deleted_at = $2 WHERE id = $1"
END = "UPDATE conversations SET status = 'ended', ended_at = $2, pair_key = NULL WHERE id = $1"
RENAME = "UPDATE conversations SET title = $2 WHERE id = $1"
MUTE = "UPDATE participants SET muted = $3 WHERE conversation_id = $1 AND user_id = $2"
INVITE_BOT = (
    "UPDATE conversations SET preset_id = $2, preset_slug = $3, prompt_id = $4, "
    + ", ".join(f"{column} = ${place}" for place, column in enumerate(SPEAKING.split(", "), 5))
    + " WHERE id = $1"
)
SEND_BOT_AWAY = "UPDATE conversations SET preset_id = NULL, preset_slug = 'general', prompt_id = NULL WHERE id = $1"
BLOCK = (
    "INSERT INTO blocks (blocker_id, blocked_id, created_at) VALUES ($1, $2, $3) "
    "ON CONFLICT (blocker_id, blocked_id) DO NOTHING"
)
UNBLOCK = "DELETE FROM blocks WHERE blocker_id = $1 AND blocked_id = $2"
IS_BLOCKED = "SELECT 1 FROM blocks WHERE blocker_id = $1 AND blocked_id = $2"
SEEN = "UPDATE users SET seen_at = $2 WHERE id = $1"
SHOW_PRESENCE = "UPDATE users SET shows_presence = $2 WHERE id = $1"


class GathersPeople:
    def __init__(self, database: Database, texts: Texts) -> None:
        self._database = database
        self._texts = texts

    async def find_or_make_pair(
        self, first: User, second: User, asks: UserId, uuid: str, now: Micros
    ) -> tuple[Connection, bool]:
        asks_first = asks == first.id

        async def work(tx: Transaction) -> tuple[Connection, bool]:
            two = [await store_mentioned(tx, user) for user in (first, second)]
            key = ":".join(str(user_id) for user_id in sorted(user.id for user in two))
            asks, other = [user.id for user in (two if asks_first else reversed(two))]
            while (row := await tx.one(ACTIVE_PAIR, key)) is None:
                if await tx.one(IS_BLOCKED, other, asks) is not None:
                    raise Unreachable
                added = await tx.one(ADD_PAIR, uuid, two[0].id, two[0].app_id, key, now)
                if added is not None:
                    await tx.run_many(COME_IN, [(added[0], user.id, now, 0, False) for user in two])
                    return await _see(tx, asks, added[0]), True
                # Somebody else has made it, and may have ended it by now.
            [found] = await see(tx, asks, [to_conversation(row)])
            return found, False

        return await self._database.write(work)

    async def make_group(self, maker: User, others: Sequence[User], title: str, uuid: str, now: Micros) -> Connection:
        async def work(tx: Transaction) -> Connection:
            manager, *invited = [await store_mentioned(tx, user) for user in (maker, *others)]
            await _check_at_peace(tx, manager.id, invited)
            added = await tx.one(ADD_GROUP, uuid, manager.id, manager.app_id, title, now)
            assert added is not None
            coming = list(dict.fromkeys(user.id for user in (manager, *invited)))
            rows = [(added[0], id_, now + place, 0, id_ == manager.id) for place, id_ in enumerate(coming)]
            await tx.run_many(COME_IN, rows)
            return await _see(tx, manager.id, added[0])

        return await self._database.write(work)

    async def end(self, seat: Seat, conversation: str, now: Micros) -> Changed:
        async def work(tx: Transaction) -> Changed:
            found = await open_seat(tx, seat, conversation, tx.lock)
            if found.kind != "pair":
                raise NotFound
            if found.ended:
                return Changed(found, None)
            await tx.run(END, found.id, now)
            return await tell_anew(tx, found, stopped=await stop_all(tx, found.id, "ended"))

        return await self._database.write(work)

    async def change(self, seat: Seat, conversation: str, change: GroupChange, now: Micros) -> Changed:  # noqa: ARG002
        async def work(tx: Transaction) -> Changed:
            found = await _manage(tx, seat, conversation)
            if change.title is UNSET or change.title == found.title:
                return Changed(found, None)
            await tx.run(RENAME, found.id, change.title)
            return await tell_anew(tx, found)

        return await self._database.write(work)

    async def invite(self, seat: Seat, conversation: str, others: Sequence[User], now: Micros, most: int) -> Changed:
        async def work(tx: Transaction) -> Changed:
            found = await _manage(tx, seat, conversation)
            there = {row[0] for row in await tx.all(IN_IT, found.id)}
            named = [await store_mentioned(tx, user) for user in others]
            coming = list({user.id: user for user in named if user.id not in there}.values())
            if not coming:
                return Changed(found, None)
            if len(there) + len(coming) > most:
                raise Invalid("members", "group_full")
            await _check_at_peace(tx, seat.user_id, coming)
            rows = [(found.id, user.id, now + place, found.last_number, False) for place, user in enumerate(coming)]
            await tx.run_many(COME_IN, rows)
            return await tell_anew(tx, found)

        return await self._database.write(work)

    async def leave(self, seat: Seat, conversation: str, who: UserId, now: Micros) -> Changed:
        async def work(tx: Transaction) -> Changed:
            found = await open_seat(tx, seat, conversation, tx.lock)
            if found.kind != "group":
                raise NotFound
            if who != seat.user_id:
                await _check_manages(tx, found, seat.user_id)
            if await tx.one(GO, found.id, who, now) is None:
                raise NotFound
            heir = await tx.one(LONGEST, found.id)
            if heir is None:
                await tx.run(NOBODY_IS_LEFT, found.id, now)
                return await tell_anew(tx, found, also=[who], stopped=await stop_all(tx, found.id, "deleted"))
            if not heir[1]:
                await tx.run(LET_MANAGE, found.id, heir[0], True)
            if who == found.owner_id:
                await tx.run(TAKE_OVER, found.id, heir[0])
            return await tell_anew(tx, found, also=[who])

        return await self._database.write(work)

    async def let_manage(self, seat: Seat, conversation: str, who: UserId, *, manages: bool) -> Changed:
        async def work(tx: Transaction) -> Changed:
            found = await _manage(tx, seat, conversation)
            if await tx.one(IS_IN_IT, found.id, who) is None:
                raise NotFound
            await tx.run(LET_MANAGE, found.id, who, manages)
            if await tx.one(SOMEBODY_MANAGES, found.id) is None:
                raise Invalid("manages", "last_manager")
            return await tell_anew(tx, found)

        return await self._database.write(work)

    async def mute(self, seat: Seat, conversation: str, *, muted: bool) -> None:
        async def work(tx: Transaction) -> None:
            found = await open_seat(tx, seat, conversation)
            await tx.run(MUTE, found.id, seat.user_id, muted)

        await self._database.write(work)

    async def invite_bot(self, seat: Seat, conversation: str, bot: NewBot | None, now: Micros) -> Changed:
        async def work(tx: Transaction) -> Changed:
            found = await open_seat(tx, seat, conversation, tx.lock)
            if found.kind == "group":
                await _check_manages(tx, found, seat.user_id)
            elif bot is not None:
                raise Invalid("preset_id", "groups_only")
            if found.ended:
                raise Ended
            if bot is None and found.preset_id is None:
                return Changed(found, None)
            if found.prompt_id is not None:
                await self._texts.leave(tx, found.prompt_id, now)
            if bot is None:
                await tx.run(SEND_BOT_AWAY, found.id)
                return await tell_anew(tx, found, stopped=await stop_all(tx, found.id, "deleted"))
            prompt_id = await self._texts.add(tx, bot.prompt) if bot.prompt else None
            await tx.run(INVITE_BOT, found.id, bot.preset_id, bot.slug, prompt_id, *from_speaking(bot.speaking))
            return await tell_anew(tx, found)

        return await self._database.write(work)

    async def block(self, blocker: UserId, blocked: UserId, now: Micros) -> None:
        await self._database.write(lambda tx: tx.run(BLOCK, blocker, blocked, now))

    async def unblock(self, blocker: UserId, blocked: UserId) -> None:
        await self._database.write(lambda tx: tx.run(UNBLOCK, blocker, blocked))

    async def keep_seen(self, seen: Sequence[tuple[UserId, Micros]]) -> None:
        await self._database.write(lambda tx: tx.run_many(SEEN, sorted(seen)))

    async def show_presence(self, user_id: UserId, *, shown: bool) -> None:
        await self._database.write(lambda tx: tx.run(SHOW_PRESENCE, user_id, shown))


async def _see(tx: Transaction, user_id: UserId, conversation_id: ConversationId) -> Connection:
    row = await tx.one(BY_ID, conversation_id)
    assert row is not None
    [one] = await see(tx, user_id, [to_conversation(row)])
    return one


async def _manage(tx: Transaction, seat: Seat, conversation: str) -> Conversation:
    """A group that this one manages, held. Raises `NotFound`, `NotManager` and `Ended`."""
    found = await open_seat(tx, seat, conversation, tx.lock)
    if found.kind != "group":
        raise NotFound
    await _check_manages(tx, found, seat.user_id)
    if found.ended:
        raise Ended
    return found


async def _check_manages(tx: Transaction, found: Conversation, user_id: UserId) -> None:
    if await tx.one(MANAGES, found.id, user_id) is None:
        raise NotManager


async def _check_at_peace(tx: Transaction, user_id: UserId, others: Sequence[User]) -> None:
    """Nobody is brought together with somebody who has blocked them, or whom they have blocked."""
    rows = await tx.all(AT_ODDS, user_id)
    if {user.id for user in others} & ({row[0] for row in rows} | {row[1] for row in rows}) - {user_id}:
        raise Unreachable
