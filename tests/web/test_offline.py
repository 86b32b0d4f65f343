"""The app without a network: it opens, says how things stand, keeps what was not sent, and keeps nothing else."""

import re
from typing import Any

import pytest
from playwright.async_api import Browser, Route, expect

from tests.parts.llm import LLM
from tests.parts.palaver import Server
from tests.web.prefix import behind_a_prefix
from tests.web.window import CLOSING, Device, OpenWindow, Window

KEEPS = "async () => (await navigator.serviceWorker.ready).active.scriptURL"
ONLY_STORE = """async (ending) => {
  for (;;) {
    const names = await caches.keys();
    if (names.length === 1 && names[0].endsWith(ending)) return;
    await new Promise((done) => setTimeout(done, 50));
  }
}"""
KEPT = """async () => {
  const requests = [];
  for (const name of await caches.keys()) requests.push(...(await (await caches.open(name)).keys()));
  return requests.map(({ url }) => url);
}"""
# All that this browser has written down for the page.
REMEMBERED = """async () => {
  const answers = [];
  for (const name of await caches.keys()) answers.push(...(await (await caches.open(name)).matchAll()));
  const texts = await Promise.all(answers.map((answer) => answer.text()));
  const databases = (await indexedDB.databases()).map(({ name }) => name);
  return JSON.stringify([texts, { ...localStorage }, { ...sessionStorage }, databases, document.cookie]);
}"""


@pytest.fixture(scope="module")
def keeps_page() -> bool:
    return True


@pytest.fixture
def browser(whole_browser: Browser) -> Browser:
    return whole_browser


async def test_app_can_be_installed(window: Window) -> None:
    await window.page.evaluate(KEEPS)
    devtools = await window.context.new_cdp_session(window.page)
    manifest = await devtools.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert manifest["manifest"]["name"] == "Palaver"
    problems: Any = (await devtools.send("Page.getInstallabilityErrors"))["installabilityErrors"]
    # A test's window is a private one.
    assert [problem["errorId"] for problem in problems] == ["in-incognito"]


async def test_page_opens_without_a_network_says_so_and_sends_later_once_what_was_written(
    shared_server: Server, open_window: OpenWindow, device: Device, llm: LLM
) -> None:
    window = await open_window(shared_server, device=device)
    page = window.page
    await page.evaluate(KEEPS)
    await window.say("Hello. [[text=Hello yourself.]]")
    await window.context.set_offline(True)
    await window.write("Are you there? [[text=I am.]]")
    await expect(page.get_by_text("Is sent once there is a connection")).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("You are offline.")).to_be_visible()
    await expect(page.get_by_text("Is sent once there is a connection")).to_be_visible()
    await window.write("Still there? [[text=Still.]]")
    await expect(page.get_by_text("Is sent once there is a connection")).to_have_count(2)
    await page.reload()
    await expect(page.get_by_text("Is sent once there is a connection")).to_have_count(2)
    await window.context.set_offline(False)
    await expect(window.answers).to_have_text(["Hello yourself.", "I am.", "Still."])
    await expect(page.get_by_text("You are offline.")).to_have_count(0)
    assert len(await llm.record("ended", n=3)) == 3


async def test_conversation_begun_without_a_network_begins_once_even_if_the_page_is_loaded_again(
    window: Window, llm: LLM
) -> None:
    await window.page.evaluate(KEEPS)
    await window.context.set_offline(True)
    await window.page.reload()
    await expect(window.page.get_by_text("You are offline.")).to_be_visible()
    await window.write("Are you there? [[text=I am.]]")
    await window.page.reload()
    await expect(window.page.get_by_text("Is sent once there is a connection")).to_be_visible()
    await window.context.set_offline(False)
    await expect(window.answers).to_have_text(["I am."])
    assert len(await llm.record("ended", n=1)) == 1
    assert len(await window.ask("GET", "ai-chat/api/sessions/")) == 1


async def test_conversation_is_begun_once_when_the_answer_to_that_is_lost(window: Window) -> None:
    async def lose(route: Route) -> None:
        await route.fetch(headers={**route.request.headers, **CLOSING})
        await route.abort()

    await window.page.route(re.compile("/ai-chat/api/sessions/$"), lose, times=1)
    async with window.page.expect_event("requestfailed"):
        await window.write("Are you there? [[text=I am.]]")
    # Sooner than by itself.
    await window.page.evaluate("() => dispatchEvent(new Event('online'))")
    await expect(window.answers).to_have_text(["I am."])
    assert len(await window.ask("GET", "ai-chat/api/sessions/")) == 1


async def test_page_opens_while_its_server_is_away(server: Server, open_window: OpenWindow) -> None:
    window = await open_window(server)
    await window.page.evaluate(KEEPS)
    await window.say("Hello. [[text=Hello yourself.]]")
    server.kill()
    await window.page.reload()
    await expect(window.page.get_by_text("No connection to the server.")).to_be_visible()
    # Once there is a server, the page may have found it before anybody presses anything.
    await window.page.get_by_role("button", name="Try now").click()
    await server.start()
    await window.page.evaluate("() => dispatchEvent(new Event('online'))")
    await expect(window.answers).to_have_text(["Hello yourself."])
    await expect(window.page.get_by_text("No connection to the server.")).to_have_count(0)


async def test_only_the_page_itself_is_kept_and_nothing_of_a_person_is_left_after_signing_out(window: Window) -> None:
    page = window.page
    await page.evaluate(KEEPS)
    await window.say("A riddle of mine. [[text=And one of ours.]]")
    await page.reload()
    await expect(window.answers).to_have_text(["And one of ours."])
    await window.composer.fill("Half a riddle")
    expected = re.compile(rf"{re.escape(window.server.url)}/(assets/[\w.-]+)?")
    assert [url for url in await page.evaluate(KEPT) if not expected.fullmatch(url)] == []
    await window.context.set_offline(True)
    await window.write("A riddle that waits")
    await expect(page.get_by_text("Is sent once there is a connection")).to_be_visible()
    await window.context.set_offline(False)
    await expect(page.locator(".reply .foot")).to_have_count(2)
    await page.get_by_role("button", name="account and preferences").click()
    await page.get_by_role("menuitem", name="Sign out", exact=True).click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    remembered = await page.evaluate(REMEMBERED)
    assert "Palaver needs JavaScript" in remembered
    assert [word for word in (window.name, "riddle") if word in remembered] == []
    await window.context.set_offline(True)
    await page.reload()
    await expect(page.get_by_text("Palaver opens once there is a network.")).to_be_visible()
    await window.context.set_offline(False)
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_another_version_takes_the_place_of_the_one_that_was_kept_behind_a_prefix_too(
    shared_server: Server, open_window: OpenWindow
) -> None:
    instead: dict[str, bytes] = {}
    async with behind_a_prefix(shared_server, "/chat", instead) as url:
        window = await open_window(shared_server, at=url)
        page = window.page
        assert await page.evaluate(KEEPS) == f"{url}service-worker.js"
        worker = await (await window.context.request.get(f"{url}service-worker.js")).text()
        instead["/service-worker.js"] = re.sub(r'VERSION = "\w+"', 'VERSION = "newer"', worker, count=1).encode()
        await page.reload()
        await page.evaluate(ONLY_STORE, "/chat/ newer")
        await window.context.set_offline(True)
        await page.reload()
        await expect(page.get_by_text("You are offline.")).to_be_visible()
        await window.context.set_offline(False)
        await expect(await window.say("Hello. [[text=Hello again.]]")).to_have_text("Hello again.")
