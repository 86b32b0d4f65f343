"""How limits and budgets are told, whatever it was that ran out."""

import pytest

from palaver.api import chatify, chatify_stateless
from palaver.api.language import Language
from palaver.api.limited import limit_words, met_headers
from palaver.api.refusals import find_refusal, retry_after
from palaver.chat.errors import OverBudget, RateLimited
from palaver.chat.limit import Limit, LimitName, LimitOf

DAY = 86_400
MONEY = Limit("money_a_month", 12_500_000, 30 * DAY)


@pytest.mark.parametrize(
    ("limit", "seconds", "language", "words"),
    [
        (Limit("turns_a_minute", 1, 60), 0.2, "en", "You can send 1 message a minute. Try again in 1 second."),
        (MONEY, 3 * DAY, "en", "You can spend 12.50 a month, and it is used up. Try again in 3 days."),
        (
            Limit("tokens_a_day", 1000, DAY, "app"),
            5 * 3600,
            "de",
            "Für diese Anwendung höchstens 1000 Token pro Tag; sie sind aufgebraucht. "
            "Bitte in 5 Stunden erneut versuchen.",
        ),
        (Limit("replies_at_once", 2), 90, "it", "Puoi ricevere 2 risposte alla volta. Riprova tra 90 secondi."),
        (None, 119.5, "en", "Your allowance is used up for now. Try again in 2 minutes."),
    ],
)
def test_words_name_the_limit_and_when_to_come_back(
    limit: Limit | None, seconds: float, language: Language, words: str
) -> None:
    assert limit_words(OverBudget(seconds, limit), language) == words


@pytest.mark.parametrize(
    ("name", "of"),
    [
        *((name, of) for name in ("tokens_a_day", "tokens_a_month", "money_a_month") for of in ("user", "app")),
        *(("turns_a_minute", of) for of in ("user", "app", "conversation")),
        ("conversation_tokens", "conversation"),
    ],
)
@pytest.mark.parametrize("language", ["en", "de", "it"])
def test_every_limit_has_its_words(name: LimitName, of: LimitOf, language: Language) -> None:
    assert limit_words(RateLimited(1, Limit(name, 7, 60, of)), language)


def test_budget_is_told_in_the_same_headers_and_by_402_where_nothing_is_kept() -> None:
    assert met_headers(MONEY, 60) == [
        (b"ratelimit-policy", b'"money-month";q=12500000;w=2592000;qu="millionths"'),
        (b"ratelimit", b'"money-month";r=0;t=60'),
    ]
    spent = OverBudget(0.3, MONEY)
    [operation] = [one for one in chatify_stateless.api.operations if one.path == "/api/v1/chat/simple"]
    refusal = find_refusal(spent, operation.refusals)
    assert refusal is not None
    assert (refusal.status, retry_after(spent)) == (402, 1)
    refusal = find_refusal(spent, chatify.api.refusals)
    assert refusal is not None
    assert refusal.status == 429
