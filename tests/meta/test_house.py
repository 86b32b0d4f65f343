"""Promises that the repository as a whole keeps."""

import hashlib
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.meta.house import find_formats, find_machine_paths, find_naps, find_registries, find_skips, list_files

ROOT = Path(__file__).parents[2]
FILES = list_files(ROOT)
TESTS = [file for file in FILES if file.is_relative_to(ROOT / "tests") and file.suffix == ".py"]
# The one place that waits for processes, with a deadline.
WAITING = ROOT / "tests" / "parts" / "process.py"
KEEPER = ROOT / "tests" / "parts" / "keeper.py"
REQUIREMENTS = ROOT / "requirements"
# Of the licence's text as its authors publish it.
LICENSE_SHA256 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
CLIENT = re.compile(
    r"\b(?:ClientSession|TCPConnector|urlopen|HTTPS?Connection|smtplib|open_connection|create_connection)\b"
)


def read(file: Path) -> str:
    return file.read_text(errors="ignore")


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def package_names(requirements: str) -> set[str]:
    lines = (line.split("#")[0].strip() for line in requirements.splitlines())
    found = (re.match(r"[A-Za-z][\w.-]*", line) for line in lines)
    return {re.sub(r"[-_.]+", "-", match[0]).lower() for match in found if match}


def test_no_file_names_a_package_registry() -> None:
    assert {name(file): found for file in FILES if (found := find_registries(read(file)))} == {}


def test_no_file_holds_a_path_of_somebodys_machine() -> None:
    own = (ROOT, Path.home())
    assert {name(file): found for file in FILES if (found := find_machine_paths(read(file), own))} == {}


def test_no_test_sleeps() -> None:
    awake = (file for file in TESTS if file not in (WAITING, KEEPER))
    assert {name(file): lines for file in awake if (lines := list(find_naps(read(file))))} == {}


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    assert {name(file): lines for file in TESTS if (lines := list(find_skips(read(file))))} == {}


def test_marks_of_a_test_file_are_given_once() -> None:
    # The last ones count alone.
    assert [name(file) for file in TESTS if len(re.findall(r"^pytestmark\b", read(file), re.M)) > 1] == []


def test_addresses_that_people_give_are_called_by_the_guard_alone() -> None:
    """The others call what the operator has set. Another one has to say whose addresses it calls."""
    package = ROOT / "src" / "palaver"
    callers = {str(file.relative_to(package)) for file in package.rglob("*.py") if CLIENT.search(read(file))}
    assert callers == {"bots/upstream.py", "knowledge/embeddings.py", "notify/guard.py", "notify/mail.py"}


def test_nothing_that_is_said_is_taken_as_a_form_of_text() -> None:
    package = ROOT / "src" / "palaver"
    found = {str(file.relative_to(package)): list(find_formats(read(file))) for file in package.rglob("*.py")}
    assert {file for file, lines in found.items() if lines} == set()


def test_changelog_tells_what_is_coming() -> None:
    changelog = read(ROOT / "CHANGELOG.md")
    assert re.search(r"^## \[Unreleased\]$", changelog, re.MULTILINE)
    version = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]["version"]
    assert f'__version__ = "{version}"' in read(ROOT / "src" / "palaver" / "__init__.py")


def test_license_is_the_apache_license_word_for_word() -> None:
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == LICENSE_SHA256


@pytest.mark.parametrize("path", ["SECURITY.md", "CONTRIBUTING.md", "README.md"])
def test_repository_has_what_people_look_for(path: str) -> None:
    assert read(ROOT / path).startswith("# ")


@pytest.mark.parametrize("path", [".ci/run", "scripts/make-venv", "scripts/prove", "scripts/test-parts"])
def test_scripts_can_be_run(path: str) -> None:
    assert os.access(ROOT / path, os.X_OK)
    assert subprocess.run(["bash", "-n", ROOT / path], check=False).returncode == 0


def test_make_help_names_every_target() -> None:
    makefile = read(ROOT / "Makefile")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    documented = set(re.findall(r"^([a-z-]+):.*  ## \S", makefile, re.MULTILINE))
    assert documented == set(phony[1].split())


def test_what_palaver_needs_is_what_is_pinned() -> None:
    project = tomllib.loads(read(ROOT / "pyproject.toml"))
    asked = [line for line in read(REQUIREMENTS / "run.in").splitlines() if not line.startswith("#")]
    # Only the pins name what redis asks for itself where it needs it.
    asked.remove("async-timeout")
    assert sorted(project["project"]["dependencies"]) == sorted(asked)
    assert package_names("\n".join(project["build-system"]["requires"])) <= package_names(
        read(REQUIREMENTS / "build.txt")
    )


@pytest.mark.parametrize("kind", ["pip", "run", "build", "test"])
def test_every_requirement_is_pinned_and_hashed(kind: str) -> None:
    pinned = read(REQUIREMENTS / f"{kind}.txt")
    asked = read(REQUIREMENTS / f"{kind}.in")
    assert package_names(asked) <= package_names(pinned), "`make requirements` was not run"
    entries = re.findall(r"^[A-Za-z].*(?:\n    .*)*", pinned, re.MULTILINE)
    assert [entry for entry in entries if not re.match(r"\S+==\S+ .*\\\n    --hash=sha256:", entry)] == []


def test_pins_agree_where_one_environment_gets_them_all() -> None:
    pins = [
        dict(re.findall(r"^(\S+)==(\S+)", read(REQUIREMENTS / f"{kind}.txt"), re.MULTILINE))
        for kind in ("run", "build")
    ]
    together = dict(re.findall(r"^(\S+)==(\S+)", read(REQUIREMENTS / "test.txt"), re.MULTILINE))
    assert [together.items() >= some.items() for some in pins] == [True, True]


# The finders themselves, on what they must and must not find


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("log.info(said)", [1]),
        ("log.info(f'{said} of %s', who)", [1]),
        ("log.log(20, said)", [1]),
        ("said.format(who=who)", [1]),
        ("log.info('%s', said)\nlog.info(REQUEST, said)", []),
        ("WORDS[key][0].format(said)\nself.COUNT.format(hits=1)\n'{}'.format(said)", []),
    ],
)
def test_form_that_is_none_of_ours_is_found(source: str, lines: list[int]) -> None:
    assert list(find_formats(source)) == lines


@pytest.mark.parametrize(
    "text",
    [
        "https://" + "pypi" + ".org/simple",
        "files." + "pythonhosted" + ".org",
        '"resolved": "' + 'https://example.com/a.tgz"',
        "registry=" + "http://localhost:4873/",
        "--extra-index-url" + " file:///packages",
    ],
)
def test_registry_is_found(text: str) -> None:
    assert find_registries(text)


@pytest.mark.parametrize(
    "text", ["--no-emit-index-url --no-emit-find-links", "a registry of bots", "https://example.com"]
)
def test_other_text_is_not_taken_for_a_registry(text: str) -> None:
    assert find_registries(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "see " + "/ro" + "ot/.cache",
        "cd '/wo" + "rk/main'",
        "/home" + "/alice/palaver",
        "(/Users" + "/bob/x)",
        "in /ro" + "ot and",
    ],
)
def test_path_of_a_machine_is_found(text: str) -> None:
    assert find_machine_paths(text)


def test_path_of_the_checkout_is_found() -> None:
    assert find_machine_paths("at /srv/builds/palaver/src", [Path("/srv/builds/palaver")])


@pytest.mark.parametrize("text", ["/var/lib/palaver", "https://example.com/work/x", "GET /home", "/rooted", "/"])
def test_other_text_is_not_taken_for_a_path_of_a_machine(text: str) -> None:
    assert find_machine_paths(text, [Path("/"), Path("/src")]) == []


@pytest.mark.parametrize("source", ["time.sleep(1)", "await_(asyncio.sleep(0.1))", "from time import sleep\nsleep(x)"])
def test_nap_is_found(source: str) -> None:
    assert list(find_naps(source))


def test_giving_way_is_not_taken_for_a_nap() -> None:
    assert list(find_naps("asyncio.sleep(0)")) == []


@pytest.mark.parametrize(
    "source",
    [
        "pytest." + "skip('no')",
        "@pytest.mark." + "xfail\ndef test_it(): ...",
        "pytest." + "importorskip('redis')",
        "from pytest import " + "skip",
    ],
)
def test_skipped_test_is_found(source: str) -> None:
    assert list(find_skips(source))


def test_other_test_is_not_taken_for_a_skipped_one() -> None:
    assert list(find_skips("def test_reader_can_skip_ahead(): reader.skip(3)")) == []
