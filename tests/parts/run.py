"""One test run: the folder that its processes share, and the keeper that tidies up after it.

With xdist a run is several processes that end at different times, and any of them may be killed. So nothing relies on
an exit handler: every process that a test starts is noted in the run's folder, and the keeper, which outlives them
all, ends what is noted there.
"""

import fcntl
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_KEEPER = Path(__file__).with_name("keeper.py")


class Run:
    """The run as each of its processes sees it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
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
    folder = Path(tempfile.mkdtemp(prefix="palaver-tests-"))
    # PostgreSQL refuses to run as root and is then run as another user, who has to pass through.
    folder.chmod(0o711)
    run = Run(folder)
    # Isolated, without site-packages: up in 15 ms. In a session of its own, so that Ctrl-C does not reach it.
    keeper = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_KEEPER), str(folder)], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield run
    finally:
        # However long it takes to remove what a whole run has written: it comes to its end.
        keeper.communicate()
