"""What the web app weighs, and that long replies and long conversations cost what short ones do."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from playwright.async_api import CDPSession, expect

from tests.parts.llm import LLM
from tests.parts.palaver import Server
from tests.web.window import OpenWindow, Window

UI = Path(__file__).parents[2] / "src" / "palaver" / "ui"
MOST_AT_START = 150_000
# Where a tenth of the reply is all that is looked at, a neighbour on the machine weighs as much as what is measured.
MOST_GROWTH = 1.5
NOISE_SECONDS = 0.1


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


async def test_piece_at_the_end_of_a_long_reply_costs_what_one_at_its_beginning_costs(
    shared_server: Server, open_window: OpenWindow, llm: LLM, prove: bool
) -> None:
    window = await open_window(shared_server)
    paragraphs = 400 if prove else 150
    await llm.control(text=long_reply(paragraphs), pieces=paragraphs * 10, delay=0.002)
    page = window.page
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Performance.enable")
    await window.write("Go on at length.")
    costs = []
    before = await busy_seconds(devtools)
    for tenth in range(1, 11):
        words = f"Paragraph {paragraphs * tenth // 10}."
        await expect(page.locator(".reply .prose > p", has_text=words)).to_be_attached()
        now = await busy_seconds(devtools)
        costs.append(now - before)
        before = now
    # One tenth may come together with the one before: the first half is looked at as a whole.
    assert costs[9] <= MOST_GROWTH * sum(costs[:5]) / 5 + NOISE_SECONDS, costs


async def busy_seconds(devtools: CDPSession) -> float:
    """How long the page's own thread has worked."""
    metrics = (await devtools.send("Performance.getMetrics"))["metrics"]
    found = {metric["name"]: metric["value"] for metric in metrics}
    return float(found["TaskDuration"])


def long_reply(paragraphs: int) -> str:
    parts = [
        "Some *words* and `code`, and a [link](https://example.org).",
        "- one\n- two\n- three",
        "```js\nlet a;\n```",
    ]
    return "\n\n".join(f"Paragraph {n}. {' '.join(['word'] * 25)}\n\n{parts[n % 3]}" for n in range(1, paragraphs + 1))


async def test_long_conversation_opens_with_its_newest_messages_and_gives_older_ones_when_asked(
    window: Window, llm: LLM, prove: bool
) -> None:
    turns = 5000 if prove else 105
    await llm.control(text="Yes.")
    session = await window.ask("POST", "ai-chat/api/sessions/", {"title": "Long"})
    for n in range(1, turns + 1):
        await window.ask("POST", f"ai-chat/api/sessions/{session['id']}/send_message/", {"message": f"Question {n}"})
    await window.page.get_by_role("link", name="Long").click()
    await expect(window.prompts).to_have_count(50)
    await expect(window.prompts.last).to_have_text(f"Question {turns}")
    await expect(window.prompts.last).to_be_in_viewport()
    await window.page.get_by_role("button", name="Earlier messages").click()
    await expect(window.prompts).to_have_count(100)
    await expect(window.prompts.first).to_have_text(f"Question {turns - 99}")
    # What was looked at is still there.
    await expect(window.page.get_by_text(f"Question {turns - 49}", exact=True)).to_be_in_viewport()
