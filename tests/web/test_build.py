"""How the web app gets into the package: once, and not at all where it cannot be."""

import asyncio
import fcntl
import os
import shutil
import subprocess
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from hatch_build import hash_of

from tests.parts.process import bare_environment

ROOT = Path(__file__).parents[2]
NOBODY = "http://127.0.0.1:9"
NO_REGISTRY = {"npm_config_registry": NOBODY, "npm_config_cache": "cache"}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The sources as somebody gets them, with nothing fetched and nothing built."""
    shutil.copy(ROOT / "hatch_build.py", tmp_path)
    shutil.copytree(ROOT / "web", tmp_path / "web", ignore=shutil.ignore_patterns("node_modules", "dist"))
    (tmp_path / "src" / "palaver").mkdir(parents=True)
    return tmp_path


async def build(clone: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "hatch_build.py"],
        cwd=clone,
        env={**bare_environment(), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_without_a_registry_the_rest_is_installed_and_it_is_said_why(clone: Path) -> None:
    done = await build(clone, **NO_REGISTRY)
    assert done.returncode == 0
    assert "The web app is not built" in done.stderr
    assert "ECONNREFUSED" in done.stderr
    assert not (clone / "src" / "palaver" / "ui").exists()


async def test_release_that_would_lack_the_app_fails(clone: Path) -> None:
    done = await build(clone, **NO_REGISTRY, PALAVER_WEB_APP="require")
    assert done.returncode != 0
    assert "The web app cannot be built" in done.stderr


async def test_what_is_built_from_the_same_sources_is_not_built_again(clone: Path) -> None:
    built = clone / "src" / "palaver" / "ui" / ".built-from"
    built.parent.mkdir()
    built.write_text(hash_of(clone))
    unchanged = await build(clone, **NO_REGISTRY)
    assert (unchanged.returncode, unchanged.stderr) == (0, "")
    (clone / "web" / "src" / "app.tsx").write_text("// changed")
    changed = await build(clone, **NO_REGISTRY)
    assert "The web app is not built" in changed.stderr


async def test_what_another_one_is_just_building_is_waited_for_and_not_built_again(clone: Path) -> None:
    folder = os.open(clone / "web", os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    waiting = await asyncio.create_subprocess_exec(
        sys.executable, "hatch_build.py", cwd=clone, env={**bare_environment(), **NO_REGISTRY}, stderr=PIPE
    )
    assert waiting.stderr is not None
    assert await waiting.stderr.readline() == b"Building the web app.\n"
    built = clone / "src" / "palaver" / "ui" / ".built-from"
    built.parent.mkdir()
    built.write_text(hash_of(clone))
    os.close(folder)
    assert await waiting.stderr.read() == b""
    assert await waiting.wait() == 0


def test_lock_names_no_address_and_every_platform() -> None:
    lock = (ROOT / "web" / "package-lock.json").read_text()
    assert "resolved" not in lock
    for platform in ("linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64", "win32-x64"):
        for native in ("@biomejs/cli", "@typescript/typescript"):
            assert f'"node_modules/{native}-{platform}"' in lock
