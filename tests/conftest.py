"""Fixtures that every test may use: the real parts, and Palaver's server over each of its stores.

All fixtures and tests of a process share one event loop (pyproject.toml), so that what is started once serves all.
"""

import os
import zlib
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, assert_never

import hypothesis
import pytest
from playwright.async_api import Browser

from tests.parts.chromium import find_chromium, open_browser
from tests.parts.llm import LLM
from tests.parts.palaver import Database, Server, StartServer, StoreKind, migrate
from tests.parts.postgres import Postgres
from tests.parts.redis import Redis
from tests.parts.run import Run, open_run

Measured = Callable[[str, float | int | str, str], None]

_RUN = pytest.StashKey[Run]()
_LINES_SHOWN = 60


# The run


def pytest_configure(config: pytest.Config) -> None:
    worker_input: dict[str, str] | None = getattr(config, "workerinput", None)
    if worker_input is not None:
        config.stash[_RUN] = Run(Path(worker_input["palaver_run_folder"]))
    else:
        stack = ExitStack()
        config.stash[_RUN] = stack.enter_context(open_run())
        config.add_cleanup(stack.close)
    # Cores are shared and noisy: how long an example takes says nothing.
    hypothesis.settings.register_profile("suite", deadline=None)
    hypothesis.settings.register_profile("prove", deadline=None, max_examples=2000)
    hypothesis.settings.load_profile("prove" if _is_proof() else "suite")


# At the end nobody should be at work for long while the others have nothing left to do.
_LONGEST = (
    "tests/contracts/test_ai_chat_rest.py",
    "tests/contracts/test_openapi.py",
    "tests/web/test_administration.py",
    "tests/contracts/test_doors.py",
    "tests/contracts/test_common.py",
    "tests/web/test_talking.py",
)


# Most of what these promise lies above the store: a test goes over one of the two, half of them over each, and by
# `make prove` over both.
_OVER_EITHER = ("tests/contracts/", "tests/cli/")
# Whose promises are about the store, or about one and two workers.
_OVER_BOTH = (
    "tests/contracts/test_connections.py",
    "tests/contracts/test_limits.py",
    "tests/contracts/test_metrics.py",
    "tests/contracts/test_notifications.py",
    "tests/contracts/test_people.py",
    "tests/contracts/test_people_sockets.py",
    "tests/contracts/test_reaching_the_other.py",
    "tests/cli/test_backup.py",
    "tests/cli/test_databases.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files that keep a core busy and files that wait for something come in turn: browsers alone would get in the
    way of each other."""
    items.sort(key=lambda item: _place(item.nodeid.partition("::")[0]))
    if not _is_proof():
        _leave_out_one_store(config, items)


def _leave_out_one_store(config: pytest.Config, items: list[pytest.Item]) -> None:
    stores = {id(item): store for item in items if (store := _either_store(item)) is not None}
    of_both: dict[str, set[str]] = {}
    for item in items:
        if id(item) in stores:
            of_both.setdefault(_without_store(item), set()).add(stores[id(item)])
    left_out = []
    for item in items:
        name = _without_store(item)
        chosen = ("sqlite", "postgres")[zlib.crc32(name.encode()) % 2]
        if len(of_both.get(name, ())) == 2 and stores[id(item)] != chosen:
            left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(map(id, left_out))
        items[:] = [item for item in items if id(item) not in gone]


def _either_store(item: pytest.Item) -> str | None:
    """The store of a test that may go over either."""
    file = item.nodeid.partition("::")[0]
    callspec = getattr(item, "callspec", None)
    if callspec is None or not file.startswith(_OVER_EITHER) or file in _OVER_BOTH:
        return None
    store: str | None = callspec.params.get("store_kind")
    return store


def _without_store(item: pytest.Item) -> str:
    store = _either_store(item)
    return item.nodeid if store is None else item.nodeid.replace(store, "", 1)


def _place(file: str) -> tuple[int, int]:
    """The longest first, all others in an order that has nothing to do with their names, and is always the same."""
    first = _LONGEST.index(file) if file in _LONGEST else len(_LONGEST)
    return first, zlib.crc32(file.encode())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist starts a worker: it takes part in this run."""
    node.workerinput["palaver_run_folder"] = str(node.config.stash[_RUN].folder)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what its servers wrote."""
    report = yield
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
    return os.environ.get("PALAVER_PROVE") == "1"


@pytest.fixture
def measured() -> Measured:
    """Say what was tried or measured: `measured("kills", 200, "")`. It ends on docs/promises.md."""
    return lambda what, value, unit: print(f"{what}: {value} {unit}")  # noqa: T201 (pytest shows it)


# The parts


@pytest.fixture(scope="session")
def postgres(run: Run) -> Postgres:
    return Postgres(run)


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> str:
    """The name of a migrated database to make others from."""
    return postgres.create_template(migrate)


@pytest.fixture
def postgres_url(postgres: Postgres, postgres_template: str) -> Iterator[str]:
    """A migrated and empty database."""
    yield from _postgres_url(postgres, postgres_template)


@pytest.fixture
def empty_postgres_url(postgres: Postgres) -> Iterator[str]:
    """A database that nothing was done to."""
    yield from _postgres_url(postgres, "template0")


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
def chromium_path() -> Path:
    return find_chromium()


@pytest.fixture(scope="session")
async def browser(chromium_path: Path) -> AsyncIterator[Browser]:
    async with open_browser(chromium_path) as browser:
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
    return {"PALAVER_REDIS_URL": redis.url, "PALAVER_WORKERS": "2"}


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
