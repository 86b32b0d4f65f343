"""A window of the web app, and what somebody in front of it does."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from playwright.async_api import APIResponse, Browser, BrowserContext, Locator, Page, expect

from tests.journeys.client import PASSWORD, new_name
from tests.parts.chromium import open_page
from tests.parts.llm import LLM
from tests.parts.palaver import Server

# Cores are shared: what takes a blink elsewhere may take a while here.
SECONDS = 60
expect.set_options(timeout=SECONDS * 1000)


@dataclass(frozen=True)
class Device:
    name: str
    context: dict[str, Any] = field(hash=False)


DESKTOP = Device("desktop", {"viewport": {"width": 1280, "height": 820}})
PHONE = Device("phone", {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True})


# What the page takes away by itself after so many milliseconds stays: a test may look later than that.
# A service worker has no window.
STAYS = """(those) => {
  const begin = globalThis.setTimeout;
  globalThis.setTimeout = (run, after, ...rest) => those.includes(after) ? 0 : begin(run, after, ...rest);
}"""
# A toast, and that somebody else writes.
TAKEN_AWAY = [6_000, 8_000]
# That one has stopped writing.
WRITES_NO_MORE = 4_000
# That one looks at a page which is out of sight.
LOOKS_AWAY = 10_000

# Playwright keeps the connections of its own requests, and loses a request on one that the server is just closing.
CLOSING = {"Connection": "close"}


class Counting:
    """An answer that counts, as far as the test lets it: what is seen of it stays so until the test goes on."""

    text = "one two three four five six seven eight nine ten"
    script = f"[[text={text}&hold=counting]]"

    def __init__(self, llm: LLM) -> None:
        self._llm = llm

    async def go_on(self, pieces: int | None = None) -> None:
        """So many words further, or to the end."""
        await self._llm.let_go("counting", pieces=pieces)


class Window:
    def __init__(self, page: Page, server: Server, device: Device, name: str) -> None:
        self.page = page
        self.server = server
        self.device = device
        self.name = name
        self.composer = page.get_by_label("Message", exact=True)
        self.prompts = page.locator(".prompt .bubble")
        self.replies = page.locator(".reply")
        self.answers = page.locator(".reply .prose")
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if is_complaint(said.text) else None)

    @property
    def context(self) -> BrowserContext:
        return self.page.context

    async def begin(self) -> None:
        """A conversation that has nothing in it yet."""
        await (await self.open_list()).get_by_role("link", name="New conversation").click()
        await expect(self.page.locator(".welcome")).to_be_visible()

    async def write(self, words: str) -> None:
        await self.composer.fill(words)
        await self.page.get_by_role("button", name="Send").click()

    async def say(self, words: str) -> Locator:
        """Gives the answer once it is whole."""
        asked = await self.prompts.count() if "/c/" in self.page.url else 0
        await self.write(words)
        await expect(self.prompts).to_have_count(asked + 1)
        await expect(self.page.locator(".reply .foot")).to_have_count(asked + 1)
        return self.answers.last

    async def open_list(self) -> Locator:
        """On a phone it is behind a button."""
        sidebar = self.page.locator(".sidebar")
        if self.device is PHONE and "open" not in (await sidebar.get_attribute("class") or ""):
            await self.page.locator(".menu-button").tap()
        return sidebar

    async def choose(self, menu: str, item: str) -> None:
        await self.page.get_by_role("button", name=menu).click()
        await self.page.get_by_role("menuitem", name=item, exact=True).click()

    async def write_half(self, words: str) -> None:
        """Others see this person write until they send it or take it back."""
        await self.page.evaluate(STAYS, [WRITES_NO_MORE])
        await self.composer.press_sequentially(words)

    async def texts(self) -> list[str]:
        """All that is said in the conversation, in order."""
        return [text.strip() for text in await self.page.locator(".bubble, .reply .prose").all_inner_texts()]

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """As the app asks, with the cookies of this window."""
        answer = await self.send(method, path, body)
        assert answer.ok, await answer.text()
        return await answer.json()

    async def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = MappingProxyType({})
    ) -> APIResponse:
        """The same, whatever is answered."""
        csrf = next(one["value"] for one in await self.context.cookies() if one["name"] == "csrftoken")
        headers = {**CLOSING, "X-CSRFToken": csrf, **headers}
        return await self.context.request.fetch(f"{self.server.url}/{path}", method=method, data=body, headers=headers)


OpenWindow = Callable[..., Awaitable[Window]]


class Windows:
    def __init__(self, browser: Browser, *, keeps_page: bool = False) -> None:
        self._browser = browser
        self._keeps_page = keeps_page
        self._opened: list[Window] = []

    async def open(
        self,
        server: Server,
        name: str | None = None,
        *,
        device: Device = DESKTOP,
        language: str = "en-GB",
        at: str = "",
        **context_options: Any,
    ) -> Window:
        """A browser of its own. Without a name it is somebody new. `at`: an address that is not the server's own."""
        context = await self._browser.new_context(
            locale=language,
            reduced_motion="reduce",
            service_workers="allow" if self._keeps_page else "block",
            **device.context,
            **context_options,
        )
        context.set_default_timeout(SECONDS * 1000)
        await context.add_init_script(f"({STAYS})({TAKEN_AWAY})")
        url = at or server.url
        if name is None:
            name = new_name()
            made = await context.request.post(
                f"{server.url}/auth/register/", data={"username": name, "password": PASSWORD}, headers=CLOSING
            )
            assert made.ok, await made.text()
        signed_in = await context.request.post(
            f"{url.rstrip('/')}/sign-in", data={"username": name, "password": PASSWORD}, headers=CLOSING
        )
        assert signed_in.ok, await signed_in.text()
        window = Window(await open_page(context, own_pace=self._keeps_page), server, device, name)
        self._opened.append(window)
        await window.page.goto(url)
        await expect(window.page.locator("#composer")).to_be_visible()
        if device is DESKTOP:
            # From here on the keys go where somebody expects it.
            await expect(window.page.locator("#composer")).to_be_focused()
        return window

    async def close(self) -> None:
        complaints = [complaint for window in self._opened for complaint in window.complaints]
        for window in self._opened:
            await window.context.close()
        assert complaints == []


def is_complaint(said: str) -> bool:
    """That the server is away, or says no, is told in the console by the browser itself."""
    return any(word in said for word in ("Content Security Policy", "Trusted", "Warning:", "Uncaught"))
