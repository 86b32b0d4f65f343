"""Three times the peak, in the smallest size, and in full under `make prove`: everybody has an answer.

How many turns are left and how soon the rest is refused depends on what else the machine does: docs/performance.md.
"""

import os

import pytest
from bench.overload import FULL, QUICK, measure, to_table
from msgspec.structs import replace

from tests.conftest import Measured


async def test_three_times_the_peak_is_answered_and_nobody_is_lost(
    prove: bool, measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PALAVER_TEST_FSYNC", "1" if prove else "")
    affinity = os.sched_getaffinity(0)
    try:
        outcome = await measure("sqlite", replace(FULL, repeats=1) if prove else QUICK)
    finally:
        # It keeps itself to one core.
        os.sched_setaffinity(0, affinity)
    measured("turns a second at the peak", round(outcome.peak.rate), "")
    measured("left of it at three times as many", round(100 * outcome.share), "%")
    measured("the same by the server's CPU time", round(100 * outcome.share_of_cpu), "%")
    measured("refused within, p99", round(outcome.refused_p99), "ms")
    assert outcome.lost == 0
    assert outcome.taken + outcome.refused + outcome.unasked == outcome.asked
    assert outcome.taken > 0
    assert outcome.refused > 0
    assert "- refused after ms, p99" in [row.what for row in to_table(outcome).rows if row.bar]
