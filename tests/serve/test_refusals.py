"""A server with workers that cannot start says why, once, and leaves nothing behind."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts.palaver import Server
from tests.parts.process import bare_environment

PALAVER = str(Path(sys.executable).with_name("palaver"))
NOWHERE = {"PALAVER_DATABASE_URL": "postgresql://ana:hunter2@127.0.0.1:1/palaver"}
REDIS = {"PALAVER_REDIS_URL": "redis://127.0.0.1:1/0"}
SECONDS = 60


async def refuse(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """How `palaver serve` with two workers ends where it cannot start."""
    environment = {**bare_environment(), "PALAVER_DATA_DIR": str(folder / "data"), "PALAVER_DISCOVER_PORTS": ""}
    command = [PALAVER, "serve", "--port", "0", "--workers", "2", *arguments]
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        env={**environment, **settings},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({}, "PALAVER_DATABASE_URL (PostgreSQL) and PALAVER_REDIS_URL (Redis or Valkey)"),
        (NOWHERE, "PALAVER_REDIS_URL (Redis or Valkey)"),
        (REDIS, "PALAVER_DATABASE_URL (PostgreSQL)"),
        ({"REDIS_HOST": "127.0.0.1"}, "PALAVER_DATABASE_URL (PostgreSQL)"),
    ],
)
async def test_workers_without_what_they_share_are_refused_with_what_to_set(
    tmp_path: Path, settings: dict[str, str], missing: str
) -> None:
    done = await refuse(tmp_path, **settings)
    assert done.returncode == 1
    assert done.stderr == (
        f"2 workers need PostgreSQL and Redis to work together: set {missing}, "
        "or serve with one worker (PALAVER_WORKERS or --workers).\n"
    )
    assert not (tmp_path / "data").exists()


async def test_database_that_is_not_there_is_said_once(tmp_path: Path) -> None:
    done = await refuse(tmp_path, **NOWHERE, **REDIS)
    assert done.returncode == 1
    assert done.stderr.count("Check PALAVER_DATABASE_URL") == 1
    assert "hunter2" not in done.stderr


async def test_bot_that_is_not_there_is_said_once(tmp_path: Path, postgres_url: str) -> None:
    done = await refuse(tmp_path, **REDIS, PALAVER_DATABASE_URL=postgres_url, PALAVER_DEFAULT_PROVIDER="nobody")
    assert done.returncode == 1
    assert done.stderr.count("nobody") == 1


@pytest.mark.parametrize("workers", ["0", "two", "257"])
async def test_number_of_workers_that_cannot_be_is_refused(tmp_path: Path, workers: str) -> None:
    done = await refuse(tmp_path, "--workers", workers)
    assert done.returncode == 2
    assert done.stderr == f"PALAVER_WORKERS is '{workers}'. It has to be a whole number from 1 to 256.\n"


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_port_of_a_server_with_workers_is_not_shared_with_another(
    server: Server, tmp_path: Path, workers: str
) -> None:
    port = server.url.rpartition(":")[2]
    shared = {name: server.environment[name] for name in ("PALAVER_DATABASE_URL", "PALAVER_REDIS_URL")}
    done = await refuse(tmp_path, "--port", port, "--workers", workers, **shared)
    assert done.returncode == 1
    assert done.stderr == (
        f"Palaver cannot listen on 127.0.0.1:{port}: Address already in use. "
        "Stop what uses that port, or choose another by PALAVER_PORT or --port.\n"
    )
