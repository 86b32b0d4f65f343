"""Keeps how the tests that are marked `proof` end, where they are tried at full size.

Workers of xdist send what a test has measured with its report. Who collects the reports writes each down as soon as it
is there.
"""

import datetime
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.promises import TRIES, Figure, Try, find_promises, keep_tries, test_of

MEASURED = "measured"


class Recorder:
    """Hears of every report, in the process that is in charge."""

    def __init__(self, seed: str, file: Path = TRIES) -> None:
        self._seed = seed
        self._file = file
        self._promised = {promise.test for promise in find_promises()}
        self._reports: dict[str, list[pytest.TestReport]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if test_of(report.nodeid) not in self._promised:
            return
        reports = self._reports.setdefault(report.nodeid, [])
        reports.append(report)
        # Any other is of a worker that has died of it: nothing follows.
        if report.when not in ("setup", "call"):
            del self._reports[report.nodeid]
            keep_tries([to_try(reports, self._seed)], self._file)


def to_try(reports: list[pytest.TestReport], seed: str) -> Try:
    """Of what was reported of one case: before, during and after it."""
    last = reports[-1]
    return Try(
        case=last.nodeid,
        held=not any(report.failed for report in reports),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        seconds=round(sum(report.duration for report in reports), 1),
        seed=seed,
        load=round(os.getloadavg()[0], 1),
        figures=tuple(to_figures(last)),
    )


def to_figures(report: pytest.TestReport) -> Iterator[Figure]:
    for name, value in report.user_properties:
        if name == MEASURED and isinstance(value, list):
            what, much, unit = value
            yield Figure(what, much, unit)


def measure_examples(item: pytest.Item, report: pytest.TestReport) -> None:
    """What hypothesis says of a test is measured too: how many examples it held for."""
    said = getattr(item, "hypothesis_statistics", None)
    if report.when == "teardown" and said is not None:
        report.user_properties.append((MEASURED, ["examples", count_examples(said), ""]))


def count_examples(statistics: str) -> int:
    return sum(map(int, re.findall(r"(\d+) passing,", statistics)))


def to_recorder(environment: Mapping[str, str]) -> Recorder | None:
    """None of a small run, which says nothing of what a full one would."""
    return Recorder(environment["PALAVER_SEED"]) if is_proof(environment) else None


def is_proof(environment: Mapping[str, str]) -> bool:
    return environment.get("PALAVER_PROVE") == "1"
