"""Whatever somebody writes, it is text: no script runs, no dialog opens, nothing is fetched from elsewhere.

The policy that the page comes with would stop most of it by itself, so it is switched off here: what is tested is that
nothing gets as far as that.
"""

import asyncio
from collections.abc import Sequence

from playwright.async_api import Page, expect

from tests.journeys.client import PASSWORD, new_name
from tests.parts.llm import LLM
from tests.parts.palaver import Server
from tests.web.payloads import ELSEWHERE, PAYLOADS
from tests.web.window import SECONDS, OpenWindow, Window

# What there may be in the page is what the app itself is made of.
FOREIGN = (
    "script:not([src^='./assets/']), iframe, object, embed, base, meta[http-equiv], form[action], [formaction], "
    "style, link[rel=stylesheet]:not([href^='./assets/'], [href^='http://127.0.0.1']), [srcset], [background], "
    "[poster], [style*='url'], "
    ":is(.prose, .bubble, .card, .sidebar nav) :is(img, video, audio, svg:not(.icon), template, marquee), "
    "math :is([href], [id], [class*=x], maction, annotation-xml)"
)
HANDLERS = """() => [...document.querySelectorAll("*")].flatMap((element) =>
  [...element.attributes].filter(({ name }) => name.startsWith("on")).map(({ name }) => name))"""
SCHEMES = """() => [...new Set([...document.querySelectorAll("a[href]")].map((link) => link.protocol))]"""
# What every object of the page has, and what stands there.
INHERITED = """() => [Object, Array, Function].map(({ prototype }) => Object.getOwnPropertyNames(prototype).map(
  (name) => `${name}: ${typeof Object.getOwnPropertyDescriptor(prototype, name).value}`))"""
# To the second frame after an image of our own has come, which is the last that was asked for.
SETTLED = """() => new Promise((done) => {
  const mark = new Image();
  mark.onload = () => requestAnimationFrame(() => requestAnimationFrame(() => done()));
  mark.src = `./assets/icon-192.png?${Math.random()}`;
})"""
MESSAGE, TITLE, NAME = 9_000, 255, 100


async def test_corpus_is_as_large_as_it_is_said_to_be() -> None:
    assert len(set(PAYLOADS)) >= 400


async def test_nothing_that_is_said_runs_or_fetches(shared_server: Server, open_window: OpenWindow, llm: LLM) -> None:
    window = await open_window(shared_server, bypass_csp=True)
    watch = Watch(window)
    await llm.control(text="\n\n".join(PAYLOADS), pieces=20)
    for part in in_parts(PAYLOADS, MESSAGE):
        await window.say(part)
    await expect(window.answers.locator("math").first).to_be_attached()
    await watch.expect_nothing(window.page)


async def test_nothing_that_has_a_name_runs_or_fetches(shared_server: Server, open_window: OpenWindow) -> None:
    other = await open_window(shared_server)
    person = new_name()
    await shared_server.cli("user", "add", person, "--full-name", PAYLOADS[0], "--password-stdin", stdin=PASSWORD)
    window = await open_window(shared_server, person, bypass_csp=True)
    watch = Watch(window)
    printable = [payload for payload in PAYLOADS if payload.strip().isprintable() and len(payload) <= NAME]
    assert len(printable) >= 400
    titles, names = in_parts(printable, TITLE, " "), in_parts(printable, NAME, " ")
    for title in titles:
        await window.ask("POST", "ai-chat/api/sessions/", {"title": title, "system_prompt": title})
    for name in names:
        public = {"name": name, "description": name, "system_prompt": name, "is_public": True}
        await other.ask("POST", "ai-chat/api/presets/", public)
    await expect(window.page.locator(".conversation")).to_have_count(min(100, len(titles)))
    await watch.expect_nothing(window.page)
    await window.page.locator(".conversation a").first.click()
    await window.page.get_by_text("Instructions").click()
    await watch.expect_nothing(window.page)
    await window.page.get_by_role("button", name="Settings of this conversation").click()
    await expect(window.page.get_by_role("dialog")).to_be_visible()
    await watch.expect_nothing(window.page)
    await window.page.keyboard.press("Escape")
    await window.page.get_by_role("link", name="Presets").click()
    await expect(window.page.locator(".card")).to_have_count(1 + len(names))
    await watch.expect_nothing(window.page)


async def test_names_that_every_object_has_are_names_like_others(
    shared_server: Server, open_window: OpenWindow
) -> None:
    names = ("__proto__", "constructor", "hasOwnProperty")
    await shared_server.cli("user", "add", names[0], "--password-stdin", stdin=PASSWORD)
    window = await open_window(shared_server, names[0])
    was = await window.page.evaluate(INHERITED)
    for name in names:
        await window.ask("POST", "ai-chat/api/sessions/", {"title": name, "system_prompt": name})
        await window.ask("POST", "ai-chat/api/presets/", {"name": name, "system_prompt": name, "category": name})
    await expect(window.page.locator(".conversation")).to_have_text([*reversed(names)])
    await window.page.get_by_role("link", name="Presets").click()
    for name in names:
        # Others on this server may have shared whatever they like.
        await expect(window.page.locator(".card").filter(has_text=name).first).to_be_visible()
    # Nor is what a server says of the fields of a form taken for what all objects have.
    refused = {name: ["No."] for name in (*names, "old_password")}
    await window.page.route("**/api/account/password", lambda route: route.fulfill(status=400, json=refused))
    await window.page.locator(".account").click()
    await window.page.get_by_role("menuitem", name="Your account").click()
    await window.page.get_by_label("Present password").fill(PASSWORD)
    await window.page.get_by_label("New password").fill("another one of mine")
    await window.page.get_by_role("button", name="Change the password").click()
    await expect(window.page.get_by_role("alert").filter(has_text="No.")).to_be_visible()
    assert await window.page.evaluate(INHERITED) == was


async def test_image_from_elsewhere_is_fetched_when_it_is_asked_for_and_not_before(window: Window) -> None:
    asked: list[str] = []
    window.page.on("request", lambda request: asked.append(request.url))
    await window.say(f"Show me. [[text=![A river]({ELSEWHERE}/river.png)]]")
    shown = window.page.get_by_role("button", name="A river")
    await expect(shown).to_contain_text("Load from elsewhere.invalid")
    assert [url for url in asked if ELSEWHERE in url] == []
    async with window.page.expect_request(f"{ELSEWHERE}/river.png") as request:
        await shown.click()
    assert (await (await request.value).all_headers()).get("referer", "") == ""


async def test_link_says_where_it_leads_and_leads_there_in_a_window_of_its_own(window: Window) -> None:
    await window.say(f"Where? [[text=See [the bank]({ELSEWHERE}/login).]]")
    link = window.answers.get_by_role("link")
    await expect(link).to_have_accessible_name("the bank (leads to elsewhere.invalid)")
    await expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    await expect(link).to_have_attribute("target", "_blank")


async def test_formula_is_drawn_as_one_and_is_as_harmless_as_all_else(window: Window) -> None:
    watch = Watch(window)
    await window.say(r"How long? [[text=It is \(\sqrt{x}\), or \(\href{javascript:alert(1)}{x}\) long.]]")
    await expect(window.answers.locator("math msqrt")).to_be_visible()
    await watch.expect_nothing(window.page)


class Watch:
    """Over a page: what ran in it, and what it fetched."""

    def __init__(self, window: Window) -> None:
        self._url = window.server.url
        self._happened: list[str] = []
        page = window.page
        page.on("dialog", lambda dialog: self._happened.append(f"dialog {dialog.message}"))
        page.on("popup", lambda popup: self._happened.append(f"popup {popup.url}"))
        page.on("framenavigated", lambda frame: self._check(frame.url))
        page.on("request", lambda request: self._check(request.url))

    def _check(self, url: str) -> None:
        if not url.startswith((self._url, "data:", "about:")):
            self._happened.append(url)

    async def expect_nothing(self, page: Page) -> None:
        # Events of what is only now on the page have their turn first.
        await asyncio.wait_for(page.evaluate(SETTLED), SECONDS)
        assert self._happened == []
        assert await page.locator(FOREIGN).evaluate_all("(found) => found.map((one) => one.outerHTML)") == []
        assert await page.evaluate(HANDLERS) == []
        assert set(await page.evaluate(SCHEMES)) <= {"http:", "https:", "mailto:"}


def in_parts(payloads: Sequence[str], most: int, between: str = "\n\n") -> list[str]:
    """All of them, in texts of at most that length."""
    parts = [""]
    for payload in payloads:
        if len(parts[-1]) + len(payload) + len(between) > most and parts[-1]:
            parts.append("")
        parts[-1] += f"{payload}{between}"
    return list(dict.fromkeys(part.strip() for part in parts))
