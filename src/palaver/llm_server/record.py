"""What the stand-in was asked and what became of it, so that a test can see what its client really did."""

import asyncio
from collections import deque
from time import monotonic, time
from typing import Literal

import msgspec

from palaver.llm_server.usage import Usage

Outcome = Literal["complete", "closed_by_peer", "fault"]
Stage = Literal["arrived", "ended", "closed"]


class Moment(msgspec.Struct, frozen=True):
    """A point in time: `monotonic` to measure with, also between processes; `wall` to compare with logs."""

    monotonic: float
    wall: float


def moment() -> Moment:
    return Moment(monotonic(), time())


class Entry(msgspec.Struct, kw_only=True):
    """One request. Its fields fill as it goes."""

    method: str
    path: str
    raw_headers: list[tuple[bytes, bytes]]
    raw_body: bytes
    fault: str | None = None
    """The fault that it asked for and got."""
    arrived_at: Moment
    first_byte_at: Moment | None = None
    ended_at: Moment | None = None
    """When the last byte was written, or the peer had gone."""
    pieces_sent: int = 0
    outcome: Outcome | None = None
    """`fault` is an answer that never came to its normal end; one that was merely odd is `complete`."""
    peer_closed_at: Moment | None = None
    """When the peer closed the connection while this answer was under way, or while it hung."""
    usage: Usage | None = None
    """What it tells to have used at its end, where it does."""

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.raw_headers}

    @property
    def body(self) -> object:
        """The parsed JSON; text, where it was none."""
        try:
            parsed: object = msgspec.json.decode(self.raw_body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self.raw_body.decode(errors="replace")
        return parsed

    @property
    def billed(self) -> Usage | None:
        """What it has told to have used: nothing where it did not come to its end."""
        return self.usage if self.outcome == "complete" else None

    def end(self, outcome: Outcome) -> None:
        if self.outcome is None:
            self.outcome, self.ended_at = outcome, moment()

    def reached(self, stage: Stage) -> bool:
        match stage:
            case "arrived":
                return True
            case "ended":
                return self.outcome is not None
            case "closed":
                return self.peer_closed_at is not None


class Record:
    """The last requests, oldest first."""

    def __init__(self, limit: int) -> None:
        self.entries: deque[Entry] = deque(maxlen=limit)
        self._waiting: list[asyncio.Future[None]] = []

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.tell()

    def reset(self) -> None:
        """Forget all entries; those under way are not seen again."""
        self.entries.clear()

    def count(self, stage: Stage) -> int:
        return sum(entry.reached(stage) for entry in self.entries)

    def tell(self) -> None:
        """Something has changed."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def next_change(self, deadline: float) -> asyncio.Future[None]:
        """Done at the next change, at the latest at `deadline` on the loop's clock."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        timer = loop.call_at(deadline, _set_done, future)
        future.add_done_callback(lambda _: timer.cancel())
        self._waiting.append(future)
        return future

    async def wait_for(self, stage: Stage, *, count: int = 1, timeout: float = 60.0) -> list[Entry]:
        """The entries, once so many have reached the stage. `TimeoutError` when they do not."""
        deadline = asyncio.get_running_loop().time() + timeout
        while self.count(stage) < count:
            if asyncio.get_running_loop().time() >= deadline:
                raise TimeoutError(f"{self.count(stage)} of {count} requests {stage} within {timeout} s.")
            await self.next_change(deadline)
        return list(self.entries)

    def bill(self) -> dict[str, int]:
        """The sum of all that was told to have been used."""
        billed = [entry.billed for entry in self.entries if entry.billed is not None]
        return {
            "answers": len(billed),
            "prompt_tokens": sum(usage.prompt_tokens for usage in billed),
            "completion_tokens": sum(usage.completion_tokens for usage in billed),
            "cached_tokens": sum(
                usage.prompt_tokens_details.cached_tokens for usage in billed if usage.prompt_tokens_details
            ),
        }

    def encode(self) -> bytes:
        return msgspec.json.encode([_to_told(entry) for entry in self.entries])


def _set_done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _to_told(entry: Entry) -> dict[str, object]:
    return {
        "method": entry.method,
        "path": entry.path,
        "headers": entry.headers,
        "body": entry.body,
        "fault": entry.fault,
        "arrived_at": entry.arrived_at,
        "first_byte_at": entry.first_byte_at,
        "ended_at": entry.ended_at,
        "pieces_sent": entry.pieces_sent,
        "outcome": entry.outcome,
        "peer_closed_at": entry.peer_closed_at,
        "billed": entry.billed,
    }
