"""The connection by which a worker asks Redis: all that gathers in a turn of the loop leaves together."""

import asyncio
from collections import deque
from typing import Any, NoReturn

from redis.exceptions import NoScriptError

from palaver.bus.link import Link, Report, until_one_fails
from palaver.bus.server import PING, Line, RedisServer

BEAT_SECONDS = 1.0


class Asker:
    """`first` is asked on every new connection: only once that is answered is it said to work."""

    def __init__(self, server: RedisServer, report: Report, *, first: bytes) -> None:
        self.link = Link("asker", server, report, serve=self._serve, broken=self._forget)
        self._server = server
        self._first = first
        self._queue: list[tuple[bytes, asyncio.Future[Any]]] = []
        self._sent: deque[asyncio.Future[Any]] = deque()
        self._wake = asyncio.Event()

    def ask(self, packed: bytes) -> asyncio.Future[Any]:
        """Its answer: None where there is none, `NoScriptError` where Redis does not know the script any more."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.link.is_up:
            self._queue.append((packed, answer))
            self._wake.set()
        else:
            answer.set_result(None)
        return answer

    async def _serve(self, line: Line) -> NoReturn:
        async with self._server.in_time():
            await line.send([self._first])
            await line.read()
        self.link.up()
        await until_one_fails(self._flush(line), self._beat())

    async def _flush(self, line: Line) -> NoReturn:
        while True:
            await self._wake.wait()
            self._wake.clear()
            queue, self._queue = self._queue, []
            self._sent.extend(answer for _, answer in queue)
            async with self._server.in_time():
                await line.send([packed for packed, _ in queue])
                while self._sent:
                    said = await self._read(line)
                    answer = self._sent.popleft()
                    if not answer.done():
                        answer.set_result(said)

    async def _read(self, line: Line) -> Any:
        try:
            return await line.read()
        except NoScriptError as error:
            # Somebody has emptied Redis of its scripts. All else that Redis refuses ends the connection.
            return error

    async def _beat(self) -> NoReturn:
        """Finds out that Redis has gone before somebody waits for it."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            if not self._queue:
                self.ask(PING)

    def _forget(self) -> None:
        for answer in (*self._sent, *(answer for _, answer in self._queue)):
            if not answer.done():
                answer.set_result(None)
        self._sent.clear()
        self._queue.clear()
        self._wake.clear()
