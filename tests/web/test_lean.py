"""What the web app weighs, and that long replies and long conversations cost what short ones do."""

import asyncio
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
from playwright.async_api import CDPSession, expect

from tests.parts.llm import LLM
from tests.parts.palaver import Server
from tests.promises import Measured
from tests.web.window import SECONDS, OpenWindow, Window

UI = Path(__file__).parents[2] / "src" / "palaver" / "ui"
MOST_AT_START = 150_000
MOST_GROWTH = 1.5
# As many pieces as there are kinds of them, twice: what is drawn at the end is what is drawn at the beginning.
IN_A_STRETCH = 12
# How many prompts a conversation opens with.
AT_ONCE = 50
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
    shared_server: Server, open_window: OpenWindow, llm: LLM, prove: bool, measured: Measured
) -> None:
    stretches = 40 if prove else 10
    pieces = stretches * IN_A_STRETCH
    short, long = [Reply(await open_window(shared_server), llm, hold) for hold in ("short", "long")]
    await short.begin(of=pieces)
    await long.begin(of=3 * pieces)
    await long.grow(2 * pieces)
    # One in each, in turn: a core that is faster at one time than at another is so for both.
    ratios = [await long.cost_of_a_stretch() / await short.cost_of_a_stretch() for _ in range(stretches)]
    for reply in (short, long):
        await reply.end()
    measured("pieces", 3 * pieces, "")
    measured("the last third costs", round(median(ratios), 2), "times the first")
    # Now and then the browser does something besides, in the one or in the other.
    assert median(ratios) <= MOST_GROWTH, ratios


class Reply:
    """It goes on in a window of its own, as far as it is let."""

    def __init__(self, window: Window, llm: LLM, hold: str) -> None:
        self._window = window
        self._llm = llm
        self._hold = hold
        self._meter = Meter(window)
        self._shown = 0

    async def begin(self, *, of: int) -> None:
        """With one piece more, that shows where to look, and a last one that keeps the end out of what is measured."""
        pieces = long_reply(of + 2)
        await self._llm.control(text="".join(pieces), pieces=len(pieces), hold=self._hold)
        await self._meter.begin()
        await self._window.page.reload()
        await self._window.write("Go on at length.")
        await self._llm.let_go(self._hold, pieces=1)
        await expect(self._window.answers).to_contain_text(mark(0))

    async def grow(self, pieces: int) -> None:
        self._shown += pieces
        await self._llm.let_go(self._hold, pieces=pieces)
        await asyncio.wait_for(self._window.page.evaluate(DRAWN, mark(self._shown)), SECONDS)

    async def cost_of_a_stretch(self) -> float:
        """Each piece is drawn by itself: as many as are drawn at once depends on what else the machine does."""
        before = await self._meter.busy_seconds()
        for _ in range(IN_A_STRETCH):
            await self.grow(1)
        return await self._meter.busy_seconds() - before

    async def end(self) -> None:
        await self._llm.let_go(self._hold)
        await expect(self._window.page.locator(".reply .foot")).to_be_visible()


class Meter:
    """What the page's own thread is busy with: its processor time, which no neighbour can lengthen."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._devtools: CDPSession

    async def begin(self) -> None:
        self._devtools = await self._window.context.new_cdp_session(self._window.page)
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
    lengths = {"Short": AT_ONCE, "Long": turns}
    for title, length in lengths.items():
        session = await window.ask("POST", "ai-chat/api/sessions/", {"title": title})
        for n in range(1, length + 1):
            await window.ask(
                "POST", f"ai-chat/api/sessions/{session['id']}/send_message/", {"message": f"Question {n}"}
            )
    meter = Meter(window)
    await meter.begin()
    costs: dict[str, list[float]] = {title: [] for title in lengths}
    # In turn, each as a page that has seen neither: a core that is faster at one time than at another is so for both.
    for _ in range(7):
        for title, length in lengths.items():
            await window.page.goto(window.server.url)
            await window.page.reload()
            await expect(window.page.get_by_role("link", name=title)).to_be_visible()
            before = await meter.busy_seconds()
            await asyncio.wait_for(window.page.evaluate(OPEN, [title, f"Question {length}"]), SECONDS)
            costs[title].append(await meter.busy_seconds() - before)
    ratios = [long / short for long, short in zip(costs["Long"], costs["Short"], strict=True)]
    measured("turns", turns, "")
    measured("opened in", round(min(costs["Long"]), 2), "s")
    measured("that is", round(median(ratios), 2), f"times what {AT_ONCE} turns take")
    assert median(ratios) <= MOST_GROWTH, costs
    await expect(window.prompts).to_have_count(AT_ONCE)
    await expect(window.prompts.last).to_have_text(f"Question {turns}")
    await expect(window.prompts.last).to_be_in_viewport()
    await window.page.get_by_role("button", name="Earlier messages").click()
    await expect(window.prompts).to_have_count(2 * AT_ONCE)
    await expect(window.prompts.first).to_have_text(f"Question {turns - 2 * AT_ONCE + 1}")
    # What was looked at is still there.
    await expect(window.page.get_by_text(f"Question {turns - AT_ONCE + 1}", exact=True)).to_be_in_viewport()
