"""To a phone, by Firebase Cloud Messaging (HTTP v1)."""

import hashlib
import re
from typing import Any

import msgspec
from msgspec import Struct

from palaver.chat.clock import SECOND, Clock
from palaver.chat.errors import Invalid
from palaver.chat.ports import FcmTarget, Gone, Later, Notice, Outcome, Refused
from palaver.notify.answers import to_outcome
from palaver.notify.guard import Answer, Caller, CallFailed
from palaver.notify.service_account import AccessTokens, ServiceAccount
from palaver.notify.words import say_what_happened, shorten

_LIVES_SECONDS = 3 * 86_400
# Google says a minute where it tells none.
_QUOTA_SECONDS = 60.0
# One message takes 4,096 bytes in all.
_LONGEST_TITLE = 100
_LONGEST_BODY = 500
_TOKEN = re.compile(r"[A-Za-z0-9_:.-]{16,4096}\Z")

# The token is of no installation any more, or of another project's.
_GONE = frozenset({"UNREGISTERED", "SENDER_ID_MISMATCH"})


class _Detail(Struct, frozen=True, rename={"code": "errorCode"}):
    code: str = ""


class _Error(Struct, frozen=True):
    status: str = ""
    details: list[_Detail] = []


class _ErrorBody(Struct, frozen=True):
    error: _Error = _Error()


class Fcm:
    def __init__(self, caller: Caller, account: ServiceAccount, url: str, clock: Clock) -> None:
        self._caller = caller
        self._url = f"{url}/v1/projects/{account.project}/messages:send"
        self._clock = clock
        self._tokens = AccessTokens(caller, account, clock)

    def check(self, target: FcmTarget) -> None:
        """Raises `Invalid`."""
        if not _TOKEN.match(target.token):
            raise Invalid("token", "invalid")

    async def send(self, target: FcmTarget, notice: Notice) -> Outcome:
        try:
            token = await self._tokens.get()
            answer = await self._caller.post(
                self._url,
                msgspec.json.encode({"message": self._to_message(target, notice)}),
                {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
                reads=True,
            )
        except CallFailed as error:
            return Later(None, str(error))
        if answer.status == 401:
            self._tokens.forget(token)
            return Later(None, "does not take the token of the service account")
        return _to_outcome(answer)

    def _to_message(self, target: FcmTarget, notice: Notice) -> dict[str, Any]:
        topic = hashlib.sha256(notice.conversation.encode()).hexdigest()[:32]
        # Apple's are dates; the others' are durations.
        until = self._clock.now() // SECOND + _LIVES_SECONDS
        is_urgent = notice.kind != "reply"
        shown = _to_shown(notice)
        return {
            "token": target.token,
            "notification": shown,
            "data": {
                "id": notice.id,
                "kind": notice.kind,
                "conversation": notice.conversation,
                "conversation_kind": notice.conversation_kind,
                "unread": str(notice.unread),
                "url": notice.url,
            },
            "android": {
                "collapse_key": topic,
                "priority": "HIGH" if is_urgent else "NORMAL",
                "ttl": f"{_LIVES_SECONDS}s",
                "notification": {"tag": topic},
            },
            "apns": {
                "headers": {
                    "apns-collapse-id": topic,
                    "apns-priority": "10" if is_urgent else "5",
                    "apns-expiration": str(until),
                },
                "payload": {"aps": {"thread-id": topic, "badge": notice.unread}},
            },
        }


def _to_shown(notice: Notice) -> dict[str, str]:
    if notice.body is None:
        return {"title": shorten(say_what_happened(notice), _LONGEST_TITLE)}
    return {"title": shorten(notice.title, _LONGEST_TITLE), "body": shorten(notice.body, _LONGEST_BODY)}


def _to_outcome(answer: Answer) -> Outcome:
    error = _decode_error(answer.body)
    codes = {detail.code for detail in error.details}
    if codes & _GONE:
        return Gone()
    if answer.status == 404:
        # It knows no such project or path: a setting is wrong, and nobody's phone is to be forgotten for that.
        return Later(None, "answers 404 and names no reason")
    outcome = to_outcome(answer, gone=frozenset())
    match outcome:
        case Later(seconds=None) if answer.status == 429:
            return Later(_QUOTA_SECONDS, outcome.why)
        case Refused() if answer.status == 403:
            # The account may not: a setting is wrong, which can be put right.
            return Later(None, "does not let the service account send")
        case _:
            return outcome


def _decode_error(body: bytes) -> _Error:
    try:
        return msgspec.json.decode(body, type=_ErrorBody).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Error()
