"""The floor of a stream: what passing pieces on costs with nothing around it.

A bare ASGI app under uvicorn with its own upstream client. It stores both messages in SQLite with two commits, passes
on what each read from the model held, as a server-sent event or a WebSocket's text, and knows nothing else: no sign-in,
no checks, no cursor, nobody else who listens, no reply that survives its connection.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import httptools
import msgspec
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from bench.floor import Messages, Said, Server
from bench.wire import to_request

_HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]


class Say(msgspec.Struct):
    message: str
    session_id: str = ""


class Ask(msgspec.Struct):
    model: str
    messages: list[Said]
    stream: bool = True


class Delta(msgspec.Struct):
    content: str = ""


class Choice(msgspec.Struct):
    delta: Delta


class Chunk(msgspec.Struct):
    choices: list[Choice]


class Added(msgspec.Struct, tag_field="type", tag="ai_message_chunk"):
    content: str
    message_id: str = ""


class Whole(msgspec.Struct):
    content: str


class Complete(msgspec.Struct, tag_field="type", tag="ai_message_complete"):
    message: Whole


_encode = msgspec.json.Encoder().encode
_decode_say = msgspec.json.Decoder(Say).decode
_decode_chunk = msgspec.json.Decoder(Chunk).decode


class Completion(asyncio.Protocol):
    """One reply of the model, on a connection of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._rest = b""
        self._text = ""
        self._over = False
        self._waiting: asyncio.Future[None] | None = None

    async def pieces(self) -> AsyncIterator[str]:
        while True:
            if self._text:
                text, self._text = self._text, ""
                yield text
            elif self._over:
                return
            else:
                self._waiting = self._loop.create_future()
                await self._waiting

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._end()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)
        if self._waiting is not None and (self._text or self._over) and not self._waiting.done():
            self._waiting.set_result(None)

    def on_body(self, data: bytes) -> None:
        *events, self._rest = (self._rest + data).split(b"\n\n")
        texts = []
        for event in events:
            if event != b"data: [DONE]":
                texts += [choice.delta.content for choice in _decode_chunk(event[6:]).choices]
        self._text += "".join(texts)

    def on_message_complete(self) -> None:
        self._end()

    def _end(self) -> None:
        self._over = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class Floor:
    def __init__(self, messages: Messages, llm_url: str) -> None:
        self._messages = messages
        self._llm_port = urlsplit(llm_url).port or 80

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._events(receive, send)
        else:
            await self._socket(scope["path"], receive, send)

    async def _events(self, receive: Receive, send: Send) -> None:
        say = _decode_say((await receive())["body"])
        await self._messages.add(say.session_id, "user", say.message)
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": b'data: {"type": "start"}\n\n', "more_body": True})
        said = []
        async for text in self._talk(say.session_id):
            said.append(text)
            event = b'data: {"type": "chunk", "content": %b}\n\n' % _encode(text)
            await send({"type": "http.response.body", "body": event, "more_body": True})
        whole = "".join(said)
        await self._messages.add(say.session_id, "assistant", whole)
        event = b'data: {"type": "end", "complete_response": %b}\n\n' % _encode(whole)
        await send({"type": "http.response.body", "body": event})

    async def _socket(self, session: str, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            say = _decode_say(message["text"])
            await self._messages.add(session, "user", say.message)
            await send({"type": "websocket.send", "text": '{"type":"ai_typing"}'})
            said = []
            async for text in self._talk(session):
                said.append(text)
                await send({"type": "websocket.send", "text": _encode(Added(text)).decode()})
            whole = "".join(said)
            await self._messages.add(session, "assistant", whole)
            await send({"type": "websocket.send", "text": _encode(Complete(Whole(whole))).decode()})
            await send({"type": "websocket.send", "text": '{"type":"ai_typing_stop","reason":"complete"}'})

    async def _talk(self, session: str) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        _transport, completion = await loop.create_connection(Completion, "127.0.0.1", self._llm_port)
        ask = _encode(Ask("gpt-4", self._messages.history(session)))
        completion.transport.write(to_request("/v1/chat/completions", ask))
        async for text in completion.pieces():
            yield text
        completion.transport.close()


def main() -> None:
    """`python -m bench.stream_floor FOLDER LLM-URL`."""
    folder, url = sys.argv[1:]
    app = Floor(Messages(Path(folder) / "floor.sqlite3", 20), url)
    config = uvicorn.Config(
        app, port=0, loop="none", http="httptools", ws="websockets-sansio", ws_ping_interval=25,
        ws_per_message_deflate=False, lifespan="off", access_log=False, log_config=None, server_header=False,
        proxy_headers=False,
    )  # fmt: skip
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Server(config).serve())


if __name__ == "__main__":
    main()
