"""The benchmark in its smallest size: that it works and leaves nothing behind. What things cost, it alone tells."""

import pytest

from tests.bench.started import run_bench, to_cells, to_seconds
from tests.parts.run import Run

ROWS = (
    "first start to ready, s",
    "start to ready, s",
    "memory at rest, MiB (PSS)",
    "installed, MiB",
    "stored turn, CPU ms, 1 at once",
    "stored turn, CPU ms, 16 at once",
    "stored turn, CPU ms, 64 at once",
    "- times the floor, 1 at once",
    "- times the floor, 16 at once",
    "- times the floor, 64 at once",
    "latency added to the model's, ms, p50, 1 at once",
    "latency added to the model's, ms, p99, 1 at once",
    "latency added to the model's, ms, p50, 16 at once",
    "latency added to the model's, ms, p99, 16 at once",
    "written to disk per turn, KiB, 1 at once",
    "written to disk per turn, KiB, 16 at once",
    "handed to write() per turn, KiB, 1 at once (wchar, sockets too)",
    "turn in a conversation of 10 messages, CPU ms",
    "- of 1,000 messages, times that",
    "- of 10,000 messages, times that",
)


@pytest.fixture(scope="module")
def table(run: Run, prove: bool) -> list[list[str]]:
    """Its lines, divided into cells. The baseline, which needs packages of its own, is left out."""
    done = run_bench(run, "turn.py", "--quick", "--without-baseline", seconds=to_seconds(prove=prove))
    return to_cells(done)


def test_table_has_a_column_for_the_floor_and_for_each_of_ours(table: list[list[str]]) -> None:
    assert table[0] == ["what", "bar", "floor", "ours, SQLite", "ours, PostgreSQL", "baseline", "PostgreSQL's own"]


def test_table_has_all_rows(table: list[list[str]]) -> None:
    assert tuple(row[0] for row in table[2:]) == ROWS


def test_each_figure_of_the_floor_and_of_ours_is_a_number(table: list[list[str]]) -> None:
    figures = [cell.strip("*").split()[0] for row in table[2:] for cell in row[2:5]]
    assert [float(figure) for figure in figures]


def test_bars_are_judged(table: list[list[str]]) -> None:
    judged = [cell for row in table[2:] if row[1] for cell in row[3:5]]
    assert judged
    assert all(cell.strip("*").endswith(("met", "missed")) for cell in judged)
