"""Requests whose end two parties may see at different places: each holds another one that nobody has sent as such.

What is hidden names itself by its request id, so that the server's log tells whether it was ever taken for a request.
"""

HIDDEN = "hidden-request"
PROBE = "probe-after-it"

INNER = f"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {HIDDEN}\r\n\r\n"
# Another that is sent as one, on the same connection.
AFTER = f"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {PROBE}\r\nConnection: close\r\n\r\n"


def post(*lines: str, body: str = INNER, version: str = "1.1", host: str = "Host: localhost") -> bytes:
    """A request with these further header lines, as they stand."""
    head = [f"POST /api/v1/chat/simple HTTP/{version}", host, "Content-Type: text/plain", *lines]
    return ("\r\n".join(line for line in head if line) + "\r\n\r\n" + body).encode("latin-1")


def get(target: str = "/health", *lines: str, version: str = "1.1", host: str = "Host: localhost") -> bytes:
    return ("\r\n".join([f"GET {target} HTTP/{version}", *filter(None, [host, *lines])]) + "\r\n\r\n").encode("latin-1")


def chunk(size: str, data: str) -> str:
    return f"{size}\r\n{data}\r\n"


CHUNKED = "Transfer-Encoding: chunked"
LENGTH = f"Content-Length: {len(INNER)}"
ENDED = "0\r\n\r\n" + INNER
WEBSOCKET = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)

# By name, what is sent, and the statuses of what comes back where nobody stands in between.
REFUSED = [400]
CASES: dict[str, tuple[bytes, list[int]]] = {
    "length and chunks": (post(LENGTH, CHUNKED, body=ENDED), REFUSED),
    "chunks and length": (post(CHUNKED, LENGTH, body=ENDED), REFUSED),
    "short length and chunks": (post("Content-Length: 4", CHUNKED, body=chunk("5c", INNER) + "0\r\n\r\n"), REFUSED),
    "two lengths": (post("Content-Length: 0", LENGTH), REFUSED),
    "the same length twice": (post(LENGTH, LENGTH), REFUSED),
    "a list of lengths": (post(f"Content-Length: 0, {len(INNER)}"), REFUSED),
    "a length with a sign": (post("Content-Length: +0"), REFUSED),
    "a length below nothing": (post("Content-Length: -1"), REFUSED),
    "a length in hexadecimal": (post("Content-Length: 0x0"), REFUSED),
    "a length that is no number": (post("Content-Length: 0 0"), REFUSED),
    "an endless length": (post("Content-Length: 99999999999999999999999"), REFUSED),
    "a length under a space": (post(f"Content-Length : {len(INNER)}"), REFUSED),
    "chunks under a space": (post("Transfer-Encoding : chunked", body=ENDED), REFUSED),
    "chunks under a tab": (post("Transfer-Encoding\t: chunked", body=ENDED), REFUSED),
    "chunks of another kind": (post("Transfer-Encoding: xchunked", body=ENDED), REFUSED),
    "chunks that are not last": (post("Transfer-Encoding: chunked, identity", body=ENDED), REFUSED),
    "chunks twice": (post(CHUNKED, CHUNKED, body=ENDED), REFUSED),
    "chunks and identity": (post(CHUNKED, "Transfer-Encoding: identity", body=ENDED), REFUSED),
    "chunks behind a control": (post("Transfer-Encoding: \x0bchunked", body=ENDED), REFUSED),
    "chunks in a folded line": (post("Transfer-Encoding:\r\n chunked", body=ENDED), REFUSED),
    "a folded line": (post("X-Folded: a\r\n b", LENGTH), REFUSED),
    "a folded length": (post(f"Content-Length:\r\n {len(INNER)}"), REFUSED),
    "chunks in HTTP/1.0": (post(CHUNKED, "Connection: keep-alive", body=ENDED, version="1.0"), REFUSED),
    "a chunk size with 0x": (post(CHUNKED, body=chunk("0x5c", INNER) + "0\r\n\r\n"), REFUSED),
    "a chunk size below nothing": (post(CHUNKED, body=chunk("-1", INNER) + "0\r\n\r\n"), REFUSED),
    "a chunk size with a space": (post(CHUNKED, body=chunk("0 ", INNER)), REFUSED),
    "an endless chunk size": (post(CHUNKED, body=chunk("10000000000000000", INNER)), REFUSED),
    "a chunk longer than its size": (post(CHUNKED, body=chunk("1", "ab") + ENDED), REFUSED),
    "a chunk ended by a line feed": (post(CHUNKED, body="1\r\na\n" + ENDED), REFUSED),
    "a chunk size ended by a line feed": (post(CHUNKED, body="1\na\r\n" + ENDED), REFUSED),
    "an extension with a line feed": (post(CHUNKED, body="1;x=\n\r\na\r\n" + ENDED), REFUSED),
    "an extension ended by a carriage return": (post(CHUNKED, body="1;x\ra\r\n" + ENDED), REFUSED),
    "bare line feeds": (post(LENGTH).replace(b"\r\n", b"\n"), REFUSED),
    "a bare line feed in a header": (post("X-Odd: a\nContent-Length: 0", LENGTH), REFUSED),
    "a bare carriage return in a header": (post("X-Odd: a\rContent-Length: 0", LENGTH), REFUSED),
    "a NUL in a header": (post("X-Odd: a\0b", LENGTH), REFUSED),
    "a NUL in a name": (post("X-\0Odd: a", LENGTH), REFUSED),
    "a NUL in the target": (get("/hea\0lth"), REFUSED),
    "a space in the target": (get("/health HTTP/1.1\x20x"), REFUSED),
    "no colon": (post("Content-Length", LENGTH), REFUSED),
    "no host": (get(host=""), REFUSED),
    "two hosts": (get("/health", "Host: elsewhere"), REFUSED),
    "no version": (b"GET /health\r\n\r\n", REFUSED),
    "another version": (get(version="3.0"), REFUSED),
    "the beginning of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", REFUSED),
    "a tunnel": (b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n", REFUSED),
    "a handshake in HTTP/1.0": (get("/ws/keepalive", *WEBSOCKET, version="1.0"), [404]),
    "a handshake with a body": (get("/ws/keepalive", *WEBSOCKET, LENGTH) + INNER.encode(), REFUSED),
    "a handshake with chunks": (get("/ws/keepalive", *WEBSOCKET, CHUNKED) + ENDED.encode(), REFUSED),
    "another protocol": (get("/health", "Connection: Upgrade", "Upgrade: h2c"), [200]),
    "another protocol with a body": (post("Connection: Upgrade", "Upgrade: h2c", LENGTH), [401]),
    "a request behind one that is none": (b"\0\r\n\r\n" + INNER.encode(), REFUSED),
    # Odd, and plain where they end.
    "a body of a request": (post(LENGTH), [401, 200]),
    "a chunk of a request": (post(CHUNKED, body=chunk(f"{len(INNER):x}", INNER) + "0\r\n\r\n"), [401, 200]),
    "a chunk with an extension": (post(CHUNKED, body="1;a=b\r\na\r\n0\r\n\r\n"), [401, 200]),
    "a body where none is looked for": (get("/health", LENGTH) + INNER.encode(), [200, 200]),
    "another's address": (get("http://elsewhere.example.org/health"), [200, 200]),
    "the usual in HTTP/1.0": (get("/health", "Connection: keep-alive", version="1.0"), [200]),
    "empty lines before it": (b"\r\n\r\n" + get(), [200, 200]),
}
