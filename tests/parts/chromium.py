"""The system's Chromium, driven by Playwright: the whole browser, or its headless shell.

The shell shows pages by the same code, and needs a fourth less of a core for it, as it has no tabs, no address bar and
no processes for those. It takes no pushed messages and installs nothing.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.parts import PartMissing

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SHELL = "chromium-headless-shell"
_APPS = tuple(f"/Applications/{name}.app/Contents/MacOS/{name}" for name in ("Google Chrome", "Chromium"))
_FEATURES_OFF = (
    # What a window shows while somebody types an address is two pages with processes of their own, loaded with each
    # window: half as much work again as the page under test.
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    # Playwright's own list, of those that matter here: of two lists the browser heeds the last.
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    # A process for the page that might be opened next.
    "SpareRendererForSitePerProcess",
    "ThirdPartyStoragePartitioning",
)
# No sandbox, because root has none; and nothing but what a test asks for goes over the network.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join(_FEATURES_OFF)}",
)


def find_chromium() -> Path:
    """Where the browser is. `PartMissing` where there is none."""
    for name in (*_NAMES, *_APPS):
        if found := shutil.which(name):
            return Path(found)
    raise PartMissing(f"No Chromium is on the PATH ({', '.join(_NAMES)}). `make ready` installs one.")


def find_shell() -> Path:
    """Where the headless shell is, or the whole browser: not every system offers a shell."""
    found = shutil.which(_SHELL)
    return find_chromium() if found is None else Path(found)


async def open_page(context: BrowserContext, *, own_pace: bool = False) -> Page:
    """A window. `PALAVER_TEST_SLOW_BROWSER=6` makes it as slow as on a machine that has six times less time for it.

    But at its own pace where it is loaded without a network: what slows it down has it forget that it is offline.
    """
    page = await context.new_page()
    rate = float(os.environ.get("PALAVER_TEST_SLOW_BROWSER", "1"))
    if rate > 1 and not own_pace:
        devtools = await context.new_cdp_session(page)
        await devtools.send("Emulation.setCPUThrottlingRate", {"rate": rate})
    return page


@asynccontextmanager
async def open_browser(chromium: Path) -> AsyncIterator[Browser]:
    """A browser without a window. Each person in a test is a `new_context()` of it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()
