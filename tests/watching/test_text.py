"""Numbers as Prometheus reads them."""

import pytest

from palaver.watching.board import board
from palaver.watching.series import FAMILIES, Counters, Gauges, Histograms
from palaver.watching.text import render
from tests.parts.metrics import Metrics


@pytest.fixture(autouse=True)
def _own_families(monkeypatch: pytest.MonkeyPatch) -> None:
    own: list[object] = []
    monkeypatch.setattr("palaver.watching.series.FAMILIES", own)
    monkeypatch.setattr("palaver.watching.text.FAMILIES", own)


def test_bounds_hold_what_is_equal_to_them_and_what_lies_below() -> None:
    spread = Histograms("test_seconds", "Of a test.", (1, 2, 4), ("api",))
    for value in (0.5, 1, 1.5, 4, 5):
        spread.of["a"].observe(value)
    told = Metrics(render({"1": board.read()}))
    assert told.of("test_seconds_bucket") == {
        'test_seconds_bucket{api="a",le="1"}': 2,
        'test_seconds_bucket{api="a",le="2"}': 3,
        'test_seconds_bucket{api="a",le="4"}': 4,
        'test_seconds_bucket{api="a",le="+Inf"}': 5,
    }
    assert (told['test_seconds_count{api="a"}'], told['test_seconds_sum{api="a"}']) == (5, 12)
    assert told.types == {"test_seconds": "histogram"}


def test_whole_number_that_something_is_set_to_is_told_as_one() -> None:
    sizes = Gauges("test_bytes", "Of a test.", ("of",))
    sizes.of["a"].set(7)
    sizes.of["b"].add(0.5)
    assert Metrics(render({"1": board.read()})).samples == {'test_bytes{of="a"}': 7, 'test_bytes{of="b"}': 0.5}


def test_workers_are_added_up_or_told_one_by_one() -> None:
    Counters("test_turns_total", "Of a test.", ("api",))
    workers = {"1": {'test_turns_total{api="a"}': 1.0}, "2": {'test_turns_total{api="a"}': 2.5, "unknown_total": 1.0}}
    assert Metrics(render(workers)).samples == {'test_turns_total{api="a"}': 3.5}
    assert Metrics(render(workers, by_worker=True)).samples == {
        'test_turns_total{worker="1",api="a"}': 1,
        'test_turns_total{worker="2",api="a"}': 2.5,
    }


def test_label_may_hold_what_the_format_uses_itself() -> None:
    Counters("test_escaped_total", "Of a test.", ("why",)).of['a "b"\n\\'].add()
    assert Metrics(render({"1": board.read()})).samples == {r'test_escaped_total{why="a \"b\"\n\\"}': 1}


def test_every_family_is_named_as_its_kind_wants() -> None:
    assert [family.name for family in FAMILIES if (family.kind == "counter") != family.name.endswith("_total")] == []
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
