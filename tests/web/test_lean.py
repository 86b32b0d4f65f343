"""What the web app weighs, and that long replies and long conversations cost what short ones do."""

import asyncio
import gzip
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
from playwright.async_api import CDPSession, expect

from tests.parts.llm import LLM
from tests.promises import Measured
from tests.web.window import SECONDS, Window

UI = Path(__file__).parents[2] / "src" / "palaver" / "ui"
MOST_AT_START = 150_000
MOST_GROWTH = 1.5
# Of the page's own thread.
MOST_SECONDS_TO_OPEN = 0.3
# To the moment when these words stand in the last block of the reply: that one alone is read, however many there are.
DRAWN = """(words) => new Promise((done) => {
  const prose = document.querySelector(".reply .prose");
  const look = () => {
    if (!prose.lastElementChild?.lastElementChild?.textContent.includes(words)) return;
    drawing.disconnect();
    done();
  };
  const drawing = new MutationObserver(look);
  drawing.observe(prose, { subtree: true, childList: true, characterData: true });
  look();
})"""
# To the frame that has the newest message in view.
OPEN = """([title, newest]) => new Promise((done) => {
  const look = () => {
    const shown = [...document.querySelectorAll(".prompt .bubble")].at(-1);
    const at = shown?.textContent === newest ? shown.getBoundingClientRect() : null;
    if (at === null || at.top < 0 || at.bottom > innerHeight) requestAnimationFrame(look);
    else done();
  };
  [...document.querySelectorAll(".conversation a")].find((link) => link.textContent === title).click();
  look();
})"""


def test_page_starts_with_little_script() -> None:
    """All that is fetched before anybody does anything, what draws Markdown included."""
    manifest = json.loads((UI / ".vite" / "manifest.json").read_text())
    [entry] = [name for name, chunk in manifest.items() if chunk.get("isEntry")]
    names = set(with_imports(manifest, entry)) | set(with_imports(manifest, "src/markdown/markdown.tsx"))
    scripts = {manifest[name]["file"] for name in names if manifest[name]["file"].endswith(".js")}
    assert scripts
    weight = sum(len(gzip.compress((UI / script).read_bytes(), 9)) for script in scripts)
    assert weight <= MOST_AT_START, f"{weight} bytes"


def with_imports(manifest: dict[str, dict[str, list[str]]], name: str) -> Iterator[str]:
    yield name
    for needed in manifest[name].get("imports", []):
        yield from with_imports(manifest, needed)


@pytest.mark.proof("load", alone=True)
async def test_piece_at_the_end_of_a_long_reply_costs_what_one_at_its_beginning_costs(
    window: Window, llm: LLM, prove: bool, measured: Measured
) -> None:
    in_a_tenth = 100 if prove else 20
    # The first shows where to look, and the last keeps the end of the reply out of what is measured.
    pieces = long_reply(10 * in_a_tenth + 2)
    await llm.control(text="".join(pieces), pieces=len(pieces), hold="lean")
    meter = Meter(await window.context.new_cdp_session(window.page))
    await meter.begin()
    await window.page.reload()
    await window.write("Go on at length.")
    number = 0
    await llm.let_go("lean", pieces=1)
    await expect(window.answers).to_contain_text(mark(number))
    readings = [await meter.busy_seconds()]
    for _ in range(10):
        # Each is drawn by itself: as many as are drawn at once depends on what else the machine does.
        for _ in range(in_a_tenth):
            number += 1
            await llm.let_go("lean", pieces=1)
            await asyncio.wait_for(window.page.evaluate(DRAWN, mark(number)), SECONDS)
        readings.append(await meter.busy_seconds())
    await llm.let_go("lean")
    await expect(window.page.locator(".reply .foot")).to_be_visible()
    costs = [after - before for before, after in pairwise(readings)]
    measured("pieces", 10 * in_a_tenth, "")
    measured("the last tenths cost", round(median(costs[-3:]) / median(costs[:5]), 2), "times the first")
    # The first tenth also pays for what is done only once, and any tenth may for what the browser does now and then.
    assert median(costs[-3:]) <= MOST_GROWTH * median(costs[:5]), costs


class Meter:
    """What the page's own thread is busy with: its processor time, which no neighbour can lengthen."""

    def __init__(self, devtools: CDPSession) -> None:
        self._devtools = devtools

    async def begin(self) -> None:
        await self._devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    async def busy_seconds(self) -> float:
        metrics = (await self._devtools.send("Performance.getMetrics"))["metrics"]
        return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))


def long_reply(pieces: int) -> list[str]:
    """Of one length, so that the stand-in cuts it just there. Each ends with words that no other has."""
    parts = [
        "word " * 12,
        "word " * 12,
        "Some *words* and `code`, and a [link](https://example.org).\n\n",
        "word " * 12,
        "\n\n- one\n- two\n- three\n\n",
        "\n\n```js\nlet a;\n```\n\n",
    ]
    return [f"{parts[number % len(parts)]:x<64} {mark(number)} " for number in range(pieces)]


def mark(number: int) -> str:
    return f"Piece{number:05}"


@pytest.mark.proof("load", alone=True)
async def test_long_conversation_opens_at_once_with_its_newest_messages_and_gives_older_ones_when_asked(
    window: Window, llm: LLM, prove: bool, measured: Measured
) -> None:
    turns = 5000 if prove else 105
    await llm.control(text="Yes.")
    session = await window.ask("POST", "ai-chat/api/sessions/", {"title": "Long"})
    for n in range(1, turns + 1):
        await window.ask("POST", f"ai-chat/api/sessions/{session['id']}/send_message/", {"message": f"Question {n}"})
    devtools = await window.context.new_cdp_session(window.page)
    await devtools.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    meter = Meter(devtools)
    await meter.begin()
    # Each time as a page that has not seen it; other work on the machine makes it slower, and nothing makes it faster.
    times = []
    for _ in range(4):
        await window.page.goto(window.server.url)
        await window.page.reload()
        await expect(window.page.get_by_role("link", name="Long")).to_be_visible()
        before = await meter.busy_seconds()
        await window.page.evaluate(OPEN, ["Long", f"Question {turns}"])
        times.append(await meter.busy_seconds() - before)
    measured("turns", turns, "")
    measured("opened in", round(min(times), 2), "s")
    assert min(times) <= MOST_SECONDS_TO_OPEN, times
    await expect(window.prompts).to_have_count(50)
    await expect(window.prompts.last).to_have_text(f"Question {turns}")
    await expect(window.prompts.last).to_be_in_viewport()
    await window.page.get_by_role("button", name="Earlier messages").click()
    await expect(window.prompts).to_have_count(100)
    await expect(window.prompts.first).to_have_text(f"Question {turns - 99}")
    # What was looked at is still there.
    await expect(window.page.get_by_text(f"Question {turns - 49}", exact=True)).to_be_in_viewport()
