"""How a limit is told: in words that name it and say when to come back, and in the headers of the IETF's draft
(draft-ietf-httpapi-ratelimit-headers)."""

import math
from collections.abc import Sequence
from functools import lru_cache

from palaver.api.language import LANGUAGES, Language, text
from palaver.chat.errors import ChatError, OverBudget, RateLimited
from palaver.chat.ledger import MILLION
from palaver.chat.limit import Limit, LimitName
from palaver.chat.ports import Standing

POLICIES: dict[LimitName, str] = {
    "turns_a_minute": "turns",
    "tokens_a_day": "tokens-day",
    "tokens_a_month": "tokens-month",
    "money_a_month": "money-month",
    "conversation_tokens": "tokens",
    "replies_at_once": "replies",
    "sockets_at_once": "sockets",
    "uploads_at_once": "uploads",
    "sign_ins": "sign-ins",
}

# What is counted, where it is not requests.
UNITS: dict[LimitName, str] = {
    "tokens_a_day": "tokens",
    "tokens_a_month": "tokens",
    "money_a_month": "millionths",
    "conversation_tokens": "tokens",
    "replies_at_once": "concurrent-requests",
    "sockets_at_once": "concurrent-requests",
    "uploads_at_once": "concurrent-requests",
}

# The largest integer that such a header can hold.
LARGEST = 10**15 - 1

# One and many, in the three languages.
COUNTED: dict[LimitName, tuple[tuple[str, str], ...]] = {
    "turns_a_minute": (("message", "messages"), ("Nachricht", "Nachrichten"), ("messaggio", "messaggi")),
    "tokens_a_day": (("token", "tokens"), ("Token", "Token"), ("token", "token")),
    "tokens_a_month": (("token", "tokens"), ("Token", "Token"), ("token", "token")),
    "conversation_tokens": (("token", "tokens"), ("Token", "Token"), ("token", "token")),
    "replies_at_once": (("reply", "replies"), ("Antwort", "Antworten"), ("risposta", "risposte")),
    "sockets_at_once": (("connection", "connections"), ("Verbindung", "Verbindungen"), ("connessione", "connessioni")),
    "uploads_at_once": (("document", "documents"), ("Dokument", "Dokumente"), ("documento", "documenti")),
    "sign_ins": (
        ("failed sign-in", "failed sign-ins"),
        ("fehlgeschlagene Anmeldung", "fehlgeschlagene Anmeldungen"),
        ("accesso non riuscito", "accessi non riusciti"),
    ),
}
TIMES: tuple[tuple[int, tuple[tuple[str, str], ...]], ...] = (
    (86_400, (("day", "days"), ("Tag", "Tagen"), ("giorno", "giorni"))),
    (3600, (("hour", "hours"), ("Stunde", "Stunden"), ("ora", "ore"))),
    (60, (("minute", "minutes"), ("Minute", "Minuten"), ("minuto", "minuti"))),
    (1, (("second", "seconds"), ("Sekunde", "Sekunden"), ("secondo", "secondi"))),
)

# From how many of a unit on a time is told in it: "in 90 minutes" says more than "in 2 hours".
ENOUGH = 2


def whole_seconds(seconds: float) -> int:
    """For who waits: never a moment too short."""
    return max(1, math.ceil(seconds))


def limit_words(error: ChatError, language: Language) -> str:
    """Which limit it was, and when to come back."""
    assert isinstance(error, RateLimited), "only a limit has such words"
    words = _which(error, language)
    if isinstance(error, OverBudget) and error.shortage == "too_small":
        # No waiting helps.
        return words
    if error.limit is not None and error.limit.name == "conversation_tokens" and not _is_held(error):
        return f"{words} {text('begin_another', language)}"
    when = _time_words(whole_seconds(error.retry_after), language)
    return f"{words} {text('come_back', language, when=when)}"


def _which(error: RateLimited, language: Language) -> str:
    limit = error.limit
    if limit is None:
        return text(error.code, language)
    values = {"count": _count_words(error, limit, language)}
    if isinstance(error, OverBudget):
        values["why"] = text(f"budget_{error.shortage}", language)
    return text(f"limit_{limit.name}_{limit.of}", language, **values)


def _is_held(error: RateLimited) -> bool:
    return isinstance(error, OverBudget) and error.shortage == "held"


def _count_words(error: RateLimited, limit: Limit, language: Language) -> str:
    if limit.name == "money_a_month":
        assert isinstance(error, OverBudget), "money is of a budget"
        return f"{_money_words(limit.most, language)} {error.currency}".rstrip()
    one, many = COUNTED[limit.name][LANGUAGES.index(language)]
    return f"{limit.most} {one if limit.most == 1 else many}"


def _money_words(millionths: int, language: Language) -> str:
    """To the last digit that is none of the trailing zeros: a small budget is not 0.00."""
    whole, part = divmod(millionths, MILLION)
    digits = f"{part:06}".rstrip("0").ljust(2, "0")
    return f"{whole}{'.' if language == 'en' else ','}{digits}"


def _time_words(seconds: int, language: Language) -> str:
    size, units = next((size, units) for size, units in TIMES if size == 1 or seconds >= ENOUGH * size)
    number = math.ceil(seconds / size)
    one, many = units[LANGUAGES.index(language)]
    return f"{number} {one if number == 1 else many}"


def met_headers(error: RateLimited) -> list[tuple[bytes, bytes]]:
    """Of a refusal: the limit that was met, and what is left of it."""
    if error.limit is None:
        return []
    return standing_headers((error.limit,), (Standing(0, error.left, error.reset),))


def standing_headers(limits: tuple[Limit, ...], standings: Sequence[Standing]) -> list[tuple[bytes, bytes]]:
    """Of a success: all limits at work, and how each of them stands."""
    policies, form = _to_forms(limits)
    numbers: list[int] = []
    for index, standing in enumerate(standings):
        limit = limits[index]
        numbers.append(standing.left if standing.left < LARGEST else LARGEST)
        if limit.seconds:
            numbers.append(math.ceil(standing.reset))
    return [(b"ratelimit-policy", policies), (b"ratelimit", form % tuple(numbers))]


# The same for one turn after the other: only the numbers in the second are new.
@lru_cache(maxsize=1000)
def _to_forms(limits: tuple[Limit, ...]) -> tuple[bytes, bytes]:
    standings = [f'"{_name(limit)}";r=%d{";t=%d" if limit.seconds else ""}' for limit in limits]
    return ", ".join(map(_to_policy, limits)).encode(), ", ".join(standings).encode()


def _to_policy(limit: Limit) -> str:
    window = f";w={limit.seconds}" if limit.seconds else ""
    unit = UNITS.get(limit.name)
    return f'"{_name(limit)}";q={min(limit.most, LARGEST)}{window}' + (f';qu="{unit}"' if unit else "")


def _name(limit: Limit) -> str:
    name = POLICIES[limit.name]
    return name if limit.of == "user" else f"{limit.of}-{name}"
