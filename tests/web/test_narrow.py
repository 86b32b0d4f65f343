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
