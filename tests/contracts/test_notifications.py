"""How people are reached while they are away, over HTTP: a local push service and an application's own server hear of a
reply that took long, and an operator sees what became of it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

import pytest

from tests.chaos.upstream import heard_of
from tests.contracts.talking import make
from tests.journeys.client import (
    PASSWORD,
    TIME,
    WHOLE,
    Client,
    ask_until,
    new_name,
    open_beside,
    open_client,
    register,
)
from tests.journeys.socket import enter
from tests.parts.hooks import Hooks, open_hooks
from tests.parts.llm import LLM
from tests.parts.metrics import scrape_until
from tests.parts.palaver import Server
from tests.parts.push import Browser, PushService, open_push_service
from tests.parts.run import Run

TARGETS = "/api/notifications/targets"
ME = "/api/notifications/me"
HOOK = "/api/notifications/webhook"
DELIVERIES = "/api/admin/deliveries"

# Longer than PALAVER_NOTIFY_REPLY_SECONDS below.
LONG = "a question [[pieces=20&delay=0.02]]"
SECONDS = 15.0

# Each test finds the model as nobody has told it anything.
pytestmark = pytest.mark.usefixtures("llm")


@pytest.fixture(scope="module")
def server_environment(scaled: Mapping[str, str]) -> Mapping[str, str]:
    return {
        "PALAVER_REGISTRATION": "on",
        "PALAVER_OUTGOING_ALLOW": "127.0.0.1",
        "PALAVER_NOTIFY_DELAY_SECONDS": "0",
        "PALAVER_NOTIFY_REPLY_SECONDS": "0.3",
        "PALAVER_NOTIFY_TRIES": "1",
        "PALAVER_PUBLIC_URL": "https://chat.example.org",
        "PALAVER_METRICS": "on",
        **scaled,
    }


@pytest.fixture
async def push() -> AsyncIterator[PushService]:
    async with open_push_service() as service:
        yield service


@pytest.fixture
async def hooks() -> AsyncIterator[Hooks]:
    async with open_hooks() as hooks:
        yield hooks


async def ask_and_leave(who: Client, llm: LLM, text: str = LONG) -> str:
    """A conversation whose reply goes on without anybody there."""
    conversation = await make(who, title="My secret")
    asking = asyncio.create_task(who.post("/api/chat", message=text, sessionId=conversation))
    await heard_of(llm, text)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    return conversation


async def subscribe(who: Client, browser: Browser, **more: Any) -> Any:
    added = await who.post(TARGETS, kind="web_push", **browser.subscription(), **more)
    assert added.status == 201, added.text
    return added.body


async def listed(admin: Client, state: str, host: str) -> list[dict[str, Any]]:
    found = await admin.get(f"{DELIVERIES}?state={state}&limit=200")
    assert found.status == 200, found.text
    return [row for row in found.body["deliveries"] if row["host"] == host]


async def test_browser_hears_of_a_long_reply_that_ended_while_nobody_was_there(
    alice: Client, push: PushService, llm: LLM
) -> None:
    browser = push.subscribe()
    await subscribe(alice, browser, label="laptop")
    conversation = await ask_and_leave(alice, llm)
    [first] = await push.wait_for(1)
    assert (await alice.get("/api/notifications/key")).body == {"public_key": first.key}
    # The conversation is called after what was said in it: nothing of that is told.
    assert first.payload == {
        "kind": "reply", "conversation": conversation, "conversation_kind": "bot", "title": "Palaver", "body": None,
        "sender": None, "unread": 0, "url": f"https://chat.example.org/c/{conversation}",
    }  # fmt: skip
    assert (await alice.patch(ME, shows_text=True)).body["shows_text"] is True
    await llm.reset()
    await ask_and_leave(alice, llm)
    second = (await push.wait_for(2))[1].payload
    assert (second["title"], bool(second["body"])) == ("My secret", True)
    [device] = (await alice.get(TARGETS)).body["targets"]
    assert device == {
        "id": WHOLE, "kind": "web_push", "label": "laptop", "created_at": TIME, "last_sent_at": TIME,
    }  # fmt: skip


async def test_short_reply_tells_nobody(run: Run, shared_server: Server, push: PushService) -> None:
    """No reply takes an hour, however busy the machine is."""
    async with (
        open_beside(run, shared_server, PALAVER_NOTIFY_REPLY_SECONDS="3600") as server,
        open_client(server) as nobody,
    ):
        bob, admin = await register(nobody), nobody.bearing(await server.token("admin"))
        await subscribe(bob, push.subscribe())
        before = await told_of(admin)
        conversation = await make(bob)
        assert (await bob.post("/api/chat", message=LONG, sessionId=conversation)).status == 200
        assert await told_of(admin) == before
    assert push.asked == 0


async def test_reply_that_is_listened_to_tells_nobody(bob: Client, admin: Client, push: PushService) -> None:
    await subscribe(bob, push.subscribe())
    before = await told_of(admin)
    conversation = await make(bob)
    async with enter(bob, conversation):
        assert (await bob.post("/api/chat", message=LONG, sessionId=conversation)).status == 200
    assert await told_of(admin) == before
    assert push.asked == 0


async def told_of(admin: Client) -> list[int]:
    """The ids of all that was ever to reach anybody."""
    pages = [
        await admin.get(f"{DELIVERIES}?state={state}&limit=200") for state in ("waiting", "sent", "dead", "not_needed")
    ]
    return sorted(row["id"] for page in pages for row in page.body["deliveries"])


async def test_application_hears_of_what_concerns_its_users_signed_with_its_secret(
    nobody: Client, shared_server: Server, hooks: Hooks, llm: LLM
) -> None:
    app = await application(nobody, shared_server)
    assert (await app.get(HOOK)).status == 404
    made = await app.send("PUT", HOOK, {"url": hooks.url, "events": ["reply", "reply"]})
    assert (made.status, made.body["events"]) == (200, ["reply"])
    told = (await app.get(HOOK)).body
    assert told == {"url": hooks.url, "events": ["reply"], "created_at": TIME, "last_sent_at": None}
    conversation = await ask_and_leave(app, llm)
    [hook] = await hooks.wait_for(1)
    assert hook.is_signed_with(made.body["secret"])
    event = hook.event
    assert (event["type"], event["data"]["conversation"], event["data"]["body"]) == ("reply", conversation, None)
    # Another secret for each time it is set.
    again = await app.send("PUT", HOOK, {"url": hooks.url})
    assert again.body["secret"] != made.body["secret"]
    assert again.body["events"] == ["message", "mention", "reply"]
    assert (await app.delete(HOOK)).status == 204
    assert (await app.delete(HOOK)).status == 404
    assert made.body["secret"] not in shared_server.log_text()


async def application(nobody: Client, server: Server) -> Client:
    name = new_name()
    await server.cli("app", "add", name)
    printed = await server.cli("token", "create", "--app", name)
    return nobody.bearing(next(line for line in printed.splitlines() if line and " " not in line))


async def test_application_looks_after_the_devices_of_its_users(
    nobody: Client, shared_server: Server, push: PushService, alice: Client
) -> None:
    app = await application(nobody, shared_server)
    added = await app.post(f"{TARGETS}?user_id=ann", kind="web_push", **push.subscribe().subscription())
    assert added.status == 201
    for path in (TARGETS, f"{TARGETS}?user_id=ben"):
        assert (await app.get(path)).body == {"targets": []}
        assert (await app.delete(path.replace("targets", f"targets/{added.body['id']}"))).status == 404
    # Whoever is no application asks for themselves, whatever they say.
    assert (await alice.delete(f"{TARGETS}/{added.body['id']}?user_id=ann")).status == 404
    assert (await app.patch(f"{ME}?user_id=ann", shows_text=True)).body["shows_text"]
    assert not (await app.get(ME)).body["shows_text"]
    assert (await app.delete(f"{TARGETS}/{added.body['id']}?user_id=ann")).status == 204


async def test_only_what_could_be_called_is_taken(alice: Client, push: PushService) -> None:
    good = push.subscribe().subscription()
    for said, field, kind in (
        ({"endpoint": None}, "endpoint", "missing"),
        ({"keys": None}, "keys", "missing"),
        ({"endpoint": "https://10.0.0.1/push"}, "endpoint", "target_not_allowed"),
        ({"endpoint": "https://localhost/push"}, "endpoint", "target_not_allowed"),
        ({"endpoint": "ftp://push.example.org/"}, "endpoint", "target_invalid"),
        ({"endpoint": "https://push.example.org/" + "x" * 2000}, "endpoint", "string_too_long"),
        ({"keys": {**good["keys"], "p256dh": "AAAA"}}, "keys", "target_invalid"),
        ({"keys": {**good["keys"], "auth": "not base64!"}}, "auth", "target_invalid"),
        ({"kind": "pigeon"}, "kind", "choice"),
    ):
        answer = await alice.post(TARGETS, **{"kind": "web_push", **good, **said})
        assert answer.status == 422, said
        [problem] = answer.body["detail"]
        assert (problem["loc"][:2], problem["type"]) == (["body", field], kind), said
        assert "example.org/xxx" not in answer.text
    german = await alice.having(Accept_Language="de").post(TARGETS, kind="fcm", token="token")
    assert (german.status, german.body["detail"]) == (409, "Dieser Weg ist auf diesem Server nicht eingerichtet.")
    assert (await alice.patch(ME, email=True)).status == 409
    assert (await alice.get(ME)).body["channels"] == ["web_push", "webhook"]


async def test_same_browser_again_is_the_same_device_and_there_are_twenty_at_most(
    newcomer: Client, push: PushService
) -> None:
    browser = push.subscribe()
    first, again = await subscribe(newcomer, browser, label="laptop"), await subscribe(newcomer, browser)
    assert first == again
    for _ in range(19):
        await subscribe(newcomer, push.subscribe())
    assert (await newcomer.post(TARGETS, kind="web_push", **push.subscribe().subscription())).status == 409
    assert (await newcomer.delete(f"{TARGETS}/{first['id']}")).status == 204
    await subscribe(newcomer, push.subscribe())


@pytest.mark.parametrize("everywhere", [False, True])
async def test_signing_out_takes_the_devices_along(nobody: Client, push: PushService, *, everywhere: bool) -> None:
    person = {"username": new_name(), "password": PASSWORD}
    assert (await nobody.post("/auth/register/", **person)).status == 201

    async def sign_in() -> Client:
        return nobody.bearing((await nobody.post("/auth/login/", **person)).body["token"])

    here, there = await sign_in(), await sign_in()
    await subscribe(here, push.subscribe(), label="here")
    await subscribe(there, push.subscribe(), label="there")
    assert (await here.post("/sign-out", everywhere=everywhere)).status == 200
    left = [target["label"] for target in (await (await sign_in()).get(TARGETS)).body["targets"]]
    assert left == {False: ["there"], True: []}[everywhere]


async def test_operator_sees_what_was_given_up_and_resends_it(
    nobody: Client, admin: Client, push: PushService, llm: LLM
) -> None:
    carol = await register(nobody)
    browser = push.subscribe()
    push.tell(browser, 503)
    await subscribe(carol, browser)
    conversation = await ask_and_leave(carol, llm)
    host = push.url.removeprefix("http://")
    await until_there_is(admin, "dead", host)
    [dead] = await listed(admin, "dead", host)
    assert dead == {
        "id": WHOLE, "state": "dead", "kind": "reply", "channel": "web_push", "host": host, "user_id": dead["user_id"],
        "user_name": dead["user_name"], "user_kind": "person", "conversation": conversation, "attempts": 1,
        "failures": 1, "problem": "answers 503", "sending": False, "created_at": TIME, "due_at": TIME, "done_at": TIME,
    }  # fmt: skip
    page = await admin.get(DELIVERIES)
    assert page.body["dead"] >= 1
    assert browser.endpoint not in page.text
    push.tell(browser, 201)
    assert (await admin.post(f"{DELIVERIES}/{dead['id']}/resend")).status == 204
    await push.wait_for(1)
    await until_there_is(admin, "sent", host)
    assert (await admin.post(f"{DELIVERIES}/{dead['id']}/resend")).status == 404


async def until_there_is(admin: Client, state: str, host: str) -> None:
    await ask_until(
        lambda: admin.get(f"{DELIVERIES}?state={state}&limit=200"),
        lambda answer: any(row["host"] == host for row in answer.body["deliveries"]),
        seconds=SECONDS,
    )


async def test_browser_that_is_gone_is_forgotten(nobody: Client, push: PushService, llm: LLM) -> None:
    dora = await register(nobody)
    browser = push.subscribe()
    push.tell(browser, 410)
    await subscribe(dora, browser)
    await ask_and_leave(dora, llm)
    await ask_until(lambda: dora.get(TARGETS), lambda answer: answer.body == {"targets": []}, seconds=SECONDS)


async def test_what_became_of_deliveries_is_counted(nobody: Client) -> None:
    # The tests before have had some sent, given up, and gone. That is counted once it can be seen.
    samples = [
        f'palaver_deliveries_total{{channel="web_push",outcome="{outcome}"}}' for outcome in ("sent", "dead", "gone")
    ]
    counted = await scrape_until(nobody, lambda metrics: all(metrics[sample] >= 1 for sample in samples))
    assert {"palaver_deliveries_waiting", "palaver_deliveries_dead"} <= counted.names()
