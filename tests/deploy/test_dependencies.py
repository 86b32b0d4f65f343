"""What Palaver is made of, and how its known weaknesses are asked for."""

import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PURL = re.compile(r"pkg:(pypi|npm)/[\w@%./-]+@[\w.+!-]+")

WEAK = {
    "dependencies": [
        {"name": "sound", "version": "1.0", "vulns": []},
        {"name": "weak", "version": "1.0", "vulns": [{"id": "GHSA-1", "fix_versions": ["1.1"], "aliases": []}]},
    ],
    "fixes": [],
}
SOUND: dict[str, Any] = {"dependencies": [{"name": "sound", "version": "1.0", "vulns": []}], "fixes": []}
SKIPPED = {"dependencies": [{"name": "odd", "skip_reason": "it is not there"}], "fixes": []}
WEAK_NPM = {
    "auditReportVersion": 2,
    "vulnerabilities": {
        "weak": {"severity": "high", "via": [{"title": "Runs anything"}], "range": "<2.0.0", "fixAvailable": True},
        "on-it": {"severity": "high", "via": ["weak"], "range": "*", "fixAvailable": False},
    },
}
SOUND_NPM: dict[str, Any] = {"auditReportVersion": 2, "vulnerabilities": {}}
# As npm says it where no registry answers.
NO_NPM = {"message": "request failed", "error": {"summary": "", "detail": ""}}


def write_bill(folder: Path, *arguments: str) -> dict[str, Any]:
    file = folder / "bill.json"
    subprocess.run([sys.executable, "scripts/sbom.py", str(file), *arguments], cwd=ROOT, check=True)
    bill: dict[str, Any] = json.loads(file.read_text())
    return bill


@pytest.mark.parametrize(("arguments", "scopes"), [((), {"required"}), (("--all",), {"required", "excluded"})])
def test_bill_names_every_pin_once_with_its_hashes_and_no_place_to_fetch_it_from(
    tmp_path: Path, arguments: tuple[str, ...], scopes: set[str]
) -> None:
    bill = write_bill(tmp_path, *arguments)
    assert (bill["bomFormat"], bill["specVersion"], bill["metadata"]["component"]["name"]) == (
        "CycloneDX",
        "1.6",
        "palaver",
    )
    components = bill["components"]
    names = [component["bom-ref"] for component in components]
    assert len(set(names)) == len(names)
    assert all(PURL.fullmatch(name) for name in names)
    assert {component["scope"] for component in components} == scopes
    assert [component["name"] for component in components if not component["hashes"]] == []
    pins = re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / "run.txt").read_text(), re.MULTILINE)
    assert {f"pkg:pypi/{name}@{version}" for name, version in pins} <= set(names)
    assert any(name.startswith("pkg:npm/") for name in names)
    assert "://" not in json.dumps(components)


def test_same_pins_are_the_same_bill(tmp_path: Path) -> None:
    assert write_bill(tmp_path) == write_bill(tmp_path)


def stand_in(folder: Path, name: str, report: object, *, code: int = 0) -> Path:
    """A program that notes how it was called and gives this report."""
    program = folder / name
    said = report if isinstance(report, str) else json.dumps(report)
    program.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$*\" >> {folder}/{name}.asked\ncat <<'EOF'\n{said}\nEOF\n"
        f"echo 'no route to host' >&2\nexit {code}\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def audit(folder: Path, pip_audit: object, npm: object) -> subprocess.CompletedProcess[str]:
    programs = (stand_in(folder, "pip-audit", pip_audit, code=1), stand_in(folder, "npm", npm, code=1))
    command = [sys.executable, "scripts/audit.py", "--pip-audit", str(programs[0]), "--npm", str(programs[1])]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_audit_asks_for_all_that_is_pinned(tmp_path: Path) -> None:
    done = audit(tmp_path, SOUND, SOUND_NPM)
    assert (done.returncode, done.stdout) == (0, "No known weakness is in what is pinned.\n")
    asked = (tmp_path / "pip-audit.asked").read_text().splitlines()
    assert [re.findall(r"(\w+)\.txt", line) for line in asked] == [["run"], ["pip"], ["build"], ["test"]]
    assert all("--require-hashes --disable-pip" in line for line in asked)
    assert (tmp_path / "npm.asked").read_text() == "audit --json\n"


def test_audit_says_what_is_weak_and_what_to_do(tmp_path: Path) -> None:
    done = audit(tmp_path, WEAK, WEAK_NPM)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        *(f"weak 1.0 ({name}): GHSA-1, mended in 1.1" for name in ("run", "pip", "build", "test")),
        "on-it * (web): high, by another, no version yet",
        "weak <2.0.0 (web): high, Runs anything, npm audit fix",
    ]


@pytest.mark.parametrize(("pip_audit", "npm"), [("", SOUND_NPM), (SKIPPED, SOUND_NPM), (SOUND, NO_NPM), (SOUND, "")])
def test_audit_that_could_not_ask_does_not_say_that_nothing_was_found(
    tmp_path: Path, pip_audit: object, npm: object
) -> None:
    done = audit(tmp_path, pip_audit, npm)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_audit_without_its_program_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "scripts/audit.py", "--pip-audit", str(tmp_path / "nothing")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"{tmp_path / 'nothing'} is not installed.\n")
