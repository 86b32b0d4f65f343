"""The question set is what bench/retrieval/README.md says of it."""

import re
from collections import Counter

import pytest
from bench.question_set import FOLDER, KINDS, LANGUAGES, Kind, Language, read_documents, read_questions

DOCUMENTS = read_documents()
QUESTIONS = read_questions()
LANGUAGE_OF = {document.name: document.language for document in DOCUMENTS}


def test_each_language_has_eighty_documents_of_eight_subjects() -> None:
    assert Counter(document.language for document in DOCUMENTS) == dict.fromkeys(LANGUAGES, 80)
    subjects = Counter((document.language, document.name.partition("-")[0]) for document in DOCUMENTS)
    assert set(subjects.values()) == {10}


def test_no_two_documents_or_questions_are_the_same() -> None:
    assert len({document.name for document in DOCUMENTS}) == len(DOCUMENTS)
    assert len({document.text for document in DOCUMENTS}) == len(DOCUMENTS)
    assert len({(question.after, question.text.casefold()) for question in QUESTIONS}) == len(QUESTIONS)


def test_each_document_is_short_and_has_a_title() -> None:
    for document in DOCUMENTS:
        assert document.text.startswith("# "), document.name
        assert 80 <= len(document.text.split()) <= 250, document.name


@pytest.mark.parametrize(
    ("kind", "least"), [("words", 30), ("paraphrase", 50), ("follow_up", 15), ("cross", 10), ("none", 8)]
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_questions_of_each_kind(language: Language, kind: Kind, least: int) -> None:
    asked = [question for question in QUESTIONS if (question.language, question.kind) == (language, kind)]
    assert len(asked) >= least


def test_each_question_names_a_document_that_is_there_or_is_one_that_nothing_answers() -> None:
    answered = [question for question in QUESTIONS if question.kind != "none"]
    assert {question.document for question in answered} <= LANGUAGE_OF.keys()
    assert not any(question.document for question in QUESTIONS if question.kind == "none")


def test_only_a_question_across_languages_is_asked_in_another_one_than_its_document() -> None:
    for question in (one for one in QUESTIONS if one.document):
        crosses = LANGUAGE_OF[question.document] != question.language
        assert crosses == (question.kind == "cross"), question.text


def test_only_a_follow_up_needs_what_was_asked_before() -> None:
    assert all(bool(question.after) == (question.kind == "follow_up") for question in QUESTIONS)


def test_readme_tells_the_numbers() -> None:
    told = (FOLDER / "README.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (\d+) \|$", told, re.MULTILINE))
    assert {kind: int(rows[kind]) for kind in KINDS} == Counter(question.kind for question in QUESTIONS)
