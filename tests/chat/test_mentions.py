"""Who is named in a message."""

import pytest

from palaver.chat.mentions import is_named


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ben", "@ben"),
        ("Ben", "hello @bEN, are you there?"),
        ("ben", "(@ben)"),
        ("ben", "I asked @ben."),
        ("ben", "@anna and\n@ben!"),
        ("b.en-1", "for @b.en-1, please"),
        ("ana@example.com", "@ana@example.com: hi"),
        ("u 81", "to @u 81"),
        ("straße", "@STRASSE"),
        ("c++", "@c++ is a bot"),
    ],
)
def test_name_is_found_as_a_word_of_its_own(name: str, text: str) -> None:
    assert is_named(name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ben", "ben"),
        ("ben", "@benjamin"),
        ("ben", "mail ben@ben.example"),
        ("ben", "@ben.jones"),
        ("ben", "@ben-2 or @ben_ or @ben+x"),
        ("ben", "@@ben"),
        ("ben", "@ ben"),
        (".*", "@anybody"),
    ],
)
def test_what_only_looks_like_it_names_nobody(name: str, text: str) -> None:
    assert not is_named(name, text)
