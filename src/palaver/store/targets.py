"""Where people are reached while they are away, and what they wish of that, in the database."""

import hashlib
import json
from collections.abc import Sequence

from msgspec import UNSET

from palaver.chat.clock import Micros
from palaver.chat.errors import TooManyTargets
from palaver.chat.ports.notify import ChannelKind, FcmTarget, NoticeKind, Target, WebPushTarget
from palaver.chat.ports.outbox import Device, TargetId, Webhook, Wishes, WishesChange
from palaver.chat.user import TokenId, UserId
from palaver.store.database import Database, Row, Transaction

DEVICE = "id, kind, label, created_at, last_sent_at"
DEVICES = f"SELECT {DEVICE} FROM targets WHERE user_id = $1 AND kind IN ('web_push', 'fcm') ORDER BY id"
HOLD_USER = "SELECT id FROM users WHERE id = $1"
AGAIN = (
    "UPDATE targets SET secret = $3, label = CASE WHEN $4 = '' THEN label ELSE $4 END, token_id = $5 "
    f"WHERE digest = $1 AND user_id = $2 RETURNING {DEVICE}"
)
# A row of its own for each person: what waits for the one before is not for this one.
TAKE_AWAY = "DELETE FROM targets WHERE digest = $1"
COUNT = "SELECT COUNT(*) FROM targets WHERE user_id = $1 AND kind IN ('web_push', 'fcm')"
ADD = (
    "INSERT INTO targets (user_id, kind, address, secret, digest, host, label, created_at, token_id) "
    f"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING {DEVICE}"
)
STILL_SIGNED_IN = "SELECT id FROM tokens WHERE id = $1 AND revoked_at IS NULL"
REMOVE = "DELETE FROM targets WHERE id = $1 AND user_id = $2 AND kind IN ('web_push', 'fcm') RETURNING id"
WEBHOOK = "SELECT address, events, created_at, last_sent_at FROM targets WHERE user_id = $1 AND kind = 'webhook'"
PUT_WEBHOOK = (
    "INSERT INTO targets (user_id, kind, address, secret, host, events, created_at) "
    "VALUES ($1, 'webhook', $2, $3, $4, $5, $6)"
)
REMOVE_KIND = "DELETE FROM targets WHERE user_id = $1 AND kind = $2 RETURNING id"
WISHES = (
    "SELECT u.shows_text, EXISTS (SELECT 1 FROM targets t WHERE t.user_id = u.id AND t.kind = 'mail') "
    "FROM users u WHERE u.id = $1"
)
SHOW_TEXT = "UPDATE users SET shows_text = $2 WHERE id = $1"
MAIL = "INSERT INTO targets (user_id, kind, address, host, created_at) VALUES ($1, 'mail', '', 'mail', $2)"
VAPID_KEY = "SELECT value FROM server WHERE name = 'vapid_key'"
KEEP_VAPID_KEY = "INSERT INTO server (name, value) VALUES ('vapid_key', $1)"

# Of whoever is shut out, and of those that an application has brought. Its webhook stays, and is told nothing.
FORGET_DEVICES = (
    "DELETE FROM targets WHERE kind IN ('web_push', 'fcm') "
    "AND user_id IN (SELECT id FROM users WHERE id = $1 OR app_id = $1)"
)
# Those that a sign-in has added which is over: in the transaction that ends it.
FORGET_DEVICES_OF_TOKEN = "DELETE FROM targets WHERE token_id = $1"
FORGET_DEVICES_SIGNED_OUT = (
    "DELETE FROM targets WHERE token_id IN (SELECT id FROM tokens WHERE user_id = $1 AND revoked_at IS NOT NULL)"
)


class SqlTargets:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, user_id: UserId, target: Target, host: str, label: str, now: Micros, most: int, sign_in: TokenId | None
    ) -> Device | None:
        kind, address, secret = _parts(target)
        digest = hashlib.sha256(f"{kind} {address}".encode()).digest()

        async def work(tx: Transaction) -> Device | None:
            # Held, so that of many that come at once none is counted too late.
            await tx.one(HOLD_USER + tx.lock, user_id)
            # As well: who ends the sign-in meanwhile finds the device afterwards, or has ended it before.
            if sign_in is not None and await tx.one(STILL_SIGNED_IN + tx.lock, sign_in) is None:
                return None
            known = await tx.one(AGAIN, digest, user_id, secret, label, sign_in)
            if known is not None:
                return Device(*known)
            count = await tx.one(COUNT, user_id)
            if count is not None and count[0] >= most:
                raise TooManyTargets(most)
            await tx.run(TAKE_AWAY, digest)
            row = await tx.one(ADD, user_id, kind, address, secret, digest, host, label, now, sign_in)
            assert row is not None
            return Device(*row)

        return await self._database.write(work)

    async def listed(self, user_id: UserId) -> Sequence[Device]:
        return [Device(*row) for row in await self._database.read(lambda tx: tx.all(DEVICES, user_id))]

    async def remove(self, user_id: UserId, target_id: TargetId) -> bool:
        return await self._database.write(lambda tx: tx.one(REMOVE, target_id, user_id)) is not None

    async def webhook(self, app_id: UserId) -> Webhook | None:
        row = await self._database.read(lambda tx: tx.one(WEBHOOK, app_id))
        return None if row is None else _to_webhook(row)

    async def put_webhook(
        self, app_id: UserId, url: str, secret: str, host: str, events: Sequence[NoticeKind], now: Micros
    ) -> Webhook:
        async def work(tx: Transaction) -> Webhook:
            await tx.one(HOLD_USER + tx.lock, app_id)
            await tx.all(REMOVE_KIND, app_id, "webhook")
            await tx.run(PUT_WEBHOOK, app_id, url, secret, host, json.dumps(list(events)), now)
            return Webhook(url, tuple(events), now, None)

        return await self._database.write(work)

    async def remove_webhook(self, app_id: UserId) -> bool:
        return await self._database.write(lambda tx: tx.one(REMOVE_KIND, app_id, "webhook")) is not None

    async def wishes(self, user_id: UserId) -> Wishes:
        return _to_wishes(await self._database.read(lambda tx: tx.one(WISHES, user_id)))

    async def change_wishes(self, user_id: UserId, change: WishesChange, now: Micros) -> Wishes:
        async def work(tx: Transaction) -> Wishes:
            await tx.one(HOLD_USER + tx.lock, user_id)
            if change.shows_text is not UNSET:
                await tx.run(SHOW_TEXT, user_id, change.shows_text)
            wishes = _to_wishes(await tx.one(WISHES, user_id))
            if change.email is True and not wishes.email:
                await tx.run(MAIL, user_id, now)
            if change.email is False:
                await tx.all(REMOVE_KIND, user_id, "mail")
            return _to_wishes(await tx.one(WISHES, user_id))

        return await self._database.write(work)

    async def vapid_key(self, new: str) -> str:
        async def work(tx: Transaction) -> str:
            row = await tx.one(VAPID_KEY)
            if row is not None:
                return str(row[0])
            await tx.run(KEEP_VAPID_KEY, new)
            return new

        return await self._database.write(work)


def _parts(target: Target) -> tuple[ChannelKind, str, str]:
    """The kind of a device, its address, and what is needed beside that to write there."""
    if isinstance(target, WebPushTarget):
        return "web_push", target.endpoint, f"{target.p256dh} {target.auth}"
    assert isinstance(target, FcmTarget), "mail and webhooks are no devices"
    return "fcm", target.token, ""


def _to_webhook(row: Row) -> Webhook:
    url, events, created_at, last_sent_at = row
    return Webhook(url, tuple(json.loads(events)), created_at, last_sent_at)


def _to_wishes(row: Row | None) -> Wishes:
    return Wishes() if row is None else Wishes(bool(row[0]), bool(row[1]))
