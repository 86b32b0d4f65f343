"""How the server gives out the web app: what may be kept for how long, what may run, and what is there without it."""

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import ClientSession
from playwright.async_api import expect

from tests.journeys.client import open_client
from tests.parts.palaver import Server, StartServer
from tests.web.prefix import behind_a_prefix
from tests.web.window import OpenWindow

ROOT = Path(__file__).parents[2]
HTML = "text/html,application/xhtml+xml,*/*;q=0.8"


async def test_page_is_looked_at_each_time_and_its_files_are_kept_for_good(shared_server: Server) -> None:
    async with open_client(shared_server, Accept=HTML) as nobody:
        page = await nobody.get("/")
        assert page.headers["Cache-Control"] == "no-cache"
        names = re.findall(r'"\./assets/([\w.-]+\.(?:js|css))"', page.text)
        assert names
        for name in names:
            file = await nobody.get(f"/assets/{name}")
            assert file.status == 200
            assert "immutable" in file.headers["Cache-Control"]
            assert file.headers["X-Content-Type-Options"] == "nosniff"
        icon = await nobody.get("/assets/icon.svg")
        assert "immutable" not in icon.headers["Cache-Control"]
        worker = await nobody.get("/service-worker.js")
        assert worker.headers["Cache-Control"] == "no-cache"
        policy = worker.headers["Content-Security-Policy"]
        assert policy == "default-src 'none'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("br, gzip", "br"), ("gzip, deflate", "gzip"), ("br;q=0, gzip", "gzip"), ("identity", None), ("brx", None)],
)
async def test_files_come_packed_as_the_browser_takes_them(
    shared_server: Server, accepted: str, coding: str | None
) -> None:
    async with (
        ClientSession(auto_decompress=False) as http,
        http.get(shared_server.url, headers={"Accept": HTML, "Accept-Encoding": accepted}) as answer,
    ):
        assert answer.headers.get("Content-Encoding") == coding
        assert "Accept-Encoding" in answer.headers["Vary"]


async def test_nothing_runs_in_the_page_but_its_own_files(shared_server: Server) -> None:
    async with open_client(shared_server, Accept=HTML) as nobody:
        page = await nobody.get("/")
        policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
        assert (policy["default-src"], policy["script-src"], policy["style-src"]) == ("'none'", "'self'", "'self'")
        assert policy["trusted-types"] == "palaver-worker"
        assert "unsafe" not in page.headers["Content-Security-Policy"]
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert re.search(r"<script(?! type=\"module\" crossorigin src=)|<style|\son\w+=", page.text) is None


@pytest.mark.parametrize(
    "name",
    ["nothing.js", "..%2findex.html", "%2e%2e%2f%2e%2e%2fsettings.py", ".built-from", "index.html", "icon.svg.br", ""],
)
async def test_no_name_leads_to_anything_else(shared_server: Server, name: str) -> None:
    async with open_client(shared_server) as nobody:
        assert (await nobody.get(f"/assets/{name}")).status == 404


async def test_app_works_behind_a_path_prefix(shared_server: Server, open_window: OpenWindow) -> None:
    async with behind_a_prefix(shared_server, "/chat") as url:
        window = await open_window(shared_server, at=url)
        await expect(await window.say("Hello. [[text=Behind a prefix.]]")).to_have_text("Behind a prefix.")
        assert window.page.url.startswith(f"{url}#/c/")


async def test_sign_in_link_leads_to_the_app_where_the_public_url_has_it(start_server: StartServer) -> None:
    server = await start_server(PALAVER_PUBLIC_URL="https://example.org/chat")
    code = (await server.cli("user", "link", "admin")).split("/sign-in/")[1].strip()
    async with open_client(server) as nobody:
        assert (await nobody.get(f"/sign-in/{code}")).headers["Location"] == "/chat/"


async def test_server_without_the_app_says_so_and_works(tmp_path: Path) -> None:
    """As it is where no package registry was there when it was installed."""
    shutil.copytree(ROOT / "src" / "palaver", tmp_path / "palaver", ignore=shutil.ignore_patterns("ui", "__pycache__"))
    program = (
        "import asyncio\n"
        "from palaver.api import outside, web_app\n"
        "from palaver.api.call import Call\n"
        "scope = {'type': 'http', 'headers': [(b'accept', b'text/html')]}\n"
        "answer = asyncio.run(outside.home(Call(None, scope, '', 'en')))\n"
        "print(web_app.UI, answer.body.decode())\n"
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(tmp_path))
    assert "Its web app was not built" in done.stdout
