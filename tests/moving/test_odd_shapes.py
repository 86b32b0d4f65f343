"""What foreign files hold in odd shapes, with hypothesis: times, lists and their order, what is alike."""

import io
import json
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import ijson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from palaver.chat.clock import EPOCH, Micros
from palaver.moving import spool
from palaver.moving.alike import Alike
from palaver.moving.firebase_file import Entry, Found, Skipped, list_sections, read
from palaver.moving.json_stream import Unreadable
from palaver.moving.spool import Spool
from palaver.moving.values import to_micros, to_place

ALL = frozenset({"templates", "userSessions", "connections"})
MOMENTS = st.integers(10**8, 253_370_764_800_000_000).map(
    lambda at: (EPOCH + timedelta(microseconds=at)).replace(tzinfo=None)
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(SCALARS, lambda some: st.lists(some) | st.dictionaries(st.text(), some), max_leaves=6)
# Numbers beyond those of Firebase's lists, push ids, and whatever else.
KEYS = st.integers(0, 10**6).map(str) | st.text("-0Nabz_", min_size=1) | st.text(min_size=1)
# Of these more is JSON, or nearly so, than of any bytes.
PIECES_OF_JSON = st.sampled_from(
    [bytes([byte]) for byte in b'{}[]":,\\/ \v\f\n\0' + b"01.e+-"]
    + [
        b"true",
        b"null",
        b'"a":',
        b'{"a":1}',
        b'{"a":',
        b"\\u00",
        b"\\ud800",
        b"\xc3\xa9",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
    ]
)
AS_BLANKS = bytes.maketrans(b"\v\f", b"  ")


class Line(Struct, frozen=True):
    text: str


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def in_order(key: str) -> tuple[bool, int | str]:
    place = to_place(key)
    return isinstance(place, str), place


def test_files_are_read_by_the_fast_reader() -> None:
    assert ijson.backend == "yajl2_c"


@pytest.mark.proof("out")
@given(MOMENTS)
def test_times_mean_the_same_in_every_form(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)
    east = moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
    forms = (naive.isoformat(), naive.isoformat(sep=" "), moment.isoformat(), east.isoformat(), f"{naive.isoformat()}Z")
    assert {to_micros(form) for form in forms} == {micros(moment)}
    milliseconds = micros(moment) // 1000
    assert {to_micros(milliseconds), to_micros(str(milliseconds)) if milliseconds > 10**8 else milliseconds * 1000} == {
        milliseconds * 1000
    }


@pytest.mark.proof("out")
@given(SCALARS)
def test_whatever_is_given_as_a_time_is_one_or_none(value: Any) -> None:
    [at] = [to_micros(one) for one in ijson.items(io.BytesIO(json.dumps([value]).encode()), "item")]
    assert at is None or 0 <= at < 253_402_300_800_000_000


@pytest.mark.proof("out")
@given(st.lists(KEYS, unique=True))
def test_entries_of_an_object_are_in_the_order_firebase_gives_them(keys: list[str]) -> None:
    history = {key: {"role": "user", "content": key} for key in keys}
    export = json.dumps({"userSessions": {"s": {"conversation_history": history}}})
    for found in read(io.BytesIO(export.encode()), ALL):
        assert isinstance(found, Found)
        # A lone half of a pair is no text: json gives it, and no JSON reader takes it for more than a sign.
        assert [entry.key for _, entry in found.entries] == sorted(keys, key=in_order)


@pytest.mark.proof("out")
@given(st.lists(st.none() | st.text("ab"), max_size=20))
def test_entries_of_a_list_are_in_its_order_without_its_holes(texts: list[str | None]) -> None:
    history = [None if text is None else {"content": text} for text in texts]
    export = json.dumps({"userSessions": {"s": {"conversation_history": history}}})
    for found in read(io.BytesIO(export.encode()), ALL):
        assert isinstance(found, Found)
        assert [entry.content for _, entry in found.entries] == [text for text in texts if text is not None]
        assert [entry.key for _, entry in found.entries] == [str(i) for i, text in enumerate(texts) if text is not None]


@pytest.mark.proof("out")
@given(st.dictionaries(st.sampled_from([*sorted(ALL), "users"]), JSON | st.dictionaries(st.text(), JSON)))
def test_no_json_object_breaks_the_reader(export: dict[str, Any]) -> None:
    file = io.BytesIO(json.dumps(export).encode())
    assert list_sections(file) == list(export)
    for found in read(file, ALL):
        assert found.path.split("/")[0] in export
        assert isinstance(found, Skipped) or all(isinstance(entry, Entry) for _, entry in found.entries)


@pytest.mark.proof("out")
@given(st.binary(max_size=60) | st.lists(PIECES_OF_JSON, max_size=8).map(b"".join))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    try:
        list_sections(io.BytesIO(data))
    except Unreadable:
        return
    assert isinstance(json.loads(data.translate(AS_BLANKS)), dict)


@pytest.mark.parametrize("rest", [b'"', b'"more', b'"more}', b'"\\', b"tru", b"1", b"{", b"/"])
def test_what_follows_the_end_is_noticed_although_it_has_no_end_itself(rest: bytes) -> None:
    export = b'{"templates": {}}'
    assert list_sections(io.BytesIO(export + b" \n")) == ["templates"]
    with pytest.raises(Unreadable):
        list_sections(io.BytesIO(export + rest))


@pytest.mark.parametrize("cut", [b'{"templates": {"a', b'{"templates": {"a": 1', b'{"templates": {"a": tr', b"{", b""])
def test_file_that_was_cut_off_is_said_to_end_too_early(cut: bytes) -> None:
    with pytest.raises(Unreadable, match="it ends too early"):
        list_sections(io.BytesIO(cut))


def test_vertical_tab_and_form_feed_are_blanks_to_the_fast_reader() -> None:
    """JSON does not say so (PALAVER_SEED=3856391106); nothing is read otherwise than it was meant."""
    assert list_sections(io.BytesIO(b'\v{\f"templates":\v{}}\f')) == ["templates"]
    with pytest.raises(Unreadable):
        list_sections(io.BytesIO(b'{"temp\vlates": {}}'))


@pytest.mark.proof("out")
@given(st.lists(st.integers(0, 50) | st.text("ab", min_size=1, max_size=2)), st.sampled_from([0, 900, 10**6]))
def test_what_waits_in_a_file_is_ordered_as_what_waits_in_memory(places: list[int | str], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch, Spool(Line) as waiting:
        patch.setattr(spool, "MOST_IN_MEMORY", most)
        for number, place in enumerate(places):
            waiting.add(place, Line(str(number)), 10)
        expected = sorted(enumerate(places), key=lambda one: (isinstance(one[1], str), one[1]))
        for _ in range(2):
            assert [(int(line.text), place) for place, line in waiting] == expected


@pytest.mark.proof("out")
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4))))
def test_those_alike_are_counted_whatever_way_time_goes(entries: list[tuple[str, int]]) -> None:
    alike, counts = Alike(), Counter[tuple[str, int]]()
    for word, at in entries:
        assert alike.count(f"{word}{at:07}".encode(), Micros(at)) == counts[word, at]
        counts[word, at] += 1
