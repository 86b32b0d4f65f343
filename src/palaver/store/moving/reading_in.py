"""Lines of an export of Palaver, put where they belong. What is there already stays as it is."""

import binascii
import json
import re
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress

import msgspec

from palaver.chat.clock import Micros
from palaver.chat.moved import Put
from palaver.chat.preset import DOMAIN, Rules
from palaver.store.database import Database, Transaction
from palaver.store.limits import CHANGED as LIMITS_CHANGED
from palaver.store.moving import kinds
from palaver.store.moving.kinds import BY_NAME, LEDGER_SUMS, NAMES, Column, Kind, Target
from palaver.store.presets import ADD_RULES
from palaver.store.texts import Texts

NAMED = (
    "SELECT id FROM users WHERE kind = $1 AND name_key = $2 AND kind IN ('person', 'app') UNION ALL "
    "SELECT u.id FROM users u WHERE u.kind = $1 AND u.name = $3 AND u.app_id = $4"
)
EMAIL_TAKEN = "SELECT 1 FROM users WHERE kind = 'person' AND email_key = $1 AND email_key <> ''"
# What every server has is made what it was, where nobody has touched it here.
UNTOUCHED = "SELECT id FROM presets WHERE slug = $1 AND owner_id IS NULL AND updated_at = created_at AND version = 1"
OWNER_OF = "SELECT owner_id FROM presets WHERE id = $1"
LAST_NUMBER = "SELECT last_number FROM conversations WHERE id = $1"
ARRIVED = (
    "UPDATE documents SET status = 'waiting', updated_at = $2 WHERE id = $1 AND status = 'arriving' "
    "RETURNING collection_id, size"
)
COUNT_DOCUMENT = "UPDATE collections SET document_count = document_count + 1, size = size + $2 WHERE id = $1"
ADD_LEDGER = (
    f"INSERT INTO ledger (user_id, day, app_id, model, preset_id, {', '.join(LEDGER_SUMS)}) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING RETURNING day"
)
# Where the export was made those that are gone have the numbers that they had.
SAME_OF_GONE = (
    "SELECT 1 FROM ledger WHERE user_id IN ($1, $2) AND day = $3 AND app_id IN ($4, $5) AND model = $6 "
    "AND preset_id IN ($7, $8) AND " + " AND ".join(f"{name} = ${place}" for place, name in enumerate(LEDGER_SUMS, 9))
)
# They are made from the ledger again.
FORGET_SPENDING = "DELETE FROM spending WHERE scope > ''"

REMEMBERED = 10_000
SURROGATE = re.compile("[\x00\ud800-\udfff]")


class _Refused(Exception):
    pass


class SqlReadingIn:
    def __init__(self, database: Database, texts: Texts) -> None:
        self._database = database
        self._texts = texts
        # Those who are here already under another UUID, and the name ids that are others' presets here.
        self._also: dict[str, int] = {}
        self._others: set[str] = set()

    async def put(self, lines: Sequence[Mapping[str, object]], now: Micros) -> Sequence[Put]:
        """One transaction."""

        async def work(tx: Transaction) -> list[Put]:
            putting = _Putting(tx, self._texts, now, self._also, self._others)
            return [await putting.put(line) for line in lines]

        return await self._database.write(work)


class _Putting:
    def __init__(self, tx: Transaction, texts: Texts, now: Micros, also: dict[str, int], others: set[str]) -> None:
        self._tx = tx
        self._texts = texts
        self._now = now
        self._also = also
        self._others = others
        self._ids: OrderedDict[tuple[Target, str], int] = OrderedDict()
        self._last_numbers: dict[int, int] = {}

    async def put(self, line: Mapping[str, object]) -> Put:
        try:
            match line.get("kind"):
                case kinds.RULES:
                    return await self._put_rules(line)
                case kinds.DOCUMENT_END:
                    return await self._put_document_end(line)
                case kinds.LEDGER:
                    return await self._put_ledger(line)
                case str(name) if name in BY_NAME:
                    return await self._put_row(BY_NAME[name], line)
                case _:
                    return Put(refused="an unknown kind of line")
        except _Refused as error:
            return Put(refused=str(error))

    async def _put_row(self, kind: Kind, line: Mapping[str, object]) -> Put:
        values = {column.column: await self._value(column, line) for column in kind.columns}
        name = line.get(NAMES[kind.known_by]) if kind.known_by else None
        if kind.known_by not in (None, "presets") and await self._find(kind.known_by, str(name)) is not None:
            return Put()
        match kind:
            case kinds.USER:
                if (met := await self._meet(line, values)) is not None:
                    return met
            case kinds.PRESET:
                if (known := await self._put_preset(values)) is not None:
                    return known
            case kinds.CONVERSATION:
                await self._complete_conversation(line, values)
            case kinds.MESSAGE:
                await self._check_belongs(values)
            case kinds.DOCUMENT:
                values |= {"status": "arriving", "updated_at": self._now}
            case kinds.LIMIT:
                await self._tx.run(LIMITS_CHANGED)
        is_new = await self._insert(kind.table, values)
        if not is_new and kind.known_by and await self._find(kind.known_by, str(name)) is None:
            return Put(refused="something else has its place here")
        return Put(is_new=is_new)

    async def _insert(self, table: str, values: Mapping[str, object]) -> bool:
        columns = ", ".join(values)
        places = ", ".join(f"${place}" for place in range(1, len(values) + 1))
        sql = f"INSERT INTO {table} ({columns}) VALUES ({places}) ON CONFLICT DO NOTHING RETURNING 1"
        return await self._tx.one(sql, *values.values()) is not None

    async def _meet(self, line: Mapping[str, object], values: dict[str, object]) -> Put | None:
        """Somebody of the same name is taken to be the same: the admin whom a server makes at its first start."""
        kind, name = str(values["kind"]), str(values["name"])
        values |= {"name_key": name.casefold(), "email_key": str(values["email"]).casefold()}
        row = await self._tx.one(NAMED, kind, name.casefold(), name, values["app_id"])
        if row is not None:
            self._also[str(values["uuid"])] = row[0]
            return Put(note=f"{name} is here already: what is theirs becomes that one's")
        if kind == "person" and await self._tx.one(EMAIL_TAKEN, values["email_key"]) is not None:
            raise _Refused("its e-mail belongs to somebody else here")
        secret = line.get(kinds.PASSWORD.name)
        values["password_hash"] = secret if isinstance(secret, str) else None
        return None

    async def _put_preset(self, values: dict[str, object]) -> Put | None:
        slug = str(values["slug"])
        found = await self._find("presets", slug)
        if found is None:
            return None
        owner = await self._tx.one(OWNER_OF, found)
        if owner is None or owner[0] != values["owner_id"]:
            self._others.add(slug)
            raise _Refused("its name id is that of somebody else's preset here")
        row = await self._tx.one(UNTOUCHED, values["slug"]) if values["owner_id"] is None else None
        if row is None:
            return Put()
        if slug == DOMAIN and (values["version"], values["updated_at"]) == (1, values["created_at"]):
            # What the settings said there; here they say it, too.
            del values["model"], values["temperature"]
        names = ", ".join(f"{column} = ${place}" for place, column in enumerate(values, 2))
        before = await self._tx.one(f"SELECT {', '.join(values)} FROM presets WHERE id = $1", row[0])
        await self._tx.run(f"UPDATE presets SET {names} WHERE id = $1", row[0], *values.values())
        return Put(is_new=before is not None and list(before) != list(values.values()))

    async def _complete_conversation(self, line: Mapping[str, object], values: dict[str, object]) -> None:
        prompt, pair = line.get("prompt"), line.get("pair")
        values["prompt_id"] = await self._texts.add(self._tx, _to_text("prompt", prompt)) if prompt else None
        if isinstance(pair, list):
            ids = sorted([await self._must_find("users", "pair", str(one)) for one in pair])
            values["pair_key"] = ":".join(map(str, ids))

    async def _check_belongs(self, values: Mapping[str, object]) -> None:
        """What the conversation has said here since it was brought has these numbers."""
        conversation_id, number = values["conversation_id"], values["number"]
        assert isinstance(conversation_id, int)
        assert isinstance(number, int)
        last = self._last_numbers.get(conversation_id)
        if last is None:
            row = await self._tx.one(LAST_NUMBER, conversation_id)
            last = self._last_numbers[conversation_id] = 0 if row is None else int(row[0])
        if number > last:
            raise _Refused("the conversation is here as an older export has it")

    async def _put_rules(self, line: Mapping[str, object]) -> Put:
        try:
            rules = msgspec.convert({name: value for name, value in line.items() if name != "kind"}, Rules)
        except msgspec.ValidationError:
            raise _Refused("they are no rules") from None
        row = await self._tx.one(f"{ADD_RULES} RETURNING name", msgspec.json.encode(rules).decode())
        return Put(is_new=row is not None)

    async def _put_document_end(self, line: Mapping[str, object]) -> Put:
        document = await self._must_find("documents", "document", str(line.get("document")))
        row = await self._tx.one(ARRIVED, document, self._now)
        if row is not None:
            await self._tx.run(COUNT_DOCUMENT, *row)
        return Put(is_new=row is not None)

    async def _put_ledger(self, line: Mapping[str, object]) -> Put:
        sums = [_to_whole(name, line.get(name)) for name in ("day", *LEDGER_SUMS)]
        user = await self._find_or_gone("users", "user", line)
        app = await self._find_or_gone("users", "app", line)
        preset = await self._find_or_gone("presets", "preset", line)
        model = _to_text("model", line.get("model"))
        if min(user, app, preset) < 0:
            either = (user, -user, sums[0], app, -app, model, preset, -preset)
            if await self._tx.one(SAME_OF_GONE, *either, *sums[1:]) is not None:
                return Put()
        row = await self._tx.one(ADD_LEDGER, user, sums[0], app, model, preset, *sums[1:])
        if row is not None:
            await self._tx.run(FORGET_SPENDING)
        return Put(is_new=row is not None)

    async def _find_or_gone(self, target: Target, name: str, line: Mapping[str, object]) -> int:
        """Whatever is gone has a number that nothing here can have."""
        gone = line.get(f"{name}_gone")
        if gone is not None:
            return -_to_whole(name, gone)
        value = line.get(name)
        return 0 if value is None else await self._must_find(target, name, str(value))

    async def _value(self, column: Column, line: Mapping[str, object]) -> object:
        value = line.get("type" if column.name == "kind" else column.name)
        if value is None:
            if column.may_lack:
                return None
            raise _Refused(f"it has no {column.name}")
        if column.refers is not None:
            if column.refers == "presets" and column.may_lack:
                # What began with it was settled then.
                return await self._find("presets", str(value))
            return await self._must_find(column.refers, column.name, str(value))
        match column.holds:
            case "text":
                return _to_text(column.name, value)
            case "whole":
                return _to_whole(column.name, value)
            case "flag":
                if isinstance(value, bool):
                    return value
            case "real":
                if isinstance(value, int | float) and not isinstance(value, bool):
                    # A whole number may have hundreds of digits.
                    with suppress(OverflowError):
                        return float(value)
            case "bytes":
                if isinstance(value, str):
                    try:
                        return b64decode(value, validate=True)
                    except binascii.Error:
                        pass
        raise _Refused(f"its {column.name} is not what it should be")

    async def _must_find(self, target: Target, name: str, value: str) -> int:
        found = await self._find(target, value)
        if found is None:
            raise _Refused(f"its {name}, {json.dumps(value)}, is not here")
        return found

    async def _find(self, target: Target, name: str) -> int | None:
        if target == "presets" and name in self._others:
            return None
        known = self._ids.get((target, name)) or (self._also.get(name) if target == "users" else None)
        if known is not None:
            return known
        there = " AND deleted_at IS NULL" if target == "presets" else ""
        row = await self._tx.one(f"SELECT id FROM {target} WHERE {NAMES[target]} = $1{there}", name)
        if row is None:
            return None
        self._ids[target, name] = row[0]
        if len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)
        return int(row[0])


def _to_text(name: str, value: object) -> str:
    if not isinstance(value, str) or SURROGATE.search(value):
        raise _Refused(f"its {name} is no text")
    return value


def _to_whole(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
        raise _Refused(f"its {name} is no whole number")
    return value
