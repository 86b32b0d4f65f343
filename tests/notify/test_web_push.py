"""A push service that decrypts, and checks who sent it."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.chat.clock import SECOND
from palaver.chat.errors import Invalid
from palaver.chat.ports import Gone, Later, Notice, Outcome, Refused, Sent, WebPushTarget
from palaver.notify import new_vapid_key
from palaver.notify.addresses import to_allowed
from palaver.notify.encryption import MOST_PLAIN
from palaver.notify.guard import LONGEST_WAIT, Caller
from palaver.notify.vapid import Vapid
from palaver.notify.web_push import WebPush, encode_payload
from tests.chat.talking import HandClock
from tests.parts.push import Browser, PushService, verify_vapid

CONTACT = "mailto:admin@example.org"


@pytest.fixture
def vapid(clock: HandClock) -> Vapid:
    return Vapid(new_vapid_key(), CONTACT, clock)


@pytest.fixture
async def web_push(vapid: Vapid) -> AsyncIterator[WebPush]:
    async with Caller(to_allowed(["127.0.0.1"])) as caller:
        yield WebPush(caller, vapid)


def to_target(browser: Browser) -> WebPushTarget:
    return WebPushTarget(browser.endpoint, browser.p256dh, browser.auth)


async def test_browser_gets_what_happened_and_the_service_knows_who_sent_it(
    push_service: PushService, web_push: WebPush, vapid: Vapid, clock: HandClock, notice: Notice
) -> None:
    browser = push_service.subscribe()
    assert await web_push.send(to_target(browser), notice) == Sent()
    push = push_service.pushes[-1]
    assert push.payload == {
        "kind": "message",
        "conversation": notice.conversation,
        "conversation_kind": "pair",
        "title": "Bea",
        "body": "Are you there?",
        "sender": "bea",
        "unread": 3,
        "url": notice.url,
    }
    now = clock.now() // SECOND
    assert push.claims == {"aud": push_service.url, "exp": now + 12 * 3600, "sub": CONTACT}
    assert push.key == vapid.public_key
    assert push.headers["content-encoding"] == "aes128gcm"
    assert push.headers["ttl"] == "259200"
    assert push.headers["urgency"] == "normal"


async def test_who_wants_no_text_shown_gets_none(push_service: PushService, web_push: WebPush, notice: Notice) -> None:
    quiet = msgspec.structs.replace(notice, body=None, sender=None, kind="mention")
    browser = push_service.subscribe()
    assert await web_push.send(to_target(browser), quiet) == Sent()
    push = push_service.pushes[-1]
    assert (push.payload["body"], push.payload["sender"]) == (None, None)
    assert push.headers["urgency"] == "high"


async def test_notices_of_one_conversation_replace_each_other_and_tell_the_service_nothing(
    push_service: PushService, web_push: WebPush, notice: Notice
) -> None:
    first, second = push_service.subscribe(), push_service.subscribe()
    other = msgspec.structs.replace(notice, conversation="another")
    for browser, what in ((first, notice), (first, notice), (first, other), (second, notice)):
        assert await web_push.send(to_target(browser), what) == Sent()
    topics = [push.headers["topic"] for push in push_service.pushes[-4:]]
    assert topics[0] == topics[1]
    # Who is in one conversation with whom is not the service's business.
    assert len(set(topics)) == 3
    assert all(len(topic) == 32 and topic.replace("-", "").replace("_", "").isalnum() for topic in topics)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (404, {}, Gone()),
        (410, {}, Gone()),
        (413, {}, Refused("answers 413")),
        (400, {}, Refused("answers 400")),
        (403, {}, Refused("answers 403")),
        (429, {"retry_after": "37"}, Later(37.0, "answers 429")),
        (429, {}, Later(None, "answers 429")),
        (500, {}, Later(None, "answers 500")),
        (503, {"retry_after": "99999999999"}, Later(LONGEST_WAIT, "answers 503")),
        (503, {"retry_after": "9" * 400}, Later(LONGEST_WAIT, "answers 503")),
        (503, {"retry_after": "soon"}, Later(None, "answers 503")),
        (503, {"retry_after": "-5"}, Later(None, "answers 503")),
        (302, {"location": "http://127.0.0.1:1/"}, Refused("answers with a redirect, and none is followed")),
    ],
)
async def test_answer_of_the_service_says_what_becomes_of_it(
    push_service: PushService,
    web_push: WebPush,
    notice: Notice,
    status: int,
    headers: dict[str, Any],
    expected: Outcome,
) -> None:
    browser = push_service.subscribe()
    push_service.tell(browser, status, **headers)
    assert await web_push.send(to_target(browser), notice) == expected


async def test_service_that_is_away_is_asked_again_later(
    web_push: WebPush, notice: Notice, unused_tcp_port: int
) -> None:
    browser = Browser(f"http://127.0.0.1:{unused_tcp_port}/push/1")
    assert await web_push.send(to_target(browser), notice) == Later(None, "cannot be reached")


async def test_address_inside_and_keys_of_nobody_are_refused_before_and_at_the_sending(
    web_push: WebPush, notice: Notice
) -> None:
    browser = Browser("https://10.0.0.1/push")
    with pytest.raises(Invalid, match="endpoint: not_allowed"):
        web_push.check(to_target(browser))
    assert await web_push.send(to_target(browser), notice) == Refused("has an address that may not be called")
    nobody = WebPushTarget("https://push.example.org/1", "AAAA", browser.auth)
    with pytest.raises(Invalid, match="keys: invalid"):
        web_push.check(nobody)
    assert await web_push.send(nobody, notice) == Refused("has keys that no browser makes")
    web_push.check(WebPushTarget("https://push.example.org/1", browser.p256dh, browser.auth))


def test_token_is_the_same_for_hours_and_another_for_each_service(vapid: Vapid, clock: HandClock) -> None:
    first = vapid.authorize("https://one.example")
    assert vapid.authorize("https://two.example") != first
    clock.move(10 * 3600)
    assert vapid.authorize("https://one.example") == first
    clock.move(1.5 * 3600)
    renewed = vapid.authorize("https://one.example")
    assert renewed != first
    claims, _ = verify_vapid(renewed)
    assert claims["exp"] - clock.now() // SECOND == 12 * 3600


def test_tokens_of_made_up_services_are_not_kept_for_ever(vapid: Vapid) -> None:
    kept = vapid.authorize("https://real.example")
    for number in range(1000):
        vapid.authorize(f"https://{number}.example")
        assert vapid.authorize("https://real.example") == kept
    assert len(vapid._tokens) <= 200


def test_key_is_the_same_after_a_restart(clock: HandClock) -> None:
    private = new_vapid_key()
    assert Vapid(private, None, clock).public_key == Vapid(private, CONTACT, clock).public_key
    claims, _ = verify_vapid(Vapid(private, None, clock).authorize("https://one.example"))
    assert "sub" not in claims


@pytest.mark.proof("out")
@given(title=st.text(), body=st.none() | st.text(), sender=st.none() | st.text(), factor=st.integers(1, 3000))
def test_however_long_a_text_is_its_notice_fits_into_a_push(
    title: str, body: str | None, sender: str | None, factor: int
) -> None:
    long = Notice(
        id="1",
        kind="message",
        conversation="7f4df6a4-2f7b-4a3c-9b5e-0c52cf6e6a10",
        conversation_kind="group",
        title=title * factor,
        url="https://chat.example.org/people/7f4df6a4-2f7b-4a3c-9b5e-0c52cf6e6a10",
        created_at=HandClock().now(),
        body=None if body is None else body * factor,
        sender=sender,
    )
    payload = encode_payload(long)
    assert len(payload) <= MOST_PLAIN
    shown = msgspec.json.decode(payload)
    assert shown["body"] is None or (body or "").startswith(shown["body"].removesuffix("…")[: len(body or "")])


def test_secrets_are_in_no_repr(push_service: PushService) -> None:
    target = to_target(push_service.subscribe())
    for secret in (target.endpoint, target.auth, target.p256dh):
        assert secret not in repr(target)
