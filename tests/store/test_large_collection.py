"""A large collection on SQLite: how long one search takes, and that nobody who talks is held up by it."""

import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from palaver.chat.knowledge import Embedding
from palaver.chat.user import Reader, User
from palaver.store import SqlStore, StoreOptions, open_store
from palaver.store.migrate import migrate
from palaver.store.sqlite import SqliteDatabase, SqliteTransaction, _Job
from tests.ports.knowing import ANY, claim, collect, cut, everything
from tests.ports.talking import LATER, NOW, new_user, rows

DIMENSIONS = 384
SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]

# Milliseconds of a processor: what else the machine does is no matter of ours.
MOST_FOR_A_STEP = 20
MOST_FOR_A_SEARCH = {10_000: 15, 100_000: 30}


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


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each commit has kept the writer at work, in milliseconds of a processor."""
    times: list[float] = []
    commit = SqliteDatabase._commit

    def timed(self: SqliteDatabase, jobs: list[_Job], transaction: SqliteTransaction) -> None:
        began = time.thread_time()
        commit(self, jobs, transaction)
        times.append((time.thread_time() - began) * 1000)

    monkeypatch.setattr(SqliteDatabase, "_commit", timed)
    return times


def vectors(dice: random.Random, count: int) -> Iterator[list[float]]:
    """Some directions, and many that are near to one of them."""
    centres = [[dice.gauss(0, 1) for _ in range(DIMENSIONS)] for _ in range(50)]
    noise = [dice.gauss(0, 1) for _ in range(100_003)]
    for number in range(count):
        start = dice.randrange(len(noise) - DIMENSIONS)
        yield [a + b for a, b in zip(centres[number % 50], noise[start : start + DIMENSIONS], strict=True)]


async def fill(store: SqlStore, alice: User, words: Words, count: int) -> None:
    notes = await collect(store, alice)
    for number in range(count // 5000):
        document = await store.documents.begin(notes.id, f"{number}.txt", "text/plain", NOW)
        await store.documents.arrive(document.id, b"%d" % number, NOW, ANY)
        claimed = await claim(store)
        assert await store.documents.add_passages(claimed, cut(*[words.text(100) for _ in range(5000)]))
        assert await store.documents.finish(claimed, LATER)


async def embed(store: SqlStore, embedding: Embedding, meanings: Iterator[Sequence[float]]) -> None:
    while texts := await store.passages.without_vectors(embedding.id, 250):
        await store.passages.keep_vectors(embedding.id, [(digest, next(meanings)) for digest, _ in texts])
    assert await store.passages.make_current(embedding.id)


def percentile(times: Sequence[float], share: float) -> float:
    return sorted(times)[int(len(times) * share)]


async def test_large_collection_is_searched_fast_and_comes_and_goes_in_small_steps(
    tmp_path: Path, held: list[float], prove: bool
) -> None:
    dice = random.Random(6)
    count = 100_000 if prove else 10_000
    words = Words(dice)
    async with open_store(StoreOptions(tmp_path)) as store:
        await migrate(store.database, store.engine)
        alice = await store.accounts.add_user(new_user("alice"))
        held.clear()
        await fill(store, alice, words, count)
        adding = held[:]
        held.clear()
        embedding = await store.passages.use_embedding("m", DIMENSIONS, NOW)
        await embed(store, embedding, vectors(dice, count))
        embedding_took = held[:]

        looking = []
        for wanted in vectors(dice, 200):
            text = words.text(8).split()
            began = time.process_time()
            hits = await store.passages.search(Reader(alice.id), "Notes", text, wanted, 20)
            looking.append((time.process_time() - began) * 1000)
            assert (len(hits.by_words), len(hits.by_meaning)) == (20, 20)

        held.clear()
        [notes] = await store.collections.visible(Reader(alice.id))
        await store.collections.delete(notes.id)
        await store.documents.drop_unfinished(NOW)
        deleting = held[:]
        assert await rows(store, "SELECT 1 FROM passages LIMIT 1") == []
        assert (await everything(store))["passage_words_idx"] == b""
    figures = {
        name: [round(percentile(times, share), 1) for share in (0.5, 0.95, 0.99)] + [round(max(times), 1)]
        for name, times in (
            ("adding", adding), ("embedding", embedding_took), ("searching", looking), ("deleting", deleting),
        )
    }  # fmt: skip
    print(count, figures)  # noqa: T201 (pytest -s shows them)
    assert percentile(looking, 0.95) <= MOST_FOR_A_SEARCH[count], figures
    for times in (adding, embedding_took, deleting):
        assert percentile(times, 0.99) <= MOST_FOR_A_STEP, figures
