"""Virtual environments of what Palaver is measured beside or with, so that their packages never get into its own."""

import hashlib
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]

BASELINE = _ROOT / ".venv-bench"
EMBEDDERS = _ROOT / ".venv-embedders"


def make_baseline_venv() -> Path:
    """Its Python. It is made when it is missing or `requirements/bench.txt` has changed."""
    return _make(BASELINE, _ROOT / "requirements" / "bench.txt")


def make_embedders_venv() -> Path:
    """Its Python. It is made when it is missing or `requirements/embedders.txt` has changed."""
    return _make(EMBEDDERS, _ROOT / "requirements" / "embedders.txt")


def _make(venv: Path, pins: Path) -> Path:
    python = venv / "bin" / "python"
    stamp = venv / "installed"
    wanted = hashlib.sha256(pins.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Making {venv.name} (requirements/{pins.name}).", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        (venv / ".gitignore").write_text("*\n")
        install = ["-m", "pip", "--disable-pip-version-check", "install", "-qq", "--no-input", "--require-hashes"]
        subprocess.run([str(python), *install, "-r", str(pins)], check=True, stdout=sys.stderr)
        stamp.write_text(wanted)
    return python
