"""What somebody is notified of while they are away: by the service worker, and only of what they do not see."""

import asyncio
import json
from collections.abc import Mapping

import pytest
from playwright.async_api import Browser, CDPSession, Worker, expect

from tests.parts.palaver import Server
from tests.web.test_administration import add_admin
from tests.web.test_people import begin_with
from tests.web.window import SECONDS, STAYS, OpenWindow, Window

ANA, OLEG = "0195c3f0-7a41-7b1e-9a55-0c9d5e3b7f21", "0195c3f0-7a41-7b1e-9a55-0c9d5e3b7f22"
# A point of the curve, as a browser gives it.
P256DH = "BGFxDLq9OaZQeaLTHmR26jT2G5WTOQm8bwE-_5jSPW1lTOVtHnJK1jaDh0RwFe_Fzeib7ChDQ6RNc6_G-6-AkvU"
# Before it is active, what is pushed to it is dropped.
IS_ACTIVE = """async () => {
  const { active } = await navigator.serviceWorker.ready;
  while (active.state !== "activated") await new Promise((done) => active.addEventListener("statechange", done));
}"""
# A browser without a desktop now and then forgets at once what it has shown: what the worker shows is noted, too.
NOTES = """() => {
  self.noted = new Map();
  const show = registration.showNotification.bind(registration);
  registration.showNotification = async (title, options) => {
    await show(title, options);
    noted.set(options.tag, [title, options]);
  };
}"""
# So many milliseconds the worker waits for a page to say that the conversation is looked at there.
PATIENCE = 500
# Returns once these were shown and no others, of each conversation the newest.
SHOWS = """async (wanted) => {
  for (;;) {
    const shown = [...noted].map(([tag, [title, { body }]]) => [tag, title, body ?? ""]).sort();
    if (JSON.stringify(shown) === JSON.stringify(wanted)) return;
    await new Promise((done) => setTimeout(done, 20));
  }
}"""
IS_GONE = """async (tag) => {
  while ((await registration.getNotifications({ tag })).length > 0) await new Promise((done) => setTimeout(done, 20));
  noted.delete(tag);
}"""
CLICK = """async (tag) => {
  for (;;) {
    const [notification] = await registration.getNotifications({ tag });
    if (notification) return void dispatchEvent(new NotificationEvent("notificationclick", { notification }));
    await registration.showNotification(...noted.get(tag));
  }
}"""
OPENED = """async () => {
  while (!self.opened) await new Promise((done) => setTimeout(done, 20));
  const { opened } = self;
  self.opened = undefined;
  return opened;
}"""
# A browser opens a window only where somebody has clicked.
OPENS = "() => { clients.openWindow = async (url) => { self.opened = url; }; }"


class Post:
    """Hands a browser's service worker what a push service would, whether the app is open there or not."""

    def __init__(self, server: Server, devtools: CDPSession, registration: str, worker: Worker) -> None:
        self._server = server
        self._devtools = devtools
        self._registration = registration
        self.worker = worker

    async def deliver(self, conversation: str, title: str, body: str | None = None, kind: str = "pair") -> None:
        payload = {"kind": "message", "conversation": conversation, "conversation_kind": kind, "title": title}
        told = json.dumps({**payload, "body": body, "sender": None, "unread": 1, "url": "/"})
        message = {"origin": self._server.url, "registrationId": self._registration, "data": told}
        await self._devtools.send("ServiceWorker.deliverPushMessage", message)

    async def click(self, conversation: str) -> None:
        await self.worker.evaluate(CLICK, conversation)
        await self.wait_until_gone(conversation)

    async def wait_until_gone(self, conversation: str) -> None:
        await asyncio.wait_for(self.worker.evaluate(IS_GONE, conversation), SECONDS)

    async def wait_for(self, *shown: list[str]) -> None:
        """These and no others."""
        await asyncio.wait_for(self.worker.evaluate(SHOWS, sorted(shown)), SECONDS)


async def open_post(window: Window) -> Post:
    await window.page.evaluate(IS_ACTIVE)
    [worker] = window.context.service_workers
    devtools = await window.context.new_cdp_session(window.page)
    registration = await find_registration(devtools)
    # It goes on after the page is closed.
    beside = await window.context.new_page()
    await window.page.bring_to_front()
    devtools = await window.context.new_cdp_session(beside)
    await devtools.send("ServiceWorker.enable")
    await worker.evaluate(NOTES)
    return Post(window.server, devtools, registration, worker)


async def find_registration(devtools: CDPSession) -> str:
    found: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def hear(told: dict[str, list[dict[str, str]]]) -> None:
        for one in told["registrations"]:
            if not found.done():
                found.set_result(one["registrationId"])

    devtools.on("ServiceWorker.workerRegistrationUpdated", hear)
    await devtools.send("ServiceWorker.enable")
    return await asyncio.wait_for(found, SECONDS)


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_REGISTRATION": "on", "PALAVER_NOTIFY_DELAY_SECONDS": "0", "PALAVER_NOTIFY_TRIES": "1"}


@pytest.fixture(scope="module")
def keeps_page() -> bool:
    return True


@pytest.fixture
def browser(whole_browser: Browser) -> Browser:
    return whole_browser


@pytest.fixture
async def away(shared_server: Server, open_window: OpenWindow) -> Window:
    """Somebody who lets the app notify them."""
    return await open_window(shared_server, permissions=["notifications"])


async def test_what_comes_while_one_looks_elsewhere_is_shown_once_for_each_conversation(away: Window) -> None:
    post = await open_post(away)
    await post.deliver(ANA, "Ana")
    await post.wait_for([ANA, "Ana", ""])
    await post.deliver(ANA, "Ana", "See you at eight?")
    await post.wait_for([ANA, "Ana", "See you at eight?"])
    await post.deliver(OLEG, "The bakers", kind="group")
    await post.wait_for([ANA, "Ana", "See you at eight?"], [OLEG, "The bakers", ""])


async def test_nothing_is_shown_of_a_conversation_that_is_looked_at_and_its_notification_goes_when_it_is_opened(
    away: Window, shared_server: Server, open_window: OpenWindow
) -> None:
    ana = await open_window(shared_server)
    post = await open_post(away)
    # The page answers, however little time the machine has for it.
    await post.worker.evaluate(STAYS, [PATIENCE])
    conversation = await begin_with(away, ana.name)
    await post.deliver(conversation, "Ana")
    await post.wait_for([conversation, "Ana", ""])
    await away.page.goto(f"{shared_server.url}/#/people/{conversation}")
    await expect(away.composer).to_be_focused()
    await post.wait_until_gone(conversation)
    await post.deliver(conversation, "Ana")
    await post.deliver(OLEG, "Oleg")
    await post.wait_for([OLEG, "Oleg", ""])


async def test_notification_leads_to_its_conversation_in_the_page_that_is_open(
    away: Window, shared_server: Server, open_window: OpenWindow
) -> None:
    ana = await open_window(shared_server)
    post = await open_post(away)
    conversation = await begin_with(away, ana.name)
    await post.deliver(conversation, "Ana")
    await post.wait_for([conversation, "Ana", ""])
    await post.click(conversation)
    await expect(away.page.get_by_role("heading", name=ana.name)).to_be_visible()


async def test_with_the_app_closed_it_is_notified_all_the_same_and_opens_where_the_notification_leads(
    away: Window, shared_server: Server
) -> None:
    post = await open_post(away)
    await away.page.close()
    await post.deliver(ANA, "Ana", "See you at eight?")
    await post.wait_for([ANA, "Ana", "See you at eight?"])
    await post.deliver(OLEG, "A long answer", kind="bot")
    await post.wait_for([ANA, "Ana", "See you at eight?"], [OLEG, "A long answer", ""])
    await post.worker.evaluate(OPENS)
    await post.click(ANA)
    assert await post.worker.evaluate(OPENED) == f"{shared_server.url}/#/people/{ANA}"
    await post.click(OLEG)
    assert await post.worker.evaluate(OPENED) == f"{shared_server.url}/#/c/{OLEG}"


async def test_person_chooses_how_they_are_reached_and_takes_devices_off(away: Window) -> None:
    page = away.page
    keys = {"p256dh": P256DH, "auth": "xxxxxxxxxxxxxxxxxxxxxw"}
    target = {"kind": "web_push", "endpoint": "https://push.example.org/one", "keys": keys, "label": "Firefox, Android"}
    await away.ask("POST", "api/notifications/targets", target)
    await page.goto(f"{away.server.url}/#/account")
    panel = page.get_by_role("region", name="Notifications")
    await panel.get_by_label("Show what was written").check()
    await panel.get_by_label("Show others when I am here").uncheck()
    # There is no push service where tests run.
    await panel.get_by_label("Notify me on this device").click()
    await expect(page.get_by_text("could not be registered")).to_be_visible()
    await expect(panel.get_by_label("Notify me on this device")).not_to_be_checked()
    await panel.get_by_role("button", name="Remove Firefox, Android").click()
    await expect(panel.get_by_text("No device is notified yet.")).to_be_visible()
    await page.reload()
    await expect(panel.get_by_label("Show what was written")).to_be_checked()
    await expect(panel.get_by_label("Show others when I am here")).not_to_be_checked()


async def test_admin_sees_what_was_given_up_and_why_and_has_it_tried_again(
    shared_server: Server, open_window: OpenWindow
) -> None:
    admin = await open_window(shared_server, await add_admin(shared_server))
    ana, mira = await open_window(shared_server), await open_window(shared_server)
    keys = {"p256dh": P256DH, "auth": "xxxxxxxxxxxxxxxxxxxxxw"}
    target = {"kind": "web_push", "endpoint": "https://nobody.example.org/two", "keys": keys}
    await ana.ask("POST", "api/notifications/targets", target)
    conversation = await begin_with(mira, ana.name)
    await mira.ask("POST", f"api/people/conversations/{conversation}/messages", {"content": "Are you there?"})
    await admin.page.goto(f"{shared_server.url}/#/administration/deliveries")
    given_up = admin.page.get_by_role("main").get_by_role("listitem").filter(has_text=ana.name)
    await expect(given_up).to_contain_text("browser, nobody.example.org")
    await expect(given_up).to_contain_text("given up")
    await expect(given_up).not_to_contain_text("Are you there?")
    await admin.choose(f"More about {ana.name}", "Try it again")
    await expect(admin.page.get_by_text("It is tried again.")).to_be_visible()
