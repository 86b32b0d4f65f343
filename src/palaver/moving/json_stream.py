"""JSON of any size, read piece by piece."""

from collections.abc import Iterator
from decimal import Decimal
from typing import BinaryIO

import ijson

Event = tuple[str, object]
Scalar = str | int | Decimal | bool | None

CHUNK_BYTES = 64 * 1024


class Unreadable(Exception):
    """The file is no JSON, or ends in the middle of it."""


class Odd:
    """A list or an object where something else was looked for."""


ODD = Odd()


class _Ended:
    """A file with a line break behind it. What begins after the end of the JSON and does not end itself, the parser
    would take no notice of; a line break ends it, or is wrong in it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rest = b"\n"

    @property
    def is_over(self) -> bool:
        """Whether all of it was read: what is wrong then is its end."""
        return not self._rest

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        # The parser asks for nothing at first, to see of what kind that is.
        if size and not data:
            data, self._rest = self._rest, b""
        return data


class JsonStream:
    """The events of one file, of which each is taken once, by whoever stands where it belongs."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = _Ended(file)
        self._events: Iterator[Event] = ijson.basic_parse(self._file, buf_size=CHUNK_BYTES)

    def next(self) -> Event:
        """Raises `Unreadable`."""
        try:
            return next(self._events)
        except StopIteration:
            raise Unreadable("it ends too early") from None
        except (ijson.JSONError, ValueError) as error:
            raise Unreadable("it ends too early" if self._file.is_over else _to_words(error)) from None

    def check_end(self) -> None:
        """Raises `Unreadable` where something follows."""
        try:
            for _ in self._events:
                raise Unreadable("something follows its end")
        except (ijson.JSONError, ValueError) as error:
            raise Unreadable("something follows its end" if self._file.is_over else _to_words(error)) from None

    def skip(self, first: Event) -> None:
        """Takes the rest of the value that began with `first`."""
        depth = _DEPTH.get(first[0], 0)
        take = self.next
        while depth:
            depth += _DEPTH.get(take()[0], 0)

    def scalar(self, first: Event) -> Scalar | Odd:
        if first[0] in _DEPTH:
            self.skip(first)
            return ODD
        value = first[1]
        assert value is None or isinstance(value, str | int | Decimal)
        return value

    def items(self, first: Event) -> Iterator[tuple[str, Event]]:
        """The keys of an object, or the places in a list, each with the event that its value begins with; nothing in
        what is neither. Whoever asks for the next one has taken the value of the last."""
        match first[0]:
            case "start_map":
                while (event := self.next())[0] == "map_key":
                    yield str(event[1]), self.next()
            case "start_array":
                place = 0
                while (event := self.next())[0] != "end_array":
                    yield str(place), event
                    place += 1


def _to_words(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


_DEPTH = {"start_map": 1, "start_array": 1, "end_map": -1, "end_array": -1}
