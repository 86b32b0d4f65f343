"""How somebody is reached while away: what may stand in it, on which devices, and an application's webhook.

An application speaks for a user of its own by `?user_id=`; without it, for itself.
"""

from datetime import datetime
from typing import TypeVar

from msgspec import Struct

from palaver.api.call import Answer, Call, to_time
from palaver.api.fields import Body, Choice, Flag, Inner, Listed, Text, Word, changing, defaulting, optional, required
from palaver.api.operation import Api, Style, worded
from palaver.chat.errors import ChannelOff, Invalid, NotFound, TooManyTargets
from palaver.chat.notices import EVENTS
from palaver.chat.ports import ChannelKind, FcmTarget, NoticeKind, WebPushTarget
from palaver.chat.ports.outbox import Device, TargetId, Webhook, Wishes, WishesChange
from palaver.chat.reaching import ApplicationsOnly
from palaver.chat.user import User

T = TypeVar("T")

api = Api(
    "notifications",
    Style.FASTAPI,
    {
        TooManyTargets: worded(409, "too_many_targets"),
        ChannelOff: worded(409, "channel_off"),
        ApplicationsOnly: worded(403, "applications_only"),
    },
)

KEY = Word(r"[A-Za-z0-9+/_-]{1,200}={0,2}", "target_invalid")
ADDRESS = Text(at_least=1, at_most=2000, trimmed=True)
EVENT: Choice[NoticeKind] = Choice(*EVENTS)


class For(Body):
    user_id = optional(Text(at_least=1, at_most=255))


class WishesChanged(Body):
    shows_text = changing(Flag())
    email = changing(Flag())


class Keys(Body):
    p256dh = required(KEY)
    auth = required(KEY)


class NewTarget(Body):
    """`endpoint` and `keys` of a browser's subscription, or the `token` of an app on a phone."""

    kind = required(Choice("web_push", "fcm"))
    endpoint = optional(ADDRESS)
    keys = optional(Inner(Keys))
    token = optional(ADDRESS)
    label = defaulting(Text(at_most=100, trimmed=True), "")

    def to_target(self) -> WebPushTarget | FcmTarget:
        """Raises `Invalid`."""
        if self.kind == "fcm":
            return FcmTarget(_given("token", self.token))
        keys = _given("keys", self.keys)
        return WebPushTarget(_given("endpoint", self.endpoint), keys.p256dh, keys.auth)


class NewWebhook(Body):
    url = required(ADDRESS)
    events = defaulting(Listed(EVENT, at_least=1, at_most=10), EVENTS)


class WishesShown(Struct):
    """`shows_text`: what was written may stand in what reaches them. `channels`: what is set up on this server."""

    shows_text: bool
    email: bool
    channels: tuple[ChannelKind, ...]


class KeyShown(Struct):
    """What a browser subscribes with: `applicationServerKey`."""

    public_key: str


class TargetShown(Struct):
    id: int
    kind: ChannelKind
    label: str
    created_at: datetime
    last_sent_at: datetime | None


class TargetList(Struct):
    targets: list[TargetShown]


class WebhookShown(Struct):
    url: str
    events: tuple[NoticeKind, ...]
    created_at: datetime
    last_sent_at: datetime | None


class WebhookMade(WebhookShown):
    """`secret` is shown this once: what comes is signed with it."""

    secret: str


@api.add(
    "GET",
    "/api/notifications/me",
    who="signed_in",
    query=For,
    answer=WishesShown,
    summary="Tell what may reach one while away",
)
async def get_wishes(call: Call) -> WishesShown:
    return _wishes(call, await call.site.reaching.wishes(await _who(call)))


@api.add(
    "PATCH",
    "/api/notifications/me",
    who="signed_in",
    query=For,
    body=WishesChanged,
    answer=WishesShown,
    raises=(ChannelOff,),
    summary="Change what may reach one while away",
)
async def change_wishes(call: Call) -> WishesShown:
    body = call.read(WishesChanged)
    change = WishesChange(body.shows_text, body.email)
    return _wishes(call, await call.site.reaching.change_wishes(await _who(call), change))


@api.add(
    "GET",
    "/api/notifications/key",
    who="signed_in",
    answer=KeyShown,
    summary="Tell the key that a browser subscribes with",
)
async def get_key(call: Call) -> KeyShown:
    return KeyShown(call.site.reaching.public_key)


@api.add(
    "GET",
    "/api/notifications/targets",
    who="signed_in",
    query=For,
    answer=TargetList,
    summary="List the devices by which one is reached",
)
async def list_targets(call: Call) -> TargetList:
    return TargetList([_target(device) for device in await call.site.reaching.devices(await _who(call))])


@api.add(
    "POST",
    "/api/notifications/targets",
    who="signed_in",
    query=For,
    body=NewTarget,
    answer=TargetShown,
    status=201,
    raises=(ChannelOff, TooManyTargets),
    summary="Add a device by which one is reached; the same one again changes it",
)
async def add_target(call: Call) -> TargetShown:
    body = call.read(NewTarget)
    assert call.caller is not None
    target, who = body.to_target(), await _who(call)
    try:
        return _target(await call.site.reaching.add_device(who, call.caller, target, body.label))
    except Invalid as error:
        raise _wording(error) from error


@api.add(
    "DELETE",
    "/api/notifications/targets/{id}",
    who="signed_in",
    query=For,
    status=204,
    raises=(NotFound,),
    summary="Remove a device",
)
async def remove_target(call: Call) -> Answer:
    await call.site.reaching.remove_device(await _who(call), TargetId(call.number("id")))
    return Answer()


@api.add(
    "GET",
    "/api/notifications/webhook",
    who="signed_in",
    answer=WebhookShown,
    raises=(NotFound, ApplicationsOnly),
    summary="Tell the webhook of the application that asks",
)
async def get_webhook(call: Call) -> WebhookShown:
    return _webhook(await call.site.reaching.webhook(call.user))


@api.add(
    "PUT",
    "/api/notifications/webhook",
    who="signed_in",
    body=NewWebhook,
    answer=WebhookMade,
    raises=(ApplicationsOnly,),
    summary="Set the webhook of the application that asks; its new secret is shown this once",
)
async def put_webhook(call: Call) -> WebhookMade:
    body = call.read(NewWebhook)
    try:
        kept, secret = await call.site.reaching.put_webhook(call.user, body.url, tuple(dict.fromkeys(body.events)))
    except Invalid as error:
        raise _wording(error) from error
    shown = _webhook(kept)
    return WebhookMade(shown.url, shown.events, shown.created_at, shown.last_sent_at, secret)


@api.add(
    "DELETE",
    "/api/notifications/webhook",
    who="signed_in",
    status=204,
    raises=(NotFound, ApplicationsOnly),
    summary="Remove the webhook of the application that asks",
)
async def remove_webhook(call: Call) -> Answer:
    await call.site.reaching.remove_webhook(call.user)
    return Answer()


async def _who(call: Call) -> User:
    """For whom: an application may name a user of its own, everybody else asks for themselves."""
    named = call.read_query(For).user_id
    if named is None:
        return await call.stored_user()
    return await call.site.accounts.owner_for(call.user, named)


def _given(name: str, value: T | None) -> T:
    if value is None:
        raise Invalid(name, "missing")
    return value


def _wording(error: Invalid) -> Invalid:
    """With the name of our words for it."""
    return Invalid(error.field, f"target_{error.reason}")


def _wishes(call: Call, wishes: Wishes) -> WishesShown:
    return WishesShown(wishes.shows_text, wishes.email, tuple(call.site.reaching.kinds))


def _target(device: Device) -> TargetShown:
    return TargetShown(
        device.id, device.kind, device.label, to_time(device.created_at), _maybe_time(device.last_sent_at)
    )


def _webhook(webhook: Webhook) -> WebhookShown:
    return WebhookShown(webhook.url, webhook.events, to_time(webhook.created_at), _maybe_time(webhook.last_sent_at))


def _maybe_time(micros: int | None) -> datetime | None:
    return None if micros is None else to_time(micros)
