"""Spans of turns, where the operator wants them: what is called, and who carries it out while they are on.

OpenTelemetry is an extra (`palaver[otel]`). `watching/otel.py` alone imports it, and is imported once it is asked for;
until then `tracing` is None, and looking at that is all that a turn pays.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

Headers = Sequence[tuple[bytes, bytes]]


class RequestSpan(Protocol):
    """A request that begins a turn."""

    def end(self, status: int | None) -> None:
        """`status` is None where the client left before it had one."""
        ...


class TalkSpan(Protocol):
    """A bot that is asked and talks, until it ends."""

    def piece(self, text: str) -> None: ...
    def finished(self, model: str | None, reason: str, tokens: tuple[int, int, int] | None) -> None:
        """`tokens`: in, of these cached, and out."""
        ...

    def end(self, failure: str | None) -> None: ...


class Tracing(Protocol):
    talks_content: bool
    """Whether what people and bots say goes into spans."""

    def request(self, method: str, route: str, request_id: str, headers: Headers) -> RequestSpan:
        """What this task does from now on is part of it."""
        ...

    def message(self, route: str, kind: str, request_id: str, headers: Headers) -> AbstractContextManager[None]:
        """The same for a message on a WebSocket, whose task goes on with others afterwards."""
        ...

    def talk(self, provider: str, model: str | None, settings: Mapping[str, float | None], said: str) -> TalkSpan:
        """What this task does from now on is part of it. `said` is the messages as JSON, where content is wanted."""
        ...

    def outgoing(self) -> Mapping[str, str]:
        """Headers by which whoever is asked now knows of which span it is a part."""
        ...


tracing: Tracing | None = None
