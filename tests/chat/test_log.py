"""The log of a reply against plain text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.chat.log import ReplyLog

PIECES = st.lists(st.text(max_size=5), max_size=30)


@pytest.mark.proof("streams")
@given(pieces=PIECES)
def test_log_holds_all_that_was_said(pieces: list[str]) -> None:
    log = ReplyLog()
    for piece in pieces:
        log.append(piece)
    assert log.length == len("".join(pieces))
    assert log.text() == "".join(pieces)


@pytest.mark.proof("streams")
@given(pieces=PIECES, position=st.integers(0, 200), reads=st.lists(st.integers(0, 30)))
def test_what_was_said_since_a_position_is_what_plain_text_says(
    pieces: list[str], position: int, reads: list[int]
) -> None:
    log, said = ReplyLog(), ""
    for index, piece in enumerate(pieces):
        log.append(piece)
        said += piece
        if index in reads:
            # Reading it whole merges it; what comes after must not notice.
            assert log.text() == said
        assert log.since(position) == said[position:]
        assert [log.since(start) for start in range(len(said) + 2)] == [said[start:] for start in range(len(said) + 2)]


@pytest.mark.proof("streams")
@given(pieces=PIECES, readers=st.lists(st.integers(1, 7), min_size=1, max_size=4))
def test_readers_at_any_speed_miss_nothing_and_get_nothing_twice(pieces: list[str], readers: list[int]) -> None:
    log = ReplyLog()
    heard = [""] * len(readers)
    for index, piece in enumerate(pieces):
        log.append(piece)
        for reader, every in enumerate(readers):
            if index % every == 0:
                heard[reader] += log.since(len(heard[reader]))
    assert [text + log.since(len(text)) for text in heard] == [log.text()] * len(readers)
