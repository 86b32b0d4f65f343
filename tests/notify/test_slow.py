"""Whoever is called may be slow, endless or broken: it costs the time limit and some KiB, and nobody else waits."""

import asyncio
import time
import tracemalloc

import pytest

from palaver.chat.ports import Later, Notice, Sent, WebhookTarget, WebPushTarget
from palaver.notify import new_vapid_key, new_webhook_secret
from palaver.notify.addresses import to_allowed
from palaver.notify.guard import MOST_BYTES, Answer, Caller, CallFailed
from palaver.notify.vapid import Vapid
from palaver.notify.web_push import WebPush
from palaver.notify.webhooks import Webhooks
from tests.chat.talking import HandClock
from tests.notify.hostile import BOMB, CHATTY, USELESS, open_hostile
from tests.parts.hooks import open_hooks
from tests.parts.push import Browser, PushService

TOTAL = 0.4
# Two cores are shared with others: what is shown is that it is no minutes.
PATIENCE = 5
LOOPBACK = to_allowed(["127.0.0.1"])

# What the kernel's buffers hold, and what is read before a limit is met; never what a server would send in that time.
MOST_SENT = 8_000_000
MOST_KEPT = 3_000_000


def open_caller() -> Caller:
    return Caller(LOOPBACK, total_seconds=TOTAL)


def to_target(browser: Browser) -> WebPushTarget:
    return WebPushTarget(browser.endpoint, browser.p256dh, browser.auth)


@pytest.mark.parametrize("name", USELESS)
async def test_endpoint_that_answers_nothing_of_use_costs_the_time_limit_at_most(name: str) -> None:
    hostile = USELESS[name]()
    async with open_hostile(hostile) as url, open_caller() as caller:
        began = time.monotonic()
        tracemalloc.start()
        with pytest.raises(CallFailed):
            await caller.post(url, b"x" * 4096, {}, reads=True)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert time.monotonic() - began < PATIENCE
    assert hostile.sent < MOST_SENT
    assert peak < MOST_KEPT


@pytest.mark.parametrize("name", CHATTY)
async def test_status_is_enough_of_an_answer_that_never_ends(name: str) -> None:
    hostile = CHATTY[name]()
    async with open_hostile(hostile) as url, Caller(LOOPBACK) as caller:
        began = time.monotonic()
        tracemalloc.start()
        answer = await caller.post(url, b"x", {})
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert answer == Answer(200, None, b"")
        assert time.monotonic() - began < PATIENCE
    assert hostile.sent < MOST_SENT
    assert peak < MOST_KEPT


async def test_no_more_than_the_beginning_of_an_answer_is_read() -> None:
    for name in ("body_without_end", "unpacks_to_twenty_megabytes", "chunks_without_end"):
        async with open_hostile(CHATTY[name]()) as url, Caller(LOOPBACK) as caller:
            answer = await caller.post(url, b"x", {}, reads=True)
            assert 0 < len(answer.body) <= MOST_BYTES


async def test_nothing_is_unpacked() -> None:
    async with open_hostile(CHATTY["unpacks_to_twenty_megabytes"]()) as url, Caller(LOOPBACK) as caller:
        answer = await caller.post(url, b"x", {}, reads=True)
        assert answer.body == BOMB[:MOST_BYTES]


@pytest.mark.proof("out")
async def test_others_are_sent_to_while_a_hundred_wait_for_one_that_is_silent(
    push_service: PushService, notice: Notice, clock: HandClock
) -> None:
    # Nothing but an answer ends their waiting, however slowly all of it goes.
    patient = Caller(LOOPBACK, total_seconds=3600, connect_seconds=3600)
    async with open_hostile(USELESS["silent"]()) as url, open_hooks() as hooks, patient as caller:
        push = WebPush(caller, Vapid(new_vapid_key(), None, clock))
        webhooks = Webhooks(caller, clock)
        silent = to_target(Browser(url))
        waiting = [asyncio.create_task(push.send(silent, notice)) for _ in range(100)]
        await asyncio.sleep(0)
        browser = push_service.subscribe()
        async with asyncio.timeout(60):
            for _ in range(5):
                assert await push.send(to_target(browser), notice) == Sent()
                assert await webhooks.send(WebhookTarget(hooks.url, new_webhook_secret()), notice) == Sent()
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)


async def test_what_a_hundred_have_for_one_that_is_silent_is_sent_later(notice: Notice, clock: HandClock) -> None:
    # More than may be connected to it at once: the others have waited for a connection.
    async with open_hostile(USELESS["silent"]()) as url, open_caller() as caller:
        push = WebPush(caller, Vapid(new_vapid_key(), None, clock))
        silent = to_target(Browser(url))
        outcomes = await asyncio.gather(*(push.send(silent, notice) for _ in range(100)))
    assert set(outcomes) == {Later(None, "took too long")}


async def test_connection_is_used_again_after_a_short_answer() -> None:
    async with open_hooks() as hooks, Caller(LOOPBACK) as caller:
        for _ in range(5):
            assert (await caller.post(hooks.url, b"{}", {})).status == 204
    assert len({hook.connection for hook in hooks.came}) == 1
