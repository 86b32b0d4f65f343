"""`python -m palaver.knowledge.child`: reads one document and says its passages.

It is a process of its own, for a file may be made to break whoever reads it: it holds itself to limits before it looks
at a byte, has no settings, no secrets and no descriptors but its pipes, and says nothing but what `orders.py` knows.
When all its code is loaded it gives up opening anything: no file, no connection, no further process.
"""

import codecs
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from palaver.knowledge.blocks import clean
from palaver.knowledge.cutting import cut
from palaver.knowledge.formats.kinds import PDF_MARK, PDF_WITHIN, find_reader
from palaver.knowledge.formats.pdf import load_pdf
from palaver.knowledge.orders import LONGEST_LINE, End, Limits, Order, Part, decode_order, encode
from palaver.knowledge.unfolding import may_unfold
from palaver.knowledge.unreadable import Unreadable

# Those who talk go first.
_NICENESS = 10

# Its own modules, and what a library opens to load itself.
_MOST_DESCRIPTORS = 32

# Where the system is short of memory, it is this process that goes.
_OOM_SCORE_ADJ = Path("/proc/self/oom_score_adj")
_FIRST_TO_GO = "1000"

# Python loads these when they are first asked for: by files, archives' names and XML.
_ENCODINGS = ("ascii", "cp437", "cp1252", "latin-1", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # They mean its parent, who ends it: here it would look as if the document had done it.
        signal.signal(number, signal.SIG_IGN)
    order = decode_order(sys.stdin.buffer.readline(LONGEST_LINE))
    hold(order.limits)
    end = read(order, sys.stdin.buffer, sys.stdout.buffer)
    sys.stdout.buffer.write(encode(end))
    sys.stdout.buffer.flush()


def hold(limits: Limits) -> None:
    """From now on it is ended where it takes more than this, and no file grows by it."""
    with suppress(OSError):
        os.nice(_NICENESS)
    with suppress(OSError):
        _OOM_SCORE_ADJ.write_text(_FIRST_TO_GO)
    for what, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _MOST_DESCRIPTORS),
    ):
        _limit(what, most, most)
    # At the first one it is ended by a signal that says why.
    _limit(resource.RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + 1)


def load(data: bytes) -> None:
    """All the code that reading this may need."""
    for name in _ENCODINGS:
        codecs.lookup(name)
    if PDF_MARK in data[:PDF_WITHIN]:
        load_pdf()


def shut() -> None:
    """From now on it opens nothing. What is open stays so; not even that number is free when it is closed."""
    _limit(resource.RLIMIT_NOFILE, 0, 0)
    _limit(resource.RLIMIT_NPROC, 0, 0)


def _limit(what: int, most: int, at_all: int) -> None:
    # A limit that is lower already stays; macOS does not keep all of them.
    with suppress(ValueError, OSError):
        resource.setrlimit(what, (most, at_all))


def read(order: Order, given: BinaryIO, said: BinaryIO) -> End:
    try:
        data = given.read(order.size + 1)
        load(data)
        shut()
        if len(data) != order.size:
            # Whoever sent it has gone.
            return End("broken", "not all of it came")
        blocks = find_reader(data, order.name, order.media_type)(data)
        for made in cut(clean(blocks), order.sizes):
            if made.number >= order.limits.passages:
                return End("too_large", "passages")
            if made.end > may_unfold(order.size):
                return End("too_large", "text")
            said.write(encode(Part(made)))
    except Unreadable as error:
        return End(error.problem, error.why)
    except MemoryError:
        return End("too_large", "memory")
    except RecursionError:
        return End("too_deep")
    except Exception as error:  # noqa: BLE001 (whatever a hostile file leads to, it is the file that is broken)
        return End("broken", type(error).__name__)
    return End()


if __name__ == "__main__":
    main()
