"""A large collection on SQLite: how long one search takes, and that nobody who talks is held up by it."""

import gc
import random
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import apsw
import pytest

from palaver.chat.knowledge import Embedding
from palaver.chat.user import Reader, User
from palaver.store import SqlStore, StoreOptions, open_store
from palaver.store.migrate import migrate
from palaver.store.sqlite import SqliteDatabase, SqliteTransaction, _Job
from tests.ports.knowing import ANY, claim, collect, cut, everything
from tests.ports.talking import LATER, NOW, new_user, rows
from tests.promises import Measured

DIMENSIONS = 384
# Passages of one document.
AT_ONCE = 2500
SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]

# Milliseconds of a core that has its machine for itself: so long it takes for a `Yardstick`. Where others are at work
# beside it, each of its milliseconds does less, by half and more.
A_YARD = 2.5
MOST_FOR_A_STEP = 20
# The larger one is more than a processor keeps at hand: it is slower by more than the yard where others use its memory.
MOST_FOR_A_SEARCH = {5000: 12, 100_000: 60}
LOOKED_UP_THE_LONG_WAY = 20


class Words:
    """Texts as people write them: a few words are everywhere and most are rare."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.all = ["".join(dice.choices(SYLLABLES, k=2 + number % 3)) for number in range(30_000)]
        self._weights = [0.0]
        for number in range(1, len(self.all)):
            self._weights.append(self._weights[-1] + 1 / number)

    def text(self, length: int) -> str:
        return " ".join(self._dice.choices(self.all, cum_weights=self._weights, k=length))


class Yardstick:
    """A piece of work of the kind that is measured, by which to tell how slow a core is just now."""

    def __init__(self) -> None:
        self._database = apsw.Connection(":memory:")
        self._database.execute("CREATE TABLE things (what BLOB)")
        things = [(random.Random(number).randbytes(400),) for number in range(5000)]
        self._database.executemany("INSERT INTO things VALUES (?)", things)
        self.slowness: list[float] = []

    def lay(self) -> float:
        """How many times as long as on a quiet machine it takes; 1 at the least."""
        began = time.thread_time()
        assert self._database.execute("SELECT COUNT(*) FROM things WHERE INSTR(what, X'00010203')").fetchall() == [(0,)]
        slowness = max(1.0, (time.thread_time() - began) * 1000 / A_YARD)
        self.slowness.append(slowness)
        return slowness


@pytest.fixture
def yardstick() -> Yardstick:
    return Yardstick()


class Commits:
    """How long each has kept the writer at work, in milliseconds of a processor that has nothing else to do: a core may
    be slow for a few of them alone, so the yard is laid before and after each.

    Without the garbage collector, which may stop any of them: it would look through all that the tests before have left
    behind, and a server has put aside what stays (`serve/serving.py`).
    """

    def __init__(self, yardstick: Yardstick) -> None:
        self._yardstick = yardstick
        self._took: list[float] = []
        # Whoever waits for a commit is told before the yard is laid behind it.
        self._measuring = threading.Lock()

    def measure(self, commit: Callable[[], None]) -> None:
        with self._measuring:
            before = self._yardstick.lay()
            gc.disable()
            began = time.thread_time()
            try:
                commit()
                took = (time.thread_time() - began) * 1000
            finally:
                gc.enable()
            self._took.append(took / max(before, self._yardstick.lay()))

    def take(self) -> list[float]:
        """Of those since it was asked last."""
        with self._measuring:
            took, self._took = self._took, []
        return took


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch, yardstick: Yardstick) -> Commits:
    commits = Commits(yardstick)
    commit = SqliteDatabase._commit

    def commit_measured(self: SqliteDatabase, jobs: list[_Job], transaction: SqliteTransaction) -> None:
        commits.measure(lambda: commit(self, jobs, transaction))

    monkeypatch.setattr(SqliteDatabase, "_commit", commit_measured)
    return commits


class Meanings:
    """Vectors as models make them: of a few traits each, so that some are near to each other and most are not."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._traits = [[self._spread(size) for _ in range(60)] for size in (1.0, 0.7, 0.5)]
        self._noise = [dice.gauss(0, 0.2) for _ in range(100_003)]

    def __iter__(self) -> Iterator[list[float]]:
        return self

    def __next__(self) -> list[float]:
        traits = [self._dice.choice(some) for some in self._traits]
        start = self._dice.randrange(len(self._noise) - DIMENSIONS)
        return list(map(sum, zip(*traits, self._noise[start : start + DIMENSIONS], strict=True)))

    def _spread(self, size: float) -> list[float]:
        return [self._dice.gauss(0, size) for _ in range(DIMENSIONS)]


async def fill(store: SqlStore, alice: User, words: Words, count: int) -> None:
    notes = await collect(store, alice)
    for number in range(0, count, AT_ONCE):
        document = await store.documents.begin(notes.id, f"{number}.txt", "text/plain", NOW)
        await store.documents.arrive(document.id, b"%d" % number, NOW, ANY)
        claimed = await claim(store)
        assert await store.documents.add_passages(claimed, cut(*[words.text(100) for _ in range(AT_ONCE)]))
        assert await store.documents.finish(claimed, LATER)


async def embed(store: SqlStore, embedding: Embedding, meanings: Iterator[Sequence[float]]) -> None:
    while texts := await store.passages.without_vectors(embedding.id, 250):
        await store.passages.keep_vectors(embedding.id, [(digest, next(meanings)) for digest, _ in texts])
    assert await store.passages.make_current(embedding.id, NOW)


def percentile(times: Sequence[float], share: float) -> float:
    return sorted(times)[min(int(len(times) * share), len(times) - 1)]


async def compare_all(store: SqlStore, embedding: Embedding, wanted: Sequence[float]) -> set[int]:
    """The nearest eight, found the long way."""
    sql = f"SELECT passage_id FROM vectors_{embedding.id} ORDER BY vec_distance_cosine(vector, $1) LIMIT 8"
    return {row[0] for row in await rows(store, sql, array("f", wanted).tobytes())}


@pytest.mark.proof("knowledge", alone=True)
async def test_large_collection_is_searched_fast_and_comes_and_goes_in_small_steps(
    tmp_path: Path, commits: Commits, yardstick: Yardstick, seed: str, prove: bool, measured: Measured
) -> None:
    dice = random.Random(seed)
    count = 100_000 if prove else 5000
    words, meanings = Words(dice), Meanings(dice)
    took: dict[str, list[float]] = {}
    async with open_store(StoreOptions(tmp_path)) as store:
        await migrate(store.database, store.engine)
        alice = await store.accounts.add_user(new_user("alice"))
        commits.take()
        await fill(store, alice, words, count)
        took["adding"] = commits.take()
        embedding = await store.passages.use_embedding("m", DIMENSIONS, NOW)
        await embed(store, embedding, meanings)
        took["embedding"] = commits.take()

        took["searching"] = []
        for wanted in islice(meanings, 200):
            text = words.text(8).split()
            twice = []
            before = yardstick.lay()
            for _ in range(2):
                began = time.process_time()
                hits = await store.passages.search(Reader(alice.id), "Notes", text, wanted, 20)
                spent, after = (time.process_time() - began) * 1000, yardstick.lay()
                twice.append(spent / max(before, after))
                before = after
            assert (len(hits.by_words) > 0, len(hits.by_meaning)) == (True, 20)
            # What else the machine does only adds to it.
            took["searching"].append(min(twice))

        nearest_found = 0
        for wanted in islice(meanings, LOOKED_UP_THE_LONG_WAY):
            hits = await store.passages.search(Reader(alice.id), "Notes", [], wanted, 20)
            nearest = await compare_all(store, embedding, wanted)
            nearest_found += len(nearest & {passage.id for passage in hits.by_meaning})

        commits.take()
        [notes] = await store.collections.visible(Reader(alice.id))
        await store.collections.delete(notes.id)
        await store.documents.drop_unfinished(NOW)
        took["deleting"] = commits.take()
        assert await rows(store, "SELECT 1 FROM passages LIMIT 1") == []
        assert words.all[0].encode() not in (await everything(store))["passage_words_data"]
    figures = {
        name: [round(percentile(times, share), 1) for share in (0.5, 0.95, 0.99, 1)] for name, times in took.items()
    }
    found = nearest_found / (8 * LOOKED_UP_THE_LONG_WAY)
    measured("passages", count, "")
    measured("CPU of a search, p95", figures["searching"][1], "ms of a quiet core")
    for name in ("adding", "embedding", "deleting"):
        measured(f"a step of {name}, p99", figures[name][2], "ms of a quiet core")
    slowness = [round(percentile(yardstick.slowness, share), 1) for share in (0.5, 0.99, 1)]
    measured("times as slow as a quiet machine, median", slowness[0], "")
    measured("of the nearest 8 found", round(100 * found, 1), "%")
    assert percentile(took["searching"], 0.95) <= MOST_FOR_A_SEARCH[count], (figures, slowness)
    for name in ("adding", "embedding", "deleting"):
        assert percentile(took[name], 0.99) <= MOST_FOR_A_STEP, (figures, slowness)
    assert found >= 0.9
