"""What docs/guides/upgrade.md says of two versions on one database: a newer comes, the older is still there."""

import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from palaver.store.migrate import migrations
from tests.chaos.person import open_http
from tests.parts import PartFailed
from tests.parts.palaver import Server, StartServer, StoreKind
from tests.parts.run import Run
from tests.serve.crew import Crew, wait_gone

ROOT = Path(__file__).parents[2]
NEWER = "99.0.0"
# What an older version does not miss. Whatever else a migration does, upgrade.md has to say what it means.
ADDS = re.compile(
    r"(CREATE (TABLE|VIRTUAL TABLE|(UNIQUE )?INDEX|TRIGGER) |DROP INDEX |ALTER TABLE \w+ ADD COLUMN |INSERT |UPDATE |"
    r"SELECT setval)"
)

pytestmark = pytest.mark.usefixtures("llm")


@dataclass(frozen=True)
class Installed:
    """Two versions beside each other, and the link that leads to the one that runs."""

    link: Path
    older: Path
    newer: Path

    def take(self, version: Path) -> None:
        """What `ln -sfn` does."""
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(version)


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "postgres"


@pytest.fixture(scope="module")
def installed(run: Run) -> Installed:
    folder = run.make_folder("versions")
    packages = folder / "packages"
    shutil.copytree(ROOT / "src" / "palaver", packages / "palaver", ignore=shutil.ignore_patterns("ui"))
    about = packages / "palaver" / "__init__.py"
    about.write_text(re.sub(r'__version__ = ".*"', f'__version__ = "{NEWER}"', about.read_text()))
    step = packages / "palaver" / "store" / "migrations" / "9999_newer.sql"
    step.write_text("ALTER TABLE conversations ADD COLUMN newer BIGINT NOT NULL DEFAULT 0;\n")
    older = install(folder / "palaver-older", ROOT / "src")
    newer = install(folder / "palaver-newer", packages)
    return Installed(folder / "palaver", older, newer)


def install(environment: Path, source: Path) -> Path:
    """An environment of its own with that palaver; what it needs is what these tests have."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    [packages] = environment.glob("lib/python*/site-packages")
    (packages / "palaver.pth").write_text(f"{source}\n{sysconfig.get_path('purelib')}\n")
    return environment


def command(environment: Path) -> list[str]:
    """As deploy/systemd/palaver.service has it."""
    return [str(environment / "bin" / "python"), "-P", "-m", "palaver"]


async def version_of(http: aiohttp.ClientSession, server: Server) -> str:
    async with http.get(f"{server.url}/") as response:
        said: str = (await response.json())["version"]
        return said


async def ask(http: aiohttp.ClientSession, server: Server, token: str, message: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    async with http.post(f"{server.url}/api/chat", json={"message": message}, headers=headers) as response:
        return response.status


def test_unit_starts_what_the_link_leads_to() -> None:
    unit = (ROOT / "deploy" / "systemd" / "palaver.service").read_text()
    assert f"\nExecStart={' '.join(command(Path('/opt/palaver')))} serve\n" in unit


async def test_reload_brings_the_new_version_and_an_older_server_goes_on_but_cannot_start(
    installed: Installed, start_server: StartServer, run: Run, redis_url: str
) -> None:
    installed.take(installed.older)
    elsewhere = await start_server(PALAVER_REDIS_URL=redis_url)
    token = await elsewhere.token("admin")
    here = Server(
        run,
        run.make_folder("server"),
        {**elsewhere.environment, "PALAVER_DATA_DIR": str(run.make_folder("data")), "PALAVER_WORKERS": "2"},
        command=command(installed.link),
    )
    await here.start()
    async with open_http() as http:
        assert await version_of(http, here) != NEWER

        crew = Crew(here)
        old = crew.pids().values()
        installed.take(installed.newer)
        here.process.send(signal.SIGHUP)
        await crew.wait_log("all workers are new")
        # That is said before the last of the old ones has been told to leave.
        await wait_gone(*old)

    # Over connections of its own: one from before is its old worker's until that closes it.
    async with open_http() as http:
        versions = {await version_of(http, here) for _ in range(8)}
        assert versions == {NEWER}

        # The other one has not been touched, and the database is newer than it.
        assert await version_of(http, elsewhere) != NEWER
        assert await ask(http, elsewhere, token, "from the older one") == 200
        assert await ask(http, here, token, "from the newer one") == 200
    await here.end()

    await elsewhere.stop()
    with pytest.raises(PartFailed, match="A newer Palaver has changed it"):
        await elsewhere.start()
    with pytest.raises(PartFailed, match="A newer Palaver has changed it"):
        await elsewhere.cli("migrate")


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_migrations_only_add_so_that_older_workers_go_on(engine: str) -> None:
    statements = [" ".join(one.split()) for step in migrations() for one in step.statements(engine)]
    assert len(statements) > 50
    assert [one for one in statements if not ADDS.match(one)] == []
    columns = [one for one in statements if " ADD COLUMN " in one and "NOT NULL" in one]
    assert [one for one in columns if " DEFAULT " not in one] == []
