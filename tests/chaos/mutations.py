"""What a client might send by mistake or in malice: messages of its sockets, changed in some way."""

import json
import random
import string
from collections.abc import Callable, Iterator
from typing import Any

Message = dict[str, Any]

OVER_LIMIT = 64 * 1024 + 1

_TYPES = ("send_message", "stop", "regenerate", "edit", "read", "typing", "stop_typing", "resume", "ping")
_MORE_TYPES = ("refresh_chat_list", "user_message", "error", "pong", "__class__", "Ping", "ping ", "")
_FIELDS = ("type", "message", "message_id", "client_message_id", "cursor", "when_busy", "text", "__proto__", "")


class Mutations:
    """The same for the same seed. `ids` are those of real messages, `cursors` real cursors."""

    def __init__(self, seed: str, ids: list[str], cursors: list[str]) -> None:
        self._random = random.Random(seed)
        self._ids = ids
        self._cursors = cursors
        self._ways: tuple[Callable[[], bytes], ...] = (
            self._as_it_is,
            self._odd_value,
            self._odd_value,
            self._odd_keys,
            self._other_type,
            self._twice_a_key,
            self._flipped,
            self._cut,
            self._doubled,
            self._deep,
            self._no_object,
            self._noise,
        )

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield self._random.choice(self._ways)()

    def noise(self, size: int) -> bytes:
        return self._random.randbytes(size)

    # The ways

    def _as_it_is(self) -> bytes:
        return self._spell(self._valid())

    def _odd_value(self) -> bytes:
        message = self._valid()
        message[self._random.choice(list(message))] = self._value()
        return self._spell(message)

    def _odd_keys(self) -> bytes:
        message = self._valid()
        for _ in range(self._random.randrange(1, 5)):
            message[self._random.choice((*_FIELDS, self._text()))] = self._value()
        message.pop(self._random.choice(list(message)))
        return self._spell(message)

    def _other_type(self) -> bytes:
        message = self._valid()
        message["type"] = self._random.choice((*_TYPES, *_MORE_TYPES, self._value()))
        return self._spell(message)

    def _twice_a_key(self) -> bytes:
        one, other = self._spell(self._valid()), self._spell(self._valid())
        return one.rstrip(b"}") + b", " + other.lstrip(b"{")

    def _flipped(self) -> bytes:
        data = bytearray(self._spell(self._valid()))
        for _ in range(self._random.randrange(1, 4)):
            data[self._random.randrange(len(data))] ^= 1 << self._random.randrange(7)
        return bytes(data)

    def _cut(self) -> bytes:
        data = self._spell(self._valid())
        start, end = sorted(self._random.randrange(len(data) + 1) for _ in range(2))
        return self._random.choice((data[:start], data[start:], data[:start] + data[end:]))

    def _doubled(self) -> bytes:
        data = self._spell(self._valid())
        start, end = sorted(self._random.randrange(len(data) + 1) for _ in range(2))
        return data[:end] + data[start:end] * self._random.randrange(1, 4) + data[end:]

    def _deep(self) -> bytes:
        depth = self._random.choice((10, 100, 900, 1000, 5000, 20_000))
        opening, closing = self._random.choice(((b"[", b"]"), (b'{"a":', b"}")))
        inner = opening * depth + b"1" + self._random.choice((closing * depth, b""))
        field = self._random.choice((b"type", b"message", b"message_id", b"cursor", b"client_message_id", b"x"))
        return (b'{"type": "send_message", "message": "hi", "' + field + b'": ' + inner + b"}")[: OVER_LIMIT - 1]

    def _no_object(self) -> bytes:
        return self._spell(self._value())

    def _noise(self) -> bytes:
        alphabet = self._random.choice(
            (string.printable, '{}[]",:\\', "0123456789.eE+-", "\U0001f600é漢\u200d\ufeff\0")
        )
        return "".join(self._random.choices(alphabet, k=self._random.randrange(200))).encode()

    # What they are made of

    def _spell(self, message: object) -> bytes:
        return json.dumps(message, ensure_ascii=self._random.random() < 0.5).encode("utf-8", "surrogatepass")

    def _valid(self) -> Message:
        kind = self._random.choice((*_TYPES, "refresh_chat_list"))
        message: Message = {"type": kind}
        if kind in ("send_message", "edit"):
            message["message"] = self._random.choice(("hello", self._text()))
            message["client_message_id"] = self._random.choice(("k", self._text()))
        if kind in ("edit", "read", "regenerate", "stop"):
            message["message_id"] = self._random.choice(self._ids)
        if kind == "resume":
            message["cursor"] = self._random.choice(self._cursors)
        return message

    def _text(self) -> str:
        return "".join(self._random.choices(string.ascii_letters + " éß漢\U0001f600", k=self._random.randrange(1, 40)))

    def _value(self) -> Any:
        return self._random.choice(
            (
                None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**400, -(10**30), 0.1, 1e308, float("inf"),
                float("nan"), "", " ", "\0", "a\0b", "\ud800", "\udc00\ud800", "\U0001f600", "\ufeff", "null",
                [], {}, [None], {"type": "ping"}, [[[]]], "x" * 100, "x" * 101, "x" * 200, "x" * 201, "x" * 10_000,
                "x" * 10_001, "\u20ac" * 20_000, "e1.1.1", "e" + "9" * 190, "'; DROP TABLE messages; --", "../../x",
                "%00", "queue", "reject", "interrupt", self._text(), *self._ids[:3], *self._cursors[:3],
            )
        )  # fmt: skip
