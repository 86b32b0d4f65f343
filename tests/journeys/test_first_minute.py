"""The first minute of somebody who has just installed Palaver: it starts, or says why not; the first answer comes."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.journeys.client import open_client
from tests.parts.chromium import open_page
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer
from tests.parts.process import Process, bare_environment, wait_until
from tests.parts.run import Run

PALAVER = str(Path(sys.executable).with_name("palaver"))
LINK = re.compile(r"http://\S+/sign-in/\S+")
# An interpreter that has to read all that it needs first.
SECONDS_TO_START = 120


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A window of somebody who was never here."""
    context = await browser.new_context()
    yield await open_page(context)
    await context.close()


async def say(page: Page, words: str) -> None:
    await page.get_by_label("Message", exact=True).fill(words)
    await page.get_by_role("button", name="Send").click()


def answers(page: Page) -> Locator:
    return page.locator(".reply .prose")


async def refuse(folder: Path, *arguments: str, **settings: str) -> str:
    """What `palaver serve` says on standard error where it cannot start."""
    environment = {**bare_environment(), "PALAVER_DATA_DIR": str(folder / "data"), "PALAVER_DISCOVER_PORTS": ""}
    done = await asyncio.to_thread(
        subprocess.run,
        [PALAVER, "serve", "--port", "0", *arguments],
        env={**environment, **settings},
        capture_output=True,
        text=True,
        timeout=SECONDS_TO_START,
        check=False,
    )
    assert done.returncode not in (0, None)
    assert done.returncode > 0
    assert "Traceback" not in done.stdout + done.stderr
    assert "ready" not in done.stdout
    return done.stderr.strip()


async def test_empty_folder_becomes_a_server_that_prints_one_link(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there" / "yet"
    process = Process(
        run,
        [PALAVER, "serve", "--port", "0"],
        name="palaver serve",
        log=tmp_path / "log",
        environment={**bare_environment(), "PALAVER_DATA_DIR": str(folder), "PALAVER_DISCOVER_PORTS": ""},
    )
    ready = await process.wait_for_line(r"^Palaver is ready on (http://127\.0\.0\.1:\d+)$", seconds=SECONDS_TO_START)
    link = await process.wait_for_line(LINK.pattern, seconds=SECONDS_TO_START)
    assert link[0].startswith(f"{ready[1]}/sign-in/")
    assert len(LINK.findall(process.log_text())) == 1
    assert folder.is_dir()
    assert [path for path in folder.rglob("*") if path.stat().st_mode & 0o077 and path.is_dir()] == []
    process.kill()


async def test_later_starts_print_no_link(server: Server) -> None:
    assert len(LINK.findall(server.log_text())) == 1
    await server.restart()
    await server.restart()
    assert len(LINK.findall(server.log_text())) == 1
    assert len(LINK.findall(await server.cli("user", "link", "admin"))) == 1


async def test_link_signs_in_and_the_page_answers_the_first_message(server: Server, page: Page, llm: LLM) -> None:
    await llm.control(text="Welcome to Palaver.")
    [link] = LINK.findall(server.log_text())
    await page.goto(link)
    assert page.url == f"{server.url}/"
    await say(page, "Hello")
    await expect(answers(page)).to_have_text("Welcome to Palaver.")
    await say(page, "And again")
    first, second = await llm.record("ended", n=2)
    assert [message["content"] for message in first.body["messages"]] == ["Hello"]
    assert [message["content"] for message in second.body["messages"]] == ["Hello", "Welcome to Palaver.", "And again"]


async def test_page_tells_who_is_not_signed_in_how_to_be(server: Server, page: Page) -> None:
    await page.goto(server.url)
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(page.get_by_text("palaver user link")).to_be_visible()


async def test_page_greets_by_the_full_name(server: Server, page: Page) -> None:
    printed = await server.cli("user", "add", "alice", "--full-name", "Alice Muster")
    await page.goto(f"{server.url}/sign-in/{printed.split('/sign-in/')[1].strip()}")
    await expect(page.get_by_role("heading", name="Alice Muster")).to_be_visible()


async def test_page_works_without_a_word_of_complaint_in_the_console(server: Server, page: Page) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    [link] = LINK.findall(server.log_text())
    await page.goto(link)
    await say(page, "Hello")
    await expect(answers(page)).to_have_text("You said: Hello")
    await page.goto(f"{server.url}/docs")
    await expect(page.get_by_text("/api/chat/start").first).to_be_visible()
    assert complaints == []


async def test_server_without_a_model_answers_as_the_dummy(start_server: StartServer, page: Page) -> None:
    server = await start_server(LLM_SERVER_URL="")
    await page.goto(LINK.findall(server.log_text())[0])
    await expect(page.get_by_text("No language model is connected")).to_be_visible()
    await say(page, "Hello")
    await expect(answers(page)).to_have_text("HELLO")


async def test_model_server_that_is_down_is_said_clearly_and_the_rest_works(
    start_server: StartServer, page: Page, llm: LLM
) -> None:
    llm.process.kill()
    server = await start_server(PALAVER_LLM_TRIES="1")
    await page.goto(LINK.findall(server.log_text())[0])
    await expect(page.get_by_text(f"The model server at {llm.url} does not answer")).to_be_visible()
    await say(page, "Hello")
    await expect(page.get_by_text("No answer came. Your message is kept.")).to_be_visible()
    async with open_client(server) as client:
        assert (await client.get("/health")).status == 200
    assert "Traceback" not in server.log_text()
    assert await wait_until(lambda: llm.url in server.log_text(), seconds=60)


# It cannot start, and says why


async def test_port_in_use_is_said_and_what_to_do(server: Server, tmp_path: Path) -> None:
    port = server.url.rpartition(":")[2]
    said = await refuse(tmp_path, "--port", port)
    assert port in said
    assert "PALAVER_PORT" in said
    assert not (tmp_path / "data").exists()


async def test_data_folder_that_cannot_be_is_said_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("I am no folder.")
    said = await refuse(tmp_path, PALAVER_DATA_DIR=str(tmp_path / "file" / "data"))
    assert str(tmp_path / "file" / "data") in said
    assert "PALAVER_DATA_DIR" in said


async def test_data_folder_that_another_server_uses_is_said(run: Run, tmp_path: Path) -> None:
    first = Server(run, tmp_path, {"PALAVER_DISCOVER_PORTS": ""})
    await first.start()
    said = await refuse(tmp_path)
    assert str(tmp_path / "data") in said
    assert first.is_running
    await first.end()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://palaver:hunter2@127.0.0.1:1/palaver",
        "postgresql://palaver:hunter2@no-such-host.invalid/palaver",
        "mysql://palaver:hunter2@127.0.0.1/palaver",
        "nonsense",
    ],
)
async def test_database_that_is_not_there_is_said_without_its_password(tmp_path: Path, url: str) -> None:
    said = await refuse(tmp_path, PALAVER_DATABASE_URL=url)
    assert "PALAVER_DATABASE_URL" in said
    assert "hunter2" not in said


async def test_database_that_does_not_exist_is_said(tmp_path: Path, postgres_url: str) -> None:
    said = await refuse(tmp_path, PALAVER_DATABASE_URL=re.sub(r"/test_[^?]*", "/nowhere", postgres_url))
    assert "PALAVER_DATABASE_URL" in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PALAVER_PORT", "eighty"),
        ("PALAVER_GUESTS", "perhaps"),
        ("PALAVER_LANGUAGE", "fr"),
        ("PALAVER_WHEN_BUSY", "wait"),
        ("PALAVER_DRAIN_SECONDS", "-1"),
        ("LLM_SERVER_URL", "localhost:8001"),
        ("BACKEND_CORS_ORIGINS", "app.example.org"),
        ("PALAVER_DEFAULT_PROVIDER", "nobody"),
    ],
)
async def test_setting_that_cannot_work_is_named_with_what_would(tmp_path: Path, name: str, value: str) -> None:
    # A setting given by an option goes before its environment name.
    arguments = ("--port", value) if name == "PALAVER_PORT" else ()
    said = await refuse(tmp_path, *arguments, **{name: value})
    assert name in said
    assert value in said


async def test_all_settings_that_cannot_work_are_named_at_once(tmp_path: Path) -> None:
    said = await refuse(tmp_path, PALAVER_GUESTS="perhaps", PALAVER_LANGUAGE="fr", OPENAI_API_KEY="my secret key")
    assert all(name in said for name in ("PALAVER_GUESTS", "PALAVER_LANGUAGE", "OPENAI_API_KEY"))
    assert "my secret key" not in said
