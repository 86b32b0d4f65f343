"""What the kernel knows of a process: its CPU time, what it wrote, its memory. Linux only."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_NANO = 1e-9
_KIB = 1024


class Written(NamedTuple):
    """KiB. `disk` is `write_bytes`: pages that the process made the kernel write; `calls` is `wchar`: what it handed to
    `write` and its like, sockets included."""

    disk: float
    calls: float


class Gauge:
    """A process and all that it has started, from when this was made (or `reset`)."""

    def __init__(self, pid: int) -> None:
        self.root = pid
        self.reset()

    def reset(self) -> None:
        self._cpu = _read_cpu(self._pids())
        self._written = _read_written(self._pids())

    def cpu_seconds(self) -> float:
        """By the scheduler's own count, to the nanosecond; a thread that has ended meanwhile is not in it."""
        now = _read_cpu(self._pids())
        return sum(spent - self._cpu.get(thread, 0) for thread, spent in now.items()) * _NANO

    def written(self) -> Written:
        now = _read_written(self._pids())
        none = Written(0, 0)
        return Written(
            sum(written.disk - self._written.get(pid, none).disk for pid, written in now.items()),
            sum(written.calls - self._written.get(pid, none).calls for pid, written in now.items()),
        )

    def memory_mib(self) -> float:
        """Proportional set size: what it shares with others is counted in part."""
        return sum(_read_pss(pid) for pid in self._pids()) / _KIB

    def _pids(self) -> set[int]:
        children: dict[int, list[int]] = {}
        for pid, parent in _parents():
            children.setdefault(parent, []).append(pid)
        found, left = set[int](), [self.root]
        while left:
            pid = left.pop()
            found.add(pid)
            left += children.get(pid, [])
        return found


def _parents() -> Iterable[tuple[int, int]]:
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                # The name, in brackets, may hold anything; the parent is the second field behind it.
                yield int(folder.name), int((folder / "stat").read_text().rpartition(")")[2].split()[1])


def _read_cpu(pids: Iterable[int]) -> dict[int, int]:
    spent: dict[int, int] = {}
    for pid in pids:
        with suppress(OSError):
            for thread in (_PROC / str(pid) / "task").iterdir():
                with suppress(OSError):
                    spent[int(thread.name)] = int((thread / "schedstat").read_text().split()[0])
    return spent


def _read_written(pids: Iterable[int]) -> dict[int, Written]:
    written: dict[int, Written] = {}
    for pid in pids:
        with suppress(OSError):
            fields = _read_fields(_PROC / str(pid) / "io")
            written[pid] = Written(fields["write_bytes"] / _KIB, fields["wchar"] / _KIB)
    return written


def _read_pss(pid: int) -> int:
    try:
        return _read_fields(_PROC / str(pid) / "smaps_rollup")["Pss"]
    except OSError:
        return 0


def _read_fields(file: Path) -> Mapping[str, int]:
    pairs = (line.partition(":") for line in file.read_text().splitlines())
    return {name: int(value.split()[0]) for name, _, value in pairs if value.split()[:1] and value.split()[0].isdigit()}
