"""`palaver` whose limits, ledger and metrics can be taken out while it runs: what a turn would cost without them.

SIGUSR1 takes them out and SIGUSR2 puts them back, while no turn is under way. Without them it answers all, and counts
nothing. Only bench/extras.py runs it, as `python -m bench.bare serve …`.
"""

import os
import signal
from collections.abc import Mapping, Sequence
from itertools import count
from typing import NamedTuple

from palaver.chat import running
from palaver.chat.limits import Grant, Limits
from palaver.cli import main
from palaver.store import ending, turns
from palaver.store.database import Transaction
from palaver.store.ledger import COST
from palaver.watching import series

OUT, BACK = signal.SIGUSR1, signal.SIGUSR2

# PostgreSQL wants a statement to use all that it is given.
ALL_THE_SAME = "CASE WHEN CAST($17 AS BIGINT) < CAST($19 AS BIGINT) AND CAST($18 AS TEXT) = '' THEN 0 ELSE 0 END"


def _count_nothing(*_arguments: object) -> None:
    return


class _NoTally:
    def __init__(self, *_arguments: object, **_named: object) -> None:
        return

    def end(self, *_arguments: object, **_named: object) -> None:
        return


async def _grant(*_arguments: object, **_named: object) -> Grant:
    return Grant()


async def _reserve_nothing(
    tx: Transaction, asked: Sequence[object], *_more: object
) -> tuple[Sequence[None], Mapping[object, object]]:
    if tx.sums is not None and tx.sums.is_told:
        # What tells of each reply costs something, although there is nothing to tell.
        for (name,) in await tx.all("SELECT name FROM sqlite_temp_master WHERE type = 'trigger'"):
            await tx.run(f"DROP TRIGGER temp.{name}")
        tx.sums.undo()
    return [None] * len(asked), {}


def _without(statement: str, *changes: tuple[str, str]) -> str:
    for part, to in changes:
        assert part in statement, "the statement is another by now"
        statement = statement.replace(part, to)
    return statement


class _Part(NamedTuple):
    """What `owner` has by this name, and what stands for it where it is taken out."""

    owner: object
    name: str
    bare: object


PARTS = (
    _Part(series.Count, "add", _count_nothing),
    _Part(series.Count, "set", _count_nothing),
    _Part(series.Spread, "observe", _count_nothing),
    _Part(running, "Tally", _NoTally),
    _Part(Limits, "allow_turn", _grant),
    _Part(turns, "reserve_all", _reserve_nothing),
    _Part(ending, "to_spending", lambda *_ended: []),
    _Part(
        ending,
        "END_REPLY",
        _without(
            ending.END_REPLY,
            (COST.format(prompt="$9", cached="$17", completion="$10", model="$18", now="$19"), ALL_THE_SAME),
            ("payer_id IS NOT NULL OR EXISTS (SELECT 1 FROM spending WHERE scope > '')", "FALSE"),
        ),
    ),
)
WHOLE = tuple([getattr(part.owner, part.name) for part in PARTS])


_told = count(1)


def _take_out(*_signal: object) -> None:
    for part in PARTS:
        setattr(part.owner, part.name, part.bare)
    _tell("without")


def _put_back(*_signal: object) -> None:
    for part, whole in zip(PARTS, WHOLE, strict=True):
        setattr(part.owner, part.name, whole)
    _tell("with")


def _tell(what: str) -> None:
    os.write(1, f"{what} {next(_told)}\n".encode())


if __name__ == "__main__":
    signal.signal(OUT, _take_out)
    signal.signal(BACK, _put_back)
    main(prog_name="palaver")
