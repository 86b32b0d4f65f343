"""Palaver's own server and command line, as processes, the way people run them."""

import asyncio
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Protocol

from tests.parts import PartFailed, secrets
from tests.parts.forked import run_palaver, start_palaver
from tests.parts.process import Child, Process, bare_environment, free_port
from tests.parts.run import Run

_SECONDS_TO_START = 30
# Where an interpreter of its own has to read all that it needs first.
_SECONDS_TO_START_ANEW = 120
_SECONDS_TO_STOP = 20
_SECONDS_FOR_COMMAND = 60

StoreKind = Literal["sqlite", "postgres"]


@dataclass(frozen=True)
class Database:
    """Where a server keeps what it is told. SQLite lies in the server's own data folder."""

    kind: StoreKind
    environment: Mapping[str, str]


class Server:
    """`palaver serve` with an environment of its own. What it keeps, and its address, stay when it starts again."""

    def __init__(
        self, run: Run, folder: Path, environment: Mapping[str, str], *arguments: str, command: Sequence[str] = ()
    ) -> None:
        """`arguments` are further ones for `palaver serve`, `"--workers", "2"`; `command` stands for `palaver`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.environment = {
            **bare_environment(),
            "PALAVER_DATA_DIR": str(folder / "data"),
            # Its vocabulary takes half a second of each start.
            "PALAVER_EXACT_TOKENS": "off",
            # Hundreds of people register in a run of all tests, each a tenth of a second of a core.
            "PALAVER_PASSWORD_MEBIBYTES": "8",
            **environment,
        }
        secrets.note_settings(environment)
        self.url = ""
        self.process: Process
        # Nobody else takes it while it is down.
        self._port = free_port()
        self._run = run
        self._log = folder / "log"
        self._arguments = arguments
        self._command = command
        self._users = {"admin"}

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return bool(self.url) and self.process.is_running

    async def start(self) -> None:
        """Returns when it is ready. `PartFailed`, with what it wrote, when it does not get there."""
        command = [*self._command, "serve", "--port", str(self._port), *self._arguments]
        kind = Process if self._command else PalaverProcess
        self.process = kind(self._run, command, name="palaver serve", log=self._log, environment=self.environment)
        seconds = _SECONDS_TO_START_ANEW if self._command else _SECONDS_TO_START
        line = await self.process.wait_for_line(r"^Palaver is ready on (http://\S+)$", seconds=seconds)
        self.url = line[1]

    async def stop(self, *, seconds: float = _SECONDS_TO_STOP) -> int:
        """Ask it to end, and wait until it has: its return code. `PartFailed` when it does not within the time."""
        self.process.send(signal.SIGTERM)
        return await self.process.wait_for_end(seconds=seconds)

    async def end(self) -> None:
        """Stop it, if it still runs, frozen or not. `Leaked` where it has written a secret anywhere."""
        if self.process.is_running:
            self.thaw()
            await self.stop()
        secrets.check_nothing_leaked(self.log_text(), Path(self.environment["PALAVER_DATA_DIR"]), url=self.url)

    async def restart(self) -> None:
        """Stop it and start it again at the same address."""
        await self.stop()
        await self.start()

    def kill(self) -> None:
        """End it, its workers too, at once, as a power cut would."""
        self.process.kill()

    def freeze(self) -> None:
        """Let it stand still, its workers too, until `thaw()`."""
        self.process.freeze()

    def thaw(self) -> None:
        self.process.thaw()

    def cpu_seconds(self) -> float:
        """What it has taken of the cores since its start, without workers of its own."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def log_text(self) -> str:
        """All that it has ever written, over all its starts."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    async def cli(self, *arguments: str, stdin: str = "") -> str:
        """What `palaver …` prints, run beside the server with the same settings. `PartFailed` when it fails."""
        printed = await asyncio.to_thread(
            palaver, *arguments, environment=self.environment, stdin=stdin, command=self._command
        )
        secrets.note_printed(arguments, printed, url=self.url)
        return printed

    async def token(self, name: str, *, admin: bool = False) -> str:
        """A token of a user, who is added at the first asking. `admin` is there from the start."""
        if name not in self._users:
            await self.cli("user", "add", name, *(["--admin"] if admin else []))
            self._users.add(name)
        printed = await self.cli("token", "create", "--user", name)
        # Whatever else it says, the token is a line without a space.
        return next(line for line in printed.splitlines() if line and " " not in line)


class StartServer(Protocol):
    """Starts a server: further arguments for `palaver serve`, further settings by their environment names."""

    async def __call__(self, *arguments: str, **settings: str) -> Server: ...


class PalaverProcess(Process):
    """`palaver` itself: its command are the arguments."""

    def _start(self, command: Sequence[str], environment: Mapping[str, str], output: IO[bytes]) -> Child:
        return start_palaver(command, environment, stdout=output, stderr=output)


def palaver(*arguments: str, environment: Mapping[str, str], stdin: str = "", command: Sequence[str] = ()) -> str:
    """What the command prints to its standard output. `PartFailed`, with all that it printed, when it fails.

    `command` stands for `palaver`.
    """
    if command:
        done = subprocess.run(
            [*command, *arguments], env=dict(environment), input=stdin, capture_output=True, text=True,
            timeout=_SECONDS_FOR_COMMAND, check=False,
        )  # fmt: skip
    else:
        done = run_palaver(arguments, environment, stdin=stdin, seconds=_SECONDS_FOR_COMMAND)
    if done.returncode != 0:
        shown = f"palaver {' '.join(arguments)}"
        raise PartFailed(f"`{shown}` failed with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def migrate(database_url: str) -> None:
    """Bring a database to today's schema, as an operator does."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"PALAVER_DATABASE_URL": database_url, "PALAVER_DATA_DIR": folder}
        palaver("migrate", environment={**bare_environment(), **settings})


def make_sqlite_template(run: Run) -> Path:
    """A file with today's schema to copy others from, made once in this run."""
    made = run.folder / "template.sqlite3"
    with run.lock("sqlite-template"):
        if not made.exists():
            folder = run.make_folder("template")
            palaver("migrate", environment={**bare_environment(), "PALAVER_DATA_DIR": str(folder)})
            # All of it is in the one file: whoever closes SQLite last takes its log along.
            (folder / "palaver.sqlite3").rename(made)
    return made
