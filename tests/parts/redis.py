"""A Redis or Valkey server without persistence, on a free port."""

import shutil
from pathlib import Path
from typing import Any

from redis.asyncio import Redis as Client

from tests.parts import PartFailed, PartMissing
from tests.parts.process import Process, free_port
from tests.parts.run import Run

_NAMES = ("redis-server", "valkey-server")
_SETTINGS = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
_AS_STARTED = (("CLIENT", "UNPAUSE"), ("REPLICAOF", "NO", "ONE"), ("CONFIG", "SET", "maxmemory", "0"))
_SECONDS_TO_START = 15
_TRIES = 5


class Redis:
    """A server that can be emptied, and made to fail."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._folder = run.make_folder("redis")
        self._program = _find_program()
        self._port = 0
        self.process: Process

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    async def start(self) -> None:
        for _ in range(_TRIES):
            self._port = free_port()
            try:
                await self._start()
            except PartFailed:
                # Somebody else may have taken the port in between.
                continue
            return
        raise PartFailed(f"{self._program} would not start:\n{self.process.log_text()}")

    async def restart(self) -> None:
        """Let it die and come again, empty, at the same address."""
        self.process.kill()
        await self._start()

    async def reset(self) -> None:
        """Running and empty, whatever was done to it."""
        self.process.thaw()
        if not self.process.is_running:
            await self._start()
        # Not all of its methods have types.
        client: Any = Client.from_url(self.url)
        async with client:
            for command in _AS_STARTED:
                await client.execute_command(*command)
            await client.flushall()

    async def calls(self, command: str) -> int:
        """How often it was asked for this since it started."""
        client: Any = Client.from_url(self.url)
        async with client:
            told = await client.info("commandstats")
        return int(told.get(f"cmdstat_{command}", {"calls": 0})["calls"])

    async def _start(self) -> None:
        self.process = Process(
            self._run,
            [self._program, "--port", str(self._port), "--dir", str(self._folder), *_SETTINGS],
            name="Redis",
            log=self._folder / "log",
        )
        await self.process.wait_for_line("Ready to accept connections", seconds=_SECONDS_TO_START)


def _find_program() -> str:
    for name in _NAMES:
        if found := shutil.which(name):
            return str(Path(found))
    raise PartMissing(f"No Redis server is on the PATH ({', '.join(_NAMES)}). `make ready` installs one.")
