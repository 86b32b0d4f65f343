"""All channels, opened together and closed again."""

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from typing import assert_never

from yarl import URL

from palaver.chat.clock import Clock, SystemClock
from palaver.chat.errors import Invalid
from palaver.chat.ports import (
    ChannelKind,
    FcmTarget,
    MailTarget,
    Notice,
    Outcome,
    Refused,
    Target,
    WebhookTarget,
    WebPushTarget,
)
from palaver.notify.addresses import NotAllowed, to_allowed
from palaver.notify.fcm import Fcm
from palaver.notify.guard import Caller, LookUp
from palaver.notify.mail import Mail
from palaver.notify.options import NotifyOptions
from palaver.notify.service_account import BadServiceAccount, read_service_account
from palaver.notify.vapid import Vapid
from palaver.notify.web_push import WebPush
from palaver.notify.webhooks import Webhooks

_NOT_SET_UP = Refused("is not set up on this server")


class BadNotifyOptions(ValueError):
    """What cannot work: a sentence for the operator, without what is secret in it."""


class OpenChannels:
    def __init__(self, web_push: WebPush, webhooks: Webhooks, public_key: str, fcm: Fcm | None, mail: Mail | None):
        self._web_push = web_push
        self._webhooks = webhooks
        self._fcm = fcm
        self._mail = mail
        self.public_key = public_key
        others: list[ChannelKind] = ["fcm"] if fcm else []
        others += ["mail"] if mail else []
        self.kinds: Collection[ChannelKind] = ("web_push", "webhook", *others)

    def check_target(self, target: Target) -> None:
        match target:
            case WebPushTarget():
                self._web_push.check(target)
            case WebhookTarget():
                self._webhooks.check(target)
            case FcmTarget():
                if self._fcm is None:
                    raise Invalid("kind", "not_set_up")
                self._fcm.check(target)
            case MailTarget():
                if self._mail is None:
                    raise Invalid("kind", "not_set_up")
                self._mail.check(target)
            case _:
                assert_never(target)

    async def send(self, target: Target, notice: Notice) -> Outcome:
        match target:
            case WebPushTarget():
                return await self._web_push.send(target, notice)
            case WebhookTarget():
                return await self._webhooks.send(target, notice)
            case FcmTarget():
                return _NOT_SET_UP if self._fcm is None else await self._fcm.send(target, notice)
            case MailTarget():
                return _NOT_SET_UP if self._mail is None else await self._mail.send(target, notice)
            case _:
                assert_never(target)


@asynccontextmanager
async def open_channels(
    options: NotifyOptions, *, clock: Clock | None = None, look_up: LookUp | None = None
) -> AsyncIterator[OpenChannels]:
    """Raises `BadNotifyOptions`. Nobody is called before there is something to send."""
    clock = clock or SystemClock()
    try:
        vapid = Vapid(options.vapid_key, options.contact, clock)
    except ValueError:
        raise BadNotifyOptions("The key for Web Push that is kept here is none.") from None
    async with AsyncExitStack() as opened:
        caller = await opened.enter_async_context(Caller(to_allowed(options.allow), look_up=look_up))
        fcm = await _open_fcm(options, opened, clock)
        mail = None if options.mail is None else Mail(options.mail)
        if mail is not None:
            opened.callback(mail.close)
        yield OpenChannels(WebPush(caller, vapid), Webhooks(caller, clock), vapid.public_key, fcm, mail)


async def _open_fcm(options: NotifyOptions, opened: AsyncExitStack, clock: Clock) -> Fcm | None:
    """With a client of its own: where it calls is the operator's, and nobody else's addresses go through it."""
    if options.fcm_account is None:
        return None
    try:
        account = read_service_account(options.fcm_account)
    except BadServiceAccount as error:
        raise BadNotifyOptions(f"PALAVER_FCM_ACCOUNT names a file that {error}.") from None
    urls = (str(account.token_url), options.fcm_url)
    hosts = [host for url in urls if (host := URL(url).raw_host)]
    caller = await opened.enter_async_context(Caller(to_allowed(hosts)))
    try:
        for url in urls:
            caller.check(url)
    except NotAllowed:
        raise BadNotifyOptions("PALAVER_FCM_URL, or the `token_uri` of PALAVER_FCM_ACCOUNT, cannot be used.") from None
    return Fcm(caller, account, options.fcm_url, clock)
