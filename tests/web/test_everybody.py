"""The web app for those who see, point or hear otherwise: axe, the keyboard alone, and what is read out."""

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from hatch_build import fetch
from playwright.async_api import expect

from tests.parts.llm import LLM
from tests.parts.palaver import Server
from tests.web.window import Counting, Device, OpenWindow, Window

ROOT = Path(__file__).parents[2]
RUN_AXE = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .filter(({ impact }) => impact === "serious" || impact === "critical")
  .map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])"""
# What a screen reader is given to read out: what changes in a live region, or a live region that comes.
LISTEN = """() => {
  const LIVE = "[aria-live], [role=status], [role=log], [role=alert]";
  window.readOut = [];
  new MutationObserver((changes) => {
    const told = new Set();
    for (const { target, addedNodes } of changes) {
      const around = (target.nodeType === 1 ? target : target.parentElement)?.closest(LIVE);
      if (around) told.add(around);
      for (const added of addedNodes) {
        if (added.nodeType !== 1) continue;
        if (added.matches(LIVE)) told.add(added);
        for (const inside of added.querySelectorAll(LIVE)) told.add(inside);
      }
    }
    for (const live of told) if (live.textContent !== "") window.readOut.push(live.textContent);
  }).observe(document.body, { childList: true, characterData: true, subtree: true });
}"""
RICH = """# Title

Words, `code`, [a link](https://example.org).

- [x] done

| a | b |
|---|---|
| 1 | 2 |

```js
let a = 1;
```"""


@cache
def axe() -> str:
    fetch(ROOT)
    return (ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js").read_text()


async def find_faults(window: Window) -> Any:
    """What axe finds serious, with the page's animations at their end."""
    await window.page.evaluate("() => document.getAnimations().forEach((one) => { try { one.finish() } catch {} })")
    # The page's own policy keeps it from being put in as a script.
    await window.page.evaluate(axe())
    return await window.page.evaluate(RUN_AXE)


async def test_axe_finds_nothing_serious_on_any_page(
    shared_server: Server, open_window: OpenWindow, device: Device, llm: LLM
) -> None:
    window = await open_window(shared_server, device=device)
    page = window.page
    assert await find_faults(window) == []
    await window.write(f"Show me all that you can. [[text={quote_plus(RICH)}&pieces=20&hold=rich]]")
    await llm.let_go("rich", pieces=19)
    await expect(window.answers.locator("table")).to_be_visible()
    await window.write("Then this. [[text=Yes.]]")
    assert await find_faults(window) == []
    await expect(page.locator(".reply.growing")).to_have_count(1)
    await llm.let_go("rich")
    await expect(page.locator(".reply .foot")).to_have_count(2)
    await window.write("And fail. [[fault=500]]")
    await expect(page.get_by_text("No answer came.")).to_be_visible()
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        assert await find_faults(window) == []
    await page.get_by_role("button", name="Edit").last.click()
    await window.context.set_offline(True)
    await expect(page.get_by_text("You are offline.")).to_be_visible()
    assert await find_faults(window) == []
    await window.context.set_offline(False)
    await expect(page.get_by_text("You are offline.")).to_have_count(0)
    await page.get_by_label("Your message, edited").press("Escape")
    await page.get_by_role("button", name="Settings of this conversation").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await find_faults(window) == []
    await page.keyboard.press("Escape")
    await window.open_list()
    assert await find_faults(window) == []
    await page.locator(".account").click()
    assert await find_faults(window) == []
    await page.get_by_role("menuitem", name="Keyboard and help").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await find_faults(window) == []
    await page.keyboard.press("Escape")
    await page.get_by_role("link", name="Presets").click()
    await expect(page.locator(".card").first).to_be_visible()
    assert await find_faults(window) == []
    await page.get_by_role("button", name="New preset").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await find_faults(window) == []
    await page.keyboard.press("Escape")
    await window.open_list()
    await page.locator(".account").click()
    await page.get_by_role("menuitem", name="Preferences").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await find_faults(window) == []
    await window.context.clear_cookies()
    await page.reload()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert await find_faults(window) == []


async def test_focus_is_seen_wherever_tab_leads(window: Window) -> None:
    await window.say("Hello.")
    await window.page.locator("body").evaluate("(body) => body.ownerDocument.activeElement.blur()")
    unseen = await window.page.evaluate(
        """() => [...document.querySelectorAll("a[href], button, input, select, textarea, [tabindex='0']")]
          .filter((one) => one.checkVisibility() && !one.matches("#composer") && !one.disabled)
          .filter((one) => {
            one.focus({ focusVisible: true });
            const { outlineStyle, outlineWidth } = getComputedStyle(one);
            return outlineStyle === "none" || parseFloat(outlineWidth) < 2;
          })
          .map((one) => one.outerHTML)"""
    )
    assert unseen == []


async def test_replies_are_read_out_once_when_they_are_whole_and_nothing_while_they_are_written(
    window: Window, llm: LLM
) -> None:
    await window.say("Hello.")
    await window.page.evaluate(LISTEN)
    paragraphs = [f"Paragraph {n} has *some* words." for n in range(1, 61)]
    await llm.control(text="\n\n".join(paragraphs), pieces=600, delay=0.002)
    await window.say("Go on at length.")
    await window.say("And this. [[text=Yes.&pieces=1]]")
    await window.page.wait_for_function("() => window.readOut.length > 1")
    first, second = await window.page.evaluate("() => window.readOut")
    assert first.startswith("Answer: Paragraph 1 has")
    assert "Paragraph 60 has" in first
    assert second == "Answer: Yes."


async def test_reply_that_ends_otherwise_is_told_of_once(window: Window, counting: Counting) -> None:
    await window.say("Hello.")
    await window.page.evaluate(LISTEN)
    await window.write(f"Count. {counting.script}")
    await counting.go_on(2)
    await expect(window.answers.nth(1)).to_contain_text("two")
    await window.page.keyboard.press("Escape")
    await expect(window.page.get_by_text("Stopped", exact=True)).to_be_visible()
    await window.write("And fail. [[fault=500]]")
    await expect(window.page.get_by_text("No answer came.")).to_be_visible()
    await window.page.wait_for_function("() => window.readOut.length > 1")
    stopped, failed = await window.page.evaluate("() => window.readOut")
    assert stopped.startswith("Answer: one two")
    assert failed.startswith("No answer came.")


async def test_nothing_moves_for_who_wants_it_still(window: Window, counting: Counting) -> None:
    # What lasts for a hundredth of a millisecond is not seen to move.
    moving = "document.getAnimations().filter((one) => one.effect.getComputedTiming().activeDuration > 1).length"
    await window.page.emulate_media(reduced_motion="no-preference")
    await window.write(f"Count. {counting.script}")
    await expect(window.page.locator(".thinking")).to_be_visible()
    await window.page.wait_for_function(f"() => {moving} > 0")
    await window.page.emulate_media(reduced_motion="reduce")
    await window.page.wait_for_function(f"() => {moving} === 0")
    await counting.go_on(2)
    await expect(window.answers).to_contain_text("two")
    assert await window.page.evaluate(f"() => {moving}") == 0
