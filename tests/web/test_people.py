"""People who talk with each other in the web app: two of them, a group, and a bot that was invited."""

from typing import Any

from playwright.async_api import Locator, expect

from tests.parts.llm import LLM
from tests.parts.palaver import Server
from tests.web.test_everybody import find_faults
from tests.web.test_keyboard import Keys
from tests.web.window import LOOKS_AWAY, STAYS, Device, OpenWindow, Window

# As it is for a tab that lies behind another: a test's own are always in front.
BEHIND = """(hidden) => {
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => hidden ? "hidden" : "visible" });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
# The addresses of all that are opened from now on.
NOTES_SOCKETS = """() => {
  self.sockets = [];
  self.WebSocket = class extends WebSocket {
    constructor(address) {
      super(address);
      sockets.push(String(address));
    }
  };
}"""
FITS = """() => {
  const { scrollWidth, clientWidth } = document.documentElement;
  return scrollWidth <= clientWidth;
}"""


async def begin_with(window: Window, *names: str, title: str | None = None) -> str:
    """The id of a conversation with these people."""
    wanted: dict[str, Any] = {"members": names} if title is None else {"members": names, "title": title}
    return str((await window.ask("POST", "api/people/conversations", wanted))["id"])


async def open_conversation(window: Window, conversation: str) -> None:
    await window.page.goto(f"{window.server.url}/#/people/{conversation}")
    await expect(window.composer).to_be_visible()


async def open_people(window: Window) -> Locator:
    sidebar = await window.open_list()
    await sidebar.get_by_role("button", name="People").click()
    return sidebar


def bubbles(window: Window) -> Locator:
    return window.page.locator(".bubble")


def last_said(window: Window) -> Locator:
    return window.page.locator(".people-talk .said").last


async def choose_about(said: Locator, item: str) -> None:
    await said.hover()
    await said.get_by_role("button", name="More about this message").click()
    await said.page.get_by_role("menuitem", name=item, exact=True).click()


async def test_two_people_talk_see_each_other_write_and_know_what_was_seen(
    shared_server: Server, open_window: OpenWindow, device: Device
) -> None:
    mira = await open_window(shared_server, device=device)
    ana = await open_window(shared_server)
    sidebar = await open_people(mira)
    await sidebar.get_by_role("button", name="Talk with somebody").click()
    sheet = mira.page.get_by_role("dialog")
    await sheet.get_by_role("textbox", name="With whom").fill(ana.name)
    await sheet.get_by_role("button", name="Start talking").click()
    await expect(mira.page.get_by_role("heading", name=ana.name)).to_be_visible()
    await mira.write("Are you there?")
    await expect(last_said(mira)).to_contain_text("Are you there?")

    # Whoever looks elsewhere is told.
    await expect(ana.page.get_by_role("button", name="People")).to_contain_text("1 unread message")
    await expect(ana.page).to_have_title("(1) Palaver")
    await expect(mira.page.get_by_text(f"Seen by {ana.name}")).to_have_count(0)
    people = await open_people(ana)
    await ana.page.get_by_role("searchbox").fill("nobody")
    await expect(people.get_by_text("Nobody here is called that.")).to_be_visible()
    await ana.page.get_by_role("searchbox").fill(mira.name)
    await people.get_by_role("link", name=mira.name).click()
    await expect(last_said(ana)).to_contain_text("Are you there?")
    await expect(mira.page.get_by_text(f"Seen by {ana.name}")).to_be_visible()
    await mira.page.reload()
    await expect(mira.page.get_by_text(f"Seen by {ana.name}")).to_be_visible()
    await expect(ana.page).to_have_title(f"{mira.name} · Palaver")
    await expect(people.get_by_text("unread message")).to_have_count(0)

    await ana.write_half("I am")
    await expect(mira.page.get_by_text(f"{ana.name} is writing")).to_be_visible()
    await ana.composer.press("Enter")
    await expect(last_said(mira)).to_contain_text("I am")
    await expect(mira.page.locator("[data-announcer]")).to_have_text(f"{ana.name}: I am")
    await expect(mira.page.get_by_text("is writing")).to_have_count(0)
    # It is known again after a reload.
    await mira.write("Good")
    await expect(mira.page.get_by_text(f"Seen by {ana.name}")).to_be_visible()
    await mira.page.reload()
    await expect(mira.page.get_by_text(f"Seen by {ana.name}")).to_be_visible()
    # Each has their own on the right.
    await expect(mira.prompts).to_contain_text(["Are you there?"])
    await expect(ana.prompts).to_contain_text(["I am"])
    assert await mira.page.evaluate(FITS)


async def test_message_is_read_only_where_somebody_sees_it(shared_server: Server, open_window: OpenWindow) -> None:
    mira, ana = await open_window(shared_server), await open_window(shared_server)
    conversation = await begin_with(mira, ana.name)
    await open_conversation(mira, conversation)
    await open_conversation(ana, conversation)
    await ana.page.evaluate(STAYS, [LOOKS_AWAY])
    await ana.page.evaluate(BEHIND, True)
    await mira.write("Look at this: https://example.org/x.")
    await expect(last_said(ana).get_by_role("link")).to_have_attribute("href", "https://example.org/x")
    await expect(ana.page.locator(".people-talk .said")).to_have_count(1)
    [known] = (await ana.ask("GET", "api/people/conversations"))["conversations"]
    assert known["unread_count"] == 1
    await ana.page.evaluate(BEHIND, False)
    await expect(mira.page.get_by_text(f"Seen by {ana.name}")).to_be_visible()


async def test_conversation_that_is_opened_is_asked_for_once(shared_server: Server, open_window: OpenWindow) -> None:
    mira, ana = await open_window(shared_server), await open_window(shared_server)
    conversation = await begin_with(mira, ana.name)
    await mira.page.evaluate(NOTES_SOCKETS)
    await open_conversation(mira, conversation)
    await mira.write("Are you there?")
    await expect(mira.page.locator(".people-talk .said:not(.pending)")).to_contain_text(["Are you there?"])
    # The line by which lists are told of comes back whenever it was lost.
    opened = await mira.page.evaluate("() => sockets")
    assert [f"/session/{conversation}/" in address for address in opened].count(True) == 1, opened


async def test_own_message_is_worded_anew_and_taken_away_for_everybody(
    shared_server: Server, open_window: OpenWindow
) -> None:
    mira, ana = await open_window(shared_server), await open_window(shared_server)
    conversation = await begin_with(mira, ana.name)
    await open_conversation(mira, conversation)
    await open_conversation(ana, conversation)
    await mira.write("At nine")
    await expect(last_said(ana)).to_contain_text("At nine")
    # Others may hear of it before the one who said it does.
    await expect(mira.page.locator(".people-talk .said.prompt:not(.pending)")).to_have_count(1)
    await mira.composer.press("ArrowUp")
    field = mira.page.get_by_label("Your message, edited")
    await field.fill("At eight")
    # What cannot be saved just now is not lost.
    await mira.context.set_offline(True)
    await field.press("Enter")
    await expect(mira.page.get_by_role("alert")).to_contain_text("no connection")
    await expect(field).to_have_value("At eight")
    await mira.context.set_offline(False)
    await field.press("Enter")
    await expect(field).to_have_count(0)
    await expect(last_said(ana)).to_contain_text("At eight")
    await expect(last_said(ana)).to_contain_text("edited")
    # What is not one's own is left alone.
    await last_said(ana).hover()
    await last_said(ana).get_by_role("button", name="More about this message").click()
    await expect(ana.page.get_by_role("menuitem")).to_have_text(["Copy"])
    await ana.page.keyboard.press("Escape")
    await choose_about(last_said(mira), "Remove")
    await mira.page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await expect(last_said(ana)).to_contain_text("This message was removed.")
    await expect(last_said(mira)).to_contain_text("This message was removed.")
    await expect(bubbles(ana)).to_have_count(1)


async def test_group_names_who_says_what_and_a_bot_answers_where_it_is_mentioned(
    shared_server: Server, open_window: OpenWindow, llm: LLM
) -> None:
    await llm.control(text="Rye rises slowly.")
    mira, ana, oleg = [await open_window(shared_server) for _ in range(3)]
    baker = f"Baker of {mira.name}"
    preset = {"name": baker, "system_prompt": "You bake.", "is_public": True}
    await mira.ask("POST", "ai-chat/api/presets/", preset)
    sidebar = await open_people(mira)
    await sidebar.get_by_role("button", name="Talk with somebody").click()
    sheet = mira.page.get_by_role("dialog")
    await sheet.get_by_role("textbox", name="With whom").fill(ana.name)
    await sheet.get_by_role("textbox", name="With whom").press("Enter")
    await sheet.get_by_role("textbox", name="With whom").fill(oleg.name)
    await sheet.get_by_label("Name of the group").fill("The bakers")
    await sheet.get_by_role("button", name="Start talking").click()
    await expect(mira.page.get_by_role("heading", name="The bakers")).to_contain_text("3 members")
    await mira.page.get_by_role("button", name="About this group").click()
    await sheet.get_by_label("Invited assistant").select_option(label=baker)
    await expect(sheet.get_by_text("in a message has it answer")).to_be_visible()
    [group] = (await mira.ask("GET", "api/people/conversations"))["conversations"]
    slug = group["bot"]["slug"]
    await sheet.get_by_role("button", name="Close").click()

    for window in (ana, oleg):
        await (await open_people(window)).get_by_role("link", name="The bakers").click()
    await ana.write("Who knows rye?")
    await expect(oleg.page.get_by_role("article", name=ana.name)).to_contain_text("Who knows rye?")
    await oleg.write(f"@{slug} do you?")
    for window in (mira, ana, oleg):
        answer = window.page.get_by_role("article", name=baker)
        await expect(answer).to_contain_text("Rye rises slowly.")
        await expect(window.page.locator(".growing")).to_have_count(0)
    await llm.control(fault="500")
    await oleg.write(f"@{slug} and wheat?")
    for window in (mira, ana, oleg):
        await expect(window.page.get_by_role("alert")).to_contain_text("No answer came.")

    await mira.page.get_by_role("button", name="About this group").click()
    await sheet.get_by_role("button", name=f"Remove {oleg.name}").click()
    await mira.page.get_by_role("dialog", name=f"Remove {oleg.name}").get_by_role("button", name="Remove").click()
    await expect(sheet.get_by_text(oleg.name)).to_have_count(0)
    await expect(oleg.page.get_by_text("There is no such conversation, or it is not yours.")).to_be_visible()
    await expect(oleg.page.get_by_role("link", name="The bakers")).to_have_count(0)
    await ana.page.get_by_role("button", name="About this group").click()
    await ana.page.get_by_role("button", name="Leave the group").click()
    await ana.page.get_by_role("dialog", name="Leave").get_by_role("button", name="Leave the group").click()
    await expect(ana.page.get_by_role("heading", name="Choose with whom to talk")).to_be_visible()
    await expect(ana.page.get_by_role("button", name="People")).to_have_attribute("aria-pressed", "true")
    await expect(mira.page.get_by_role("heading", name="The bakers")).to_contain_text("1 member")


async def test_blocked_person_cannot_write_until_unblocked_and_an_ended_conversation_takes_no_more(
    shared_server: Server, open_window: OpenWindow
) -> None:
    mira, ana = await open_window(shared_server), await open_window(shared_server)
    conversation = await begin_with(mira, ana.name)
    await open_conversation(mira, conversation)
    await open_conversation(ana, conversation)
    await mira.page.get_by_role("button", name="About this conversation").click()
    await mira.page.get_by_role("button", name="Block").click()
    await mira.page.get_by_role("dialog", name="Block").get_by_role("button", name="Block").click()
    await expect(mira.page.get_by_role("dialog")).to_have_count(1)
    await mira.page.get_by_role("button", name="Close").click()
    await expect(mira.page.get_by_text(f"You have blocked {ana.name}.")).to_be_visible()
    await ana.write("Hello?")
    await expect(ana.page.get_by_role("alert")).to_contain_text("cannot be reached")
    await mira.page.get_by_role("button", name="Unblock").click()
    await expect(mira.composer).to_be_visible()
    await ana.page.get_by_role("button", name="Try again").click()
    await expect(last_said(mira)).to_contain_text("Hello?")
    await mira.page.get_by_role("button", name="About this conversation").click()
    await ana.composer.fill("And another thing")
    await mira.page.get_by_role("button", name="End the conversation").click()
    await mira.page.get_by_role("dialog", name="End").get_by_role("button", name="End the conversation").click()
    await expect(mira.page.get_by_text("This conversation has ended.")).to_be_visible()
    await expect(ana.page.get_by_text("This conversation has ended.")).to_be_visible()
    await expect(ana.composer).to_have_count(0)
    # It goes on in another one, with what was being written.
    await ana.page.get_by_role("button", name="Talk again").click()
    await expect(ana.composer).to_have_value("And another thing")
    assert conversation not in ana.page.url


async def test_what_is_written_without_a_network_is_sent_once_when_it_is_back(
    shared_server: Server, open_window: OpenWindow
) -> None:
    mira, ana = await open_window(shared_server), await open_window(shared_server)
    conversation = await begin_with(mira, ana.name)
    await open_conversation(ana, conversation)
    await open_conversation(mira, conversation)
    await mira.write("First")
    await expect(last_said(ana)).to_contain_text("First")
    tab = await mira.context.new_page()
    await tab.goto(mira.page.url)
    await expect(tab.locator(".bubble")).to_have_count(1)
    await mira.context.set_offline(True)
    await mira.write("Second")
    await expect(mira.page.get_by_text("Is sent once there is a connection")).to_be_visible()
    await tab.get_by_label("Message", exact=True).fill("From a tab that is closed")
    await tab.get_by_label("Message", exact=True).press("Enter")
    await expect(tab.get_by_text("Is sent once there is a connection")).to_be_visible()
    await tab.close()
    await mira.composer.fill("Third, half writ")
    await ana.write("Meanwhile")
    # What only waits to be said is shown, too.
    await expect(ana.page.locator(".people-talk .said:not(.pending)").last).to_contain_text("Meanwhile")
    await mira.context.set_offline(False)
    await expect(bubbles(mira)).to_contain_text(["First", "Meanwhile", "Second"])
    await expect(bubbles(ana)).to_contain_text(["First", "Meanwhile", "Second"])
    await mira.page.reload()
    everything = ["First", "Meanwhile", "Second", "From a tab that is closed"]
    await expect(bubbles(mira)).to_contain_text(everything)
    await expect(bubbles(ana)).to_contain_text(everything)
    await expect(mira.composer).to_have_value("Third, half writ")


async def test_people_talk_by_the_keys_alone_and_nothing_is_in_the_way_of_who_hears_the_page(
    shared_server: Server, open_window: OpenWindow
) -> None:
    mira, ana = await open_window(shared_server), await open_window(shared_server)
    await mira.page.emulate_media(reduced_motion="reduce")
    keys = Keys(mira)
    await keys.do("People")
    await keys.do("Talk with somebody")
    await expect(mira.page.get_by_label("With whom")).to_be_visible()
    await keys.reach("With whom")
    await keys.type(ana.name)
    await keys.do("Start talking")
    await expect(mira.composer).to_be_focused()
    await keys.type("By keys", "Enter")
    await expect(last_said(mira)).to_contain_text("By keys")
    await keys.do("More about this message", "Shift+Tab")
    await expect(mira.page.get_by_role("menu")).to_be_visible()
    await keys.press("End", "Enter")
    await expect(mira.page.get_by_role("dialog")).to_be_visible()
    assert await find_faults(mira) == []
    await keys.do("Remove")
    await expect(last_said(mira)).to_contain_text("This message was removed.")
    await expect(mira.composer).to_be_focused()
    await keys.do("About this conversation", "Shift+Tab")
    await expect(mira.page.get_by_role("dialog")).to_be_visible()
    assert await find_faults(mira) == []
    await keys.press("Escape")
    assert await find_faults(mira) == []
