"""Pictures of the web app in its main states, to be looked at: `make screenshots`. The README's own are among them."""

import asyncio
import random
import sys
import time
from pathlib import Path

from playwright.async_api import Page, ViewportSize, expect
from scripts.animated_webp import animate
from tests.journeys.client import PASSWORD
from tests.parts.chromium import find_chromium, open_browser
from tests.parts.llm import LLM
from tests.parts.palaver import Server
from tests.parts.run import Run, open_run
from tests.web.window import DESKTOP, PHONE, Device, Window, Windows

from palaver.chat.clock import DAY, Micros
from palaver.chat.conversation import Usage
from palaver.store import StoreOptions, open_store

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
FRIEND = "ana"
TALKS = ("A birthday speech for Rosa", "Why is the sky red at dusk?", "Move the shop to PostgreSQL", "Words for rain")
MARGIN = "What is the margin of a roll?"
STREAMED = "Three things for a Monday in my bakery?"
QUESTION = "I run a bakery. What sells on Mondays?"
ADMIN = "ida"
PEOPLE = (
    {"name": "oleg", "full_name": "Oleg Sorin"},
    {"name": "tanja", "full_name": "Tanja Weiß", "email": "tanja@example.org"},
    {"name": "uma@example.org", "full_name": "Uma Nair"},
    {"name": "vito", "is_admin": True},
)
COLLECTIONS = (
    ("Bakery", "Opening hours, recipes, and what the inspector wants to see."),
    ("Minutes", "Of the baker's guild, since 2019."),
)
HOURS = """# Opening hours

We open at six, and close when the shelves are empty.

## Rolls

The first rolls are out of the oven at half past five. They are sold warm until eight.

## Sundays

On Sundays everything is an hour later, rolls included, and the oven is out by noon.
"""
SECTIONS = ("users", "apps", "servers", "models", "presets", "limits", "usage", "deliveries", "health")
PRESETS = (
    ("Editor", "Tightens a text and keeps its voice."),
    ("Tutor", "Asks back until you have found it yourself."),
    ("Translator", "German and Italian, with the reasons for each choice."),
)


async def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open_run() as run:
        llm = LLM(run, "--context-length", "2000")
        await llm.start()
        async with open_browser(find_chromium()) as browser:
            windows = Windows(browser)
            server = await start(run, llm)
            await server.cli("user", "add", NAME, "--full-name", "Mira Lindt", "--password-stdin", stdin=PASSWORD)
            desktop = await windows.open(server, NAME)
            await server.cli("user", "add", FRIEND, "--full-name", "Ana Weber", "--password-stdin", stdin=PASSWORD)
            await share_preset(await windows.open(server, FRIEND))
            await tell_stories(desktop, llm)
            await show_streaming(desktop, llm)
            await show_desktop(desktop, llm)
            await show_knowledge(desktop, llm)
            for language in ("de", "it"):
                await show_language(await open_as(windows, server, NAME, DESKTOP, language), language)
            phone = await open_as(windows, server, NAME, PHONE, "en")
            await show_phone(phone)
            await show_knowledge_on_a_phone(phone)
            await show_people(windows, server, llm)
            await show_administration(windows, server, llm)
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


async def share_preset(window: Window) -> None:
    made = {"name": "Sailor", "description": "Answers with a story of the sea.", "system_prompt": "Tell of the sea."}
    preset = await window.ask("POST", "ai-chat/api/presets/", made)
    await window.ask("PUT", f"ai-chat/api/presets/{preset['id']}/shares/", {"usernames": [NAME]})
    await window.context.close()


async def tell_stories(window: Window, llm: LLM) -> None:
    await llm.control(text="Gladly.")
    for title in TALKS:
        await window.say(title)
        await window.begin()
    for name, description in PRESETS:
        body = {"name": name, "description": description, "system_prompt": description}
        await window.ask("POST", "ai-chat/api/presets/", body)
    mine = {preset["name"]: preset["id"] for preset in await window.ask("GET", "ai-chat/api/presets/")}
    change = {"system_prompt": "Tightens a text, and keeps its voice.\nAsks when in doubt.", "temperature": 0.2}
    await window.ask("PATCH", f"ai-chat/api/presets/{mine['Editor']}/", change)
    pinned = (await window.ask("GET", "ai-chat/api/sessions/"))[0]["id"]
    await window.ask("PATCH", f"ai-chat/api/sessions/{pinned}/marks/", {"pinned": True})
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
    await page.get_by_text("Finer settings").click()
    await page.locator(".dialog").evaluate("(sheet) => sheet.scrollTo(0, sheet.scrollHeight)")
    await shoot(page, "settings-finer")
    await page.keyboard.press("Escape")
    await page.get_by_role("link", name="Presets").click()
    await expect(page.locator(".card")).to_have_count(5)
    await shoot(page, "presets")
    await window.choose("More about Editor", "Share")
    await expect(page.get_by_role("dialog").get_by_label("Shared with")).to_be_visible()
    await page.get_by_role("dialog").get_by_label("Shared with").fill("ana")
    await page.keyboard.press("Enter")
    await shoot(page, "sharing")
    await page.keyboard.press("Escape")
    await shoot(page, "discard")
    await page.get_by_role("button", name="Discard").click()
    await window.choose("More about Editor", "Versions")
    await page.get_by_role("button", name="Version 1").click()
    await expect(page.locator(".compared")).to_be_visible()
    await shoot(page, "versions")
    await page.keyboard.press("Escape")
    await page.get_by_role("searchbox", name="Search").fill("roll")
    await expect(page.locator(".found").first).to_be_visible()
    await shoot(page, "search")
    await page.get_by_role("searchbox", name="Search").fill("")
    await page.locator(".account").click()
    await page.get_by_role("menuitem", name="Your account").click()
    await expect(page.get_by_role("heading", name="What you have used")).to_be_visible()
    await page.locator(".gallery").evaluate("(page) => page.scrollTo(0, 0)")
    await shoot(page, "account")
    await page.get_by_role("link", name="Presets").click()
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


async def show_knowledge(window: Window, llm: LLM) -> None:
    page = window.page
    await page.goto(f"{window.server.url}/#/knowledge")
    for name, about in COLLECTIONS:
        await window.ask("POST", "ai-chat/api/collections/", {"name": name, "description": about})
    await page.reload()
    await page.get_by_role("link", name="Bakery", exact=True).click()
    async with page.expect_file_chooser() as chooser:
        await page.get_by_role("button", name="Upload files").click()
    await (await chooser.value).set_files(
        [
            {"name": "opening hours.md", "mimeType": "text/markdown", "buffer": HOURS.encode()},
            {"name": "scan.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7 and no more"},
        ]
    )
    await expect(page.get_by_text("Could not be read.")).to_be_visible()
    await expect(page.get_by_text("opening hours.md").locator("..")).to_contain_text("passages")
    await page.get_by_label("Try what would be found").fill("When are rolls ready?")
    await page.get_by_role("button", name="Find").click()
    await expect(page.get_by_role("list", name="What was found")).to_be_visible()
    await shoot(page, "collection")
    await page.get_by_role("link", name="Knowledge").first.click()
    await expect(page.locator(".card")).to_have_count(len(COLLECTIONS))
    await shoot(page, "knowledge")
    await window.begin()
    await llm.control(text="Gladly.")
    await window.say("Rolls on Mondays")
    await page.get_by_role("button", name="Settings of this conversation").click()
    await page.get_by_role("dialog").get_by_label("Knowledge").select_option(label="Bakery")
    await page.get_by_role("dialog").get_by_role("button", name="Save").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await llm.control(text="They are ready at **half past five** [1], on Sundays an hour later [2].")
    await window.say("When are rolls ready?")
    await expect(page.get_by_role("region", name="Sources")).to_be_visible()
    await shoot(page, "cited")
    await window.answers.last.get_by_role("button", name="Source 1").click()
    await expect(page.get_by_label("The passage that is meant")).to_be_visible()
    await shoot(page, "passage")
    await page.emulate_media(color_scheme="dark")
    await shoot(page, "passage-dark")
    await page.emulate_media(color_scheme="light")
    await page.keyboard.press("Escape")


async def show_knowledge_on_a_phone(window: Window) -> None:
    page = window.page
    await page.emulate_media(color_scheme="light")
    await window.open_list()
    await page.get_by_role("link", name="Rolls on Mondays").click()
    await expect(page.get_by_role("region", name="Sources")).to_be_visible()
    await shoot(page, "phone-cited")
    await window.answers.last.get_by_role("button", name="Source 1").click()
    await expect(page.get_by_label("The passage that is meant")).to_be_visible()
    await shoot(page, "phone-passage")
    await page.keyboard.press("Escape")
    await (await window.open_list()).get_by_role("link", name="Knowledge").click()
    await page.get_by_role("link", name="Bakery", exact=True).click()
    await expect(page.get_by_text("opening hours.md")).to_be_visible()
    await shoot(page, "phone-collection")


async def show_language(window: Window, language: str) -> None:
    await shoot(window.page, f"new-{language}")
    await window.page.locator(".conversation a").first.click()
    await expect(window.answers.first).to_be_visible()
    await window.page.locator(".account").click()
    await shoot(window.page, f"conversation-{language}")
    await window.page.goto(f"{window.server.url}/#/knowledge")
    await window.page.get_by_role("link", name="Bakery", exact=True).click()
    await expect(window.page.get_by_text("opening hours.md")).to_be_visible()
    await shoot(window.page, f"collection-{language}")


async def show_phone(window: Window) -> None:
    await expect(window.page.locator(".suggestion").first).to_be_visible()
    await expect(window.page.locator(".model-picker")).to_be_visible()
    await shoot(window.page, "phone-new")
    await window.open_list()
    await shoot(window.page, "phone-list")
    await window.page.locator(".conversation a").first.click()
    await expect(window.answers.first).to_be_visible()
    await shoot(window.page, "phone")
    await window.page.emulate_media(color_scheme="dark")
    await shoot(window.page, "phone-dark")
    await window.page.emulate_media(color_scheme="light")
    await (await window.open_list()).get_by_role("link", name="Presets").click()
    await window.page.get_by_role("button", name="New preset").click()
    await window.page.get_by_role("dialog").get_by_label("Name").fill("Half a preset")
    await window.page.get_by_role("button", name="Close").click()
    await expect(window.page.get_by_role("button", name="Discard")).to_be_visible()
    await shoot(window.page, "phone-discard")
    await window.page.get_by_role("button", name="Discard").click()


async def show_people(windows: Windows, server: Server, llm: LLM) -> None:
    """Two who talk, and a group with a bot, as one of them sees it."""
    mira = await open_as(windows, server, NAME, DESKTOP, "en")
    ana = await open_as(windows, server, FRIEND, DESKTOP, "en")
    pair = await mira.ask("POST", "api/people/conversations", {"members": [FRIEND]})
    group = await mira.ask("POST", "api/people/conversations", {"members": [FRIEND], "title": "The bakers"})
    preset = await mira.ask("POST", "ai-chat/api/presets/", {"name": "Rye", "system_prompt": "You know rye."})
    group = await mira.ask("PATCH", f"api/people/conversations/{group['id']}", {"preset_id": preset["id"]})
    places = {name: f"{server.url}/#/people/{one['id']}" for name, one in (("pair", pair), ("group", group))}
    for window in (mira, ana):
        await window.page.goto(places["pair"])
        await expect(window.composer).to_be_visible()
    await say_among_people(mira, "Are you there? The oven man comes at eight.")
    await say_among_people(mira, "I can be there from half past seven on.")
    await say_among_people(ana, "I will be late: keep me two rolls, and the long loaf if there is one left by then.")
    await say_among_people(mira, "Both are yours.")
    await expect(mira.page.get_by_text("Seen by")).to_be_visible()
    await shoot(mira.page, "people-pair")
    await mira.page.goto(places["group"])
    await ana.page.goto(places["group"])
    await say_among_people(ana, "How long does rye want to rise?")
    await llm.control(text="**Two hours** at 28 °C. Longer makes it *sour*:\n\n- 3 hours: mild\n- 5 hours: sharp")
    await say_among_people(mira, f"@{group['bot']['slug']} what do you say?")
    await expect(mira.page.locator(".bot:not(.growing) li").last).to_be_visible()
    await shoot(mira.page, "people-group")
    await mira.page.get_by_role("button", name="About this group").click()
    await expect(mira.page.get_by_role("dialog")).to_be_visible()
    await shoot(mira.page, "people-about")
    await mira.page.keyboard.press("Escape")
    await mira.page.get_by_role("button", name="Talk with somebody").click()
    await expect(mira.page.get_by_role("dialog")).to_be_visible()
    await shoot(mira.page, "people-begin")
    await mira.page.keyboard.press("Escape")
    await mira.page.emulate_media(color_scheme="dark")
    await shoot(mira.page, "people-group-dark")
    await mira.page.emulate_media(color_scheme="light")
    await mira.page.goto(f"{server.url}/#/account")
    await mira.page.get_by_role("heading", name="Notifications").scroll_into_view_if_needed()
    await shoot(mira.page, "reach")
    await mira.page.goto(f"{server.url}/#/")
    await say_among_people(ana, "Five hours it is.")
    phone = await open_as(windows, server, NAME, PHONE, "en")
    await (await phone.open_list()).get_by_role("button", name="People").click()
    await expect(phone.page.get_by_role("link", name="The bakers")).to_be_visible()
    await shoot(phone.page, "phone-people-list")
    await phone.page.get_by_role("link", name="The bakers").tap()
    await expect(phone.page.locator(".bubble", has_text="Five hours it is.")).to_be_visible()
    await shoot(phone.page, "phone-people")
    await phone.page.get_by_role("button", name="About this group").click()
    await expect(phone.page.get_by_role("dialog")).to_be_visible()
    await shoot(phone.page, "phone-people-about")


async def say_among_people(window: Window, words: str) -> None:
    await window.composer.fill(words)
    await window.composer.press("Enter")
    await expect(window.page.locator(".prompt:not(.pending)").get_by_text(words)).to_be_visible()


async def show_administration(windows: Windows, server: Server, llm: LLM) -> None:
    await add_admin(server)
    window = await windows.open(server, ADMIN)
    await use_for_a_month(window, server)
    await administer(window, llm)
    for section in SECTIONS:
        await show_section(window, section)
    page = window.page
    await page.emulate_media(color_scheme="dark")
    await show_section(window, "usage", "-dark")
    await page.emulate_media(color_scheme="light")
    await page.get_by_role("link", name="Applications").click()
    await window.choose("More about shop", "Tokens")
    await page.get_by_role("button", name="Make a token").click()
    await expect(page.get_by_text("Copy it now")).to_be_visible()
    await shoot(page, "admin-token")
    for language in ("de", "it"):
        await show_section(await open_as(windows, server, ADMIN, DESKTOP, language), "models", f"-{language}")
    phone = await open_as(windows, server, ADMIN, PHONE, "en")
    for section in ("users", "servers", "usage"):
        await show_section(phone, section, "-phone")


async def add_admin(server: Server) -> None:
    await server.cli("user", "add", ADMIN, "--admin", "--full-name", "Ida Berg", "--password-stdin", stdin=PASSWORD)


async def use_for_a_month(window: Window, server: Server) -> None:
    """What a small office uses, in the ledger as if it had been."""
    people = [(await window.ask("POST", "api/admin/users", person))["user"]["name"] for person in PEOPLE]
    chance = random.Random(5)
    now = time.time_ns() // 1000
    async with open_store(StoreOptions(Path(server.environment["PALAVER_DATA_DIR"]))) as store:
        users = [found[0] for name in people if (found := await store.accounts.find_user(name)) is not None]
        for day in range(30):
            for user in users:
                used = Usage(chance.randrange(2_000, 60_000), chance.randrange(500, 9_000))
                model = chance.choice(("qwen3:8b", "qwen3:8b", "gpt-4", "gpt-4o-mini"))
                await store.ledger.add_usage(user.id, None, model, used, Micros(now - day * DAY), billed_as=model)


async def administer(window: Window, llm: LLM) -> None:
    ask = window.ask
    await ask("POST", "api/admin/apps", {"name": "shop"})
    await ask("POST", "api/admin/apps", {"name": "phone-app"})
    await ask("POST", "api/admin/servers", {"name": "gpu-2", "url": llm.url, "key": "sk", "weight": 2})
    await ask("POST", "api/admin/servers", {"name": "attic", "url": "http://127.0.0.1:9", "most_at_once": 4})
    await ask("PATCH", "api/admin/users/oleg", {"disabled": True})
    await ask("PUT", "api/admin/limits/mira", {"tokens_a_day": 50_000, "money_a_month": 20_000_000})
    await ask("PUT", "api/admin/limits/shop", {"turns_a_minute": 600, "replies_at_once": 0})
    models = {model["name"]: model["id"] for model in await ask("GET", "api/admin/models")}
    said = {"display_name": "Qwen 3, ours", "description": "Quick, and stays in the house.", "context_length": 32_768}
    await ask("PATCH", f"api/admin/models/{models['qwen3:8b']}", said)
    await ask("PATCH", f"api/admin/models/{models['gpt-4']}", {"is_hidden": True})
    await ask("POST", "api/admin/prices", {"model": "gpt-4o-mini", "input": 150_000, "output": 600_000})


async def show_section(window: Window, section: str, ending: str = "") -> None:
    await window.page.goto(f"{window.server.url}/#/administration/{section}")
    await expect(window.page.locator(".admin-section h2")).to_be_visible()
    await window.page.wait_for_load_state("networkidle")
    await shoot(window.page, f"admin-{section}{ending}")


async def show_first_minute(windows: Windows, server: Server) -> None:
    window = await windows.open(server)
    await window.page.get_by_text("No language model is connected").click()
    await shoot(window.page, "first-minute")
    await add_admin(server)
    admin = await windows.open(server, ADMIN)
    await admin.page.get_by_text("No language model is connected").click()
    await expect(admin.page.get_by_role("button", name="Connect")).to_be_visible()
    await shoot(admin.page, "first-minute-admin")
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
