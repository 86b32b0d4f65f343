"""The list of conversations in the web app: pinned, put away, found, the same on every device."""

from datetime import UTC, datetime

from playwright.async_api import Locator, expect

from tests.parts.palaver import Server
from tests.web.window import Device, OpenWindow, Window


def listed(window: Window, under: str | None = None) -> Locator:
    """The titles, all of them or those under one heading."""
    sidebar = window.page.locator(".sidebar .conversations")
    if under is not None:
        sidebar = sidebar.locator("section", has=window.page.get_by_role("heading", name=under, exact=True))
    return sidebar.locator(".conversation > a")


async def begin(window: Window, *titles: str) -> None:
    for title in titles:
        await window.ask("POST", "ai-chat/api/sessions/", {"title": title})


async def test_pinned_conversation_is_on_top_on_every_device(
    shared_server: Server, open_window: OpenWindow, device: Device
) -> None:
    here = await open_window(shared_server, device=device)
    there = await open_window(shared_server, here.name)
    # Whatever comes, it is of the same day.
    await there.page.clock.set_fixed_time(datetime.now(UTC))
    await begin(here, "Rivers", "Lakes")
    await here.open_list()
    await here.choose("More about Rivers", "Pin")
    await expect(listed(here, "Pinned")).to_have_text(["Rivers"])
    await expect(listed(there, "Pinned")).to_have_text(["Rivers"])
    await expect(listed(there, "Today")).to_have_text(["Lakes"])
    await here.choose("More about Rivers", "Unpin")
    await expect(listed(there, "Pinned")).to_have_count(0)
    await expect(listed(there, "Today")).to_have_count(2)


async def test_archived_conversation_leaves_the_list_and_comes_back_when_that_is_undone(
    shared_server: Server, open_window: OpenWindow, device: Device
) -> None:
    here = await open_window(shared_server, device=device)
    there = await open_window(shared_server, here.name)
    await begin(here, "Rivers", "Lakes")
    await here.open_list()
    await here.choose("More about Rivers", "Archive")
    await expect(listed(here)).to_have_text(["Lakes"])
    await expect(listed(there)).to_have_text(["Lakes"])
    await here.page.get_by_role("button", name="Undo").click()
    await expect(listed(there)).to_have_text(["Lakes", "Rivers"])
    await here.choose("More about Rivers", "Archive")
    await expect(listed(there)).to_have_text(["Lakes"])
    await here.page.locator(".sidebar").get_by_role("button", name="Archive").click()
    await expect(listed(here)).to_have_text(["Rivers"])
    await here.choose("More about Rivers", "Back to the list")
    await expect(here.page.get_by_text("Nothing has been put away.")).to_be_visible()
    await here.page.locator(".sidebar").get_by_role("button", name="Conversations").click()
    await expect(listed(here)).to_have_text(["Lakes", "Rivers"])
    await expect(listed(there)).to_have_text(["Lakes", "Rivers"])


async def test_words_of_a_message_are_found_and_lead_to_it(
    shared_server: Server, open_window: OpenWindow, device: Device
) -> None:
    window = await open_window(shared_server, device=device)
    await window.say("Name a river. [[text=The Rhône comes from a glacier.]]")
    for n in range(12):
        await window.say(f"And number {n}? [[text={'A long answer. ' * 20}]]")
    await window.begin()
    sidebar = await window.open_list()
    await sidebar.get_by_role("searchbox", name="Search").fill("rhone GLAC")
    found = sidebar.locator(".found")
    await expect(found).to_have_count(2)
    await expect(found.get_by_text("Rhône", exact=True).last).to_be_visible()
    await found.filter(has_text="Assistant").get_by_role("link").click()
    await expect(window.answers.first).to_be_in_viewport()
    await expect(window.page.locator(".said.sought")).to_contain_text("The Rhône comes from a glacier.")


async def test_found_message_in_another_branch_is_shown_in_its_branch(
    shared_server: Server, open_window: OpenWindow
) -> None:
    window = await open_window(shared_server)
    await window.say("Name a river. [[text=The Loire.]]")
    await window.prompts.hover()
    await window.page.get_by_role("button", name="Edit").click()
    await window.page.get_by_label("Your message, edited").fill("Name a lake. [[text=Lake Garda.]]")
    await window.page.get_by_label("Your message, edited").press("Enter")
    await expect(window.answers).to_have_text("Lake Garda.")
    await window.page.keyboard.press("ControlOrMeta+k")
    await window.page.keyboard.type("loire")
    found = window.page.locator(".found", has_text="Assistant").get_by_role("link")
    # What was looked for before the last letter shows both.
    await expect(found).to_have_count(1)
    await found.click()
    await expect(window.answers).to_have_text("The Loire.")


async def test_title_is_found_and_what_is_not_there_is_said_to_be_so(
    shared_server: Server, open_window: OpenWindow, device: Device
) -> None:
    window = await open_window(shared_server, device=device)
    await begin(window, "Rivers", "Lakes")
    sidebar = await window.open_list()
    field = sidebar.get_by_role("searchbox", name="Search")
    await field.fill("riv")
    await expect(listed(window, "Conversations")).to_have_text(["Rivers"])
    await field.fill("mountains")
    await expect(sidebar.get_by_text("Nothing was found.")).to_be_visible()
    await field.press("Escape")
    await expect(listed(window)).to_have_text(["Lakes", "Rivers"])
