import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.bots.dummy import DummyBot
from palaver.chat.pieces import Finished

from .asking import hear, to_prompt


@pytest.mark.proof("bots")
@given(st.text())
async def test_says_the_prompt_in_upper_case_to_the_last_blank(message: str) -> None:
    assert (await hear(DummyBot(), to_prompt(message))).text == message.upper()


async def test_says_it_word_by_word() -> None:
    heard = await hear(DummyBot(), "  Wie hoch\tist die\n\nSteuer auf Brötchen? 🥐 ")
    assert heard.texts == ["  ", "WIE ", "HOCH\t", "IST ", "DIE\n\n", "STEUER ", "AUF ", "BRÖTCHEN? ", "🥐 "]


async def test_ends_with_the_prompt_in_its_details() -> None:
    assert (await hear(DummyBot(), "Hello")).finished == Finished(details={"dummy": "Hello"})
