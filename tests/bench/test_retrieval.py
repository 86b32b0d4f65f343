"""What docs/knowledge.md says of how well passages are found holds: on the real store, cutting and search, with the
stand-in's hashes and with the encoder's vectors as they were written down."""

import re
import sys
from collections.abc import Mapping

import pytest
from bench.finding import Figures, to_figures
from bench.retrieval import WRITTEN, Column, encoding, hashing, measure, rows

from palaver.store import StoreOptions
from tests.journeys.pages import read_page, section
from tests.journeys.pages import rows as rows_of_page

# In hundredths. The page was measured with the encoder itself, whose vectors were written down rounded; more than this
# means that the search has changed.
OFF = 4

Figured = Mapping[str, Mapping[str, Figures]]


@pytest.fixture(scope="module")
async def columns(tmp_path_factory: pytest.TempPathFactory) -> list[Column]:
    options = StoreOptions(tmp_path_factory.mktemp("retrieval"))
    async with hashing() as hashes, encoding(sys.executable, "--read", WRITTEN) as encoder:
        return list(await measure(options, [hashes, encoder]))


@pytest.fixture(scope="module")
def figures(columns: list[Column]) -> Figured:
    """By row and column."""
    return {
        row: {column.title: to_figures([one for one in column.found if belongs(one.question)]) for column in columns}
        for row, belongs in rows()
    }


def test_both_together_find_more_than_each_alone(figures: Figured) -> None:
    for kind in ("`paraphrase`", "`follow_up`", "**all**"):
        both = figures[kind]["full text and encoder"]
        for alone in (figures[kind]["full text"], figures[kind]["encoder"]):
            assert both.recall > alone.recall, kind
            assert both.mrr > alone.mrr, kind


def test_what_is_asked_with_the_words_of_its_passage_is_always_found(figures: Figured) -> None:
    found = figures["`words`"]
    assert {found[column].recall for column in ("full text", "full text and hashes", "full text and encoder")} == {1}


def test_what_was_asked_before_does_little_harm_to_another_matter(columns: list[Column]) -> None:
    both = next(column for column in columns if column.title == "full text and encoder")
    later = [one for one in both.found if one.question.kind == "asked_later"]
    texts = {one.question.text for one in later}
    at_once = [one for one in both.found if one.question.text in texts and one.question.kind != "asked_later"]
    assert to_figures(later).recall >= to_figures(at_once).recall - 0.1


def test_page_tells_what_is_found(figures: Figured) -> None:
    table = rows_of_page(section(read_page("knowledge.md"), "How well it finds"))
    told = [cells for cells in table if cells[0] != "---"]
    header = ["", "questions", *figures["**all**"]]
    assert told[0] == header
    assert [cells[0] for cells in told[1:]] == list(figures)
    for row, questions, *cells in told[1:]:
        assert int(questions) == figures[row]["full text"].questions
        for found, cell in zip(figures[row].values(), cells, strict=True):
            recall, mrr = map(int, re.findall(r"\d+", cell))
            assert 100 * found.recall == pytest.approx(recall, abs=OFF), row
            assert 100 * found.mrr == pytest.approx(mrr, abs=OFF), row
