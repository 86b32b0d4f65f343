"""Everything that can be done in the web app, by the keys alone, by somebody who sees at each step where they are."""

import pytest
from playwright.async_api import TimeoutError as TooLate
from playwright.async_api import expect

from tests.journeys.client import PASSWORD
from tests.parts.llm import LLM
from tests.parts.palaver import Server
from tests.web.window import SECONDS, Counting, OpenWindow, Window

# A second full round finds nothing that the first has not found.
FAR = 60
# What has the focus is in view, and has a ring of two pixels, or stands in one (the message field), or what stands for
# it does (a choice of several), or is the heading that a page begins with, where there is nothing to press. Past the
# last and before the first the browser's own window has it.
IS_SEEN = """(mayLeave) => {
  const one = document.activeElement;
  if (one === null || one === document.body) return mayLeave;
  if (one.matches("dialog, [role=menu]")) return false;
  const { top, bottom, left, right } = one.getBoundingClientRect();
  const isInView = bottom > 0 && right > 0 && top < innerHeight && left < innerWidth;
  const isOutlined = (it) => it !== null && getComputedStyle(it).outlineStyle !== "none"
    && parseFloat(getComputedStyle(it).outlineWidth) >= 2;
  const isShown = one.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const isRinged = one.id === "composer" && getComputedStyle(one.form).boxShadow.includes("0px 0px 0px 1px");
  const isBeginning = one.matches("h1[tabindex='-1']");
  return isInView && (isRinged || isBeginning || (isShown && isOutlined(one)) || isOutlined(one.nextElementSibling));
}"""
NAME_OF = """(one) =>
  (one.getAttribute("aria-label") ?? one.labels?.[0]?.textContent ?? one.textContent).trim()"""
NAME = f"() => document.activeElement === document.body ? '' : ({NAME_OF})(document.activeElement)"
# What has that in its name can be stepped on, in front of whatever else there is.
IS_THERE = f"""(name) => [...document.querySelectorAll("a, button, input, select, textarea, summary, [tabindex]")].some(
  (one) => !one.disabled && one.checkVisibility() && ({NAME_OF})(one).includes(name))"""


class Keys:
    """Of a window whose mouse is never touched."""

    def __init__(self, window: Window) -> None:
        self.page = window.page

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.page.keyboard.press(key)
        await self.check(may_leave=False)

    async def check(self, *, may_leave: bool) -> None:
        try:
            await self.page.wait_for_function(IS_SEEN, arg=may_leave, timeout=SECONDS * 1000)
        except TooLate as late:
            raise AssertionError(await self.page.evaluate("() => document.activeElement.outerHTML")) from late

    async def type(self, words: str, *keys: str) -> None:
        await self.page.keyboard.type(words)
        await self.press(*keys)

    async def reach(self, name: str, key: str = "Tab") -> None:
        """Once it is there, by one step after the other, each of them seen."""
        await self.page.wait_for_function(IS_THERE, arg=name, timeout=SECONDS * 1000)
        passed = []
        for _ in range(FAR):
            await self.page.keyboard.press(key)
            await self.check(may_leave=True)
            passed.append(await self.page.evaluate(NAME))
            if name in passed[-1]:
                return
        raise AssertionError(f"{name} is not among {passed}.")

    async def do(self, name: str, key: str = "Tab") -> None:
        await self.reach(name, key)
        await self.press("Enter")

    async def choose(self, menu: str, item: str) -> None:
        await self.do(menu)
        await expect(self.page.get_by_role("menu")).to_be_visible()
        await self.page.wait_for_function("() => document.activeElement.closest('[role=menu]') !== null")
        while await self.page.evaluate(NAME) != item:
            await self.press("ArrowDown")
        await self.press("Enter")


@pytest.fixture
async def keys(window: Window) -> Keys:
    # What fades in is there at once.
    await window.page.emulate_media(reduced_motion="reduce")
    return Keys(window)


async def test_somebody_signs_in_and_out(shared_server: Server, open_window: OpenWindow) -> None:
    window = await open_window(shared_server)
    await window.page.emulate_media(reduced_motion="reduce")
    keys = Keys(window)
    await keys.choose(window.name, "Sign out")
    await expect(window.page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(window.page.get_by_label("User name or e-mail")).to_be_focused()
    await keys.type(window.name, "Tab")
    await keys.type("wrong", "Enter")
    await expect(window.page.get_by_role("alert")).not_to_be_empty()
    await keys.press("ControlOrMeta+a")
    await keys.type(PASSWORD, "Enter")
    await expect(window.composer).to_be_focused()


async def test_messages_are_sent_stopped_edited_and_answered_again_and_branches_are_leafed_through(
    window: Window, keys: Keys, counting: Counting
) -> None:
    page = window.page
    await expect(window.composer).to_be_focused()
    await keys.type("Name a river. [[text=The Loire.]]", "Shift+Enter")
    await keys.type("Please.", "Enter")
    await expect(window.answers).to_have_text("The Loire.")
    await expect(window.composer).to_be_focused()
    await keys.type(f"Count. {counting.script}", "Enter")
    await counting.go_on(1)
    await expect(window.answers.nth(1)).to_contain_text("one")
    await keys.press("Escape")
    await expect(page.get_by_text("Stopped", exact=True)).to_be_visible()
    await keys.do("Another answer", "Shift+Tab")
    await expect(page.locator(".growing .prose")).to_contain_text("one")
    await expect(window.composer).to_be_focused()
    await keys.do("Stop the answer")
    await expect(page.get_by_text("Stopped", exact=True)).to_be_visible()
    await expect(window.composer).to_be_focused()
    await expect(page.get_by_text("2/2")).to_be_visible()
    await keys.do("Previous version", "Shift+Tab")
    await expect(page.get_by_text("1/2")).to_be_visible()
    await expect(page.get_by_role("button", name="Next version")).to_be_focused()
    await keys.press("Enter")
    await expect(page.get_by_text("2/2")).to_be_visible()
    await keys.press("/")
    await expect(window.composer).to_be_focused()
    await keys.press("ArrowUp")
    await expect(page.get_by_label("Your message, edited")).to_be_focused()
    await keys.press("Escape")
    await expect(window.composer).to_be_focused()
    await keys.do("Edit", "Shift+Tab")
    await keys.press("ControlOrMeta+a")
    await keys.type("Name a lake. [[text=Lake Garda.]]", "Enter")
    await expect(window.answers.nth(1)).to_have_text("Lake Garda.")
    await expect(window.composer).to_be_focused()
    await keys.type("And fail. [[text=At last.&fault=500&times=1&key=by-keys]]", "Enter")
    await expect(page.get_by_text("No answer came.")).to_be_visible()
    await keys.do("Try again", "Shift+Tab")
    await expect(window.answers.nth(2)).to_have_text("At last.")
    await expect(window.composer).to_be_focused()


async def test_conversations_are_begun_found_renamed_and_deleted(window: Window, keys: Keys) -> None:
    page = window.page
    await keys.type("Rivers", "Enter")
    await expect(window.answers).to_have_count(1)
    await keys.press("ControlOrMeta+Shift+o")
    await expect(page.locator(".welcome")).to_be_visible()
    await keys.type("Lakes", "Enter")
    await expect(page.get_by_role("heading", name="Lakes")).to_be_visible()
    await keys.do("Rivers")
    await expect(page.get_by_role("heading", name="Rivers")).to_be_visible()
    await keys.choose("More about Lakes", "Rename")
    await expect(page.get_by_label("Rename")).to_be_focused()
    await keys.type("Seas", "Enter")
    await expect(page.get_by_role("link", name="Seas")).to_be_focused()
    await keys.choose("More about Seas", "Rename")
    await keys.press("Escape")
    await expect(page.get_by_role("link", name="Seas")).to_be_focused()
    await keys.choose("More about Seas", "Pin")
    await expect(page.get_by_role("heading", name="Pinned")).to_be_visible()
    await expect(page.get_by_role("button", name="More about Seas")).to_be_focused()
    await keys.press("Enter")
    await expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
    await keys.press("ArrowDown")
    await expect(page.get_by_role("menuitem", name="Unpin")).to_be_focused()
    await keys.press("ArrowDown", "Enter")
    await expect(page.get_by_role("link", name="Seas")).to_have_count(0)
    await expect(window.composer).to_be_focused()
    await keys.do("Archive", "Shift+Tab")
    await expect(page.get_by_role("link", name="Seas")).to_be_visible()
    await keys.press("Enter")
    await expect(page.get_by_role("link", name="Rivers")).to_be_visible()
    await expect(page.get_by_role("button", name="Archive")).to_be_focused()
    await keys.choose("More about Rivers", "Delete")
    await expect(page.get_by_role("link", name="Rivers")).to_have_count(0)
    await expect(window.composer).to_be_focused()
    await keys.do("Undo", "Shift+Tab")
    await expect(page.get_by_role("link", name="Rivers")).to_be_visible()
    await keys.do("Rivers")
    await expect(page.get_by_role("heading", name="Rivers")).to_be_visible()
    await keys.do("New conversation")
    await expect(page.locator(".welcome")).to_be_visible()
    await expect(window.composer).to_be_focused()


async def test_last_of_the_older_messages_leave_the_reader_where_they_are_and_the_focus_in_the_page(
    window: Window, keys: Keys, llm: LLM
) -> None:
    await llm.control(text="Yes.")
    session = await window.ask("POST", "ai-chat/api/sessions/", {"title": "Long"})
    for n in range(1, 61):
        await window.ask("POST", f"ai-chat/api/sessions/{session['id']}/send_message/", {"message": f"Question {n}"})
    # The list is told of it in its own time.
    await expect(window.page.get_by_role("link", name="Long 60 new answers")).to_be_visible()
    await keys.do("Long")
    await expect(window.prompts).to_have_count(50)
    await window.page.get_by_role("button", name="Earlier messages").focus()
    await keys.press("Enter")
    await expect(window.prompts).to_have_count(60)
    await expect(window.page.get_by_text("Question 11", exact=True)).to_be_in_viewport()
    await expect(window.composer).to_be_focused()


async def test_settings_presets_and_preferences_are_changed_and_help_is_found(window: Window, keys: Keys) -> None:
    page = window.page
    dialog = page.get_by_role("dialog")
    await keys.type("Hello", "Enter")
    await expect(page.locator(".reply .foot")).to_have_count(1)
    settings = page.get_by_role("button", name="Settings of this conversation")
    await keys.reach("Settings of this conversation", "Shift+Tab")
    await keys.press("Enter")
    await expect(dialog).to_be_visible()
    await keys.reach("Title")
    await keys.press("ControlOrMeta+a")
    await keys.type("Rivers")
    await keys.do("Save")
    await expect(dialog).to_have_count(0)
    await expect(page.get_by_role("heading", name="Rivers")).to_be_visible()
    await expect(settings).to_be_focused()
    await keys.press("ControlOrMeta+/")
    await expect(page.get_by_role("dialog", name="Keyboard and help")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(settings).to_be_focused()
    await keys.choose(window.name, "Preferences")
    await expect(dialog).to_be_visible()
    await keys.reach("As the system")
    await keys.press("ArrowRight")
    await expect(page.get_by_label("Light")).to_be_checked()
    await keys.reach("Show answers while")
    await keys.press("Space")
    await expect(page.get_by_label("Show answers while they are written")).not_to_be_checked()
    await page.keyboard.press("Escape")
    await expect(page.locator(".account")).to_be_focused()
    await keys.do("Presets")
    await keys.do("New preset")
    await expect(dialog).to_be_visible()
    await keys.reach("Name")
    await keys.type("Pirate")
    await keys.reach("Instructions")
    await keys.type("You are a pirate.")
    await keys.do("Save")
    await expect(page.locator(".card", has_text="Pirate")).to_be_visible()
    await expect(page.get_by_role("button", name="New preset")).to_be_focused()
    await keys.choose("More about Pirate", "Delete")
    await expect(dialog).to_be_visible()
    await keys.do("Delete")
    await expect(page.locator(".card", has_text="Pirate")).to_have_count(0)
    await expect(page.get_by_role("button", name="New preset")).to_be_focused()
