"""The floor: what storing a turn costs with nothing around it.

A bare ASGI app under uvicorn with its own upstream client. It stores both messages in SQLite with two commits, each
synced to disk, and sends the model the last messages. No sign-in, no checks, nobody else hears of anything, no reply
survives its connection. What an honest server does comes on top of this.
"""

import asyncio
import sqlite3
import sys
from pathlib import Path
from time import time_ns
from typing import Any
from urllib.parse import urlsplit

import msgspec
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from bench.wire import Connection, connect, to_request

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
  id INTEGER PRIMARY KEY,
  session_id TEXT NOT NULL,
  role TEXT NOT NULL,
  content TEXT NOT NULL,
  created_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS messages_by_session ON messages (session_id, id);
"""
_INSERT = "INSERT INTO messages (session_id, role, content, created_at) VALUES (?, ?, ?, ?)"
_HISTORY = "SELECT role, content FROM messages WHERE session_id = ? ORDER BY id DESC LIMIT ?"
_HEADERS = [(b"content-type", b"application/json")]


class Say(msgspec.Struct):
    message: str
    session_id: str = msgspec.field(name="sessionId")


class Said(msgspec.Struct):
    role: str
    content: str


class Ask(msgspec.Struct):
    model: str
    messages: list[Said]


class Choice(msgspec.Struct):
    message: Said


class Completion(msgspec.Struct):
    choices: list[Choice]


_encode = msgspec.json.Encoder().encode
_decode_say = msgspec.json.Decoder(Say).decode
_decode_completion = msgspec.json.Decoder(Completion).decode


class Messages:
    """The one table. What comes within one turn of the event loop is committed together."""

    def __init__(self, path: Path, window: int) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.executescript(_SCHEMA)
        self._window = window
        self._waiting: list[tuple[str, str, str, int]] = []
        self._stored: asyncio.Future[None] | None = None

    async def add(self, session_id: str, role: str, content: str) -> None:
        if self._stored is None:
            loop = asyncio.get_running_loop()
            self._stored = loop.create_future()
            loop.call_soon(self._commit)
        self._waiting.append((session_id, role, content, time_ns()))
        await self._stored

    def history(self, session_id: str) -> list[Said]:
        rows = self._database.execute(_HISTORY, (session_id, self._window)).fetchall()
        return [Said(role, content) for role, content in reversed(rows)]

    def _commit(self) -> None:
        rows, stored = self._waiting, self._stored
        self._waiting, self._stored = [], None
        self._database.execute("BEGIN")
        self._database.executemany(_INSERT, rows)
        self._database.execute("COMMIT")
        assert stored is not None
        stored.set_result(None)


class Model:
    """The upstream, over connections that are kept."""

    def __init__(self, url: str) -> None:
        self._port = urlsplit(url).port or 80
        self._idle: list[Connection] = []

    async def complete(self, messages: list[Said]) -> str:
        connection = self._idle.pop() if self._idle else await connect("127.0.0.1", self._port)
        answer = await connection.ask(to_request("/v1/chat/completions", _encode(Ask("gpt-4", messages))))
        self._idle.append(connection)
        return _decode_completion(answer.body).choices[0].message.content


class Floor:
    def __init__(self, messages: Messages, model: Model) -> None:
        self._messages = messages
        self._model = model

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        say = _decode_say((await receive())["body"])
        await self._messages.add(say.session_id, "user", say.message)
        reply = await self._model.complete(self._messages.history(say.session_id))
        await self._messages.add(say.session_id, "assistant", reply)
        body = _encode({"message": reply, "sessionId": say.session_id})
        headers = [*_HEADERS, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Server(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(f"ready on http://127.0.0.1:{port}", flush=True)


def main() -> None:
    """`python -m bench.floor FOLDER LLM-URL WINDOW`; a window of -1 sends the whole conversation."""
    folder, url, window = sys.argv[1:]
    app = Floor(Messages(Path(folder) / "floor.sqlite3", int(window)), Model(url))
    config = uvicorn.Config(
        app, port=0, loop="none", http="httptools", ws="none", lifespan="off", access_log=False, log_config=None,
        server_header=False, proxy_headers=False,
    )  # fmt: skip
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Server(config).serve())


if __name__ == "__main__":
    main()
