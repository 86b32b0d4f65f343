"""What has to reach somebody who may be away: written in the transaction that gave the reason, held by one sender at a
time, and recorded once.

Locks are taken in this order: a notice, then targets by their ids, then deliveries. On SQLite the writer is alone.
"""

import json
from collections.abc import Mapping, Sequence
from typing import assert_never

from palaver.chat.clock import Micros
from palaver.chat.conversation import ConversationId, MessageId
from palaver.chat.ports.notify import (
    ChannelKind,
    FcmTarget,
    MailTarget,
    NoticeKind,
    Target,
    WebhookTarget,
    WebPushTarget,
)
from palaver.chat.ports.outbox import (
    Claim,
    Claimed,
    Deliveries,
    Delivery,
    DueNotice,
    OutboxId,
    Settled,
    State,
    TargetId,
    Told,
    WhyNot,
)
from palaver.chat.user import UserId
from palaver.store.database import Database, Row, Transaction

__all__ = ["NoticeKind", "SqlOutbox", "add_notices", "add_reply_notices"]

# Only where there is a target that wants it: most have none, and would cost a row and a transaction for each message.
ADD = (
    "INSERT INTO outbox (user_id, conversation_id, message_id, kind, payload, created_at, due_at) "
    "SELECT u.id, CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS TEXT), '', CAST($5 AS BIGINT), "
    "CAST($5 AS BIGINT) FROM users u WHERE u.id = $1 AND EXISTS (SELECT 1 FROM targets t "
    "WHERE t.user_id = u.id AND t.kind <> 'webhook' OR t.user_id IN (u.id, u.app_id) AND t.kind = 'webhook' "
    """AND t.events LIKE '%"' || CAST($4 AS TEXT) || '"%')"""
)
DUE_NOTICES = (
    "SELECT o.id, o.user_id, COALESCE(c.uuid, '') FROM outbox o LEFT JOIN conversations c ON c.id = o.conversation_id "
    "WHERE o.done_at IS NULL AND o.target_id IS NULL AND o.due_at <= $1 ORDER BY o.due_at LIMIT $2"
)
HOLD_NOTICE = "SELECT id FROM outbox WHERE id = $1 AND done_at IS NULL AND target_id IS NULL"
# What there is to hear of by now: the newest of others that was not read, not taken away, and is of nobody blocked. Of
# a reply that has ended itself alone is told. Among people a reply names as its sender who asked for it: it is the
# bot's all the same.
NEWEST = (
    "SELECT n.id FROM messages n WHERE n.conversation_id = o.conversation_id "
    "AND n.number <= (SELECT r.number FROM messages r WHERE r.id = o.message_id) "
    "AND (o.kind <> 'reply' OR n.id = o.message_id) AND n.number > COALESCE(p.read_number, 0) "
    "AND n.role IN ('user', 'assistant') AND n.status NOT IN ('queued', 'running') AND n.removed_at IS NULL "
    "AND (n.role <> 'user' OR n.sender_id IS NULL OR n.sender_id <> o.user_id) "
    "AND NOT (n.role = 'user' AND EXISTS (SELECT 1 FROM blocks b WHERE "
    "b.blocker_id = o.user_id AND b.blocked_id = n.sender_id "
    "OR b.blocker_id = n.sender_id AND b.blocked_id = o.user_id)) "
    "ORDER BY n.number DESC LIMIT 1"
)
SENDER_BLOCKED = (
    "EXISTS (SELECT 1 FROM messages s JOIN blocks b ON b.blocker_id = o.user_id AND b.blocked_id = s.sender_id "
    "OR b.blocker_id = s.sender_id AND b.blocked_id = o.user_id WHERE s.id = o.message_id AND s.role = 'user')"
)
WHY_NOT = (
    "CASE WHEN u.disabled_at IS NOT NULL OR EXISTS (SELECT 1 FROM users a WHERE a.id = u.app_id "
    "AND a.disabled_at IS NOT NULL) THEN 'disabled' "
    "WHEN c.id IS NULL OR c.deleted_at IS NOT NULL THEN 'gone' "
    "WHEN COALESCE(p.muted, FALSE) THEN 'muted' "
    "WHEN p.left_at IS NOT NULL OR (c.kind <> 'bot' AND p.user_id IS NULL) THEN 'left' "
    f"WHEN m.id IS NULL AND {SENDER_BLOCKED} THEN 'blocked' "
    "WHEN m.id IS NULL THEN 'read' END"
)
CONCERNED = (
    "FROM outbox o JOIN users u ON u.id = o.user_id LEFT JOIN conversations c ON c.id = o.conversation_id "
    "LEFT JOIN participants p ON p.conversation_id = o.conversation_id AND p.user_id = o.user_id "
    f"LEFT JOIN messages m ON m.id = ({NEWEST}) "
)
NOTICE = (
    f"SELECT {WHY_NOT}, o.kind, o.user_id, o.conversation_id, o.message_id, o.created_at {CONCERNED} WHERE o.id = $1"
)
TARGETS = (
    "SELECT t.id, t.kind, t.host, t.events FROM targets t JOIN users u ON t.user_id IN (u.id, u.app_id) "
    "WHERE u.id = $1 AND (t.kind = 'webhook' OR t.user_id = u.id) ORDER BY t.id"
)
# The attempt moves on: where its holder's lease has ended, that one says nothing of what came after it.
COLLAPSE = (
    "UPDATE outbox SET message_id = CASE WHEN message_id < $4 THEN $4 ELSE message_id END, "
    "kind = CASE WHEN kind = 'mention' THEN kind ELSE $5 END, attempts = attempts + 1, lease_until = NULL, "
    "worker = NULL WHERE target_id = $1 AND conversation_id = $2 AND user_id = $3 AND done_at IS NULL "
    "AND (lease_until IS NULL OR lease_until < $6) RETURNING id"
)
DELIVER = (
    "INSERT INTO outbox (user_id, conversation_id, message_id, kind, payload, created_at, due_at, target_id, channel, "
    "host) VALUES ($1, $2, $3, $4, '', $5, $6, $7, $8, $9)"
)
NOT_NEEDED = (
    "UPDATE outbox SET state = 'not_needed', problem = $2, done_at = $3, lease_until = NULL, worker = NULL "
    "WHERE id = $1"
)
# A host that is full is passed over, so that it holds up nobody. Only as many can be full as there are places in all.
MOST_FULL = 8
FULL = ", ".join(f"${place}" for place in range(3, 3 + MOST_FULL))
DUE = (
    "SELECT o.id, o.host FROM outbox o WHERE o.done_at IS NULL AND o.target_id IS NOT NULL AND o.due_at <= $1 "
    f"AND o.host NOT IN ({FULL}) ORDER BY o.due_at LIMIT $2"
)
ANY_DUE = DUE.replace("o.id, o.host", "1")
HOLD = (
    "UPDATE outbox SET worker = $2, attempts = attempts + 1, lease_until = $3, due_at = $3 WHERE id = $1 "
    "RETURNING attempts"
)
HELD = (
    f"SELECT o.id, {WHY_NOT}, o.attempts, o.failures, m.id, o.host, t.kind, t.address, t.secret, u.email, "
    "o.kind, c.uuid, c.kind, c.title, "
    "COALESCE((SELECT b.title FROM presets b WHERE b.id = c.preset_id), ''), m.uuid, m.content, "
    "(SELECT COALESCE(NULLIF(s.full_name, ''), s.name) FROM users s WHERE s.id = m.sender_id AND m.role = 'user'), "
    "COALESCE(p.unread, 0), m.created_at, CASE WHEN u.kind = 'app_user' THEN u.name ELSE u.uuid END, u.language, "
    f"u.shows_text {CONCERNED} LEFT JOIN targets t ON t.id = o.target_id AND t.user_id IN (u.id, u.app_id) "
    "WHERE o.id = $1"
)
HOLD_TARGET = "SELECT t.id FROM targets t JOIN outbox o ON o.target_id = t.id WHERE o.id = $1"
SETTLE = (
    "UPDATE outbox SET state = $4, done_at = $5, due_at = $6, failures = failures + $7, problem = $8, worker = NULL, "
    "lease_until = NULL WHERE id = $1 AND attempts = $2 AND worker = $3 AND done_at IS NULL "
    "RETURNING target_id, conversation_id, user_id"
)
ANOTHER = (
    "SELECT 1 FROM outbox WHERE target_id = $2 AND conversation_id = $3 AND user_id = $4 AND id <> $1 "
    "AND done_at IS NULL AND lease_until IS NULL"
)
SENT_THERE = "UPDATE targets SET last_sent_at = $2 WHERE id = $1"
FORGET_TARGET = "DELETE FROM targets WHERE id = $1"
ALL_GONE = (
    "UPDATE outbox SET state = 'not_needed', problem = 'gone', done_at = $2, lease_until = NULL, worker = NULL "
    "WHERE target_id = $1 AND done_at IS NULL"
)
RELEASE_ALL = (
    "UPDATE outbox SET attempts = attempts + 1, lease_until = NULL, worker = NULL, due_at = $1 "
    "WHERE done_at IS NULL AND lease_until IS NOT NULL"
)
LIST = (
    "SELECT o.id, o.state, o.kind, o.channel, o.host, u.uuid, u.name, u.kind, c.uuid, o.attempts, o.failures, "
    "o.problem, o.lease_until IS NOT NULL, o.created_at, o.due_at, o.done_at FROM outbox o "
    "JOIN users u ON u.id = o.user_id LEFT JOIN conversations c ON c.id = o.conversation_id "
    "WHERE o.state = $1 AND o.id < $2 ORDER BY o.id DESC LIMIT $3"
)
COUNT = "SELECT state, COUNT(*) FROM outbox WHERE state IN ('waiting', 'dead') GROUP BY state"
RESEND = (
    "UPDATE outbox SET state = 'waiting', problem = NULL, done_at = NULL, due_at = $2, failures = 0 "
    "WHERE id = $1 AND state = 'dead' RETURNING id"
)
REMOVE_DONE = "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE done_at < $1 LIMIT $2) RETURNING id"
ANY_DONE = "SELECT 1 FROM outbox WHERE done_at < $1 LIMIT 1"
REMOVED_AT_ONCE = 1000
EVERYTHING = 1 << 62


async def add_notices(
    tx: Transaction,
    notices: Sequence[tuple[UserId, ConversationId, MessageId, NoticeKind]],
    now: Micros,
) -> None:
    """Each of these people is to hear of that message, should they not see it by themselves and be reached at all."""
    if notices:
        await tx.run_many(ADD, [(*notice, now) for notice in notices])


async def add_reply_notices(
    tx: Transaction, replies: Sequence[tuple[UserId, ConversationId, MessageId]], now: Micros
) -> None:
    """Whoever owns the conversation is to hear that the reply has ended, where there is any way to tell."""
    await add_notices(tx, [(*reply, "reply") for reply in replies], now)


class SqlOutbox:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def due_notices(self, before: Micros, most: int) -> Sequence[DueNotice]:
        rows = await self._database.read(lambda tx: tx.all(DUE_NOTICES, before, most))
        return [DueNotice(*row) for row in rows]

    async def address(self, notice: OutboxId, due: Mapping[ChannelKind, Micros], now: Micros, *, looking: bool) -> int:
        return await self._database.write(lambda tx: _address(tx, notice, due, now, looking=looking))

    async def claim(self, claim: Claim) -> Sequence[Claimed]:
        full = [host for host, running in claim.busy.items() if running >= claim.most_of_host][:MOST_FULL]
        places = (claim.now, claim.most, *full, *[""] * (MOST_FULL - len(full)))
        # Looked for beside the writer: mostly there is none.
        if await self._database.read(lambda tx: tx.one(ANY_DUE, *places)) is None:
            return ()
        return await self._database.write(lambda tx: _claim(tx, claim, places))

    async def settle(self, claimed: Claimed, settled: Settled, now: Micros) -> bool:
        return await self._database.write(lambda tx: _settle(tx, claimed, settled, now))

    async def release_all(self, now: Micros) -> None:
        await self._database.write(lambda tx: tx.run(RELEASE_ALL, now))

    async def listed(self, state: State, *, limit: int, before: OutboxId | None) -> Deliveries:
        rows = await self._database.read(lambda tx: tx.all(LIST, state, before or EVERYTHING, limit + 1))
        return Deliveries(tuple(_to_delivery(row) for row in rows[:limit]), len(rows) > limit, await self.counts())

    async def resend(self, id_: OutboxId, now: Micros) -> bool:
        return await self._database.write(lambda tx: tx.one(RESEND, id_, now)) is not None

    async def counts(self) -> dict[State, int]:
        rows = await self._database.read(lambda tx: tx.all(COUNT))
        counts: dict[State, int] = {"waiting": 0, "dead": 0}
        counts.update((state, count) for state, count in rows)
        return counts

    async def remove_done(self, done_before: Micros) -> int:
        if await self._database.read(lambda tx: tx.one(ANY_DONE, done_before)) is None:
            return 0
        return len(await self._database.write(lambda tx: tx.all(REMOVE_DONE, done_before, REMOVED_AT_ONCE)))


async def _address(
    tx: Transaction, notice: OutboxId, due: Mapping[ChannelKind, Micros], now: Micros, *, looking: bool
) -> int:
    if await tx.one(HOLD_NOTICE + _skipping(tx), notice) is None:
        return 0
    row = await tx.one(NOTICE, notice)
    assert row is not None, "it is held"
    why_not, kind, user_id, conversation_id, message_id, created_at = row
    if looking and why_not is None:
        why_not = "looking"
    if why_not is not None:
        await tx.run(NOT_NEEDED, notice, why_not, now)
        return 0
    targets = await tx.all(TARGETS + (" FOR UPDATE OF t" if tx.lock else ""), user_id)
    wanted = [(id_, of, host) for id_, of, host, events in targets if of in due and _wants(of, events, kind)]
    if not wanted:
        await _not_needed(tx, notice, "nowhere", now)
        return 0
    for target_id, channel, host in wanted:
        collapsed = await tx.one(COLLAPSE, target_id, conversation_id, user_id, message_id, kind, now)
        if collapsed is None:
            await tx.run(
                DELIVER, user_id, conversation_id, message_id, kind, created_at, due[channel], target_id, channel, host
            )
    await tx.run("DELETE FROM outbox WHERE id = $1", notice)
    return len(wanted)


def _wants(channel: ChannelKind, events: str, kind: NoticeKind) -> bool:
    return channel != "webhook" or kind in json.loads(events)


async def _not_needed(tx: Transaction, id_: OutboxId, why: WhyNot, now: Micros) -> None:
    await tx.run(NOT_NEEDED, id_, why, now)


async def _claim(tx: Transaction, claim: Claim, places: Sequence[object]) -> Sequence[Claimed]:
    taken: dict[str, int] = dict(claim.busy)
    claimed = []
    for id_, host in await tx.all(DUE + _skipping(tx), *places):
        if taken.get(host, 0) >= claim.most_of_host:
            continue
        await tx.one(HOLD, id_, claim.worker, claim.lease_until)
        row = await tx.one(HELD, id_)
        assert row is not None, "it is held"
        why_not, target = row[1], _to_target(row)
        if why_not is None and target is None:
            # Of an account without an address there is no way to mail to it.
            why_not = "gone" if row[6] is None else "nowhere"
        if why_not is not None or target is None:
            await tx.run(NOT_NEEDED, id_, why_not, claim.now)
            continue
        taken[host] = taken.get(host, 0) + 1
        claimed.append(_to_claimed(row, target, claim.worker))
    return claimed


async def _settle(tx: Transaction, claimed: Claimed, settled: Settled, now: Micros) -> bool:
    if tx.lock:
        # Before the delivery itself, as whoever addresses does.
        await tx.one(f"{HOLD_TARGET} FOR UPDATE OF t", claimed.id)
    waits = settled.state == "waiting"
    row = await tx.one(
        SETTLE, claimed.id, claimed.attempt, claimed.worker, settled.state, None if waits else now,
        settled.due_at if waits else now, 1 if settled.failed else 0, settled.problem,
    )  # fmt: skip
    if row is None:
        return False
    target_id: TargetId = row[0]
    if waits and await tx.one(ANOTHER, claimed.id, *row) is not None:
        await _not_needed(tx, claimed.id, "newer", now)
    if settled.state == "sent":
        await tx.run(SENT_THERE, target_id, now)
    if settled.forgets_target:
        await tx.run(FORGET_TARGET, target_id)
        await tx.run(ALL_GONE, target_id, now)
    return True


def _skipping(tx: Transaction) -> str:
    """What another worker is at is passed over."""
    return f"{tx.lock} SKIP LOCKED" if tx.lock else ""


def _to_target(row: Row) -> Target | None:
    kind: ChannelKind | None = row[6]
    address, secret, email = row[7:10]
    match kind:
        case None:
            return None
        case "web_push":
            return WebPushTarget(address, *secret.split(" "))
        case "fcm":
            return FcmTarget(address)
        case "mail":
            return MailTarget(email) if email else None
        case "webhook":
            return WebhookTarget(address, secret)
        case _:
            assert_never(kind)


def _to_claimed(row: Row, target: Target, worker: str) -> Claimed:
    (kind, conversation, conversation_kind, title, bot, message, content, sender, unread, created_at, recipient,
     language, shows_text) = row[10:]  # fmt: skip
    told = Told(
        kind, conversation, conversation_kind, title, bot, message, content, sender, unread, created_at, recipient,
        language, bool(shows_text),
    )  # fmt: skip
    return Claimed(row[0], worker, row[2], row[3], row[4], row[6], row[5], target, told)


def _to_delivery(row: Row) -> Delivery:
    (id_, state, kind, channel, host, user_id, user_name, user_kind, conversation, attempts, failures, problem, held,
     created_at, due_at, done_at) = row  # fmt: skip
    return Delivery(
        id_, state, kind, channel, host, user_id, user_name, user_kind, conversation, attempts, failures, problem,
        bool(held), created_at, due_at, done_at,
    )  # fmt: skip
