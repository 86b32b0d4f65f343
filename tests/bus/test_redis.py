"""What the bus does while Redis is slow, stands still, is gone or will not have us: nobody waits, everybody is told."""

import asyncio
import logging
import random
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis as Client

from palaver.bus import BusOptions, open_bus, publisher
from palaver.chat.ports import Bus
from tests.bus.ear import SECONDS, Ear, wait_until_both_listen
from tests.bus.patience import PATIENT_SECONDS, be_as_usual, be_patient
from tests.parts.loop import hold_up, run
from tests.parts.redis import Redis
from tests.parts.relay import RedisRelay

CHANNEL = "conversation:7"
MEBIBYTE = 1024 * 1024

pytestmark = pytest.mark.usefixtures("log")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What the bus says."""
    caplog.set_level(logging.INFO, "palaver.bus")
    return caplog


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a Redis that answers takes for it, it is waited for."""
    be_patient(monkeypatch)


@pytest.fixture
def usual_patience(monkeypatch: pytest.MonkeyPatch, _patience: None) -> None:
    """With one that does not answer."""
    be_as_usual(monkeypatch)


@pytest.fixture
def no_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    """No publisher finds out by itself that Redis has gone."""
    monkeypatch.setattr(publisher, "BEAT_SECONDS", 60.0)


@pytest.fixture
async def workers(redis: Redis) -> AsyncIterator[tuple[Bus, Bus]]:
    async with open_workers(redis.url) as workers:
        yield workers


@pytest.fixture
def here(workers: tuple[Bus, Bus]) -> Bus:
    return workers[0]


@pytest.fixture
def there(workers: tuple[Bus, Bus]) -> Bus:
    return workers[1]


@pytest.fixture
async def ear(here: Bus, there: Bus) -> Ear:
    return await listen(here, there)


async def listen(here: Bus, there: Bus) -> Ear:
    """Somebody who listens there, as somebody does here."""
    ear = Ear()
    await here.subscribe(CHANNEL, Ear().hear)
    await there.subscribe(CHANNEL, ear.hear)
    return ear


@asynccontextmanager
async def open_workers(url: str) -> AsyncIterator[tuple[Bus, Bus]]:
    """They open whatever Redis does."""
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(SECONDS):
            here = await stack.enter_async_context(open_bus(BusOptions(url), "palaver"))
            there = await stack.enter_async_context(open_bus(BusOptions(url), "palaver"))
        yield here, there


async def tell(redis: Redis, *command: str | int) -> None:
    """What an operator types."""
    client: Any = Client.from_url(redis.url)
    async with client:
        await client.execute_command(*command)


def warnings(log: pytest.LogCaptureFixture) -> list[str]:
    """Of ours: what the tests before have left to be cleared away says so at any time."""
    told = [record for record in log.records if record.name.startswith("palaver.")]
    return [record.message for record in told if record.levelno >= logging.WARNING]


async def use_while_away(bus: Bus) -> None:
    """All that a worker does with a bus returns, although nothing is answered."""
    bus.publish(CHANNEL, b"lost")
    ear = Ear()
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(*(bus.subscribe(f"new:{number}", ear.hear) for number in range(1000)))
        assert await bus.count(CHANNEL) == 1
        assert await bus.count("nobody is there") == 0


async def test_after_a_restart_of_redis_everybody_is_told_and_hears_again(
    redis: Redis, here: Bus, there: Bus, ear: Ear, log: pytest.LogCaptureFixture
) -> None:
    gap = asyncio.create_task(ear.wait_for_gaps(1))
    await asyncio.gather(redis.restart(), gap)
    await wait_until_both_listen(here, CHANNEL)
    here.publish(CHANNEL, b"again")
    await ear.wait_for(b"again")
    await wait_until_both_listen(there, CHANNEL)
    # One for each worker, of two connections each.
    assert len(warnings(log)) == 2
    again = f"Redis at {redis.url[8:-2]} can be used again."
    assert len([message for message in log.messages if message.startswith(again)]) == 2


@pytest.mark.usefixtures("no_beat")
async def test_outage_is_told_once_also_where_redis_is_back_before_it_is_looked_after(
    redis: Redis, here: Bus, there: Bus, ear: Ear, log: pytest.LogCaptureFixture
) -> None:
    gap = asyncio.create_task(ear.wait_for_gaps(1))
    await asyncio.gather(redis.restart(), gap)
    for bus in (here, there):
        await wait_until_both_listen(bus, CHANNEL)
    assert len(warnings(log)) == 2


@pytest.mark.usefixtures("usual_patience")
async def test_redis_that_stands_still_holds_nobody_up_and_is_found_again(
    redis: Redis, here: Bus, there: Bus, ear: Ear, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis.process.freeze()
    await asyncio.gather(use_while_away(here), use_while_away(there))
    await ear.wait_for_gaps(2)
    assert len(warnings(log)) == 2
    be_patient(monkeypatch)
    redis.process.thaw()
    await wait_until_both_listen(here, CHANNEL)
    await wait_until_both_listen(here, "new:999")
    here.publish(CHANNEL, b"again")
    await ear.wait_for(b"again")
    assert len(warnings(log)) == 2


@pytest.mark.usefixtures("usual_patience")
async def test_who_subscribes_while_redis_stands_still_is_told_of_the_gap(redis: Redis, here: Bus, there: Bus) -> None:
    redis.process.freeze()
    ear = Ear()
    await there.subscribe(CHANNEL, ear.hear)
    gap = asyncio.create_task(ear.wait_for_gaps(1))
    redis.process.thaw()
    await gap
    here.publish(CHANNEL, b"one")


@pytest.mark.usefixtures("usual_patience")
async def test_redis_that_answers_late_leaves_no_gap_untold(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    relay = RedisRelay(redis.url)
    async with relay.open(), open_workers(relay.url) as (here, there):
        ear = await listen(here, there)
        relay.hold()
        await use_while_away(here)
        await ear.wait(lambda: ear.gaps > 0)
        be_patient(monkeypatch)
        relay.let_go()
        await wait_until_both_listen(here, CHANNEL)
        here.publish(CHANNEL, b"again")
        await ear.wait_for(b"again")


@pytest.mark.usefixtures("usual_patience")
async def test_memory_stays_flat_while_redis_stands_still(redis: Redis, here: Bus, ear: Ear) -> None:
    redis.process.freeze()
    data = b"x" * 1024
    tracemalloc.start()
    try:
        for _ in range(100):
            for _ in range(1024):
                here.publish(CHANNEL, data)
            await asyncio.sleep(0)
        assert tracemalloc.get_traced_memory()[1] < 24 * MEBIBYTE
        await ear.wait_for_gaps(3)
        assert tracemalloc.get_traced_memory()[0] < 4 * MEBIBYTE
    finally:
        tracemalloc.stop()


async def test_server_opens_without_redis_and_catches_up_when_it_comes(
    redis: Redis, log: pytest.LogCaptureFixture
) -> None:
    redis.process.kill()
    async with open_workers(redis.url) as (here, there):
        assert not here.alone
        ear = await listen(here, there)
        await use_while_away(here)
        await ear.wait_for_gaps(2)
        assert len(warnings(log)) == 2
        await redis.restart()
        await wait_until_both_listen(here, CHANNEL)
        here.publish(CHANNEL, b"at last")
        await ear.wait_for(b"at last")


@pytest.mark.usefixtures("usual_patience")
async def test_redis_that_stood_still_before_holds_no_server_up(redis: Redis) -> None:
    redis.process.freeze()
    async with open_workers(redis.url) as (here, _):
        await here.subscribe(CHANNEL, Ear().hear)
        await use_while_away(here)


async def test_what_was_unsubscribed_while_redis_was_away_is_not_subscribed_to_again(
    redis: Redis, here: Bus, there: Bus, ear: Ear
) -> None:
    dropped = Ear()
    await there.subscribe("dropped", dropped.hear)
    gap = asyncio.create_task(ear.wait_for_gaps(1))
    redis.process.kill()
    await gap
    there.unsubscribe("dropped")
    await redis.restart()
    await wait_until_both_listen(here, CHANNEL)
    assert await here.count("dropped") == 0


@pytest.mark.parametrize(
    "command", [("REPLICAOF", "127.0.0.1", "1"), ("CONFIG", "SET", "maxmemory", "1")], ids=["read-only", "full"]
)
async def test_redis_that_takes_no_writes_carries_what_is_said(
    redis: Redis, here: Bus, there: Bus, ear: Ear, command: tuple[str, ...], log: pytest.LogCaptureFixture
) -> None:
    await tell(redis, *command)
    late = Ear()
    await there.subscribe("late", late.hear)
    here.publish("late", b"two")
    await late.wait_for(b"two")
    here.publish(CHANNEL, b"one")
    await ear.wait_for(b"one")
    assert await here.count(CHANNEL) == 2
    assert (ear.gaps, warnings(log)) == (0, [])


async def test_others_are_told_of_what_was_too_much_to_be_sent(
    redis: Redis, here: Bus, ear: Ear, log: pytest.LogCaptureFixture
) -> None:
    gap = asyncio.create_task(ear.wait_for_gaps(1))
    for number in range(20):
        here.publish(CHANNEL, b"%d" % number + b"x" * MEBIBYTE)
    await gap
    assert 0 < len(ear.heard) < 20
    assert warnings(log) == [f"Redis at {redis.url[8:-2]} is slow: other workers hear of some things by the database."]
    here.publish(CHANNEL, b"and on")
    await ear.wait_for(b"and on")


@pytest.mark.usefixtures("no_beat")
async def test_others_are_told_when_the_connection_broke_by_which_it_was_published(
    redis: Redis, here: Bus, ear: Ear
) -> None:
    gap = asyncio.create_task(ear.wait_for_gaps(1))
    # Those who subscribe are of another type: they notice nothing.
    await tell(redis, "CLIENT", "KILL", "TYPE", "normal")
    here.publish(CHANNEL, b"lost, or not")
    await gap
    await wait_until_both_listen(here, CHANNEL)
    here.publish(CHANNEL, b"again")
    await ear.wait_for(b"again")


async def test_who_hears_again_is_told_of_what_was_missed_in_between(redis: Redis, ear: Ear) -> None:
    # Once when the connection breaks, and once when there is one again.
    gaps = asyncio.create_task(ear.wait_for_gaps(2))
    await tell(redis, "CLIENT", "KILL", "TYPE", "pubsub")
    await gaps


@pytest.mark.proof("streams")
async def test_whatever_is_missed_is_followed_by_word_of_a_gap(redis: Redis, here: Bus, ear: Ear, seed: str) -> None:
    # How much had been heard when it was published.
    published: dict[bytes, int] = {}
    chance = random.Random(seed)
    for _ in range(40):
        for _ in range(chance.randrange(200)):
            data = b"%d" % len(published)
            published[data] = len(ear.all)
            here.publish(CHANNEL, data)
            await asyncio.sleep(0)
        await tell(redis, "CLIENT", "KILL", "TYPE", chance.choice(["normal", "pubsub"]))
    await wait_until_both_listen(here, CHANNEL)
    here.publish(CHANNEL, b"the end")
    await ear.wait_for(b"the end")
    missed = published.keys() - set(ear.heard)
    assert missed
    last_missed = max(published[data] for data in missed)
    await ear.wait(lambda: None in ear.all[last_missed:])
    numbers = [int(data) for data in ear.heard[:-1]]
    assert numbers == sorted(set(numbers))


async def test_what_was_published_last_is_sent_before_the_bus_closes(redis: Redis) -> None:
    ear = Ear()
    async with open_bus(BusOptions(redis.url), "palaver") as there:
        await there.subscribe(CHANNEL, ear.hear)
        async with open_bus(BusOptions(redis.url), "palaver") as here:
            here.publish(CHANNEL, b"goodbye")
        await ear.wait_for(b"goodbye")


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_worker_that_is_held_up_itself_does_not_take_redis_for_slow(
    redis: Redis, turns: int, log: pytest.LogCaptureFixture
) -> None:
    """However far it has come, what was published is heard, and nobody has to look into the store."""
    ear, late = Ear(), Ear()

    async def be_held_up() -> None:
        async with open_workers(redis.url) as (here, there):
            await there.subscribe(CHANNEL, ear.hear)
            here.publish(CHANNEL, b"one")
            subscribing = asyncio.create_task(there.subscribe("late", late.hear))
            counting = asyncio.create_task(here.count(CHANNEL))
            for _ in range(turns):
                await asyncio.sleep(0)
            hold_up(2 * PATIENT_SECONDS)
            await ear.wait_for(b"one")
            await subscribing
            here.publish("late", b"two")
            await late.wait_for(b"two")
            assert await counting == 1

    run(be_held_up())
    assert (ear.all, late.all, warnings(log)) == ([b"one"], [b"two"], [])


async def test_installations_that_share_redis_do_not_hear_each_other(redis: Redis) -> None:
    async with (
        open_bus(BusOptions(redis.url), "one") as one,
        open_bus(BusOptions(redis.url), "two") as two,
        open_bus(BusOptions(redis.url), "two") as again_two,
    ):
        ear = Ear()
        await two.subscribe(CHANNEL, ear.hear)
        one.publish(CHANNEL, b"one")
        assert await one.count(CHANNEL) == 0
        again_two.publish(CHANNEL, b"two")
        await ear.wait_for(b"two")
        assert ear.heard == [b"two"]


async def test_who_gives_up_subscribing_does_not_listen(redis: Redis, there: Bus) -> None:
    redis.process.freeze()
    ear = Ear()
    subscribing = asyncio.create_task(there.subscribe(CHANNEL, ear.hear))
    await asyncio.sleep(0)
    subscribing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await subscribing
    redis.process.thaw()
    assert await there.count(CHANNEL) == 0


@asynccontextmanager
async def signed_in(redis: Redis, *rules: str) -> AsyncIterator[str]:
    """The address with a user of these rights, whose password is `sekret`."""
    await tell(redis, "ACL", "SETUSER", "ana", "reset", "on", ">sekret", *rules)
    try:
        yield redis.url.replace("//", "//ana:sekret@")
    finally:
        await tell(redis, "ACL", "DELUSER", "ana")


async def test_bus_signs_in_and_needs_few_rights(redis: Redis, log: pytest.LogCaptureFixture) -> None:
    rights = ["+publish", "+subscribe", "+unsubscribe", "+ping", "+pubsub|numsub", "&{palaver}:*"]
    async with signed_in(redis, *rights) as url, open_workers(url) as (here, there):
        ear = Ear()
        await there.subscribe(CHANNEL, ear.hear)
        here.publish(CHANNEL, b"one")
        await ear.wait_for(b"one")
        assert await here.count(CHANNEL) == 1
        assert warnings(log) == []


@pytest.mark.parametrize(
    ("rights", "typed"),
    [
        (["+@all", "&*"], "wrong-sekret"),
        (["+@all", "&other*"], "sekret"),
        (["+@all", "-publish", "&*"], "sekret"),
        (["+@all", "-subscribe", "&*"], "sekret"),
    ],
    ids=["wrong password", "other channels", "may not publish", "may not subscribe"],
)
async def test_redis_that_will_not_have_us_is_away_and_the_log_says_so_once_without_the_password(
    redis: Redis, rights: list[str], typed: str, log: pytest.LogCaptureFixture
) -> None:
    async with signed_in(redis, *rights) as url, open_bus(BusOptions(url.replace("sekret", typed)), "palaver") as bus:
        bus.publish(CHANNEL, b"one")
        ear = Ear()
        await bus.subscribe(CHANNEL, ear.hear)
        assert await bus.count(CHANNEL) == 1
        await ear.wait_for_gaps(3)
        bus.publish(CHANNEL, b"two")
    assert len(warnings(log)) == 1
    assert "sekret" not in log.text
