"""Counters, gauges and histograms. Each kind of number is declared once, and is told by `watching/text.py`.

What carries labels gives a child for their values by `of`, a look-up in a dict; a child is an index into the board. A
count costs about 0.2 µs, with a look-up 0.4; an observation 0.6 and 0.8.
"""

from bisect import bisect_left
from collections.abc import Sequence
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
        board.cells[self._at] = value


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


class Family(Generic[Child]):
    """All series of one name. `by_worker`: a sum over workers says nothing, so each is told."""

    kind: Kind

    def __init__(self, name: str, about: str, labels: tuple[str, ...] = (), *, by_worker: bool = False) -> None:
        self.name = name
        self.about = about
        self.by_worker = by_worker
        self._labels = labels
        self._children: dict[tuple[object, ...], Child] = {}
        FAMILIES.append(self)

    def of(self, *values: object) -> Child:
        """The child for these labels' values. They have to be few: never a person's, nor a conversation's."""
        child = self._children.get(values)
        if child is None:
            pairs = zip(self._labels, values, strict=True)
            child = self._children[values] = self._make(",".join(f'{label}="{_escape(v)}"' for label, v in pairs))
        return child

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
