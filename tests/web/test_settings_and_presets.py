"""What a conversation is talked with, presets, and how each person likes the page."""

import re

from playwright.async_api import expect

from tests.journeys.client import ask_until, open_client
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer
from tests.web.window import Device, OpenWindow, Window


async def test_settings_of_a_conversation_hold_from_the_next_message_on(
    shared_server: Server, open_window: OpenWindow, device: Device, llm: LLM
) -> None:
    window = await open_window(shared_server, device=device)
    await window.say("First. [[text=One.]]")
    await window.page.get_by_role("button", name="Settings of this conversation").click()
    sheet = window.page.get_by_role("dialog")
    await sheet.get_by_label("Title").fill("Rivers")
    await sheet.get_by_label("Model").select_option("gpt-4")
    await sheet.get_by_label("Temperature").fill("1.2")
    await sheet.get_by_label("Longest answer").fill("77")
    await sheet.get_by_role("textbox", name="Instructions").fill("Answer in one word.")
    await sheet.get_by_role("button", name="Save").click()
    await expect(sheet).to_have_count(0)
    await expect(window.page.get_by_role("heading", name="Rivers")).to_be_visible()
    await expect(window.page.get_by_text("Instructions")).to_be_visible()
    await window.write("Second. [[text=Two.]]")
    await expect(window.answers.nth(1)).to_have_text("Two.")
    asked = (await llm.record("ended", n=2))[1].body
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == ("gpt-4", 1.2, 77)
    assert asked["messages"][0] == {"role": "system", "content": "Answer in one word."}
    await window.page.get_by_role("button", name="Settings of this conversation").click()
    await expect(sheet.get_by_role("textbox", name="Instructions")).to_have_value("Answer in one word.")
    await expect(sheet.get_by_label("Model")).to_have_value("gpt-4")


async def test_all_that_the_api_settles_of_a_conversation_is_settled_in_the_page(
    shared_server: Server, open_window: OpenWindow, device: Device, llm: LLM
) -> None:
    window = await open_window(shared_server, device=device)
    await window.say("First. [[text=One.]]")
    await window.page.get_by_role("button", name="Settings of this conversation").click()
    sheet = window.page.get_by_role("dialog")
    await sheet.get_by_text("Finer settings").click()
    await sheet.get_by_label("Earlier messages the assistant sees").fill("4")
    await sheet.get_by_label("Tokens of earlier messages").fill("500")
    await sheet.get_by_label("Same topics again", exact=True).fill("0.5")
    await sheet.get_by_label("Same words again", exact=True).fill("-1.5")
    await sheet.get_by_label("May use tools").click()
    await sheet.get_by_label("Give an answer again").click()
    await sheet.get_by_role("button", name="Save").click()
    await expect(sheet).to_have_count(0)
    session = window.page.url.rpartition("/")[2]
    settings = await window.ask("GET", f"ai-chat/api/sessions/{session}/settings/")
    del settings["model_name"], settings["temperature"], settings["max_tokens"]
    assert settings == {
        "window": 4, "token_budget": 500, "presence_penalty": 0.5, "frequency_penalty": -1.5,
        "enable_tools": False, "caches_answers": True, "provider": None, "collection": None,
    }  # fmt: skip
    await window.say("Second. [[text=Two.]]")
    asked = (await llm.record("ended", n=2))[1].body
    assert (asked["presence_penalty"], asked["frequency_penalty"]) == (0.5, -1.5)
    await window.page.get_by_role("button", name="Settings of this conversation").click()
    await sheet.get_by_text("Finer settings").click()
    await sheet.get_by_role("button", name="Same words again: leave it to the server").click()
    await sheet.get_by_role("button", name="Save").click()
    await expect(sheet).to_have_count(0)
    settings = await window.ask("GET", f"ai-chat/api/sessions/{session}/settings/")
    assert (settings["presence_penalty"], settings["frequency_penalty"]) == (0.5, None)


async def wait_for_models(server: Server) -> None:
    """A server that has just started is ready without them, where they are not told at once."""
    async with open_client(server) as nobody:
        admin = nobody.bearing(await server.token("admin"))
        await ask_until(lambda: admin.get("/ai-chat/api/models/"), lambda answer: "qwen3:8b" in answer.text, seconds=60)


async def test_picker_of_models_tells_which_is_the_default_and_whether_it_answers(
    start_server: StartServer, open_window: OpenWindow, own_llm: LLM, device: Device
) -> None:
    server = await start_server(LLM_SERVER_URL=own_llm.url)
    await wait_for_models(server)
    window = await open_window(server, device=device)
    await window.say("Hello.")
    head = window.page.get_by_role("button", name="Settings of this conversation")
    sheet = window.page.get_by_role("dialog")
    await head.click()
    model = sheet.get_by_label("Model", exact=True)
    await expect(model.get_by_role("option", selected=True)).to_have_text("qwen3:8b (default)")
    await expect(model).to_have_accessible_description(re.compile("^ready"))
    await window.page.keyboard.press("Escape")
    own_llm.process.kill()
    await window.write("Anybody there?")
    await expect(window.page.get_by_text("No answer came.")).to_be_visible()
    await window.page.reload()
    await head.click()
    await expect(model).to_have_accessible_description(re.compile("does not answer"))


async def test_gauge_tells_how_much_the_model_holds_of_the_conversation(
    start_server: StartServer, open_window: OpenWindow, own_llm: LLM, device: Device
) -> None:
    server = await start_server(LLM_SERVER_URL=own_llm.url)
    await wait_for_models(server)
    window = await open_window(server, device=device)
    async with open_client(server) as nobody:
        admin = nobody.bearing(await server.token("admin"))
        for model in await window.ask("GET", "ai-chat/api/models/"):
            priced = await admin.post("/api/admin/prices", model=model["name"], input=50_000_000, output=50_000_000)
            assert priced.status == 201
    await window.say(f"Keep this in mind: {'word ' * 300} [[text=I do.]]")
    await window.page.get_by_role("button", name="Settings of this conversation").click()
    gauge = window.page.get_by_role("dialog").get_by_label("What the assistant sees")
    await expect(gauge.get_by_role("meter")).to_have_attribute("aria-valuetext", re.compile(r"^\d+%$"))
    await expect(gauge).to_contain_text("of the 1,000 tokens that it can hold")
    await expect(gauge).to_contain_text(re.compile(r"All of it has cost \$0\.0\d+, answers in other branches included"))


async def test_setting_that_cannot_be_is_said_beside_its_field(window: Window) -> None:
    await window.say("First.")
    await window.page.get_by_role("button", name="Settings of this conversation").click()
    sheet = window.page.get_by_role("dialog")
    await sheet.get_by_label("Longest answer").evaluate("(field) => field.removeAttribute('min')")
    await sheet.get_by_label("Longest answer").fill("0")
    await sheet.get_by_role("button", name="Save").click()
    await expect(sheet.get_by_role("alert")).not_to_be_empty()


async def test_preset_is_made_used_changed_and_deleted(
    shared_server: Server, open_window: OpenWindow, device: Device, llm: LLM
) -> None:
    window = await open_window(shared_server, device=device)
    page = window.page
    await (await window.open_list()).get_by_role("link", name="Presets").click()
    await page.get_by_role("button", name="New preset").click()
    sheet = page.get_by_role("dialog")
    await sheet.get_by_label("Name").fill("Pirate")
    await sheet.get_by_label("Description").fill("Talks of the sea.")
    await sheet.get_by_role("textbox", name="Instructions").fill("You are a pirate.")
    await sheet.get_by_role("button", name="Save").click()
    await expect(page.locator(".card", has_text="Pirate")).to_contain_text("yours")
    await page.locator(".card", has_text="Pirate").get_by_role("button", name="Start talking").click()
    await expect(page.get_by_role("heading", name="Chat from Pirate")).to_be_visible()
    await window.write("Ahoy. [[text=Ahoy!]]")
    await expect(window.answers).to_have_text("Ahoy!")
    [asked] = await llm.record("ended", n=1)
    assert asked.body["messages"][0] == {"role": "system", "content": "You are a pirate."}
    await (await window.open_list()).get_by_role("link", name="Presets").click()
    await window.choose("More about Pirate", "Edit")
    await expect(sheet.get_by_role("textbox", name="Instructions")).to_have_value("You are a pirate.")
    await sheet.get_by_label("Name").fill("Captain")
    await sheet.get_by_role("button", name="Save").click()
    await window.choose("More about Captain", "Delete")
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.locator(".card", has_text="Captain")).to_have_count(0)
    assert [preset["name"] for preset in await window.ask("GET", "ai-chat/api/presets/")] == ["general"]


async def test_page_speaks_the_language_of_the_browser_or_the_one_that_is_chosen(
    shared_server: Server, open_window: OpenWindow
) -> None:
    window = await open_window(shared_server, language="de-AT")
    await expect(window.page.get_by_role("heading", level=1)).to_contain_text("Was beschäftigt dich?")
    await window.page.get_by_role("button", name=re.compile("Konto und Einstellungen")).click()
    await window.page.get_by_role("menuitem", name="Einstellungen").click()
    await window.page.get_by_label("Sprache").select_option("it")
    await expect(window.page.get_by_role("dialog", name="Preferenze")).to_be_visible()
    await window.page.reload()
    await expect(window.page.get_by_role("heading", level=1)).to_contain_text("Che cosa hai in mente?")
    assert await window.page.locator("html").get_attribute("lang") == "it"


async def test_page_is_light_or_dark_as_the_system_or_as_chosen(window: Window) -> None:
    body = window.page.locator("body")
    await window.page.emulate_media(color_scheme="light")
    light = await body.evaluate("body => getComputedStyle(body).backgroundColor")
    await window.page.emulate_media(color_scheme="dark")
    await expect(body).not_to_have_css("background-color", light)
    await window.page.get_by_role("button", name=re.compile("account and preferences")).click()
    await window.page.get_by_role("menuitemradio", name="Light").click()
    await expect(body).to_have_css("background-color", light)
    await window.page.reload()
    await expect(window.composer).to_be_visible()
    await expect(body).to_have_css("background-color", light)
