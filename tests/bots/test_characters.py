import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.bots.characters import join_halves, to_plain

ANYTHING = st.text(alphabet=st.characters(exclude_categories=()) | st.sampled_from("\ud83d\ude00a"))


@pytest.mark.proof("bots")
@given(ANYTHING)
def test_plain_text_can_always_be_kept_and_sent(text: str) -> None:
    plain = to_plain(text)
    assert plain.encode().decode() == plain
    assert "\0" not in plain
    assert to_plain(plain) == plain


@pytest.mark.proof("bots")
@given(st.text().filter(lambda text: "\0" not in text))
def test_good_text_stays_as_it_is(text: str) -> None:
    assert to_plain(text) == text


def test_second_half_is_waited_for() -> None:
    assert join_halves("a\ud83d") == ("a", "\ud83d")
    assert join_halves("a\ud83d\ude00") == ("a😀", "")
