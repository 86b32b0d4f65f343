"""What a server tells at /metrics, read as Prometheus would."""

import re
from collections.abc import Callable, Mapping

from tests.journeys.client import Client, ask_until

_SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)')
_LASTING = ("_total", "_bucket", "_sum", "_count")


class Metrics:
    """Samples by name and labels as they stand; one that is not there is 0."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples: Mapping[str, float] = dict(_read(line) for line in text.splitlines() if not line.startswith("#"))
        self.types: Mapping[str, str] = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))

    def __getitem__(self, sample: str) -> float:
        return self.samples.get(sample, 0.0)

    def names(self) -> set[str]:
        """All names that a query can use, those that have no sample yet included."""
        histograms = {name for name, kind in self.types.items() if kind == "histogram"}
        parts = {f"{name}{part}" for name in histograms for part in ("_bucket", "_sum", "_count")}
        return (set(self.types) - histograms) | parts

    def lasting(self) -> dict[str, float]:
        """Those that may only grow."""
        return {name: value for name, value in self.samples.items() if name.partition("{")[0].endswith(_LASTING)}

    def of(self, family: str) -> dict[str, float]:
        return {name: value for name, value in self.samples.items() if name.partition("{")[0] == family}

    def over_workers(self) -> dict[str, float]:
        """The sums of what `?by=worker` has told."""
        sums: dict[str, float] = {}
        for name, value in self.samples.items():
            whole = re.sub(r'worker="\d+",?', "", name).replace("{}", "")
            sums[whole] = sums.get(whole, 0.0) + value
        return sums


def _read(line: str) -> tuple[str, float]:
    found = _SAMPLE.fullmatch(line)
    assert found is not None, line
    name, labels, value = found.groups()
    return (f"{name}{{{labels}}}" if labels else name), float(value)


async def scrape(client: Client, query: str = "") -> Metrics:
    answer = await client.get(f"/metrics{query}")
    assert answer.status == 200, answer.text
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Metrics(answer.text)


async def scrape_until(client: Client, done: Callable[[Metrics], bool], *, seconds: float = 15) -> Metrics:
    """The first scrape that will do. `AssertionError` where none has come in time."""
    answer = await ask_until(lambda: client.get("/metrics"), lambda answer: done(Metrics(answer.text)), seconds=seconds)
    return Metrics(answer.text)
