"""One test run: the folder that its processes share, and the keeper that tidies up after it.

With xdist a run is several processes that end at different times, and any of them may be killed. So nothing relies on
an exit handler: every process that a test starts is noted in the run's folder, and the keeper, which outlives them
all, ends what is noted there.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_KEEPER = Path(__file__).with_name("keeper.py")
# A file system in memory. Where it is small, as in most containers, it is left alone.
_IN_MEMORY = Path("/dev/shm")
_ROOMY = 2 * 1024**3


class Run:
    """The run as each of its processes sees it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory = (folder / "memory").resolve()
        """For what is many files, and small: a folder in memory where there is room."""
        self._notes = folder / "keep"
        self._notes.mkdir(exist_ok=True)

    def keep(self, pid: int, *, end_with: signal.Signals = signal.SIGKILL) -> None:
        """Have the process group that `pid` leads ended with the run."""
        (self._notes / str(pid)).write_text(end_with.name)

    def release(self, pid: int) -> None:
        """The process has ended; its number may come to mean another."""
        (self._notes / str(pid)).unlink(missing_ok=True)

    def make_folder(self, name: str) -> Path:
        """A new folder for a part's data."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Only one process of the run is inside at a time."""
        with (self.folder / f"{name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


@contextmanager
def open_run() -> Iterator[Run]:
    """A run that ends, with all that was started for it, when the block does or this process dies."""
    folder = _make_folder(Path(tempfile.gettempdir()))
    folders = [folder]
    if _is_roomy(_IN_MEMORY):
        folders.append(_make_folder(_IN_MEMORY))
        (folder / "memory").symlink_to(folders[-1])
    else:
        (folder / "memory").mkdir(0o711)
    run = Run(folder)
    # Isolated, without site-packages: up in 15 ms. In a session of its own, so that Ctrl-C does not reach it.
    keeper = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_KEEPER), *map(str, folders)], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield run
    finally:
        # However long it takes to remove what a whole run has written: it comes to its end.
        keeper.communicate()


def _make_folder(where: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="palaver-tests-", dir=where))
    # PostgreSQL refuses to run as root and is then run as another user, who has to pass through.
    folder.chmod(0o711)
    return folder


def _is_roomy(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK) and shutil.disk_usage(folder).free >= _ROOMY
