"""Server-sent events out of raw reads.

An event may arrive in any number of reads and a read may hold any number of events, cut anywhere, in the middle of a
character too. So only the bytes of whole events are given out, and nobody decodes a cut character. The work is linear
also where a server sends single bytes, and an event that never ends is broken off.
"""

LIMIT = 8 * 1024 * 1024

# As numbers, which `in` finds in a byte string at a third of what a string of one byte costs.
_RETURN = ord("\r")
_NEWLINE = ord("\n")

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
        if self._after_return or _RETURN in data:
            data = self._with_newlines(data)
        if self._rest:
            data = self._continued(data)
        blocks = data.split(b"\n\n")
        if rest := blocks.pop():
            self._rest += rest
        if len(data) > self._limit or not self._begun:
            blocks = self._unmarked(self._check_size(blocks))
        return [event for block in blocks if (event := _read_event(block))]

    def finish(self) -> bytes | None:
        """The data of a last event that lacks its blank line: complete, or cut off."""
        if self._too_large:
            raise EventTooLarge
        return _read_event(self._unmarked([bytes(self._rest)])[0])

    def _continued(self, data: bytes) -> bytes:
        """These bytes with those that waited for them; nothing, where they go on waiting together."""
        ends = b"\n\n" in data or (data[:1] == b"\n" and self._rest[-1:] == b"\n")
        self._rest += data
        if not ends:
            self._check_size([])
            return b""
        whole = bytes(self._rest)
        self._rest.clear()
        return whole

    def _check_size(self, blocks: list[bytes]) -> list[bytes]:
        """The blocks before one that is too large; which is told when there are none before it, or at the next read."""
        for index, block in enumerate(blocks):
            if len(block) > self._limit:
                return self._break_off(blocks[:index])
        # A newline at the end may be the first half of the blank line, which is not part of the event.
        if len(self._rest) - (self._rest[-1:] == b"\n") > self._limit:
            return self._break_off(blocks)
        return blocks

    def _break_off(self, before: list[bytes]) -> list[bytes]:
        self._too_large = True
        self._rest.clear()
        if not before:
            raise EventTooLarge
        return before

    def _unmarked(self, blocks: list[bytes]) -> list[bytes]:
        if blocks and not self._begun:
            self._begun = True
            blocks[0] = blocks[0].removeprefix(_BYTE_ORDER_MARK)
        return blocks

    def _with_newlines(self, data: bytes) -> bytes:
        """Lines may end in CR, LF or both, and both may arrive apart."""
        if self._after_return and data[:1] == b"\n":
            data = data[1:]
        self._after_return = data[-1:] == b"\r"
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _read_event(block: bytes) -> bytes | None:
    """The data of one event; None where there is none, as in a comment."""
    if block[:6] == b"data: " and _NEWLINE not in block:
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
