"""Talking in the web app: a real browser, the real server, the stand-in for a model."""

import asyncio
import re

from playwright.async_api import expect

from tests.journeys.client import PASSWORD
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer
from tests.web.window import PHONE, Counting, Device, OpenWindow, Window


async def test_somebody_talks_and_finds_it_again(
    shared_server: Server, open_window: OpenWindow, device: Device
) -> None:
    window = await open_window(shared_server, device=device)
    await expect(await window.say("Name a river. [[text=The **Loire**.]]")).to_have_text("The Loire.")
    await expect(await window.say("And another? [[text=The Rhône.]]")).to_have_text("The Rhône.")
    said = await window.texts()
    # As they write it where the browser says that it is.
    await expect(window.page.locator(".reply time").first).to_have_text(re.compile(r"^\d\d?:\d\d$"))
    await window.page.reload()
    await expect(window.answers).to_have_text(["The Loire.", "The Rhône."])
    assert await window.texts() == said
    await window.begin()
    sidebar = await window.open_list()
    await sidebar.get_by_role("link", name="Name a river.").click()
    await expect(window.answers).to_have_text(["The Loire.", "The Rhône."])
    assert await window.texts() == said


async def test_reply_is_shown_while_it_is_written_and_stops_when_told(window: Window, counting: Counting) -> None:
    await window.write(f"Count. {counting.script}")
    await expect(window.page.get_by_text("The assistant is thinking…")).to_be_visible()
    await counting.go_on(2)
    await expect(window.answers).to_have_text("one two")
    await window.page.get_by_role("button", name="Stop the answer").click()
    await expect(window.page.get_by_text("Stopped", exact=True)).to_be_visible()
    await window.page.reload()
    await expect(window.answers).to_have_text("one two")


async def test_answer_that_is_stopped_before_its_first_word_is_no_failure_and_can_be_asked_for_again(
    window: Window, llm: LLM
) -> None:
    await window.write("Name a river. [[text=The Loire.&fault=no-first-byte&times=1&key=never-begun]]")
    # What has not come so far is not the one time that it hangs.
    await llm.record(n=1)
    await window.page.get_by_role("button", name="Stop the answer").click()
    await expect(window.page.get_by_text("Stopped", exact=True)).to_be_visible()
    await expect(window.page.get_by_role("alert")).to_have_count(0)
    await window.page.reload()
    await expect(window.page.get_by_text("Stopped", exact=True)).to_be_visible()
    await expect(window.page.get_by_role("alert")).to_have_count(0)
    await window.page.get_by_role("button", name="Another answer").click()
    await expect(window.answers).to_have_text(["The Loire."])
    await expect(window.page.get_by_text("Stopped", exact=True)).to_have_count(0)


async def test_prompts_meanwhile_wait_visibly_and_are_answered_in_order(window: Window, counting: Counting) -> None:
    await window.write(f"First. {counting.script}")
    await counting.go_on(1)
    await expect(window.answers).to_contain_text("one")
    await window.write("Second. [[text=Answer two.]]")
    await window.write("Third. [[text=Answer three.]]")
    await expect(window.page.get_by_text("Waits for the answer before")).to_have_count(2)
    await counting.go_on()
    await expect(window.answers).to_have_count(3)
    await expect(window.answers.nth(2)).to_have_text("Answer three.")
    await expect(window.page.locator(".reply .foot")).to_have_count(3)
    texts = await window.texts()
    assert texts[1::2] == [counting.text, "Answer two.", "Answer three."]


async def test_prompt_that_waits_is_taken_back_on_every_device_and_never_asked(
    shared_server: Server, open_window: OpenWindow, device: Device, counting: Counting, llm: LLM
) -> None:
    here = await open_window(shared_server, device=device)
    there = await open_window(shared_server, here.name)
    await here.write(f"First. {counting.script}")
    await counting.go_on(1)
    await expect(here.answers).to_contain_text("one")
    await there.page.locator(".sidebar .conversation a").click()
    await here.write("Second. [[text=Answer two.]]")
    await expect(there.prompts).to_have_count(2)
    await here.page.get_by_role("button", name="Take back").click()
    await expect(here.composer).to_have_value("Second. [[text=Answer two.]]")
    await counting.go_on()
    for window in (here, there):
        await expect(window.prompts).to_have_count(1)
        await expect(window.answers).to_have_text(counting.text)
    assert len(await llm.record("ended", n=1)) == 1


async def test_branches_of_a_whole_conversation_are_asked_for_at_once(window: Window) -> None:
    await window.say("Name a river. [[text=The Loire.]]")
    await window.say("Another? [[text=The Po.]]")
    await window.page.get_by_role("button", name="Another answer").last.click()
    await expect(window.page.get_by_text("2/2")).to_be_visible()
    asked: list[str] = []
    # One that was not there before: the first may still ask for what has come of the other answer.
    page = await window.context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(window.page.url)
    await expect(page.get_by_text("2/2")).to_be_visible()
    for prompt in await page.locator(".prompt .bubble").all():
        await prompt.hover()
    assert [url.split("/")[-2] for url in asked if "/siblings/" in url or "/branches/" in url] == ["branches"]


async def test_another_answer_stands_beside_the_first_and_both_can_be_leafed_through(
    shared_server: Server, open_window: OpenWindow, device: Device, llm: LLM
) -> None:
    window = await open_window(shared_server, device=device)
    await llm.control(text="The Loire.")
    await window.say("Name a river.")
    await llm.control(text="The Po.")
    await window.page.get_by_role("button", name="Another answer").click()
    await expect(window.answers).to_have_text("The Po.")
    await expect(window.page.get_by_text("2/2")).to_be_visible()
    await window.page.get_by_role("button", name="Previous version").click()
    await expect(window.answers).to_have_text("The Loire.")
    await expect(window.page.get_by_text("1/2")).to_be_visible()
    await window.page.reload()
    await expect(window.answers).to_have_text("The Loire.")
    await window.page.get_by_role("button", name="Next version").click()
    await expect(window.answers).to_have_text("The Po.")


async def test_edited_message_begins_a_branch_and_the_old_one_is_still_there(window: Window) -> None:
    await window.say("Name a river. [[text=The Loire.]]")
    await window.say("How long is it? [[text=1,006 km.]]")
    await window.prompts.first.hover()
    await window.page.get_by_role("button", name="Edit").first.click()
    await window.page.get_by_label("Your message, edited").fill("Name a lake. [[text=Lake Garda.]]")
    await window.page.get_by_label("Your message, edited").press("Enter")
    await expect(window.answers).to_have_text(["Lake Garda."])
    await expect(window.page.get_by_text("2/2")).to_be_visible()
    await window.page.get_by_role("button", name="Previous version").click()
    await expect(window.answers).to_have_text(["The Loire.", "1,006 km."])


async def test_message_that_got_no_answer_is_kept_and_asked_again(window: Window) -> None:
    await window.write("Name a river. [[text=The Loire.&fault=500&times=1&key=again]]")
    trouble = window.page.get_by_text("No answer came. Your message is kept.")
    await expect(trouble).to_contain_text("The assistant cannot answer just now.")
    # Who answers is looked at anew.
    async with window.page.expect_request("**/health/models/"):
        await window.page.get_by_role("button", name="Settings of this conversation").click()
    await window.page.reload()
    await window.page.get_by_role("button", name="Try again").click()
    await expect(window.answers).to_have_text(["The Loire."])
    assert await window.prompts.count() == 1


async def test_reply_that_broke_off_keeps_its_text_and_is_asked_again(window: Window) -> None:
    await window.write("Name rivers. [[text=Loire Rhône Seine&fault=cut&after=2&times=1&key=broken]]")
    await expect(window.page.get_by_text("The answer broke off here.")).to_be_visible()
    await expect(window.answers).to_contain_text("Loire Rhône")
    await window.page.get_by_role("button", name="Try again").click()
    await expect(window.answers).to_have_text(["Loire Rhône Seine"])
    await expect(window.page.get_by_text("The answer broke off here.")).to_have_count(0)


async def test_reply_that_broke_off_is_gone_on_with_from_where_it_is(
    shared_server: Server, open_window: OpenWindow, device: Device, llm: LLM
) -> None:
    window = await open_window(shared_server, device=device)
    await window.write(f"Name rivers. [[text=Loire Rhône Seine&fault=cut&after=2&times=1&key=goes-on-{device.name}]]")
    await expect(window.page.get_by_text("The answer broke off here.")).to_be_visible()
    await window.page.get_by_role("button", name="Continue").click()
    await expect(window.prompts.nth(1)).to_have_text("Continue where you stopped.")
    await expect(window.page.locator(".reply .foot")).to_have_count(2)
    await expect(window.answers.first).to_contain_text("Loire Rhône")
    asked = (await llm.record("ended", n=2))[1].body
    assert [message["content"] for message in asked["messages"]][1].startswith("Loire Rhône")


async def test_writing_on_another_device_is_seen_and_ones_own_is_not(
    shared_server: Server, open_window: OpenWindow, device: Device
) -> None:
    here = await open_window(shared_server)
    there = await open_window(shared_server, here.name, device=device)
    await here.say("Name a river. [[text=The Loire.]]")
    await (await there.open_list()).get_by_role("link", name="Name a river.").click()
    await expect(there.answers).to_have_text(["The Loire."])
    await there.write_half("And an")
    await expect(here.page.get_by_text("You are writing on another device…")).to_be_visible()
    # Whoever writes is told of it, too, before what is said later; and what is said so was not written on a device.
    session = here.page.url.rpartition("/")[2]
    said = {"message": "And another? [[text=The Rhône.]]"}
    await here.ask("POST", f"ai-chat/api/sessions/{session}/send_message/", said)
    await expect(there.answers).to_have_text(["The Loire.", "The Rhône."])
    assert await there.page.get_by_text("You are writing on another device…").count() == 0
    await there.composer.fill("")
    await expect(here.page.get_by_text("You are writing on another device…")).to_have_count(0)


async def test_server_that_dies_in_the_middle_is_waited_for_in_every_window_and_the_answer_made_anew(
    server: Server, open_window: OpenWindow, counting: Counting
) -> None:
    desktop = await open_window(server)
    phone = await open_window(server, desktop.name, device=PHONE)
    await desktop.write(f"Count. {counting.script}")
    await counting.go_on(2)
    await (await phone.open_list()).get_by_role("link", name="Count.").click()
    for window in (desktop, phone):
        await expect(window.answers).to_contain_text("two")
    server.kill()
    for window in (desktop, phone):
        await expect(window.page.get_by_text("No connection to the server.")).to_be_visible()
    await server.start()
    for window in (desktop, phone):
        # Sooner than by itself, as when a network comes back.
        await window.page.evaluate("() => dispatchEvent(new Event('online'))")
        await expect(window.page.get_by_text("No connection to the server.")).to_have_count(0)
        await expect(window.page.get_by_role("button", name="Try again")).to_be_visible()
    await phone.page.get_by_role("button", name="Try again").click()
    await counting.go_on()
    for window in (desktop, phone):
        await expect(window.answers).to_have_text([counting.text])
        await expect(window.page.get_by_role("button", name="Try again")).to_have_count(0)
        assert await window.prompts.count() == 1


async def test_what_is_written_offline_is_sent_once_when_there_is_a_network_again(window: Window, llm: LLM) -> None:
    await window.say("Hello. [[text=Hello yourself.]]")
    await window.context.set_offline(True)
    await expect(window.page.get_by_text("You are offline.")).to_be_visible()
    await window.write("Are you there? [[text=I am.]]")
    await expect(window.page.get_by_text("Is sent once there is a connection")).to_be_visible()
    await window.context.set_offline(False)
    await expect(window.answers).to_have_text(["Hello yourself.", "I am."])
    await expect(window.page.get_by_text("You are offline.")).to_have_count(0)
    assert len(await llm.record("ended", n=2)) == 2


async def test_conversation_begun_offline_begins_when_there_is_a_network_again(window: Window, llm: LLM) -> None:
    await window.context.set_offline(True)
    await window.write("Are you there? [[text=I am.]]")
    await expect(window.page.get_by_text("Is sent once there is a connection")).to_be_visible()
    await window.context.set_offline(False)
    await expect(window.answers).to_have_text(["I am."])
    assert len(await llm.record("ended", n=1)) == 1


async def test_what_was_not_sent_is_kept_over_a_reload_and_sent_then(window: Window, llm: LLM) -> None:
    await window.say("Hello. [[text=Hello yourself.]]")
    await window.page.route_web_socket(re.compile("/session/"), lambda socket: asyncio.ensure_future(socket.close()))
    await window.page.reload()
    await window.write("Are you there? [[text=I am.]]")
    await expect(window.page.get_by_text("Is sent once there is a connection")).to_be_visible()
    again = await window.context.new_page()
    await again.goto(window.page.url)
    await expect(again.locator(".reply .prose")).to_have_text(["Hello yourself.", "I am."])
    assert len(await llm.record("ended", n=2)) == 2


async def test_slow_network_makes_it_slow_and_nothing_else(
    shared_server: Server, open_window: OpenWindow, device: Device
) -> None:
    window = await open_window(shared_server, device=device)
    devtools = await window.context.new_cdp_session(window.page)
    slow = {"offline": False, "latency": 300, "downloadThroughput": 50_000, "uploadThroughput": 20_000}
    await devtools.send("Network.emulateNetworkConditions", slow)
    await window.page.reload()
    await expect(await window.say("Hello. [[text=At last.]]")).to_have_text("At last.")
    await expect(await window.say("And again. [[text=Once more.]]")).to_have_text("Once more.")
    assert await window.texts() == [
        "Hello. [[text=At last.]]", "At last.", "And again. [[text=Once more.]]", "Once more.",
    ]  # fmt: skip


async def test_draft_is_kept_until_it_is_sent(window: Window) -> None:
    await window.composer.fill("Half a thought")
    await window.page.reload()
    await expect(window.composer).to_have_value("Half a thought")
    await window.say("A whole one")
    await window.page.reload()
    await expect(window.composer).to_have_value("")


async def test_message_that_is_edited_is_gone_on_with_from_its_end_and_after_a_reload(window: Window) -> None:
    await window.say("Name a river. [[text=The Loire.]]")
    await window.prompts.first.hover()
    await window.page.get_by_role("button", name="Edit").click()
    field = window.page.get_by_label("Your message, edited")
    await window.page.keyboard.type(" Again")
    await window.page.reload()
    await expect(field).to_have_value("Name a river. [[text=The Loire.]] Again")
    await field.press("Escape")
    await window.page.reload()
    await expect(window.answers).to_have_text(["The Loire."])
    await expect(field).to_have_count(0)


async def test_model_that_was_chosen_and_a_list_that_was_put_away_are_still_so_after_a_reload(window: Window) -> None:
    picker = window.page.get_by_label("Model")
    chosen = await picker.locator("option").nth(1).get_attribute("value")
    assert chosen
    await picker.select_option(chosen)
    await window.page.keyboard.press("Control+b")
    await expect(window.page.locator(".shell")).to_have_class("shell narrow")
    await window.page.reload()
    await expect(picker).to_have_value(chosen)
    await expect(window.page.locator(".shell")).to_have_class("shell narrow")
    await window.page.keyboard.press("Control+b")
    await window.say("Hello")
    await window.begin()
    await expect(picker).to_have_value("")


async def test_two_windows_of_a_person_see_the_same_as_it_happens(
    shared_server: Server, open_window: OpenWindow, counting: Counting
) -> None:
    here = await open_window(shared_server)
    there = await open_window(shared_server, here.name, device=PHONE)
    await here.say("Name a river. [[text=The Loire.]]")
    await (await there.open_list()).get_by_role("link", name="Name a river.").click()
    await expect(there.answers).to_have_text(["The Loire."])
    await there.write(f"Count. {counting.script}")
    await counting.go_on(2)
    await expect(here.answers.nth(1)).to_have_text("one two")
    await counting.go_on()
    for window in (here, there):
        await expect(window.answers.nth(1)).to_have_text(counting.text)
    assert await here.texts() == await there.texts()
    await here.choose("More about Name a river.", "Rename")
    await here.page.get_by_label("Rename").fill("Rivers")
    await here.page.get_by_label("Rename").press("Enter")
    await expect(there.page.get_by_role("heading", name="Rivers")).to_be_visible()


async def test_deleted_conversation_comes_back_when_that_is_undone_and_else_is_gone(window: Window) -> None:
    await window.say("Keep me")
    await window.choose("More about Keep me", "Delete")
    listed = window.page.locator(".sidebar").get_by_role("link", name="Keep me")
    await expect(listed).to_have_count(0)
    await window.page.get_by_role("button", name="Undo").click()
    await expect(listed).to_be_visible()
    await window.choose("More about Keep me", "Delete")
    # Whoever leaves the page does not undo.
    await window.page.reload()
    await expect(window.page.get_by_text("What you talk about will be listed here.")).to_be_visible()
    assert await window.ask("GET", "ai-chat/api/sessions/") == []


async def test_reply_is_shown_whole_where_streaming_is_switched_off(window: Window, counting: Counting) -> None:
    await window.page.get_by_role("button", name=re.compile("account and preferences")).click()
    await window.page.get_by_role("menuitem", name="Preferences").click()
    await window.page.get_by_label("Show answers while they are written").uncheck()
    await window.page.get_by_role("button", name="Close").click()
    await window.write(f"Count. {counting.script}")
    await counting.go_on(3)
    await expect(window.page.get_by_text("The assistant is writing…")).to_be_visible()
    await expect(window.page.get_by_text("3 words so far")).to_be_visible()
    await expect(window.answers).to_have_count(0)
    await counting.go_on()
    await expect(window.answers).to_have_text(counting.text)


async def test_person_who_signs_in_with_a_password_is_in_and_signing_out_everywhere_ends_every_window(
    shared_server: Server, open_window: OpenWindow
) -> None:
    here = await open_window(shared_server)
    there = await open_window(shared_server, here.name)
    await here.page.get_by_role("button", name=re.compile("account and preferences")).click()
    await here.page.get_by_role("menuitem", name="Sign out everywhere").click()
    for window in (here, there):
        await expect(window.page.get_by_role("heading", name="Sign in")).to_be_visible()
    for window in (here, there):
        await window.page.get_by_label("User name or e-mail").fill(here.name)
        await window.page.get_by_label("Password").fill("wrong")
        await window.page.get_by_role("button", name="Sign in").click()
        await expect(window.page.get_by_role("alert")).not_to_be_empty()
        await window.page.get_by_label("Password").fill(PASSWORD)
        await window.page.get_by_role("button", name="Sign in").click()
        await expect(window.composer).to_be_visible()
        await expect(await window.say("Hello. [[text=Here again.]]")).to_have_text("Here again.")


async def test_guest_talks_where_guests_may(start_server: StartServer, open_window: OpenWindow) -> None:
    server = await start_server(PALAVER_GUESTS="on")
    window = await open_window(server)
    await window.context.clear_cookies()
    await window.page.reload()
    await expect(await window.say("Hello. [[text=Hello, guest.]]")).to_have_text("Hello, guest.")


# How far the end is from what is seen: a line and its margin may just have come.
ENDS_IN_VIEW = """() => {
  const shown = document.querySelector(".scroller");
  return shown.scrollHeight - shown.scrollTop - shown.clientHeight < 120;
}"""


async def test_end_of_a_growing_reply_stays_in_view_until_the_reader_goes_up(window: Window, llm: LLM) -> None:
    # Two pieces each: the word, and its number.
    await llm.control(text="\n\n".join(f"Line {n}." for n in range(1, 121)), hold="lines")
    await window.write("Go on at length.")
    for last in (40, 80):
        await llm.let_go("lines", pieces=2 * 40)
        await expect(window.page.get_by_text(f"Line {last}.", exact=True)).to_be_attached()
        await window.page.wait_for_function(ENDS_IN_VIEW)
    await window.answers.hover()
    await window.page.mouse.wheel(0, -600)
    newest = window.page.get_by_role("button", name="To the newest message")
    await expect(newest).to_be_visible()
    await llm.let_go("lines")
    await expect(window.page.locator(".reply .foot")).to_have_count(1)
    await expect(window.page.get_by_text("Line 120.", exact=True)).not_to_be_in_viewport()
    await newest.click()
    await expect(window.page.get_by_text("Line 120.", exact=True)).to_be_in_viewport()
