"""Pictures of the web app in its main states, to be looked at: `make screenshots`. The README's own are among them."""

import asyncio
import sys
from pathlib import Path

from playwright.async_api import Page, ViewportSize, expect
from scripts.animated_webp import animate
from tests.journeys.client import PASSWORD
from tests.parts.chromium import find_chromium, open_browser
from tests.parts.llm import LLM
from tests.parts.palaver import Server
from tests.parts.run import Run, open_run
from tests.web.window import DESKTOP, PHONE, Device, Window, Windows

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "build" / "screenshots"
README_PICTURE = ROOT / "docs" / "images" / "web-app.png"
README_ANIMATION = ROOT / "docs" / "images" / "streaming.webp"
# Of the animation: how fine, and how long each picture is shown, the last of them to be read.
QUALITY = 0.8
EACH_MILLISECONDS, LAST_MILLISECONDS = 120, 4000

REPLY = """\
Mondays are for people who start again. Three things carry the day:

1. **Rolls before eight.** Sourdough, still warm; half of them are gone by 7:40.
2. **Filter coffee**, with a lid, and `oat milk` that nobody has to ask for.
3. **Something savoury at noon**, see [last year's list](https://example.org/prices).

| Item | Cost | Price | Left |
|---|--:|--:|--:|
| Roll | 0.40 | 1.20 | 67 % |
| Slice | 1.10 | 3.80 | 71 % |

The margin is quickly checked:

```python
def margin(cost: float, price: float) -> float:
    \"\"\"What is left of each sale.\"\"\"
    return (price - cost) / price  # between 0 and 1
```

> Bake a little less than you think, and sell out by three.
"""
STILL = """() => Promise.allSettled(document.getAnimations()
  .filter((one) => one.effect.getTiming().iterations !== Infinity)
  .map((one) => one.finished))"""
NAME = "mira"
TALKS = ("A birthday speech for Rosa", "Why is the sky red at dusk?", "Move the shop to PostgreSQL", "Words for rain")
MARGIN = "What is the margin of a roll?"
STREAMED = "Three things for a Monday in my bakery?"
QUESTION = "I run a bakery. What sells on Mondays?"
PRESETS = (
    ("Editor", "Tightens a text and keeps its voice."),
    ("Tutor", "Asks back until you have found it yourself."),
    ("Translator", "German and Italian, with the reasons for each choice."),
)


async def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open_run() as run:
        llm = LLM(run)
        await llm.start()
        async with open_browser(find_chromium()) as browser:
            windows = Windows(browser)
            server = await start(run, llm)
            await server.cli("user", "add", NAME, "--full-name", "Mira Lindt", "--password-stdin", stdin=PASSWORD)
            desktop = await windows.open(server, NAME)
            await tell_stories(desktop, llm)
            await show_streaming(desktop, llm)
            await show_desktop(desktop, llm)
            for language in ("de", "it"):
                await show_language(await open_as(windows, server, NAME, DESKTOP, language), language)
            await show_phone(await open_as(windows, server, NAME, PHONE, "en"))
            await server.end()
            await show_first_minute(windows, await start(run, None))
            await windows.close()


async def start(run: Run, llm: LLM | None) -> Server:
    environment = {
        "PALAVER_REGISTRATION": "on",
        "PALAVER_DISCOVER_PORTS": "",
        "PALAVER_LLM_TRIES": "1",
        "LLM_SERVER_URL": "" if llm is None else llm.url,
    }
    server = Server(run, run.make_folder("server"), environment)
    await server.start()
    return server


async def open_as(windows: Windows, server: Server, name: str, device: Device, language: str) -> Window:
    return await windows.open(server, name, device=device, language=language)


async def tell_stories(window: Window, llm: LLM) -> None:
    await llm.control(text="Gladly.")
    for title in TALKS:
        await window.say(title)
        await window.begin()
    for name, description in PRESETS:
        body = {"name": name, "description": description, "system_prompt": description}
        await window.ask("POST", "ai-chat/api/presets/", body)
    await window.page.reload()
    await expect(window.composer).to_be_visible()


async def show_streaming(window: Window, llm: LLM) -> None:
    page = window.page
    await page.set_viewport_size(ViewportSize(width=960, height=640))
    text = REPLY[: REPLY.index("The margin is")]
    await llm.control(text=text, pieces=len(text) // 8, delay=0.06, first=0.5)
    await window.composer.fill(STREAMED)
    pictures = [await page.screenshot()]
    await page.get_by_role("button", name="Send").click()
    while await page.locator(".reply .foot").count() == 0:
        pictures.append(await page.screenshot())
    pictures.append(await page.screenshot())
    shown = [EACH_MILLISECONDS] * (len(pictures) - 1) + [LAST_MILLISECONDS]
    README_ANIMATION.write_bytes(await animate(page, pictures, shown, quality=QUALITY))
    sys.stdout.write(f"{README_ANIMATION.name}: {len(pictures)} pictures, {README_ANIMATION.stat().st_size} bytes\n")
    await window.begin()
    await page.set_viewport_size(ViewportSize(width=1280, height=820))


async def show_desktop(window: Window, llm: LLM) -> None:
    page = window.page
    await shoot(page, "new")
    await llm.control(text=REPLY, delay=0.02, first=0.6)
    await window.write(QUESTION)
    await expect(page.get_by_text("The assistant is thinking…")).to_be_visible()
    await shoot(page, "thinking")
    await expect(page.get_by_role("table")).to_be_visible()
    await window.write("And on Tuesdays?")
    await expect(page.get_by_text("Waits for the answer before")).to_be_visible()
    await shoot(page, "streaming")
    await expect(page.locator(".reply .foot")).to_have_count(2)
    await llm.control(fault="500")
    await window.write(MARGIN)
    await expect(page.get_by_text("No answer came.")).to_be_in_viewport()
    await shoot(page, "failed")
    await page.get_by_role("button", name="Settings of this conversation").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await shoot(page, "settings")
    await page.keyboard.press("Escape")
    await page.get_by_role("link", name="Presets").click()
    await expect(page.locator(".card")).to_have_count(4)
    await shoot(page, "presets")
    await page.get_by_role("button", name="New preset").click()
    await expect(page.get_by_role("dialog").get_by_label("Name")).to_be_visible()
    await shoot(page, "preset")
    await page.keyboard.press("Escape")
    await page.keyboard.press("Control+/")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await shoot(page, "help")
    await page.keyboard.press("Escape")
    await llm.control(text=REPLY)
    await window.begin()
    await window.say(QUESTION)
    await page.locator(".scroller").evaluate("(scroller) => { scroller.scrollTop = 0 }")
    await shoot(page, "conversation", README_PICTURE)
    await page.emulate_media(color_scheme="dark")
    await shoot(page, "dark")
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size(ViewportSize(width=1920, height=1080))
    await shoot(page, "wide")
    await page.set_viewport_size(ViewportSize(width=820, height=1100))
    await shoot(page, "tablet")
    await page.set_viewport_size(ViewportSize(width=1280, height=820))
    await window.context.set_offline(True)
    await window.write("Are you there?")
    await expect(page.get_by_text("You are offline.")).to_be_visible()
    await shoot(page, "offline")
    await window.context.set_offline(False)


async def show_language(window: Window, language: str) -> None:
    await shoot(window.page, f"new-{language}")
    await window.page.locator(".conversation a").first.click()
    await expect(window.answers.first).to_be_visible()
    await window.page.locator(".account").click()
    await shoot(window.page, f"conversation-{language}")


async def show_phone(window: Window) -> None:
    await shoot(window.page, "phone-new")
    await window.open_list()
    await shoot(window.page, "phone-list")
    await window.page.locator(".conversation a").first.click()
    await expect(window.answers.first).to_be_visible()
    await shoot(window.page, "phone")
    await window.page.emulate_media(color_scheme="dark")
    await shoot(window.page, "phone-dark")


async def show_first_minute(windows: Windows, server: Server) -> None:
    window = await windows.open(server)
    await window.page.get_by_text("No language model is connected").click()
    await shoot(window.page, "first-minute")
    await window.context.clear_cookies()
    await window.page.reload()
    await expect(window.page.get_by_role("heading", name="Sign in")).to_be_visible()
    await shoot(window.page, "sign-in")
    await server.end()


async def shoot(page: Page, name: str, also: Path | None = None) -> None:
    # What moves comes to its end first.
    await page.evaluate(STILL)
    for path in (FOLDER / f"{name}.png", also):
        if path is not None:
            await page.screenshot(path=path)
    sys.stdout.write(f"{FOLDER.name}/{name}.png\n")


if __name__ == "__main__":
    asyncio.run(main())
