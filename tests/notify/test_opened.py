"""All channels by the one door."""

from pathlib import Path

import pytest

from palaver.chat.errors import Invalid
from palaver.chat.ports import (
    Channels,
    FcmTarget,
    MailTarget,
    Notice,
    Refused,
    Sent,
    Target,
    WebhookTarget,
    WebPushTarget,
)
from palaver.notify import (
    BadNotifyOptions,
    MailOptions,
    NotifyOptions,
    new_vapid_key,
    new_webhook_secret,
    open_channels,
)
from tests.parts.fcm import open_fcm_service
from tests.parts.hooks import open_hooks
from tests.parts.mailbox import open_mailbox
from tests.parts.push import PushService

PHONE = FcmTarget("cX1abcdefghijkl:APA91bH_x-y")
ALICE = MailTarget("alice@example.org")


async def test_every_kind_of_target_is_sent_to(push_service: PushService, notice: Notice, tmp_path: Path) -> None:
    async with open_fcm_service() as fcm, open_hooks() as hooks, open_mailbox() as box:
        options = NotifyOptions(
            vapid_key=new_vapid_key(),
            allow=("127.0.0.1",),
            fcm_account=fcm.write_account(tmp_path / "account.json"),
            fcm_url=fcm.url,
            mail=MailOptions(host=box.host, port=box.port, security="none", sender="palaver@example.org"),
        )
        browser = push_service.subscribe()
        targets: list[Target] = [
            WebPushTarget(browser.endpoint, browser.p256dh, browser.auth),
            WebhookTarget(hooks.url, new_webhook_secret()),
            PHONE,
            ALICE,
        ]
        async with open_channels(options) as opened:
            channels: Channels = opened
            assert set(channels.kinds) == {"web_push", "webhook", "fcm", "mail"}
            for target in targets:
                channels.check_target(target)
                assert await channels.send(target, notice) == Sent()
            assert push_service.pushes[-1].key == channels.public_key
        assert (len(hooks.came), len(fcm.messages), len(box.letters)) == (1, 1, 1)


async def test_what_is_not_set_up_is_refused(notice: Notice) -> None:
    async with open_channels(NotifyOptions(vapid_key=new_vapid_key())) as channels:
        assert set(channels.kinds) == {"web_push", "webhook"}
        for target in (PHONE, ALICE):
            with pytest.raises(Invalid, match="not_set_up"):
                channels.check_target(target)
            assert await channels.send(target, notice) == Refused("is not set up on this server")


async def test_nothing_inside_is_called_where_nothing_is_allowed(push_service: PushService, notice: Notice) -> None:
    browser = push_service.subscribe()
    asked = push_service.asked
    target = WebPushTarget(browser.endpoint, browser.p256dh, browser.auth)
    async with open_channels(NotifyOptions(vapid_key=new_vapid_key())) as channels:
        with pytest.raises(Invalid, match="not_allowed"):
            channels.check_target(target)
        assert await channels.send(target, notice) == Refused("has an address that may not be called")
    assert push_service.asked == asked


async def test_servers_of_the_operator_are_not_opened_to_people(notice: Notice, tmp_path: Path) -> None:
    """FCM's stand-in is on loopback: its client may call that, and the one for people's addresses may not."""
    async with open_fcm_service() as fcm, open_hooks() as hooks:
        account = fcm.write_account(tmp_path / "account.json")
        options = NotifyOptions(vapid_key=new_vapid_key(), fcm_account=account, fcm_url=fcm.url)
        async with open_channels(options) as channels:
            assert await channels.send(PHONE, notice) == Sent()
            hook = WebhookTarget(hooks.url, new_webhook_secret())
            assert await channels.send(hook, notice) == Refused("has an address that may not be called")
        assert hooks.came == []


@pytest.mark.parametrize("key", ["", "AAAA" * 11, "x", "/" * 43, "é"])
async def test_key_that_is_none_stops_the_start_and_is_not_shown(key: str) -> None:
    with pytest.raises(BadNotifyOptions, match=r"^The key for Web Push that is kept here is none\.$"):
        async with open_channels(NotifyOptions(vapid_key=key)):
            pass


async def test_account_that_is_none_stops_the_start_and_is_named(tmp_path: Path) -> None:
    options = NotifyOptions(vapid_key=new_vapid_key(), fcm_account=tmp_path / "nothing.json")
    with pytest.raises(BadNotifyOptions, match=r"^PALAVER_FCM_ACCOUNT names a file that cannot be read"):
        async with open_channels(options):
            pass


def test_secrets_are_in_no_repr() -> None:
    key = new_vapid_key()
    mail = MailOptions(host="h", sender="a@b", password="sekret")
    shown = repr(NotifyOptions(vapid_key=key, mail=mail))
    assert key not in shown
    assert "sekret" not in shown
