"""Server-sent events out of raw reads.

An event may arrive in any number of reads and a read may hold any number of events, cut anywhere, in the middle of a
character too. So only the bytes of whole events are given out, and nobody decodes a cut character. The work is linear
also where a server sends single bytes, and an event that never ends is broken off.
"""

LIMIT = 8 * 1024 * 1024

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventTooLarge(Exception):
    """An event is larger than anybody should have to hold."""


class EventSplitter:
    """Bytes in, the data of complete events out. However the bytes are cut, the events are the same."""

    __slots__ = ("_after_return", "_begun", "_limit", "_rest", "_too_large")

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._begun = False
        self._after_return = False
        self._too_large = False

    def feed(self, data: bytes) -> list[bytes]:
        """The data of the events that these bytes complete. Raises `EventTooLarge`, after all that came before."""
        if self._too_large:
            raise EventTooLarge
        if self._after_return or b"\r" in data:
            data = self._with_newlines(data)
        blocks = self._to_blocks(data)
        return [event for block in blocks if (event := _read_event(block)) is not None] if blocks else []

    def finish(self) -> bytes | None:
        """The data of a last event that lacks its blank line: complete, or cut off."""
        if self._too_large:
            raise EventTooLarge
        return _read_event(self._unmarked(bytes(self._rest)))

    def _to_blocks(self, data: bytes) -> list[bytes]:
        rest = self._rest
        if rest:
            ends = b"\n\n" in data or (data[:1] == b"\n" and rest[-1] == 10)
            rest += data
            if not ends:
                self._check_rest(complete=False)
                return []
            data = bytes(rest)
            rest.clear()
        blocks = data.split(b"\n\n")
        rest += blocks.pop()
        if len(data) > self._limit:
            blocks = self._check_blocks(blocks)
        if blocks and not self._begun:
            blocks[0] = self._unmarked(blocks[0])
            self._begun = True
        return blocks

    def _check_blocks(self, blocks: list[bytes]) -> list[bytes]:
        for index, block in enumerate(blocks):
            if len(block) > self._limit:
                self._break_off(complete=index > 0)
                return blocks[:index]
        self._check_rest(complete=bool(blocks))
        return blocks

    def _check_rest(self, *, complete: bool) -> None:
        # A newline at the end may be the first half of the blank line, which is not part of the event.
        if len(self._rest) - (self._rest[-1:] == b"\n") > self._limit:
            self._break_off(complete=complete)

    def _break_off(self, *, complete: bool) -> None:
        self._too_large = True
        self._rest.clear()
        if not complete:
            raise EventTooLarge

    def _unmarked(self, block: bytes) -> bytes:
        return block if self._begun else block.removeprefix(_BYTE_ORDER_MARK)

    def _with_newlines(self, data: bytes) -> bytes:
        """Lines may end in CR, LF or both, and both may arrive apart."""
        if self._after_return and data[:1] == b"\n":
            data = data[1:]
        self._after_return = data[-1:] == b"\r"
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _read_event(block: bytes) -> bytes | None:
    """The data of one event; None where there is none, as in a comment."""
    if block[:6] == b"data: " and b"\n" not in block:
        return block[6:] or None
    values = [value for line in block.split(b"\n") if (value := _read_line(line)) is not None]
    return b"\n".join(values) or None


def _read_line(line: bytes) -> bytes | None:
    name, colon, value = line.partition(b":")
    if name == b"data":
        return value.removeprefix(b" ")
    if name == b"error" and colon:
        # llama.cpp tells an error in a field of this name, which says in one line what others say inside of `data`.
        return b'{"error":' + value + b"}"
    return None
