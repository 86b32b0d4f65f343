"""What tables there are, and what is in them: as the migrations and the engine itself tell it."""

import re

from msgspec import Struct

from palaver.store.database import Transaction
from palaver.store.migrate import migrations

# Made anew from what else is kept, or from nothing.
NOT_COPIED = frozenset({"schema_version", "bits_left", "spending"})

COLUMNS = {
    "sqlite": "SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid",
    "postgres": "SELECT a.attname, upper(format_type(a.atttypid, NULL)), "
    "COALESCE(array_position(CAST(i.indkey AS SMALLINT[]), a.attnum) + 1, 0) "
    "FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary "
    "WHERE a.attrelid = CAST(CAST($1 AS TEXT) AS regclass) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
}
LAST_ID = {
    "sqlite": "SELECT seq FROM sqlite_sequence WHERE name = $1",
    "postgres": "SELECT last_value FROM pg_sequences WHERE schemaname = ANY (current_schemas(false)) "
    "AND format('%I.%I', schemaname, sequencename) = pg_get_serial_sequence($1, 'id')",
}


class Shape(Struct, frozen=True):
    """A table's columns, those of its key in the key's order, and those that hold yes or no."""

    name: str
    columns: list[str]
    key: list[str]
    order: str
    booleans: list[int]

    @property
    def places(self) -> list[int]:
        """Where the key stands in a row."""
        return [self.columns.index(column) for column in self.key]

    @property
    def has_ids(self) -> bool:
        return self.key == ["id"]


def table_names(schema: int) -> list[str]:
    """Those that both engines have, in an order in which none names rows of a later one."""
    text = "".join(step.text for step in migrations() if step.version <= schema)
    return [name for name in re.findall(r"^CREATE TABLE (\w+)", text, re.MULTILINE) if name not in NOT_COPIED]


async def shape_of(tx: Transaction, engine: str, table: str) -> Shape:
    found = await tx.all(COLUMNS[engine], table)
    keyed = sorted((row for row in found if row[2]), key=lambda row: row[2])
    # In the order of the bytes, so that both engines give the rows in the same one.
    binary = ' COLLATE "C"' if engine == "postgres" else ""
    order = ", ".join(f"{row[0]}{binary if row[1] == 'TEXT' else ''}" for row in keyed)
    booleans = [place for place, row in enumerate(found) if row[1] == "BOOLEAN"]
    return Shape(table, [row[0] for row in found], [row[0] for row in keyed], order, booleans)


async def last_id(tx: Transaction, engine: str, shape: Shape) -> int | None:
    if not shape.has_ids:
        return None
    row = await tx.one(LAST_ID[engine], shape.name)
    return None if row is None else row[0]
