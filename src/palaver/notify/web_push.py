"""To a browser that may be closed, by its maker's push service (RFC 8030)."""

import hashlib

import msgspec
from msgspec import Struct

from palaver.chat.errors import Invalid
from palaver.chat.ports import Later, Notice, Outcome, Refused, WebPushTarget
from palaver.notify.addresses import NotAllowed
from palaver.notify.answers import to_outcome
from palaver.notify.encryption import MOST_PLAIN, decode_keys, encrypt
from palaver.notify.guard import Caller, CallFailed
from palaver.notify.keys import encode_base64url
from palaver.notify.vapid import Vapid
from palaver.notify.words import shorten

# Whoever has been away for longer reads it when they come back.
_LIVES_SECONDS = 3 * 86_400
_GONE = frozenset({404, 410})
_LONGEST_TITLE = 100
_BODY_LENGTHS = (1000, 500, 250, 100, 0)


class _Payload(Struct, frozen=True):
    kind: str
    conversation: str
    conversation_kind: str
    title: str
    body: str | None
    sender: str | None
    unread: int
    url: str


class WebPush:
    def __init__(self, caller: Caller, vapid: Vapid) -> None:
        self._caller = caller
        self._vapid = vapid
        self.public_key = vapid.public_key

    def check(self, target: WebPushTarget) -> None:
        """Raises `Invalid`."""
        try:
            self._caller.check(target.endpoint)
        except NotAllowed as error:
            raise Invalid("endpoint", error.code) from None
        try:
            decode_keys(target.p256dh, target.auth)
        except ValueError:
            raise Invalid("keys", "invalid") from None

    async def send(self, target: WebPushTarget, notice: Notice) -> Outcome:
        try:
            body = encrypt(encode_payload(notice), target.p256dh, target.auth)
        except ValueError:
            return Refused("has keys that no browser makes")
        try:
            answer = await self._caller.post(target.endpoint, body, self._to_headers(target, notice))
        except NotAllowed:
            return Refused("has an address that may not be called")
        except CallFailed as error:
            return Later(None, str(error))
        return to_outcome(answer, gone=_GONE)

    def _to_headers(self, target: WebPushTarget, notice: Notice) -> dict[str, str]:
        """Raises `NotAllowed`."""
        return {
            "Authorization": self._vapid.authorize(str(self._caller.check(target.endpoint).origin())),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(_LIVES_SECONDS),
            # As the standard has it for chat messages; being named is more.
            "Urgency": "high" if notice.kind == "mention" else "normal",
            "Topic": to_topic(target, notice.conversation),
        }


def to_topic(target: WebPushTarget, conversation: str) -> str:
    """What the push service has of one topic it delivers once. It is another for each browser, so that no service can
    tell who is in one conversation with whom."""
    return encode_base64url(hashlib.sha256(f"{target.auth} {conversation}".encode()).digest()[:24])


def encode_payload(notice: Notice) -> bytes:
    """At most what one push can hold: a long text is cut, and then the rest of it can be read there."""
    for longest in _BODY_LENGTHS:
        payload = msgspec.json.encode(
            _Payload(
                kind=notice.kind,
                conversation=notice.conversation,
                conversation_kind=notice.conversation_kind,
                title=shorten(notice.title, _LONGEST_TITLE),
                body=None if notice.body is None else shorten(notice.body, longest),
                sender=None if notice.sender is None else shorten(notice.sender, _LONGEST_TITLE),
                unread=notice.unread,
                url=notice.url,
            )
        )
        if len(payload) <= MOST_PLAIN:
            break
    return payload
