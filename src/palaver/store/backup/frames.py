"""What a backup is made of, in this order: its head; of each table its head and its rows; the vectors; its end."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct


class Head(Struct, frozen=True, tag="head", array_like=True):
    """`schema` is the version that the rows are of. Without vectors: they could not be read there."""

    schema: int
    made_at: int
    version: str
    has_vectors: bool


class Table(Struct, frozen=True, tag="table", array_like=True):
    """`last_id` is the last id that was ever given, where ids are given one after the other."""

    name: str
    columns: list[str]
    last_id: int | None


class Rows(Struct, frozen=True, tag="rows", array_like=True):
    """Of the table that was named last."""

    rows: list[list[Any]]


class Vectors(Struct, frozen=True, tag="vectors", array_like=True):
    """Of one embedding: passages, and of each the vector as four-byte floats."""

    embedding_id: int
    passages: list[int]
    vectors: list[bytes]


Frame = Head | Table | Rows | Vectors

Put = Callable[[Frame | None], None]
