"""Reading a document: in a child process, whose word is checked and whose end is certain."""

import asyncio
import errno
import logging
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress

from palaver.chat.knowledge import Cut
from palaver.knowledge.orders import LONGEST_LINE, End, Order, check_cut, decode_said, encode
from palaver.knowledge.unreadable import Unreadable

log = logging.getLogger("palaver.knowledge")

Keep = Callable[[Sequence[Cut]], Awaitable[None]]

# Passages are handed on in such numbers: the database has others to serve between two of them.
BATCH = 64

# What is on its way to the child at once, and read from it at once: about a millisecond's work.
_PIECE = 64 * 1024

# Too many descriptors, processes, or too little memory, here or in the whole system.
_FOR_NOW = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
_TRY_AGAIN_SECONDS = 1.0

# Characters of a token, at most: more are no words.
_LONGEST_TOKEN = 4


class ChildEnded(OSError):
    """Somebody has ended the child, as whoever stops a server ends all of its processes: the document is as good as it
    was."""


async def read_document(order: Order, parts: AsyncIterator[bytes], keep: Keep) -> None:
    """Has `keep` keep its passages, in batches and in order.

    Raises `Unreadable`, at the start or later on: what was kept is nothing then. What `parts` and `keep` raise ends the
    child too.
    """
    child = await _start_somehow()
    sending = asyncio.create_task(_send(child, order, parts))
    try:
        await _hear(child, order, keep)
    except Unreadable:
        if sending.done() and not sending.cancelled() and (error := sending.exception()) is not None:
            # It is not the document that is at fault.
            raise error from None
        raise
    finally:
        sending.cancel()
        await asyncio.wait([sending])
        await _end(child)


async def _start_somehow() -> Process:
    """Waits where the system lets nothing be started just now: that is no fault of the document's."""
    told = False
    while True:
        try:
            return await _start()
        except OSError as error:
            if error.errno not in _FOR_NOW:
                raise
            if not told:
                log.warning("reading documents has to wait: %s", error.strerror)
            told = True
            await asyncio.sleep(_TRY_AGAIN_SECONDS)


async def _start() -> Process:
    return await asyncio.create_subprocess_exec(
        # Without the folder that somebody happens to stand in, which is no place to import from.
        *(sys.executable, "-P", "-B", "-m", "palaver.knowledge.child"),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        # It is to know no secret of ours.
        env={},
        close_fds=True,
    )


async def _send(child: Process, order: Order, parts: AsyncIterator[bytes]) -> None:
    pipe = child.stdin
    assert pipe is not None
    try:
        pipe.write(encode(order))
        async for part in parts:
            for place in range(0, len(part), _PIECE):
                pipe.write(part[place : place + _PIECE])
                try:
                    await pipe.drain()
                except ConnectionError:
                    # It ended before it had heard all. Why, it says itself.
                    return
    finally:
        pipe.close()


async def _hear(child: Process, order: Order, keep: Keep) -> None:
    pipe = child.stdout
    assert pipe is not None
    heard = _Heard(order)
    # Only what the child takes counts, not what keeping does.
    patience = order.limits.wall_seconds
    while True:
        began = time.monotonic()
        try:
            async with asyncio.timeout(patience):
                data = await pipe.read(_PIECE)
        except TimeoutError:
            raise Unreadable("too_slow", "it says nothing more") from None
        patience = max(0.0, patience - (time.monotonic() - began))
        if not data:
            break
        for cuts in heard.feed(data):
            await keep(cuts)
    if heard.end is None:
        raise _to_error(await child.wait())
    if heard.end.problem is not None:
        raise Unreadable(heard.end.problem, heard.end.why)
    if heard.last is None:
        raise Unreadable("empty")
    if heard.cuts:
        await keep(heard.cuts)


async def _end(child: Process) -> None:
    """There is no child after this, and none that has ended and is not known to have."""
    if child.returncode is None:
        # `child.kill` would first look whether it has ended, and take that from asyncio, which waits for it.
        with suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
    if child.stdout is not None:
        # asyncio would wait for the pipe's end, and does not look for it where nobody reads.
        while await child.stdout.read(_PIECE):
            pass
    await child.wait()


class _Heard:
    """What a child has said so far, if it is what it may say."""

    def __init__(self, order: Order) -> None:
        sizes = order.sizes
        self._longest = sizes.most * (_LONGEST_TOKEN if sizes.unit == "tokens" else 1)
        self._most = order.limits.passages
        self._rest = b""
        self.cuts: list[Cut] = []
        self.last: Cut | None = None
        self.end: End | None = None

    def feed(self, data: bytes) -> Iterator[list[Cut]]:
        """Batches that are full."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            raise Unreadable("broken", "the child says too much")
        for line in lines:
            try:
                self._take(line)
            except ValueError as error:
                raise Unreadable("broken", f"the child says what it may not: {error}") from None
            if len(self.cuts) >= BATCH:
                cuts, self.cuts = self.cuts, []
                yield cuts

    def _take(self, line: bytes) -> None:
        if self.end is not None:
            raise ValueError("something after its last word")
        said = decode_said(line)
        if isinstance(said, End):
            self.end = said
            return
        check_cut(said.cut, self.last, self._longest)
        if said.cut.number >= self._most:
            raise ValueError("too many passages")
        self.last = said.cut
        self.cuts.append(said.cut)


def _to_error(code: int) -> Unreadable | ChildEnded:
    """Why a child has no last word: what ended it."""
    match -code:
        case signal.SIGINT | signal.SIGTERM | signal.SIGHUP:
            return ChildEnded("the process that read a document was ended with its parent")
        case signal.SIGXCPU:
            return Unreadable("too_slow", "CPU time")
        case signal.SIGKILL:
            # Not by us, who would have raised before: the system was short of memory, or it ran past its CPU time.
            return Unreadable("too_large", "it was killed")
        case _:
            return Unreadable("broken", f"the child ended with {code}")
