"""The page for admins: everything that they look after, on a desktop and on a phone."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Literal

import pytest
from playwright.async_api import Locator, expect

from palaver.llm_server import Options, running
from palaver.llm_server.server import Running
from tests.journeys.client import PASSWORD, Client, new_name, open_client
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer
from tests.web.payloads import PAYLOADS
from tests.web.test_account import open_account
from tests.web.test_everybody import find_faults
from tests.web.test_hostile_words import Watch
from tests.web.window import DESKTOP, PHONE, Device, OpenWindow, Window

SECTIONS = ("users", "apps", "servers", "models", "presets", "limits", "usage", "health")


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_REGISTRATION": "on", "PALAVER_LLM_TRIES": "1", "PALAVER_TURNS_A_MINUTE": "900"}


@pytest.fixture(scope="module")
async def admin_name(shared_server: Server) -> str:
    return await add_admin(shared_server)


async def add_admin(server: Server) -> str:
    name = new_name()
    await server.cli("user", "add", name, "--admin", "--password-stdin", stdin=PASSWORD)
    return name


@pytest.fixture
async def admin(shared_server: Server, open_window: OpenWindow, admin_name: str, device: Device, llm: LLM) -> Window:
    """An admin's window, on each device. The model says what it says at first."""
    assert llm.url
    return await open_window(shared_server, admin_name, device=device)


# What looks alike on both is gone through on one of them.
at_a_desk = pytest.mark.parametrize("device", [DESKTOP], ids=["desktop"])
on_a_phone = pytest.mark.parametrize("device", [PHONE], ids=["phone"])


@dataclass(frozen=True)
class Person:
    """Somebody who talks by a script."""

    name: str
    client: Client


@pytest.fixture
async def people(shared_server: Server) -> AsyncIterator[list[Person]]:
    async with open_client(shared_server) as nobody:
        yield [await register(nobody) for _ in range(2)]


async def register(nobody: Client) -> Person:
    name = new_name()
    made = await nobody.post("/auth/register/", username=name, password=PASSWORD)
    assert made.status == 201, made.text
    return Person(name, nobody.bearing(made.body["token"]))


@pytest.fixture
async def other_llm() -> AsyncIterator[Running]:
    async with running(Options(port=0, models=("own",), api_key="right")) as llm:
        yield llm


async def go_to(window: Window, section: str) -> Locator:
    """The section of the page, once it is there."""
    await window.page.goto(f"{window.server.url}/#/administration/{section}")
    shown = window.page.locator(".admin-section")
    link = window.page.locator(f".admin-sections a[href$='/{section}']")
    await expect(link).to_have_attribute("aria-current", "page")
    await expect(shown.get_by_role("heading", level=2)).to_be_visible()
    return shown


def row(window: Window, name: str) -> Locator:
    return window.page.locator(".admin-row", has=window.page.get_by_text(name, exact=True))


# The first minute


async def test_first_model_is_connected_on_the_page_itself_and_answers(
    start_server: StartServer, open_window: OpenWindow, device: Device, llm: LLM
) -> None:
    server = await start_server(LLM_SERVER_URL="", PALAVER_DISCOVER_PORTS="", PALAVER_REGISTRATION="on")
    person = await open_window(server, device=device)
    await person.page.get_by_text("No language model is connected").click()
    await expect(person.page.get_by_text("ask whoever runs this server")).to_be_visible()
    await expect(person.page.get_by_role("button", name="Connect")).to_have_count(0)
    await person.say("Hello?")
    await expect(person.page.get_by_role("button", name="Settings of this conversation")).to_contain_text("No model")

    admin = await open_window(server, await add_admin(server), device=device)
    page = admin.page
    await page.evaluate("() => { window.mark = 'not loaded again' }")
    await page.get_by_text("No language model is connected").click()
    for address, said in (("http://127.0.0.1:1", "Nobody answers there."), ("nowhere", "Give an address like")):
        await page.get_by_label("Address").fill(address)
        await page.get_by_role("button", name="Connect").click()
        await expect(page.get_by_role("alert")).to_contain_text(said)
        await expect(page.get_by_label("Address")).to_be_focused()
    assert await admin.ask("GET", "api/admin/servers") == []
    await page.get_by_label("Address").fill(llm.url)
    await page.get_by_role("button", name="Connect").click()
    await expect(page.get_by_text("No language model is connected")).to_have_count(0)
    await page.get_by_label("Model").select_option("gpt-4")
    assert await page.evaluate("() => window.mark") == "not loaded again"
    await expect(await admin.say("Hello? [[text=Here I am.]]")).to_have_text("Here I am.")
    await expect(admin.page.get_by_role("button", name="Settings of this conversation")).to_contain_text("gpt-4")
    assert (await llm.record("ended", n=1))[-1].body["model"] == "gpt-4"


# Who may


async def test_administration_is_reached_from_ones_own_name_by_admins_alone(
    shared_server: Server, open_window: OpenWindow, admin: Window, device: Device
) -> None:
    person = await open_window(shared_server, device=device)
    answers: list[int] = []
    person.page.on("response", lambda answer: answers.append(answer.status))
    await person.page.reload()
    await (await person.open_list()).locator(".account").click()
    await expect(person.page.get_by_role("menuitem", name="Preferences")).to_be_visible()
    await expect(person.page.get_by_role("menuitem", name="Administration")).to_have_count(0)
    assert answers
    assert max(answers) < 400
    await person.page.goto(f"{shared_server.url}/#/administration")
    await expect(person.page.get_by_role("heading", name="This page is for administrators.")).to_be_visible()

    await (await admin.open_list()).locator(".account").click()
    await admin.page.get_by_role("menuitem", name="Administration").click()
    await expect(admin.page.get_by_role("heading", name="Users")).to_be_visible()
    assert await admin.page.title() == "Users · Administration · Palaver"
    await expect(admin.page.locator(".sidebar.open")).to_have_count(0)
    await admin.page.get_by_role("link", name="Health").click()
    await expect(admin.page.get_by_role("heading", name="Health")).to_be_visible()
    await expect(admin.page.get_by_role("link", name="Health", exact=True)).to_be_in_viewport(ratio=1)


# People and applications


async def test_person_is_added_enters_by_the_link_and_is_shut_out(
    shared_server: Server, admin: Window, open_window: OpenWindow, device: Device
) -> None:
    page, name = admin.page, new_name()
    await go_to(admin, "users")
    await page.get_by_role("button", name="New user").click()
    sheet = page.get_by_role("dialog")
    await sheet.get_by_label("User name").fill("two words")
    await sheet.get_by_role("button", name="Add").click()
    await expect(sheet.get_by_role("alert")).to_contain_text("Use 1 to 50 letters")
    await expect(sheet.get_by_label("User name")).to_be_focused()
    await sheet.get_by_label("User name").fill(admin.name)
    await sheet.get_by_role("button", name="Add").click()
    await expect(sheet.get_by_role("alert")).to_have_text("This is taken already.")
    await sheet.get_by_label("User name").fill(name)
    await sheet.get_by_label("Full name").fill("Mira Lindt")
    await sheet.get_by_role("button", name="Add").click()
    await expect(page.get_by_role("dialog", name=f"{name} is added")).to_be_visible()
    link = await sheet.locator("code").inner_text()
    await page.keyboard.press("Escape")

    other = await open_window(shared_server, device=device)
    await other.context.clear_cookies()
    await other.page.goto(link)
    await expect(other.page.get_by_role("heading", name="Hello Mira Lindt.")).to_be_visible()

    await page.get_by_label("Find by name or e-mail").fill("mira li")
    await expect(page.get_by_text("1 person", exact=True)).to_be_visible()
    await admin.choose(f"More about {name}", "Make administrator")
    await expect(row(admin, name)).to_contain_text("administrator")
    await admin.choose(f"More about {name}", "No longer administrator")
    await expect(row(admin, name)).not_to_contain_text("administrator")
    await admin.choose(f"More about {name}", "Disable")
    await expect(row(admin, name)).to_contain_text("disabled")
    await expect(other.page.get_by_role("heading", name="Sign in")).to_be_visible()
    await admin.choose(f"More about {name}", "Erase…")
    await sheet.get_by_role("button", name="Erase").click()
    await expect(page.get_by_text("Nobody is called so.")).to_be_visible()


async def test_last_admin_is_told_that_somebody_has_to_stay(start_server: StartServer, open_window: OpenWindow) -> None:
    server = await start_server()
    name = await add_admin(server)
    window = await open_window(server, name)
    await go_to(window, "users")
    await window.choose("More about admin", "Disable")
    await expect(row(window, "admin")).to_contain_text("disabled")
    await window.choose(f"More about {name}", "Disable")
    await expect(window.page.get_by_text("Nobody else here could sign in")).to_be_visible()
    await window.choose(f"More about {name}", "Erase…")
    sheet = window.page.get_by_role("dialog")
    await sheet.get_by_role("button", name="Erase").click()
    await expect(sheet.get_by_role("alert")).to_contain_text("Nobody else here could sign in")


@at_a_desk
async def test_more_people_than_a_page_holds_are_shown_when_asked_for(admin: Window) -> None:
    mark = new_name()
    for n in range(51):
        await admin.ask("POST", "api/admin/users", {"name": f"{mark}-{n:02}"})
    await go_to(admin, "users")
    await admin.page.get_by_label("Find by name or e-mail").fill(mark)
    await expect(admin.page.get_by_text("51 people", exact=True)).to_be_visible()
    await expect(admin.page.locator(".admin-row")).to_have_count(50)
    await admin.page.get_by_role("button", name="Show more").click()
    await expect(admin.page.locator(".admin-row")).to_have_count(51)


@at_a_desk
async def test_application_is_added_and_its_token_shown_once(shared_server: Server, admin: Window) -> None:
    page, name = admin.page, new_name()
    await go_to(admin, "apps")
    await page.get_by_role("button", name="New application").click()
    sheet = page.get_by_role("dialog")
    await sheet.get_by_label("Name").fill(name)
    await sheet.get_by_role("button", name="Add").click()
    await expect(page.get_by_role("dialog", name=f"Tokens of {name}")).to_be_visible()
    await sheet.get_by_label("What it is for").fill("Till 1")
    await sheet.get_by_label("Days it lives").fill("30")
    await sheet.get_by_role("button", name="Make a token").click()
    await expect(sheet.get_by_text("it is not shown again")).to_be_visible()
    async with open_client(shared_server) as client:
        app = client.bearing(await sheet.locator("code").inner_text())
        assert (await app.get("/ai-chat/api/sessions/")).status == 200
        await page.keyboard.press("Escape")
        await admin.choose(f"More about {name}", "Tokens")
        await expect(sheet.get_by_text("Till 1")).to_be_visible()
        await expect(sheet.locator("code")).to_have_count(0)
        await sheet.get_by_role("button", name="Revoke Till 1").click()
        await expect(sheet.get_by_text("It has no token, and cannot sign in.")).to_be_visible()
        assert (await app.get("/ai-chat/api/sessions/")).status == 401
    await page.keyboard.press("Escape")
    await admin.choose(f"More about {name}", "Disable")
    await expect(row(admin, name)).to_contain_text("disabled")


# LLM servers and models


async def test_server_is_added_tested_changed_and_removed_and_its_models_are_talked_to(
    admin: Window, other_llm: Running
) -> None:
    page, name = admin.page, new_name()
    await go_to(admin, "servers")
    await expect(row(admin, "llm-server")).to_contain_text("from the settings")
    await page.get_by_role("button", name="Add a server").click()
    sheet = page.get_by_role("dialog")
    await sheet.get_by_label("Name").fill(name)
    await sheet.get_by_label("Address").fill("ftp://nowhere")
    await sheet.get_by_label("Key", exact=True).fill("wrong")
    await sheet.get_by_role("button", name="Add").click()
    await expect(sheet.get_by_role("alert")).to_contain_text("Give an address like")
    await sheet.get_by_label("Address").fill(other_llm.url)
    await sheet.get_by_role("button", name="Add").click()
    await expect(page.get_by_text(f"{name}: It answers, and does not accept the key.")).to_be_visible()
    await expect(row(admin, name)).to_contain_text("does not answer")
    await admin.choose(f"More about {name}", "Edit")
    # What is kept is never in the page.
    await expect(sheet.get_by_label("Key", exact=True)).to_have_value("")
    await expect(sheet.get_by_label("Key", exact=True)).to_have_attribute("placeholder", "stays as it is")
    await sheet.get_by_label("Key", exact=True).fill("right")
    await sheet.get_by_label("Most answers at once").fill("3")
    await sheet.get_by_role("button", name="Save").click()
    await expect(row(admin, name)).to_contain_text("at most 3 at once · has a key")
    await expect(row(admin, name)).to_contain_text("Offers own")
    await admin.choose(f"More about {name}", "Test")
    await expect(page.get_by_text(re.compile(rf"{name}: answered in \d+ ms with 1 model")).last).to_be_visible()
    assert "right" not in await page.content()

    await admin.begin()
    await page.get_by_label("Model").select_option("own")
    other_llm.stand_in.control({"text": "I am new here."})
    await expect(await admin.say("Who are you?")).to_have_text("I am new here.")

    await go_to(admin, "servers")
    await admin.choose(f"More about {name}", "Remove…")
    await sheet.get_by_role("button", name="Remove").click()
    await expect(row(admin, name)).to_have_count(0)
    await page.get_by_role("button", name="Ask for models").click()
    await expect(page.get_by_text("Models available now: 4.")).to_be_visible()


@on_a_phone
async def test_model_is_named_priced_hidden_and_made_the_default(admin: Window) -> None:
    page, shown, name = admin.page, new_name(), "gpt-4.1-mini"
    await go_to(admin, "models")
    model = page.locator(".admin-row", has_text=name)
    await model.get_by_role("button").click()
    await page.get_by_role("menuitem", name="Edit").click()
    sheet = page.get_by_role("dialog", name=name)
    await sheet.get_by_label("Name that people read").fill(shown)
    await sheet.get_by_label("Context length").fill("0.5")
    await sheet.get_by_label("Context length").evaluate("(field) => field.removeAttribute('min')")
    await sheet.get_by_label("Context length").evaluate("(field) => field.setAttribute('step', 'any')")
    await sheet.get_by_role("button", name="Save").click()
    await expect(sheet.get_by_role("alert")).to_have_text("Must be a whole number.")
    await sheet.get_by_label("Context length").fill("8192")
    await sheet.get_by_label("Not offered to choose").check()
    await sheet.get_by_role("button", name="Save").click()
    await expect(row(admin, shown)).to_contain_text("takes 8,192 tokens")
    await expect(row(admin, shown)).to_contain_text("hidden")
    assert shown not in [one["display_name"] for one in await admin.ask("GET", "ai-chat/api/models/")]

    await admin.choose(f"More about {shown}", "Prices")
    sheet = page.get_by_role("dialog", name=f"Prices of {name}")
    await sheet.get_by_label("A million tokens read").fill("0.4")
    await sheet.get_by_label("A million tokens written").fill("1.6")
    await sheet.get_by_role("button", name="Set the price").click()
    await expect(sheet.get_by_text("holds now")).to_be_visible()
    await sheet.get_by_label("From", exact=True).fill("2099-01-01")
    await sheet.get_by_role("button", name="Set the price").click()
    await expect(sheet.get_by_text("to come")).to_be_visible()
    await sheet.get_by_role("button", name="Take back").click()
    await expect(sheet.get_by_text("to come")).to_have_count(0)
    await page.keyboard.press("Escape")
    await expect(row(admin, shown)).to_contain_text("$0.40 for a million tokens read, $1.60 written")

    await admin.choose(f"More about {shown}", "Make it the default")
    await expect(row(admin, shown)).to_contain_text("default")
    await expect(page.get_by_text("default", exact=True)).to_have_count(1)
    await admin.choose(f"More about {shown}", "Show again")
    await expect(row(admin, shown)).not_to_contain_text("hidden")


# Presets, limits, usage, health


@at_a_desk
async def test_preset_of_somebody_else_is_shared_changed_and_erased(admin: Window, people: list[Person]) -> None:
    owner, friend = people
    name = new_name()
    made = await owner.client.post("/ai-chat/api/presets/", name=name, system_prompt="Be brief.")
    assert made.status == 201
    page = admin.page
    await page.goto(f"{admin.server.url}/#/presets")
    await expect(page.get_by_role("heading", name="general", exact=True)).to_be_visible()
    await expect(page.get_by_role("heading", name=name)).to_have_count(0)
    await go_to(admin, "presets")
    await expect(row(admin, name)).to_contain_text(f"by {owner.name}")
    await admin.choose(f"More about {name}", "Who may use it")
    sheet = page.get_by_role("dialog")
    await sheet.get_by_label("Further people").fill("nobody-of-that-name")
    await sheet.get_by_role("button", name="Save").click()
    await expect(sheet.get_by_role("alert")).to_have_text("Unknown user name.")
    await sheet.get_by_label("Further people").fill(friend.name)
    await sheet.get_by_role("button", name="Save").click()
    await expect(row(admin, name)).to_contain_text("shared with 1 person")
    assert name in [one["name"] for one in (await friend.client.get("/ai-chat/api/presets/")).body]
    await admin.choose(f"More about {name}", "Edit")
    await sheet.get_by_label("Name").fill(f"{name}-2")
    await sheet.get_by_role("button", name="Save").click()
    await admin.choose(f"More about {name}-2", "Delete…")
    await sheet.get_by_role("button", name="Erase").click()
    await expect(row(admin, f"{name}-2")).to_have_count(0)


@on_a_phone
async def test_limits_are_given_and_taken_back(admin: Window, people: list[Person]) -> None:
    person = people[0]
    page = admin.page
    await go_to(admin, "limits")
    await expect(page.get_by_text("For every person: Messages a minute: 900", exact=True)).to_be_visible()
    await expect(page.get_by_text("For every application with all its users: no limit")).to_be_visible()
    await page.get_by_role("button", name="Other limits for somebody").click()
    sheet = page.get_by_role("dialog")
    messages = sheet.get_by_label("Messages a minute")
    await expect(messages).to_have_attribute("placeholder", "By settings: 900 (applications: no limit)")
    await sheet.get_by_label("For whom").fill("nobody-of-that-name")
    await sheet.get_by_role("button", name="Save").click()
    await expect(sheet.get_by_role("alert")).to_have_text("Not found.")
    await sheet.get_by_label("For whom").fill(person.name)
    await sheet.get_by_label("Tokens a day").fill("5000")
    await sheet.get_by_label("Money a month").fill("2.5")
    await sheet.get_by_label("Messages a minute").fill("0")
    await sheet.get_by_role("button", name="Save").click()
    given = row(admin, person.name)
    await expect(given).to_contain_text("Messages a minute: no limit · Tokens a day: 5,000 · Money a month: $2.50")
    budget = (await person.client.get("/api/usage")).body["budget"]
    assert {one["limit"]: one["most"] for one in budget} == {"tokens_a_day": 5000, "money_a_month": 2_500_000}
    await admin.choose(f"More about {person.name}", "As the settings say again")
    await expect(given).to_have_count(0)


async def test_usage_is_charted_and_can_be_had_as_a_table(admin: Window, people: list[Person]) -> None:
    person = people[0]
    assert (await person.client.post("/api/v1/chat/", message="How much is this?")).status == 200
    used = (await person.client.get("/api/usage")).body["today"]["total_tokens"]
    shown = await go_to(admin, "usage")
    by_user = shown.get_by_role("region", name="By user")
    await expect(by_user.get_by_role("img", name="Tokens: By user")).to_be_visible()
    await by_user.get_by_text("As a table").click()
    line = by_user.get_by_role("row", name=person.name)
    await expect(line.get_by_role("cell")).to_have_text(f"{used:,}")
    days = shown.get_by_role("region", name="By day")
    await expect(days.locator(".columns-one")).to_have_count(30)
    await shown.get_by_role("radio", name="Answers").check()
    await expect(line.get_by_role("cell")).to_have_text("1")
    await shown.get_by_label("Period").select_option("Last month")
    await expect(by_user.get_by_text("Nothing was used.")).to_be_visible()
    await shown.get_by_label("Period").select_option("Last 7 days")
    async with admin.page.expect_download() as download:
        await shown.get_by_role("link", name="Download as CSV: By user").click()
    path = await (await download.value).path()
    assert person.name in path.read_text()


@at_a_desk
async def test_health_is_told_and_followed(admin: Window, llm: LLM) -> None:
    shown = await go_to(admin, "health")
    await expect(shown.locator("li", has_text="This server")).to_contain_text("ready")
    await expect(shown.locator("li", has_text="Language models")).to_contain_text("can be talked to")
    await expect(shown.locator("li", has_text="LLM server llm-server")).to_contain_text("answers")
    await llm.control(fault="500", on="models")
    await go_to(admin, "servers")
    await admin.page.get_by_role("button", name="Ask for models").click()
    await expect(row(admin, "llm-server")).to_contain_text("does not answer")
    await llm.control()
    await admin.page.get_by_role("button", name="Ask for models").click()
    await expect(row(admin, "llm-server").get_by_text("answers", exact=True)).to_be_visible()


@at_a_desk
async def test_what_health_cannot_tell_it_says_so(admin: Window) -> None:
    await admin.page.route("**/api/admin/servers", lambda route: route.fulfill(status=500))
    shown = await go_to(admin, "health")
    await expect(shown.locator("li", has_text="This server")).to_contain_text("ready")
    await expect(shown.locator("li", has_text="LLM servers")).to_contain_text("cannot be told just now")


@pytest.mark.over_both
async def test_what_administration_looks_like_is_left_behind_with_it(admin: Window) -> None:
    await admin.say("Name a river.")
    lights = (await go_to(admin, "health")).get_by_role("list")
    # Those of the server and of its models stand there at once, that of the LLM server once it was asked for.
    await expect(lights.get_by_role("listitem").nth(2)).to_be_visible()
    assert await height_of(lights) >= 3 * 40
    await go_to(admin, "usage")
    await expect(admin.page.get_by_role("region", name="By model").get_by_role("img")).to_be_visible()
    account = await open_account(admin)
    today = account.get_by_role("img", name="Tokens a day").locator(".columns-one").last
    await expect(today).to_be_visible()
    assert await height_of(today) > 20


async def height_of(shown: Locator) -> float:
    box = await shown.bounding_box()
    assert box is not None
    return box["height"]


# Everybody


async def test_axe_finds_nothing_serious_in_any_section(admin: Window, device: Device) -> None:
    scheme: Literal["light", "dark"] = "dark" if device is PHONE else "light"
    await admin.page.emulate_media(color_scheme=scheme)
    for section in SECTIONS:
        await go_to(admin, section)
        await expect(admin.page.locator("[aria-busy=true]")).to_have_count(0)
        assert await find_faults(admin) == [], section
    for section, button in (("users", "New user"), ("servers", "Add a server"), ("limits", "Other limits")):
        await go_to(admin, section)
        await admin.page.get_by_role("button", name=button).click()
        await expect(admin.page.get_by_role("dialog")).to_be_visible()
        assert await find_faults(admin) == [], section
        await admin.page.keyboard.press("Escape")


async def test_people_are_administered_by_keyboard_alone(
    shared_server: Server, open_window: OpenWindow, admin_name: str
) -> None:
    window = await open_window(shared_server, admin_name)
    page, keyboard, name = window.page, window.page.keyboard, new_name()
    await page.locator(".account").focus()
    await keyboard.press("Enter")
    await expect(page.get_by_role("menuitem", name="Your account")).to_be_focused()
    administration = page.get_by_role("menuitem", name="Administration")
    await expect(administration).to_be_visible()
    await keyboard.press("ArrowDown")
    await keyboard.press("ArrowDown")
    await expect(administration).to_be_focused()
    await keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Users")).to_be_visible()
    await tab_to(page.get_by_role("button", name="New user"))
    await keyboard.press("Enter")
    await tab_to(page.get_by_label("User name"))
    await keyboard.type(name)
    await keyboard.press("Enter")
    await expect(page.get_by_role("dialog", name=f"{name} is added")).to_be_visible()
    await keyboard.press("Escape")
    await expect(page.get_by_role("button", name="New user")).to_be_focused()
    await window.ask("POST", "api/admin/users", {"name": f"{name}-2"})
    await tab_to(page.get_by_label("Find by name or e-mail"))
    await keyboard.type(name)
    await expect(page.get_by_text("2 people", exact=True)).to_be_visible()
    await tab_to(page.get_by_role("button", name=f"More about {name}", exact=True))
    await keyboard.press("Enter")
    await expect(page.get_by_role("menuitem", name="Sign-in link")).to_be_focused()
    await keyboard.press("End")
    await keyboard.press("Enter")
    await tab_to(page.get_by_role("dialog").get_by_role("button", name="Erase"))
    await keyboard.press("Enter")
    # Whoever goes leaves the focus to who is next, and the last one to the heading.
    await expect(page.get_by_role("button", name=f"More about {name}-2")).to_be_focused()
    await keyboard.press("Enter")
    await expect(page.get_by_role("menuitem", name="Sign-in link")).to_be_focused()
    await keyboard.press("End")
    await keyboard.press("Enter")
    await tab_to(page.get_by_role("dialog").get_by_role("button", name="Erase"))
    await keyboard.press("Enter")
    await expect(page.get_by_text("Nobody is called so.")).to_be_visible()
    await expect(page.get_by_role("heading", name="Users")).to_be_focused()


async def tab_to(target: Locator) -> None:
    """By the Tab key alone, in at most as many steps as a page has."""
    for _ in range(60):
        await target.page.keyboard.press("Tab")
        if await target.evaluate("(one) => one === document.activeElement"):
            return
    raise AssertionError(f"Tab leads nowhere near {target}")


@pytest.mark.parametrize(
    ("language", "title", "section"), [("de", "Verwaltung", "Verbrauch"), ("it", "Amministrazione", "Consumo")]
)
async def test_administration_speaks_the_language_of_the_browser(
    shared_server: Server, open_window: OpenWindow, admin_name: str, language: str, title: str, section: str
) -> None:
    window = await open_window(shared_server, admin_name, language=language)
    shown = await go_to(window, "usage")
    await expect(window.page.get_by_role("heading", level=1)).to_have_text(title)
    await expect(shown.get_by_role("heading", level=2)).to_have_text(section)


async def test_nothing_that_has_a_name_runs_or_fetches_in_the_pages_for_admins(
    shared_server: Server, open_window: OpenWindow, admin_name: str
) -> None:
    window = await open_window(shared_server, admin_name, bypass_csp=True)
    watch = Watch(window)
    ask, mark = window.ask, new_name()
    fitting = [payload.strip() for payload in PAYLOADS if len(payload) <= 100 and payload.strip().isprintable()]
    names = fitting[::8]
    server = {"name": mark, "url": "http://127.0.0.1:1", "models": names}
    await ask("POST", "api/admin/servers", server)
    models = {model["name"]: model["id"] for model in await ask("GET", "api/admin/models")}
    await ask("POST", "api/admin/apps", {"name": mark})
    for n, name in enumerate(names):
        await ask("POST", "api/admin/users", {"name": f"{mark}-{n}", "full_name": name})
        await ask("POST", f"api/admin/apps/{mark}/tokens", {"label": name})
        preset = {"name": name, "description": name, "system_prompt": name, "is_public": True}
        await ask("POST", "ai-chat/api/presets/", preset)
        said = {"display_name": name, "description": name}
        await ask("PATCH", f"api/admin/models/{models[name]}", said)
    for section in SECTIONS:
        await go_to(window, section)
        await expect(window.page.locator("[aria-busy=true]")).to_have_count(0)
        await watch.expect_nothing(window.page)
    await go_to(window, "apps")
    await window.choose(f"More about {mark}", "Tokens")
    await expect(window.page.get_by_role("dialog").locator(".admin-row")).to_have_count(len(names))
    await watch.expect_nothing(window.page)
    await window.page.keyboard.press("Escape")
    for preset in await ask("GET", "api/admin/presets"):
        await remove(window, f"ai-chat/api/presets/{preset['id']}/")
    await remove(window, f"api/admin/servers/{mark}")


async def remove(window: Window, path: str) -> None:
    """Where it can be removed: what comes with the server stays."""
    await window.send("DELETE", path)
