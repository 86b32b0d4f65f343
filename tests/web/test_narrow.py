"""What there is little room for on a phone."""

from playwright.async_api import Locator, expect

from tests.parts.llm import LLM
from tests.parts.palaver import Server
from tests.web.window import PHONE, Device, OpenWindow

WIDE = """\
| Feature | Germany | Switzerland | Constraint | Responsibility | Recommended |
|---|---|---|---|---|---|
| Immutability | supported | unsupported | serializable | administrator | occasionally |"""
BROKEN_WORDS = """(table) => [...table.querySelectorAll("th, td")].map((cell) => cell.firstChild).filter((word) => {
  const range = document.createRange();
  range.selectNodeContents(word);
  return range.getClientRects().length > 1;
}).map((word) => word.data)"""


async def test_words_in_a_wide_table_stay_whole(shared_server: Server, open_window: OpenWindow, llm: LLM) -> None:
    window = await open_window(shared_server, device=PHONE)
    await llm.control(text=WIDE)
    await window.say("Compare them.")
    table = window.answers.locator("table")
    assert await table.evaluate(BROKEN_WORDS) == []
    assert await window.page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0


async def test_toast_says_all_and_leaves_the_composer_free(
    shared_server: Server, open_window: OpenWindow, device: Device
) -> None:
    window = await open_window(shared_server, device=device)
    title = "How the rivers of Europe got their names and what became of them later"
    await window.ask("POST", "ai-chat/api/sessions/", {"title": title})
    await window.say("Hello.")
    await window.open_list()
    await window.choose(f"More about {title}", "Archive")
    toast = window.page.locator(".toast")
    await expect(toast).to_contain_text("How the rivers of Europe got t…” is in the archive")
    await toast.evaluate("(toast) => Promise.all(toast.getAnimations().map((one) => one.finished))")
    assert await bottom_of(toast) <= await top_of(window.page.locator(".composer"))
    assert await toast.locator("span").evaluate("(words) => words.scrollHeight <= words.clientHeight")


async def top_of(shown: Locator) -> float:
    box = await shown.bounding_box()
    assert box is not None
    return box["y"]


async def bottom_of(shown: Locator) -> float:
    box = await shown.bounding_box()
    assert box is not None
    return box["y"] + box["height"]
