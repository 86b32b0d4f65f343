from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.bots.stream import CompletionStream
from palaver.chat.conversation import Usage
from palaver.chat.pieces import Piece, Reasoning, Text

from .asking import DONE, STOPS, USAGE, says


def to_events(*data: bytes) -> bytes:
    return b"".join(b"data: " + one + b"\n\n" for one in data)


def thinks(text: str, field: str = "reasoning_content") -> bytes:
    return b'{"choices":[{"delta":{"%b":"%b"}}]}' % (field.encode(), text.encode())


def hear_all(stream: CompletionStream, *reads: bytes) -> list[Piece]:
    return [piece for read in reads for piece in stream.feed(read)] + stream.finish()


def hear_text(*reads: bytes) -> str:
    pieces = hear_all(CompletionStream(), *reads)
    return "".join(piece.text for piece in pieces if isinstance(piece, Text))


def test_what_one_read_holds_is_one_piece() -> None:
    stream = CompletionStream()
    assert stream.feed(to_events(says("Hello "), says("there"))) == [Text("Hello there")]
    assert stream.feed(to_events(says("!"))) == [Text("!")]


def test_thoughts_and_text_stay_apart_and_in_order() -> None:
    read = to_events(thinks("Hm"), thinks(", yes", "reasoning"), says("The "), says("Loire"), thinks("?"))
    assert CompletionStream().feed(read) == [Reasoning("Hm, yes"), Text("The Loire"), Reasoning("?")]


def test_finish_tells_reason_model_usage_and_keeps_what_the_server_told() -> None:
    stream = CompletionStream()
    hear_all(stream, to_events(says("Hello"), STOPS, USAGE, DONE))
    finished = stream.finished()
    assert finished is not None
    assert (finished.reason, finished.model, finished.usage) == ("stop", "m1", Usage(3, 2))
    assert finished.details == {
        "id": "c1",
        "model": "m1",
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (b'{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":8}}', Usage(9, 1, 8)),
        (b'{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":null}', Usage(9, 1)),
        (b'{"prompt_tokens":9,"completion_tokens":1,"prompt_cache_hit_tokens":7}', Usage(9, 1, 7)),
        (b'{"prompt_tokens":"many"}', None),
        (b"{}", None),
    ],
)
def test_usage_is_read_as_vendors_write_it(usage: bytes, read: Usage | None) -> None:
    stream = CompletionStream()
    hear_all(stream, to_events(STOPS, b'{"choices":[],"usage":%b}' % usage, DONE))
    finished = stream.finished()
    assert finished is not None
    assert finished.usage == read


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (b"stop", "stop"),
        (b"length", "length"),
        (b"tool_calls", "tool_calls"),
        (b"function_call", "tool_calls"),
        (b"content_filter", "content_filter"),
        (b"eos", "stop"),
    ],
)
def test_finish_marks_have_our_names(said: bytes, read: str) -> None:
    stream = CompletionStream()
    hear_all(stream, to_events(b'{"choices":[{"delta":{},"finish_reason":"%b"}]}' % said))
    finished = stream.finished()
    assert finished is not None
    assert finished.reason == read


def test_last_text_may_come_with_the_finish_mark() -> None:
    read = b'{"choices":[{"delta":{"content":"Hello"},"finish_reason":"stop"}]}'
    assert hear_text(to_events(read)) == "Hello"


def test_done_without_a_finish_mark_is_not_finished() -> None:
    stream = CompletionStream()
    hear_all(stream, to_events(says("Hello"), DONE))
    assert stream.done
    assert stream.failure is None
    assert stream.finished() is None


def test_finish_mark_without_done_is_finished() -> None:
    stream = CompletionStream()
    hear_all(stream, to_events(says("Hello"), STOPS))
    assert stream.finished() is not None


def test_finish_mark_without_its_blank_line_is_finished() -> None:
    stream = CompletionStream()
    assert hear_all(stream, to_events(says("Hello")), b"data: " + STOPS) == [Text("Hello")]
    assert stream.finished() is not None


def test_last_event_that_is_cut_off_says_nothing() -> None:
    stream = CompletionStream()
    assert hear_all(stream, to_events(says("Hello")), b"data: " + says(" there")[:-9]) == [Text("Hello")]
    assert stream.failure is None
    assert stream.finished() is None


@pytest.mark.parametrize(
    "event",
    [
        b'{"error":{"message":"out of memory"}}',
        b'{"error":"out of memory"}',
        b'{"id":"c1","choices":[],"error":{"message":"out of memory"}}',
        b'{"choices":[{"delta":{"content":"Hel',
        b"out of memory",
        b'"out of memory"',
        b"[" * 100_000,
        b'{"choices":[{"delta":{},"finish_reason":"error"}]}',
    ],
)
def test_after_an_error_nothing_more_is_heard(event: bytes) -> None:
    stream = CompletionStream()
    assert hear_all(stream, to_events(says("Hello"), event, says(" there"), STOPS, DONE)) == [Text("Hello")]
    assert stream.failure is not None
    assert stream.finished() is None


def test_null_is_as_if_absent() -> None:
    whole = b'{"id":null,"model":null,"usage":null,"error":null,"choices":[{"delta":%b,"finish_reason":null}]}'
    events = [whole % b"null", whole % b'{"content":null}', b'{"choices":null}', says("Hello")]
    stream = CompletionStream()
    assert hear_all(stream, to_events(*events)) == [Text("Hello")]
    assert stream.failure is None


def test_page_instead_of_a_stream_is_a_failure() -> None:
    stream = CompletionStream()
    hear_all(stream, b"<!doctype html>\n\n<h1>502</h1>\n")
    assert stream.failure is not None
    assert "502" in stream.failure


def test_nothing_at_all_is_a_failure() -> None:
    stream = CompletionStream()
    hear_all(stream)
    assert stream.failure is not None


def test_both_halves_of_a_character_are_joined() -> None:
    assert hear_text(to_events(says(r"a\ud83d"), says(r"\ude00b"))) == "a😀b"
    assert hear_text(to_events(says(r"a\ud83d")), to_events(says(r"\ude00b"))) == "a😀b"


def test_half_that_nothing_completes_is_replaced() -> None:
    assert hear_text(to_events(says(r"a\ud83d"), says("b"))) == "a\ufffdb"
    assert hear_text(to_events(says(r"a\ude00b"))) == "a\ufffdb"
    assert hear_text(to_events(says(r"a\ud83d"), STOPS, DONE)) == "a\ufffd"


def test_half_of_a_thought_waits_for_the_next_thought() -> None:
    stream = CompletionStream()
    reads = [thinks(r"\ud83d"), says("b"), thinks(r"\ude00")]
    assert hear_all(stream, *map(to_events, reads)) == [Text("b"), Reasoning("😀")]


def test_halves_in_what_is_kept_are_replaced() -> None:
    stream = CompletionStream()
    odd = rb'{"id":"\ud83d","model":"m\ude00","choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"x":"\ud83d"}}'
    hear_all(stream, to_events(odd))
    finished = stream.finished()
    assert finished is not None
    assert finished.model == "m\ufffd"
    assert msgspec.json.encode(finished.details)


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert hear_text(to_events(b'{"choices":[{"delta":{"content":"a\xf0\x9fb"}}]}')) == "a\ufffdb"


def test_what_could_not_be_kept_is_replaced() -> None:
    assert hear_text(to_events(says(r"a\u0000b"))) == "a\ufffdb"


def escape(text: str) -> str:
    """JSON's escapes, a character beyond the sixteen bits as its two halves."""
    units = text.encode("utf-16-be")
    return "".join(f"\\u{int.from_bytes(units[i : i + 2], 'big'):04x}" for i in range(0, len(units), 2))


@pytest.mark.proof("bots")
@given(st.text(alphabet=st.sampled_from("aß😀🥐"), max_size=20), st.data())
def test_text_is_the_same_however_it_is_cut(text: str, data: st.DataObject) -> None:
    units = len(text.encode("utf-16-be")) // 2
    inner = data.draw(st.lists(st.integers(0, units), max_size=6))
    escaped = escape(text)
    places = sorted({0, units, *inner})
    events = [to_events(says(escaped[6 * start : 6 * end])) for start, end in pairwise(places)]
    assert hear_text(*events) == text
    assert hear_text(b"".join(events)) == text
