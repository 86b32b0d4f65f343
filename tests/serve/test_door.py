"""Who is turned away is read by a reader of its own, which never parts two requests elsewhere than the parser does."""

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.serve.door import read_head
from tests.contracts.raw import UPGRADE, request
from tests.contracts.smuggling import CASES, LENGTH, get, post
from tests.promises import Measured

PLAIN = (
    b"POST /api/chat?a=b%20c HTTP/1.1\r\nhost: a\r\nX-Request-ID:  mine\xe9\r\nContent-Length: 2\r\n"
    b"Connection: Keep-Alive\r\nX-Empty:\r\n\r\n{}GET"
)


class Parsed:
    """What the server's parser makes of it. `size` is that of all bodies, `complete` counts whole requests."""

    def __init__(self, data: bytes) -> None:
        self.url, self.size, self.complete = b"", 0, 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_last = False
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(data)
        self.method = self._parser.get_method()

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.size += len(body)

    def on_message_complete(self) -> None:
        self.complete += 1
        self.is_last = not self._parser.should_keep_alive()


def check_is_parsed_alike(data: bytes) -> bool:
    """Whether it was read at all."""
    asked = read_head(data)
    if asked is None:
        return False
    whole = data[: asked.head_bytes] + b"x" * asked.body_bytes
    parsed = Parsed(whole)
    assert (parsed.complete, parsed.size) == (1, asked.body_bytes)
    assert Parsed(whole[:-1]).complete == 0
    assert (parsed.method.decode(), httptools.parse_url(parsed.url).path.decode()) == (asked.method, asked.path)
    assert dict(parsed.headers) == asked.headers
    assert parsed.is_last == asked.is_last
    return True


def test_plain_head_is_read_as_the_parser_reads_it() -> None:
    asked = read_head(PLAIN)
    assert asked is not None
    assert (asked.method, asked.path, asked.body_bytes) == ("POST", "/api/chat", 2)
    assert PLAIN[asked.head_bytes :] == b"{}GET"
    assert asked.headers[b"x-request-id"] == b"mine\xe9"
    assert check_is_parsed_alike(PLAIN)
    assert check_is_parsed_alike(PLAIN.replace(b"Keep-Alive", b"close"))
    assert check_is_parsed_alike(PLAIN.replace(b"X-Empty:", b"Via: a\r\nVia: b"))
    assert check_is_parsed_alike(get())
    assert check_is_parsed_alike(post(LENGTH))


@pytest.mark.parametrize(
    "data",
    [
        PLAIN[: PLAIN.index(b"\r\n\r\n") + 3],
        PLAIN.replace(b"1.1", b"1.0"),
        PLAIN.replace(b"/api", b"http://a/api"),
        PLAIN.replace(b"/chat", b"/ch%61t"),
        PLAIN.replace(b"/chat", b"/chat#"),
        PLAIN.replace(b"\r\n", b"\n"),
        PLAIN.replace(b"host: a\r\n", b""),
        PLAIN.replace(b"host: a", b"host: a\r\nHost: a"),
        PLAIN.replace(b"Content-Length: 2", b"Content-Length: 2\r\nContent-Length: 2"),
        PLAIN.replace(b"Content-Length: 2", b"Content-Length: +2"),
        PLAIN.replace(b"Content-Length: 2", b"Content-Length: 2 "),
        PLAIN.replace(b"Content-Length: 2", b"Content-Length : 2"),
        PLAIN.replace(b"Content-Length: 2", b"Content-Length:"),
        PLAIN.replace(b"Content-Length: 2", b"Content-Length: " + b"2" * 30),
        PLAIN.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked"),
        PLAIN.replace(b"Keep-Alive", b"keep-alive, close"),
        PLAIN.replace(b"X-Empty:", b"Connection: close"),
        PLAIN.replace(b"X-Empty:", b"Proxy-Connection: close"),
        PLAIN.replace(b"X-Empty:", b"Expect: 100-continue"),
        PLAIN.replace(b"X-Empty:", b"X-Folded: a\r\n b"),
        PLAIN.replace(b"X-Empty:", b"X_Under: a"),
        PLAIN.replace(b"X-Empty:", b"X-Null: \0"),
        request("/", UPGRADE),
        b"\r\n" + PLAIN,
    ],
)
def test_whatever_is_spelled_otherwise_is_left_to_the_parser(data: bytes) -> None:
    assert read_head(data) is None


@pytest.mark.proof("security")
@pytest.mark.parametrize("case", CASES)
def test_what_hides_a_request_is_not_read_or_ends_where_the_parser_says(case: str) -> None:
    check_is_parsed_alike(CASES[case][0])


PLAIN_LINES = st.sampled_from(
    ["Via: a", "X-A: é", "X-Empty:", "Content-Length: 2", "Connection: close", "Connection: Keep-Alive", "Accept: */*"]
)
ODD_LINES = st.sampled_from(
    [
        "Host: b", "Via: b ", "X-A: \0", "X_A: a", "X: a\r\n b", "POST /b HTTP/1.1", "", " ", "Expect: a", "Upgrade: a",
        "Content-Length: 02", "Content-Length: +2", "Content-Length : 3", "Content-Length:", "Connection: close, a",
        "Transfer-Encoding: chunked", "Transfer-Encoding\t: chunked", "Proxy-Connection: close",
    ]
)  # fmt: skip
ANYTHING = st.text(st.characters(max_codepoint=255), max_size=9)
LINES = st.one_of(PLAIN_LINES, PLAIN_LINES, PLAIN_LINES, ODD_LINES, ANYTHING)
# Most of them as they should be: a head that is odd in many ways is read by nobody.
ENDS = st.sampled_from(["\r\n"] * 20 + ["\n", "\r"])
TARGETS = st.one_of(
    st.sampled_from(["/", "//a/b", "/a?b#c", "/a?b", "a", "/%2e", "*", "/:@", "/a b"]),
    ANYTHING.map("/".__add__),
)
METHODS = st.sampled_from(["POST ", "GET ", "post ", "PUT  "])
VERSIONS = st.sampled_from([" HTTP/1.1", " HTTP/1.0"])
A_FIRST = st.just("POST /a HTTP/1.1\r\nHost: a")
FIRST = st.one_of(
    A_FIRST, A_FIRST, st.tuples(METHODS, TARGETS, VERSIONS).map(lambda parts: f"{''.join(parts)}\r\nHost: a")
)


@pytest.mark.proof("security")
def test_no_head_is_read_that_the_parser_ends_elsewhere(measured: Measured) -> None:
    tried, read = 0, 0

    @given(FIRST, ENDS, st.lists(st.tuples(LINES, ENDS).map("".join), max_size=5))
    def check(first: str, end: str, lines: list[str]) -> None:
        nonlocal tried, read
        tried += 1
        read += check_is_parsed_alike("".join([first, end, *lines, "\r\n"]).encode("latin-1"))

    check()
    measured("heads", tried, "")
    measured("of them read", read, "")
    assert read > 0
