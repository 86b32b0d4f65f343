"""A flood of sign-ins costs no more Argon2 than the limit allows, however many workers it meets."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from palaver.bus import BusOptions, open_counts
from palaver.chat.accounts import AccountRules, Accounts
from palaver.chat.clock import SystemClock
from palaver.store import SqlStore
from tests.bus.patience import be_patient

ATTEMPTS = 3
NOBODYS = "nobody's password"
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def store_kind() -> str:
    return "sqlite"


@pytest.fixture(params=["one worker", "two workers over Redis"])
def crew(request: pytest.FixtureRequest) -> tuple[int, str | None]:
    return (1, None) if request.param == "one worker" else (2, request.getfixturevalue("redis_url"))


@pytest.fixture
async def workers(
    crew: tuple[int, str | None], store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Accounts, ...]]:
    be_patient(monkeypatch)
    number, url = crew
    async with AsyncExitStack() as stack:
        counts = [await stack.enter_async_context(open_counts(BusOptions(url), "palaver", 10)) for _ in range(number)]
        rules = AccountRules(registration=True, attempts=ATTEMPTS)
        yield tuple(Accounts(store, SystemClock(), rules, b"secret", counts=one) for one in counts)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would be put through Argon2, of which each takes a tenth of a second. All of it is wrong."""
    hashed: list[str] = []

    def verify(_hasher: PasswordHasher, _digest: str, password: str) -> bool:
        hashed.append(password)
        raise VerifyMismatchError

    def hash_(_hasher: PasswordHasher, password: str) -> str:
        hashed.append(password)
        return "a digest"

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    monkeypatch.setattr(PasswordHasher, "hash", hash_)
    return hashed


async def test_flood_on_one_account_is_hashed_as_often_as_the_limit_says(
    workers: tuple[Accounts, ...], hashed: list[str]
) -> None:
    await workers[0].register("carol", PASSWORD)
    guesses = [
        workers[number % len(workers)].sign_in("carol", f"guess {number}", f"10.0.0.{number % 7}")
        for number in range(60)
    ]
    outcomes = Counter(type(outcome).__name__ for outcome in await asyncio.gather(*guesses, return_exceptions=True))
    assert outcomes == {"WrongCredentials": ATTEMPTS, "RateLimited": 60 - ATTEMPTS}
    # Once to register.
    assert len(hashed) == 1 + ATTEMPTS


async def test_flood_from_one_address_is_hashed_as_often_as_the_limit_says(
    workers: tuple[Accounts, ...], hashed: list[str]
) -> None:
    guesses = [
        workers[number % len(workers)].sign_in(f"somebody {number}", "guess", "10.0.0.1") for number in range(60)
    ]
    outcomes = Counter(type(outcome).__name__ for outcome in await asyncio.gather(*guesses, return_exceptions=True))
    assert outcomes == {"WrongCredentials": 10 * ATTEMPTS, "RateLimited": 60 - 10 * ATTEMPTS}
    # For accounts that are none, something is made once in each worker to compare with.
    assert set(hashed) == {"guess", NOBODYS}
    assert hashed.count("guess") == 10 * ATTEMPTS
    assert hashed.count(NOBODYS) <= len(workers)
