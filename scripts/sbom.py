"""What is in Palaver, as a CycloneDX document: every package that is pinned, with the hashes by which it is fetched.

    python scripts/sbom.py build/palaver.cdx.json

It reads the pins alone, so that the same pins give the same document, byte for byte, and says nothing of where packages
come from. What only builds or tests is left out but for `--all`, where it is marked as excluded.
"""

import argparse
import base64
import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).parents[1]
RUN = "run"
NOT_SHIPPED = ("pip", "build", "test")

# The name of a document is made from what it says.
SPACE = uuid.UUID("6f1f3c1e-6f1b-4c8e-9a55-5d7c8c3b7b11")
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")

Component = dict[str, Any]


def main() -> None:
    arguments = argparse.ArgumentParser(description="Write a software bill of materials (CycloneDX 1.6, JSON).")
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--all", action="store_true", help="what builds and tests as well")
    asked = arguments.parse_args()
    asked.file.parent.mkdir(parents=True, exist_ok=True)
    asked.file.write_text(json.dumps(to_document(ROOT, everything=asked.all), indent=1) + "\n")


def to_document(root: Path, *, everything: bool = False) -> dict[str, Any]:
    components = list(find_components(root, everything=everything))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(SPACE, json.dumps(components))}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "palaver",
                "name": "palaver",
                "version": find_version(root),
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": components,
        "dependencies": [{"ref": "palaver", "dependsOn": [one["bom-ref"] for one in components]}],
    }


def find_version(root: Path) -> str:
    found = re.search(r'__version__ = "([^"]+)"', (root / "src" / "palaver" / "__init__.py").read_text())
    assert found is not None, "the package says its version"
    return found[1]


def find_components(root: Path, *, everything: bool) -> Iterator[Component]:
    """Each once; one that runs is not told again as one that tests."""
    seen: set[str] = set()
    for name in (RUN, *(NOT_SHIPPED if everything else ())):
        pins = (root / "requirements" / f"{name}.txt").read_text()
        for component in read_pins(pins, shipped=name == RUN):
            if component["bom-ref"] not in seen:
                seen.add(component["bom-ref"])
                yield component
    lock = json.loads((root / "web" / "package-lock.json").read_text())
    for component in read_lock(lock):
        if component["bom-ref"] not in seen and (everything or component["scope"] == "required"):
            seen.add(component["bom-ref"])
            yield component


def read_pins(text: str, *, shipped: bool) -> Iterator[Component]:
    """What a file says that pip-compile has written."""
    for block in re.split(r"\n(?=\S)", text):
        pin = PIN.match(block)
        if pin is not None:
            name = re.sub(r"[-_.]+", "-", pin[1]).lower()
            hashes = [{"alg": "SHA-256", "content": one} for one in HASH.findall(block)]
            yield _component(name, pin[2], f"pkg:pypi/{name}@{pin[2]}", hashes, shipped=shipped)


def read_lock(lock: dict[str, Any]) -> Iterator[Component]:
    """What npm's lock file says. What its pages run and what builds them is not told apart by it but as `dev`."""
    for path, package in sorted(lock["packages"].items()):
        if not path:
            continue
        name, version = path.rpartition("node_modules/")[2], package["version"]
        algorithm, _, digest = package.get("integrity", "").partition("-")
        hashes = [{"alg": "SHA-512", "content": base64.b64decode(digest).hex()}] if algorithm == "sha512" else []
        component = _component(
            name, version, f"pkg:npm/{quote(name, safe='/')}@{version}", hashes, shipped=not package.get("dev", False)
        )
        yield component | ({"licenses": [{"expression": package["license"]}]} if package.get("license") else {})


def _component(name: str, version: str, purl: str, hashes: list[dict[str, str]], *, shipped: bool) -> Component:
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "scope": "required" if shipped else "excluded",
        "purl": purl,
        "hashes": hashes,
    }


if __name__ == "__main__":
    main()
