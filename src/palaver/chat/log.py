"""What a reply has said so far: a log that only grows, measured in units. A character of text is one unit."""


class ReplyLog:
    """Neighbouring texts may be merged or cut anywhere, so every position is valid and replay starts at any of them."""

    __slots__ = ("_merged", "_parts", "length")

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._merged = 0
        self.length = 0

    def append(self, text: str) -> None:
        self._parts.append(text)
        self.length += len(text)

    @property
    def pieces(self) -> int:
        """How many texts were appended."""
        return self._merged + len(self._parts)

    def text(self) -> str:
        if len(self._parts) > 1:
            self._merged += len(self._parts) - 1
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    def since(self, position: int) -> str:
        """What was said after `position`. Costs what is new, not what was said before."""
        if position >= self.length:
            return ""
        missing = self.length - position
        if missing <= len(self._parts[-1]):
            # Nearly always: whoever keeps up lacks what was said last.
            return self._parts[-1][-missing:]
        newest_first = []
        for part in reversed(self._parts):
            newest_first.append(part)
            missing -= len(part)
            if missing <= 0:
                break
        text = "".join(reversed(newest_first))
        return text[-missing:]
