"""The baseline's own virtual environment, so that its packages never get into Palaver's."""

import hashlib
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_PINS = _ROOT / "requirements" / "bench.txt"

VENV = _ROOT / ".venv-bench"


def make_baseline_venv() -> Path:
    """Its Python. It is made when it is missing or `requirements/bench.txt` has changed."""
    python = VENV / "bin" / "python"
    stamp = VENV / "installed"
    wanted = hashlib.sha256(_PINS.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Making {VENV.name} for the baseline (requirements/bench.txt).", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        (VENV / ".gitignore").write_text("*\n")
        install = ["-m", "pip", "--disable-pip-version-check", "install", "-qq", "--no-input", "--require-hashes"]
        subprocess.run([str(python), *install, "-r", str(_PINS)], check=True, stdout=sys.stderr)
        stamp.write_text(wanted)
    return python
