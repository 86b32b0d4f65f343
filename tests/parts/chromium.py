"""The system's Chromium, driven by Playwright."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from tests.parts import PartMissing

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_APPS = tuple(f"/Applications/{name}.app/Contents/MacOS/{name}" for name in ("Google Chrome", "Chromium"))
# No sandbox, because root has none; and nothing but what a test asks for goes over the network.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> Path:
    """Where the browser is. `PartMissing` where there is none."""
    for name in (*_NAMES, *_APPS):
        if found := shutil.which(name):
            return Path(found)
    raise PartMissing(f"No Chromium is on the PATH ({', '.join(_NAMES)}). `make ready` installs one.")


@asynccontextmanager
async def open_browser(chromium: Path) -> AsyncIterator[Browser]:
    """A browser without a window. Each person in a test is a `new_context()` of it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()
