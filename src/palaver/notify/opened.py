"""All channels, opened together and closed again."""

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

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
from palaver.notify.guard import Caller, LookUp
from palaver.notify.keys import decode_vapid_key
from palaver.notify.options import MailOptions, NotifyOptions
from palaver.notify.webhooks import Webhooks

if TYPE_CHECKING:
    from palaver.notify.fcm import Fcm
    from palaver.notify.mail import Mail
    from palaver.notify.web_push import WebPush

_NOT_SET_UP = Refused("is not set up on this server")


class BadNotifyOptions(ValueError):
    """What cannot work: a sentence for the operator, without what is secret in it."""


class OpenChannels:
    """`Channels` of `chat/ports/notify.py`."""

    def __init__(self, caller: Caller, options: NotifyOptions, clock: Clock, fcm: "Fcm | None", mail: "Mail | None"):
        self._caller = caller
        self._options = options
        self._clock = clock
        self._webhooks = Webhooks(caller, clock)
        self._fcm = fcm
        self._mail = mail
        others: list[ChannelKind] = ["fcm"] if fcm else []
        others += ["mail"] if mail else []
        self.kinds: Collection[ChannelKind] = ("web_push", "webhook", *others)

    @property
    def public_key(self) -> str:
        return self._web_push.public_key

    @cached_property
    def _web_push(self) -> "WebPush":
        # Only now: a server that has nobody to push to need not load what it takes.
        from palaver.notify.vapid import Vapid
        from palaver.notify.web_push import WebPush

        return WebPush(self._caller, Vapid(self._options.vapid_key, self._options.contact, self._clock))

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
        decode_vapid_key(options.vapid_key)
    except ValueError:
        raise BadNotifyOptions("The key for Web Push that is kept here is none.") from None
    async with AsyncExitStack() as opened:
        caller = await opened.enter_async_context(Caller(to_allowed(options.allow), look_up=look_up))
        fcm = None if options.fcm_account is None else await _open_fcm(options, options.fcm_account, opened, clock)
        mail = None if options.mail is None else _open_mail(options.mail)
        yield OpenChannels(caller, options, clock, fcm, mail)


def _open_mail(options: MailOptions) -> "Mail":
    from palaver.notify.mail import Mail

    return Mail(options)


async def _open_fcm(options: NotifyOptions, file: Path, opened: AsyncExitStack, clock: Clock) -> "Fcm":
    """With a client of its own: where it calls is the operator's, and nobody else's addresses go through it."""
    from palaver.notify.fcm import Fcm
    from palaver.notify.service_account import BadServiceAccount, read_service_account

    try:
        account = read_service_account(file)
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
