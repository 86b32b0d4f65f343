"""The optional tokenizer, as it is installed with `palaver[tokens]`."""

import logging

import pytest

from palaver.bots import tokenizer
from palaver.bots.tokenizer import load_tokenizer, use_tokenizer
from palaver.chat.tokens import Tokens

# What the package itself uses. It is read once in a process.
pytestmark = pytest.mark.filterwarnings("ignore:open_binary is deprecated")

# As OpenAI's cookbook counts them for gpt-4o.
KNOWN = [("antidisestablishmentarianism", 6), ("2 + 2 = 4", 7), ("お誕生日おめでとう", 8), ("", 0)]


@pytest.mark.parametrize(("text", "tokens"), KNOWN)
def test_counts_as_openai_does(text: str, tokens: int) -> None:
    assert load_tokenizer()(text) == tokens


@pytest.mark.parametrize("text", ["\ud800", "<|endoftext|>", "\0", "a" * 100_000, "👋🏽" * 1000])
def test_counts_whatever_a_person_may_have_written(text: str) -> None:
    assert load_tokenizer()(text) > 0


async def test_is_in_use_once_its_vocabulary_is_there() -> None:
    tokens = Tokens()
    await use_tokenizer(tokens)
    assert await tokens.count("Hello world") == 2


async def test_another_package_of_its_name_leaves_the_estimates(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tokenizer, "PACKAGE", "json")
    tokens = Tokens()
    with caplog.at_level(logging.ERROR):
        await use_tokenizer(tokens)
    assert "Tokens are estimated: json cannot be used" in caplog.text
    assert await tokens.count("Hello world") == 3


async def test_without_it_tokens_are_estimated_and_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tokenizer, "PACKAGE", "not_installed_here")
    tokens = Tokens()
    with caplog.filtering(logging.Filter("palaver")):
        await use_tokenizer(tokens)
    assert await tokens.count("Hello world") == 3
    assert caplog.text == ""
