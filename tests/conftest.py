"""Fixtures that every test may use: the real parts, and Palaver's server over each of its stores.

All fixtures and tests of a process share one event loop (pyproject.toml), so that what is started once serves all.
"""

import gc
import os
import random
import signal
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, assert_never

import hypothesis
import pytest
from playwright.async_api import Browser

from tests.parts import compiled
from tests.parts.chromium import find_chromium, find_shell, open_browser
from tests.parts.llm import LLM
from tests.parts.palaver import Database, Server, StartServer, StoreKind, make_sqlite_template, migrate
from tests.parts.postgres import Postgres
from tests.parts.process import free_port
from tests.parts.redis import Redis
from tests.parts.run import Run, open_run
from tests.promises import TRIES, Measured, find_promises, keep_tries, read_tries
from tests.proving import MEASURED, is_proof, measure_examples, to_recorder

_RUN = pytest.StashKey[Run]()
# How long each file takes. It is known once, as all workers have to put the tests into the same order.
_TOOK = pytest.StashKey[Mapping[str, float]]()
_LINES_SHOWN = 60


# The run


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # Whoever starts the tests in the background has it ignored, and what they start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    worker_input: dict[str, Any] | None = getattr(config, "workerinput", None)
    _choose_seed(config)
    recorder = to_recorder(os.environ) if worker_input is None else None
    if recorder is not None:
        config.pluginmanager.register(recorder)
    if worker_input is not None:
        config.stash[_RUN] = Run(Path(worker_input["palaver_run_folder"]))
        config.stash[_TOOK] = worker_input["palaver_took"]
    else:
        stack = ExitStack()
        config.stash[_RUN] = run = stack.enter_context(open_run())
        # As they were before anything was tried this time: also for a worker that is started in the place of another.
        keep_tries(read_tries(), run.folder / TRIES.name)
        config.stash[_TOOK] = _took_in_full() if _is_proof() else {}
        config.add_cleanup(stack.close)
    # Cores are shared and noisy: how long an example takes says nothing.
    hypothesis.settings.register_profile("suite", deadline=None)
    hypothesis.settings.register_profile("prove", deadline=None, max_examples=2000)
    hypothesis.settings.load_profile("prove" if _is_proof() else "suite")


def _choose_seed(config: pytest.Config) -> None:
    """Workers of xdist get it with their environment."""
    if _is_proof():
        os.environ.setdefault("PALAVER_SEED", str(random.SystemRandom().randrange(1_000_000)))
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = _told_seed()


# At the end nobody should be at work for long while the others have nothing left to do.
_LONGEST = (
    "tests/contracts/test_ai_chat_rest.py",
    "tests/contracts/test_openapi.py",
    "tests/web/test_administration.py",
    "tests/contracts/test_doors.py",
    "tests/contracts/test_common.py",
    "tests/web/test_talking.py",
)


@dataclass(frozen=True)
class _Either:
    """Of two values of a parameter a test goes over one, half of the tests over each, and by `make prove` over both."""

    parameter: str
    values: tuple[str, str]
    files: tuple[str, ...]
    over_both: tuple[str, ...]

    def value_of(self, item: pytest.Item) -> str | None:
        """Which one this test goes over, if either would do."""
        file = _file_of(item.nodeid)
        callspec = getattr(item, "callspec", None)
        if callspec is None or not file.startswith(self.files) or file in self.over_both:
            return None
        if item.get_closest_marker("over_both") is not None or self.parameter not in callspec.params:
            return None
        return next((value for value in self.values if value in callspec.id.split("-")), None)

    def leave_out(self, items: list[pytest.Item]) -> set[int]:
        """The ids of those that need not be run."""
        found = [(item, value) for item in items if (value := self.value_of(item)) is not None]
        of_both = Counter(_without(item, value) for item, value in found)
        names = ((item, value, _without(item, value)) for item, value in found)
        return {
            id(item)
            for item, value, name in names
            if of_both[name] == 2 and value != self.values[zlib.crc32(name.encode()) % 2]
        }


# Most of what these promise lies above the store. But for the last ones: theirs are about the store, or about one and
# two workers.
_STORES = _Either(
    "store_kind",
    ("sqlite", "postgres"),
    (
        "tests/contracts/",
        "tests/cli/",
        "tests/journeys/",
        "tests/moving/test_commands.py",
        "tests/parts/test_server.py",
    ),
    over_both=(
        "tests/contracts/test_connections.py",
        "tests/contracts/test_limits.py",
        "tests/contracts/test_metrics.py",
        "tests/contracts/test_notifications.py",
        "tests/contracts/test_people.py",
        "tests/contracts/test_people_sockets.py",
        "tests/contracts/test_reaching_the_other.py",
        "tests/cli/test_backup.py",
        "tests/cli/test_databases.py",
    ),
)
# Most of what the web app does it does alike on both. What is about where things are on the page says so:
# `pytest.mark.over_both`.
_DEVICES = _Either("device", ("desktop", "phone"), ("tests/web/",), over_both=("tests/web/test_narrow.py",))


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """A worker of many does its part of what each of them would do."""
    worker_input: dict[str, Any] | None = getattr(session.config, "workerinput", None)
    if worker_input is not None:
        number = int(worker_input["workerid"].removeprefix("gw"))
        compiled.share(session.config.args, number, worker_input["workercount"])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files that keep a core busy and files that wait for something come in turn: browsers alone would get in the
    way of each other."""
    items.sort(key=lambda item: _place(_file_of(item.nodeid), config.stash[_TOOK]))
    left_out = set() if _is_proof() else _STORES.leave_out(items) | _DEVICES.leave_out(items)
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if id(item) in left_out])
        items[:] = [item for item in items if id(item) not in left_out]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Eight thousand tests stay until the end: the collector need not walk them again and again."""
    gc.freeze()


def _without(item: pytest.Item, value: str) -> str:
    """The test's name, the same for both values."""
    name, bracket, parameters = item.nodeid.partition("[")
    return name + bracket + parameters.replace(value, "", 1)


def _place(file: str, took: Mapping[str, float]) -> tuple[float, int, int]:
    """The longest first, all others in an order that has nothing to do with their names, and is always the same."""
    first = _LONGEST.index(file) if file in _LONGEST else len(_LONGEST)
    return -took.get(file, 0), first, zlib.crc32(file.encode())


def _took_in_full() -> Mapping[str, float]:
    """How many seconds each file took when it was last tried at full size. One that was never tried may take any."""
    took: dict[str, float] = {}
    for one in read_tries():
        took[_file_of(one.case)] = took.get(_file_of(one.case), 0) + one.seconds
    untried = {_file_of(promise.test): inf for promise in find_promises()}
    return untried | took


def _file_of(name: str) -> str:
    return name.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist starts a worker: it takes part in this run."""
    node.workerinput["palaver_run_folder"] = str(node.config.stash[_RUN].folder)
    node.workerinput["palaver_took"] = node.config.stash[_TOOK]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what its servers wrote."""
    report = yield
    measure_examples(item, report)
    if report.failed and isinstance(item, pytest.Function):
        for name, value in item.funcargs.items():
            if isinstance(value, Server):
                lines = value.log_text().splitlines()[-_LINES_SHOWN:]
                report.sections.append((f"palaver serve ({name})", "\n".join(lines)))
    return report


@pytest.fixture(scope="session")
def run(pytestconfig: pytest.Config) -> Run:
    return pytestconfig.stash[_RUN]


@pytest.fixture(scope="session")
def prove() -> bool:
    """Whether to do in full what is usually sampled: `make prove`."""
    return _is_proof()


def _is_proof() -> bool:
    return is_proof(os.environ)


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Measured:
    """Say what was tried or measured: `measured("kills", 200, "")`. It ends on docs/promises.md."""
    return lambda what, value, unit: record_property(MEASURED, [what, value, unit])


def _told_seed() -> str | None:
    return os.environ.get("PALAVER_SEED")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> str:
    """For what a test chooses at random: the same each time, unless PALAVER_SEED says otherwise."""
    return f"{_told_seed() or ''} {request.node.nodeid}"


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    """For what is to fall out differently each time. Its seed is printed, and can be given again by PALAVER_SEED."""
    told = _told_seed() or str(random.SystemRandom().randrange(1_000_000))
    print(f"PALAVER_SEED={told}")  # noqa: T201 (pytest shows it beside a failure)
    return random.Random(f"{told} {request.node.nodeid}")


# The parts


@pytest.fixture(scope="session")
def postgres(run: Run) -> Postgres:
    return Postgres(run)


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> str:
    """The name of a migrated database to make others from."""
    return postgres.create_template(migrate)


@pytest.fixture(scope="session")
def sqlite_template(run: Run) -> Path:
    """A migrated database file to copy others from."""
    return make_sqlite_template(run)


@pytest.fixture
def postgres_url(postgres: Postgres, postgres_template: str) -> Iterator[str]:
    """A migrated and empty database."""
    yield from _postgres_url(postgres, postgres_template)


@pytest.fixture
def empty_postgres_url(postgres: Postgres) -> Iterator[str]:
    """A database that nothing was done to."""
    yield from _postgres_url(postgres, "template0")


@pytest.fixture
def unused_tcp_port() -> int:
    """In the place of a plugin's, which is anybody's as soon as it is told."""
    return free_port()


@pytest.fixture(scope="session")
async def _started_redis(run: Run) -> AsyncIterator[Redis]:
    redis = Redis(run)
    await redis.start()
    yield redis
    redis.process.kill()


@pytest.fixture(scope="module")
async def steady_redis(_started_redis: Redis) -> Redis:
    """For servers that a whole file uses: another file may have left it frozen, read-only or dead."""
    await _started_redis.reset()
    return _started_redis


@pytest.fixture
async def redis(_started_redis: Redis) -> Redis:
    """A running, empty server, whatever the test before did to it."""
    await _started_redis.reset()
    return _started_redis


@pytest.fixture
def redis_url(redis: Redis) -> str:
    return redis.url


@pytest.fixture(scope="session")
async def _started_llm(run: Run) -> AsyncIterator[LLM]:
    llm = LLM(run)
    await llm.start()
    yield llm
    llm.process.kill()


@pytest.fixture
async def llm(_started_llm: LLM) -> LLM:
    """The stand-in, running, told nothing yet and remembering nothing, whatever the test before did to it."""
    await _started_llm.reset()
    return _started_llm


@pytest.fixture(scope="session")
async def browser(prove: bool) -> AsyncIterator[Browser]:
    """Shows pages. What a browser does besides takes a `whole_browser`; in full it is that one throughout."""
    async with open_browser(find_chromium() if prove else find_shell()) as browser:
        yield browser


@pytest.fixture(scope="session")
async def whole_browser() -> AsyncIterator[Browser]:
    async with open_browser(find_chromium()) as browser:
        yield browser


# Palaver, once over each store


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def store_kind(request: pytest.FixtureRequest) -> StoreKind:
    kind: StoreKind = request.param
    return kind


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    """Further settings of the servers in a test file: override it there."""
    return {}


@pytest.fixture(scope="module")
def scaled(request: pytest.FixtureRequest, store_kind: StoreKind) -> Mapping[str, str]:
    """The two ways to run it, for a file's `server_environment`: SQLite in one process, PostgreSQL and Redis with two
    workers."""
    if store_kind == "sqlite":
        return {}
    redis: Redis = request.getfixturevalue("steady_redis")
    # However long a busy machine makes it: what holds while Redis is too slow is promised elsewhere.
    return {"PALAVER_REDIS_URL": redis.url, "PALAVER_REDIS_SECONDS": "60", "PALAVER_WORKERS": "2"}


@pytest.fixture
def database(request: pytest.FixtureRequest, store_kind: StoreKind) -> Iterator[Database]:
    """A fresh database for this test."""
    yield from _open_database(request, store_kind)


@pytest.fixture(scope="module")
def shared_database(request: pytest.FixtureRequest, store_kind: StoreKind) -> Iterator[Database]:
    """A database for this test file."""
    yield from _open_database(request, store_kind)


@pytest.fixture
async def start_server(
    run: Run, database: Database, llm: LLM, server_environment: Mapping[str, str]
) -> AsyncIterator[StartServer]:
    """`await start_server("--workers", "2", PALAVER_…="…")`: further servers, all of them on this test's database."""
    async with _open_servers(run, database, llm, server_environment) as start:
        yield start


@pytest.fixture
async def server(start_server: StartServer) -> Server:
    """A running server with nothing in it but what it makes at its first start."""
    return await start_server()


@pytest.fixture(scope="module")
async def shared_server(
    run: Run, shared_database: Database, _started_llm: LLM, server_environment: Mapping[str, str]
) -> AsyncIterator[Server]:
    """A running server that all tests in a file use; each makes users of its own."""
    # Another file may have left it dead.
    await _started_llm.reset()
    async with _open_servers(run, shared_database, _started_llm, server_environment) as start:
        yield await start()


def _postgres_url(postgres: Postgres, template: str) -> Iterator[str]:
    name = postgres.create_database(template)
    yield postgres.url(name)
    postgres.drop_database(name)


def _open_database(request: pytest.FixtureRequest, kind: StoreKind) -> Iterator[Database]:
    match kind:
        case "sqlite":
            yield Database(kind, {})
        case "postgres":
            # Asked for only now: tests over SQLite alone do not start it.
            postgres: Postgres = request.getfixturevalue("postgres")
            template: str = request.getfixturevalue("postgres_template")
            for url in _postgres_url(postgres, template):
                yield Database(kind, {"PALAVER_DATABASE_URL": url})
        case _:
            assert_never(kind)


@asynccontextmanager
async def _open_servers(
    run: Run, database: Database, llm: LLM, environment: Mapping[str, str]
) -> AsyncIterator[StartServer]:
    usual = {
        # No look around for LLM servers that happen to run on the tester's machine.
        "PALAVER_DISCOVER_PORTS": "",
        "LLM_SERVER_URL": llm.url,
        # On a machine with other work much is too much for a moment: only tests/chaos/test_overload.py is about that.
        "PALAVER_OVERLOAD_SECONDS": "0",
        # A reply that a test has left running need not be waited for.
        "PALAVER_DRAIN_SECONDS": "1",
    }
    async with AsyncExitStack() as stack:

        async def start(*arguments: str, **settings: str) -> Server:
            whole = {**usual, **database.environment, **environment, **settings}
            server = Server(run, run.make_folder("server"), whole, *arguments)
            await server.start()
            stack.push_async_callback(server.end)
            return server

        yield start
