"""The benchmark of what limits, ledger and metrics cost works. What they cost, it alone tells."""

from tests.bench.started import run_bench, to_cells, to_seconds
from tests.parts.run import Run


def test_turns_are_taken_with_limits_ledger_and_metrics_and_without(run: Run) -> None:
    cells = to_cells(run_bench(run, "extras.py", "--quick", seconds=to_seconds(prove=False)))
    [whole] = [row for row in cells if row[0].startswith("stored turn")]
    [bare] = [row for row in cells if row[0].startswith("- without")]
    assert all(float(cost) > 0 for cost in (*whole[2:5], *bare[2:5]))
