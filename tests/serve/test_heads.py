"""The head of an answer goes out as uvicorn would send it, and no header becomes two."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from palaver.serve.connections import HttpConnection

Headers = Sequence[tuple[bytes, bytes]]

BODY = b"whole"
LENGTH = (b"content-length", b"5")
OWN = (b"x-own", b"two \xe9")


@asynccontextmanager
async def serve(protocol: type[asyncio.Protocol], status: int, headers: Headers) -> AsyncIterator[int]:
    """Answers whatever is asked with these headers and the body, where there is to be one. The port."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": BODY if LENGTH in headers else b""})

    config = uvicorn.Config(app, port=0, http=protocol, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    # In place of the date, which uvicorn writes there.
    server.server_state.default_headers = [(b"x-default", b"one")]
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


async def ask(protocol: type[asyncio.Protocol], status: int, headers: Headers, requests: bytes) -> bytes:
    """All that comes back until the connection ends."""
    async with serve(protocol, status, headers) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(requests)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return answer


GET = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("status", "headers", "requests"),
    [
        pytest.param(200, [OWN, LENGTH], GET + GET + LAST, id="one after the other"),
        pytest.param(200, [OWN, LENGTH], GET.replace(b"GET", b"HEAD") + LAST, id="a head alone"),
        pytest.param(200, [OWN, LENGTH], GET.replace(b"1.1", b"1.0"), id="HTTP/1.0"),
        pytest.param(404, [LENGTH, OWN], GET + LAST, id="the length not last"),
        pytest.param(204, [OWN], GET + LAST, id="nothing"),
        pytest.param(200, [OWN, (b"connection", b"close"), LENGTH], GET, id="the last answer"),
    ],
)
async def test_answer_is_what_uvicorn_would_send(status: int, headers: Headers, requests: bytes) -> None:
    answer = await ask(HttpConnection, status, headers, requests)
    assert answer == await ask(HttpToolsProtocol, status, headers, requests)
    assert answer.count(b"x-default: one") == requests.count(b"host: ")


@pytest.mark.parametrize("value", [b"two\r\nx-third: three", b"two\nx-third: three", b"two\rthree", b"two\0"])
async def test_header_of_more_than_a_line_is_never_sent(value: bytes) -> None:
    answer = await ask(HttpConnection, 200, [(b"x-own", value), LENGTH], GET)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"two" not in answer
