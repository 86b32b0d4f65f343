"""Numbers of several processes: none is lost, and no sum goes back."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from palaver.watching import boards
from palaver.watching.board import CELLS, Board, read_board
from palaver.watching.boards import Boards, add_up, read_all


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(boards, "_IN_MEMORY", tmp_path)
    return tmp_path


@pytest.fixture
def opened() -> Iterator[Boards]:
    opened = Boards.open()
    yield opened
    opened.close()


def start_worker(opened: Boards, slot: int, **series: float) -> Board:
    board, file = Board(), opened.new_file(slot)
    assert file is not None
    board.keep_in(file)
    at = board.add(list(series))
    for number, value in enumerate(series.values()):
        board.cells[at + number] += value
    return board


def read_as(worker: Board, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, float]]:
    monkeypatch.setattr(boards, "board", worker)
    return {slot: dict(series) for slot, series in read_all().items()}


def test_worker_that_is_asked_tells_of_all(opened: Boards, monkeypatch: pytest.MonkeyPatch) -> None:
    one = start_worker(opened, 1, turns_total=3, open=1)
    two = start_worker(opened, 2, turns_total=4)
    told = {"1": {"turns_total": 3, "open": 1}, "2": {"turns_total": 4}}
    assert read_as(one, monkeypatch) == read_as(two, monkeypatch) == told


def test_dead_worker_leaves_what_it_had_counted_and_nothing_that_was_only_so(
    opened: Boards, monkeypatch: pytest.MonkeyPatch
) -> None:
    for turns in (3, 5):
        opened.fold(start_worker(opened, 1, turns_total=turns, open=1, seconds_sum=0.5).file)
    living = start_worker(opened, 1, turns_total=1, open=2)
    assert read_as(living, monkeypatch) == {"1": {"turns_total": 9, "seconds_sum": 1, "open": 2}}


def test_whoever_reads_while_a_worker_is_folded_counts_it_once(opened: Boards, monkeypatch: pytest.MonkeyPatch) -> None:
    dead, living = start_worker(opened, 1, turns_total=3), start_worker(opened, 2, turns_total=1)
    assert dead.file is not None
    left = dead.file.read_bytes()
    opened.fold(dead.file)
    # Read just before it was removed.
    dead.file.write_bytes(left)
    assert read_as(living, monkeypatch) == {"1": {"turns_total": 3}, "2": {"turns_total": 1}}


def test_worker_that_has_only_made_its_file_tells_nothing(opened: Boards, monkeypatch: pytest.MonkeyPatch) -> None:
    living, beginning = start_worker(opened, 1, turns_total=1), opened.new_file(2)
    assert beginning is not None
    beginning.touch()
    assert add_up(list(read_as(living, monkeypatch).values())) == {"turns_total": 1}


def test_what_was_counted_before_a_board_is_shared_is_kept(tmp_path: Path) -> None:
    board = Board()
    at = board.add(["turns_total"])
    board.cells[at] += 2
    board.keep_in(tmp_path / "1-1")
    board.cells[at] += 1
    assert board.read() == read_board(tmp_path / "1-1") == {"turns_total": 3}


def test_full_board_goes_on_counting_what_it_knows() -> None:
    board = Board()
    first = board.add(["first_total"])
    for number in range(CELLS):
        at = board.add([f"n{number}_total", f"m{number}_total"])
        board.cells[at] += 1
        board.cells[at + 1] += 1
    board.cells[first] += 1
    assert board.read()["first_total"] == 1
    assert set(board.read().values()) == {1}


def test_folder_goes_with_its_supervisor(memory: Path) -> None:
    opened = Boards.open()
    start_worker(opened, 1, turns_total=1)
    opened.close()
    assert list(memory.iterdir()) == []


def test_folder_that_a_killed_supervisor_left_is_removed_and_that_of_a_living_one_is_not(memory: Path) -> None:
    left, held = memory / "palaver-numbers-left", memory / "palaver-numbers-held"
    for folder in (left, held):
        folder.mkdir()
        os.utime(folder, (0, 0))
    lock = os.open(held, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    Boards.open().close()
    os.close(lock)
    assert list(memory.iterdir()) == [held]


def test_server_without_a_place_for_them_has_each_worker_tell_of_itself() -> None:
    opened = Boards(None, None)
    assert opened.new_file(1) is None
    opened.fold(None)
    opened.close()
