"""The list of conversations in the web app: pinned, put away, found, the same on every device."""

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
