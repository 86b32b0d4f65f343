"""How a person is reached while away: which devices, with what in it, and by which address of an application."""

import base64
import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

from palaver.chat.accounts import Caller, WrongCredentials
from palaver.chat.clock import Clock
from palaver.chat.errors import ChannelOff, Forbidden, Invalid, NotFound
from palaver.chat.notices import MOST_TARGETS
from palaver.chat.ports import (
    ChannelKind,
    Channels,
    FcmTarget,
    Notice,
    NoticeKind,
    Outcome,
    Refused,
    Store,
    Target,
    WebhookTarget,
    WebPushTarget,
)
from palaver.chat.ports.outbox import Deliveries, Device, OutboxId, State, TargetId, Webhook, Wishes, WishesChange
from palaver.chat.user import User

# As Standard Webhooks wants it: 24 to 64 bytes.
SECRET_BYTES = 32


class ApplicationsOnly(Forbidden):
    code = "applications_only"


class NoChannels:
    """Where nothing is set up by which anybody could be reached."""

    kinds: Sequence[ChannelKind] = ()
    public_key = ""

    def check_target(self, target: Target) -> None:  # noqa: ARG002 (none will do)
        raise Invalid("kind", "not_allowed")

    async def send(self, target: Target, notice: Notice) -> Outcome:  # noqa: ARG002 (none will do)
        return Refused("nothing is set up here")


class Reaching:
    def __init__(self, store: Store, channels: Channels, clock: Clock) -> None:
        self._targets = store.targets
        self._outbox = store.outbox
        self._channels = channels
        self._clock = clock

    @property
    def kinds(self) -> Sequence[ChannelKind]:
        """What is set up here."""
        return sorted(self._channels.kinds)

    @property
    def public_key(self) -> str:
        """What browsers subscribe with."""
        return self._channels.public_key

    async def wishes(self, user: User) -> Wishes:
        return await self._targets.wishes(user.id)

    async def change_wishes(self, user: User, change: WishesChange) -> Wishes:
        """Raises `ChannelOff` where mail is wanted and none goes out from here."""
        if change.email is True:
            self._check_on("mail")
        return await self._targets.change_wishes(user.id, change, self._clock.now())

    async def devices(self, user: User) -> Sequence[Device]:
        return await self._targets.listed(user.id)

    async def add_device(self, user: User, caller: Caller, target: WebPushTarget | FcmTarget, label: str) -> Device:
        """The same one again is the same device. A person's goes with the sign-in by which the caller has added it
        last; what an application has added stays until it takes it away.

        Raises `Invalid`, `ChannelOff`, `TooManyTargets`, and `WrongCredentials` where that sign-in was ended just now.
        """
        web_push = isinstance(target, WebPushTarget)
        self._check_on("web_push" if web_push else "fcm")
        self._channels.check_target(target)
        host = _host(target.endpoint) if isinstance(target, WebPushTarget) else "fcm"
        sign_in = caller.token_id if user.kind == "person" else None
        added = await self._targets.add(user.id, target, host, label, self._clock.now(), MOST_TARGETS, sign_in)
        if added is None:
            raise WrongCredentials
        return added

    async def remove_device(self, user: User, id_: TargetId) -> None:
        """Raises `NotFound`."""
        if not await self._targets.remove(user.id, id_):
            raise NotFound

    async def webhook(self, app: User) -> Webhook:
        """Raises `NotFound` where there is none, and `ApplicationsOnly` for whoever is none."""
        kept = await self._targets.webhook(_application(app).id)
        if kept is None:
            raise NotFound
        return kept

    async def put_webhook(self, app: User, url: str, events: Sequence[NoticeKind]) -> tuple[Webhook, str]:
        """With a new secret, which is told this once. Raises `Invalid` or `ApplicationsOnly`."""
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        app_id = _application(app).id
        self._channels.check_target(WebhookTarget(url, secret))
        kept = await self._targets.put_webhook(app_id, url, secret, _host(url), events, self._clock.now())
        return kept, secret

    async def remove_webhook(self, app: User) -> None:
        """Raises `NotFound` or `ApplicationsOnly`."""
        if not await self._targets.remove_webhook(_application(app).id):
            raise NotFound

    async def deliveries(self, state: State, *, limit: int, before: OutboxId | None) -> Deliveries:
        return await self._outbox.listed(state, limit=limit, before=before)

    async def resend(self, id_: OutboxId) -> None:
        """One that was given up is tried anew. Raises `NotFound` where it is none."""
        if not await self._outbox.resend(id_, self._clock.now()):
            raise NotFound

    def _check_on(self, kind: ChannelKind) -> None:
        if kind not in self._channels.kinds:
            raise ChannelOff


def _application(user: User) -> User:
    if user.kind != "app":
        raise ApplicationsOnly
    return user


def _host(url: str) -> str:
    """Who is called, in the way that what is sent there at once is counted by: without a name or password before it."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()
