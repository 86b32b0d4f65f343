"""How much an installation takes: the files of exactly the packages that it consists of, and its own."""

import re
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import assert_never

from bench.systems import ROOT, Kind
from bench.venvs import BASELINE

_MIB = 1024 * 1024
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)
# Ours are on the floor's path, but uvicorn's own needs are all that it has.
_FLOOR = frozenset({"uvicorn", "uvloop", "httptools", "h11", "click", "msgspec", "starlette", "anyio", "idna"})


def installed_mib(kind: Kind) -> float:
    match kind:
        case "sqlite" | "postgres":
            return _packages_mib(_read_pins("run")) + _folder_mib(ROOT / "src" / "palaver")
        case "floor":
            return _packages_mib(_FLOOR)
        case "baseline":
            site = next((BASELINE / "lib").glob("python*/site-packages"))
            return _packages_mib(_read_pins("bench"), [str(site)]) + _folder_mib(ROOT / "bench" / "baseline")
        case _:
            assert_never(kind)


def _packages_mib(names: frozenset[str], path: list[str] | None = None) -> float:
    found = distributions() if path is None else distributions(path=path)
    return sum(_size(one) for one in found if _to_name(one.metadata["Name"]) in names) / _MIB


def _size(package: Distribution) -> int:
    # What pip wrote down for it, compiled files included; scripts outside of the folder too.
    files = (Path(str(file.locate())) for file in package.files or ())
    return sum(file.stat().st_size for file in files if file.is_file())


def _folder_mib(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / _MIB


def _read_pins(name: str) -> frozenset[str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return frozenset(_to_name(pin) for pin in _PIN.findall(text))


def _to_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
