"""Fields for passwords: nobody reads over a shoulder, and whoever has a keeper of passwords or a clipboard uses it."""

from playwright.async_api import Locator, Page, expect

from tests.journeys.client import PASSWORD
from tests.parts.palaver import Server
from tests.web.window import OpenWindow

NEW = "another one of mine"

# What a browser shows in place of each letter.
SHOWN = "(field) => getComputedStyle(field).webkitTextSecurity"


async def paste(page: Page, words: str, field: Locator) -> None:
    """From the clipboard, by the keys."""
    other = page.get_by_label("User name or e-mail").or_(page.get_by_label("Name", exact=True))
    was = await other.input_value()
    await other.fill(words)
    for key in ("ControlOrMeta+a", "ControlOrMeta+x"):
        await other.press(key)
    await other.fill(was)
    await field.press("ControlOrMeta+v")
    await expect(field).to_have_value(words)


async def test_password_is_hidden_pasted_and_kept_by_the_browser(
    shared_server: Server, open_window: OpenWindow
) -> None:
    window = await open_window(shared_server)
    page = window.page
    await page.locator(".account").click()
    await page.get_by_role("menuitem", name="Your account").click()
    old, new = page.get_by_label("Present password"), page.get_by_label("New password")
    for field, word, keeper in ((old, PASSWORD, "current-password"), (new, NEW, "new-password")):
        await paste(page, word, field)
        assert await field.evaluate(SHOWN) == "disc"
        await expect(field).to_have_attribute("autocomplete", keeper)
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.get_by_text("The password is changed.")).to_be_visible()
    await window.context.clear_cookies()
    await page.goto(shared_server.url)
    name, password = page.get_by_label("User name or e-mail"), page.get_by_label("Password")
    await name.fill(window.name)
    await paste(page, NEW, password)
    assert [await field.evaluate(SHOWN) for field in (name, password)] == ["none", "disc"]
    await expect(password).to_have_attribute("autocomplete", "current-password")
    await expect(name).to_have_attribute("autocomplete", "username")
    await page.get_by_role("button", name="Sign in").click()
    await expect(window.composer).to_be_visible()
