"""The page of what is promised says what was tried, and everything that is tried at full size stands on it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.statistics import collector, describe_statistics
from scripts.promises import TARGET, to_page

from tests.parts.run import Run
from tests.promises import GROUPS, TRIES, Figure, Promise, Try, find_promises, find_unmarked, read_tries
from tests.proving import MEASURED, Recorder, count_examples, to_recorder

PROMISES = find_promises()
HERE = "tests/meta/test_promises.py"


def test_page_is_what_was_tried(run: Run) -> None:
    # Before this run: the page is made anew when all was.
    assert to_page(PROMISES, read_tries(run.folder / TRIES.name)) == TARGET.read_text(), "Run `make promises`"


def test_every_try_is_of_something_that_is_promised() -> None:
    assert {one.test for one in read_tries()} - {promise.test for promise in PROMISES} == set()


def test_every_test_with_a_full_size_says_what_it_proves() -> None:
    assert find_unmarked() == [], "Mark it @pytest.mark.proof(group); groups are those of tests/promises.py"


def test_every_promise_has_a_place_on_the_page() -> None:
    assert {promise.test: promise.group for promise in PROMISES if promise.group not in GROUPS} == {}


# Keeping


PROMISED = PROMISES[0].test
Reports = Sequence[tuple[Literal["setup", "call", "teardown"], Literal["passed", "failed"]]]

FINE: Reports = [("setup", "passed"), ("call", "passed"), ("teardown", "passed")]
FAILED: Reports = [("setup", "passed"), ("call", "failed"), ("teardown", "passed")]
NEVER_BEGAN: Reports = [("setup", "failed"), ("teardown", "passed")]
UNTIDY: Reports = [("setup", "passed"), ("call", "passed"), ("teardown", "failed")]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "promises.jsonl"


def tell(file: Path, case: str, reports: Reports) -> None:
    recorder = Recorder("7", file)
    for when, outcome in reports:
        properties = [] if when == "setup" else [(MEASURED, ["kills", 200, ""])]
        recorder.pytest_runtest_logreport(
            pytest.TestReport(case, (case, 1, case), {}, outcome, None, when, user_properties=properties, duration=1)
        )


@pytest.mark.parametrize(("reports", "held"), [(FINE, True), (FAILED, False), (NEVER_BEGAN, False), (UNTIDY, False)])
def test_promise_is_held_where_all_of_its_test_went_well(file: Path, reports: Reports, held: bool) -> None:
    tell(file, f"{PROMISED}[sqlite]", reports)
    [kept] = read_tries(file)
    assert (kept.test, kept.parameters, kept.held, kept.seconds) == (PROMISED, "sqlite", held, len(reports))
    assert (kept.seed, kept.figures) == ("7", (Figure("kills", 200, ""),))


def test_promise_whose_test_took_its_worker_with_it_has_failed(file: Path) -> None:
    # As xdist tells it.
    report: Any = pytest.TestReport(PROMISED, (HERE, None, HERE), {}, "failed", "crashed", "call")
    report.when = "???"
    Recorder("7", file).pytest_runtest_logreport(report)
    assert [one.held for one in read_tries(file)] == [False]


def test_what_was_not_tried_keeps_what_it_had(file: Path) -> None:
    tell(file, f"{PROMISED}[sqlite]", FAILED)
    tell(file, f"{PROMISED}[postgres]", FINE)
    before = read_tries(file)
    tell(file, f"{PROMISED}[sqlite]", FINE)
    postgres, sqlite = read_tries(file)
    assert postgres == before[0]
    assert (before[1].held, sqlite.held) == (False, True)


def test_test_that_promises_nothing_is_not_kept(file: Path) -> None:
    tell(file, f"{HERE}::test_anything", FINE)
    assert not file.exists()


def test_only_a_full_run_is_kept() -> None:
    assert to_recorder({}) is None
    assert to_recorder({"PALAVER_PROVE": "0"}) is None
    assert to_recorder({"PALAVER_PROVE": "1", "PALAVER_SEED": "7"}) is not None


def test_examples_are_counted_as_hypothesis_tells_of_them() -> None:
    told: list[str] = []
    heard: Any = collector

    @settings(max_examples=30, database=None)
    @given(st.integers())
    def hold(_: int) -> None:
        """Whatever it is."""

    with heard.with_value(lambda statistics: told.append(describe_statistics(statistics))):
        hold()
    assert [count_examples(text) for text in told] == [30]


# The page


def tried(parameters: str, *, held: bool = True, date: str = "2026-11-26", figures: Sequence[Figure] = ()) -> Try:
    return Try(f"tests/test_a.py::test_a[{parameters}]", held, date, 30.0, "7", 1.0, tuple(figures))


KILLS = Promise("tests/test_a.py::test_a", "words", "Nothing is lost", "Whoever is killed.")
OTHER = Promise("tests/test_b.py::test_b", "faults", "Nobody waits", "")


def test_promise_that_did_not_hold_stands_at_the_top() -> None:
    page = to_page([OTHER, KILLS], [tried("sqlite"), tried("postgres", held=False)])
    top, _, rows = page.partition("## ")
    assert "2 promises: 0 held when they were last tried, 1 did not, 1 were not tried" in top
    assert "- Nothing is lost: `tests/test_a.py::test_a`" in top
    assert "**Failed** (postgres on 2026-11-26 with seed 7)" in rows
    assert "Not tried at full size yet" in rows


def test_promise_says_how_it_was_tried_and_when() -> None:
    kills = Figure("kills", 2000, "")
    alike = to_page([KILLS], [tried("sqlite", figures=[kills]), tried("postgres", figures=[kills], date="2026-11-27")])
    assert "**Nothing is lost.** Whoever is killed.  \nHeld from 2026-11-26 to 2026-11-27, 2 cases, 60 s" in alike
    assert "\nkills: 2,000.  \n`tests/test_a.py::test_a`\n" in alike
    each = to_page([KILLS], [tried("sqlite", figures=[kills]), tried("postgres", figures=[Figure("kills", 7, "")])])
    assert "\n(sqlite) kills: 2,000.  \n(postgres) kills: 7.  \n" in each


# The finders themselves


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "tests").mkdir()
    return tmp_path


def test_promise_is_found_by_its_own_mark_or_its_file_s(root: Path) -> None:
    (root / "tests" / "test_a.py").write_text(
        'pytestmark = pytest.mark.proof("words")\n\ndef test_nothing_is_lost():\n    """Ever.\n\n    Or so."""\n\n'
        '@pytest.mark.proof("faults")\nasync def test_nobody_waits(): ...\n\ndef other(): ...\n'
    )
    (root / "tests" / "test_b.py").write_text("def test_something(): ...\n")
    (root / "tests" / "test_c.py").write_text(
        'pytestmark = [pytest.mark.usefixtures("llm"), pytest.mark.proof("words")]\n\n'
        "def test_nothing_is_doubled(): ...\n"
    )
    assert find_promises(root) == [
        Promise("tests/test_a.py::test_nothing_is_lost", "words", "Nothing is lost", "Ever."),
        Promise("tests/test_a.py::test_nobody_waits", "faults", "Nobody waits", ""),
        Promise("tests/test_c.py::test_nothing_is_doubled", "words", "Nothing is doubled", ""),
    ]


def test_test_that_has_a_full_size_and_no_mark_is_found(root: Path) -> None:
    (root / "tests" / "test_a.py").write_text(
        "def test_one(prove): ...\n\nasync def test_two(a, *, measured): ...\n\ndef test_three(a): ...\n\n"
        "@given(a=1)\ndef test_four(a): ...\n\n@pytest.mark.proof('words')\n@given(a=1)\ndef test_five(a, prove): ...\n"
    )
    assert find_unmarked(root) == [f"tests/test_a.py::test_{name}" for name in ("one", "two", "four")]
