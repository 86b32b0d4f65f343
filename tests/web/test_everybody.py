"""The web app for those who see, point or hear otherwise: axe, the keyboard alone, and what is read out."""

from functools import cache
from pathlib import Path
from typing import Any

from hatch_build import fetch
from playwright.async_api import expect

from tests.parts.palaver import Server
from tests.web.window import Device, OpenWindow, Window

ROOT = Path(__file__).parents[2]
RUN_AXE = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .filter(({ impact }) => impact === "serious" || impact === "critical")
  .map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])"""
SLOW = "[[text=one two three four five six&delay=0.2&first=0.3]]"
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
    shared_server: Server, open_window: OpenWindow, device: Device
) -> None:
    window = await open_window(shared_server, device=device)
    page = window.page
    assert await find_faults(window) == []
    await window.write(f"Count. {SLOW}")
    await expect(window.answers).to_contain_text("two")
    await window.write(f"Then this. [[text={RICH}]]")
    assert await find_faults(window) == []
    await expect(page.locator(".reply .foot")).to_have_count(2)
    await window.write("And fail. [[fault=500]]")
    await expect(page.get_by_text("No answer came.")).to_be_visible()
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        assert await find_faults(window) == []
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
    await window.context.clear_cookies()
    await page.reload()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert await find_faults(window) == []


async def test_everything_is_done_by_keyboard_alone(window: Window) -> None:
    keyboard = window.page.keyboard
    await expect(window.composer).to_be_focused()
    await keyboard.type("Name a river. [[text=The Loire.]]")
    await keyboard.press("Shift+Enter")
    await keyboard.type("Please.")
    await keyboard.press("Enter")
    await expect(window.answers).to_have_text("The Loire.")
    await expect(window.composer).to_be_focused()
    await keyboard.press("ArrowUp")
    await expect(window.page.get_by_label("Your message, edited")).to_be_focused()
    await keyboard.press("ControlOrMeta+a")
    await keyboard.type("Name a lake. [[text=Lake Garda.]]")
    await keyboard.press("Enter")
    await expect(window.answers).to_have_text("Lake Garda.")
    await keyboard.press("/")
    await keyboard.type(f"Count. {SLOW}")
    await keyboard.press("Enter")
    await expect(window.answers.nth(1)).to_contain_text("one")
    await keyboard.press("Escape")
    await expect(window.page.get_by_text("Stopped", exact=True)).to_be_visible()
    await window.page.get_by_role("button", name="More about Name a river.").focus()
    await keyboard.press("Enter")
    await expect(window.page.get_by_role("menuitem", name="Rename")).to_be_focused()
    await keyboard.press("ArrowDown")
    await expect(window.page.get_by_role("menuitem", name="Pin")).to_be_focused()
    await keyboard.press("ArrowUp")
    await keyboard.press("Enter")
    await expect(window.page.get_by_label("Rename")).to_be_focused()
    await keyboard.press("Escape")
    await keyboard.press("ControlOrMeta+/")
    await expect(window.page.get_by_role("dialog", name="Keyboard and help")).to_be_visible()
    await keyboard.press("Escape")
    await expect(window.page.get_by_role("dialog")).to_have_count(0)
    await keyboard.press("ControlOrMeta+Shift+O")
    await expect(window.page.locator(".welcome")).to_be_visible()


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


async def test_a_reply_is_read_out_once_when_it_is_whole(window: Window) -> None:
    await window.say("Hello.")
    await window.page.evaluate(
        """() => {
          window.readOut = [];
          for (const live of document.querySelectorAll("[aria-live], [role=status], [role=log], [role=alert]"))
            new MutationObserver(() => window.readOut.push(live.textContent))
              .observe(live, { childList: true, characterData: true, subtree: true });
        }"""
    )
    await window.say(f"Count. {SLOW}")
    assert await window.page.evaluate("() => window.readOut") == ["Answer: one two three four five six"]


async def test_nothing_moves_for_who_wants_it_still(window: Window) -> None:
    await window.page.emulate_media(reduced_motion="reduce")
    await window.write(f"Count. {SLOW}")
    await expect(window.page.locator(".thinking")).to_be_visible()
    moving = "() => document.getAnimations().filter((one) => one.playState === 'running').length"
    await expect(window.answers).to_contain_text("two")
    assert await window.page.evaluate(moving) == 0
