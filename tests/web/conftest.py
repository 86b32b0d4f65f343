"""Windows of people who use the web app. Which store is behind it is nothing that a browser sees: SQLite will do."""

from collections.abc import AsyncIterator, Mapping

import pytest
from playwright.async_api import Browser

from tests.parts.llm import LLM
from tests.parts.palaver import Server, StoreKind
from tests.parts.run import Run
from tests.web.window import DESKTOP, PHONE, Counting, Device, OpenWindow, Window, Windows


@pytest.fixture(scope="module", params=["sqlite"])
def store_kind(request: pytest.FixtureRequest) -> StoreKind:
    kind: StoreKind = request.param
    return kind


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    # What a test holds back is no silence for which a reply breaks off.
    return {"PALAVER_REGISTRATION": "on", "PALAVER_LLM_TRIES": "1", "LLM_TIMEOUT": "600"}


@pytest.fixture
async def own_llm(run: Run) -> AsyncIterator[LLM]:
    """A stand-in of the test's own, which may die, and whose models hold little."""
    llm = LLM(run, "--context-length", "1000")
    await llm.start()
    yield llm
    llm.process.kill()


@pytest.fixture(scope="module")
def keeps_page() -> bool:
    """Whether the app is there without a network, too. Where nobody needs that, no window fetches all files for it."""
    return False


@pytest.fixture
def counting(llm: LLM) -> Counting:
    """`window.write(f"Count. {counting.script}")`: nothing comes of it until `counting.go_on()`."""
    return Counting(llm)


@pytest.fixture
async def windows(browser: Browser, keeps_page: bool) -> AsyncIterator[Windows]:
    """Opens windows, and closes them at the end of the test; none of them may have complained in its console."""
    windows = Windows(browser, keeps_page=keeps_page)
    yield windows
    await windows.close()


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def device(request: pytest.FixtureRequest) -> Device:
    found: Device = request.param
    return found


@pytest.fixture
def open_window(windows: Windows) -> OpenWindow:
    """`await open_window(server, "alice")`: somebody who is signed in there."""
    return windows.open


@pytest.fixture
async def window(windows: Windows, shared_server: Server) -> Window:
    """A window on a desktop, of somebody who is new here and signed in."""
    return await windows.open(shared_server)
