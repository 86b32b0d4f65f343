"""Presets in the web app: whose they are, with whom they are shared, and what they were before."""

from playwright.async_api import Locator, expect

from tests.parts.palaver import Server
from tests.web.window import Device, OpenWindow, Window


async def make_preset(window: Window, name: str, prompt: str = "Be kind.") -> int:
    made = await window.ask("POST", "ai-chat/api/presets/", {"name": name, "system_prompt": prompt})
    number: int = made["id"]
    return number


async def open_gallery(window: Window) -> None:
    await (await window.open_list()).get_by_role("link", name="Presets").click()
    await expect(window.page.get_by_role("heading", name="Presets")).to_be_visible()


def card(window: Window, name: str) -> Locator:
    return window.page.locator(".card", has=window.page.get_by_role("heading", name=name, exact=True))


async def test_preset_is_shared_by_name_and_seen_until_that_is_taken_back(
    shared_server: Server, open_window: OpenWindow, device: Device
) -> None:
    ana = await open_window(shared_server, device=device)
    ben = await open_window(shared_server, device=device)
    await make_preset(ana, "Sailor")
    await open_gallery(ana)
    await ana.choose("More about Sailor", "Share")
    sheet = ana.page.get_by_role("dialog", name="Share “Sailor”")
    await sheet.get_by_label("Shared with").fill("nobody-of-that-name")
    await sheet.get_by_role("button", name="Save").click()
    await expect(sheet.get_by_role("alert")).not_to_be_empty()
    await sheet.get_by_label("Shared with").first.fill(ben.name)
    await sheet.get_by_label("Shared with").first.press("Enter")
    await expect(sheet.get_by_role("listitem")).to_have_text([ben.name])
    await sheet.get_by_role("button", name="Save").click()
    await expect(sheet).to_have_count(0)
    await open_gallery(ben)
    await ben.page.get_by_role("radio", name="Shared with me").check()
    await expect(ben.page.locator(".card")).to_have_count(1)
    await expect(card(ben, "Sailor")).to_contain_text(f"shared with you by {ana.name}")
    await ben.page.get_by_role("button", name="More about Sailor").click()
    await expect(ben.page.get_by_role("menuitem")).to_have_text(["Make a copy of my own"])
    await ben.page.get_by_role("menuitem").click()
    await ben.page.get_by_role("dialog").get_by_label("Name").fill("Sailor of mine")
    await ben.page.get_by_role("dialog").get_by_role("button", name="Save").click()
    await ben.page.get_by_role("radio", name="Mine").check()
    await expect(card(ben, "Sailor of mine")).to_contain_text("yours")
    await ana.choose("More about Sailor", "Share")
    await sheet.get_by_role("button", name=f"No longer share with {ben.name}").click()
    await sheet.get_by_role("button", name="Save").click()
    await expect(sheet).to_have_count(0)
    await ben.page.reload()
    await expect(card(ben, "general")).to_be_visible()
    await expect(card(ben, "Sailor")).to_have_count(0)


async def test_public_preset_is_everybodys_and_says_whose_it_is(shared_server: Server, open_window: OpenWindow) -> None:
    ana = await open_window(shared_server)
    ben = await open_window(shared_server)
    name = f"Public {ana.name}"
    await make_preset(ana, name)
    await open_gallery(ana)
    await ana.choose(f"More about {name}", "Share")
    await ana.page.get_by_label("Everybody here may use it").click()
    await ana.page.get_by_role("dialog").get_by_role("button", name="Save").click()
    await expect(card(ana, name)).to_contain_text("yours, for everybody here")
    await open_gallery(ben)
    await ben.page.get_by_role("radio", name="For everybody").check()
    await expect(card(ben, name)).to_contain_text(f"by {ana.name}, for everybody here")


async def test_earlier_version_is_compared_taken_back_to_and_left_again(
    shared_server: Server, open_window: OpenWindow, device: Device
) -> None:
    window = await open_window(shared_server, device=device)
    preset = await make_preset(window, "Editor", "Be brief.\nKeep the voice.")
    path = f"ai-chat/api/presets/{preset}/"
    await window.ask("PATCH", path, {"system_prompt": "Be thorough.\nKeep the voice.", "temperature": 1.5})
    await open_gallery(window)
    await window.choose("More about Editor", "Versions")
    sheet = window.page.get_by_role("dialog", name="Versions of “Editor”")
    await expect(sheet.get_by_role("listitem")).to_have_count(2)
    await expect(sheet.get_by_role("listitem").first).to_contain_text("in use")
    await sheet.get_by_role("button", name="Version 1").click()
    await expect(sheet.locator("ins")).to_contain_text("Be brief.")
    await expect(sheet.locator("del")).to_contain_text("Be thorough.")
    await expect(sheet.locator(".version dl")).to_contain_text("Temperature")
    await sheet.get_by_role("button", name="Go back to this one").click()
    await expect(sheet).to_have_count(0)
    await expect(window.page.get_by_text("Version 1 is in use again.")).to_be_visible()
    assert (await window.ask("GET", path))["system_prompt"].startswith("Be brief.")
    await window.page.get_by_role("button", name="Undo").click()
    await expect(window.page.get_by_text("Version 2 is in use again.")).to_be_visible()
    assert (await window.ask("GET", path))["system_prompt"].startswith("Be thorough.")


async def test_new_preset_with_finer_settings_keeps_them(shared_server: Server, open_window: OpenWindow) -> None:
    window = await open_window(shared_server)
    await open_gallery(window)
    await window.page.get_by_role("button", name="New preset").click()
    sheet = window.page.get_by_role("dialog")
    await sheet.get_by_label("Name").fill("Careful")
    await sheet.get_by_role("textbox", name="Instructions").fill("Take care.")
    await sheet.get_by_text("Finer settings").click()
    await sheet.get_by_label("Tokens of earlier messages").fill("900")
    await sheet.get_by_label("Same topics again", exact=True).fill("1")
    await sheet.get_by_role("button", name="Save").click()
    await expect(card(window, "Careful")).to_be_visible()
    [preset] = [one for one in await window.ask("GET", "ai-chat/api/presets/") if one["name"] == "Careful"]
    settings = await window.ask("GET", f"ai-chat/api/presets/{preset['id']}/settings/")
    assert (settings["token_budget"], settings["presence_penalty"], settings["window"]) == (900, 1, None)


async def test_failed_save_is_said_where_one_looks(
    shared_server: Server, open_window: OpenWindow, device: Device
) -> None:
    window = await open_window(shared_server, device=device)
    await open_gallery(window)
    await window.page.get_by_role("button", name="New preset").click()
    sheet = window.page.get_by_role("dialog")
    await sheet.get_by_label("Name").fill("Careful")
    await sheet.get_by_role("textbox", name="Instructions").fill("Take care.")
    await window.context.set_offline(True)
    await sheet.get_by_role("button", name="Save").click()
    said = sheet.get_by_role("status").locator(".toast")
    await expect(said).to_be_visible()
    # Nothing lies above it.
    await said.click(trial=True)
    await window.context.set_offline(False)


async def test_what_was_written_in_a_sheet_is_thrown_away_only_by_who_says_so(window: Window) -> None:
    page, keyboard = window.page, window.page.keyboard
    await open_gallery(window)
    await page.get_by_role("button", name="New preset").click()
    sheet = page.get_by_role("dialog", name="New preset")
    question = page.get_by_role("dialog", name="Discard what you have changed?")
    await sheet.get_by_label("Name").fill("Careful")
    await page.mouse.click(10, 400)
    await expect(sheet.get_by_label("Name")).to_have_value("Careful")
    for _ in range(3):
        await keyboard.press("Escape")
        await expect(question).to_be_visible()
        await keyboard.press("Escape")
        await expect(question).to_have_count(0)
        await expect(sheet.get_by_label("Name")).to_have_value("Careful")
    await sheet.get_by_role("button", name="Close").click()
    await question.get_by_role("button", name="Keep writing").click()
    await keyboard.press("Escape")
    await question.get_by_role("button", name="Discard").click()
    await expect(sheet).to_have_count(0)
    await page.get_by_role("button", name="New preset").click()
    await page.mouse.click(10, 400)
    await expect(sheet).to_have_count(0)


async def test_names_to_share_with_are_thrown_away_only_by_who_says_so(window: Window) -> None:
    await make_preset(window, "Editor")
    await open_gallery(window)
    await window.choose("More about Editor", "Share")
    sheet = window.page.get_by_role("dialog", name="Share")
    await sheet.get_by_placeholder("User name").fill("somebody")
    await sheet.get_by_role("button", name="Add").click()
    await window.page.mouse.click(10, 400)
    await expect(sheet.get_by_role("listitem")).to_have_text("somebody")
