"""What the workers of a run make of its test files, made once and not once in each of them.

pytest writes `assert` anew in every file, which takes twice as long as all else until the first test begins. What has
come of it is kept beside the file, and whoever finds it there reads it.
"""

import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def share(asked: Iterable[str], number: int, of: int) -> None:
    """Import this worker's part of the files in the folders that are asked for. pytest imports all of them next."""
    # Also where Python is told to keep nothing: each of the workers would have to make all of it.
    sys.dont_write_bytecode = False
    for name in _names(asked)[number::of]:
        # What is wrong with a file is told when it is collected.
        with suppress(Exception):
            import_module(name)


def _names(asked: Iterable[str]) -> Sequence[str]:
    """The test modules, as pytest names them. Others are imported by them."""
    files = sorted({file for folder in asked for file in Path(folder).resolve().rglob("test_*.py")})
    return [".".join(file.relative_to(_ROOT).with_suffix("").parts) for file in files if file.is_relative_to(_ROOT)]
