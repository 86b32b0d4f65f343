"""Which known weaknesses the pinned packages have: asks the databases of pip-audit and npm, and says what to do.

    make audit

It ends with 1 where there is any, and with 2 where they could not be asked: both need a service on the network, and
"nothing was found" is not said for "nobody was asked".
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PINS = ("run", "pip", "build", "test")


class NotAsked(Exception):
    """A database could not be asked: a sentence that says why."""


def main() -> int:
    arguments = argparse.ArgumentParser(description="Look up known weaknesses of what is pinned.")
    arguments.add_argument("--pip-audit", default="pip-audit", help="the program")
    arguments.add_argument("--npm", default="npm", help="the program")
    asked = arguments.parse_args()
    try:
        found = [*ask_pip_audit(asked.pip_audit), *ask_npm(asked.npm)]
    except NotAsked as error:
        print(error, file=sys.stderr)  # noqa: T201 (its own output)
        return 2
    print("\n".join(found) or "No known weakness is in what is pinned.")  # noqa: T201 (its own output)
    return 1 if found else 0


def ask_pip_audit(program: str) -> Iterator[str]:
    for name in PINS:
        # The pins are whole, and by hash: pip has nothing to find out.
        pins = str(ROOT / "requirements" / f"{name}.txt")
        options = ("--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json")
        yield from read_pip_audit(_ask([program, "--requirement", pins, *options], ROOT), name)


def read_pip_audit(report: dict[str, Any], pins: str) -> Iterator[str]:
    for package in report["dependencies"]:
        for weakness in package.get("vulns", ()):
            mended = ", ".join(weakness["fix_versions"]) or "no version yet"
            yield f"{package['name']} {package['version']} ({pins}): {weakness['id']}, mended in {mended}"
        if "skip_reason" in package:
            raise NotAsked(f"{package['name']} was not looked up: {package['skip_reason']}")


def ask_npm(program: str) -> Iterator[str]:
    yield from read_npm(_ask([program, "audit", "--json"], ROOT / "web"))


def read_npm(report: dict[str, Any]) -> Iterator[str]:
    if "error" in report or "vulnerabilities" not in report:
        raise NotAsked(f"npm could not ask: {report.get('error', report.get('message', 'it gave no report'))}")
    for name, package in sorted(report["vulnerabilities"].items()):
        told = [one["title"] for one in package["via"] if isinstance(one, dict)]
        mended = "npm audit fix" if package["fixAvailable"] else "no version yet"
        yield f"{name} {package['range']} (web): {package['severity']}, {'; '.join(told) or 'by another'}, {mended}"


def _ask(command: Sequence[str], folder: Path) -> dict[str, Any]:
    """Its report. Both end with 1 where they have found something."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NotAsked(f"{command[0]} is not installed.") from error
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError as error:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise NotAsked(f"{command[0]} could not ask: {last}") from error
    return report


if __name__ == "__main__":
    sys.exit(main())
