"""Users and tokens in the database. Only hashes of secrets are kept."""

import os
from collections.abc import Collection, Mapping, Sequence

from msgspec import UNSET

from palaver.chat.clock import Micros
from palaver.chat.conversation import MessageId
from palaver.chat.errors import LastAdmin, NotFound, Taken, TooManyTokens
from palaver.chat.ports import People, PeopleWanted
from palaver.chat.user import Profile, ProfileChange, Token, TokenId, TokenKind, User, UserChange, UserId, UserKind
from palaver.store.conversations import purge, stop_all
from palaver.store.database import Database, Row, Transaction
from palaver.store.knowledge.clearing import Clearing, hide_collections_of
from palaver.store.people.erasing import PAIRS, THEM, leave_groups
from palaver.store.rows import TOKEN, USER, to_token, to_user
from palaver.store.targets import FORGET_DEVICES, FORGET_DEVICES_OF_TOKEN, FORGET_DEVICES_SIGNED_OUT

BY_ID = f"SELECT {USER} FROM users u WHERE u.id = $1"
BY_UUID = f"SELECT {USER} FROM users u WHERE u.uuid = $1"
BY_NAME = f"SELECT {USER} FROM users u WHERE u.kind = $1 AND u.name_key = $2"
# Names and e-mails are kept in small letters, too. A full name is not, and SQLite makes small what is ASCII alone: so
# it is also looked for as it was written.
PEOPLE = (
    "FROM users u WHERE u.kind = 'person' AND (u.name_key LIKE $1 ESCAPE '!' OR u.email_key LIKE $1 ESCAPE '!' "
    "OR LOWER(u.full_name) LIKE $1 ESCAPE '!' OR u.full_name LIKE $2 ESCAPE '!')"
)
PEOPLE_PAGE = f"SELECT {USER} {PEOPLE} AND u.name_key > $3 ORDER BY u.name_key LIMIT $4"
PEOPLE_TOTAL = f"SELECT COUNT(*) {PEOPLE}"
# Who has no password, and nothing that is still good for signing in, is no help to anybody.
ADMINS = (
    "SELECT u.id, u.password_hash IS NOT NULL OR EXISTS (SELECT 1 FROM tokens t WHERE t.user_id = u.id "
    "AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $1)) "
    "FROM users u WHERE u.kind = 'person' AND u.is_admin AND u.disabled_at IS NULL ORDER BY u.id"
)
BY_APP = f"SELECT {USER} FROM users u WHERE u.kind = 'app_user' AND u.app_id = $1 AND u.name = $2"
SIGNING_IN = (
    f"SELECT {USER}, u.password_hash FROM users u "
    "WHERE u.kind = 'person' AND (u.name_key = $1 OR u.email_key = $1) ORDER BY (u.name_key = $1) DESC LIMIT 1"
)
PROFILE = f"SELECT {USER}, u.language, u.password_hash IS NOT NULL FROM users u WHERE u.id = $1"
CHANGE_PROFILE = (
    "UPDATE users SET full_name = $2, email = $3, email_key = $4, name = $5, name_key = $6, language = $7 WHERE id = $1"
)
EMAIL_TAKEN = "SELECT 1 FROM users WHERE kind = 'person' AND id <> $1 AND (email_key = $2 OR name_key = $2)"
END_SIGN_INS = (
    "UPDATE tokens SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL AND id <> $3 "
    "AND (kind <> 'token' OR label = '')"
)
ADD = (
    "INSERT INTO users (uuid, kind, name, name_key, email, email_key, full_name, password_hash, is_admin, app_id, "
    "created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id"
)
ADD_TOKEN = (
    "INSERT INTO tokens (user_id, kind, digest, label, created_at, expires_at) "
    "VALUES ($1, $2, $3, $4, $5, $6) RETURNING id"
)
HOLD = "SELECT id FROM users WHERE id = $1"
OPEN_BY_NAME = (
    "SELECT COUNT(*) FROM tokens WHERE user_id = $1 AND kind = 'token' AND label <> '' AND revoked_at IS NULL "
    "AND (expires_at IS NULL OR expires_at > $2)"
)
# Of a user, and of those that an application has brought.
_OWNED = f"(owner_id IN {THEM} OR ({PAIRS}))"
OWNED = f"SELECT id, open_replies FROM conversations WHERE {_OWNED} ORDER BY uuid"
HIDE_OWNED = (
    "UPDATE conversations SET deleted_at = COALESCE(deleted_at, $2), kept = FALSE, creation_key = NULL, "
    f"client_name = NULL WHERE {_OWNED}"
)
SHUT_OUT = "UPDATE users SET disabled_at = COALESCE(disabled_at, $2) WHERE id = $1 OR app_id = $1"
STILL_ITS_PASSWORD = "SELECT id FROM users WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL"
FIND_TOKEN = f"SELECT {TOKEN}, {USER} FROM tokens t JOIN users u ON u.id = t.user_id WHERE t.digest = $1"
OPEN_TOKEN = (
    f"SELECT t.id, {USER} FROM tokens t JOIN users u ON u.id = t.user_id WHERE t.id = $1 AND t.revoked_at IS NULL"
)
ACCESS_CHANGES = "SELECT value FROM server WHERE name = 'access_changes'"
ACCESS_CHANGED = "UPDATE server SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) WHERE name = 'access_changes'"
SPEND = (
    "UPDATE tokens SET revoked_at = $2, last_used_at = $2 WHERE digest = $1 AND kind = 'link' AND revoked_at IS NULL "
    "AND (expires_at IS NULL OR expires_at > $2) RETURNING user_id"
)
# A day and more after it closed nobody asks any more why a token opens nothing.
CLOSED_TOKENS = "SELECT id FROM tokens WHERE expires_at < $1 OR revoked_at < $1 LIMIT $2"
# What a guest has from its cookie alone is the same without the row; one that is disabled must stay so.
EMPTY_GUESTS = (
    "SELECT u.id FROM users u WHERE u.kind = 'guest' AND u.created_at < $1 AND u.disabled_at IS NULL "
    "AND NOT EXISTS (SELECT 1 FROM conversations WHERE owner_id = u.id) "
    "AND NOT EXISTS (SELECT 1 FROM participants WHERE user_id = u.id) "
    "AND NOT EXISTS (SELECT 1 FROM tokens WHERE user_id = u.id) "
    "AND NOT EXISTS (SELECT 1 FROM presets WHERE owner_id = u.id) "
    "AND NOT EXISTS (SELECT 1 FROM collections WHERE owner_id = u.id) "
    "AND NOT EXISTS (SELECT 1 FROM outbox WHERE user_id = u.id) "
    "AND NOT EXISTS (SELECT 1 FROM targets WHERE user_id = u.id) "
    "AND NOT EXISTS (SELECT 1 FROM limits WHERE user_id = u.id) "
    "AND u.id NOT IN (SELECT user_id FROM usage) LIMIT $2"
)
# A transaction that held the writer for longer would be felt by those who talk.
REMOVED_AT_ONCE = 1000
ERASE = (
    "DELETE FROM tokens WHERE user_id = $1",
    "DELETE FROM outbox WHERE user_id = $1",
    "DELETE FROM targets WHERE user_id = $1",
    "DELETE FROM participants WHERE user_id = $1",
    "DELETE FROM blocks WHERE blocker_id = $1 OR blocked_id = $1",
    "DELETE FROM usage WHERE user_id = $1",
    "DELETE FROM answers WHERE user_id = $1",
    "DELETE FROM preset_shares WHERE user_id = $1 OR preset_id IN (SELECT id FROM presets WHERE owner_id = $1)",
    "DELETE FROM preset_versions WHERE preset_id IN (SELECT id FROM presets WHERE owner_id = $1)",
    "DELETE FROM limits WHERE user_id = $1",
    "DELETE FROM presets WHERE owner_id = $1",
    "DELETE FROM collection_shares WHERE user_id = $1",
    "UPDATE presets SET changed_by = NULL WHERE changed_by = $1",
    "UPDATE preset_versions SET changed_by = NULL WHERE changed_by = $1",
    "DELETE FROM spending WHERE scope IN ('user:' || CAST(CAST($1 AS BIGINT) AS TEXT), "
    "'app:' || CAST(CAST($1 AS BIGINT) AS TEXT))",
)


class SqlAccounts:
    def __init__(self, database: Database, clearing: Clearing) -> None:
        self._database = database
        self._clearing = clearing

    async def add_user(self, user: User, *, password_hash: str | None = None) -> User:
        return await self._database.write(lambda tx: _add(tx, user, password_hash))

    async def find_user(self, name: str) -> tuple[User, str | None] | None:
        row = await self._database.read(lambda tx: tx.one(SIGNING_IN, name.casefold()))
        return None if row is None else (to_user(row[:10]), row[10])

    async def find_person(self, name: str) -> User | None:
        return await self._named("person", name)

    async def get_user(self, user_id: UserId) -> User | None:
        row = await self._database.read(lambda tx: tx.one(BY_ID, user_id))
        return None if row is None else to_user(row)

    async def get_users(self, user_ids: Collection[UserId]) -> Mapping[UserId, User]:
        if not user_ids:
            return {}
        asked = [(user_id,) for user_id in sorted(user_ids)]
        rows = await self._database.read(lambda tx: tx.all_many(BY_ID, asked))
        return {user.id: user for user in map(to_user, rows)}

    async def get_user_by_uuid(self, uuid: str) -> User | None:
        row = await self._database.read(lambda tx: tx.one(BY_UUID, uuid))
        return None if row is None else to_user(row)

    async def find_app(self, name: str) -> User | None:
        return await self._named("app", name)

    async def _named(self, kind: UserKind, name: str) -> User | None:
        row = await self._database.read(lambda tx: tx.one(BY_NAME, kind, name.casefold()))
        return None if row is None else to_user(row)

    async def app_user(self, app: User, name: str, uuid: str, now: Micros) -> User:
        row = await self._database.read(lambda tx: tx.one(BY_APP, app.id, name))
        if row is not None:
            return to_user(row)

        async def work(tx: Transaction) -> User:
            found = await tx.one(BY_APP, app.id, name)
            if found is not None:
                return to_user(found)
            new = User(UserId(0), uuid, "app_user", name, app_id=app.id, created_at=now)
            return await _add(tx, new, None)

        return await self._database.write(work)

    async def list_users(self) -> Sequence[User]:
        return await self._of_kind("person")

    async def find_people(self, wanted: PeopleWanted) -> People:
        patterns = (_to_pattern(wanted.search.casefold()), _to_pattern(wanted.search))

        async def work(tx: Transaction) -> People:
            page = await tx.all(PEOPLE_PAGE, *patterns, wanted.after.casefold(), wanted.limit)
            total = await tx.one(PEOPLE_TOTAL, *patterns)
            assert total is not None
            return People([to_user(row) for row in page], total[0])

        return await self._database.read(work)

    async def list_apps(self) -> Sequence[User]:
        return await self._of_kind("app")

    async def _of_kind(self, kind: str) -> Sequence[User]:
        sql = f"SELECT {USER} FROM users u WHERE u.kind = $1 ORDER BY u.name_key"
        return [to_user(row) for row in await self._database.read(lambda tx: tx.all(sql, kind))]

    async def set_disabled(self, user_id: UserId, at: Micros | None) -> None:
        async def work(tx: Transaction) -> None:
            await tx.run("UPDATE users SET disabled_at = $2 WHERE id = $1", user_id, at)
            if at is not None:
                await tx.run(FORGET_DEVICES, user_id)
            await tx.run(ACCESS_CHANGED)

        await self._database.write(work)

    async def change_user(self, user_id: UserId, change: UserChange, now: Micros) -> User:
        async def work(tx: Transaction) -> User:
            if change.takes_admin_away:
                await _check_an_admin_stays(tx, user_id, now)
            for column, value in _columns(change, now).items():
                await tx.run(f"UPDATE users SET {column} = $2 WHERE id = $1", user_id, value)
            if change.disabled is True:
                await tx.run(FORGET_DEVICES, user_id)
            await tx.run(ACCESS_CHANGED)
            row = await tx.one(BY_ID, user_id)
            if row is None:
                raise NotFound
            return to_user(row)

        return await self._database.write(work)

    async def set_password(self, user_id: UserId, password_hash: str) -> None:
        sql = "UPDATE users SET password_hash = $2 WHERE id = $1"
        await self._database.write(lambda tx: tx.run(sql, user_id, password_hash))

    async def profile(self, user_id: UserId) -> Profile | None:
        row = await self._database.read(lambda tx: tx.one(PROFILE, user_id))
        return None if row is None else _to_profile(row)

    async def change_profile(self, user_id: UserId, change: ProfileChange) -> None:
        async def work(tx: Transaction) -> None:
            row = await tx.one(PROFILE + tx.lock, user_id)
            if row is None:
                return
            profile = _to_profile(row)
            user = profile.user
            full_name = user.full_name if change.full_name is UNSET else change.full_name
            email = user.email if change.email is UNSET else change.email
            language = profile.language if change.language is UNSET else change.language
            if email and await tx.one(EMAIL_TAKEN, user_id, email.casefold()) is not None:
                raise Taken("email")
            name = email if email and user.name == user.email else user.name
            await tx.run(CHANGE_PROFILE, user_id, full_name, email, email.casefold(), name, name.casefold(), language)

        await self._database.write(work)

    async def password_hash(self, user_id: UserId) -> str | None:
        row = await self._database.read(lambda tx: tx.one("SELECT password_hash FROM users WHERE id = $1", user_id))
        return None if row is None else row[0]

    async def change_password(self, user_id: UserId, password_hash: str, keep: TokenId | None, now: Micros) -> None:
        async def work(tx: Transaction) -> None:
            await tx.run("UPDATE users SET password_hash = $2 WHERE id = $1", user_id, password_hash)
            await tx.run(END_SIGN_INS, user_id, now, keep or 0)
            await tx.run(FORGET_DEVICES_SIGNED_OUT, user_id)
            await tx.run(ACCESS_CHANGED)

        await self._database.write(work)

    async def erase_user(self, user_id: UserId, now: Micros, *, keep_an_admin: bool = False) -> Sequence[MessageId]:
        async def shut_out(tx: Transaction) -> list[MessageId]:
            if keep_an_admin:
                await _check_an_admin_stays(tx, user_id, now)
            await tx.run(SHUT_OUT, user_id, now)
            await tx.run(FORGET_DEVICES, user_id)
            await tx.run(ACCESS_CHANGED)
            stopped = await leave_groups(tx, user_id, now)
            for conversation_id, open_replies in await tx.all(OWNED + tx.lock, user_id):
                if open_replies:
                    stopped += await stop_all(tx, conversation_id, "deleted")
            await tx.run(HIDE_OWNED, user_id, now)
            await hide_collections_of(tx, user_id)
            return stopped

        async def erase_the_rest(tx: Transaction) -> None:
            for conversation_id, _ in await tx.all(OWNED, user_id):
                await purge(tx, conversation_id)
            for (member_id,) in await tx.all("SELECT id FROM users WHERE app_id = $1", user_id):
                await _erase(tx, member_id)
            await _erase(tx, user_id)
            await tx.run(ACCESS_CHANGED)

        # One after the other: somebody who has said much would hold others up for seconds. Where it ends in the middle
        # nobody can sign in any more and nothing is found, and it can be done again.
        stopped = await self._database.write(shut_out, for_good=True)
        for conversation_id, _ in await self._database.read(lambda tx: tx.all(OWNED, user_id)):
            await self._database.write(lambda tx, id_=conversation_id: purge(tx, id_))  # type: ignore[misc]
        await self._database.write(erase_the_rest, for_good=True)
        # What they kept is nobody's now, and found by nobody; to take it away can take minutes.
        self._clearing.begin()
        return stopped

    async def add_token(
        self,
        user_id: UserId,
        kind: TokenKind,
        digest: bytes,
        label: str,
        now: Micros,
        expires_at: Micros | None,
        *,
        most: int | None = None,
    ) -> TokenId:
        async def work(tx: Transaction) -> TokenId:
            if most is not None:
                # Held, so that of many that ask at once none is counted too late.
                await tx.one(HOLD + tx.lock, user_id)
                count = await tx.one(OPEN_BY_NAME, user_id, now)
                if count is not None and count[0] >= most:
                    raise TooManyTokens
            row = await tx.one(ADD_TOKEN, user_id, kind, digest, label, now, expires_at)
            assert row is not None
            return TokenId(row[0])

        return await self._database.write(work)

    async def add_sign_in(
        self,
        user_id: UserId,
        kind: TokenKind,
        digest: bytes,
        now: Micros,
        expires_at: Micros | None,
        *,
        password_hash: str,
    ) -> bool:
        async def work(tx: Transaction) -> bool:
            # The row is held: who changes the password ends this one, or has ended it before it is there.
            if await tx.one(STILL_ITS_PASSWORD + tx.lock, user_id, password_hash) is None:
                return False
            await tx.one(ADD_TOKEN, user_id, kind, digest, "", now, expires_at)
            return True

        return await self._database.write(work)

    async def find_token(self, digest: bytes) -> tuple[Token, User] | None:
        row = await self._database.read(lambda tx: tx.one(FIND_TOKEN, digest))
        return None if row is None else (to_token(row[:8]), to_user(row[8:]))

    async def spend_link(self, digest: bytes, now: Micros) -> User | None:
        async def work(tx: Transaction) -> User | None:
            spent = await tx.one(SPEND, digest, now)
            row = None if spent is None else await tx.one(BY_ID, spent[0])
            return None if row is None else to_user(row)

        return await self._database.write(work)

    async def list_tokens(self, user_id: UserId) -> Sequence[Token]:
        sql = f"SELECT {TOKEN} FROM tokens t WHERE t.user_id = $1 AND t.kind = 'token' ORDER BY t.id"
        return [to_token(row) for row in await self._database.read(lambda tx: tx.all(sql, user_id))]

    async def revoke_token(self, token_id: TokenId, now: Micros) -> User | None:
        sql = "UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING user_id"

        async def work(tx: Transaction) -> User | None:
            revoked = await tx.one(sql, token_id, now)
            await tx.run(FORGET_DEVICES_OF_TOKEN, token_id)
            await tx.run(ACCESS_CHANGED)
            owner = None if revoked is None else await tx.one(BY_ID, revoked[0])
            return None if owner is None else to_user(owner)

        return await self._database.write(work)

    async def revoke_own_token(self, user_id: UserId, token_id: TokenId, now: Micros) -> bool:
        sql = (
            "UPDATE tokens SET revoked_at = $3 WHERE id = $1 AND user_id = $2 AND kind = 'token' "
            "AND revoked_at IS NULL RETURNING id"
        )

        async def work(tx: Transaction) -> bool:
            if await tx.one(sql, token_id, user_id, now) is None:
                return False
            await tx.run(FORGET_DEVICES_OF_TOKEN, token_id)
            await tx.run(ACCESS_CHANGED)
            return True

        return await self._database.write(work)

    async def revoke_all(self, user_id: UserId, now: Micros) -> None:
        sql = "UPDATE tokens SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL"

        async def work(tx: Transaction) -> None:
            await tx.run(sql, user_id, now)
            await tx.run(FORGET_DEVICES_SIGNED_OUT, user_id)
            await tx.run(ACCESS_CHANGED)

        await self._database.write(work)

    async def access_changes(self) -> str:
        row = await self._database.read(lambda tx: tx.one(ACCESS_CHANGES))
        return "" if row is None else str(row[0])

    async def still_open(
        self, tokens: Collection[TokenId], users: Collection[UserId]
    ) -> tuple[Collection[TokenId], Collection[UserId]]:
        async def work(tx: Transaction) -> tuple[set[TokenId], set[UserId]]:
            opened = await tx.all_many(OPEN_TOKEN, [(id_,) for id_ in tokens]) if tokens else ()
            known = await tx.all_many(BY_ID, [(id_,) for id_ in users]) if users else ()
            able = [to_user(row) for row in known]
            return (
                {row[0] for row in opened if not to_user(row[1:]).disabled},
                {user.id for user in able if not user.disabled},
            )

        return await self._database.read(work)

    async def touch_tokens(self, used: Sequence[tuple[TokenId, Micros]]) -> None:
        sql = "UPDATE tokens SET last_used_at = $2 WHERE id = $1"
        await self._database.write(lambda tx: tx.run_many(sql, used))

    async def remove_closed_tokens(self, closed_before: Micros) -> int:
        return await self._remove("tokens", CLOSED_TOKENS, closed_before)

    async def remove_empty_guests(self, made_before: Micros) -> int:
        return await self._remove("users", EMPTY_GUESTS, made_before)

    async def _remove(self, table: str, which: str, before: Micros) -> int:
        # Looked for beside the writer: mostly there are none.
        if await self._database.read(lambda tx: tx.one(which, before, 1)) is None:
            return 0
        sql = f"DELETE FROM {table} WHERE id IN ({which}) RETURNING id"

        async def work(tx: Transaction) -> int:
            removed = await tx.all(sql, before, REMOVED_AT_ONCE)
            if table == "tokens":
                # Of those that nobody has ended: they were too old.
                await tx.run_many(FORGET_DEVICES_OF_TOKEN, [(row[0],) for row in removed])
            return len(removed)

        return await self._database.write(work)

    async def server_secret(self) -> bytes:
        async def work(tx: Transaction) -> bytes:
            row = await tx.one("SELECT value FROM server WHERE name = 'secret'")
            if row is not None:
                return bytes.fromhex(row[0])
            secret = os.urandom(32)
            await tx.run("INSERT INTO server (name, value) VALUES ('secret', $1)", secret.hex())
            return secret

        return await self._database.write(work)


def _to_profile(row: Row) -> Profile:
    return Profile(to_user(row[:10]), row[10], bool(row[11]))


async def _add(tx: Transaction, user: User, password_hash: str | None) -> User:
    # A guest may make its first two things at once.
    stored = await tx.one(BY_UUID, user.uuid) if user.kind == "guest" else None
    if stored is not None:
        return to_user(stored)
    await _check_free(tx, user)
    row = await tx.one(
        ADD, user.uuid, user.kind, user.name, user.name.casefold(), user.email, user.email.casefold(), user.full_name,
        password_hash, user.is_admin, user.app_id, user.created_at,
    )  # fmt: skip
    assert row is not None
    return User(
        UserId(row[0]), user.uuid, user.kind, user.name, user.email, user.full_name, user.is_admin, user.app_id,
        user.created_at,
    )  # fmt: skip


async def _check_free(tx: Transaction, user: User) -> None:
    if user.kind not in ("person", "app"):
        return
    if await tx.one(BY_NAME, user.kind, user.name.casefold()) is not None:
        raise Taken("name")
    if user.kind == "person" and user.email:
        sql = "SELECT 1 FROM users WHERE kind = 'person' AND (email_key = $1 OR name_key = $1)"
        if await tx.one(sql, user.email.casefold()) is not None:
            raise Taken("email")


def _to_pattern(search: str) -> str:
    """For LIKE: whatever holds it."""
    for sign in "!%_":
        search = search.replace(sign, f"!{sign}")
    return f"%{search}%"


async def _check_an_admin_stays(tx: Transaction, leaving: UserId, now: Micros) -> None:
    """Two admins who shut each other out at the same moment wait for each other here."""
    admins = {row[0]: bool(row[1]) for row in await tx.all(ADMINS + tx.lock, now)}
    if leaving in admins and not any(can for id_, can in admins.items() if id_ != leaving):
        raise LastAdmin


def _columns(change: UserChange, now: Micros) -> dict[str, object]:
    columns: dict[str, object] = {"full_name": change.full_name, "is_admin": change.is_admin}
    if change.disabled is not UNSET:
        columns["disabled_at"] = now if change.disabled else None
    return {column: value for column, value in columns.items() if value is not UNSET}


async def _erase(tx: Transaction, user_id: UserId) -> None:
    for statement in ERASE:
        await tx.run(statement, user_id)
    await tx.run("DELETE FROM users WHERE id = $1", user_id)
