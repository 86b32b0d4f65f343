"""The child that reads a document: what it may take, what it knows, and what becomes of it."""

import asyncio
import errno
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from palaver.chat.knowledge import Cut
from palaver.knowledge.orders import Limits, Order, Part, check_cut, encode
from palaver.knowledge.reading import ChildEnded, _Heard, read_document
from palaver.knowledge.unreadable import Unreadable
from tests.knowledge.reading import LIMITS, SIZES, command_of, in_parts, problem_of

LONG = b"words without an end " * 100_000


def find_child() -> str:
    """Its process id; it is the only one."""
    [child] = list_readers()
    return child


def list_readers() -> list[str]:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [one for one in children if "palaver.knowledge.child" in command_of(one)]


def look_at(child: str) -> dict[str, str]:
    return {
        "environment": Path(f"/proc/{child}/environ").read_text(),
        "first to go": Path(f"/proc/{child}/oom_score_adj").read_text().strip(),
        "limits": Path(f"/proc/{child}/limits").read_text(),
        "descriptors": " ".join(sorted(os.listdir(f"/proc/{child}/fd"))),
    }


def is_gone(child: str) -> bool:
    return not Path(f"/proc/{child}").exists()


class EnoughSeen(Exception):
    pass


async def test_a_document_that_takes_too_much_cpu_time_is_given_up() -> None:
    limits = replace(LIMITS, cpu_seconds=1, passages=1_000_000)
    assert await problem_of("a.txt", LONG * 20, limits=limits) == "too_slow"


async def test_a_document_that_takes_too_much_memory_is_given_up() -> None:
    limits = replace(LIMITS, memory_bytes=80 * 1024 * 1024, passages=1_000_000)
    assert await problem_of("a.txt", LONG * 40, limits=limits) == "too_large"


async def test_a_child_that_says_nothing_is_given_up() -> None:
    order = Order("a.txt", "", len(LONG) + 1, SIZES, replace(LIMITS, wall_seconds=0.5))
    never = asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield LONG
        await never.wait()

    with pytest.raises(Unreadable) as error:
        await read_document(order, stuck(), keep_nothing)
    assert error.value.problem == "too_slow"


async def test_a_child_knows_no_secret_and_holds_itself_to_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    seen: dict[str, str] = {}

    async def look(_cuts: Sequence[Cut]) -> None:
        seen.update(look_at(find_child()))
        raise EnoughSeen

    with pytest.raises(EnoughSeen):
        await read_document(Order("a.txt", "", len(LONG), SIZES, LIMITS), in_parts(LONG), look)
    assert "sk-secret" not in seen["environment"]
    assert seen["descriptors"] == "0 1 2"
    assert seen["first to go"] == "1000"
    limits = {line[:25].strip(): line[25:].split()[0] for line in seen["limits"].splitlines()[1:]}
    assert limits["Max open files"] == "0"
    assert limits["Max processes"] == "0"
    assert limits["Max file size"] == "0"
    assert limits["Max core file size"] == "0"
    assert limits["Max address space"] == str(LIMITS.memory_bytes)
    assert limits["Max cpu time"] == str(LIMITS.cpu_seconds)


PROBE = """
import os, socket
from palaver.knowledge.child import hold, load, shut
from palaver.knowledge.orders import Limits

hold(Limits())
load(b"%PDF-")
shut()
def in_its_place():
    os.close(0)
    open("/etc/passwd")

for what in (lambda: open("/proc/self/environ"), socket.socket, os.pipe, in_its_place):
    try:
        what()
    except OSError as error:
        print(error.errno)
"""


async def test_a_child_that_was_taken_over_opens_no_file_and_no_connection() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROBE, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert [int(line) for line in said.split()] == [errno.EMFILE] * 4


async def test_whatever_ends_the_reading_ends_the_child() -> None:
    children: list[str] = []

    async def fail(_cuts: Sequence[Cut]) -> None:
        children.append(find_child())
        raise ConnectionError("the database is gone")

    with pytest.raises(ConnectionError):
        await read_document(Order("a.txt", "", len(LONG), SIZES, LIMITS), in_parts(LONG), fail)
    assert is_gone(children[0])


async def test_a_reading_that_is_cancelled_ends_its_child() -> None:
    children: list[str] = []
    heard = asyncio.Event()

    async def wait(_cuts: Sequence[Cut]) -> None:
        children.append(find_child())
        heard.set()
        await asyncio.Event().wait()

    reading = asyncio.create_task(read_document(Order("a.txt", "", len(LONG), SIZES, LIMITS), in_parts(LONG), wait))
    await heard.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert is_gone(children[0])


async def test_a_document_is_read_all_the_same_where_somebody_asks_its_child_to_end() -> None:
    children: set[str] = set()

    async def end(_cuts: Sequence[Cut]) -> None:
        for child in set(list_readers()) - children:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                os.kill(int(child), number)
            children.add(child)

    await read_document(Order("a.txt", "", len(LONG), SIZES, LIMITS), in_parts(LONG), end)
    assert len(children) == 1


async def test_a_child_that_somebody_has_ended_says_nothing_of_the_document() -> None:
    never = asyncio.Event()

    async def ended_at_once() -> AsyncIterator[bytes]:
        # It has not come to itself yet.
        os.kill(int(find_child()), signal.SIGTERM)
        await never.wait()
        yield b""

    with pytest.raises(ChildEnded):
        await read_document(Order("a.txt", "", 1, SIZES, LIMITS), ended_at_once(), keep_nothing)


async def test_a_store_that_cannot_give_the_document_is_not_the_documents_fault() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"hello"
        raise ConnectionError("the database is gone")

    with pytest.raises(ConnectionError):
        await read_document(Order("a.txt", "", 100, SIZES, LIMITS), broken(), keep_nothing)


async def test_a_document_of_which_a_part_is_missing_is_broken() -> None:
    with pytest.raises(Unreadable) as error:
        await read_document(Order("a.txt", "", 100, SIZES, LIMITS), in_parts(b"hello"), keep_nothing)
    assert error.value.problem == "broken"


CUT = Cut(0, 0, 5, "hello")


@pytest.mark.parametrize(
    "said",
    [
        b"hello\n",
        b"[]\n",
        b'{"type":"cut"}\n',
        b'{"type":"end","problem":"ignore all rules"}\n',
        encode(Part(replace(CUT, number=1))),
        encode(Part(replace(CUT, start=1, end=6))),
        encode(Part(replace(CUT, end=6))),
        encode(Part(replace(CUT, start=-5, end=0))),
        encode(Part(replace(CUT, text="he\x00lo"))),
        encode(Part(replace(CUT, page=0))),
        encode(Part(replace(CUT, page=2**40))),
        encode(Part(replace(CUT, heading="x" * 10_000))),
        encode(Part(Cut(0, 0, 50_000, "x" * 50_000))),
        encode(Part(CUT)) + encode(Part(CUT)),
        encode(Part(CUT)) + encode(Part(Cut(1, 6, 8, "xx"))),
        b'{"type":"end"}\n' + encode(Part(CUT)),
        b"x" * 2_000_000,
    ],
)
def test_a_child_that_was_taken_over_can_say_nothing_but_passages(said: bytes) -> None:
    heard = _Heard(Order("a.txt", "", 5, SIZES, Limits()))
    with pytest.raises(Unreadable) as error:
        list(heard.feed(said))
    assert error.value.problem == "broken"


@pytest.mark.proof("knowledge")
@given(st.binary(max_size=200))
def test_noise_is_no_passage(said: bytes) -> None:
    heard = _Heard(Order("a.txt", "", 5, SIZES, Limits()))
    with pytest.raises(Unreadable):
        list(heard.feed(b"{" + said + b"\n"))


def test_passages_that_follow_each_other_are_taken() -> None:
    check_cut(CUT, None, 10)
    check_cut(Cut(1, 3, 8, "lo123"), CUT, 10)


async def keep_nothing(_cuts: Sequence[Cut]) -> None:
    pass
