"""The workers of a server, as its log tells of them, and who of them answered."""

import re
from collections import Counter
from pathlib import Path
from uuid import uuid4

import aiohttp

from tests.parts.palaver import Server
from tests.parts.process import wait_until

SECONDS = 120


class Crew:
    """The supervisor and the workers of a server."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def pids(self) -> dict[int, int]:
        """Who serves in which slot, so far as was said."""
        return {int(slot): int(pid) for pid, slot in self._served()}

    def count_served(self) -> int:
        """How many workers have come to serve, all in all."""
        return len(self._served())

    async def wait_log(self, pattern: str, times: int = 1) -> list[str]:
        """What fits in the log, once that is there so often."""
        expression = re.compile(pattern)

        def has_come() -> bool:
            return len(expression.findall(self.server.log_text())) >= times

        assert await wait_until(has_come, seconds=SECONDS), f"{pattern!r} is not {times} times in the log"
        return expression.findall(self.server.log_text())

    async def wait_served(self, times: int) -> None:
        """Until so many workers have come to serve, all in all."""
        await self.wait_log(r"worker \d+ serves in slot \d+", times)

    async def who_answers(self, http: aiohttp.ClientSession, *, requests: int) -> Counter[int]:
        """How many of so many requests were answered by which process. `AssertionError` where one was not."""
        ids = [uuid4().hex for _ in range(requests)]
        for request_id in ids:
            await ask(http, self.server, request_id)
        return Counter([await self.who_answered(request_id) for request_id in ids])

    async def who_answered(self, request_id: str) -> int:
        """The process that logged this request."""
        [pid] = await self.wait_log(rf" INFO (\d+) palaver\.api request {request_id}:")
        return int(pid)

    def _served(self) -> list[tuple[str, str]]:
        return re.findall(r"worker (\d+) serves in slot (\d+)", self.server.log_text())


async def ask(http: aiohttp.ClientSession, server: Server, request_id: str = "") -> None:
    """A short request that needs no database."""
    async with http.get(f"{server.url}/api/v1/", headers={"X-Request-Id": request_id}) as response:
        assert response.status == 200, await response.text()


def is_alive(pid: int) -> bool:
    """Whether the process runs. One that waits to be buried does not."""
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def wait_gone(*pids: int) -> None:
    assert await wait_until(lambda: not any(map(is_alive, pids)), seconds=SECONDS), f"{pids} are still there"
