from itertools import pairwise
from time import thread_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from palaver.bots.sse import EventSplitter, EventTooLarge

TOO_LARGE = b"(too large)"

# Little more than what the format is made of, so that most of what is drawn means something.
PARTS = st.sampled_from(
    [b"data:", b"data: ", b"data", b": note", b"event: x", b"error: 5", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n",
     b"\r\r", b"a", b"{}", b"[DONE]", "😀".encode(), b"\xef\xbb\xbf", b" "]
)  # fmt: skip
STREAMS = st.lists(PARTS, max_size=30).map(b"".join)
CUTS = st.lists(st.integers(min_value=0, max_value=60), max_size=12)


def split(*reads: bytes, limit: int = 1000) -> list[bytes]:
    """All events of these reads, and whether one was too large."""
    splitter = EventSplitter(limit)
    events: list[bytes] = []
    try:
        for read in reads:
            events += splitter.feed(read)
        last = splitter.finish()
    except EventTooLarge:
        return [*events, TOO_LARGE]
    return events if last is None else [*events, b"(last)" + last]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    inside = sorted({0, len(data), *(place for place in places if place < len(data))})
    return [data[start:end] for start, end in pairwise(inside)]


@pytest.mark.proof("bots")
@given(STREAMS, CUTS)
@example(b"data: a\r\n\r\ndata: b\r\n\r\n", [8, 9, 10])
@example(b"data: a\n\n\ndata: b\n\n", [9])
@example(b"\xef\xbb\xbfdata: a\n\n", [1, 2, 3])
def test_however_the_bytes_are_cut_the_events_are_the_same(data: bytes, places: list[int]) -> None:
    whole = split(data)
    assert split(*cut(data, places)) == whole
    assert split(*cut(data, list(range(len(data))))) == whole


@pytest.mark.proof("bots")
@given(STREAMS, CUTS, st.integers(min_value=1, max_value=20))
@example(b"data: a\n\n", [], 7)
@example(b"data: a\n\n", [], 6)
def test_however_the_bytes_are_cut_the_same_event_is_too_large(data: bytes, places: list[int], limit: int) -> None:
    whole = split(data, limit=limit)
    assert split(*cut(data, places), limit=limit) == whole
    assert split(*cut(data, list(range(len(data)))), limit=limit) == whole


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b": OPENROUTER PROCESSING\n\ndata: a\n\n", [b"a"]),
        (b": note\ndata: a\n: note\n\n", [b"a"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"event: message\nid: 7\ndata: a\n\n", [b"a"]),
        (b"\n\n\n\ndata: a\n\n\n\n", [b"a"]),
        (b"data\n\ndata:\n\ndata: \n\n", []),
        (b'error: {"code":500}\n\n', [b'{"error": {"code":500}}']),
        (b"", []),
    ],
)
def test_reads_what_servers_write(stream: bytes, events: list[bytes]) -> None:
    assert split(stream) == events


def test_last_event_without_its_blank_line_is_given_at_the_end() -> None:
    assert split(b"data: a\n\ndata: [DONE]") == [b"a", b"(last)[DONE]"]


def test_events_before_one_that_is_too_large_are_given() -> None:
    assert split(b"data: a\n\ndata: " + b"b" * 100, limit=50) == [b"a", TOO_LARGE]
    assert split(b"data: a\n\ndata: " + b"b" * 100 + b"\n\ndata: c\n\n", limit=50) == [b"a", TOO_LARGE]


def test_single_bytes_take_linear_time() -> None:
    def seconds(size: int, times: int) -> float:
        data = b"data: " + b"x" * size + b"\n\n"
        reads = cut(data, list(range(len(data))))
        started = thread_time()
        for _ in range(times):
            assert split(*reads, limit=size + 6) == [b"x" * size]
        return thread_time() - started

    # As many bytes, one event or a hundred: if it were not, the one would take up to a hundred times as long. Both are
    # measured side by side, and again where the core has become slower between the two.
    assert any(seconds(200_000, 1) < 2 * seconds(2000, 100) for _ in range(5))
