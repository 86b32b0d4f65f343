"""How somebody who is away is reached: what is said, where to, and what became of it.

Each channel says in one of four words what became of a notice, and the sender goes by that. No word of whoever was
called is in it.
"""

from collections.abc import Collection
from typing import Literal, Protocol

from msgspec import Struct

from palaver.chat.clock import Micros

# A person wrote; a person was named in a group; a reply that took long has ended.
NoticeKind = Literal["message", "mention", "reply"]
ConversationKind = Literal["bot", "pair", "group"]
ChannelKind = Literal["web_push", "fcm", "mail", "webhook"]


class Notice(Struct, frozen=True, kw_only=True):
    """What somebody is to hear of. `body` and `sender` are None where the person wants no text shown.

    `id` is the same at every try, so that whoever gets it twice can tell: letters, digits, `-` and `_`. `language` is
    `en`, `de` or `it`, of whoever reads. `message` and `recipient` are told to applications alone: which message it is,
    and whom they know by which name.
    """

    id: str
    kind: NoticeKind
    conversation: str
    conversation_kind: ConversationKind
    title: str
    url: str
    created_at: Micros
    body: str | None = None
    sender: str | None = None
    unread: int = 0
    language: str = "en"
    message: str | None = None
    recipient: str | None = None


class WebPushTarget(Struct, frozen=True):
    """A browser, as its `PushSubscription` tells. The endpoint is a secret: whoever knows it can write to it."""

    endpoint: str
    p256dh: str
    auth: str

    def __repr__(self) -> str:
        return "WebPushTarget()"


class FcmTarget(Struct, frozen=True):
    token: str

    def __repr__(self) -> str:
        return "FcmTarget()"


class MailTarget(Struct, frozen=True):
    address: str


class WebhookTarget(Struct, frozen=True):
    """An application's own address, and the secret (`whsec_…`) that what comes there is signed with."""

    url: str
    secret: str

    def __repr__(self) -> str:
        return "WebhookTarget()"


Target = WebPushTarget | FcmTarget | MailTarget | WebhookTarget


class Sent(Struct, frozen=True):
    """Whoever was called has taken it."""


class Gone(Struct, frozen=True):
    """Nothing will ever arrive there again: the target can be forgotten."""


class Later(Struct, frozen=True):
    """Another try may do. `seconds`: not before, as the other side has told. `why` is for operators, in our words."""

    seconds: float | None = None
    why: str = ""


class Refused(Struct, frozen=True):
    """No try will do, for this notice. `reason` is for operators, in our own words: no text of others is in it."""

    reason: str


Outcome = Sent | Gone | Later | Refused


class Channels(Protocol):
    """Every way out, by the kind of target. None of them raises but for a fault of its own, and each takes a bounded
    time."""

    @property
    def kinds(self) -> Collection[ChannelKind]:
        """Those that are set up here."""
        ...

    @property
    def public_key(self) -> str:
        """What browsers subscribe with (VAPID), as `applicationServerKey` wants it: base64url."""
        ...

    def check_target(self, target: Target) -> None:
        """Whether it could be called at all, without calling anybody. Raises `Invalid`, with the field and a code:
        `invalid`, `not_allowed` for an address that is not a public one, or `not_set_up`."""
        ...

    async def send(self, target: Target, notice: Notice) -> Outcome: ...
