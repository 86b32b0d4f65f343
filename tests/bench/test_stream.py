"""The benchmark of streams in its smallest size: that it works and leaves nothing behind. It tells no cost."""

import pytest

from tests.bench.started import run_bench, to_cells, to_seconds
from tests.parts.run import Run

ROWS = (
    "piece in a burst, CPU µs, 1 listening",
    "piece in a burst, CPU µs, 2 listening",
    "- each further listener, burst, CPU µs a piece",
    "piece, 4 replies × 100 a second, CPU µs, 1 listening",
    "- delay added, ms, p50, 1 listening",
    "- delay added, ms, p99, 1 listening",
    "piece, 4 replies × 100 a second, CPU µs, 2 listening",
    "- delay added, ms, p50, 2 listening",
    "- delay added, ms, p99, 2 listening",
    "- each further listener, paced, CPU µs a piece",
    "6 replies × 30 a second, 0.3 s, one core, replies lost",
    "- share of the core",
    "- delay added, ms, p50, 1 listening",
    "- delay added, ms, p99, 1 listening",
    "20 replies started within a second, lost",
    "- asked for to first piece, ms, p99",
    "time to first piece added, ms, p50",
    "time to first piece added, ms, p99",
    "reply of 500 tokens, at once, bytes × its text",
    "reply of 500 tokens, 500 a second, bytes × its text",
    "reply of 20 tokens, 100 a second, bytes × its text",
    "idle WebSocket, KiB, from 10 to 50",
    "piece over two servers, 4 replies × 100 a second, CPU µs of both, 1 listening",
    "- delay added, ms, p50, 1 listening",
    "- delay added, ms, p99, 1 listening",
    "piece over two servers, 4 replies × 100 a second, CPU µs of both, 2 listening",
    "- delay added, ms, p50, 2 listening",
    "- delay added, ms, p99, 2 listening",
)


@pytest.fixture(scope="module")
def table(run: Run, prove: bool) -> list[list[str]]:
    """Its lines, divided into cells."""
    done = run_bench(run, "stream.py", "--quick", seconds=to_seconds(prove=prove))
    assert "lost:" not in done.stderr, done.stderr
    return to_cells(done)


def test_table_has_a_column_for_the_floor_and_for_each_of_ours(table: list[list[str]]) -> None:
    assert table[0] == [
        "what",
        "bar",
        "floor, SSE",
        "floor, WebSocket",
        "ours, SSE",
        "ours, WebSocket, full_content=0",
        "ours, WebSocket",
        "PostgreSQL's and Redis's own",
    ]


def test_table_has_all_rows(table: list[list[str]]) -> None:
    assert tuple(row[0] for row in table[2:]) == ROWS


def test_each_figure_is_a_number(table: list[list[str]]) -> None:
    figures = [cell.strip("*").split()[0] for row in table[2:] for cell in row[2:7] if cell != "not measured"]
    assert [float(figure) for figure in figures]


def test_no_reply_is_lost(table: list[list[str]]) -> None:
    counts = [row[4:6] for row in table if row[0].endswith("lost")]
    assert counts == [["0 met", "0 met"]] * 2
