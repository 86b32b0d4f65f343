"""`palaver` without limits, ledger and metrics: what a turn would cost if they were not there.

It answers, and counts nothing. Only bench/extras.py runs it, as `python -m bench.bare serve …`.
"""

from collections.abc import Sequence
from typing import Any

from palaver.chat import running
from palaver.chat.limits import Grant, Limits
from palaver.cli import main
from palaver.store import ending, turns
from palaver.store.ledger import COST
from palaver.watching import series

# PostgreSQL wants a statement to use all that it is given.
ALL_THE_SAME = "CASE WHEN CAST($17 AS BIGINT) < CAST($19 AS BIGINT) AND CAST($18 AS TEXT) = '' THEN 0 ELSE 0 END"


def _count_nothing(*_arguments: object) -> None:
    return


class _Uncounted:
    add = set = observe = staticmethod(_count_nothing)


class _NoTally:
    def __init__(self, *_arguments: object, **_named: object) -> None:
        return

    def end(self, *_arguments: object, **_named: object) -> None:
        return


async def _grant(*_arguments: object, **_named: object) -> Grant:
    return Grant()


async def _reserve_nothing(_tx: object, asked: Sequence[object], *_more: object) -> Sequence[None]:
    return [None] * len(asked)


async def _nothing(*_arguments: object, **_named: object) -> None:
    return


def take_out() -> None:
    watching: Any = series
    watching.Count.add = watching.Count.set = watching.Spread.observe = _count_nothing
    uncounted = _Uncounted()
    watching.Family.of = lambda *_labels: uncounted
    running.Tally = _NoTally  # type: ignore[assignment, attr-defined]
    Limits.allow_turn = _grant  # type: ignore[method-assign]
    Grant.ask_conversation = _nothing  # type: ignore[method-assign]
    turns.reserve_all = _reserve_nothing  # type: ignore[assignment, attr-defined]
    ending.spend = _nothing  # type: ignore[attr-defined]
    _change(COST.format(prompt="$9", cached="$17", completion="$10", model="$18", now="$19"), ALL_THE_SAME)
    _change("payer_id IS NOT NULL OR EXISTS (SELECT 1 FROM spending WHERE scope > '')", "FALSE")


def _change(part: str, to: str) -> None:
    assert part in ending.END_REPLY, "the statement is another by now"
    ending.END_REPLY = ending.END_REPLY.replace(part, to)


if __name__ == "__main__":
    take_out()
    main(prog_name="palaver")
