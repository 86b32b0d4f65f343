"""How many tokens a text is, and what is learned of it from what servers report."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.chat.context import count_tokens
from palaver.chat.tokens import (
    COUNTED_AT_ONCE,
    LEAST,
    LEAST_COUNTED,
    MOST,
    MOST_MODELS,
    MOST_UP,
    REMEMBERED,
    UNLEARNED,
    Tokens,
    to_key,
)

GPT = to_key(None, "gpt-4")
COUNTED = 1000


class Words:
    """A tokenizer for which a word is a token."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def __call__(self, text: str) -> int:
        self.threads.append(threading.current_thread())
        return len(text.split())


@pytest.mark.parametrize("really", [0.6, 0.9, 1.0, 1.3, 2.5])
def test_factor_comes_to_what_the_server_makes_of_a_count(really: float) -> None:
    tokens = Tokens()
    for _ in range(40):
        tokens.learn(GPT, COUNTED, int(COUNTED * really))
    assert tokens.factor(GPT) == pytest.approx(really, rel=0.02)
    assert tokens.factor(to_key("echo", "gpt-4")) == UNLEARNED


@pytest.mark.proof("bots")
@given(reports=st.lists(st.tuples(st.integers(0, 10**6), st.integers(-(10**6), 10**12))))
def test_factor_stays_within_bounds_whatever_is_reported(reports: list[tuple[int, int]]) -> None:
    tokens = Tokens()
    for counted, reported in reports:
        before = tokens.factor(GPT)
        tokens.learn(GPT, counted, reported)
        assert LEAST <= tokens.factor(GPT) <= MOST
        assert tokens.factor(GPT) <= before * (1 + MOST_UP) + 1e-9


@pytest.mark.parametrize(("counted", "reported"), [(COUNTED, 0), (COUNTED, -5), (COUNTED, 10**12), (0, 7), (20, 60)])
def test_nonsense_and_prompts_too_short_to_tell_are_not_learned_from(counted: int, reported: int) -> None:
    tokens = Tokens()
    tokens.learn(GPT, counted, reported)
    assert tokens.factor(GPT) == UNLEARNED


def test_one_report_that_is_off_moves_little_and_is_forgotten() -> None:
    tokens = Tokens()
    for _ in range(40):
        tokens.learn(GPT, COUNTED, COUNTED)
    tokens.learn(GPT, COUNTED, 7 * COUNTED)
    assert tokens.factor(GPT) <= 1.16
    for _ in range(10):
        tokens.learn(GPT, COUNTED, COUNTED)
    assert tokens.factor(GPT) == pytest.approx(1.0, rel=0.02)


def test_ever_new_models_do_not_fill_the_memory() -> None:
    tokens = Tokens()
    for number in range(2 * MOST_MODELS):
        tokens.learn(to_key(None, f"model {number}"), LEAST_COUNTED, LEAST_COUNTED)
    assert len(tokens._factors) == MOST_MODELS
    assert tokens.factor(to_key(None, f"model {2 * MOST_MODELS - 1}")) < UNLEARNED


async def test_texts_are_estimated_until_a_tokenizer_is_ready_and_counted_from_then_on() -> None:
    tokens = Tokens()
    text = "seven little words are not eight tokens"
    assert await tokens.count(text) == tokens.count_standing(text) == count_tokens(text)
    tokens.use(Words())
    assert await tokens.count(text) == tokens.count_standing(text) == 7


async def test_long_texts_are_counted_in_a_thread_and_short_ones_are_not_sent_there() -> None:
    tokens, words = Tokens(), Words()
    tokens.use(words)
    long = "word " * COUNTED_AT_ONCE
    assert await tokens.count(long) == COUNTED_AT_ONCE
    assert await tokens.count("short") == 1
    assert [thread is threading.main_thread() for thread in words.threads] == [False, True]
    # What stands in every prompt must not hold up the turn.
    assert tokens.count_standing(long) == count_tokens(long)
    assert len(words.threads) == 2


async def test_what_stands_in_every_prompt_is_counted_once_and_not_remembered_without_end() -> None:
    tokens, words = Tokens(), Words()
    tokens.use(words)
    for _ in range(3):
        assert tokens.count_standing("Be kind.") == 2
    assert len(words.threads) == 1
    for number in range(2 * REMEMBERED):
        tokens.count_standing(f"Be kind {number}.")
    assert len(tokens._remembered) == REMEMBERED
