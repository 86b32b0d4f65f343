"""What came of bringing something: how many of each kind were added, unchanged and skipped."""

from collections import Counter
from collections.abc import Callable, Iterable

Tell = Callable[[str], None]


class Report:
    """What is skipped, and what is worth knowing of something that is not, is told at once: of a million of them none
    is remembered. `kinds` are told of even where there are none."""

    def __init__(self, kinds: Iterable[str], tell: Tell) -> None:
        self.added: Counter[str] = Counter()
        self.unchanged: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self._kinds = list(kinds)
        self._tell = tell

    def skip(self, kind: str, path: str, reason: str) -> None:
        self.skipped[kind] += 1
        self._tell(f"skipped {to_printed(path)}: {reason}")

    def note(self, path: str, text: str) -> None:
        self._tell(f"{to_printed(path)}: {text}")

    def lines(self) -> list[str]:
        kinds = [*self._kinds, *sorted({*self.added, *self.unchanged, *self.skipped} - set(self._kinds))]
        return [
            f"{kind}: {self.added[kind]} added, {self.unchanged[kind]} unchanged, {self.skipped[kind]} skipped"
            for kind in kinds
        ]


def to_printed(path: str) -> str:
    """On one line, whatever signs are in it."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in path)
