"""What a request may hold: fields declared once, read with clear problems, described to OpenAPI.

    class Say(Body):
        message = required(text(at_least=1, at_most=4000, blank=False))
        client_message_id = optional(text(at_least=1, at_most=100))

`Say.read({...})` gives an object whose `message` is a `str` and whose `client_message_id` is `str | None`.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

from msgspec import UNSET, Struct, UnsetType

from palaver.chat.ranges import LARGEST_WHOLE

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
B = TypeVar("B", bound="Body")

# What null means in a field that may be absent: as if absent, a value of its own, or a mistake.
Null = Literal["absent", "value", "refused"]

WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
DECIMAL = re.compile(r"[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})")
FORBIDDEN_CHARACTERS = re.compile("[\x00\ud800-\udfff]")


class Problem(Exception):
    """Why a value cannot be used: `reason` is the name of a text, `values` fill it."""

    def __init__(self, reason: str, **values: object) -> None:
        super().__init__(reason)
        self.reason = reason
        self.values_ = values


class FieldProblem(Struct, frozen=True):
    """A problem with its place: `name` is the one the request used, `path` leads into lists and objects."""

    name: str
    reason: str
    values: dict[str, object]
    path: tuple[str | int, ...] = ()


class Invalid(Exception):
    """All the problems of one body or query."""

    def __init__(self, problems: Sequence[FieldProblem], place: str) -> None:
        super().__init__(", ".join(f"{problem.name}: {problem.reason}" for problem in problems))
        self.problems = problems
        self.place = place


class Kind(Protocol[T_co]):
    """A kind of value: how it is read, and what OpenAPI says of it."""

    def read(self, value: object) -> T_co: ...
    def schema(self) -> dict[str, Any]: ...


class Text(Struct, frozen=True):
    at_least: int = 0
    at_most: int | None = None
    trimmed: bool = False
    blank: bool = True

    def read(self, value: object) -> str:
        if not isinstance(value, str):
            raise Problem("string_type")
        if FORBIDDEN_CHARACTERS.search(value):
            raise Problem("string_characters")
        said = value.strip() if self.trimmed else value
        if (not said and self.at_least) or (not self.blank and not said.strip()):
            raise Problem("blank")
        if len(said) < self.at_least:
            raise Problem("string_too_short", at_least=self.at_least)
        if self.at_most is not None and len(said) > self.at_most:
            raise Problem("string_too_long", at_most=self.at_most)
        return said

    def schema(self) -> dict[str, Any]:
        described: dict[str, Any] = {"type": "string"}
        if self.at_least and not self.trimmed:
            described["minLength"] = self.at_least
        if self.at_least and self.trimmed:
            described["minLength"] = self.at_least
            described["pattern"] = r"\S"
        if not self.blank:
            described["pattern"] = r"\S"
        if self.at_most is not None and not self.trimmed:
            described["maxLength"] = self.at_most
        return described


class Word(Struct, frozen=True):
    """Text that fits a pattern whole; `reason` names the text that says so."""

    pattern: str
    reason: str

    def read(self, value: object) -> str:
        if not isinstance(value, str):
            raise Problem("string_type")
        if not re.fullmatch(self.pattern, value):
            raise Problem(self.reason)
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{self.pattern}$"}


class Whole(Struct, frozen=True):
    at_least: int = -LARGEST_WHOLE
    at_most: int = LARGEST_WHOLE

    def read(self, value: object) -> int:
        number = _to_whole(value)
        _check_range(number, self.at_least, self.at_most)
        return number

    def schema(self) -> dict[str, Any]:
        described: dict[str, Any] = {"type": "integer", "maximum": self.at_most}
        if self.at_least > -LARGEST_WHOLE:
            described["minimum"] = self.at_least
        return described


class Number(Struct, frozen=True):
    at_least: float
    at_most: float

    def read(self, value: object) -> float:
        if isinstance(value, str) and DECIMAL.fullmatch(value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Problem("float_type")
        if isinstance(value, float) and not math.isfinite(value):
            raise Problem("float_type")
        # The range comes before float(), which an integer of 400 digits overflows.
        _check_range(value, self.at_least, self.at_most)
        return float(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": self.at_least, "maximum": self.at_most}


class Flag(Struct, frozen=True):
    def read(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise Problem("bool_type")
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class QueryFlag(Flag, frozen=True):
    def read(self, value: object) -> bool:
        spelled = str(value).lower()
        if spelled in ("true", "1"):
            return True
        if spelled in ("false", "0"):
            return False
        raise Problem("bool_type")


class Choice(Generic[T]):
    def __init__(self, *choices: T) -> None:
        self._choices = choices

    def read(self, value: object) -> T:
        if not isinstance(value, str):
            raise Problem("string_type")
        for choice in self._choices:
            if choice == value:
                return choice
        raise Problem("choice", choices=", ".join(map(str, self._choices)))

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self._choices)}


class Listed(Generic[T]):
    """A list whose entries are all of one kind."""

    def __init__(self, entry: Kind[T], *, at_least: int = 0, at_most: int) -> None:
        self._entry = entry
        self._at_least = at_least
        self._at_most = at_most

    def read(self, value: object) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise Problem("list_type")
        if len(value) < self._at_least:
            raise Problem("too_short", at_least=self._at_least)
        if len(value) > self._at_most:
            raise Problem("too_long", at_most=self._at_most)
        return tuple(self._read(index, entry) for index, entry in enumerate(value))

    def _read(self, index: int, entry: object) -> T:
        try:
            return self._entry.read(entry)
        except Problem as problem:
            raise _Nested((index,), problem) from problem
        except Invalid as invalid:
            first = invalid.problems[0]
            raise _Nested((index, first.name, *first.path), Problem(first.reason, **first.values)) from invalid

    def schema(self) -> dict[str, Any]:
        described = {"type": "array", "items": self._entry.schema(), "maxItems": self._at_most}
        return described | ({"minItems": self._at_least} if self._at_least else {})


class Inner(Generic[B]):
    """An object within a body."""

    def __init__(self, body: type[B]) -> None:
        self._body = body

    def read(self, value: object) -> B:
        if not isinstance(value, dict):
            raise Problem("object_type")
        return self._body.read(value)

    def schema(self) -> dict[str, Any]:
        return self._body.schema()


class _Nested(Problem):
    def __init__(self, path: tuple[str | int, ...], problem: Problem) -> None:
        super().__init__(problem.reason, **problem.values_)
        self.path = path


class Field(Generic[T]):
    """A field of a body: its kind, the names it goes by, and what stands for it where it is absent."""

    def __init__(
        self, kind: Kind[Any], *, names: tuple[str, ...], absent: object = None, required: bool, null: Null = "absent"
    ) -> None:
        self.kind = kind
        self.names = names
        self.absent = absent
        self.required = required
        self.null = null
        self.attribute = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.attribute = name
        self.names = self.names or (name,)

    def __get__(self, body: "Body", owner: type) -> T:
        value: T = body.values[self.attribute]
        return value

    def read(self, payload: Mapping[str, object]) -> object:
        """The value, or a `FieldProblem` that says why there is none."""
        name = next((name for name in self.names if payload.get(name) is not None), None)
        if name is None:
            return self._absent(payload)
        try:
            return self.kind.read(payload[name])
        except Problem as problem:
            path = problem.path if isinstance(problem, _Nested) else ()
            return FieldProblem(name, problem.reason, problem.values_, path)

    def _absent(self, payload: Mapping[str, object]) -> object:
        null = next((name for name in self.names if name in payload), None)
        if null is not None and self.null == "value":
            return None
        if self.required or (null is not None and self.null == "refused"):
            return FieldProblem(null or self.names[0], "null" if null else "missing", {})
        return self.absent


def required(kind: Kind[T], *names: str) -> Field[T]:
    return Field(kind, names=names, required=True)


def optional(kind: Kind[T], *names: str) -> Field[T | None]:
    return Field(kind, names=names, required=False)


def omittable(kind: Kind[T], *names: str) -> Field[T | None]:
    """May be absent, but not null."""
    return Field(kind, names=names, required=False, null="refused")


def defaulting(kind: Kind[T], default: T, *names: str) -> Field[T]:
    return Field(kind, names=names, absent=default, required=False)


def changing(kind: Kind[T], *names: str) -> Field[T | UnsetType]:
    """For changes: absent (or null) leaves it as it is."""
    return Field(kind, names=names, absent=UNSET, required=False)


def clearing(kind: Kind[T], *names: str) -> Field[T | UnsetType | None]:
    """For changes: absent leaves it as it is, null clears it."""
    return Field(kind, names=names, absent=UNSET, required=False, null="value")


class Body:
    """What a request holds, read once. Subclasses declare fields."""

    fields: ClassVar[dict[str, Field[Any]]] = {}

    def __init_subclass__(cls) -> None:
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Field)}
        cls.fields = {**cls.fields, **own}

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    @classmethod
    def read(cls: type[B], payload: Mapping[str, object], place: str = "body") -> B:
        """Raises `Invalid` with every problem there is."""
        values = {}
        problems = []
        for attribute, field in cls.fields.items():
            value = field.read(payload)
            if isinstance(value, FieldProblem):
                problems.append(value)
            else:
                values[attribute] = value
        if problems:
            raise Invalid(problems, place)
        return cls(values)

    @classmethod
    def all_optional(cls) -> bool:
        return not any(field.required for field in cls.fields.values())

    @classmethod
    def schema(cls) -> dict[str, Any]:
        properties = {}
        for field in cls.fields.values():
            described = field.kind.schema()
            if not field.required and field.null != "refused":
                described = {"anyOf": [described, {"type": "null"}]}
            properties.update(dict.fromkeys(field.names, described))
        needed = [field.names[0] for field in cls.fields.values() if field.required and len(field.names) == 1]
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        return schema | ({"required": needed} if needed else {})


class NoFields(Body):
    """A body that may be empty."""


def _to_whole(value: object) -> int:
    if isinstance(value, str) and WHOLE.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_WHOLE:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Problem("int_type")
    return value


def _check_range(number: float, at_least: float, at_most: float) -> None:
    if number < at_least:
        raise Problem("too_small", at_least=at_least)
    if number > at_most:
        raise Problem("too_big", at_most=at_most)
