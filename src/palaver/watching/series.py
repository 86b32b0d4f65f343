"""Counters, gauges and histograms. Each kind of number is declared once, and is told by `watching/text.py`.

What carries labels has a child for their values in `of`, a dict; a child is an index into the board.
"""

from bisect import bisect_left
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, Literal, TypeVar

from palaver.watching.board import board

Kind = Literal["counter", "gauge", "histogram"]
Child = TypeVar("Child")


class Count:
    """One number that is added to, or set."""

    __slots__ = ("_at",)

    def __init__(self, name: str, labels: str) -> None:
        self._at = board.add([f"{name}{{{labels}}}" if labels else name])

    def add(self, amount: float = 1.0) -> None:
        board.cells[self._at] += amount

    def set(self, value: float) -> None:
        board.cells[self._at] = float(value)


class Spread:
    """How many observations came to lie where, and their sum. Bounds hold what is equal to them."""

    __slots__ = ("_at", "_bounds", "_sum_at")

    def __init__(self, name: str, labels: str, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        before = f"{labels}," if labels else ""
        names = [f'{name}_bucket{{{before}le="{bound:g}"}}' for bound in (*bounds, float("inf"))]
        names.append(f"{name}_sum{{{labels}}}" if labels else f"{name}_sum")
        self._at = board.add([name.replace('le="inf"', 'le="+Inf"') for name in names])
        self._sum_at = self._at + len(bounds) + 1

    def observe(self, value: float) -> None:
        cells = board.cells
        cells[self._at + bisect_left(self._bounds, value)] += 1.0
        cells[self._sum_at] += value


class _Children(dict[Hashable, Child]):
    """By the labels' values, one or a tuple of several; each is made when it is first asked for."""

    def __init__(self, labels: tuple[str, ...], make: Callable[[str], Child]) -> None:
        super().__init__()
        self._labels = labels
        self._make = make

    def __missing__(self, asked: Hashable) -> Child:
        values = asked if isinstance(asked, tuple) else (asked,)
        pairs = zip(self._labels, values, strict=True)
        child = self[asked] = self._make(",".join(f'{label}="{_escape(value)}"' for label, value in pairs))
        return child


class Family(Generic[Child]):
    """All series of one name. `by_worker`: a sum over workers says nothing, so each is told.

    `of`: the children by their labels' values, which have to be few: never a person's, nor a conversation's.
    """

    kind: Kind

    def __init__(self, name: str, about: str, labels: tuple[str, ...] = (), *, by_worker: bool = False) -> None:
        self.name = name
        self.about = about
        self.by_worker = by_worker
        self.of = _Children(labels, self._make)
        FAMILIES.append(self)

    def alone(self) -> Child:
        """The one that has no labels."""
        return self.of[()]

    def _make(self, labels: str) -> Child:
        raise NotImplementedError


FAMILIES: list[Family[Any]] = []


class Counters(Family[Count]):
    kind: Kind = "counter"

    def _make(self, labels: str) -> Count:
        return Count(self.name, labels)


class Gauges(Counters):
    kind = "gauge"


class Histograms(Family[Spread]):
    kind = "histogram"

    def __init__(self, name: str, about: str, bounds: Sequence[float], labels: tuple[str, ...] = ()) -> None:
        super().__init__(name, about, labels)
        self._bounds = tuple(bounds)

    def _make(self, labels: str) -> Spread:
        return Spread(self.name, labels, self._bounds)


def _escape(value: object) -> str:
    return str(value).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
