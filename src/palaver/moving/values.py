"""What stands in a foreign file, as far as it makes sense: texts, numbers, times."""

import re
from datetime import UTC, datetime
from decimal import Decimal

from palaver.chat.clock import EPOCH, Micros
from palaver.moving.json_stream import Odd, Scalar
from palaver.moving.spool import Place

MILLISECOND = 1000
LATEST = 253_402_300_800 * 1_000_000  # the year 10000

# In milliseconds, and more than any of them has; Python refuses to make a number of very many.
LEAST_DIGITS, MOST_DIGITS = 9, 20

NOT_KEPT = re.compile("[\x00\ud800-\udfff]")
INTEGER_KEY = re.compile(r"0|[1-9]\d{0,14}")
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


def to_name(value: Scalar | Odd) -> str | None:
    """What something is called: a text, or a whole number that stands for one. None where it is called nothing."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and value and not NOT_KEPT.search(value) else None


def to_text(value: Scalar | Odd) -> str | None:
    return value if isinstance(value, str) and not NOT_KEPT.search(value) else None


def to_line(value: Scalar | Odd, most: int) -> str:
    """The text, cut where it is too long; empty where there is none."""
    return (to_text(value) or "")[:most]


def to_number(value: Scalar | Odd) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    try:
        return float(value)
    except OverflowError:
        # A whole number may have hundreds of digits.
        return None


def to_count(value: Scalar | Odd) -> int | None:
    number = to_number(value)
    return None if number is None or not number.is_integer() or not 0 <= number < 2**53 else int(number)


def to_truth(value: Scalar | Odd) -> bool | None:
    """Yes or no, as a word or a number, too. None for what is neither."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return bool(value) if isinstance(value, int | Decimal) and value in (0, 1) else None


def to_uuid(key: str) -> str | None:
    """The UUID that a key is."""
    key = key.lower()
    return key if UUID.fullmatch(key) else None


def to_micros(value: Scalar | Odd) -> Micros | None:
    """A time in ISO 8601, in UTC unless it says otherwise, or in milliseconds since 1970. None for what is no time."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isdecimal() and LEAST_DIGITS <= len(value) <= MOST_DIGITS:
        value = int(value)
    if isinstance(value, int | Decimal):
        return _in_range(int(value * MILLISECOND)) if -LATEST < value < LATEST else None
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        since = moment - EPOCH
    except OverflowError:
        return None
    return _in_range((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def _in_range(micros: int) -> Micros | None:
    return Micros(micros) if 0 <= micros < LATEST else None


def to_place(key: str) -> Place:
    """Where an entry of that key stands: Firebase orders numbers by their size, and all else as text."""
    return int(key) if INTEGER_KEY.fullmatch(key) else key
