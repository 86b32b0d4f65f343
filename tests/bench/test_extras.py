"""The benchmark of what limits, ledger and metrics cost works. What they cost, it alone tells."""

import subprocess
import sys
from pathlib import Path

from tests.parts.process import bare_environment
from tests.parts.run import Run

ROOT = Path(__file__).parents[2]


def test_turns_are_taken_with_limits_ledger_and_metrics_and_without(run: Run) -> None:
    folder = run.make_folder("bench")
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "extras.py"), "--quick"],
        cwd=folder,
        env={**bare_environment(), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [costs] = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| stored turn")]
    assert all(float(cost) > 0 for cost in costs[3:7])
