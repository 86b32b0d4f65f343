"""The stand-in for an LLM server, as a process of its own; what it can be told is in `palaver.llm_server.script`."""

import sys
from typing import Any, Literal

import aiohttp
import msgspec

from tests.parts.process import Process, free_port
from tests.parts.run import Run

_SECONDS_TO_START = 60

Stage = Literal["arrived", "ended", "closed"]


class Moment(msgspec.Struct, frozen=True):
    """`monotonic` compares with `time.monotonic()` of any process on this machine."""

    monotonic: float
    wall: float


class Billed(msgspec.Struct, frozen=True):
    """What an answer that came to its end told to have used."""

    prompt_tokens: int
    completion_tokens: int


class Heard(msgspec.Struct, frozen=True):
    """A request as the stand-in heard it, and what became of it."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    fault: str | None
    arrived_at: Moment
    first_byte_at: Moment | None
    ended_at: Moment | None
    pieces_sent: int
    outcome: Literal["complete", "closed_by_peer", "fault"] | None
    peer_closed_at: Moment | None
    billed: Billed | None = None

    def reached(self, stage: Stage) -> bool:
        match stage:
            case "arrived":
                return True
            case "ended":
                return self.outcome is not None
            case "closed":
                return self.peer_closed_at is not None


class LLM:
    """The stand-in: where it is, what it is told, what it heard."""

    def __init__(self, run: Run, *options: str) -> None:
        """`options` as of its command line, `"--api-key", "secret"`."""
        self._run = run
        self._folder = run.make_folder("llm")
        self._options = options
        # Nobody else takes it while it is down.
        self._port = free_port()
        self.process: Process
        self.url = ""

    async def start(self) -> None:
        command = [sys.executable, "-m", "palaver.llm_server", "--port", str(self._port), *self._options]
        self.process = Process(self._run, command, name="llm-server", log=self._folder / "log")
        line = await self.process.wait_for_line(r"^llm-server on (http://\S+)$", seconds=_SECONDS_TO_START)
        self.url = line[1]

    async def restart(self) -> None:
        """Let it die and come again at the same address. What it was told and heard is gone."""
        self.process.kill()
        await self.start()

    async def control(self, **script: str | float | bool) -> None:
        """Have it answer all that follows by this script: `text="…", pieces=20, fault="500", on="models"`.

        Without any, it answers as it does at first.
        """
        async with (
            aiohttp.ClientSession(raise_for_status=True) as client,
            client.post(f"{self.url}/_control", json=script),
        ):
            pass

    async def let_go(self, hold: str | None = None, *, pieces: int | None = None) -> None:
        """Of what a script holds, `[[text=one two three&hold=count]]`, so many pieces more may leave, or all.

        Without a name, all that is held leaves, and what comes later is held again.
        """
        told = {name: value for name, value in (("hold", hold), ("pieces", pieces)) if value is not None}
        async with (
            aiohttp.ClientSession(raise_for_status=True) as client,
            client.post(f"{self.url}/_let_go", json=told),
        ):
            pass

    async def record(self, wait: Stage = "arrived", *, n: int = 0, timeout: float = 30.0) -> list[Heard]:
        """The chat and embedding requests, oldest first, once `n` of them have arrived, ended, or been closed by us.

        `AssertionError` when they do not in time.
        """
        wish = {"wait": wait, "n": n, "timeout": timeout}
        async with (
            aiohttp.ClientSession(raise_for_status=True) as client,
            client.get(f"{self.url}/_record", params=wish) as response,
        ):
            heard = msgspec.json.decode(await response.read(), type=list[Heard])
        reached = sum(request.reached(wait) for request in heard)
        assert reached >= n, f"Of {n} requests, {reached} {wait} within {timeout} s: {heard}"
        return heard

    async def bill(self) -> dict[str, int]:
        """The sum of all that was told to have been used: `answers`, `prompt_tokens`, `completion_tokens`,
        `cached_tokens`."""
        async with (
            aiohttp.ClientSession(raise_for_status=True) as client,
            client.get(f"{self.url}/_bill") as response,
        ):
            bill: dict[str, int] = await response.json()
            return bill

    async def reset(self) -> None:
        """Running, answering as at first, remembering no request, whatever was done to it."""
        self.process.thaw()
        if not self.process.is_running:
            await self.restart()
        await self.control()
        await self.control(reset_record=True)
        await self.let_go()
