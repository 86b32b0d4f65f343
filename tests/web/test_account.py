"""One's own account in the web app: what one is called, how one signs in, what one has used."""

import re
from typing import Any

import aiohttp
from playwright.async_api import Locator, expect

from tests.journeys.client import PASSWORD
from tests.parts.palaver import Server
from tests.web.test_everybody import find_faults
from tests.web.window import Device, OpenWindow, Window


async def open_account(window: Window) -> Locator:
    await window.open_list()
    await window.page.locator(".account").click()
    await window.page.get_by_role("menuitem", name="Your account").click()
    await expect(window.page.get_by_role("heading", name="Your account")).to_be_visible()
    return window.page.get_by_role("main")


async def status_with(server: Server, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as client, client.get(f"{server.url}/api/account", headers=headers) as answer:
        return answer.status


async def test_name_and_language_are_the_persons_on_every_device(
    shared_server: Server, open_window: OpenWindow, device: Device
) -> None:
    here = await open_window(shared_server, device=device)
    page = await open_account(here)
    await page.get_by_label("Name", exact=True).fill("Mira Lindt")
    await page.get_by_label("E-mail").fill(f"{here.name}@example.org")
    await page.get_by_label("Language").select_option("de")
    await page.get_by_role("button", name="Save").click()
    await expect(here.page.get_by_role("heading", name="Dein Konto")).to_be_visible()
    await expect(here.page.get_by_text("Gespeichert", exact=True)).to_be_visible()
    there = await open_window(shared_server, here.name, device=device)
    await expect(there.page.get_by_role("heading", level=1)).to_have_text("Hallo Mira Lindt. Was beschäftigt dich?")
    assert (await there.ask("GET", "api/account"))["email"] == f"{here.name}@example.org"


async def test_email_that_somebody_else_has_is_said_to_be_theirs(
    shared_server: Server, open_window: OpenWindow
) -> None:
    ana = await open_window(shared_server)
    await ana.ask("PATCH", "api/account", {"email": f"{ana.name}@example.org"})
    ben = await open_window(shared_server)
    page = await open_account(ben)
    await page.get_by_label("E-mail").fill(f"{ana.name}@example.org")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("alert")).to_have_text("Somebody else has this e-mail address.")


async def test_what_is_wrong_in_a_form_is_said_beside_it_in_ones_own_language(
    shared_server: Server, open_window: OpenWindow
) -> None:
    page = (await open_window(shared_server, language="de-DE")).page
    await page.locator(".account").click()
    await page.get_by_role("menuitem", name="Dein Konto").click()
    email = page.get_by_label("E-Mail")
    await email.fill("nowhere")
    await page.get_by_role("button", name="Speichern").click()
    await expect(page.get_by_role("alert")).to_have_text("Das ist keine E-Mail-Adresse.")
    await expect(email).to_be_focused()
    await email.fill("")
    await page.get_by_label("Neues Passwort").fill("short")
    await page.get_by_role("button", name="Passwort ändern").click()
    await expect(page.get_by_label("Aktuelles Passwort")).to_be_focused()
    missing = page.get_by_text("Das muss ausgefüllt sein.")
    await expect(missing).to_be_visible()
    await expect(page.get_by_role("alert").filter(has_text="Mindestens 8 Zeichen.")).to_be_visible()


async def test_new_password_signs_out_other_devices_and_signs_in_from_then_on(
    shared_server: Server, open_window: OpenWindow, device: Device
) -> None:
    here = await open_window(shared_server, device=device)
    there = await open_window(shared_server, here.name)
    page = await open_account(here)
    await page.get_by_label("Present password").fill("not that one")
    await page.get_by_label("New password").fill("a new one of mine")
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.get_by_role("alert")).not_to_be_empty()
    await page.get_by_label("Present password").fill(PASSWORD)
    await page.get_by_role("button", name="Change the password").click()
    await expect(here.page.get_by_text("The password is changed.")).to_be_visible()
    await expect(there.page.get_by_role("heading", name="Sign in")).to_be_visible()
    await there.page.get_by_label("User name or e-mail").fill(here.name)
    await there.page.get_by_label("Password").fill("a new one of mine")
    await there.page.get_by_role("button", name="Sign in").click()
    await expect(there.composer).to_be_visible()
    await here.begin()
    await expect(await here.say("Still here? [[text=You are.]]")).to_have_text("You are.")


async def test_token_is_shown_once_works_and_is_shut_out_when_revoked(
    shared_server: Server, open_window: OpenWindow, device: Device
) -> None:
    window = await open_window(shared_server, device=device)
    page = await open_account(window)
    await page.get_by_label("Name of the token").fill("Backup script")
    await page.get_by_label("Valid for").select_option("30 days")
    await page.get_by_role("button", name="Make a token").click()
    secret = await page.locator(".token-made code").inner_text()
    await expect(page.locator(".token-list li", has_text="Backup script")).to_contain_text("never used")
    assert await status_with(shared_server, secret) == 200
    await window.page.reload()
    await expect(page.locator(".token-list")).to_contain_text("Backup script")
    await expect(page.get_by_text(secret)).to_have_count(0)
    await page.get_by_role("button", name="Revoke Backup script").click()
    await window.page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    await expect(page.locator(".token-list", has_text="Backup script")).to_have_count(0)
    assert await status_with(shared_server, secret) == 401


async def test_what_was_used_is_told_and_axe_finds_nothing_serious(
    shared_server: Server, open_window: OpenWindow, device: Device
) -> None:
    window = await open_window(shared_server, device=device)
    await window.say("Name a river. [[text=The Loire.]]")
    used: Any = await window.ask("GET", "api/usage")
    page = await open_account(window)
    tokens_used = str(used["today"]["total_tokens"])
    await expect(page.locator(".tile").first.locator("strong")).to_have_text(f"{tokens_used} tokens")
    await expect(page.locator(".tile").first).to_contain_text("1 answer")
    await page.get_by_role("radio", name="7 days").check()
    days = page.get_by_role("img", name="Tokens a day").locator("g")
    await expect(days).to_have_count(7)
    await expect(days.last).to_contain_text(re.compile(rf": {tokens_used}$"))
    await page.get_by_text("As a table").click()
    await expect(page.get_by_role("table", name="Tokens a day").get_by_role("cell")).to_have_text(tokens_used)
    for scheme in ("light", "dark"):
        await window.page.emulate_media(color_scheme=scheme)
        assert await find_faults(window) == []


async def test_usage_that_cannot_be_had_is_said_to_be_so(window: Window) -> None:
    await window.page.route("**/api/usage", lambda route: route.fulfill(status=500))
    page = await open_account(window)
    await expect(page.get_by_role("region", name="What you have used").get_by_role("alert")).to_be_visible()
