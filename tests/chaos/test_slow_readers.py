"""Readers that are slow, or stand still, among others that are not: they cost the server little and delay nobody."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.chaos.device import open_alice, open_session
from tests.chaos.reader import Reader, Way, open_reader
from tests.journeys.client import Client
from tests.journeys.socket import Socket, enter
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StoreKind

MOST_BYTES = 256 * 1024
"""So much more memory the server may take for each slow reader."""

PIECES, PIECE_CHARACTERS = 200, 2_000
"""In all far more than a model says at once, so that buffers on the way are full."""
SIPS = 64
"""What a slow reader takes while a quick one takes a piece."""


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "sqlite"


@pytest.fixture
async def alice(server: Server) -> AsyncIterator[Client]:
    async with open_alice(server, await server.token("admin")) as alice:
        yield alice


@pytest.fixture
def most_delay(prove: bool) -> float:
    # In the suite other tests use the same cores.
    return 0.02 if prove else 0.1


def resident_bytes(server: Server) -> int:
    status = Path(f"/proc/{server.pid}/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def delay(readers: Sequence[Reader]) -> float:
    """Of a hundred times between two arrivals the second longest."""
    times = sorted(later - earlier for reader in readers for earlier, later in itertools.pairwise(reader.arrivals[1:]))
    return times[len(times) * 99 // 100]


class Run:
    """One reply, heard by some; all of them are there before it says anything."""

    def __init__(self, alice: Client, way: Way, stack: AsyncExitStack) -> None:
        self._alice = alice
        self._way = way
        self._stack = stack
        self._socket: Socket
        self._session = ""

    async def start(self) -> None:
        self._session = await open_session(self._alice)
        self._socket = await self._stack.enter_async_context(enter(self._alice, self._session, "full_content=0"))
        await self._socket.say("go on")
        await self._socket.until("ai_typing")

    async def enter(self, count: int, *, small: bool = False) -> list[Reader]:
        opening = (open_reader(self._alice, self._session, self._way, small=small) for _ in range(count))
        readers = await asyncio.gather(*opening)
        for reader in readers:
            self._stack.callback(reader.close)
        return readers


async def sip(slow: Sequence[Reader], quick: Reader) -> None:
    """As often as the quick one takes something, each of the slow ones takes a little."""
    while not quick.is_over:
        await quick.arrived.wait()
        quick.arrived.clear()
        await asyncio.gather(*(reader.read(SIPS) for reader in slow))


@pytest.mark.parametrize("way", ["socket", "stream"])
async def test_slow_readers_delay_nobody_cost_little_and_get_all_of_it_in_fewer_pieces(
    alice: Client, server: Server, llm: LLM, prove: bool, most_delay: float, way: Way
) -> None:
    count = 100 if prove else 20
    text = "".join(f"{number:>{PIECE_CHARACTERS}}" for number in range(PIECES))
    await llm.control(text=text, pieces=PIECES, delay=0.015 if prove else 0.01, first=3.0 if prove else 0.5)
    for _ in range(2):
        # Twice: what a reply takes whoever reads it, and what only the first one takes, are no matter of slow readers.
        async with AsyncExitStack() as stack:
            alone = Run(alice, way, stack)
            await alone.start()
            before = resident_bytes(server)
            quick = await alone.enter(count)
            await asyncio.gather(*(reader.read_to_end() for reader in quick))
            usual, usual_delay = resident_bytes(server) - before, delay(quick)
    async with AsyncExitStack() as stack:
        run = Run(alice, way, stack)
        await run.start()
        before = resident_bytes(server)
        quick = await run.enter(count)
        slow = await run.enter(count // 2, small=True)
        still = await run.enter(count - count // 2, small=True)
        sipping = asyncio.create_task(sip(slow, quick[0]))
        await asyncio.gather(*(reader.read_to_end() for reader in quick))
        await sipping
        grown, delayed = resident_bytes(server) - before - usual, delay(quick) - usual_delay
        pieces = min(len(reader.pieces()) for reader in quick)
        assert not any(reader.is_over for reader in (*slow, *still))
        await asyncio.gather(*(reader.read_to_end() for reader in (*slow, *still)))
        for reader in quick:
            assert "".join(reader.pieces()) == text
        for reader in (*slow, *still):
            assert "".join(reader.pieces()) == text
            assert len(reader.pieces()) < 0.9 * pieces
        print(f"{way}: {1000 * delayed:.1f} ms more delay, {grown / count / 1024:.0f} KiB each")  # noqa: T201
        assert delayed < most_delay
        assert grown / count < MOST_BYTES
