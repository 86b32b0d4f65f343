"""What every bus promises, between two workers: over memory and over Redis."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Literal

import pytest

from palaver.bus import BusOptions, Hub, MemoryBus, open_bus
from palaver.chat.ports import Bus
from tests.bus.ear import Ear
from tests.bus.patience import PATIENT_SECONDS, be_patient

BusKind = Literal["memory", "redis"]

CHANNEL = "conversation:7"


@pytest.fixture(params=["memory", "redis"])
def bus_kind(request: pytest.FixtureRequest) -> BusKind:
    kind: BusKind = request.param
    return kind


@pytest.fixture
def bus_options(request: pytest.FixtureRequest, bus_kind: BusKind) -> BusOptions:
    return BusOptions(request.getfixturevalue("redis_url") if bus_kind == "redis" else None)


@pytest.fixture
async def workers(bus_options: BusOptions, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Bus, Bus]]:
    """The buses of two workers of one installation."""
    be_patient(monkeypatch)
    if bus_options.url is None:
        hub = Hub()
        yield MemoryBus(hub), MemoryBus(hub)
        return
    async with AsyncExitStack() as stack:
        yield (
            await stack.enter_async_context(open_bus(bus_options, "palaver")),
            await stack.enter_async_context(open_bus(bus_options, "palaver")),
        )


@pytest.fixture
def here(workers: tuple[Bus, Bus]) -> Bus:
    return workers[0]


@pytest.fixture
def there(workers: tuple[Bus, Bus]) -> Bus:
    return workers[1]


async def test_two_workers_are_not_alone(here: Bus, there: Bus) -> None:
    assert not here.alone
    assert not there.alone


async def test_other_workers_hear_everything_in_order(here: Bus, there: Bus) -> None:
    ear = Ear()
    await there.subscribe(CHANNEL, ear.hear)
    said = [b"%d" % number for number in range(2000)]
    for data in said:
        here.publish(CHANNEL, data)
    await ear.wait_for(said[-1])
    assert ear.heard == said
    assert ear.gaps == 0


async def test_all_other_workers_can_be_told_to_look_into_the_store(here: Bus, there: Bus) -> None:
    ear, own = Ear(), Ear()
    await there.subscribe(CHANNEL, ear.hear)
    await here.subscribe(CHANNEL, own.hear)
    here.tell_of_a_gap()
    await ear.wait_for_gaps(1)
    assert own.all == []


async def test_order_holds_from_one_turn_of_the_loop_to_the_next(here: Bus, there: Bus) -> None:
    ear = Ear()
    await there.subscribe(CHANNEL, ear.hear)
    said = [b"%d" % number for number in range(200)]
    for data in said:
        here.publish(CHANNEL, data)
        await asyncio.sleep(0)
    await ear.wait_for(said[-1])
    assert ear.heard == said


async def test_who_publishes_does_not_hear_it(here: Bus, there: Bus) -> None:
    ear, other_ear = Ear(), Ear()
    await here.subscribe(CHANNEL, ear.hear)
    await there.subscribe(CHANNEL, other_ear.hear)
    here.publish(CHANNEL, b"from here")
    await other_ear.wait_for(b"from here")
    there.publish(CHANNEL, b"from there")
    await ear.wait_for(b"from there")
    assert (ear.heard, other_ear.heard) == ([b"from there"], [b"from here"])


async def test_nothing_is_heard_within_the_call_that_publishes(here: Bus, there: Bus) -> None:
    ear = Ear()
    await there.subscribe(CHANNEL, ear.hear)
    here.publish(CHANNEL, b"one")
    assert ear.heard == []
    await ear.wait_for(b"one")


async def test_channels_are_apart(here: Bus, there: Bus) -> None:
    ear, other_ear = Ear(), Ear()
    await there.subscribe("one", ear.hear)
    await there.subscribe("two", other_ear.hear)
    here.publish("one", b"1")
    here.publish("three", b"3")
    here.publish("two", b"2")
    await other_ear.wait_for(b"2")
    assert (ear.heard, other_ear.heard) == ([b"1"], [b"2"])


async def test_who_has_unsubscribed_hears_no_more(here: Bus, there: Bus) -> None:
    ear, other_ear = Ear(), Ear()
    await there.subscribe("one", ear.hear)
    await there.subscribe("two", other_ear.hear)
    there.unsubscribe("one")
    there.unsubscribe("never subscribed")
    here.publish("one", b"1")
    here.publish("two", b"2")
    await other_ear.wait_for(b"2")
    assert ear.heard == []


async def test_who_subscribes_again_at_once_misses_nothing(here: Bus, there: Bus) -> None:
    ears = [Ear() for _ in range(20)]
    for number, ear in enumerate(ears):
        await there.subscribe(CHANNEL, ear.hear)
        here.publish(CHANNEL, b"%d" % number)
        await ear.wait_for(b"%d" % number)
        there.unsubscribe(CHANNEL)


async def test_what_is_subscribed_to_unsubscribed_and_subscribed_to_again_in_one_turn_is_heard(
    here: Bus, there: Bus
) -> None:
    first, last = Ear(), Ear()
    subscribing = asyncio.create_task(there.subscribe(CHANNEL, first.hear))
    await asyncio.sleep(0)
    there.unsubscribe(CHANNEL)
    await there.subscribe(CHANNEL, last.hear)
    await subscribing
    here.publish(CHANNEL, b"one")
    await last.wait_for(b"one")
    assert first.heard == []


async def test_channel_is_subscribed_to_once_in_a_worker(here: Bus, there: Bus) -> None:
    ear = Ear()
    await there.subscribe(CHANNEL, ear.hear)
    with pytest.raises(ValueError, match="subscribed to already"):
        await there.subscribe(CHANNEL, Ear().hear)
    here.publish(CHANNEL, b"one")
    await ear.wait_for(b"one")


async def test_count_tells_how_many_workers_listen(here: Bus, there: Bus) -> None:
    assert await here.count(CHANNEL) == 0
    await there.subscribe(CHANNEL, Ear().hear)
    assert (await here.count(CHANNEL), await there.count(CHANNEL)) == (1, 1)
    await here.subscribe(CHANNEL, Ear().hear)
    assert (await here.count(CHANNEL), await there.count(CHANNEL)) == (2, 2)
    here.unsubscribe(CHANNEL)
    assert await here.count(CHANNEL) == 1
    there.unsubscribe(CHANNEL)
    assert await there.count(CHANNEL) == 0


async def test_thousands_who_come_at_once_all_listen(here: Bus, there: Bus) -> None:
    ears = {f"conversation:{number}": Ear() for number in range(3000)}
    # Nobody waits in vain.
    async with asyncio.timeout(PATIENT_SECONDS / 2):
        await asyncio.gather(*(there.subscribe(channel, ear.hear) for channel, ear in ears.items()))
    for channel in ears:
        here.publish(channel, channel.encode())
    for channel, ear in ears.items():
        await ear.wait_for(channel.encode())
        assert ear.all == [channel.encode()]
    for channel in ears:
        there.unsubscribe(channel)
    assert await there.count("conversation:2999") == 0


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00\r\n\xff", bytes(range(256)), b"x" * 1024 * 1024],
    ids=["empty", "no text", "every byte", "a megabyte"],
)
async def test_bytes_arrive_as_they_are(here: Bus, there: Bus, data: bytes) -> None:
    ear = Ear()
    await there.subscribe(CHANNEL, ear.hear)
    here.publish(CHANNEL, data)
    await ear.wait_for(data)
    assert (ear.heard, ear.gaps) == ([data], 0)


async def test_one_who_cannot_take_it_does_not_keep_others_from_hearing(
    here: Bus, there: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(data: bytes | None) -> None:
        raise RuntimeError(f"cannot take {data!r}")

    ear = Ear()
    await there.subscribe("one", refuse)
    await there.subscribe("two", ear.hear)
    with caplog.at_level(logging.ERROR):
        here.publish("one", b"1")
        here.publish("two", b"2")
        await ear.wait_for(b"2")
        here.publish("one", b"3")
        here.publish("two", b"4")
        await ear.wait_for(b"4")
    # What the tests before have left to be cleared away says so at any time.
    assert len([record for record in caplog.records if record.name == "palaver.bus"]) == 2
    assert "cannot take b'1'" in caplog.text


async def test_unicode_names_are_names_like_others(here: Bus, there: Bus) -> None:
    ear = Ear()
    await there.subscribe("Gespräch {1} *", ear.hear)
    here.publish("Gespräch {1} *", b"one")
    await ear.wait_for(b"one")
