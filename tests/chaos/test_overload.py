"""More is asked than can be done: what is too much is refused at once, in each API's words; what was taken is done, and
reading goes on. The store stands still here, so that the test says when there is too much."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import pytest
from aiohttp import ClientSession, DummyCookieJar, TCPConnector

from palaver.chat.crowd import FEW
from tests.contracts.talking import make, read_messages
from tests.journeys.client import Answer, Client, open_client
from tests.journeys.socket import CONVERSATION, open_socket
from tests.parts.palaver import Server, StoreKind

TEXT = "Too much is going on here just now. Try again in a moment."
PAGE = "https://app.example.org"

# More than all of them take to come, less than any test waits.
OVERLOAD_SECONDS = 0.2


@pytest.fixture(scope="module", params=["sqlite"])
def store_kind(request: pytest.FixtureRequest) -> StoreKind:
    kind: StoreKind = request.param
    return kind


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_OVERLOAD_SECONDS": str(OVERLOAD_SECONDS), "BACKEND_CORS_ORIGINS": PAGE}


@pytest.fixture
async def alice(shared_server: Server) -> AsyncIterator[Client]:
    # As many connections as it takes.
    async with ClientSession(cookie_jar=DummyCookieJar(), connector=TCPConnector(limit=0)) as http:
        yield Client(http, shared_server.url, {}).bearing(await shared_server.token("admin"))


@asynccontextmanager
async def too_much(server: Server, alice: Client) -> AsyncIterator[None]:
    """Nothing can be written down, and more waits for that than may. In the end all of it is answered."""
    other = apsw.Connection(str(Path(server.environment["PALAVER_DATA_DIR"], "palaver.sqlite3")))
    other.execute("BEGIN IMMEDIATE")
    waiting: set[asyncio.Task[Answer]] = set()
    refused: set[asyncio.Task[Answer]] = set()
    try:
        while not refused:
            waiting |= {asyncio.create_task(alice.post("/api/chat", message=f"I wait {number}")) for number in range(8)}
            refused, waiting = await asyncio.wait(waiting, timeout=0.02, return_when="FIRST_COMPLETED")
        # Where it was overrun shortly before, it lets in more and more until the few have waited for so long again.
        late, waiting = await asyncio.wait(waiting, timeout=2 * OVERLOAD_SECONDS)
        refused |= late
        assert {one.result().status for one in refused} == {503}
        assert len(waiting) >= FEW
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()
    answers = await asyncio.gather(*waiting)
    taken = [answer for answer in answers if answer.status == 200]
    assert len(taken) >= FEW
    assert len({answer.body["sessionId"] for answer in taken}) == len(taken)
    assert {answer.status for answer in answers} <= {200, 503}


async def test_what_is_too_much_is_refused_in_the_words_of_each_api_and_reading_goes_on(
    shared_server: Server, alice: Client
) -> None:
    session = await make(alice)
    said = await alice.post(f"/ai-chat/api/sessions/{session}/send_message/", message="before")
    assert said.status == 200
    async with open_socket(alice, CONVERSATION.format(session)) as socket, too_much(shared_server, alice):
        for path, body in (
            ("/api/chat", {"message": "hi"}),
            (f"/api/chat/session/{session}/chat", {"prompt": "hi"}),
            (f"/api/v1/chatbot/session/{session}/message", {"message": "hi"}),
            ("/api/v1/chat/", {"message": "hi"}),
            (f"/ai-chat/api/sessions/{session}/send_message/", {"message": "hi"}),
            (f"/ai-chat/api/sessions/{session}/send_message/", {"message": "hi", "stream": True}),
            (f"/api/people/conversations/{session}/messages", {"message": "hi"}),
        ):
            refused = await alice.send("POST", path, body)
            assert (refused.status, refused.body, refused.headers["Retry-After"]) == (503, {"detail": TEXT}, "2"), path
            assert refused.headers["X-Request-Id"]
        for path in ("/api/chat/", "/api/chat/stream/"):
            refused = await alice.post(path, message="hi", session_id="mine")
            assert (refused.status, refused.body, refused.headers["Retry-After"]) == (503, {"error": TEXT}, "2")
        await socket.say("hi", client_message_id="mine")
        error = await socket.until("error")
        assert (error["code"], error["message"], error["retry_after"]) == ("rate_limited", TEXT, 2)
        assert error["client_message_id"] == "mine"
        assert [one["content"] for one in await read_messages(alice, session)][0:1] == ["before"]
        assert (await alice.get("/health")).status == 200
        # Nothing is said by it, however it comes.
        assert (await say_raw(shared_server, HEALTH, until=None)).startswith(b"HTTP/1.1 200 ")
    # What was refused has left nothing, and is taken now.
    await socket_says(alice, session)
    assert [one["content"] for one in await read_messages(alice, session)][0::2] == ["before", "again"]


async def socket_says(alice: Client, session: str) -> None:
    async with open_socket(alice, CONVERSATION.format(session)) as socket:
        await socket.say("again", client_message_id="mine")
        await socket.until("ai_typing_stop")


async def test_refusal_keeps_the_order_of_checks_and_the_connection(shared_server: Server, alice: Client) -> None:
    async with too_much(shared_server, alice), open_client(shared_server) as nobody:
        # Before it is looked who asks, and what is said.
        assert (await nobody.send("POST", "/api/chat", b"{")).status == 503
        assert (await nobody.post("/api/nothing")).status == 404
        assert (await nobody.send("DELETE", "/api/chat")).status == 405
        assert (
            await alice.sending({"Content-Type": "application/json"}).send("POST", "/api/chat", LARGE)
        ).status == 413
        german = await alice.having(accept_language="de", origin=PAGE, x_request_id="mine").post(
            "/api/chat", message=""
        )
        assert german.body == {"detail": "Hier ist gerade zu viel los. Bitte gleich erneut versuchen."}
        assert german.headers["X-Request-Id"] == "mine"
        assert german.headers["Access-Control-Allow-Origin"] == PAGE
        answers = await say_raw(
            shared_server,
            # Its body comes later, and is not taken for the next request; then two at once.
            *(
                HEAD % 16,
                b'{"message"',
                b':"hi"}',
                HEAD % 2 + b"{}" + HEAD % 2 + b"{}",
                b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
            ),
            until=b'"healthy"',
        )
        assert answers.count(b"HTTP/1.1 503 Service Unavailable\r\n") == 3
        assert answers.count(b"HTTP/1.1") == 4
        # Whatever way the path is spelled.
        last = HEAD[:-2] % 2 + CLOSE + b"\r\n{}"
        spelled = [last.replace(b"/api/chat", path) for path in (b"/api/ch%61t", b"http://a/api/chat")]
        for other in (last, *spelled, CHUNKED, HEAD.replace(b"1.1", b"1.0") % 2 + b"{}"):
            assert (await say_raw(shared_server, other, until=None)).count(b" 503 Service Unavailable\r\n") == 1


HEAD = b"POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
HEALTH = b"GET /ai-chat/api/health/llm_server/ HTTP/1.0\r\nHost: a\r\n\r\n"
CLOSE = b"Connection: close\r\n"
CHUNKED = (
    HEAD.replace(b"Content-Length: %d", b"Transfer-Encoding: chunked\r\nConnection: close") + b"2\r\n{}\r\n0\r\n\r\n"
)
LARGE = b'{"message": "' + b"x" * 1_048_576 + b'"}'


async def say_raw(server: Server, *parts: bytes, until: bytes | None) -> bytes:
    """What comes to what is sent bit by bit, up to and with `until`, or till the server closes."""
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.timeout(10):
            for part in parts:
                writer.write(part)
                # On its way alone.
                await asyncio.to_thread(lambda: None)
                await writer.drain()
            return await (reader.read() if until is None else reader.readuntil(until))
    finally:
        writer.close()
