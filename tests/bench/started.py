"""A benchmark that is run as people run it."""

import subprocess
import sys
from pathlib import Path

from tests.parts.process import bare_environment
from tests.parts.run import Run

BENCH = Path(__file__).parents[2] / "bench"


def to_seconds(*, prove: bool) -> float:
    """How long a long one may take. In small pytest would end its worker otherwise (`faulthandler_timeout`)."""
    return 600 if prove else 280


def run_bench(
    run: Run, name: str, *arguments: str, seconds: float, may_fail: bool = False
) -> subprocess.CompletedProcess[str]:
    """What it has printed. It must come to its end and leave nothing behind; and hold, unless it `may_fail`."""
    folder = run.make_folder("bench")
    # PostgreSQL, which runs as another user where we are root, has to pass through.
    folder.chmod(0o711)
    done = subprocess.run(
        [sys.executable, str(BENCH / name), *arguments],
        cwd=folder,
        env={**bare_environment(), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert may_fail or done.returncode == 0, done.stdout + done.stderr
    assert not list(folder.iterdir())
    return done


def to_cells(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    """The lines of its table, divided into cells."""
    lines = [line for line in done.stdout.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
