"""Everything at once for some seconds: nothing breaks. And for half an hour under `make prove`: nothing grows."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from bench.soak import MAY_GROW, MINUTES, Sample, Soaked

from tests.bench.started import run_bench, to_cells
from tests.parts.run import Run
from tests.promises import Measured

SMALL_MINUTES = 0.1
SECONDS = 120

KINDS = ("turns", "streams", "sockets", "reads", "messages to people", "stops")


@pytest.mark.proof("load")
def test_server_that_is_used_in_every_way_at_once_holds_no_more_in_the_end(
    prove: bool, measured: Measured, run: Run, tmp_path: Path
) -> None:
    minutes = MINUTES if prove else SMALL_MINUTES
    picture = tmp_path / "soak.svg"
    arguments = ("--minutes", str(minutes), "--picture", str(picture))
    done = run_bench(run, "soak.py", *arguments, seconds=60 * minutes + SECONDS, may_fail=True)
    counts = re.findall(r"([\d,]+) ([a-z ]+)[,.]", done.stdout.partition("minutes: ")[2])
    assert {kind for _, kind in counts} == set(KINDS), done.stdout + done.stderr
    measured("everything at once, minutes", minutes, "")
    measured(
        "turns, streams, sockets, reads, messages and stops", sum(int(one.replace(",", "")) for one, _ in counts), ""
    )
    for what, *_, growth, may_be in to_cells(done)[2:]:
        measured(f"{what}: grown in the second half", growth, f"(may be {may_be})")
    # Only now: what it came to is wanted most where it does not hold. In seconds it cannot be told what grows from what
    # is still warming up.
    assert "Broken: none." in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0 or not prove, done.stdout + done.stderr
    assert ElementTree.fromstring(picture.read_text()) is not None


def test_what_grows_is_found_and_what_comes_and_goes_is_not() -> None:
    level = dict.fromkeys(MAY_GROW, 50.0)
    leaking = [Sample(second, {**level, "descriptors": 50 + second / 10}) for second in range(1000)]
    breathing = [Sample(second, {**level, "tasks": 50 + second % 60}) for second in range(1000)]
    assert Soaked(leaking, {}, {}).grown == ["descriptors"]
    assert Soaked(breathing, {}, {}).grown == []
    assert "| descriptors | 50.0 | 100.0 | 149.9 | +49.9 | 20 |" in Soaked(leaking, {"turns": 3}, {}).to_markdown()
