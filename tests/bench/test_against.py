"""The benchmark of this code beside another checkout's works. What either costs, it alone tells."""

import sys
from pathlib import Path

import pytest

from tests.bench.started import run_bench, to_cells, to_seconds
from tests.parts.run import Run

# It notes what it is asked for, and is this code.
OTHER = """\
#!/bin/sh
echo "$1" >> {asked}
exec {palaver} "$@"
"""


def test_servers_and_commands_of_the_other_are_measured_beside_ours(run: Run, tmp_path: Path) -> None:
    folder, asked = tmp_path / "other", tmp_path / "asked"
    palaver = folder / ".venv" / "bin" / "palaver"
    palaver.parent.mkdir(parents=True)
    palaver.write_text(OTHER.format(asked=asked, palaver=Path(sys.executable).with_name("palaver")))
    palaver.chmod(0o755)
    done = run_bench(run, "against.py", str(folder), "--quick", seconds=to_seconds(prove=False))
    assert asked.read_text().split() == ["serve", "user", "token"]
    [titles, _line, *rows] = to_cells(done)
    assert titles == ["what", "bar", "other", "this code", ""]
    assert len(rows) == 10
    for (_what, _bar, other, this, _), (_, _, one, times, _) in zip(rows[::2], rows[1::2], strict=True):
        assert float(one) == 1
        assert float(times) == pytest.approx(float(this.strip("*").split()[0]) / float(other), rel=0.05)


def test_checkout_that_was_not_made_ready_is_said_to_be_none(run: Run, tmp_path: Path) -> None:
    done = run_bench(run, "against.py", str(tmp_path), seconds=10, may_fail=True)
    assert (done.returncode, done.stderr) == (2, f"There is no palaver in {tmp_path}: run `make install` there.\n")
