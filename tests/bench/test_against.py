"""The benchmark of this code beside another checkout's works, beside itself. What either costs, it alone tells."""

from pathlib import Path

import pytest

from tests.bench.started import BENCH, run_bench, to_cells, to_seconds
from tests.parts.run import Run


def test_each_row_tells_both_and_how_many_times_the_one_is_the_other(run: Run) -> None:
    done = run_bench(run, "against.py", str(BENCH.parent), "--quick", seconds=to_seconds(prove=False))
    [_titles, _line, *rows] = to_cells(done)
    assert len(rows) == 5
    for _what, _bar, other, this, times in rows:
        assert float(times) == pytest.approx(float(this) / float(other), rel=0.05)


def test_checkout_that_was_not_made_ready_is_said_to_be_none(run: Run, tmp_path: Path) -> None:
    done = run_bench(run, "against.py", str(tmp_path), seconds=10, may_fail=True)
    assert (done.returncode, done.stderr) == (2, f"There is no palaver in {tmp_path}: run `make install` there.\n")
