"""docs/operating.md, "Watching": its commands are run as they stand, and its names are those that a server tells."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.client import Client, open_client
from tests.parts.metrics import Metrics, scrape
from tests.parts.palaver import Server, StartServer, StoreKind
from tests.parts.process import bare_environment

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "operating.md").read_text().partition("\n## Watching\n")[2].partition("\n## ")[0]
DASHBOARD = json.loads((DOCS / "grafana.json").read_text())
ALERTS = (DOCS / "alerts.yml").read_text()
TOKEN = "a-token-of-the-page"


@dataclass(frozen=True)
class Command:
    """A line of the page that begins with `$`, and what stands below it."""

    line: str
    prints: str


def commands() -> Iterator[Command]:
    for block in re.findall(r"(?:^    .*\n)+", PAGE, re.MULTILINE):
        for command in re.findall(r"^    \$ (.*)\n((?:    (?!\$ ).*\n)*)", block, re.MULTILINE):
            yield Command(command[0], re.sub("^    ", "", command[1], flags=re.MULTILINE))


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "sqlite"


@pytest.fixture
async def server(start_server: StartServer) -> Server:
    return await start_server(PALAVER_METRICS_TOKEN=TOKEN)


@pytest.fixture
async def told(server: Server) -> AsyncIterator[Metrics]:
    async with open_client(server) as client:
        yield await scrape(client)


async def test_commands_print_what_the_page_says(server: Server) -> None:
    found = list(commands())
    assert len(found) >= 5
    for command in found:
        line = command.line.replace("http://127.0.0.1:8000", server.url)
        expected = re.escape(command.prints.rstrip()).replace("…", ".+")
        assert re.fullmatch(expected, (await run(line)).rstrip()), command


async def run(line: str) -> str:
    process = await asyncio.create_subprocess_shell(
        line, stdout=asyncio.subprocess.PIPE, env={**bare_environment(), "PALAVER_METRICS_TOKEN": TOKEN}
    )
    printed, _ = await process.communicate()
    return printed.decode()


async def test_page_names_every_number_and_no_other(told: Metrics) -> None:
    rows = re.findall(r"^\| `(palaver_\w+)` \| (.*?) \| (.*) \|$", PAGE, re.MULTILINE)
    helps = dict(re.findall(r"^# HELP (\S+) (.*)$", told.text, re.MULTILINE))
    assert {name: about.removesuffix(" A histogram.") for name, _, about in rows} == helps
    assert {name for name, _, about in rows if about.endswith("A histogram.")} == {
        name for name, kind in told.types.items() if kind == "histogram"
    }


@pytest.mark.parametrize("queries", [json.dumps(DASHBOARD), ALERTS], ids=["grafana.json", "alerts.yml"])
async def test_queries_name_only_numbers_that_there_are(told: Metrics, queries: str) -> None:
    named = set(re.findall(r"\bpalaver_\w+", queries))
    assert len(named) > 3
    assert named - told.names() == set()


async def test_dashboard_shows_every_number(told: Metrics) -> None:
    shown = json.dumps(DASHBOARD)
    assert [name for name in told.types if name not in shown] == []


async def test_queries_group_only_by_labels_that_there_are() -> None:
    labels = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| `palaver_\w+` \| (.*?) \|", PAGE, re.MULTILINE))))
    # What Prometheus adds, and the bounds of a histogram.
    known = labels | {"job", "instance", "le"}
    expressions = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    grouped = {
        name for one in [*expressions, ALERTS] for by in re.findall(r"by \((.*?)\)", one) for name in by.split(", ")
    }
    legends = {name for one in targets() for name in re.findall(r"\{\{(\w+)\}\}", one["legendFormat"])}
    assert grouped - known == set()
    assert legends <= grouped


def targets() -> Iterator[dict[str, Any]]:
    for panel in DASHBOARD["panels"]:
        yield from panel["targets"]


def test_dashboard_can_be_imported() -> None:
    panels = DASHBOARD["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    assert all(panel["title"] and panel["description"] and panel["targets"] for panel in panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}


async def test_line_of_the_log_is_as_the_page_shows_it(start_server: StartServer) -> None:
    [shown] = re.findall(r'^    (\{"time".*\})$', PAGE, re.MULTILINE)
    server = await start_server(PALAVER_LOG_FORMAT="json")
    async with open_client(server) as client:
        await talk(client.bearing(await server.token("alice")))
    [line] = [line for line in server.log_text().splitlines() if '"route": "/api/chat"' in line]
    assert set(json.loads(line)) == set(json.loads(shown))


async def talk(person: Client) -> None:
    assert (await person.post("/api/chat", message="hello")).status == 200
    # The line is written once the answer has gone; the next one comes after it.
    await person.get("/ready")
