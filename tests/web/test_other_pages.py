"""A page of somebody else, open in the same browser, gets at nothing with the person's cookies."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from playwright.async_api import Page

from tests.parts.palaver import Server
from tests.web.window import Window

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
CONNECT = """(url) => new Promise((done) => {
  const socket = new WebSocket(url);
  socket.onmessage = () => done("heard");
  socket.onerror = () => done("no");
})"""
FRAME = """(url) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.onload = () => { try { done(frame.contentDocument === null ? "no" : "seen") } catch { done("no") } };
  frame.src = url;
  document.body.append(frame);
})"""


@pytest.fixture
async def elsewhere() -> AsyncIterator[str]:
    """The address of a page that is not ours. Another port of the same host: the person's cookies go along."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="<title>Elsewhere</title>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


@pytest.fixture
async def foreign_page(window: Window, elsewhere: str) -> Page:
    page = await window.context.new_page()
    await page.goto(elsewhere)
    return page


async def test_other_page_reads_nothing(shared_server: Server, foreign_page: Page) -> None:
    for path in ("/api/auth/me", "/ai-chat/api/sessions/", "/api/chat/sessions"):
        assert await foreign_page.evaluate(READ, shared_server.url + path) == "no"


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
        assert await foreign_page.evaluate(CONNECT, address + path) == "no"


async def test_other_page_shows_nothing_of_ours_in_a_frame(shared_server: Server, foreign_page: Page) -> None:
    assert await foreign_page.evaluate(FRAME, shared_server.url) == "no"
    assert [frame.url for frame in foreign_page.frames[1:]] == ["chrome-error://chromewebdata/"]
