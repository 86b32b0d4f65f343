"""docs/operating.md: its commands are run as they stand, and its names are those that a server tells."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest

from palaver.api.language import TEXTS
from palaver.api.limited import POLICIES, UNITS
from palaver.chat.limit import LimitName
from palaver.settings import SETTINGS, Settings, read_settings
from tests.journeys.client import Client, open_client
from tests.journeys.pages import DOCS, check_commands, quoted, read_page, rows, section
from tests.parts.metrics import Metrics, scrape
from tests.parts.palaver import Server, StartServer, StoreKind

PAGE = read_page("operating.md")
LIMITS, WATCHING = section(PAGE, "Limits"), section(PAGE, "Watching")
PAGES = ("operating.md", "admin.md", "presets.md")
DASHBOARD = json.loads((DOCS / "grafana.json").read_text())
ALERTS = (DOCS / "alerts.yml").read_text()
TOKEN = "a-token-of-the-page"


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
    assert await check_commands(PAGE, server, PALAVER_METRICS_TOKEN=TOKEN) >= 8


def test_page_begins_with_what_it_is_about_and_where_it_stands() -> None:
    head = PAGE.partition("\n## ")[0]
    assert re.findall(r"^- \[(.*?)\]", head, re.MULTILINE) == re.findall(r"^## (.*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\((?!http)([\w./-]*)(?:#([\w-]+))?\)", read_page(name))
    assert links
    for path, anchor in links:
        there = DOCS / (path or name)
        assert there.is_file(), path
        headings = re.findall(r"^##+ (.*)$", there.read_text(), re.MULTILINE) if anchor else []
        assert anchor in ["", *(re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings)]


def test_limits_come_as_the_table_says() -> None:
    default = Settings()
    usual = {setting.env: setting.show(getattr(default, name)) for name, setting in SETTINGS.items()}
    told = {quoted(cells[2])[0]: cells[3] for cells in rows(LIMITS) if len(cells) == 4 and quoted(cells[2])}
    assert len(told) == 14
    assert told == {name: usual[name] for name in told}


def test_servers_of_the_page_can_be_set() -> None:
    [(name, value)] = re.findall(r"^    (PALAVER_LLM_SERVERS)='(.*?)'$", PAGE, re.MULTILINE | re.DOTALL)
    assert [server.name for server in read_settings({name: value}).llm_servers] == ["gpu1", "gpu2"]


def test_policies_are_those_that_there_are() -> None:
    told = {policy: quoted(cells[2]) for cells in rows(LIMITS) if len(cells) == 3 for policy in quoted(cells[0])}
    there = {}
    for key in (key for key in TEXTS if key.startswith("limit_")):
        name, _, of = key.removeprefix("limit_").rpartition("_")
        limit = cast(LimitName, name)
        policy = POLICIES[limit] if of == "user" else f"{of}-{POLICIES[limit]}"
        there[policy] = [f'qu="{UNITS[limit]}"'] if limit in UNITS else []
    # A handshake that was refused has no headers.
    del there["sockets"], there["address-sockets"]
    windowless = {"replies", "app-replies", "conversation-tokens"}
    assert told == {policy: [*unit, "w"] if policy in windowless else unit for policy, unit in there.items()}


async def test_refusal_is_as_the_page_shows_it(start_server: StartServer) -> None:
    [shown] = re.findall(r"(?:^    [A-Z][\w-]+: .*\n)+", LIMITS, re.MULTILINE)
    [words] = re.findall(r'\("(You can send .*?)"\)', LIMITS.replace("\n", " "))
    server = await start_server(PALAVER_TURNS_A_MINUTE="20", BACKEND_CORS_ORIGINS="https://app.example.org")
    async with open_client(server, Origin="https://app.example.org") as client:
        alice = client.bearing(await server.token("alice"))
        let_through = [await alice.post("/api/v1/chat/", message="hello") for _ in range(20)]
        refused = await alice.post("/api/v1/chat/", message="hello")
    assert {answer.status for answer in let_through} == {200}
    assert (refused.status, to_pattern(words).fullmatch(refused.body["detail"]) is not None) == (429, True)
    for line in shown.splitlines():
        name, _, value = line.strip().partition(": ")
        assert to_pattern(value).fullmatch(refused.headers[name]), refused.headers
    # The answers to turns that were let through have two of the three.
    for name in ("RateLimit-Policy", "RateLimit"):
        assert all(name in answer.headers for answer in let_through)
    [readable] = re.findall(r"A page on another origin can read (.*?) alone", LIMITS)
    assert set(quoted(readable)) == set(refused.headers["Access-Control-Expose-Headers"].split(", "))


def to_pattern(shown: str) -> re.Pattern[str]:
    """The page counts seconds by the clock of whoever wrote it."""
    return re.compile(re.escape(shown).replace("12", r"\d+").replace("seconds", "seconds?"))


async def test_operations_are_those_that_there_are(told_by: Any) -> None:
    named = set()
    for span in quoted(PAGE):
        for methods, path in re.findall(r"^((?:GET|POST|PUT|PATCH|DELETE)) (/[^? ]*)", span):
            named.add((methods.lower(), path))
    assert len(named) > 8
    there = {(method, path) for path, methods in told_by["paths"].items() for method in methods}
    assert {f"{method.upper()} {path}" for method, path in named - there} == set()


@pytest.fixture
async def told_by(server: Server) -> Any:
    """What the server says of itself."""
    async with open_client(server) as client:
        return (await client.get("/openapi.json")).body


async def test_page_names_every_number_and_no_other(told: Metrics) -> None:
    rows = re.findall(r"^\| `(palaver_\w+)` \| (.*?) \| (.*) \|$", WATCHING, re.MULTILINE)
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
    labels = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| `palaver_\w+` \| (.*?) \|", WATCHING, re.MULTILINE))))
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
    [shown] = re.findall(r'^    (\{"time".*\})$', WATCHING, re.MULTILINE)
    server = await start_server(PALAVER_LOG_FORMAT="json")
    async with open_client(server) as client:
        await talk(client.bearing(await server.token("alice")))
    [line] = [line for line in server.log_text().splitlines() if '"route": "/api/chat"' in line]
    assert set(json.loads(line)) == set(json.loads(shown))


async def talk(person: Client) -> None:
    assert (await person.post("/api/chat", message="hello")).status == 200
    # The line is written once the answer has gone; the next one comes after it.
    await person.get("/ready")
