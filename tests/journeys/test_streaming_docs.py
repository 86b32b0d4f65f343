"""docs/streaming.md: its two clients, as they stand there, lose no word, whatever happens to connection and server."""

import asyncio
import json
import re
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright._impl._driver import compute_driver_executable
from playwright.async_api import Browser

from tests.contracts.talking import make
from tests.journeys.client import Client, open_client
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StoreKind
from tests.parts.process import bare_environment

PAGE = Path(__file__).parents[2] / "docs" / "streaming.md"
MOST_LINES = 40

# No two pieces are the same, so that one too few or too many would show.
PIECES = 60
TEXT = " ".join(str(number) for number in range(1000, 1000 + PIECES))
HOLD = "docs"
# It is said only as far as a test lets it: the reply lasts longer than all that happens to the client.
MESSAGE = f"[[pieces={PIECES}&hold={HOLD}&text={TEXT.replace(' ', '+')}]]"

CUTS = 4
BETWEEN_CUTS = 4
CUT_AT = tuple(BETWEEN_CUTS * (number + 1) for number in range(CUTS))
SECONDS = 60

JAVASCRIPT_DRIVER = """
const [url, token, session, message, id] = process.argv.slice(2);
const print = (told) => console.log(JSON.stringify(told));
const ask = () => talk({ url, token, session, message, id, onText: (text) => print({ so_far: text }) });
let told = await ask();
for (let tries = 0; told.error && tries < 3; tries++) {
  print({ broke: told.text });
  told = await ask();
}
print({ whole: told.text });
process.exit();
"""

PYTHON_DRIVER = """
import sys
url, token, session, message, client_id = sys.argv[1:]
def say(**told):
    print(json.dumps(told), flush=True)
say(whole=asyncio.run(talk(url, token, session, message, client_id, lambda text: say(so_far=text))))
"""


def read_example(language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    example: str = found[0]
    return example


class Wire:
    """Between client and server; it can be cut, and is whole again for whoever comes back."""

    def __init__(self, server: Server) -> None:
        self._server = urlsplit(server.url)
        self._open: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()
        self.netloc = ""
        self.cuts = 0

    def cut(self) -> None:
        self.cuts += 1
        for writer in self._open:
            writer.transport.abort()

    @asynccontextmanager
    async def laid(self) -> AsyncIterator["Wire"]:
        listening = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.netloc = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            listening.close()
            self.cut()
            await asyncio.gather(*self._passing)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(self._server.hostname, self._server.port)
        except OSError:
            # The server is not there just now.
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        for one in ((reader, far_writer), (far_reader, writer)):
            passing = asyncio.create_task(self._pass_on(*one))
            self._passing.add(passing)
            passing.add_done_callback(self._passing.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        self._open.discard(writer)
        writer.close()


class Telling:
    """A client of the page in a process of its own, which tells what it gets."""

    def __init__(self, process: asyncio.subprocess.Process, llm: LLM) -> None:
        self._process = process
        self._llm = llm

    async def wait_for_texts(self, count: int) -> None:
        """Until it has shown so many further texts."""
        for _ in range(count):
            await self._llm.let_go(HOLD, pieces=1)
            if "whole" in (told := await self._next()):
                raise AssertionError(f"It had the whole before anything happened to it: {told}")

    async def whole(self) -> str:
        """What it takes for the whole answer."""
        await self._llm.let_go(HOLD)
        while "whole" not in (told := await self._next()):
            pass
        whole: str = told["whole"]
        return whole

    async def _next(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        async with asyncio.timeout(SECONDS):
            line = await self._process.stdout.readline()
            assert line, (await self._process.stderr.read()).decode()
        told: dict[str, Any] = json.loads(line)
        return told


@asynccontextmanager
async def telling(llm: LLM, *command: str) -> AsyncIterator[Telling]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=bare_environment())
    try:
        yield Telling(process, llm)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "sqlite"


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    # The clients of the page come back a little later each time; nothing here is about how long that takes.
    return {"PALAVER_LLM_TRIES": "1"}


@pytest.fixture
async def token(server: Server) -> str:
    return await server.token("alice")


@pytest.fixture
async def alice(server: Server, token: str) -> AsyncIterator[Client]:
    async with open_client(server) as nobody:
        yield nobody.bearing(token)


@pytest.fixture
async def wire(server: Server) -> AsyncIterator[Wire]:
    async with Wire(server).laid() as wire:
        yield wire


@pytest.fixture(params=["javascript", "python"])
async def client(
    request: pytest.FixtureRequest, tmp_path: Path, wire: Wire, token: str, alice: Client, llm: LLM
) -> AsyncIterator[Telling]:
    """It has asked, and hears."""
    session = await make(alice)
    asks = [token, session, MESSAGE, str(uuid.uuid4())]
    javascript, python = tmp_path / "client.mjs", tmp_path / "client.py"
    javascript.write_text(read_example("js") + JAVASCRIPT_DRIVER)
    python.write_text(read_example("python") + PYTHON_DRIVER)
    # Playwright brings its own Node.
    node = str(compute_driver_executable()[0])
    commands = {
        "javascript": [node, str(javascript), f"http://{wire.netloc}", *asks],
        "python": [sys.executable, str(python), f"ws://{wire.netloc}", *asks],
    }
    async with telling(llm, *commands[request.param]) as client:
        yield client


async def turns(person: Client) -> list[tuple[str, str]]:
    history = (await person.get("/api/history/")).body["messages"]
    return [(turn["user_message"], turn["assistant_response"]) for turn in history]


@pytest.mark.parametrize("language", ["js", "python"])
def test_each_client_is_short(language: str) -> None:
    assert len(read_example(language).splitlines()) <= MOST_LINES


async def test_client_that_is_cut_off_again_and_again_has_every_word(
    client: Telling, wire: Wire, alice: Client
) -> None:
    for _ in range(CUTS):
        await client.wait_for_texts(BETWEEN_CUTS)
        wire.cut()
    assert await client.whole() == TEXT
    assert await turns(alice) == [(MESSAGE, TEXT)]


async def test_client_of_a_server_that_is_killed_has_every_word_of_the_answer_that_is_made_anew(
    client: Telling, server: Server, alice: Client
) -> None:
    await client.wait_for_texts(BETWEEN_CUTS)
    server.kill()
    await server.start()
    assert await client.whole() == TEXT
    assert await turns(alice) == [(MESSAGE, TEXT)]


async def test_client_of_a_server_that_restarts_has_every_word(client: Telling, server: Server, alice: Client) -> None:
    await client.wait_for_texts(BETWEEN_CUTS)
    await server.restart()
    assert await client.whole() == TEXT
    assert await turns(alice) == [(MESSAGE, TEXT)]


async def test_browser_that_is_cut_off_again_and_again_has_every_word(
    browser: Browser, wire: Wire, token: str, alice: Client, llm: LLM
) -> None:
    session = await make(alice)
    page = await browser.new_page(bypass_csp=True)
    shown: list[str] = []

    async def show(text: str) -> None:
        shown.append(text)
        if len(shown) in CUT_AT:
            wire.cut()
        await llm.let_go(HOLD, pieces=None if wire.cuts == CUTS else 1)

    await page.expose_function("show", show)
    # A page of the server's that is whole once it is loaded: the app would load itself again after a cut.
    await page.goto(f"http://{wire.netloc}/health")
    await llm.let_go(HOLD, pieces=1)
    asks = {"url": "", "token": token, "session": session, "message": MESSAGE, "id": str(uuid.uuid4())}
    source = read_example("js").replace("export async", "async")
    told = await page.evaluate(f"(asks) => {{ {source}; return talk({{ ...asks, onText: show }}) }}", asks)
    assert told == {"text": TEXT}
    assert wire.cuts == CUTS
    assert await turns(alice) == [(MESSAGE, TEXT)]
    await page.close()
