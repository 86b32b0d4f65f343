"""Standard Webhooks: the example that it publishes, and an application that checks for itself."""

from collections.abc import AsyncIterator

import pytest

from palaver.chat.clock import SECOND
from palaver.chat.errors import Invalid
from palaver.chat.ports import Gone, Later, Notice, Outcome, Refused, Sent, WebhookTarget
from palaver.notify import new_webhook_secret
from palaver.notify.addresses import to_allowed
from palaver.notify.guard import Caller
from palaver.notify.webhooks import Webhooks, sign
from tests.chat.talking import HandClock
from tests.parts.hooks import Hooks, open_hooks

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
async def hooks() -> AsyncIterator[Hooks]:
    async with open_hooks() as hooks:
        yield hooks


@pytest.fixture
async def webhooks(clock: HandClock) -> AsyncIterator[Webhooks]:
    async with Caller(to_allowed(["127.0.0.1"])) as caller:
        yield Webhooks(caller, clock)


def test_example_of_the_standard_gives_the_signature_of_the_standard() -> None:
    signature = sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_application_knows_who_called_and_what_happened(
    hooks: Hooks, webhooks: Webhooks, notice: Notice, clock: HandClock
) -> None:
    secret = new_webhook_secret()
    assert await webhooks.send(WebhookTarget(hooks.url, secret), notice) == Sent()
    hook = hooks.came[0]
    assert hook.is_signed_with(secret)
    assert not hook.is_signed_with(new_webhook_secret())
    assert hook.headers["webhook-id"] == notice.id
    assert hook.headers["webhook-timestamp"] == str(clock.now() // SECOND)
    assert hook.headers["content-type"] == "application/json"
    assert hook.event["type"] == "message"
    assert hook.event["timestamp"].endswith("Z")
    assert hook.event["data"] == {
        "recipient": "alice",
        "conversation": notice.conversation,
        "conversation_kind": "pair",
        "message": notice.message,
        "title": "Bea",
        "body": "Are you there?",
        "sender": "bea",
        "unread": 3,
        "url": notice.url,
    }


async def test_another_try_has_the_same_id_and_text_and_a_time_of_its_own(
    hooks: Hooks, webhooks: Webhooks, notice: Notice, clock: HandClock
) -> None:
    hooks.status = 500
    target = WebhookTarget(hooks.url, new_webhook_secret())
    await webhooks.send(target, notice)
    clock.move(60)
    hooks.status = 200
    assert await webhooks.send(target, notice) == Sent()
    first, second = hooks.came
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 60
    assert second.is_signed_with(target.secret)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {}, Sent()),
        (202, {}, Sent()),
        (410, {}, Gone()),
        (404, {}, Later(None, "answers 404")),
        (401, {}, Later(None, "answers 401")),
        (429, {"Retry-After": "60"}, Later(60.0, "answers 429")),
        (500, {}, Later(None, "answers 500")),
        (503, {"Retry-After": "5"}, Later(5.0, "answers 503")),
        (301, {"Location": "/"}, Refused("answers with a redirect, and none is followed")),
    ],
)
async def test_answer_of_the_application_says_what_becomes_of_it(
    hooks: Hooks, webhooks: Webhooks, notice: Notice, status: int, headers: dict[str, str], expected: Outcome
) -> None:
    hooks.status, hooks.headers = status, headers
    assert await webhooks.send(WebhookTarget(hooks.url, new_webhook_secret()), notice) == expected


async def test_address_inside_and_secret_that_is_none_are_refused(webhooks: Webhooks, notice: Notice) -> None:
    inside = WebhookTarget("https://169.254.169.254/latest/meta-data", SECRET)
    with pytest.raises(Invalid, match="url: not_allowed"):
        webhooks.check(inside)
    assert await webhooks.send(inside, notice) == Refused("has an address that may not be called")
    with pytest.raises(Invalid, match="url: invalid"):
        webhooks.check(WebhookTarget("hooks.example.org", SECRET))
    with pytest.raises(Invalid, match="secret: invalid"):
        webhooks.check(WebhookTarget("https://hooks.example.org", "whsec_c2hvcnQ="))
    webhooks.check(WebhookTarget("https://hooks.example.org", SECRET))


def test_secrets_are_in_no_repr() -> None:
    assert SECRET not in repr(WebhookTarget("https://hooks.example.org", SECRET))
