"""deploy/Containerfile: its own commands run here, outside of a container, on what it copies and nothing else."""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.parts.palaver import Server
from tests.parts.process import bare_environment, wait_until

ROOT = Path(__file__).parents[2]
# A line that goes on in the next one is one.
IMAGE = (ROOT / "deploy" / "Containerfile").read_text().replace("\\\n", "")
BUILDING, RUNNING = IMAGE.split("\nFROM ")[1:]
RUNS = re.findall(r"^RUN (.*)$", BUILDING, re.MULTILINE)
INSTRUCTIONS = {"WORKDIR", "COPY", "RUN", "FROM", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "CMD"}

# `make ready` has run the like, with the same pins, into the environment that stands for these here.
NOT_RUN = ("python -m venv /tools", "/tools/bin/python -m pip --disable-pip-version-check install --no-cache-dir")
FROM_AN_INDEX = "--require-hashes -r requirements/run.txt"


def test_instructions_are_such_as_there_are() -> None:
    lines = [line for line in IMAGE.splitlines() if line and not line.startswith("#")]
    assert {line.split()[0] for line in lines} == INSTRUCTIONS
    assert IMAGE.count("\nFROM ") == 2
    assert "\nRUN " not in RUNNING


def test_build_gets_what_it_copies_and_no_data_of_a_checkout() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = {name for line in re.findall(r"^COPY (?!--)(.*)$", BUILDING, re.MULTILINE) for name in line.split()[:-1]}
    assert {name.partition("/")[0] for name in copied} == let_in
    assert all((ROOT / name).exists() for name in copied)
    assert ignored[1] == "*"
    assert {"src/palaver/ui", "web/node_modules", "web/dist"} <= set(ignored)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in place of `/`, after the commands of the building stage."""
    root = tmp_path_factory.mktemp("image")
    build = root / "build"
    build.mkdir()
    for line in re.findall(r"^COPY (?!--)(.*)$", BUILDING, re.MULTILINE):
        *names, _ = line.split()
        for name in names:
            copy_in(ROOT / name, build / name)
    # What the build would make of the same sources: it sees so, and does not make it again.
    shutil.copytree(ROOT / "src" / "palaver" / "ui", build / "src" / "palaver" / "ui")
    for command in RUNS:
        if not command.startswith(NOT_RUN) and FROM_AN_INDEX not in command:
            run(command, root)
    return root


def copy_in(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_file():
        shutil.copy2(source, target)
        return
    left_out = ("ui", "node_modules", "dist", "__pycache__", "*.egg-info")
    shutil.copytree(
        source,
        target,
        ignore=lambda _, names: [name for name in names for one in left_out if fnmatch.fnmatch(name, one)],
    )


def run(command: str, root: Path) -> None:
    """It, with `root` in place of `/`, this environment in place of /tools, and this user in place of the image's."""
    here = re.sub(r"/(opt/palaver|wheels|data)\b", lambda found: f"{root}{found[0]}", command)
    here = here.replace("/tools/bin/python", sys.executable).replace("python -m venv", f"{sys.executable} -m venv")
    here = here.replace("-o 10001 -g 10001", f"-o {os.getuid()} -g {os.getgid()}")
    done = subprocess.run(
        ["sh", "-c", here], cwd=root / "build", env=bare_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{here}\n{done.stdout}{done.stderr}"


def test_commands_leave_palaver_with_its_web_app_in_an_environment_of_its_own(built: Path) -> None:
    environment = built / "opt" / "palaver"
    [package] = environment.glob("lib/python*/site-packages/palaver")
    assert (package / "ui" / "index.html").is_file()
    assert list(package.glob("store/migrations/*.sql"))
    # In place of the command that asks an index for what it needs.
    (package.parent / "needed.pth").write_text(sysconfig.get_path("purelib"))
    done = subprocess.run(
        [environment / "bin" / "palaver", "--version"],
        env=bare_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    version = re.findall(r'__version__ = "(.*)"', (package / "__init__.py").read_text())[0]
    assert done.stdout == f"palaver, version {version}\n"
    asked = "import palaver; print(palaver.__file__)"
    where = subprocess.run(
        [environment / "bin" / "python", "-P", "-c", asked],
        env=bare_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.strip() == str(package / "__init__.py")


def test_folder_of_what_is_kept_is_its_users_alone(built: Path) -> None:
    assert (built / "data").stat().st_mode & 0o777 == 0o700
    assert "COPY --from=build --chown=10001:10001 /data /var/lib/palaver" in RUNNING


def test_image_says_what_it_is_made_of(built: Path) -> None:
    told = json.loads((built / "opt" / "palaver" / "share" / "palaver.cdx.json").read_text())
    pins = re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements" / "run.txt").read_text(), re.MULTILINE)
    assert set(pins) <= {component["name"] for component in told["components"]}


def test_every_command_that_is_not_run_is_one_that_asks_an_index() -> None:
    left = [command for command in RUNS if command.startswith(NOT_RUN) or FROM_AN_INDEX in command]
    assert len(left) == 3
    assert [command for command in left if "venv" not in command and "--require-hashes" not in command] == []
    assert len(RUNS) - len(left) == 5


def test_image_starts_the_server_that_settings_describe() -> None:
    [command] = re.findall(r"^CMD (.*)$", RUNNING, re.MULTILINE)
    assert json.loads(command) == ["palaver", "serve"]
    told = dict(re.findall(r"\b(PALAVER_\w+)=(\S+)", RUNNING))
    assert told["PALAVER_HOST"] == "0.0.0.0"
    assert f"\nVOLUME {told['PALAVER_DATA_DIR']}\n" in RUNNING


@pytest.mark.parametrize("store_kind", ["sqlite"], indirect=True)
async def test_health_check_says_whether_it_is_ready(server: Server) -> None:
    [command] = re.findall(r"^HEALTHCHECK .*? CMD (.*)$", RUNNING, re.MULTILINE)
    program, *arguments = json.loads(command)
    assert program == "python"

    def check() -> int:
        environment = {
            **bare_environment(),
            "PALAVER_PORT": server.url.rpartition(":")[2],
            "http_proxy": "http://no.where",
        }
        done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=False)
        return done.returncode

    # A server that stands still for a second says that it is not.
    assert await wait_until(lambda: check() == 0, seconds=60)
    await server.stop()
    assert check() == 1
