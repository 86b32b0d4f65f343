"""Whatever bytes come over a WebSocket's connection: the right close code by RFC 6455, and the server is as it was."""

import asyncio
import itertools
import re
import struct
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tests.contracts.raw import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    UPGRADE,
    Raw,
    closing,
    connect,
    frame,
    open_raw,
    request,
)
from tests.contracts.talking import SESSIONS, make
from tests.journeys.client import open_client
from tests.journeys.socket import CONVERSATION, LIST
from tests.parts.palaver import Server, StoreKind

ASK = b'{"type": "ping"}'
LIMIT = 64 * 1024
MEBIBYTE = 1024 * 1024

NORMAL, PROTOCOL, BAD_TEXT, TOO_BIG = 1000, 1002, 1007, 1009


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    """Frames are read before anything is asked of a store."""
    return "sqlite"


@pytest.fixture(scope="module")
async def token(shared_server: Server) -> str:
    return await shared_server.token("admin")


@pytest.fixture(scope="module")
async def path(shared_server: Server, token: str) -> str:
    """Where a conversation is open."""
    async with open_client(shared_server) as nobody:
        return CONVERSATION.format(await make(nobody.bearing(token)))


@pytest.fixture
async def raw(shared_server: Server, token: str, path: str) -> AsyncIterator[Raw]:
    """A socket that is connected. Whatever is done to it, the server is the same and sound afterwards."""
    before = look(shared_server)
    async with open_raw(shared_server.url, path, token) as raw:
        assert (await raw.next()).event["type"] == "connection_established"
        yield raw
    await check_sound(shared_server, token, before)


Look = tuple[int, int]


def look(server: Server) -> Look:
    """The server's process, and how long its log is."""
    return server.pid, len(server.log_text())


async def check_sound(server: Server, token: str, before: Look) -> None:
    pid, logged = before
    assert server.is_running
    assert server.pid == pid
    log = server.log_text()[logged:]
    assert "Traceback" not in log
    assert not re.findall(r"^\S+ \S+ (?:WARNING|ERROR|CRITICAL) .*", log, re.MULTILINE)
    async with open_raw(server.url, LIST, token) as raw:
        assert (await raw.next()).event["type"] == "chat_list_update"
        await raw.send(frame(TEXT, ASK))
        assert (await raw.next()).event == {"type": "pong"}


async def check_alive(raw: Raw) -> None:
    await raw.send(frame(TEXT, ASK))
    assert (await raw.next()).event == {"type": "pong"}


def json_of(size: int) -> bytes:
    """A message of so many bytes that is answered with a pong."""
    return b'{"type": "ping", "x": "' + b"x" * (size - 25) + b'"}'


# What is wrong


WRONG: dict[str, tuple[bytes, set[int]]] = {
    **{f"reserved bit {bit}": (frame(TEXT, ASK, reserved=bit), {PROTOCOL}) for bit in (1, 2, 4)},
    "reserved bits on a ping": (frame(PING, b"", reserved=7), {PROTOCOL}),
    "reserved bits on a continuation": (
        frame(TEXT, ASK[:5], fin=False) + frame(CONTINUATION, ASK[5:], reserved=4),
        {PROTOCOL},
    ),
    **{f"opcode {code:#x}": (frame(code, ASK), {PROTOCOL}) for code in (3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF)},
    **{
        f"unmasked {name}": (frame(code, payload, masked=False), {PROTOCOL})
        for name, code, payload in (
            ("text", TEXT, ASK),
            ("empty text", TEXT, b""),
            ("binary", BINARY, b"x"),
            ("ping", PING, b"x"),
            ("close", CLOSE, struct.pack("!H", NORMAL)),
        )
    },
    **{f"cut control {code:#x}": (frame(code, b"", fin=False), {PROTOCOL}) for code in (PING, PONG, CLOSE)},
    **{f"long control {code:#x}": (frame(code, b"x" * 126), {PROTOCOL}) for code in (PING, PONG)},
    "long close": (closing(NORMAL, b"x" * 124), {PROTOCOL}),
    "huge ping": (frame(PING, b"", declared=2**40), {PROTOCOL, TOO_BIG}),
    "continuation of nothing": (frame(CONTINUATION, ASK), {PROTOCOL}),
    "unfinished continuation of nothing": (frame(CONTINUATION, ASK, fin=False), {PROTOCOL}),
    "continuation after a whole message": (frame(TEXT, ASK) + frame(CONTINUATION, ASK), {PROTOCOL}),
    "text inside a text": (frame(TEXT, ASK[:5], fin=False) + frame(TEXT, ASK), {PROTOCOL}),
    "binary inside a text": (frame(TEXT, ASK[:5], fin=False) + frame(BINARY, b"x"), {PROTOCOL}),
    "unfinished text inside a binary": (frame(BINARY, b"x", fin=False) + frame(TEXT, ASK, fin=False), {PROTOCOL}),
    "length with the high bit": (frame(TEXT, b"", declared=2**63), {PROTOCOL, TOO_BIG}),
    "length of all ones": (frame(BINARY, b"", declared=2**64 - 1), {PROTOCOL, TOO_BIG}),
    "longest length": (frame(TEXT, b"", declared=2**63 - 1), {TOO_BIG}),
    "over a mebibyte": (frame(TEXT, b"", declared=MEBIBYTE + 1), {TOO_BIG}),
    "binary over a mebibyte": (frame(BINARY, b"", declared=MEBIBYTE + 1), {TOO_BIG}),
    "over a mebibyte in pieces": (
        frame(TEXT, b"x" * MEBIBYTE, fin=False) + frame(CONTINUATION, b"x", fin=False),
        {TOO_BIG},
    ),
    **{
        f"text of {data!r}": (frame(TEXT, data), {BAD_TEXT})
        for data in (
            b"\xff", b"\x80", b"\xc0\xaf", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\xf0\x9f\x98",
            b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b'{"type": "\xc3("}',
        )
    },
    "character cut off at the end of pieces": (
        frame(TEXT, b"\xe2", fin=False) + frame(CONTINUATION, b"\x82"),
        {BAD_TEXT},
    ),
    "character broken across pieces": (
        frame(TEXT, b"\xe2\x82", fin=False) + frame(CONTINUATION, b"x"),
        {BAD_TEXT},
    ),
    "bad text in a later piece": (
        frame(TEXT, b"{", fin=False) + frame(CONTINUATION, b"", fin=False) + frame(CONTINUATION, b"\xff"),
        {BAD_TEXT},
    ),
    "close of one byte": (frame(CLOSE, b"\x03"), {PROTOCOL}),
    **{
        f"close {code}": (closing(code), {PROTOCOL})
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
    },
    "close with a reason that is no text": (closing(NORMAL, b"\xff"), {BAD_TEXT}),
    "close with half a character": (closing(NORMAL, b"\xe2\x82"), {BAD_TEXT}),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
async def test_wrong_frame_closes_with_the_right_code(raw: Raw, name: str) -> None:
    data, codes = WRONG[name]
    await raw.send(data)
    assert (await raw.until(CLOSE)).code in codes
    assert await raw.end() == b""


async def test_nothing_after_a_wrong_frame_is_carried_out(raw: Raw) -> None:
    await raw.send(frame(TEXT, ASK, reserved=1) + frame(TEXT, ASK) * 3)
    assert (await raw.next()).code == PROTOCOL
    assert await raw.end() == b""


async def test_wrong_frame_while_much_is_being_answered_closes(raw: Raw) -> None:
    await raw.send(frame(TEXT, ASK) * 300)
    assert (await raw.next()).event == {"type": "pong"}
    await raw.send(frame(TEXT, ASK) * 100 + frame(TEXT, ASK, reserved=1))
    assert (await raw.until(CLOSE)).code == PROTOCOL
    assert await raw.end() == b""


# What is right


CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4001, 4999)


@pytest.mark.parametrize("code", CODES)
async def test_close_is_answered_with_its_code(raw: Raw, code: int) -> None:
    await raw.send(closing(code, b"good bye"))
    assert (await raw.next()).code == code
    assert await raw.end() == b""


async def test_close_without_a_code_is_answered_without_one(raw: Raw) -> None:
    await raw.send(frame(CLOSE))
    assert (await raw.next()).code is None
    assert await raw.end() == b""


async def test_longest_reason_is_taken(raw: Raw) -> None:
    await raw.send(closing(NORMAL, "é".encode() * 61 + b"x"))
    assert (await raw.next()).code == NORMAL


async def test_what_comes_after_a_close_is_not_carried_out(raw: Raw) -> None:
    await raw.send(closing(NORMAL) + frame(TEXT, ASK) + frame(PING, b"x") + b"\xff" * 100)
    assert (await raw.next()).code == NORMAL
    assert await raw.end() == b""


@pytest.mark.parametrize("payload", [b"", b"x", b"\x00\xff" * 62, b"x" * 125])
async def test_ping_is_answered_with_what_it_holds(raw: Raw, payload: bytes) -> None:
    await raw.send(frame(PING, payload))
    answer = await raw.next()
    assert (answer.opcode, answer.payload) == (PONG, payload)
    await check_alive(raw)


@pytest.mark.parametrize("payload", [b"", b"x", b"x" * 125])
async def test_pong_that_nobody_asked_for_is_nothing(raw: Raw, payload: bytes) -> None:
    await raw.send(frame(PONG, payload) * 100)
    await check_alive(raw)


@pytest.mark.parametrize("wide", [0, 2, 8])
async def test_length_may_be_spelled_in_any_width(raw: Raw, wide: int) -> None:
    await raw.send(frame(TEXT, ASK, wide=wide))
    assert (await raw.next()).event == {"type": "pong"}


@pytest.mark.parametrize("size", [125, 126, 127, 65_535, 65_536])
async def test_every_width_of_length_is_read(raw: Raw, size: int) -> None:
    await raw.send(frame(TEXT, json_of(size)))
    assert (await raw.next()).event == {"type": "pong"}


@pytest.mark.parametrize("cut", range(1, len(ASK)))
async def test_message_may_come_in_two_pieces(raw: Raw, cut: int) -> None:
    await raw.send(frame(TEXT, ASK[:cut], fin=False) + frame(CONTINUATION, ASK[cut:]))
    assert (await raw.next()).event == {"type": "pong"}


async def test_message_may_come_in_a_piece_for_each_byte_and_empty_ones(raw: Raw) -> None:
    pieces = b"".join(frame(CONTINUATION, bytes([byte]), fin=False) + frame(CONTINUATION, fin=False) for byte in ASK)
    await raw.send(frame(TEXT, fin=False) + pieces + frame(CONTINUATION))
    assert (await raw.next()).event == {"type": "pong"}


async def test_character_may_be_cut_across_pieces(raw: Raw) -> None:
    data = '{"type": "\U0001f600"}'.encode()
    for cut in range(len(data)):
        await raw.send(frame(TEXT, data[:cut], fin=False) + frame(CONTINUATION, data[cut:]))
        assert (await raw.next()).event["message"] == "Unknown message type: \U0001f600"


async def test_control_frames_may_come_between_pieces(raw: Raw) -> None:
    await raw.send(frame(TEXT, ASK[:4], fin=False) + frame(PING, b"a") + frame(PONG, b"b"))
    assert (await raw.next()).payload == b"a"
    await raw.send(frame(CONTINUATION, ASK[4:]))
    assert (await raw.next()).event == {"type": "pong"}


async def test_close_between_pieces_closes(raw: Raw) -> None:
    await raw.send(frame(TEXT, ASK[:4], fin=False) + closing(NORMAL))
    # Usually it is answered with its own code; that a message was left unfinished may be said as well.
    assert (await raw.next()).code in (NORMAL, PROTOCOL)
    assert await raw.end() == b""


async def test_frame_may_come_byte_by_byte(raw: Raw) -> None:
    await raw.send_slowly(frame(TEXT, ASK) + frame(PING, b"x") + frame(TEXT, ASK, wide=8))
    answers = [await raw.next() for _ in range(3)]
    assert sorted(answer.opcode for answer in answers) == [TEXT, TEXT, PONG]


async def test_many_messages_may_come_at_once(raw: Raw) -> None:
    await raw.send(frame(TEXT, ASK) * 500)
    for _ in range(500):
        assert (await raw.next()).event == {"type": "pong"}


async def test_empty_and_binary_messages_are_answered(raw: Raw) -> None:
    for data in (frame(TEXT), frame(BINARY, b"\xff\x00"), frame(BINARY), frame(BINARY, b"\xff", fin=False)):
        await raw.send(data)
    await raw.send(frame(CONTINUATION, b"\xfe"))
    for _ in range(4):
        assert (await raw.next()).event["message"] == "Invalid JSON format"
    await check_alive(raw)


# Size


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("pieces", [1, 2, 64])
async def test_message_over_64_kib_is_said_to_be_and_closes(raw: Raw, opcode: int, pieces: int) -> None:
    await raw.send(in_pieces(opcode, json_of(LIMIT + 1), pieces))
    assert (await raw.next()).event["code"] == "too_large"
    assert (await raw.next()).code == TOO_BIG
    await raw.send(closing(TOO_BIG))
    assert await raw.end() == b""


@pytest.mark.parametrize("pieces", [1, 2, 64, 60_000])
async def test_message_of_64_kib_is_taken(raw: Raw, pieces: int) -> None:
    await raw.send(in_pieces(TEXT, json_of(LIMIT), pieces))
    assert (await raw.next()).event == {"type": "pong"}


async def test_message_of_a_mebibyte_is_read_and_refused_in_words(raw: Raw) -> None:
    await raw.send(in_pieces(TEXT, json_of(MEBIBYTE), 3))
    assert (await raw.next()).event["code"] == "too_large"
    assert (await raw.next()).code == TOO_BIG


def in_pieces(opcode: int, data: bytes, pieces: int) -> bytes:
    size = -(-len(data) // pieces)
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    opcodes = [opcode, *itertools.repeat(CONTINUATION, len(parts) - 1)]
    lasts = [*itertools.repeat(False, len(parts) - 1), True]
    return b"".join(frame(code, part, fin=last) for code, part, last in zip(opcodes, parts, lasts, strict=True))


# Floods


MEMORY_MIB = 8.0
"""That much more the process may have after a flood. What is kept of one would be a multiple of it."""


@pytest.mark.parametrize("name", ["text", "empty pieces", "pings", "pongs"])
async def test_flood_that_is_read_is_carried_out_and_kept_nowhere(shared_server: Server, raw: Raw, name: str) -> None:
    data, answers = {
        "text": (frame(TEXT, b"x" * 125) * 2000, 2000),
        "pings": (frame(PING, b"x" * 125) * 2000, 2000),
        "pongs": (frame(PONG, b"x" * 125) * 20_000, 0),
        "empty pieces": (
            frame(BINARY, b"", fin=False) + frame(CONTINUATION, fin=False) * 100_000 + frame(CONTINUATION),
            1,
        ),
    }[name]

    async def read(times: int) -> None:
        for _ in range(answers * times):
            await raw.next()

    async def flood(times: int) -> None:
        reading = asyncio.create_task(read(times))
        for _ in range(times):
            await raw.send(data)
        await reading

    await flood(1)
    before = shared_server.process.memory_mib
    await flood(10)
    assert shared_server.process.memory_mib - before < MEMORY_MIB
    await check_alive(raw)


@pytest.mark.parametrize(
    "data", [frame(PING, b"x" * 125), frame(TEXT, ASK), frame(PING, b"x" * 125) * 9 + frame(TEXT, b"{")]
)
async def test_who_reads_no_answers_is_not_read(shared_server: Server, raw: Raw, data: bytes) -> None:
    before = shared_server.process.memory_mib
    flood = data * (MEBIBYTE // len(data))
    # More than the machine keeps for a connection in both directions: it is not taken.
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(raw.send(flood * 100), 2)
    assert shared_server.process.memory_mib - before < MEMORY_MIB
    raw.reset()


@pytest.mark.parametrize("name", ["headers", "header", "path"])
async def test_head_without_an_end_is_refused(shared_server: Server, token: str, name: str) -> None:
    before, memory = look(shared_server), shared_server.process.memory_mib
    head = request(LIST, UPGRADE)[:-2]
    start, more = {
        "headers": (head, b"X-Y: z\r\n" * 1000),
        "header": (head + b"X-Y: ", b"y" * 8000),
        "path": (b"GET /", b"y" * 8000),
    }[name]
    async with connect(shared_server.url) as raw:
        await raw.send(start)
        with suppress(ConnectionError):
            for _ in range(2000):
                await raw.send(more)
        assert (await raw.end())[:12] in (b"HTTP/1.1 431", b"")
    assert shared_server.process.memory_mib - memory < MEMORY_MIB
    await check_sound(shared_server, token, before)


async def test_head_and_body_may_be_cut_anywhere(shared_server: Server, token: str) -> None:
    body = b'{"title": "' + b"x" * 250 + b'", "x": "' + b"y" * 300_000 + b'"}'
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Cookie": "x" * 30_000,
    }
    data = request(SESSIONS, headers, method="POST") + body
    for cut in (10, 1000, 30_000):
        async with connect(shared_server.url) as raw:
            await raw.send(data[:cut])
            await be_read(shared_server)
            await raw.send(data[cut:] + data[:cut])
            assert (await raw.head())[0] == 201


async def be_read(server: Server) -> None:
    """Returns once the server has read what has been sent to it by now, on whatever connection."""
    async with connect(server.url) as other:
        await other.send(request("/health", {}))
        assert (await other.head())[0] == 200


# How it breaks


async def test_half_closed_connection_is_ended(raw: Raw) -> None:
    raw.half_close()
    await raw.end()


async def test_half_closed_in_the_middle_of_a_frame_is_ended(raw: Raw) -> None:
    await raw.send(frame(TEXT, ASK)[:-3])
    raw.half_close()
    await raw.end()


@pytest.mark.parametrize("data", [b"", frame(TEXT, ASK), frame(TEXT, ASK)[:1], frame(TEXT, ASK, fin=False)])
async def test_reset_connection_harms_nothing(raw: Raw, data: bytes) -> None:
    await raw.send(data)
    raw.reset()


async def test_reset_with_much_on_its_way_harms_nothing(raw: Raw) -> None:
    await raw.send(frame(TEXT, ASK) * 2000)
    raw.reset()


# Handshakes


def without(name: str) -> dict[str, str]:
    return {other: UPGRADE[other] for other in UPGRADE if other != name}


def having(name: str, value: str) -> dict[str, str]:
    return {**UPGRADE, name: value}


HANDSHAKES: dict[str, tuple[bytes, set[int]]] = {
    "no key": (request(LIST, without("Sec-WebSocket-Key")), {400}),
    "empty key": (request(LIST, having("Sec-WebSocket-Key", "")), {400}),
    "short key": (request(LIST, having("Sec-WebSocket-Key", "eA==")), {400}),
    "key that is no base64": (request(LIST, having("Sec-WebSocket-Key", "\xff" * 24)), {400}),
    "no version": (request(LIST, without("Sec-WebSocket-Version")), {400, 426}),
    "old version": (request(LIST, having("Sec-WebSocket-Version", "8")), {400, 426}),
    "version to come": (request(LIST, having("Sec-WebSocket-Version", "14")), {400, 426}),
    # What asks for no WebSocket is a request over HTTP, and there this path is nobody's.
    "other upgrade": (request(LIST, having("Upgrade", "h2c")), {404}),
    "no upgrade": (request(LIST, without("Upgrade")), {404}),
    "no connection": (request(LIST, without("Connection")), {404}),
    "plain": (request(LIST, {}), {404}),
    "posted": (request(LIST, {"Content-Length": "0"}, method="POST"), {404}),
    "upgrade by POST": (request(LIST, UPGRADE, method="POST"), {400, 404, 405}),
    "upgrade of old HTTP": (request(LIST, UPGRADE, version="1.0"), {404}),
    "two keys": (request(LIST, UPGRADE)[:-2] + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", {400}),
    "body": (request(LIST, having("Content-Length", "5")) + b"hello", {400}),
    "body in chunks": (request(LIST, having("Transfer-Encoding", "chunked")) + b"0\r\n\r\n", {400}),
    "header that is too long": (request(LIST, having("Cookie", "x" * 10_000)), {431}),
    "too many headers": (request(LIST, {**UPGRADE, **{f"X-{number}": "y" for number in range(200)}}), {431}),
    "path that is too long": (request(f"{LIST}?token={'x' * 10_000}", UPGRADE), {414}),
    "header with a NUL": (request(LIST, having("X-Y", "\0")), {400}),
    "path that is not ASCII": (request("/ws/ai-chat/session/\xe9/", UPGRADE), {400}),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, {400}),
    "no method": (b"/ HTTP/1.1\r\n\r\n", {400}),
    "header without a name": (b"GET / HTTP/1.1\r\n: x\r\n\r\n", {400}),
}  # fmt: skip


@pytest.mark.parametrize("name", HANDSHAKES)
async def test_bad_handshake_is_refused(shared_server: Server, token: str, name: str) -> None:
    before = look(shared_server)
    data, statuses = HANDSHAKES[name]
    async with connect(shared_server.url) as raw:
        await raw.send(data)
        status, headers = await raw.head()
        assert status in statuses
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", headers["x-request-id"])
    await check_sound(shared_server, token, before)


@pytest.mark.parametrize("extensions", ["permessage-deflate", "permessage-deflate; client_max_window_bits", "x; y=z"])
async def test_extension_is_never_agreed_on(shared_server: Server, token: str, extensions: str) -> None:
    async with connect(shared_server.url) as raw:
        headers = {**UPGRADE, "Authorization": f"Bearer {token}", "Sec-WebSocket-Extensions": extensions}
        await raw.send(request(LIST, headers))
        status, answered = await raw.head()
        assert status == 101
        assert "sec-websocket-extensions" not in answered


async def test_handshake_that_never_ends_is_dropped_with_its_connection(shared_server: Server, token: str) -> None:
    before = look(shared_server)
    async with connect(shared_server.url) as raw:
        await raw.send(request(LIST, UPGRADE)[:-2])
    await check_sound(shared_server, token, before)
