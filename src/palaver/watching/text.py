"""The text that Prometheus reads (exposition format 0.0.4)."""

from collections.abc import Iterable, Iterator, Mapping

from palaver.watching import numbers
from palaver.watching.boards import Series, add_up
from palaver.watching.series import FAMILIES

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

# Where they are declared, so that whoever tells knows all of them.
assert numbers.BEGUN in FAMILIES


def render(workers: Mapping[str, Series], also: Iterable[tuple[str, str, str]] = (), *, by_worker: bool = False) -> str:
    """The numbers of all workers: sums, or with `by_worker` each one's. `also`: gauges, as name, about, sample."""
    split = {worker: _by_family(series) for worker, series in workers.items()}
    lines = []
    for name, about, sample in also:
        lines += [*_head(name, about, "gauge"), sample]
    for family in FAMILIES:
        lines += _head(family.name, family.about, family.kind)
        found = {worker: families.get(family.name, {}) for worker, families in split.items()}
        if by_worker or family.by_worker:
            for worker, series in found.items():
                lines += _samples(series, f'worker="{worker}"')
        else:
            lines += _samples(add_up(list(found.values())), "")
    return "\n".join(lines) + "\n"


def _head(name: str, about: str, kind: str) -> list[str]:
    return [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]


def _by_family(series: Series) -> dict[str, dict[str, float]]:
    families: dict[str, dict[str, float]] = {}
    for name, value in series.items():
        base = name.partition("{")[0]
        if base.endswith(("_bucket", "_sum")):
            base = base.rpartition("_")[0]
        families.setdefault(base, {})[name] = value
    return families


def _samples(series: Mapping[str, float], label: str) -> Iterator[str]:
    reached = 0.0
    for name, value in series.items():
        base, _, labels = name.partition("{")
        labels = ",".join(part for part in (label, labels.removesuffix("}")) if part)
        if not base.endswith("_bucket"):
            yield _sample(base, labels, value)
            continue
        # A board holds what lies between two bounds; what is told is all up to a bound.
        reached += value
        yield _sample(base, labels, reached)
        if labels.endswith('le="+Inf"'):
            yield _sample(
                f"{base.removesuffix('_bucket')}_count", labels.removesuffix('le="+Inf"').rstrip(","), reached
            )
            reached = 0.0


def _sample(name: str, labels: str, value: float) -> str:
    shown = str(int(value)) if value.is_integer() else repr(value)
    return f"{name}{{{labels}}} {shown}" if labels else f"{name} {shown}"
