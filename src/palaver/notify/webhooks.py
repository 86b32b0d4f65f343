"""To an application's own server, signed as Standard Webhooks has it: whoever knows the secret can tell who calls."""

import base64
import hashlib
import hmac

import msgspec
from msgspec import Struct

from palaver.chat.clock import SECOND, Clock, to_datetime
from palaver.chat.errors import Invalid
from palaver.chat.ports import Later, Notice, Outcome, Refused, WebhookTarget
from palaver.notify.addresses import NotAllowed
from palaver.notify.answers import to_outcome
from palaver.notify.guard import Caller, CallFailed
from palaver.notify.keys import decode_webhook_secret

_GONE = frozenset({410})


class _Data(Struct, frozen=True):
    recipient: str | None
    conversation: str
    conversation_kind: str
    message: str | None
    title: str
    body: str | None
    sender: str | None
    unread: int
    url: str


class _Event(Struct, frozen=True):
    type: str
    timestamp: str
    data: _Data


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Raises `ValueError` for a secret that is none."""
    key = decode_webhook_secret(secret)
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


class Webhooks:
    def __init__(self, caller: Caller, clock: Clock) -> None:
        self._caller = caller
        self._clock = clock

    def check(self, target: WebhookTarget) -> None:
        """Raises `Invalid`."""
        try:
            self._caller.check(target.url)
        except NotAllowed as error:
            raise Invalid("url", error.code) from None
        try:
            decode_webhook_secret(target.secret)
        except ValueError:
            raise Invalid("secret", "invalid") from None

    async def send(self, target: WebhookTarget, notice: Notice) -> Outcome:
        """Whatever is wrong there may be put right, but for an address that is gone or leads elsewhere."""
        body = encode_event(notice)
        timestamp = self._clock.now() // SECOND
        headers = {
            "Content-Type": "application/json",
            "webhook-id": notice.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(target.secret, notice.id, timestamp, body),
        }
        try:
            answer = await self._caller.post(target.url, body, headers)
        except NotAllowed:
            return Refused("has an address that may not be called")
        except CallFailed as error:
            return Later(None, str(error))
        return to_outcome(answer, gone=_GONE, persists=True)


def encode_event(notice: Notice) -> bytes:
    """The same bytes at every try."""
    data = _Data(
        recipient=notice.recipient,
        conversation=notice.conversation,
        conversation_kind=notice.conversation_kind,
        message=notice.message,
        title=notice.title,
        body=notice.body,
        sender=notice.sender,
        unread=notice.unread,
        url=notice.url,
    )
    timestamp = to_datetime(notice.created_at).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return msgspec.json.encode(_Event(notice.kind, timestamp, data))
