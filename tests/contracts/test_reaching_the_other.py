"""Whoever is written to while away hears of it once, without a word of what was written; alone and on two workers."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.contracts.persons import PEOPLE, Person, new_person
from tests.journeys.client import Client, ask_until, open_client
from tests.journeys.socket import enter
from tests.parts.metrics import scrape_until
from tests.parts.palaver import StartServer
from tests.parts.push import PushService, open_push_service

TARGETS = "/api/notifications/targets"
DELIVERIES = "/api/admin/deliveries"
SECONDS = 15.0


@pytest.fixture(scope="module")
def server_environment(scaled: Mapping[str, str]) -> Mapping[str, str]:
    return {
        "PALAVER_REGISTRATION": "on",
        "PALAVER_OUTGOING_ALLOW": "127.0.0.1",
        "PALAVER_NOTIFY_DELAY_SECONDS": "0.3",
        **scaled,
    }


@pytest.fixture
async def push() -> AsyncIterator[PushService]:
    async with open_push_service() as service:
        yield service


@pytest.fixture
async def ana(nobody: Client, push: PushService) -> Person:
    return await reachable(nobody, push)


@pytest.fixture
async def ben(nobody: Client, push: PushService) -> Person:
    return await reachable(nobody, push)


async def reachable(nobody: Client, push: PushService) -> Person:
    person = await new_person(nobody)
    added = await person.client.post(TARGETS, kind="web_push", **push.subscribe().subscription())
    assert added.status == 201, added.text
    return person


async def why_not(admin: Client, conversation: str) -> list[str]:
    """Why nobody had to hear of what was said there, once that is settled."""

    def of(answer: Any) -> list[str]:
        return [row["problem"] for row in answer.body["deliveries"] if row["conversation"] == conversation]

    found = await ask_until(
        lambda: admin.get(f"{DELIVERIES}?state=not_needed&limit=200"), lambda answer: bool(of(answer)), seconds=SECONDS
    )
    return of(found)


async def test_other_is_told_who_wrote_and_the_sender_nothing(ana: Person, ben: Person, push: PushService) -> None:
    pair = await ana.make(ben)
    await ana.tell(pair, "a secret")
    [first] = await push.wait_for(1)
    assert first.payload == {
        "kind": "message", "conversation": pair, "conversation_kind": "pair", "title": ana.name, "body": None,
        "sender": None, "unread": 1, "url": f"/c/{pair}",
    }  # fmt: skip
    await ben.client.patch("/api/notifications/me", shows_text=True)
    await ana.tell(pair, "no secret")
    second = (await push.wait_for(2))[1]
    assert second.endpoint == first.endpoint
    assert (second.payload["body"], second.payload["sender"], second.payload["unread"]) == ("no secret", ana.name, 2)
    assert push.asked == 2


@pytest.mark.proof("people")
async def test_whoever_has_it_open_is_not_bothered(
    ana: Person, ben: Person, nobody: Client, admin: Client, push: PushService
) -> None:
    pair = await ana.make(ben)
    async with enter(ben.client, pair):
        await ana.tell(pair, "hello")
        assert await why_not(admin, pair) == ["looking"]
    await scrape_until(nobody, lambda told: told["palaver_websockets_open"] == 0)
    # The one who wrote has it open, too, and that is of no account.
    async with enter(ana.client, pair):
        await ana.tell(pair, "are you there?")
        assert (await push.wait_for(1))[0].payload["unread"] == 2


async def test_muted_conversation_is_silent(ana: Person, ben: Person, push: PushService) -> None:
    pair = await ana.make(ben)
    assert (await ben.client.patch(f"{PEOPLE}/{pair}", muted=True)).status == 200
    await ana.tell(pair, "hello")
    await ben.tell(pair, "hello")
    [only] = await push.wait_for(1)
    assert only.payload["title"] == ben.name


async def test_mention_says_that_it_is_one(ana: Person, ben: Person, nobody: Client, push: PushService) -> None:
    carl = await reachable(nobody, push)
    group = await ana.make(ben, carl, title="Walkers")
    await ana.tell(group, f"@{ben.name} are you coming?")
    kinds = sorted((one.payload["kind"], one.payload["title"]) for one in await push.wait_for(2))
    assert kinds == [("mention", "Walkers"), ("message", "Walkers")]


async def test_what_is_read_in_time_is_not_told(start_server: StartServer, push: PushService) -> None:
    # Nobody can be too slow for it: the time is over when the server starts again, and not before.
    server = await start_server(PALAVER_NOTIFY_DELAY_SECONDS="3600")
    async with open_client(server) as nobody:
        ana, ben = await reachable(nobody, push), await reachable(nobody, push)
        admin = nobody.bearing(await server.token("admin"))
        pair = await ana.make(ben)
        message = await ana.tell(pair, "hello")
        assert (await ben.read(pair, message)).status == 200
        server.environment["PALAVER_NOTIFY_DELAY_SECONDS"] = "0"
        await server.restart()
        assert await why_not(admin, pair) == ["read"]
    assert push.asked == 0
