"""Who asks: passwords, tokens that close soon after they are revoked, guests' cookies, links that open once."""

import asyncio
from dataclasses import dataclass

import pytest

from palaver.chat.accounts import TOUCH_SECONDS, AccountRules, Accounts, Closed, WrongCredentials, to_reader
from palaver.chat.clock import DAY
from palaver.chat.errors import Invalid, NotFound, RateLimited, Taken
from palaver.chat.passwords import Passwords
from palaver.chat.user import NOT_STORED, User
from palaver.store import SqlStore
from tests.chat.talking import HandClock
from tests.ports.counting import CountingDatabase
from tests.ports.talking import dump

PASSWORD = "correct horse"


@dataclass
class Seconds:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def counting(store: SqlStore) -> CountingDatabase:
    return CountingDatabase(store.database)


@pytest.fixture
def accounts(counting: CountingDatabase, clock: HandClock, seconds: Seconds) -> Accounts:
    rules = AccountRules(registration=True, guests=True, attempts=3, attempt_seconds=60)
    return Accounts(SqlStore(counting, "sqlite"), clock, rules, b"secret", seconds)


# Passwords


async def test_person_signs_in_with_name_or_email_and_password(accounts: Accounts) -> None:
    carol = await accounts.register("Carol", PASSWORD, email="carol@example.com", full_name="Carol C.")
    for name in ("Carol", "carol", "CAROL@example.com"):
        assert (await accounts.sign_in(name, PASSWORD, "1.2.3.4"))[0] == carol
    for name, password in (("carol", "Correct horse"), ("carol", ""), ("nobody", PASSWORD)):
        with pytest.raises(WrongCredentials):
            await accounts.sign_in(name, password, "5.6.7.8")


async def test_person_without_a_password_cannot_sign_in_with_any(accounts: Accounts) -> None:
    await accounts.add_person("dave", None)
    for password in ("", "None", PASSWORD):
        with pytest.raises(WrongCredentials):
            await accounts.sign_in("dave", password, "1.2.3.4")


async def test_too_many_failures_close_the_account_for_a_while_even_to_its_owner(
    accounts: Accounts, seconds: Seconds
) -> None:
    carol = await accounts.register("carol", PASSWORD)
    for address in ("1", "2", "3"):
        with pytest.raises(WrongCredentials):
            await accounts.sign_in("Carol", "wrong", address)
    with pytest.raises(RateLimited):
        await accounts.sign_in("carol", PASSWORD, "4")
    seconds.now += 60
    assert (await accounts.sign_in("carol", PASSWORD, "4"))[0] == carol


async def test_guesses_made_at_once_are_limited_like_those_one_after_another(accounts: Accounts) -> None:
    await accounts.register("carol", PASSWORD)
    guesses = (accounts.sign_in("carol", f"guess {number}", "1") for number in range(20))
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["RateLimited"] * 17 + ["WrongCredentials"] * 3


@pytest.fixture
def strict(store: SqlStore, clock: HandClock, seconds: Seconds) -> Accounts:
    """One attempt for an account, so ten for an address."""
    return Accounts(store, clock, AccountRules(registration=True, attempts=1), b"secret", seconds)


async def test_right_password_is_never_counted(strict: Accounts) -> None:
    carol = await strict.register("carol", PASSWORD)
    for _ in range(11):
        assert (await strict.sign_in("carol", PASSWORD, "1"))[0] == carol


async def test_typos_of_a_few_do_not_lock_out_the_others_behind_their_address(strict: Accounts) -> None:
    carol = await strict.register("carol", PASSWORD)
    for number in range(10):
        assert (await strict.sign_in("carol", PASSWORD, "1"))[0] == carol
        with pytest.raises(WrongCredentials):
            await strict.sign_in(f"somebody {number}", "wrong", "1")
    with pytest.raises(RateLimited):
        await strict.sign_in("carol", PASSWORD, "1")
    with pytest.raises(RateLimited):
        await strict.check_address("1")
    assert (await strict.sign_in("carol", PASSWORD, "2"))[0] == carol


async def test_disabled_person_cannot_sign_in(accounts: Accounts, store: SqlStore, clock: HandClock) -> None:
    carol = await accounts.register("carol", PASSWORD)
    await store.accounts.set_disabled(carol.id, clock.now())
    with pytest.raises(WrongCredentials):
        await accounts.sign_in("carol", PASSWORD, "1")


async def test_sign_in_under_way_does_not_outlive_a_change_of_the_password(
    accounts: Accounts, store: SqlStore, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    carol = await accounts.register("carol", PASSWORD)
    verify = Passwords.verify

    async def verify_and_be_late(self: Passwords, password_hash: str | None, password: str) -> bool:
        right = await verify(self, password_hash, password)
        await store.accounts.change_password(carol.id, "another hash", None, clock.now())
        return right

    monkeypatch.setattr(Passwords, "verify", verify_and_be_late)
    with pytest.raises(WrongCredentials):
        await accounts.sign_in("carol", PASSWORD, "1")
    assert await store.accounts.list_tokens(carol.id) == []


async def test_nobody_registers_where_registration_is_off(store: SqlStore, clock: HandClock) -> None:
    closed = Accounts(store, clock, AccountRules(), b"secret")
    with pytest.raises(Closed):
        await closed.register("carol", PASSWORD)
    assert (await closed.add_person("carol", PASSWORD)).name == "carol"


async def test_names_are_taken_once_and_hold_nothing_odd(accounts: Accounts) -> None:
    await accounts.register("carol", PASSWORD, email="carol@example.com")
    with pytest.raises(Taken):
        await accounts.register("CAROL", PASSWORD)
    with pytest.raises(Taken):
        await accounts.register("other", PASSWORD, email="CAROL@example.com")
    for name, email in (("a b", ""), ("", ""), ("x@y.z", ""), ("x" * 51, ""), ("fine", "no mail"), ("a/b", "")):
        with pytest.raises(Invalid):
            await accounts.register(name, PASSWORD, email=email)
    assert (await accounts.must_find("carol@example.com")).name == "carol"
    with pytest.raises(NotFound):
        await accounts.must_find("nobody")


# Tokens


async def test_token_opens_for_its_user_and_costs_no_look_up_for_a_second(
    accounts: Accounts, counting: CountingDatabase, alice: User, seconds: Seconds
) -> None:
    token = await accounts.new_token(alice, label="laptop")
    counting.asked.clear()
    for _ in range(10):
        assert (await accounts.by_token(token)).user == alice
    assert len(counting.asked) == 1
    seconds.now += 1.1
    await accounts.by_token(token)
    assert len(counting.asked) == 2


async def test_token_that_another_process_revoked_closes_within_two_seconds(
    accounts: Accounts, store: SqlStore, clock: HandClock, alice: User, seconds: Seconds
) -> None:
    token = await accounts.new_token(alice)
    caller = await accounts.by_token(token)
    assert caller.token_id is not None
    await store.accounts.revoke_token(caller.token_id, clock.now())
    seconds.now += 2
    with pytest.raises(WrongCredentials):
        await accounts.by_token(token)


async def test_token_that_is_revoked_here_closes_at_once(accounts: Accounts, alice: User) -> None:
    one, other = [await accounts.new_token(alice) for _ in range(2)]
    caller, _ = [await accounts.by_token(token) for token in (one, other)]
    assert caller.token_id is not None
    assert await accounts.revoke(caller.token_id)
    with pytest.raises(WrongCredentials):
        await accounts.by_token(one)
    assert (await accounts.by_token(other)).user == alice
    await accounts.revoke_all(alice)
    with pytest.raises(WrongCredentials):
        await accounts.by_token(other)


async def test_token_of_a_disabled_user_closes_within_two_seconds_and_opens_again(
    accounts: Accounts, store: SqlStore, clock: HandClock, alice: User, seconds: Seconds
) -> None:
    token = await accounts.new_token(alice)
    await accounts.by_token(token)
    await store.accounts.set_disabled(alice.id, clock.now())
    seconds.now += 2
    with pytest.raises(WrongCredentials):
        await accounts.by_token(token)
    await store.accounts.set_disabled(alice.id, None)
    seconds.now += 2
    assert (await accounts.by_token(token)).user == alice


async def test_token_closes_to_the_moment_when_it_expires_also_while_remembered(
    accounts: Accounts, alice: User, clock: HandClock
) -> None:
    token = await accounts.new_token(alice, days=1)
    clock.move(86_400 - 1)
    assert (await accounts.by_token(token)).user == alice
    clock.move(1)
    with pytest.raises(WrongCredentials) as refused:
        await accounts.by_token(token)
    assert refused.value.expired


@pytest.mark.parametrize(("token_days", "lives"), [(0, None), (7, 7 * DAY)])
async def test_token_of_a_sign_in_lives_as_long_as_the_rules_say(
    store: SqlStore, alice: User, clock: HandClock, token_days: float, lives: int | None
) -> None:
    accounts = Accounts(store, clock, AccountRules(token_days=token_days), b"secret")
    await accounts.new_token(alice)
    await accounts.new_token(alice, days=0)
    expires = [token.expires_at for token in await store.accounts.list_tokens(alice.id)]
    assert expires == [None if lives is None else clock.now() + lives, None]


async def test_unknown_token_is_refused_and_opens_once_it_is_made(accounts: Accounts, alice: User) -> None:
    for wrong in ("", "x", "é\ud800", "0" * 10_000):
        with pytest.raises(WrongCredentials):
            await accounts.by_token(wrong)
    assert (await accounts.by_token(await accounts.new_token(alice))).user == alice


async def test_each_kind_of_secret_opens_its_own_door_alone(accounts: Accounts, alice: User) -> None:
    token, session, link = [await make(alice) for make in (accounts.new_token, accounts.new_session, accounts.new_link)]
    for secret, kind in ((session, "token"), (link, "token"), (token, "session"), (link, "session")):
        with pytest.raises(WrongCredentials):
            await accounts.by_token(secret, kind)  # type: ignore[arg-type]
    assert (await accounts.by_token(session, "session")).user == alice
    assert await accounts.sign_in_by_link(token) is None


async def test_last_use_is_noted_now_and_then_and_not_at_each_request(
    accounts: Accounts, store: SqlStore, alice: User, clock: HandClock, seconds: Seconds
) -> None:
    token = await accounts.new_token(alice)
    first = clock.now()
    for _ in range(3):
        await accounts.by_token(token)
        clock.move(10)
    await accounts.keep_last_used()
    [kept] = await store.accounts.list_tokens(alice.id)
    assert kept.last_used_at == first
    clock.move(60)
    seconds.now += 90
    await accounts.by_token(token)
    await accounts.keep_last_used()
    [kept] = await store.accounts.list_tokens(alice.id)
    assert kept.last_used_at == clock.now()


async def test_session_ends_after_silence_and_never_while_it_is_used(
    store: SqlStore, alice: User, clock: HandClock, seconds: Seconds
) -> None:
    rules = AccountRules(session_silent_days=1)
    here, there = [Accounts(store, clock, rules, b"secret", seconds) for _ in range(2)]
    used, silent = [await here.new_session(alice) for _ in range(2)]
    token = await here.new_token(alice)
    for accounts in (there, here, here, there):
        assert (await accounts.by_token(used, "session")).user == alice
        await accounts.keep_last_used()
        clock.move(86_400 - 1)
        seconds.now += 86_400 - 1
    with pytest.raises(WrongCredentials) as refused:
        await here.by_token(silent, "session")
    # It counts as absent: whoever comes back is asked to sign in.
    assert refused.value.expired
    assert (await here.by_token(token)).user == alice
    clock.move(TOUCH_SECONDS + 1)
    with pytest.raises(WrongCredentials):
        await here.by_token(used, "session")


async def test_session_may_be_silent_for_all_its_time_where_nothing_else_is_set(
    accounts: Accounts, alice: User, clock: HandClock
) -> None:
    session = await accounts.new_session(alice)
    clock.move(30 * 86_400 - 1)
    assert (await accounts.by_token(session, "session")).user == alice
    clock.move(1)
    with pytest.raises(WrongCredentials):
        await accounts.by_token(session, "session")


async def test_no_secret_is_stored(accounts: Accounts, store: SqlStore, alice: User) -> None:
    await accounts.register("carol", PASSWORD)
    secrets = [await make(alice) for make in (accounts.new_token, accounts.new_session, accounts.new_link)]
    kept = repr(await dump(store))
    assert [secret for secret in (*secrets, PASSWORD) if secret in kept] == []


async def test_secrets_are_random_and_of_256_bits(accounts: Accounts, alice: User) -> None:
    kinds = (accounts.new_token, accounts.new_session, accounts.new_link)
    made = [await make(alice) for make in kinds for _ in range(20)]
    assert len(set(made)) == len(made)
    # Each character stands for six bits.
    assert min(len(secret) for secret in made) * 6 >= 256
    assert all(len({secret[place] for secret in made}) > 1 for place in range(40))


# Links


async def test_link_signs_in_once(accounts: Accounts, alice: User) -> None:
    link = await accounts.new_link(alice)
    opened = await asyncio.gather(*(accounts.sign_in_by_link(link) for _ in range(5)))
    assert [user for user in opened if user is not None] == [alice]


async def test_looking_at_a_link_does_not_use_it_up(accounts: Accounts, alice: User) -> None:
    link = await accounts.new_link(alice)
    assert [await accounts.is_link(link) for _ in range(2)] == [True, True]
    assert await accounts.sign_in_by_link(link) == alice
    assert not await accounts.is_link(link)


async def test_link_is_good_for_a_quarter_of_an_hour_or_until_it_is_used(
    accounts: Accounts, alice: User, clock: HandClock
) -> None:
    short, late, lasting = [await accounts.new_link(alice, forever=forever) for forever in (False, False, True)]
    clock.move(15 * 60 - 1)
    assert await accounts.sign_in_by_link(short) == alice
    clock.move(1)
    assert await accounts.sign_in_by_link(late) is None
    clock.move(365 * 86_400)
    assert await accounts.sign_in_by_link(lasting) == alice


async def test_link_of_a_disabled_user_opens_nothing(
    accounts: Accounts, store: SqlStore, alice: User, clock: HandClock
) -> None:
    link = await accounts.new_link(alice)
    await store.accounts.set_disabled(alice.id, clock.now())
    assert await accounts.sign_in_by_link(link) is None


# Guests


async def test_guest_is_known_by_its_cookie_before_and_after_it_is_stored(accounts: Accounts) -> None:
    guest = accounts.new_guest()
    cookie = accounts.guest_cookie(guest)
    known = await accounts.by_guest_cookie(cookie)
    assert known is not None
    assert (known.id, known.uuid, known.kind) == (NOT_STORED, guest.uuid, "guest")
    stored = await accounts.stored(known)
    assert stored.id != NOT_STORED
    assert await accounts.by_guest_cookie(cookie) == stored


async def test_cookie_that_is_not_ours_is_nobodys(accounts: Accounts, store: SqlStore, clock: HandClock) -> None:
    guest = accounts.new_guest()
    cookie = accounts.guest_cookie(guest)
    elsewhere = Accounts(store, clock, AccountRules(guests=True), b"other secret").guest_cookie(guest)
    other = accounts.new_guest().uuid
    forged = ("", ".", guest.uuid, f"{guest.uuid}.", f"{other}.{cookie.partition('.')[2]}", elsewhere, f"{cookie}0")
    assert [await accounts.by_guest_cookie(one) for one in forged] == [None] * len(forged)


async def test_guest_that_makes_its_first_two_things_at_once_is_one_user(accounts: Accounts) -> None:
    guest = accounts.new_guest()
    stored = await asyncio.gather(*(accounts.stored(guest) for _ in range(10)))
    assert len({one.id for one in stored}) == 1


async def test_disabled_guest_is_refused(accounts: Accounts, store: SqlStore, clock: HandClock) -> None:
    guest = await accounts.stored(accounts.new_guest())
    await store.accounts.set_disabled(guest.id, clock.now())
    with pytest.raises(WrongCredentials):
        await accounts.by_guest_cookie(accounts.guest_cookie(guest))


async def test_only_an_application_reads_on_behalf_of_an_application(accounts: Accounts, alice: User) -> None:
    app = await accounts.add_app("shop")
    customer = await accounts.app_user(app, "7")
    readers = [to_reader(user, guests_allowed=False) for user in (app, customer, alice)]
    assert [reader.app_id for reader in readers] == [app.id, None, None]
