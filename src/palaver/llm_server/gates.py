"""Answers that are held: piece by piece they leave when somebody says so, however slow or quick all else is.

A test that has to see a reply half written cannot rely on a clock: by the time that it looks, the reply may be over.
"""

import asyncio
import math

import msgspec

from palaver.llm_server.steps import Steps, Until, Write


class LetGo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of what is held may leave: so many pieces more of each answer, or all; of this hold, or of every one."""

    hold: str | None = None
    pieces: int | None = None


class Gates:
    """By the name of a hold: how many pieces of an answer may leave."""

    def __init__(self) -> None:
        self._most: dict[str, float] = {}
        self._waiting: list[asyncio.Future[None]] = []

    def let_go(self, told: LetGo) -> None:
        """Without a name, all that is held now leaves, and a later answer of the same name is held again."""
        waiting, self._waiting = self._waiting, []
        if told.hold is None:
            self._most.clear()
            for future in waiting:
                future.cancel()
            return
        more = math.inf if told.pieces is None else told.pieces
        self._most[told.hold] = self._most.get(told.hold, 0) + more
        for future in waiting:
            future.set_result(None)

    def hold(self, name: str, steps: Steps) -> Steps:
        """The steps, of which each piece waits until it may leave."""
        sent = 0
        forgotten = False
        for step in steps:
            while isinstance(step, Write) and step.pieces and not forgotten and self._most.get(name, 0) <= sent:
                changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.append(changed)
                yield Until(changed)
                forgotten = changed.cancelled()
            if isinstance(step, Write):
                sent += step.pieces
            yield step
