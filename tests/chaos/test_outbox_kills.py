"""`kill -9` of whoever sends, at any moment: each delivery arrives at least once, is recorded once, and none is lost.

The moments are random; their seed is printed and can be given again by PALAVER_SEED.
"""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from palaver.chat.clock import SystemClock
from palaver.chat.user import User
from palaver.store import SqlStore, StoreOptions, open_store
from palaver.store.migrate import migrate
from tests.chaos.sending import READY
from tests.chaos.waiting import wait_while
from tests.parts.listening import listening
from tests.parts.palaver import StoreKind
from tests.parts.process import Process
from tests.parts.run import Run
from tests.ports.notifying import states, talk
from tests.ports.talking import NOW, new_user, rows
from tests.promises import Measured

pytestmark = pytest.mark.proof("out")

# So many at once, that a kill finds some addressed, some claimed, some on their way, and some to be recorded.
TOLD_AT_ONCE = 8
# Longer than from the first look to the last record, for those that are not killed on their way.
LONGEST_LIFE = 0.12
SLOW = 0.02
SECONDS = 60.0
# What was held by whoever was killed is sent again soon.
SHORT_LEASE = 2.0
# However busy the machine is, nobody who lives stands still for so long.
LONG_LEASE = 60.0


@pytest.fixture
def store_at(request: pytest.FixtureRequest, store_kind: StoreKind, tmp_path: Path) -> str:
    url: str = request.getfixturevalue("postgres_url") if store_kind == "postgres" else str(tmp_path)
    return url


@pytest.fixture
async def store(store_at: str, store_kind: StoreKind, tmp_path: Path) -> AsyncIterator[SqlStore]:
    options = StoreOptions(tmp_path, store_at if store_kind == "postgres" else None, connections=4)
    async with open_store(options) as store:
        await migrate(store.database, store.engine)
        yield store


class Receiver:
    """The application's own server: slow enough for a kill to come between its answer and the record of that."""

    def __init__(self, dice: random.Random) -> None:
        self.url = ""
        self.came: Counter[str] = Counter()
        """How often each message came."""
        self._dice = dice
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def live(self) -> None:
        """A moment, in which whoever sends gets so far or so far."""
        await asyncio.wait((self._closed,), timeout=self._dice.uniform(0, LONGEST_LIFE))

    async def receive(self, request: web.Request) -> web.Response:
        message = (await request.json())["data"]["message"]
        await asyncio.wait((self._closed,), timeout=self._dice.uniform(0, SLOW))
        self.came[message] += 1
        return web.Response(status=204)


@pytest.fixture
async def receiver(dice: random.Random) -> AsyncIterator[Receiver]:
    receiver = Receiver(dice)
    app = web.Application()
    app.router.add_post("/", receiver.receive)
    async with listening(app) as receiver.url:
        yield receiver


class Told:
    """Two users of an application, and all that one has written to the other, each in a conversation of its own."""

    def __init__(self, store: SqlStore, ann: User, ben: User) -> None:
        self._store = store
        self._ann = ann
        self._ben = ben

    async def say(self, count: int) -> None:
        for _ in range(count):
            pair = await talk(self._store, self._ann, self._ben)
            await pair.say(self._ann, "hello", now=SystemClock().now())

    async def messages(self) -> set[str]:
        return {row[0] for row in await rows(self._store, "SELECT uuid FROM messages")}

    async def wait_until_settled(self) -> None:
        await wait_while(self._waiting, seconds=SECONDS, what="deliveries that wait")

    async def _waiting(self) -> int:
        return (await self._store.outbox.counts())["waiting"]


@pytest.fixture
async def told(store: SqlStore, receiver: Receiver) -> Told:
    app = await store.accounts.add_user(new_user("shop", "app"))
    await store.targets.put_webhook(app.id, receiver.url + "/", SECRET, "shop", ("message",), NOW)
    ann, ben = [await store.accounts.app_user(app, name, name, NOW) for name in ("ann", "ben")]
    return Told(store, ann, ben)


SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


class Senders:
    """Processes that send, by their names."""

    def __init__(self, run: Run, store_at: str, folder: Path) -> None:
        self._run = run
        self._store_at = store_at
        self._folder = folder

    async def start(self, name: str, lease: float = SHORT_LEASE) -> Process:
        command = [sys.executable, "-m", "tests.chaos.sending", self._store_at, name, str(lease)]
        sender = Process(self._run, command, name="a sender", log=self._folder / f"{name}.log")
        await sender.wait_for_line(READY, seconds=SECONDS)
        return sender


@pytest.fixture
def senders(run: Run, store_at: str, tmp_path: Path) -> Senders:
    return Senders(run, store_at, tmp_path)


async def check_all_came(store: SqlStore, told: Told, receiver: Receiver) -> None:
    assert set(receiver.came) == await told.messages()
    assert await states(store) == [("sent", None)] * len(receiver.came)


@pytest.mark.parametrize("store_kind", ["sqlite"], indirect=True)
async def test_whoever_sends_is_killed_and_the_next_one_goes_on(
    store: SqlStore, told: Told, receiver: Receiver, senders: Senders, prove: bool, measured: Measured
) -> None:
    kills = 200 if prove else 5
    for number in range(kills):
        await told.say(TOLD_AT_ONCE)
        sender = await senders.start(f"sender-{number}")
        await receiver.live()
        sender.kill()
    last = await senders.start("last")
    await told.wait_until_settled()
    last.kill()
    measured("kills", kills, "")
    measured("deliveries", len(receiver.came), "")
    await check_all_came(store, told, receiver)


@pytest.mark.parametrize("store_kind", ["postgres"], indirect=True)
async def test_one_of_two_is_killed_and_the_other_takes_over_what_it_held(
    store: SqlStore,
    told: Told,
    receiver: Receiver,
    senders: Senders,
    dice: random.Random,
    prove: bool,
    measured: Measured,
) -> None:
    kills = 200 if prove else 4
    living = [await senders.start("first"), await senders.start("second")]
    for number in range(kills):
        await told.say(TOLD_AT_ONCE)
        await receiver.live()
        which = dice.randrange(2)
        living[which].kill()
        living[which] = await senders.start(f"after-{number}")
    await told.wait_until_settled()
    for one in living:
        one.kill()
    measured("kills", kills, "")
    measured("deliveries", len(receiver.came), "")
    await check_all_came(store, told, receiver)


@pytest.mark.parametrize("store_kind", ["postgres"], indirect=True)
async def test_two_that_live_never_send_one_twice(
    store: SqlStore, told: Told, receiver: Receiver, senders: Senders, prove: bool, measured: Measured
) -> None:
    living = [await senders.start("first", LONG_LEASE), await senders.start("second", LONG_LEASE)]
    for _ in range(100 if prove else 10):
        await told.say(TOLD_AT_ONCE)
    await told.wait_until_settled()
    for one in living:
        one.kill()
    measured("deliveries", len(receiver.came), "")
    await check_all_came(store, told, receiver)
    assert set(receiver.came.values()) == {1}
    by_worker = await rows(store, "SELECT COUNT(*) FROM outbox WHERE attempts > 1")
    assert by_worker[0][0] == 0
