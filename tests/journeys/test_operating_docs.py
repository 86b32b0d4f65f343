"""docs/operating.md: its commands are run as they stand, and its names are those that a server tells."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast, get_args
from uuid import uuid4

import pytest

from palaver import app
from palaver.api import waiting
from palaver.api.language import TEXTS
from palaver.api.limited import POLICIES, UNITS
from palaver.app import HELD_LEASES
from palaver.bots import breaker, listing, tokenizer
from palaver.bots.discovery import find_servers
from palaver.bus.redis_counts import ANSWER_SECONDS
from palaver.chat import summary
from palaver.chat.accounts import ATTEMPTS_OF_AN_ADDRESS
from palaver.chat.ledger import COME_BACK_SECONDS, HELD_SECONDS, MARGIN
from palaver.chat.limit import LimitName
from palaver.chat.limits import LOOK_SECONDS
from palaver.chat.running import ReplyLimits
from palaver.chat.server import NamedServer
from palaver.chat.sweep import FOLLOW_SECONDS
from palaver.chat.tokens import MOST_UP, UNLEARNED, Tokens
from palaver.settings import SETTINGS, Settings, read_settings
from palaver.store import StoreOptions, open_store
from palaver.watching.security import Event
from tests.journeys.client import Client, ask_until, open_client, register
from tests.journeys.operating_claims import CLAIMS, NO_CLAIM
from tests.journeys.pages import DOCS, check_commands, quoted, read_page, rows, section, sentences
from tests.parts.metrics import Metrics, scrape
from tests.parts.palaver import Server, StartServer, StoreKind

PAGE = read_page("operating.md")
LIMITS, WATCHING = section(PAGE, "Limits"), section(PAGE, "Watching")
TESTS = Path(__file__).parents[1]
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


@pytest.fixture(scope="module")
async def told(shared_server: Server) -> AsyncIterator[Metrics]:
    async with open_client(shared_server) as client:
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


def test_every_sentence_of_the_page_is_shown_by_tests_that_there_are() -> None:
    said = list(sentences(PAGE))
    assert len(said) > 150
    known = (*CLAIMS, *NO_CLAIM)
    assert [sentence for sentence in said if not sentence.startswith(known)] == []
    assert [beginning for beginning in known if not any(one.startswith(beginning) for one in said)] == []
    for test in sorted({test for tests in CLAIMS.values() for test in tests}):
        file, _, name = test.partition("::")
        folder, _, module = file.partition("/")
        assert f"def test_{name}(" in (TESTS / folder / f"test_{module}.py").read_text(), test


@pytest.mark.parametrize(("exact", "loaded"), [("on", 1), ("off", 0)])
async def test_exact_tokens_can_be_left_unused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exact: str, loaded: int
) -> None:
    used: list[Tokens] = []

    async def use(tokens: Tokens) -> None:
        used.append(tokens)

    monkeypatch.setattr(app, "use_tokenizer", use)
    environment = {"PALAVER_DATA_DIR": str(tmp_path), "PALAVER_DISCOVER_PORTS": "", "PALAVER_EXACT_TOKENS": exact}
    async with app.running(read_settings(environment), port=0):
        # It is a task of its own, that begins with the next step.
        await asyncio.sleep(0)
        assert len(used) == loaded


def test_limits_come_as_the_table_says() -> None:
    default = Settings()
    usual = {setting.env: setting.show(getattr(default, name)) for name, setting in SETTINGS.items()}
    told = {quoted(cells[2])[0]: cells[3] for cells in rows(LIMITS) if len(cells) == 4 and quoted(cells[2])}
    assert len(told) == 15
    assert told == {name: usual[name] for name in told}


def test_settings_of_the_page_are_those_that_there_are_and_budgets_are_off() -> None:
    default = Settings()
    usual = {setting.env: getattr(default, name) for name, setting in SETTINGS.items()}
    named = set(re.findall(r"\b(?:PALAVER|LLM|OPENAI)_[A-Z_]+\b", PAGE))
    assert len(named) >= 40
    assert named - set(usual) == set()
    budgets = [quoted(cells[0]) for cells in rows(section(PAGE, "Budgets"))][2:]
    assert [usual[name] for names in budgets for name in names] == [0] * 7


def test_servers_of_the_page_can_be_set() -> None:
    [(name, value)] = re.findall(r"^    (PALAVER_LLM_SERVERS)='(.*?)'$", PAGE, re.MULTILINE | re.DOTALL)
    servers = read_settings({name: value}).llm_servers
    assert [server.name for server in servers] == ["gpu1", "gpu2"]
    told = section(PAGE, "Models").partition("**What a server may be told.**")[2].partition("**When one fails**")[0]
    assert set(quoted(told)) == set(NamedServer.__struct_fields__)


# What the page says in words, and the number that the code goes by.
FIGURES: list[tuple[str, float, float]] = [
    ("every worker uses them within two seconds", FOLLOW_SECONDS, 2),
    ("After three failures in a row", breaker.FAILURES, 3),
    ("it is left alone for a second", breaker.FIRST_PAUSE, 1),
    ("doubles the pause, up to a minute", breaker.LONGEST_PAUSE, 60),
    ("once a minute, sooner after a failure", listing.FRESH_SECONDS, 60),
    ("an address has ten times as many", ATTEMPTS_OF_AN_ADDRESS, 10),
    ("worker holds to it within about two seconds", LOOK_SECONDS, 2),
    ("after twice `PALAVER_LEASE_SECONDS`", HELD_LEASES, 2),
    ("takes longer than a quarter of `PALAVER_REDIS_SECONDS`", ANSWER_SECONDS, 0.25),
    ("a quarter more than counted", MARGIN, 1.25),
    ("`Retry-After` is a few seconds", HELD_SECONDS, 5),
    ("`Retry-After` is a day", COME_BACK_SECONDS, 86_400),
    ("(1,024 tokens where nothing bounds it)", ReplyLimits().reserved_tokens, 1024),
    ("moves it by 15 % at the most", MOST_UP, 0.15),
    ("a sixth of the room is left free", round(1 - 1 / UNLEARNED, 3), 0.167),
    ("in at most 512 tokens", summary.MOST_TOKENS, 512),
    ("or an eighth of a small context", summary.LEAST_SHARE, 8),
    ("after three minutes the next turn tries again", summary.LEASE_SECONDS, 180),
    ("the database does not answer within a second", waiting.PATIENCE_SECONDS, 1),
]


@pytest.mark.parametrize(("words", "is_so", "said"), FIGURES)
def test_figure_of_the_page_is_that_of_the_code(words: str, is_so: float, said: float) -> None:
    assert words in " ".join(PAGE.split())
    assert 0 < is_so <= said
    # What is promised to be soon may come sooner.
    assert is_so == said or "two seconds" in words


LOADING = """
import os, socket, warnings
warnings.simplefilter("ignore")
socket.socket.connect = lambda *_: os._exit(3)
def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")
from palaver.bots.tokenizer import load_tokenizer
before = resident()
load_tokenizer()("word " * 10_000)
print(resident() - before)
"""


def test_tokenizer_is_as_large_as_the_page_says_and_fetches_nothing() -> None:
    [(megabytes, memory)] = re.findall(r"\((\d+) MB installed, (\d+) MB of memory", PAGE.replace("\n", " "))
    taken = subprocess.run([sys.executable, "-c", LOADING], check=True, capture_output=True, text=True).stdout
    assert int(taken) == pytest.approx(int(memory) * 2**20, rel=0.25)
    found = find_spec(tokenizer.PACKAGE)
    assert found is not None
    assert found.origin is not None
    files = [path for path in Path(found.origin).parent.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) == pytest.approx(int(megabytes) * 2**20, rel=0.1)


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
    windowless = {"replies", "app-replies", "uploads", "conversation-tokens"}
    assert told == {policy: [*unit, "w"] if policy in windowless else unit for policy, unit in there.items()}


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {
        "PALAVER_METRICS_TOKEN": TOKEN, "PALAVER_REGISTRATION": "on", "PALAVER_TURNS_A_MINUTE": "20",
        "PALAVER_CONVERSATION_TURNS_A_MINUTE": "3", "BACKEND_CORS_ORIGINS": "https://app.example.org",
        "PALAVER_LOG_FORMAT": "json",
    }  # fmt: skip


@pytest.fixture
async def newcomer(shared_server: Server) -> AsyncIterator[Client]:
    async with open_client(shared_server) as client:
        yield await register(client)


async def test_what_counts_is_what_the_page_says(newcomer: Client) -> None:
    async def left(path: str = "/api/chat", **fields: Any) -> tuple[int, int]:
        """The status, and how many are left of twenty."""
        answer = await newcomer.post(path, **fields)
        return answer.status, int(re.findall(r'"turns";r=(\d+)', answer.headers["RateLimit"])[0])

    assert await left(message="hello", clientMessageId="one") == (200, 19)
    assert await left(message="hello", clientMessageId="one") == (200, 18)
    assert await left(message=" ") == (422, 17)
    assert await left(message="hello", sessionId=str(uuid4())) == (404, 16)
    assert [(await left(message="hello"))[1] for _ in range(16)] == list(reversed(range(16)))
    assert [await left(message="hello") for _ in range(3)] == [(429, 0)] * 3
    assert len((await newcomer.get("/api/chat/sessions")).body) == 17


async def test_what_is_wrong_with_a_body_is_said_before_the_limits_that_need_it(
    newcomer: Client, shared_server: Server
) -> None:
    session = (await newcomer.post("/api/chat", message="hello")).body["sessionId"]
    for expected in (200, 200, 429):
        assert (await newcomer.post("/api/chat", message="hello", sessionId=session)).status == expected
    assert (await newcomer.post("/api/chat", message=" ", sessionId=session)).status == 422
    # Budgets too; a user's own turns come before all of it.
    admin = newcomer.bearing(await shared_server.token("admin"))
    name = (await newcomer.get("/api/auth/me")).body["userId"]
    own = {"tokens_a_day": 1, "turns_a_minute": 0}
    assert (await admin.send("PUT", f"/api/admin/limits/{name}", own)).status == 200
    await ask_until(
        lambda: newcomer.post("/api/chat", message="hello"), lambda answer: answer.status == 429, seconds=10
    )
    assert (await newcomer.post("/api/chat", message=" ")).status == 422
    assert (await admin.send("PUT", f"/api/admin/limits/{name}", {"turns_a_minute": 1})).status == 200
    await ask_until(lambda: newcomer.post("/api/chat", message=" "), lambda answer: answer.status == 429, seconds=10)


async def test_key_of_a_server_stands_in_the_database_as_it_is(newcomer: Client, shared_server: Server) -> None:
    admin = newcomer.bearing(await shared_server.token("admin"))
    added = await admin.post("/api/admin/servers", name="k", url="http://127.0.0.1:9", key="sk-as-it-is", models=["m"])
    assert (added.status, "sk-as-it-is" in added.text, added.body["has_key"]) == (201, False, True)
    async with open_store(StoreOptions(Path(shared_server.environment["PALAVER_DATA_DIR"]))) as store:
        assert [one.key for one in await store.servers.list()] == ["sk-as-it-is"]
    assert (await admin.delete("/api/admin/servers/k")).status == 204


async def test_server_of_ours_is_taken_for_no_llm_server(
    shared_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palaver.bots.discovery.LOOK_SECONDS", 60)
    assert await find_servers([int(shared_server.url.rpartition(":")[2])]) == []


async def test_refusal_is_as_the_page_shows_it(shared_server: Server) -> None:
    [shown] = re.findall(r"(?:^    [A-Z][\w-]+: .*\n)+", LIMITS, re.MULTILINE)
    [words] = re.findall(r'\("(You can send .*?)"\)', LIMITS.replace("\n", " "))
    async with open_client(shared_server, Origin="https://app.example.org") as client:
        alice = await register(client)
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


@pytest.fixture(scope="module")
async def told_by(shared_server: Server) -> Any:
    """What the server says of itself."""
    async with open_client(shared_server) as client:
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


async def test_line_of_the_log_is_as_the_page_shows_it(newcomer: Client, shared_server: Server) -> None:
    shown = re.findall(r'^    (\{"time".*\})$', WATCHING, re.MULTILINE)
    asking = newcomer.having(X_Request_Id="of-the-page")
    await talk(asking)
    name = (await newcomer.get("/api/account")).body["username"]
    await asking.post("/sign-in", username=name, password="not this one")
    lines = [line for line in shared_server.log_text().splitlines() if '"request_id": "of-the-page"' in line]
    assert [set(json.loads(line)) for line in lines[:2]] == [set(json.loads(line)) for line in shown]


def test_events_of_the_page_are_those_that_there_are() -> None:
    told = [quoted(cells[0]) for cells in rows(section(WATCHING, "The log"))][2:]
    assert [name for names in told for name in names] == list(get_args(Event))


async def talk(person: Client) -> None:
    assert (await person.post("/api/chat", message="hello")).status == 200
    # The line is written once the answer has gone; the next one comes after it.
    await person.having(X_Request_Id="after-it").get("/ready")
