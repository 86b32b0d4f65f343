"""How limits and budgets are told, whatever it was that ran out."""

from typing import get_args

import pytest

from palaver.api import chatify, chatify_stateless
from palaver.api.language import Language
from palaver.api.limited import limit_words, met_headers
from palaver.api.refusals import EVERYWHERE, find_refusal, retry_after
from palaver.chat.errors import OverBudget, OverQuota, RateLimited
from palaver.chat.limit import Limit, LimitName, LimitOf, Shortage

DAY = 86_400
MONEY = Limit("money_a_month", 12_500_000, 30 * DAY)


@pytest.mark.parametrize(
    ("error", "language", "words"),
    [
        (
            RateLimited(0.2, Limit("turns_a_minute", 1, 60)),
            "en",
            "You can send 1 message a minute. Try again in 1 second.",
        ),
        (
            RateLimited(90, Limit("replies_at_once", 2)),
            "it",
            "Puoi ricevere 2 risposte alla volta. Riprova tra 90 secondi.",
        ),
        (
            OverBudget(3 * DAY, MONEY, currency="EUR"),
            "en",
            "You can spend 12.50 EUR a month, and all of that is used up. Try again in 3 days.",
        ),
        (
            OverBudget(3 * DAY, MONEY, currency="EUR", shortage="too_little", left=1),
            "de",
            "Höchstens 12,50 EUR pro Monat; was übrig ist, ist weniger, als eine Antwort brauchen kann. "
            "Bitte in 3 Tagen erneut versuchen.",
        ),
        (
            OverBudget(5, Limit("money_a_month", 999, 30 * DAY), currency="USD", shortage="held", left=999),
            "it",
            "Puoi spendere 0,000999 USD al mese; quanto resta può servire alle risposte in corso. "
            "Riprova tra 5 secondi.",
        ),
        (
            OverBudget(5 * 3600, Limit("tokens_a_day", 1000, DAY, "app")),
            "de",
            "Für diese Anwendung höchstens 1000 Token pro Tag; davon ist nichts übrig. "
            "Bitte in 5 Stunden erneut versuchen.",
        ),
        (
            OverBudget(DAY, Limit("tokens_a_day", 100, DAY), shortage="too_small", left=100),
            "en",
            "You can use 100 tokens a day, and that is less than a reply may take.",
        ),
        (
            OverBudget(DAY, Limit("conversation_tokens", 1000, of="conversation"), shortage="too_little", left=1),
            "en",
            "This conversation can use 1000 tokens in all, and what is left is less than a reply may take. "
            "Begin a new one.",
        ),
        (
            OverBudget(5, Limit("conversation_tokens", 1000, of="conversation"), shortage="held", left=1),
            "en",
            "This conversation can use 1000 tokens in all, and replies that are being written may take what is left. "
            "Try again in 5 seconds.",
        ),
        (OverBudget(119.5), "en", "Your allowance is used up for now. Try again in 2 minutes."),
    ],
)
def test_words_name_the_limit_what_is_left_and_when_to_come_back(
    error: RateLimited, language: Language, words: str
) -> None:
    assert limit_words(error, language) == words


@pytest.mark.parametrize("of", ["user", "app", "conversation"])
@pytest.mark.parametrize("language", ["en", "de", "it"])
def test_every_limit_has_its_words(of: LimitOf, language: Language) -> None:
    assert limit_words(RateLimited(1, Limit("uploads_at_once", 8)), language)
    assert limit_words(RateLimited(1, Limit("turns_a_minute", 7, 60, of)), language)


@pytest.mark.parametrize(
    ("name", "of"),
    [
        *((name, of) for name in ("tokens_a_day", "tokens_a_month", "money_a_month") for of in ("user", "app")),
        ("conversation_tokens", "conversation"),
    ],
)
@pytest.mark.parametrize("shortage", get_args(Shortage))
@pytest.mark.parametrize("language", ["en", "de", "it"])
def test_every_budget_has_its_words(name: LimitName, of: LimitOf, shortage: Shortage, language: Language) -> None:
    assert limit_words(OverBudget(1, Limit(name, 7, 60, of), shortage=shortage), language)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("You can have 1 document. Delete one first.", "You can have 2 collections. Delete one first.")),
        ("de", (
            "Höchstens 1 Dokument. Bitte zuerst eines löschen.", "Höchstens 2 Sammlungen. Bitte zuerst eine löschen.",
        )),
        ("it", ("Puoi avere 1 documento. Eliminane prima uno.", "Puoi avere 2 raccolte. Eliminane prima una.")),
    ],
)  # fmt: skip
def test_quota_of_one_is_told_in_the_singular(language: Language, words: tuple[str, str]) -> None:
    told = [OverQuota("documents", 1), OverQuota("collections", 2)]
    assert tuple(EVERYWHERE[OverQuota].words(error, language) for error in told) == words


def test_budget_is_told_in_the_same_headers_and_by_402_where_nothing_is_kept() -> None:
    assert met_headers(OverBudget(60, MONEY)) == [
        (b"ratelimit-policy", b'"money-month";q=12500000;w=2592000;qu="millionths"'),
        (b"ratelimit", b'"money-month";r=0;t=60'),
    ]
    # What others hold back is free sooner than the month is over.
    held = OverBudget(5, MONEY, left=700, reset=86_400, shortage="held")
    assert met_headers(held)[1] == (b"ratelimit", b'"money-month";r=700;t=86400')
    assert retry_after(held) == 5
    spent = OverBudget(0.3, MONEY)
    [operation] = [one for one in chatify_stateless.api.operations if one.path == "/api/v1/chat/simple"]
    refusal = find_refusal(spent, operation.refusals)
    assert refusal is not None
    assert (refusal.status, retry_after(spent)) == (402, 1)
    refusal = find_refusal(spent, chatify.api.refusals)
    assert refusal is not None
    assert refusal.status == 429
