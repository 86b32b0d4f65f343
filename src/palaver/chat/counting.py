"""What is counted of a reply: when it begins, at its first piece, and when it has ended. Nothing at any other piece."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from palaver.chat.conversation import Message, Usage
from palaver.chat.errors import BotUnavailable
from palaver.chat.telling import Telling
from palaver.watching import numbers
from palaver.watching.asking import NOBODY, asked_by


class Tally:
    """One reply's. `request_id`: of what has just begun it; "" where no request did."""

    __slots__ = ("_api", "_began", "_telling")

    def __init__(self, telling: Telling, request_id: str) -> None:
        self._api = asked_by.get() if request_id else NOBODY
        self._began = perf_counter()
        self._telling = telling
        # Heard once: looking at each piece for whether it is the first would cost all of them.
        telling.wakes(self._first_piece)
        numbers.BEGUN.of[self._api].add()
        numbers.RUNNING.add()

    def _first_piece(self) -> None:
        self._telling.wakes_no_more(self._first_piece)
        if self._telling.log.length:
            numbers.FIRST_PIECE.observe(perf_counter() - self._began)

    def end(self, kept: Message | None, *, lost: bool) -> None:
        """`kept` is the reply as others see it; `lost`: another worker has ended it."""
        numbers.RUNNING.add(-1)
        if kept is None:
            return
        numbers.ENDED.of[self._api, "lost" if lost else kept.status].add()
        numbers.TURN_SECONDS.of[self._api].observe(perf_counter() - self._began)
        numbers.PIECES.add(self._telling.log.pieces)
        numbers.CHARACTERS.add(self._telling.log.length)
        if kept.cached:
            numbers.GIVEN_AGAIN.add()
        if not lost:
            count_usage(kept.usage)


def count_usage(usage: Usage | None) -> None:
    if usage is not None:
        numbers.TOKENS_IN.add(usage.prompt_tokens)
        numbers.TOKENS_OUT.add(usage.completion_tokens)
        # Most servers tell of none.
        if usage.cached_tokens:
            numbers.TOKENS_CACHED.add(usage.cached_tokens)


@contextmanager
def counted() -> Iterator[None]:
    """Around an answer that is stored nowhere."""
    api, began = asked_by.get(), perf_counter()
    numbers.BEGUN.of[api].add()
    numbers.RUNNING.add()
    end = "failed"
    try:
        yield
        end = "complete"
    except BotUnavailable as error:
        end = "interrupted" if error.cause == "interrupted" else "failed"
        raise
    finally:
        numbers.RUNNING.add(-1)
        numbers.ENDED.of[api, end].add()
        numbers.TURN_SECONDS.of[api].observe(perf_counter() - began)
