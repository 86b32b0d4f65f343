"""What texts are found by, and what is shown of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.chat.words import (
    LOOKED_AT_IN_ALL,
    MOST_WANTED,
    SNIPPET,
    to_snippet,
    to_snippets,
    to_stem,
    to_terms,
    to_wanted,
    to_words,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The river, the RIVER!", ["the", "river"]),
        ("Öl im Café, Straße 7", ["ol", "im", "cafe", "strasse", "7"]),
        ("cafe\u0301", ["cafe"]),
        ("snake_case a-b x@y", ["snake", "case", "a", "b", "x", "y"]),
        ("Привет, МИР", ["привет", "мир"]),
        ("東京都 x", ["東京", "京都", "都", "x"]),
        ("ﬁn ①", ["fin", "1"]),
        ("'\" * & | ! ( ) : - \\ @ \t", []),
    ],
)
def test_words_are_without_case_accents_and_signs(text: str, words: list[str]) -> None:
    assert to_words(text) == words


@pytest.mark.parametrize(
    ("text", "wanted"), [("東京都", ["東京", "京都"]), ("東", ["東"]), ("", []), ("a b a", ["a", "b"])]
)
def test_what_is_wanted_is_what_the_text_itself_is_found_by(text: str, wanted: list[str]) -> None:
    assert to_wanted(text) == wanted


@pytest.mark.proof("knowledge")
@given(st.text(max_size=200))
def test_every_text_is_found_by_itself(text: str) -> None:
    words, wanted = to_words(text), to_wanted(text)
    assert len(wanted) <= MOST_WANTED
    assert all(any(word.startswith(one) for word in words) for one in wanted)
    assert all(word and word == "".join(filter(str.isalnum, word)) for word in words)


@pytest.mark.proof("knowledge")
@given(st.text(max_size=2000), st.text(max_size=20))
def test_snippet_is_a_line_of_the_text(text: str, sought: str) -> None:
    snippet = to_snippet(text, to_wanted(sought))
    assert "\n" not in snippet
    assert len(snippet) <= SNIPPET + 2
    assert snippet.strip("…") in " ".join(text.split()) or "…" in text


def test_snippet_shows_the_first_word_that_was_wanted() -> None:
    text = "so it goes " * 50 + "down to the Río and on " + "and on " * 50
    snippet = to_snippet(text, to_wanted("RIO"))
    assert "Río" in snippet
    assert snippet.startswith("…")
    assert snippet.endswith("…")
    assert to_snippet("all of it", to_wanted("nothing")) == "all of it"


@pytest.mark.parametrize(
    ("text", "sought", "shown"),
    [
        ("ﬃ½" * 60 + " Straße, Übermut", "ubermut", "Übermut"),
        ("ﬃ½" * 60 + " 東京都に行く tokyo", "京都", "京都に行く"),
        ("ﬃ½ " * 60 + "行くtokyo", "tok", "tokyo"),
        ("history " * 30 + "his story", "story", " story"),
    ],
)
def test_place_of_a_word_is_found_whatever_stands_before_it(text: str, sought: str, shown: str) -> None:
    snippet = to_snippet(text, to_wanted(sought))
    assert snippet.startswith("…")
    assert shown in snippet


def test_long_texts_are_looked_at_no_further_than_all_together_may_be() -> None:
    text = "é" * 5_000 + " needle " + "é" * 50_000
    assert all("needle" in snippet for snippet in to_snippets([text] * (LOOKED_AT_IN_ALL // 10_000), ["needle"]))
    snippets = to_snippets([text] * 100, ["needle"])
    assert snippets == ["é" * SNIPPET + "…"] * 100


@pytest.mark.parametrize(
    "forms",
    [
        ("document", "documents", "documento", "documenti"), ("install", "installs", "installed", "installing"),
        ("vertrag", "vertrage", "vertrags", "vertragen"), ("rechnung", "rechnungen"), ("fattura", "fatture"),
        ("compute", "computer", "computers", "computing"), ("invoice", "invoices", "invoiced"),
        ("cancel", "cancelled", "cancelling"),
    ],
)  # fmt: skip
def test_forms_of_a_word_have_one_stem(forms: tuple[str, ...]) -> None:
    assert len({to_stem(word) for word in forms}) == 1
    assert {to_stem(to_stem(word)) for word in forms} == {to_stem(forms[0])}


@pytest.mark.parametrize("word", ["", "a", "sea", "2026", "a1s", "京都", "москва", "ssss"])
def test_what_is_short_or_no_latin_word_is_its_own_stem(word: str) -> None:
    assert to_stem(word) == word


def test_terms_of_a_text_are_as_many_as_its_words() -> None:
    assert to_terms("Rivers and a river, the RIVERS") == ["river", "and", "a", "river", "the", "river"]
