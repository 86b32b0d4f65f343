"""Three times the peak, in the smallest size, and in full under `make prove`: everybody has an answer.

How many turns are left and how soon the rest is refused depends on what else the machine does: docs/performance.md.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts.process import bare_environment
from tests.parts.run import Run
from tests.promises import Measured

ROOT = Path(__file__).parents[2]
SECONDS = 600


@pytest.mark.proof("load", alone=True)
def test_three_times_the_peak_is_answered_and_nobody_is_lost(prove: bool, measured: Measured, run: Run) -> None:
    folder = run.make_folder("bench")
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "overload.py"), *([] if prove else ["--quick"])],
        cwd=folder,
        env={**bare_environment(), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in done.stdout.splitlines()]
    figures = {row[0].removeprefix("- "): row[2] for row in rows if len(row) == 4}
    for what in ("peak, stored turns a second", "3 × the peak offered: done, % of the peak", "refused after ms, p99"):
        measured(what, figures[what], "")
    assert figures["neither done nor refused"] == "0 met", done.stderr
    assert float(figures["peak, stored turns a second"]) > 0
    assert float(figures["3 × the peak offered: done, % of the peak"].split()[0]) > 0
    assert float(figures["refused after ms, p99"].split()[0]) > 0, done.stderr
