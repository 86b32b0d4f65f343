"""docs/guides: a page each, whose commands are run here as they stand, or named with why they are not."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.journeys.pages import DOCS
from tests.parts.palaver import Server, StoreKind
from tests.parts.process import bare_environment

ROOT = DOCS.parent
GUIDES = {path.name: path.read_text() for path in sorted((DOCS / "guides").glob("*.md"))}
PALAVER = f"{Path(sys.executable).parent}:{bare_environment()['PATH']}"
LONGEST_PAGE = 75
TARGET = "postgresql://palaver:PASSWORD@localhost/palaver"

# By how a command begins: what it needs that is not here, or which test runs what.
NOT_RUN = {
    "sudo ": "It changes the machine; unit, link and reload are tried in test_upgrade.py and test_files.py.",
    "docker compose ": "No container engine is here; what the image does is tried in test_image.py.",
    "kubectl ": "No cluster is here; the manifests are read in test_files.py.",
    "make install": "`make ready` has done it.",
    "PALAVER_WEB_APP=require ": "It is a command of the image, which test_image.py runs.",
    "palaver serve": "The server of these tests stands for it, and tests/serve has one with two workers.",
    f"PALAVER_DATABASE_URL={TARGET} palaver serve": "As above.",
    "psql ": "It is PostgreSQL's own, and no part of what the tests install.",
    "PALAVER_DATABASE_URL=postgresql://palaver:PASSWORD@localhost/trial ": "As the one that moves.",
}


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "sqlite"


def commands(name: str) -> list[str]:
    return re.findall(r"^    (\S.*)$", GUIDES[name], re.MULTILINE)


def to_run(name: str) -> list[str]:
    return [line for line in commands(name) if not line.startswith(tuple(NOT_RUN))]


def run(lines: Sequence[str], environment: Mapping[str, str], folder: Path, **instead: str) -> str:
    """What they print, in one shell; it ends with the first that fails. `instead` of names stand other words."""
    script = "\n".join(["set -eu", *lines])
    for word, other in instead.items():
        script = script.replace(word, other)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**environment, "PATH": PALAVER},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("name", GUIDES)
def test_guide_is_a_page_and_running_md_leads_to_it(name: str) -> None:
    assert len(GUIDES[name].splitlines()) <= LONGEST_PAGE
    assert f"(guides/{name})" in (DOCS / "running.md").read_text()


@pytest.mark.parametrize("name", GUIDES)
def test_links_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([\w./-]+)(?:#([\w-]+))?\)", GUIDES[name])
    assert links
    for path, anchor in links:
        there = DOCS / "guides" / path
        assert there.is_file(), path
        headings = re.findall(r"^##+ (.*)$", there.read_text(), re.MULTILINE) if anchor else []
        assert anchor in ["", *(re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings)], anchor


def test_files_that_guides_name_are_there() -> None:
    named = {name for page in GUIDES.values() for name in re.findall(r"\bdeploy/[\w./-]*\w", page)} - {"deploy/.env"}
    assert len(named) >= 4
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_command_is_run_below_or_named_as_not_run() -> None:
    assert {name: len(to_run(name)) for name in GUIDES} == {
        "backup.md": 4,
        "first-hour.md": 6,
        "postgresql.md": 4,
        "scaling.md": 4,
        "upgrade.md": 1,
    }
    every = [line for name in GUIDES for line in commands(name)]
    assert [start for start in NOT_RUN if not any(line.startswith(start) for line in every)] == []


def test_services_and_pods_of_commands_are_those_that_there_are() -> None:
    every = "\n".join(line for name in GUIDES for line in commands(name))
    compose = (ROOT / "deploy" / "compose.yaml").read_text()
    for service in re.findall(r"compose\.yaml (?:logs|exec) (\w+)|--scale (\w+)=", every):
        assert f"\n  {''.join(service)}:\n" in compose
    manifests = "".join(path.read_text() for path in (ROOT / "deploy" / "kubernetes").glob("*.yaml"))
    for container in re.findall(r" (\w+)=palaver:|-c (\w+)$", every, re.MULTILINE):
        assert f"- name: {''.join(container)}\n" in manifests


async def test_first_hour(shared_server: Server, tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "env.example").write_bytes((ROOT / "deploy" / "env.example").read_bytes())
    lines = to_run("first-hour.md")
    said = run(lines, shared_server.environment, tmp_path, **{"http://127.0.0.1:8000": shared_server.url})
    assert "Nothing is broken." in said
    assert '"fullName":"Ana Müller"' in said
    assert '{"status":"ready"}' in said
    assert (tmp_path / "deploy" / ".env").is_file()


async def test_backup(shared_server: Server, tmp_path: Path) -> None:
    await shared_server.cli("user", "add", "ben")
    said = run(to_run("backup.md"), shared_server.environment, tmp_path)
    assert re.search(r"\bben\b", said)
    assert sorted(os.listdir(tmp_path)) == ["palaver-2026-03-02"]


async def test_moving_to_postgresql(server: Server, empty_postgres_url: str, tmp_path: Path) -> None:
    await server.cli("user", "add", "ana")
    await server.stop()
    said = run(to_run("postgresql.md"), server.environment, tmp_path, **{TARGET: empty_postgres_url})
    assert said.count("are the same in both databases") == 2
    assert "Nothing is broken." in said
    assert "ana" in said
    await server.start()


async def test_scaling_out(server: Server, postgres_url: str, redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    instead = {TARGET: postgres_url, "redis://localhost:6379/0": redis_url}
    said = run(to_run("scaling.md"), server.environment, tmp_path, **instead)
    assert "together they have up to 20 connections to PostgreSQL" in said
    made = (tmp_path / "palaver.conf").read_text()
    assert "set $palaver http://127.0.0.1:8000;" in made
    assert "listen 80;" in made
    # nginx's own words are left alone.
    assert "$http_upgrade" in made
    assert "${" not in made


async def test_backup_before_an_upgrade(shared_server: Server, tmp_path: Path) -> None:
    run(to_run("upgrade.md"), shared_server.environment, tmp_path)
    assert (tmp_path / "before-the-upgrade").is_file()
