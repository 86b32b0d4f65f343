"""A page of somebody else, open in the same browser, gets at nothing with the person's cookies."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from playwright.async_api import Page, expect

from tests.parts.palaver import Server
from tests.web.window import Counting, Window

READ = (
    """async (url) => { try { return (await fetch(url, { credentials: "include" })).status } catch { return "no" } }"""
)
POST = """async ([url, type]) => {
  const body = JSON.stringify({ title: "theirs", message: "theirs" });
  const init = { method: "POST", credentials: "include", headers: { "Content-Type": type }, body };
  try { return (await fetch(url, init)).status } catch { return "no" }
}"""
SEND_BLINDLY = """async ([url, type]) => {
  const body = JSON.stringify({ title: "theirs", message: "theirs" });
  const init = { method: "POST", mode: "no-cors", credentials: "include", headers: { "Content-Type": type }, body };
  try { return (await fetch(url, init)).type } catch { return "no" }
}"""
SUBMIT = """([url, type]) => {
  const form = document.createElement("form");
  Object.assign(form, { action: url, method: "POST", enctype: type });
  const field = document.createElement("input");
  Object.assign(field, { name: '{"title": "theirs", "message": "theirs", "rest": "', value: '"}' });
  form.append(field);
  document.body.append(form);
  form.submit();
}"""
HEAR = """(url) => new Promise((done) => {
  const source = new EventSource(url, { withCredentials: true });
  const end = (how) => { source.close(); done(how) };
  for (const type of ["message", "start", "token", "end"]) source.addEventListener(type, () => end("heard"));
  source.onopen = () => end("heard");
  source.onerror = () => end("no");
})"""
CONNECT = """(url) => new Promise((done) => {
  const socket = new WebSocket(url);
  socket.onmessage = ({ data }) => done(JSON.parse(data).type);
  socket.onerror = () => done("no");
  socket.onclose = () => done("no");
})"""
OWN = ("chat_list_update", "connection_established")
# To a page of another host the browser gives no cookie: there it is nobody, who is told to sign in.
REFUSED = ("no", "error")
FRAME = """(url) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.onload = () => { try { done(frame.contentDocument === null ? "no" : "seen") } catch { done("no") } };
  frame.src = url;
  document.body.append(frame);
})"""


@pytest.fixture(params=["127.0.0.1", "localhost"], ids=["other_port", "other_host"])
async def elsewhere(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The address of a page that is not ours. From another port of the same host the person's cookies go along."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="<title>Elsewhere</title>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://{request.param}:{runner.addresses[0][1]}/"
    await runner.cleanup()


@pytest.fixture
async def foreign_page(window: Window, elsewhere: str) -> Page:
    page = await window.context.new_page()
    await page.goto(elsewhere)
    return page


async def test_other_page_reads_nothing(shared_server: Server, foreign_page: Page, window: Window) -> None:
    for path in ("/api/auth/me", "/ai-chat/api/sessions/", "/api/chat/sessions"):
        assert await window.page.evaluate(READ, shared_server.url + path) == 200
        assert await foreign_page.evaluate(READ, shared_server.url + path) == "no"


async def test_other_page_hears_no_reply(
    shared_server: Server, foreign_page: Page, window: Window, counting: Counting
) -> None:
    await window.write(f"Count. {counting.script}")
    await counting.go_on(1)
    await expect(window.answers).to_contain_text("one")
    address = f"{shared_server.url}/api/chat/stream/?session_id={window.page.url.rpartition('/')[2]}"
    assert await window.page.evaluate(HEAR, address) == "heard"
    assert await foreign_page.evaluate(HEAR, address) == "no"


async def test_form_of_another_page_changes_nothing(shared_server: Server, foreign_page: Page, window: Window) -> None:
    begun_at = foreign_page.url
    for path in ("/ai-chat/api/sessions/", "/api/chat"):
        for content_type in ("text/plain", "application/x-www-form-urlencoded"):
            async with foreign_page.expect_navigation():
                await foreign_page.goto(begun_at)
            async with foreign_page.expect_navigation() as answer:
                await foreign_page.evaluate(SUBMIT, [shared_server.url + path, content_type])
            assert (await answer.value).status in (401, 403, 415)
    assert await window.ask("GET", "ai-chat/api/sessions/") == []


async def test_other_page_changes_nothing(shared_server: Server, foreign_page: Page, window: Window) -> None:
    for path in ("/ai-chat/api/sessions/", "/api/chat", "/api/chat/stream/"):
        for content_type in ("application/json", "text/plain"):
            assert await foreign_page.evaluate(POST, [shared_server.url + path, content_type]) == "no"
            await foreign_page.evaluate(SEND_BLINDLY, [shared_server.url + path, content_type])
    assert await window.ask("GET", "ai-chat/api/sessions/") == []


async def test_other_page_opens_no_socket(shared_server: Server, foreign_page: Page, window: Window) -> None:
    session = await window.ask("POST", "ai-chat/api/sessions/", {})
    address = shared_server.url.replace("http", "ws")
    for path in ("/ws/ai-chat/sessions/", f"/ws/ai-chat/session/{session['id']}/"):
        assert await window.page.evaluate(CONNECT, address + path) in OWN
        assert await foreign_page.evaluate(CONNECT, address + path) in REFUSED


async def test_other_page_shows_nothing_of_ours_in_a_frame(shared_server: Server, foreign_page: Page) -> None:
    assert await foreign_page.evaluate(FRAME, shared_server.url) == "no"
    [frame] = foreign_page.frames[1:]
    await frame.wait_for_url("chrome-error://chromewebdata/")
