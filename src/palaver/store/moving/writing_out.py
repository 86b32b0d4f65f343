"""Everything of one person or of all, read as lines, each after those that it names."""

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from palaver.chat.user import UserId
from palaver.store.database import Database, Row
from palaver.store.moving import kinds
from palaver.store.moving.kinds import NAMES, Column, Kind
from palaver.store.presets import RULES

Line = Mapping[str, Any]

AT_ONCE = 500
PARTS_AT_ONCE = 4

# Of one person: what of each table is theirs; {whose} is whose it is.
OWN = {
    "user": "t.id = {whose}",
    "preset": "t.owner_id = {whose}",
    "collection": "t.owner_id = {whose}",
    "conversation": "t.owner_id = {whose} AND t.kind = 'bot'",
}
STILL_THERE = {
    "user": "TRUE",
    "preset": "t.deleted_at IS NULL",
    "collection": "NOT t.is_deleted AND t.owner_id IS NOT NULL",
    "conversation": "t.deleted_at IS NULL",
}
# What they said to others stands alone: what the others said is not theirs.
SAID_TO_PEOPLE = (
    "t.sender_id = {whose} AND EXISTS (SELECT 1 FROM conversations c WHERE c.id = t.conversation_id "
    "AND c.kind <> 'bot' AND c.deleted_at IS NULL)"
)
REST = "SELECT (SELECT x.text FROM texts x WHERE x.id = c.prompt_id), c.pair_key FROM conversations c WHERE c.id = $1"
# Whoever or whatever is gone is told by a number, so that what they used is still told apart.
LEDGER = (
    "SELECT u.uuid, CASE WHEN u.id IS NULL THEN ABS(l.user_id) END, l.day, a.uuid, "
    "CASE WHEN a.id IS NULL AND l.app_id <> 0 THEN ABS(l.app_id) END, l.model, p.slug, "
    "CASE WHEN p.id IS NULL AND l.preset_id <> 0 THEN ABS(l.preset_id) END, "
    + ", ".join(f"l.{name}" for name in kinds.LEDGER_SUMS)
    + " FROM ledger l LEFT JOIN users u ON u.id = l.user_id LEFT JOIN users a ON a.id = l.app_id "
    "LEFT JOIN presets p ON p.id = l.preset_id AND p.deleted_at IS NULL {which} "
    "ORDER BY l.day, COALESCE(u.uuid, ''), ABS(l.user_id), COALESCE(a.uuid, ''), ABS(l.app_id), l.model, "
    "COALESCE(p.slug, ''), ABS(l.preset_id) LIMIT {limit} OFFSET $1"
)
LEDGER_COLUMNS = (
    "user", "user_gone", "day", "app", "app_gone", "model", "preset", "preset_gone", *kinds.LEDGER_SUMS
)  # fmt: skip


class SqlWritingOut:
    """`whose` None: everybody's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lines(self, whose: UserId | None, *, with_secrets: bool) -> AsyncIterator[Line]:
        reading = _Reading(self._database, whose, with_secrets=with_secrets)
        if whose is None:
            row = await self._database.read(lambda tx: tx.one(RULES))
            if row is not None:
                yield {"kind": kinds.RULES, **msgspec.json.decode(row[0])}
        async for line in reading.users():
            yield line
        async for line in reading.collections():
            yield line
        async for line in reading.presets():
            yield line
        async for line in reading.conversations():
            yield line
        async for line in reading.ledger():
            yield line


class _Reading:
    def __init__(self, database: Database, whose: UserId | None, *, with_secrets: bool) -> None:
        self._database = database
        self._whose = whose
        self._with_secrets = with_secrets

    async def users(self) -> AsyncIterator[Line]:
        async for id_, line in self._top(self._user):
            yield line
            if self._with_secrets:
                async for token in self._some(kinds.TOKEN, "t.user_id = $1", "digest", id_):
                    yield token
            async for limit in self._some(kinds.LIMIT, "t.user_id = $1", "user_id", id_):
                yield limit
        if self._whose is None:
            async for line in self._some(kinds.BLOCK, "t.blocker_id > $1", "blocker_id, t.blocked_id", 0):
                yield line

    @property
    def _user(self) -> Kind:
        columns = (*kinds.USER.columns, kinds.PASSWORD) if self._with_secrets else kinds.USER.columns
        return msgspec.structs.replace(kinds.USER, columns=columns)

    async def collections(self) -> AsyncIterator[Line]:
        async for id_, line in self._top(kinds.COLLECTION):
            yield line
            if self._whose is None:
                async for share in self._some(kinds.COLLECTION_SHARE, "t.collection_id = $1", "user_id", id_):
                    yield share
            async for document in self._documents(id_):
                yield document

    async def _documents(self, collection_id: int) -> AsyncIterator[Line]:
        where = "t.collection_id = $2 AND t.status NOT IN ('arriving', 'deleted')"
        async for id_, line in self._pages(kinds.DOCUMENT, where, collection_id):
            yield line
            async for part in self._numbered(kinds.DOCUMENT_PART, "t.document_id = $1", id_, PARTS_AT_ONCE):
                yield part
            yield {"kind": kinds.DOCUMENT_END, "document": line["uuid"]}

    async def presets(self) -> AsyncIterator[Line]:
        async for id_, line in self._top(kinds.PRESET):
            yield line
            async for version in self._numbered(kinds.PRESET_VERSION, "t.preset_id = $1", id_):
                yield version
            if self._whose is None:
                async for share in self._some(kinds.PRESET_SHARE, "t.preset_id = $1", "user_id", id_):
                    yield share

    async def conversations(self) -> AsyncIterator[Line]:
        own = "" if self._whose is None else f" AND t.user_id = {self._whose:d}"
        async for id_, line in self._top(kinds.CONVERSATION):
            yield {**line, **await self._rest(id_)}
            async for participant in self._some(kinds.PARTICIPANT, f"t.conversation_id = $1{own}", "user_id", id_):
                yield participant
            async for message in self._numbered(kinds.MESSAGE, "t.conversation_id = $1", id_):
                if message["number"] > line["last_number"]:
                    # It was said since the conversation was read.
                    break
                yield _ended(message)
        if self._whose is not None:
            async for _, said in self._pages(kinds.MESSAGE, SAID_TO_PEOPLE.format(whose=self._whose)):
                yield _ended(said)

    async def _rest(self, conversation_id: int) -> Line:
        row = await self._database.read(lambda tx: tx.one(REST, conversation_id))
        if row is None:
            return {"prompt": None, "pair": None}
        pair = [int(one) for one in row[1].split(":")] if row[1] else []
        found = await self._database.read(
            lambda tx: tx.all_many("SELECT uuid FROM users WHERE id = $1", [(one,) for one in pair])
        ) if pair else []  # fmt: skip
        return {"prompt": row[0], "pair": [one[0] for one in found] or None}

    async def ledger(self) -> AsyncIterator[Line]:
        which = "" if self._whose is None else f"WHERE l.user_id = {self._whose:d}"
        sql = LEDGER.format(which=which, limit=AT_ONCE)
        offset = 0
        while rows := await self._read(sql, offset):
            for row in rows:
                yield {"kind": kinds.LEDGER, **dict(zip(LEDGER_COLUMNS, row, strict=True))}
            offset += len(rows)

    def _top(self, kind: Kind) -> AsyncIterator[tuple[int, Line]]:
        where = STILL_THERE[kind.name]
        if self._whose is not None:
            where = f"{where} AND {OWN[kind.name].format(whose=self._whose)}"
        return self._pages(kind, where)

    async def _pages(self, kind: Kind, where: str, *values: int) -> AsyncIterator[tuple[int, Line]]:
        """With their ids. Of `where` $2 is the first of the values."""
        sql = (
            f"SELECT {self._columns(kind)}, t.id FROM {kind.table} t WHERE t.id > $1 AND {where} "
            f"ORDER BY t.id LIMIT {AT_ONCE}"
        )
        after = 0
        while rows := await self._read(sql, after, *values):
            for row in rows:
                yield row[-1], _to_line(kind, row)
            after = rows[-1][-1]

    async def _numbered(
        self, kind: Kind, where: str, above: int, at_once: int = AT_ONCE
    ) -> AsyncIterator[dict[str, Any]]:
        """Of `where` $1 is the id of what they belong to."""
        sql = (
            f"SELECT {self._columns(kind)}, t.number FROM {kind.table} t WHERE {where} AND t.number > $2 "
            f"ORDER BY t.number LIMIT {at_once}"
        )
        after = -1
        while rows := await self._read(sql, above, after):
            for row in rows:
                yield _to_line(kind, row)
            after = rows[-1][-1]

    async def _some(self, kind: Kind, where: str, order: str, above: int) -> AsyncIterator[Line]:
        """The same of what has no numbers, and of which there is little."""
        sql = (
            f"SELECT {self._columns(kind)} FROM {kind.table} t WHERE {where} ORDER BY t.{order} "
            f"LIMIT {AT_ONCE} OFFSET $2"
        )
        offset = 0
        while rows := await self._read(sql, above, offset):
            for row in rows:
                yield _to_line(kind, row)
            offset += len(rows)

    async def _read(self, sql: str, *values: int) -> Sequence[Row]:
        return await self._database.read(lambda tx: tx.all(sql, *values))

    def _columns(self, kind: Kind) -> str:
        return ", ".join(self._column(column) for column in kind.columns)

    def _column(self, column: Column) -> str:
        match column.refers:
            case None:
                return f"t.{column.column}"
            case "users" if self._whose is not None:
                # Of one person alone: nobody else is named.
                return f"(SELECT r.uuid FROM users r WHERE r.id = t.{column.column} AND r.id = {self._whose:d})"
            case "presets":
                return f"(SELECT r.slug FROM presets r WHERE r.id = t.{column.column} AND r.deleted_at IS NULL)"
            case target:
                return f"(SELECT r.{NAMES[target]} FROM {target} r WHERE r.id = t.{column.column})"


def _to_line(kind: Kind, row: Row) -> dict[str, Any]:
    line: dict[str, Any] = {"kind": kind.name}
    for column, value in zip(kind.columns, row, strict=False):
        # A kind of user, token or conversation is called so, too.
        name = "type" if column.name == "kind" else column.name
        line[name] = _to_told(column, value)
    return line


def _to_told(column: Column, value: object) -> object:
    match column.holds, value:
        case "flag", int():
            return bool(value)
        case "bytes", bytes():
            return b64encode(value).decode()
        case _:
            return value


def _ended(message: Line) -> Line:
    """A reply that is open ends with the server that writes it."""
    if message["status"] not in ("queued", "running"):
        return message
    return {**message, "status": "failed", "reason": "worker_lost", "content": ""}
