"""Passages are pieces of the text: whole, in order, not too long, and cut where a reader would cut."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.chat.context import count_tokens
from palaver.chat.knowledge import Cut, Sizes
from palaver.knowledge.blocks import Block, clean, to_text
from palaver.knowledge.cutting import LONGEST_PATH, cut
from tests.knowledge.reading import to_text as without_overlaps

TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="ab .\n。ä字", max_size=400),
    st.builds(
        lambda word, times: word * times, st.sampled_from(["word ", "Ende. ", "字", "😀", "x"]), st.integers(1, 500)
    ),
)
BLOCKS = st.lists(
    st.builds(
        Block,
        st.sampled_from(["heading", "paragraph", "code", "row"]),
        TEXTS,
        level=st.integers(1, 6),
        page=st.one_of(st.none(), st.integers(1, 4)),
        head=st.booleans(),
    ),
    max_size=12,
)
SIZES = st.builds(Sizes, st.integers(20, 200), st.integers(0, 120), st.sampled_from(["tokens", "characters"]))


def measure(text: str, sizes: Sizes) -> int:
    return count_tokens(text) if sizes.unit == "tokens" else len(text)


@pytest.mark.proof("knowledge")
@given(BLOCKS, SIZES)
def test_passages_without_their_overlaps_are_the_whole_text(given_blocks: Sequence[Block], sizes: Sizes) -> None:
    blocks = list(clean(given_blocks))
    text = to_text(blocks)
    cuts = list(cut(blocks, sizes))
    assert without_overlaps(cuts) == text
    for number, made in enumerate(cuts):
        assert made.number == number
        assert made.text == text[made.start : made.end]
        assert measure(made.text, sizes) <= sizes.most
        assert len(made.heading) <= LONGEST_PATH
    for one, other in pairwise(cuts):
        assert one.start <= other.start <= one.end < other.end
        assert measure(text[other.start : one.end], sizes) <= sizes.overlap + 1


@pytest.mark.proof("knowledge")
@given(BLOCKS)
def test_what_comes_out_of_a_document_is_what_every_database_takes(given_blocks: Sequence[Block]) -> None:
    text = to_text(clean(given_blocks))
    assert "\x00" not in text
    assert text.encode().decode() == text


def paragraphs(count: int) -> list[Block]:
    return [
        Block("paragraph", f"Paragraph {number} says something. " + "It goes on a little. " * 6)
        for number in range(count)
    ]


def cut_all(blocks: Sequence[Block], sizes: Sizes) -> list[Cut]:
    return list(cut(clean(blocks), sizes))


def test_chat_flows_sizes_give_passages_of_500_characters_with_150_of_the_one_before() -> None:
    cuts = cut_all([Block("paragraph", "word " * 1000)], Sizes(500, 150, "characters"))
    lengths = [len(one.text) for one in cuts[:-1]]
    assert min(lengths) > 480
    assert max(lengths) <= 500
    overlaps = [one.end - other.start for one, other in pairwise(cuts)]
    assert min(overlaps) >= 140
    assert max(overlaps) <= 150


def test_a_heading_begins_a_passage_and_names_those_below_it() -> None:
    blocks = [
        Block("heading", "Handbook", 1),
        Block("heading", "Holidays", 2),
        Block("paragraph", "Everybody has thirty days."),
        Block("heading", "In the first year", 3),
        Block("paragraph", "They grow by the month."),
        Block("heading", "Travel", 2),
        Block("paragraph", "By train."),
    ]
    assert [(one.heading, one.text.strip()) for one in cut_all(blocks, Sizes())] == [
        ("Handbook › Holidays", "Handbook\n\nHolidays\n\nEverybody has thirty days."),
        ("Handbook › Holidays › In the first year", "In the first year\n\nThey grow by the month."),
        ("Handbook › Travel", "Travel\n\nBy train."),
    ]


def test_a_heading_is_no_passage_by_itself_however_long_the_sentence_behind_it() -> None:
    blocks = [Block("heading", "A heading of some length", 1), Block("paragraph", "word " * 39 + "end.")]
    first, *_ = cut_all(blocks, Sizes(200, 0, "characters"))
    assert "word word" in first.text


def test_a_paragraph_stays_whole_where_it_can() -> None:
    cuts = cut_all(paragraphs(20), Sizes(400, 0, "characters"))
    assert all(one.text.startswith("Paragraph") and one.text.rstrip().endswith("little.") for one in cuts)


def test_a_passage_begins_with_whole_words_of_the_one_before() -> None:
    for one in cut_all(paragraphs(20), Sizes(400, 90, "characters"))[1:]:
        assert one.text[:10].split(" ")[0] in {"Paragraph", "says", "something.", "It", "goes", "on", "a", "little."}


def test_rows_of_a_table_are_whole_and_stand_under_the_names_of_its_columns() -> None:
    rows = [Block("row", "Name | Price", head=True), *(Block("row", f"Item {n} | {n}.00") for n in range(100))]
    cuts = cut_all([Block("heading", "Prices", 1), *rows], Sizes(200, 40, "characters"))
    assert cuts[0].heading == "Prices"
    assert {one.heading for one in cuts[1:]} == {"Prices › Name | Price"}
    assert all(line.count(" | ") == 1 for one in cuts[1:] for line in one.text.split("\n") if line)


def test_the_names_of_a_tables_columns_do_not_stand_over_the_next_table() -> None:
    first = [Block("row", "Name | Price", head=True), Block("row", "Tea | 2")]
    second = [Block("row", f"{n} | x") for n in range(80)]
    cuts = cut_all([*first, Block("paragraph", "Between."), *second], Sizes(100, 0, "characters"))
    assert cuts[-1].heading == ""


def test_code_is_cut_between_lines() -> None:
    code = "\n".join(f"    value_{number} = compute({number})" for number in range(100))
    for one in cut_all([Block("code", code)], Sizes(300, 60, "characters")):
        assert all(line.startswith("    value_") for line in one.text.split("\n") if line)


def test_a_page_begins_a_passage_and_is_kept_with_it() -> None:
    blocks = [Block("paragraph", f"What stands on page {page}.", page=page) for page in (1, 2, 2, 3)]
    assert [one.page for one in cut_all(blocks, Sizes())] == [1, 2, 3]


@pytest.mark.parametrize("text", ["x" * 5000, "字" * 5000, "😀" * 3000, "é" * 5000])
def test_a_word_that_is_longer_than_a_passage_is_cut_through(text: str) -> None:
    cuts = cut_all([Block("paragraph", text)], Sizes(100, 20))
    assert without_overlaps(cuts) == text
    assert all(50 <= count_tokens(one.text) <= 100 for one in cuts[:-1])
