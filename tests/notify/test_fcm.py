"""A stand-in for FCM that checks what the service account has signed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from palaver.chat.errors import Invalid
from palaver.chat.ports import FcmTarget, Gone, Later, Notice, Outcome, Refused, Sent
from palaver.notify.addresses import to_allowed
from palaver.notify.fcm import Fcm
from palaver.notify.guard import Caller
from palaver.notify.service_account import BadServiceAccount, read_service_account
from tests.chat.talking import HandClock
from tests.parts.fcm import FcmService, open_fcm_service
from tests.ports.talking import NOW

PHONE = "cX1abcdefghijkl:APA91bH_x-y"


@pytest.fixture(scope="module")
async def _service() -> AsyncIterator[FcmService]:
    async with open_fcm_service() as service:
        yield service


@pytest.fixture
def service(_service: FcmService) -> FcmService:
    """With nothing told, nothing sent and no token given yet."""
    _service.forget()
    return _service


@pytest.fixture
async def fcm(service: FcmService, clock: HandClock, tmp_path: Path) -> AsyncIterator[Fcm]:
    service.now = lambda: clock.now() / 1_000_000
    account = read_service_account(service.write_account(tmp_path / "account.json"))
    async with Caller(to_allowed(["127.0.0.1"])) as caller:
        yield Fcm(caller, account, service.url, clock)


async def test_phone_gets_what_happened(service: FcmService, fcm: Fcm, notice: Notice) -> None:
    assert await fcm.send(FcmTarget(PHONE), notice) == Sent()
    message = service.messages[0]
    assert message["token"] == PHONE
    assert message["notification"] == {"title": "Bea", "body": "Are you there?"}
    assert message["data"] == {
        "id": "notice-1",
        "kind": "message",
        "conversation": notice.conversation,
        "conversation_kind": "pair",
        "unread": "3",
        "url": notice.url,
    }
    topic = message["android"]["collapse_key"]
    assert message["android"]["notification"]["tag"] == topic
    assert message["apns"]["headers"]["apns-collapse-id"] == topic
    assert message["apns"]["headers"]["apns-expiration"] == str(NOW // 1_000_000 + 3 * 86_400)
    assert message["apns"]["payload"]["aps"]["badge"] == 3


@pytest.mark.parametrize(
    ("language", "kind", "title"),
    [
        ("en", "message", "New message from Bea"),
        ("de", "message", "Neue Nachricht von Bea"),
        ("it", "mention", "Sei stato menzionato in Bea"),
        ("fr", "reply", "The reply in Bea is there"),
    ],
)
async def test_who_wants_no_text_shown_is_told_in_their_language_that_there_is_something(
    service: FcmService, fcm: Fcm, notice: Notice, language: str, kind: str, title: str
) -> None:
    quiet = msgspec.convert(
        {**msgspec.structs.asdict(notice), "body": None, "language": language, "kind": kind}, type=Notice
    )
    assert await fcm.send(FcmTarget(PHONE), quiet) == Sent()
    assert service.messages[0]["notification"] == {"title": title}


async def test_token_is_fetched_once_however_many_want_it_and_again_before_it_ends(
    service: FcmService, fcm: Fcm, notice: Notice, clock: HandClock
) -> None:
    outcomes = await asyncio.gather(*(fcm.send(FcmTarget(PHONE), notice) for _ in range(10)))
    assert set(outcomes) == {Sent()}
    assert service.tokens_given == 1
    clock.move(3200)
    await fcm.send(FcmTarget(PHONE), notice)
    assert service.tokens_given == 1
    clock.move(200)
    await fcm.send(FcmTarget(PHONE), notice)
    assert service.tokens_given == 2


async def test_token_that_is_not_taken_any_more_is_fetched_anew(service: FcmService, fcm: Fcm, notice: Notice) -> None:
    await fcm.send(FcmTarget(PHONE), notice)
    service.revoke_tokens()
    assert await fcm.send(FcmTarget(PHONE), notice) == Later(None, "does not take the token of the service account")
    assert await fcm.send(FcmTarget(PHONE), notice) == Sent()
    assert service.tokens_given == 2


@pytest.mark.parametrize(
    ("status", "code", "headers", "expected"),
    [
        (404, "UNREGISTERED", {}, Gone()),
        (403, "SENDER_ID_MISMATCH", {}, Gone()),
        (429, "QUOTA_EXCEEDED", {}, Later(60.0, "answers 429")),
        (429, "QUOTA_EXCEEDED", {"retry_after": "5"}, Later(5.0, "answers 429")),
        (503, "UNAVAILABLE", {"retry_after": "9"}, Later(9.0, "answers 503")),
        (500, "INTERNAL", {}, Later(None, "answers 500")),
        (400, "INVALID_ARGUMENT", {}, Refused("answers 400")),
        # A setting is wrong: nobody's phone is forgotten for that.
        (404, "", {}, Later(None, "answers 404 and names no reason")),
        (403, "", {}, Later(None, "does not let the service account send")),
    ],
)
async def test_answer_of_google_says_what_becomes_of_it(
    service: FcmService,
    fcm: Fcm,
    notice: Notice,
    status: int,
    code: str,
    headers: dict[str, str],
    expected: Outcome,
) -> None:
    service.tell(PHONE, status, code, **headers)
    assert await fcm.send(FcmTarget(PHONE), notice) == expected


async def test_server_that_gives_no_token_is_asked_again_later(service: FcmService, fcm: Fcm, notice: Notice) -> None:
    service.token_status = 503
    assert await fcm.send(FcmTarget(PHONE), notice) == Later(None, "gives no token: its server answers 503")
    service.token_status = 200
    assert await fcm.send(FcmTarget(PHONE), notice) == Sent()


@pytest.mark.parametrize("token", ["", "short", "a" * 5000, "a b" * 10, "https://example.org/xxxxxxxx\n"])
async def test_what_is_no_token_is_refused(fcm: Fcm, token: str) -> None:
    with pytest.raises(Invalid, match="token"):
        fcm.check(FcmTarget(token))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "is no service account's key in JSON"),
        ("nothing", "is no service account's key in JSON"),
        ('{"project_id": "a", "client_email": "b", "private_key": "SECRET"}', "has a `private_key` or"),
    ],
)
def test_file_that_is_no_account_is_refused_without_a_word_of_it(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "account.json"
    file.write_text(text)
    with pytest.raises(BadServiceAccount, match=says) as refused:
        read_service_account(file)
    assert "SECRET" not in str(refused.value)


def test_secrets_are_in_no_repr(service: FcmService, tmp_path: Path) -> None:
    assert PHONE not in repr(FcmTarget(PHONE))
    shown = repr(read_service_account(service.write_account(tmp_path / "account.json")))
    assert shown == "ServiceAccount('sender@palaver-tests.example')"
