"""The example that `docs/bots.md` shows, installed as a person would install it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "palaver-bot-echo"

ASK = """
import asyncio

from palaver.bots.installed import open_bots
from palaver.bots.options import BotOptions
from palaver.chat.pieces import Prompt


async def main() -> None:
    async with open_bots(BotOptions(default_provider="echo", discover_ports=())) as bots:
        async for piece in bots.bot(await bots.default_provider()).talk(Prompt(message="Hello  there")):
            print(piece)


asyncio.run(main())
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for packages into which the example is installed."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    how = ["--no-deps", "--no-index", "--no-build-isolation", "--target", str(target), str(EXAMPLE)]
    subprocess.run([*pip, *how], check=True, timeout=120)
    return target


def test_installed_example_answers(site: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *filter(None, sys.path)])}
    command = [sys.executable, "-c", ASK]
    asked = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert asked.stdout.splitlines() == [
        "Text(text='Hello  ')",
        "Text(text='there')",
        "Finished(reason='stop', details={'words': 2}, usage=None, model=None, cached=False)",
    ]


def test_page_on_bots_shows_the_example_as_it_is() -> None:
    page = (ROOT / "docs" / "bots.md").read_text()
    assert (EXAMPLE / "pyproject.toml").read_text().partition("[project.entry")[2].partition("\n\n")[0] in page
    assert (EXAMPLE / "src" / "palaver_bot_echo" / "__init__.py").read_text() in page
