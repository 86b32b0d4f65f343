"""docs/security.md answers every requirement of ASVS 5.0.0, levels 1 and 2, and each test that it names is there."""

import ast
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()

# How many requirements of levels 1 and 2 each section has. They are numbered from 1, those of level 3 come last or
# are named below.
SECTIONS = {
    "1.1": 2, "1.2": 9, "1.3": 11, "1.4": 3, "1.5": 2,
    "2.1": 3, "2.2": 3, "2.3": 4, "2.4": 1,
    "3.2": 2, "3.3": 4, "3.4": 6, "3.5": 5, "3.7": 2,
    "4.1": 3, "4.2": 1, "4.3": 2, "4.4": 4,
    "5.1": 1, "5.2": 3, "5.3": 2, "5.4": 3,
    "6.1": 3, "6.2": 12, "6.3": 4, "6.4": 4, "6.5": 5, "6.6": 3, "6.8": 4,
    "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 2, "7.6": 2,
    "8.1": 2, "8.2": 3, "8.3": 1, "8.4": 1,
    "9.1": 3, "9.2": 4,
    "10.1": 2, "10.2": 2, "10.3": 4, "10.4": 11, "10.5": 5, "10.6": 2, "10.7": 3,
    "11.1": 2, "11.2": 3, "11.3": 3, "11.4": 4, "11.5": 1, "11.6": 1,
    "12.1": 3, "12.2": 2, "12.3": 4,
    "13.1": 1, "13.2": 5, "13.3": 2, "13.4": 5,
    "14.1": 2, "14.2": 4, "14.3": 3,
    "15.1": 3, "15.2": 3, "15.3": 7,
    "16.1": 1, "16.2": 5, "16.3": 4, "16.4": 3, "16.5": 3,
    "17.1": 1, "17.2": 4, "17.3": 2,
}  # fmt: skip
NUMBERS = [f"{section}.{number}" for section, most in SECTIONS.items() for number in range(1, most + 1)]

LINE = re.compile(r"^\| (\d+\.\d+)\.(\d+)(?:–\1\.(\d+))? \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"`([a-z_/]+/test_\w+\.py)::(test_\w+)`")
NAMED = re.compile(r"\.py::")


def answers() -> list[tuple[str, str]]:
    """Each number with what is said of it, as they come."""
    return [
        (f"{section}.{number}", how)
        for section, first, last, _, how in LINE.findall(PAGE)
        for number in range(int(first), int(last or first) + 1)
    ]


@cache
def names_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


STATES: dict[str, Callable[[str], bool]] = {
    "shown by a test": lambda how: TEST.match(how) is not None,
    "said on a page": lambda how: how.startswith("page: ") and (ROOT / how.removeprefix("page: ")).is_file(),
    "not applicable": lambda how: how.startswith("not applicable: "),
    "open": lambda how: how.startswith("open: "),
}


def test_every_requirement_is_answered_once_and_in_order() -> None:
    assert len(NUMBERS) == 253
    assert [number for number, _ in answers()] == NUMBERS


def test_every_answer_is_one_of_four_kinds() -> None:
    kinds = [(number, [state for state, is_so in STATES.items() if is_so(how)]) for number, how in answers()]
    assert [number for number, found in kinds if len(found) != 1] == []


@pytest.mark.parametrize(("file", "name"), sorted(set(TEST.findall(PAGE))))
def test_test_that_the_page_names_is_there(file: str, name: str) -> None:
    assert name in names_in(file)


def test_no_test_is_named_in_another_form() -> None:
    assert len(NAMED.findall(PAGE)) == len(TEST.findall(PAGE))


def test_page_counts_what_it_says() -> None:
    counted = Counter(state for _, how in answers() for state, is_so in STATES.items() if is_so(how))
    said = {state: int(number) for number, state in re.findall(r"^\| (\d+) \| ([a-z ]+) \|$", PAGE, re.MULTILINE)}
    assert said == dict(counted)
