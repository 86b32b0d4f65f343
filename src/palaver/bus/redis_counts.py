"""What is limited, counted in Redis or Valkey for all workers together, by one script.

Each worker counts for itself as well: while Redis is away or slow, that is what holds, for the worker alone. What it
holds it names again and again, so that a worker that dies is forgotten and a Redis that comes back empty learns it.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from importlib.resources import files
from typing import Any, NoReturn

from redis.exceptions import NoScriptError

from palaver.bus.asker import Asker
from palaver.bus.link import Report
from palaver.bus.server import RedisServer, pack
from palaver.chat.counts import ASK_AGAIN_SECONDS, LocalCounts
from palaver.chat.ports import Standing, Wanted

# Of each second that Redis may take. Whoever sends must not feel that it stands still.
ANSWER_SECONDS = 0.25

MICROS = 1_000_000

# Thousands of sockets named at once would be felt by the replies.
KEPT_TOGETHER = 100

UNTIL_BACK = "Until it can, each worker counts for itself what is limited: a limit holds in each of them."
ONCE_BACK = "What is limited is counted there, for all workers together."


class RedisCounts:
    def __init__(self, server: RedisServer, prefix: str, hold_seconds: float) -> None:
        self._server = server
        self._prefix = prefix.encode()
        self._hold = b"%d" % (hold_seconds * MICROS)
        self._pause = hold_seconds / 3
        self._script = files("palaver.bus").joinpath("counts.lua").read_bytes()
        self._digest = hashlib.sha1(self._script, usedforsecurity=False).hexdigest().encode()
        # Taking something proves all that is needed: that we may, that the script is known, that Redis takes writes.
        first = pack(b"EVAL", self._script, b"1", self._key("first"), b"take", b"1", b"1", b"")
        report = Report(server, UNTIL_BACK, ONCE_BACK)
        self.asker = Asker(server, report, first=first)
        self._local = LocalCounts()

    async def take(self, wanted: Sequence[Wanted], holder: str = "") -> Sequence[Standing]:
        questions = [self._asking(b"take" if one.seconds else b"hold", one, holder) for one in wanted]
        asked = self._send(questions)
        answers = await self._hear(questions, asked)
        if answers is None:
            return self._take_alone(wanted, holder, asked)
        standings = [_to_standing(answer) for answer in answers]
        had = [one for one, standing in zip(wanted, standings, strict=True) if not standing.wait]
        if len(had) == len(wanted):
            self._local.note(wanted, holder)
        else:
            self._give_back(had, holder)
        return standings

    def take_now(self, _wanted: Sequence[Wanted], _holder: str = "", /) -> None:
        return None

    def _take_alone(
        self, wanted: Sequence[Wanted], holder: str, asked: Sequence[asyncio.Future[Any]]
    ) -> Sequence[Standing]:
        standings = self._local.take_now(wanted, holder)
        if any(standing.wait for standing in standings):
            # Redis may carry it out all the same, only later: it would keep what nobody has.
            for one, answer in zip(wanted, asked, strict=True):
                answer.add_done_callback(partial(self._give_back_late, one, holder))
        return standings

    def _give_back_late(self, wanted: Wanted, holder: str, answer: asyncio.Future[Any]) -> None:
        said = answer.result()
        if isinstance(said, list) and not _to_standing(said).wait:
            self._give_back([wanted], holder)

    async def look(self, wanted: Wanted) -> Standing:
        answers = await self._ask([self._asking(b"look", wanted, "")])
        return await self._local.look(wanted) if answers is None else _to_standing(answers[0])

    def give_back(self, wanted: Sequence[Wanted], holder: str = "") -> None:
        self._local.give_back(wanted, holder)
        self._give_back(wanted, holder)

    def _give_back(self, wanted: Sequence[Wanted], holder: str) -> None:
        for one in wanted:
            if one.seconds:
                self.asker.ask(pack(b"LPOP", self._key(one.key)))
            else:
                self.asker.ask(pack(b"ZREM", self._key(one.key), holder.encode()))

    def forget(self, key: str) -> None:
        self._local.forget(key)
        self.asker.ask(pack(b"DEL", self._key(key)))

    async def keep(self) -> NoReturn:
        """Names what is held here before it is given up."""
        while True:
            await asyncio.sleep(self._pause)
            held = list(self._local.held())
            for first in range(0, len(held), KEPT_TOGETHER):
                some = held[first : first + KEPT_TOGETHER]
                await self._ask([(self._key(key), b"keep", b"0", self._hold, holder.encode()) for key, holder in some])

    def _asking(self, what: bytes, wanted: Wanted, holder: str) -> tuple[bytes, ...]:
        span = b"%d" % (wanted.seconds * MICROS) if wanted.seconds else self._hold
        return (self._key(wanted.key), what, b"%d" % wanted.most, span, holder.encode())

    async def _ask(self, questions: Sequence[tuple[bytes, ...]]) -> list[Any] | None:
        return await self._hear(questions, self._send(questions))

    def _send(self, questions: Sequence[tuple[bytes, ...]]) -> list[asyncio.Future[Any]]:
        return [self.asker.ask(pack(b"EVALSHA", self._digest, b"1", *words)) for words in questions]

    async def _hear(self, questions: Sequence[tuple[bytes, ...]], asked: list[asyncio.Future[Any]]) -> list[Any] | None:
        """What the script says to each; None where it does not say it in time. Then it may still come: `asked` is what
        it comes by."""
        answers = []
        try:
            async with self._server.in_time(ANSWER_SECONDS):
                for number, question in enumerate(questions):
                    answer = await asyncio.shield(asked[number])
                    if isinstance(answer, NoScriptError):
                        # From this one on Redis knows it again.
                        asked[number] = self.asker.ask(pack(b"EVAL", self._script, b"1", *question))
                        answer = await asyncio.shield(asked[number])
                    if answer is None:
                        return None
                    answers.append(answer)
        except TimeoutError:
            return None
        return answers

    def _key(self, key: str) -> bytes:
        # In a cluster a name's slot is that of the part in braces: each of ours stands for itself.
        return b"{%b:limits:%b}" % (self._prefix, key.encode("utf-8", "replace"))


def _to_standing(answer: Sequence[int]) -> Standing:
    wait, left, reset = answer
    return Standing(ASK_AGAIN_SECONDS if wait < 0 else wait / MICROS, max(left, 0), reset / MICROS)


def open_redis_counts(
    url: str, prefix: str, hold_seconds: float, seconds: float | None
) -> AbstractAsyncContextManager[RedisCounts]:
    """As `open_counts`. Raises `ValueError` at once for an address that no server could have."""
    return _open(RedisServer(url, seconds), prefix, hold_seconds)


@asynccontextmanager
async def _open(server: RedisServer, prefix: str, hold_seconds: float) -> AsyncIterator[RedisCounts]:
    counts = RedisCounts(server, prefix, hold_seconds)
    tasks = [asyncio.create_task(part) for part in (counts.asker.link.keep(), counts.keep())]
    try:
        await counts.asker.link.tried.wait()
        yield counts
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
