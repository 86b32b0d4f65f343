"""The documents and questions that finding is measured by: `bench/retrieval/*.toml`, written for the project.

Documents come in tens that share a subject and differ in facts, so that the subject alone finds the wrong one. The
languages are mixed in one collection, as in many a firm.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

Language = Literal["en", "de", "it"]
Kind = Literal["words", "paraphrase", "follow_up", "cross", "none", "asked_later"]

LANGUAGES: tuple[Language, ...] = get_args(Language)
# Those that the files have.
KINDS: tuple[Kind, ...] = ("words", "paraphrase", "follow_up", "cross", "none")
EVERY = 3
FOLDER = Path(__file__).parent / "retrieval"

T = TypeVar("T")

_Text = Annotated[str, Meta(min_length=1)]


class Document(Struct, frozen=True):
    """Markdown."""

    name: str
    language: Language
    text: str


class Question(Struct, frozen=True):
    """`document` is the name of the one that answers it, empty where none does; `after` is what was asked before."""

    text: str
    language: Language
    kind: Kind
    document: str = ""
    after: str = ""


class _FollowUp(Struct, frozen=True, forbid_unknown_fields=True):
    after: _Text
    document: _Text = msgspec.field(name="in")


class _Questions(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of them; each is the key of what answers it."""

    none: list[_Text]
    words: dict[_Text, _Text]
    paraphrase: dict[_Text, _Text]
    follow_up: dict[_Text, _FollowUp]
    cross: dict[_Text, _Text]


def read_documents() -> Sequence[Document]:
    return [
        Document(name, language, text)
        for language in LANGUAGES
        for name, text in _read(f"documents.{language}.toml", dict[_Text, _Text]).items()
    ]


def read_questions() -> Sequence[Question]:
    return [question for language in LANGUAGES for question in _read_questions(language)]


def asked_later(questions: Sequence[Question]) -> Sequence[Question]:
    """Some of them, each after one that is about something else: what was asked before is to do no harm."""
    later = []
    for language in LANGUAGES:
        whole = [one for one in questions if one.language == language and one.kind in ("words", "paraphrase")]
        for place in range(0, len(whole), EVERY):
            before = whole[(place + len(whole) // 3) % len(whole)]
            later.append(replace(whole[place], kind="asked_later", after=before.text))
    return later


def _read_questions(language: Language) -> Sequence[Question]:
    told = _read(f"questions.{language}.toml", _Questions)
    plain: dict[Kind, dict[str, str]] = {"words": told.words, "paraphrase": told.paraphrase, "cross": told.cross}
    return [
        *(Question(text, language, kind, document) for kind, some in plain.items() for text, document in some.items()),
        *(Question(text, language, "follow_up", one.document, one.after) for text, one in told.follow_up.items()),
        *(Question(text, language, "none") for text in told.none),
    ]


def _read(file: str, type_: type[T]) -> T:
    return msgspec.convert(tomllib.loads((FOLDER / file).read_text()), type_)
