"""What somebody is to hear of is written with its reason, sent where they are reached, and recorded once."""

import asyncio
import itertools
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from palaver.chat.clock import DAY, SECOND, Micros, SystemClock
from palaver.chat.conversation import PresetId, Speaking
from palaver.chat.errors import TooManyTargets
from palaver.chat.ports import BotAsked, FcmTarget, Gone, Later, NewBot, NewSaid, Refused, Seat, Sent
from palaver.chat.ports.outbox import Claim, Settled, WishesChange
from palaver.chat.sender import Sender
from palaver.chat.user import TokenId, User
from palaver.store import SqlStore
from tests.ports.notifying import (
    LEASE_SECONDS,
    RULES,
    Clock,
    Eyes,
    SlowPost,
    Stopped,
    Undone,
    Worker,
    reached,
    states,
    talk,
)
from tests.ports.talking import HERE, LATER, LEASE, NOW, THERE, ending, new_conversation, new_user, rows, said


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def worker(store: SqlStore, clock: Clock) -> Worker:
    return Worker(store, clock)


async def test_message_reaches_the_other_on_each_of_their_devices_and_never_the_sender(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    await reached(store, alice, "alices")
    await reached(store, bob, "phone")
    await store.targets.add(bob.id, FcmTarget("token"), "fcm", "", NOW, 20, None)
    pair = await talk(store, alice, bob)
    await pair.say(alice, "See you at eight?")
    await worker.round()
    # Not before the time in which they may see it by themselves is over.
    assert worker.post.got == []
    clock.advance(3)
    await worker.round()
    assert sorted(worker.post.places) == ["phone", "token"]
    [notice, other] = worker.post.notices
    assert (notice.kind, notice.conversation, notice.conversation_kind) == ("message", pair.uuid, "pair")
    assert (notice.title, notice.body, notice.sender, notice.unread) == ("alice", None, None, 1)
    assert notice.url == f"https://chat.example.org/c/{pair.uuid}"
    assert notice.id != other.id
    assert await states(store) == [("sent", None)] * 2
    assert [device.last_sent_at for device in await store.targets.listed(bob.id)] == [clock.now()] * 2
    await worker.round()
    assert len(worker.post.got) == 2


async def test_notice_is_committed_with_its_message_or_not_at_all(store: SqlStore, alice: User, bob: User) -> None:
    await reached(store, bob)
    pair = await talk(store, alice, bob)
    with pytest.raises(Undone):
        await pair.say(alice, "never said", keeps=False)
    assert await states(store) == []


async def test_what_was_written_is_told_to_those_alone_who_allow_it(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    await reached(store, bob)
    await store.targets.change_wishes(bob.id, WishesChange(shows_text=True), NOW)
    pair = await talk(store, alice, bob)
    await pair.say(alice, "See you\n at " + "e" * 300)
    clock.advance(3)
    await worker.round()
    [notice] = worker.post.notices
    assert notice.body is not None
    assert (notice.body[:12], notice.body[-1], len(notice.body)) == ("See you at e", "…", 240)
    assert notice.sender == "alice"
    # What was settled between two of them counts for the second.
    await store.targets.change_wishes(bob.id, WishesChange(shows_text=False), NOW)
    await pair.say(alice, "secret", now=clock.now())
    clock.advance(3)
    await worker.round()
    assert worker.post.notices[1].body is None


async def test_messages_that_wait_are_one_that_tells_of_the_newest(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    await reached(store, bob)
    await store.targets.change_wishes(bob.id, WishesChange(shows_text=True), NOW)
    pair, other = await talk(store, alice, bob), await talk(store, alice, bob)
    for text in ("one", "two", "three"):
        await pair.say(alice, text)
    await other.say(alice, "elsewhere")
    clock.advance(3)
    worker.post.says = [Later()] * 2
    await worker.round()
    assert sorted(str(notice.body) for notice in worker.post.notices) == ["elsewhere", "three"]
    # Also while it waits for another try, which what comes does not bring on.
    await pair.say(alice, "four", kind="mention", now=clock.now())
    await pair.say(alice, "five", now=clock.now())
    clock.advance(3)
    await worker.round()
    assert len(worker.post.got) == 2
    clock.advance(7)
    await worker.round()
    told = {str(notice.body): notice for notice in worker.post.notices[2:]}
    assert (set(told), told["five"].kind, told["five"].unread) == ({"five", "elsewhere"}, "mention", 5)
    # Of another message, under the same row, the receiver has not heard.
    assert len({notice.id for notice in worker.post.notices}) == 3
    assert await states(store) == [("sent", None)] * 2


async def test_what_comes_while_one_is_being_sent_is_told_after_it(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    await reached(store, bob)
    pair = await talk(store, alice, bob)
    await pair.say(alice, "one")
    clock.advance(3)
    await worker.sender.address_due()
    [claimed] = await store.outbox.claim(to_claim(THERE, clock))
    await pair.say(alice, "two", now=clock.now())
    clock.advance(3)
    await worker.sender.address_due()
    assert await states(store) == [("waiting", None)] * 2
    # It failed: what came after it is told by the other one.
    failed = Settled("waiting", "no answer", clock.now(), failed=True)
    assert await store.outbox.settle(claimed, failed, clock.now())
    assert await states(store) == [("not_needed", "newer"), ("waiting", None)]
    await worker.round()
    assert len(worker.post.got) == 1


async def test_whoever_is_looking_is_not_bothered(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    await reached(store, bob)
    pair = await talk(store, alice, bob)
    worker.eyes.on.add((pair.uuid, bob.id))
    await pair.say(alice, "hello")
    clock.advance(3)
    await worker.round()
    assert (worker.post.got, await states(store)) == ([], [("not_needed", "looking")])


async def test_nobody_hears_of_what_they_need_not_hear_of(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    async def why_not(
        *statements: tuple[str, str, object], then: Callable[[], Awaitable[object]] = nothing
    ) -> list[tuple[str, str | None]]:
        await store.database.write(lambda tx: tx.run("DELETE FROM outbox"))
        pair = await talk(store, alice, bob)
        await pair.say(alice, "hello", now=clock.now())
        for _, column, value in statements:
            await pair.set(bob, column, value)
        await then()
        clock.advance(3)
        await worker.round()
        return await states(store)

    device = await reached(store, bob)
    assert await why_not(("", "read_number", 1)) == [("not_needed", "read")]
    assert await why_not(("", "muted", True)) == [("not_needed", "muted")]
    assert await why_not(("", "left_at", 1)) == [("not_needed", "left")]
    block = "INSERT INTO blocks (blocker_id, blocked_id, created_at) VALUES ($1, $2, 1)"
    for pair in ((alice.id, bob.id), (bob.id, alice.id)):
        await store.database.write(lambda tx, pair=pair: tx.run(block, *pair))  # type: ignore[misc]
        assert await why_not() == [("not_needed", "blocked")]
        await store.database.write(lambda tx: tx.run("DELETE FROM blocks"))
    assert await why_not(then=lambda: store.targets.remove(bob.id, device.id)) == [("not_needed", "nowhere")]
    await reached(store, bob)
    assert await why_not(then=lambda: store.accounts.set_disabled(bob.id, NOW)) == [("not_needed", "disabled")]
    # Their devices went with that: there is nothing any more to look after.
    await store.accounts.set_disabled(bob.id, None)
    assert await why_not() == []
    assert worker.post.got == []


async def test_message_leaves_nothing_to_do_for_those_who_are_reached_nowhere(store: SqlStore, alice: User) -> None:
    others = [await store.accounts.add_user(new_user(f"member{number}")) for number in range(5)]
    group = await talk(store, alice, *others)
    await group.say(alice, "hello")
    assert await rows(store, "SELECT id FROM outbox") == []
    await reached(store, others[3])
    await group.say(alice, "and now?", kind="mention")
    assert await rows(store, "SELECT user_id, kind FROM outbox") == [(others[3].id, "mention")]


async def nothing() -> None:
    """Happens meanwhile."""


async def test_what_is_read_or_taken_away_before_the_next_try_is_not_told(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    await reached(store, bob)
    await store.targets.change_wishes(bob.id, WishesChange(shows_text=True), NOW)
    pair = await talk(store, alice, bob)
    await pair.say(alice, "first")
    taken = await pair.say(alice, "second")
    clock.advance(3)
    await worker.sender.address_due()
    remove = "UPDATE messages SET removed_at = 1, content = '' WHERE id = $1"
    await store.database.write(lambda tx: tx.run(remove, taken))
    worker.post.says = [Later()]
    await worker.round()
    # What is left is told of.
    assert [notice.body for notice in worker.post.notices] == ["first"]
    await pair.set(bob, "read_number", 2)
    clock.advance(10)
    await worker.round()
    assert (len(worker.post.got), await states(store)) == (1, [("not_needed", "read")])


async def test_try_that_fails_is_made_again_later_each_time_until_it_is_given_up_and_can_be_resent(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    await reached(store, bob)
    pair = await talk(store, alice, bob)
    await pair.say(alice, "hello")
    clock.advance(3)
    worker.post.says = [Later(why="it says 503"), Later(120, why="it says 429"), Later(why="it says 500")]
    for seconds, tries in ((0, 1), (9.9, 1), (0.1, 2), (129.9, 2), (0.1, 3)):
        clock.advance(seconds)
        await worker.round()
        assert len(worker.post.got) == tries, seconds
    assert await states(store) == [("dead", "it says 500")]
    [dead] = (await store.outbox.listed("dead", limit=9, before=None)).rows
    assert (dead.failures, dead.attempts, dead.channel, dead.host) == (3, 3, "web_push", "push.example.org")
    assert (dead.user_name, dead.conversation, dead.problem) == ("bob", pair.uuid, "it says 500")
    clock.advance(DAY / SECOND)
    await worker.round()
    assert len(worker.post.got) == 3
    assert await store.outbox.resend(dead.id, clock.now())
    assert not await store.outbox.resend(dead.id, clock.now())
    await worker.round()
    assert (len(worker.post.got), await states(store)) == (4, [("sent", None)])


async def test_what_is_refused_is_given_up_at_once(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    await reached(store, bob)
    await (await talk(store, alice, bob)).say(alice, "hello")
    clock.advance(3)
    worker.post.says = [Refused("it says 400")]
    await worker.round()
    assert await states(store) == [("dead", "it says 400")]


async def test_fault_of_a_channel_is_a_try_that_failed_and_holds_up_nothing_else(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    await reached(store, bob, "one")
    await reached(store, bob, "two")
    await (await talk(store, alice, bob)).say(alice, "hello")
    clock.advance(3)
    worker.post.says = [ValueError("https://push.example.org/one")]
    await worker.round()
    assert sorted(await states(store)) == [("sent", None), ("waiting", "a fault of this server")]


async def test_device_that_is_gone_is_forgotten_with_all_that_waited_for_it(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    await reached(store, bob, "old")
    kept = await reached(store, bob, "new")
    one, two = await talk(store, alice, bob), await talk(store, alice, bob)
    await one.say(alice, "hello")
    clock.advance(3)
    worker.post.says = [Later(), Later()]
    await worker.round()
    await two.say(alice, "hello", now=clock.now())
    clock.advance(3)
    worker.post.says = [Gone(), Sent()]
    await worker.round()
    assert worker.post.places[2:] == ["old", "new"]
    assert [device.id for device in await store.targets.listed(bob.id)] == [kept.id]
    assert sorted(await states(store)) == [("not_needed", "gone")] * 2 + [("sent", None), ("waiting", None)]


async def test_browser_is_of_whoever_signed_in_there_last_and_hears_nothing_of_the_one_before(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    first = await reached(store, bob, "shared")
    assert (await reached(store, bob, "shared")).id == first.id
    await (await talk(store, alice, bob)).say(alice, "hello")
    clock.advance(3)
    await worker.sender.address_due()
    carol = await store.accounts.add_user(new_user("carol"))
    await reached(store, carol, "shared")
    assert await store.targets.listed(bob.id) == []
    await worker.round()
    assert (worker.post.got, await states(store)) == ([], [("not_needed", "gone")])


async def test_device_goes_with_the_sign_in_that_added_it(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    accounts, signed_in = store.accounts, itertools.count()

    async def sign_in(label: str = "", user: User = bob, expires_at: Micros | None = None) -> TokenId:
        """Whose name its device has."""
        digest = f"digest {next(signed_in)}".encode()
        token = await accounts.add_token(user.id, "token", digest, label, NOW, expires_at)
        await reached(store, user, f"{token}", sign_in=token)
        return token

    async def left() -> list[str]:
        return [device.label for device in await store.targets.listed(bob.id)]

    await sign_in(user=alice)
    first, second, third, kept, script = [await sign_in(label) for label in ("", "", "own", "", "script")]
    brought = await reached(store, bob, "brought")
    # Whoever has signed in anew there adds the same one again.
    await reached(store, bob, f"{second}", sign_in=kept)
    await accounts.revoke_token(first, NOW)
    await accounts.revoke_token(second, NOW)
    await accounts.revoke_own_token(bob.id, third, NOW)
    assert await left() == [f"{second}", f"{kept}", f"{script}", brought.label]
    await (await talk(store, alice, bob)).say(alice, "hello")
    clock.advance(3)
    await worker.sender.address_due()
    await sign_in()
    await accounts.change_password(bob.id, "hash", kept, NOW)
    assert await left() == [f"{second}", f"{kept}", f"{script}", brought.label]
    await accounts.revoke_all(bob.id, NOW)
    assert await left() == [brought.label]
    # What was on its way there is not sent.
    await worker.round()
    assert worker.post.places == [brought.label]
    assert Counter(await states(store)) == {("not_needed", "gone"): 3, ("sent", None): 1}
    await sign_in(expires_at=LATER)
    assert await accounts.remove_closed_tokens(Micros(LATER + 1)) > 0
    assert (await left(), len(await store.targets.listed(alice.id))) == ([brought.label], 1)


async def test_nobody_is_reached_who_was_signed_out_a_moment_before(store: SqlStore, bob: User) -> None:
    token = await store.accounts.add_token(bob.id, "token", b"digest", "", NOW, None)
    await store.accounts.revoke_token(token, NOW)
    assert await store.targets.add(bob.id, FcmTarget("phone"), "fcm", "", NOW, 20, token) is None
    assert await store.targets.listed(bob.id) == []


async def test_person_has_no_more_than_twenty_devices_however_many_come_at_once(store: SqlStore, alice: User) -> None:
    async def add(number: int) -> bool:
        try:
            await reached(store, alice, str(number))
        except TooManyTargets:
            return False
        return True

    added = await asyncio.gather(*(add(number) for number in range(24)))
    assert (sum(added), len(await store.targets.listed(alice.id))) == (20, 20)


async def test_application_hears_for_its_users_of_what_it_wants_alone(
    store: SqlStore, clock: Clock, worker: Worker
) -> None:
    app = await store.accounts.add_user(new_user("shop", "app"))
    other = await store.accounts.add_user(new_user("bank", "app"))
    ann, ben = [await store.accounts.app_user(app, name, name, NOW) for name in ("ann", "ben")]
    for owner, url in ((app, "https://shop.example.org"), (other, "https://bank.example.org")):
        await store.targets.put_webhook(owner.id, url, "whsec_x", "host", ("message",), NOW)
    pair = await talk(store, ann, ben)
    await pair.say(ann, "hello")
    await pair.say(ben, "and hello to you")
    clock.advance(3)
    await worker.round()
    assert worker.post.places == ["https://shop.example.org"] * 2
    assert sorted(str(notice.recipient) for notice in worker.post.notices) == ["ann", "ben"]
    await pair.say(ann, "@ben", kind="mention", now=clock.now())
    clock.advance(3)
    await worker.round()
    # Nobody wants to hear of that.
    assert await states(store) == [("sent", None)] * 2
    hook = await store.targets.webhook(app.id)
    assert hook is not None
    assert (hook.url, hook.events, hook.last_sent_at) == (
        "https://shop.example.org",
        ("message",),
        Micros(NOW + 3 * SECOND),
    )
    assert await store.targets.remove_webhook(app.id)
    assert await store.targets.webhook(app.id) is None


async def test_mail_goes_to_the_address_of_the_account_where_it_is_wanted(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    for user in (alice, bob):
        assert (await store.targets.change_wishes(user.id, WishesChange(email=True), NOW)).email
        await store.targets.change_wishes(user.id, WishesChange(email=True), NOW)
    pair = await talk(store, alice, bob)
    await pair.say(alice, "hello")
    for text in ("hello", "there is", "more"):
        await pair.say(bob, text, now=clock.now())
        clock.advance(30)
        await worker.round()
    assert worker.post.got == []
    clock.advance(RULES.mail_seconds)
    await worker.round()
    # One mail for all of it. Bob has told no address.
    assert worker.post.places == ["alice@example.com"]
    assert sorted(await states(store)) == [("not_needed", "nowhere"), ("sent", None)]
    # What is read meanwhile is not mailed.
    await pair.say(bob, "again", now=clock.now())
    clock.advance(3)
    await worker.round()
    await pair.set(alice, "read_number", 5)
    clock.advance(RULES.mail_seconds)
    await worker.round()
    assert len(worker.post.got) == 1
    assert not (await store.targets.change_wishes(alice.id, WishesChange(email=False), NOW)).email


async def test_key_for_web_push_is_made_once_however_many_workers_begin(store: SqlStore, other_store: SqlStore) -> None:
    made = await asyncio.gather(*(one.targets.vapid_key(f"key {n}") for n, one in enumerate((store, other_store) * 4)))
    assert len(set(made)) == 1
    assert await store.targets.vapid_key("another") == made[0]


async def test_lease_that_ends_is_taken_over_and_who_comes_late_records_nothing(
    store: SqlStore, other_store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    await reached(store, bob)
    await (await talk(store, alice, bob)).say(alice, "hello")
    clock.advance(3)
    await worker.sender.address_due()
    [held] = await other_store.outbox.claim(to_claim(THERE, clock))
    clock.advance(LEASE_SECONDS - 1)
    await worker.round()
    assert worker.post.got == []
    clock.advance(1)
    [taken] = await store.outbox.claim(to_claim(HERE, clock))
    assert (taken.id, taken.attempt) == (held.id, held.attempt + 1)
    assert not await other_store.outbox.settle(held, Settled("dead", "late"), clock.now())
    assert await store.outbox.settle(taken, Settled("sent"), clock.now())
    assert not await store.outbox.settle(taken, Settled("sent"), clock.now())
    assert await states(store) == [("sent", None)]


async def test_what_comes_after_a_lease_has_ended_is_not_recorded_by_its_holder(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    await reached(store, bob)
    pair = await talk(store, alice, bob)
    await pair.say(alice, "one")
    clock.advance(3)
    await worker.sender.address_due()
    [held] = await store.outbox.claim(to_claim(THERE, clock))
    await pair.say(alice, "two", now=clock.now())
    clock.advance(LEASE_SECONDS + 1)
    await worker.sender.address_due()
    assert not await store.outbox.settle(held, Settled("sent"), clock.now())
    await worker.round()
    assert (len(worker.post.got), await states(store)) == (1, [("sent", None)])


async def test_what_nobody_holds_any_more_is_due_at_once(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    await reached(store, bob)
    await (await talk(store, alice, bob)).say(alice, "hello")
    clock.advance(3)
    await worker.sender.address_due()
    [held] = await store.outbox.claim(to_claim(THERE, clock))
    await store.outbox.release_all(clock.now())
    assert not await store.outbox.settle(held, Settled("dead"), clock.now())
    await worker.round()
    assert await states(store) == [("sent", None)]


async def test_workers_that_do_it_all_at_once_send_each_delivery_once(
    store: SqlStore, other_store: SqlStore, alice: User, bob: User, clock: Clock
) -> None:
    devices = 3
    for name in range(devices):
        await reached(store, bob, str(name), host=f"{name}.example.org")
    talks = [await talk(store, alice, bob) for _ in range(8)]
    for one in talks:
        await one.say(alice, "hello")
    clock.advance(3)
    workers = [Worker(store, clock), Worker(other_store, clock, THERE)]
    await asyncio.gather(*(one.round() for one in workers * 3))
    await asyncio.gather(*(one.round() for one in workers))
    sent = [notice.id for one in workers for notice in one.post.notices]
    assert (len(sent), len(set(sent))) == (len(talks) * devices, len(talks) * devices)
    assert await states(store) == [("sent", None)] * len(sent)


async def test_what_is_committed_here_waits_for_no_look(store: SqlStore, alice: User, bob: User) -> None:
    post = SlowPost("nowhere")
    rules = replace(RULES, delay_seconds=0.05, look_seconds=3600.0)
    sender = Sender(store.outbox, post, Eyes(), SystemClock(), HERE, rules)
    await reached(store, bob)
    pair = await talk(store, alice, bob)
    working = asyncio.create_task(sender.work())
    await pair.say(alice, "hello", now=SystemClock().now())
    sender.wake()
    async with asyncio.timeout(10):
        await post.answered.wait()
    # What is under way when the server goes away has its time to end.
    working.cancel()
    await asyncio.wait([working])
    assert await states(store) == [("sent", None)]


async def test_host_that_never_answers_takes_up_its_places_and_delays_nobody(
    store: SqlStore, alice: User, bob: User, clock: Clock
) -> None:
    post = SlowPost("slow")
    rules = replace(RULES, of_host=2, send_seconds=0.2)
    worker = Worker(store, clock, post=post, rules=rules)
    for number in range(8):
        await reached(store, bob, f"slow{number}", host="slow.example.org")
    await reached(store, bob, "quick", host="quick.example.org")
    await (await talk(store, alice, bob)).say(alice, "hello")
    clock.advance(3)
    await worker.sender.look()
    async with asyncio.timeout(10):
        await post.answered.wait()
    assert (post.places, post.most_under_way) == (["quick"], 2)
    # They wait for another time, and others of that host have their turn.
    await worker.sender.settled()
    assert Counter(await states(store)) == {
        ("sent", None): 1, ("waiting", "no answer in time"): 2, ("waiting", None): 6,
    }  # fmt: skip
    await worker.round()
    assert Counter(await states(store))[("waiting", "no answer in time")] == 4
    assert post.most_under_way == 2


async def test_fault_of_who_tells_who_is_looking_holds_up_one_notice_alone(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    await reached(store, bob)
    good, bad = await talk(store, alice, bob), await talk(store, alice, bob)
    worker.eyes.closed.add(bad.uuid)
    for one in (bad, good):
        await one.say(alice, "hello")
    clock.advance(3)
    with pytest.raises(ConnectionError):
        await worker.round()
    await worker.sender.settled()
    assert [notice.conversation for notice in worker.post.notices] == [good.uuid]
    worker.eyes.closed.clear()
    await worker.round()
    assert [notice.conversation for notice in worker.post.notices] == [good.uuid, bad.uuid]


async def test_worker_that_stood_still_sends_nothing_that_may_be_another_ones_by_then(
    store: SqlStore, alice: User, bob: User
) -> None:
    clock = Stopped(stops_after=3)
    worker = Worker(store, clock, rules=replace(RULES, delay_seconds=0))
    await reached(store, bob)
    await (await talk(store, alice, bob)).say(alice, "hello")
    await worker.round()
    assert (worker.post.got, clock.at) == ([], NOW + 60 * SECOND)
    clock.advance(LEASE_SECONDS)
    await worker.round()
    assert await states(store) == [("sent", None)]


async def test_host_that_is_full_is_passed_over(store: SqlStore, alice: User, bob: User, clock: Clock) -> None:
    worker = Worker(store, clock)
    for name, host in (("a", "slow"), ("b", "slow"), ("c", "slow"), ("d", "quick")):
        await reached(store, bob, name, host=host)
    await (await talk(store, alice, bob)).say(alice, "hello")
    clock.advance(3)
    await worker.sender.address_due()
    claim = to_claim(HERE, clock, most_of_host=2)
    assert sorted(one.host for one in await store.outbox.claim(claim)) == ["quick", "slow", "slow"]
    busy = to_claim(HERE, clock, most_of_host=2, busy={"slow": 2})
    assert await store.outbox.claim(busy) == ()
    busy = to_claim(HERE, clock, most_of_host=2, busy={"slow": 1})
    assert [one.host for one in await store.outbox.claim(busy)] == ["slow"]


async def test_end_of_a_long_reply_is_to_reach_its_owner_where_there_is_any_way(
    store: SqlStore, alice: User, clock: Clock, worker: Worker
) -> None:
    begun = await store.turns.begin(said(alice, "hello", new_conversation(alice)))
    long = replace(ending(begun), tells_owner=True)
    assert (await store.turns.finish(long)).done
    assert await states(store) == []
    await reached(store, alice)
    for number, tells in ((1, False), (2, True)):
        begun = await store.turns.begin(said(alice, str(number), begun.turn.conversation.uuid))
        assert (await store.turns.finish(replace(ending(begun), tells_owner=tells))).done
    # Once: whoever comes late with the same end writes nothing.
    assert not (await store.turns.finish(replace(ending(begun), tells_owner=True))).done
    assert await states(store) == [("waiting", None)]
    clock.advance(8)
    await worker.round()
    [notice] = worker.post.notices
    assert (notice.kind, notice.title, notice.message) == ("reply", "General assistant", begun.turn.reply.uuid)


async def test_reply_of_an_invited_bot_reaches_who_asked_for_it_as_the_words_of_the_bot(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    await reached(store, alice)
    await store.targets.change_wishes(alice.id, WishesChange(shows_text=True), NOW)
    made = await store.connections.make_group(alice, [bob], "Trip", str(uuid.uuid4()), NOW)
    seat, where = Seat(alice.id), made.conversation.uuid
    general = NewBot(PresetId(1), "general", "You help.", Speaking(model="gpt-4", window=3, slides=True))
    await store.connections.invite_bot(seat, where, general, NOW)
    spoken = await store.connections.say(NewSaid(seat, where, "@general where to?", 3, NOW))
    asked = BotAsked(spoken.conversation.id, spoken.written.message.id, alice.id, NOW, HERE, LEASE)
    begun = await store.connections.ask_bot(asked)
    assert (await store.turns.finish(replace(ending(begun), tells_owner=True))).done
    clock.advance(8)
    await worker.round()
    [notice] = worker.post.notices
    assert (notice.kind, notice.title, notice.sender) == ("reply", "Trip", None)
    assert notice.message == begun.turn.reply.uuid


async def test_erased_person_leaves_nothing_to_be_sent_and_nowhere_to_send_it(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    await reached(store, bob)
    await store.targets.change_wishes(bob.id, WishesChange(email=True), NOW)
    pair = await talk(store, alice, bob)
    await pair.say(alice, "hello")
    clock.advance(3)
    await worker.sender.address_due()
    await store.accounts.erase_user(bob.id, clock.now())
    assert await rows(store, "SELECT id FROM targets") == []
    assert await rows(store, "SELECT id FROM outbox") == []
    await worker.round()
    assert worker.post.got == []


async def test_what_is_over_is_removed_in_time_and_what_waits_is_not(
    store: SqlStore, alice: User, bob: User, clock: Clock, worker: Worker
) -> None:
    await reached(store, bob)
    pair = await talk(store, alice, bob)
    await pair.say(alice, "hello")
    clock.advance(3)
    await worker.round()
    await pair.say(alice, "again", now=clock.now())
    assert await store.outbox.remove_done(clock.now()) == 0
    assert await store.outbox.remove_done(Micros(clock.now() + 1)) == 1
    assert await states(store) == [("waiting", None)]
    assert await store.outbox.counts() == {"waiting": 1, "dead": 0}


def to_claim(worker: str, clock: Clock, *, most_of_host: int = 8, busy: dict[str, int] | None = None) -> Claim:
    until = Micros(clock.now() + LEASE_SECONDS * SECOND)
    return Claim(worker, clock.now(), until, 64, most_of_host, busy or {})
