"""The command as people run it: a process, its output, its exit code."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.parts.forked import run_palaver
from tests.parts.palaver import Database
from tests.parts.process import bare_environment

_SECONDS = 60


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        """What was printed in columns, without the headings."""
        return [line.split() for line in self.out.splitlines()[1:]]

    @property
    def link(self) -> str:
        """The sign-in link, alone on its line."""
        return next(line for line in self.out.splitlines() if line.startswith("http"))


class Command:
    """`palaver …` with settings of its own; a warning is an error."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings

    def __call__(self, *arguments: str, stdin: str | int = "", **settings: str) -> Done:
        """`stdin` is what the command reads, or an open file."""
        done = run_palaver(
            arguments,
            {**bare_environment(), **self._settings, **settings},
            stdin=stdin,
            seconds=_SECONDS,
            strict=True,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Where the command keeps things; not there yet."""
    return tmp_path / "data"


@pytest.fixture
def embedded(data_dir: Path) -> Command:
    """The command on SQLite, without any LLM server."""
    return Command({"PALAVER_DATA_DIR": str(data_dir), "PALAVER_DISCOVER_PORTS": ""})


@pytest.fixture
def palaver(data_dir: Path, database: Database) -> Command:
    """The command on each of the stores."""
    return Command({"PALAVER_DATA_DIR": str(data_dir), "PALAVER_DISCOVER_PORTS": "", **database.environment})
