"""The benchmark of what limits, ledger and metrics cost works. What they cost, it alone tells."""

from tests.bench.started import run_bench, to_cells, to_seconds
from tests.parts.run import Run


def test_turns_are_taken_with_limits_ledger_and_metrics_and_without(run: Run) -> None:
    cells = to_cells(run_bench(run, "extras.py", "--quick", seconds=to_seconds(prove=False)))
    [costs] = [row for row in cells if row[0].startswith("stored turn")]
    assert all(float(cost) > 0 for cost in costs[2:6])
