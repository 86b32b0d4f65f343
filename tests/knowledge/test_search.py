"""Finding passages: by words and by meaning, made one ranking."""

import asyncio
import logging
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from palaver.chat.clock import Micros
from palaver.chat.errors import BotUnavailable, OverBudget
from palaver.chat.knowledge import Embedding, EmbeddingId, Passage, PassageId
from palaver.chat.user import Reader
from palaver.knowledge.asking import AskedVectors
from palaver.knowledge.embeddings import EmbeddingServer, EmbeddingsFailed
from palaver.knowledge.likeness import without_repetitions
from palaver.knowledge.reranking import Ask, read_order
from palaver.knowledge.search import Ranking, Searcher, fuse, to_asked
from palaver.knowledge.wanted import to_wanted_words
from tests.knowledge.library import Library
from tests.parts.llm import LLM
from tests.parts.palaver import StoreKind

WHALE = "The whale is the largest animal of all. It lives in the sea and eats krill."
BAKER = "The bakery opens at six in the morning and sells bread and rolls until noon."
TAX = "The value-added tax on bread rolls is seven percent, on drinks nineteen."
WINTER = "In winter the bakery opens at seven, for the oven has to warm up first."
NOTES = {"whale.txt": WHALE, "baker.txt": BAKER, "tax.txt": TAX, "winter.txt": WINTER}


@pytest.fixture(scope="module", params=["sqlite"])
def store_kind(request: pytest.FixtureRequest) -> StoreKind:
    """What the stores find stands in tests/ports."""
    kind: StoreKind = request.param
    return kind


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long an embedding server that answers takes for it, it is waited for."""
    monkeypatch.setattr("palaver.knowledge.asking.PATIENCE_SECONDS", 60)


def passage(number: int, text: str) -> Passage:
    return Passage(PassageId(number), "d", "n", number, 0, len(text), text, None, "")


@pytest.fixture
async def notes(library: Library) -> Library:
    worker = library.worker()
    for name, text in NOTES.items():
        await library.put(name, text)
        await worker.read_next()
    return library


async def ask(library: Library, searcher: Searcher, question: str, *context: str, limit: int = 3) -> list[str]:
    return [one.name for one in await searcher.search(library.reader, "papers", question, context, limit)]


async def test_a_question_is_answered_by_words_where_there_are_no_vectors(notes: Library) -> None:
    searcher = Searcher(notes.store.passages)
    assert (await ask(notes, searcher, "What is the largest animal?"))[0] == "whale.txt"
    assert await ask(notes, searcher, "???") == []
    assert await searcher.search(notes.reader, "no such", "whale", (), 3) == []


async def test_a_follow_up_is_understood_by_what_was_asked_before(notes: Library) -> None:
    searcher = Searcher(notes.store.passages)
    assert (await ask(notes, searcher, "And in winter?", "When does the bakery open?"))[0] == "winter.txt"
    assert await ask(notes, searcher, "And on Sundays?") == []
    assert (await ask(notes, searcher, "And on Sundays?", "When does the bakery open?"))[0] in (
        "baker.txt",
        "winter.txt",
    )


async def test_another_matter_is_not_held_to_the_old_one(notes: Library) -> None:
    searcher = Searcher(notes.store.passages)
    assert (await ask(notes, searcher, "What does the whale eat?", "When does the bakery open?"))[0] == "whale.txt"


async def test_both_rankings_are_made_one(notes: Library, embeddings: EmbeddingServer) -> None:
    await notes.worker(embeddings).embed_missing(embeddings)
    searcher = Searcher(notes.store.passages, AskedVectors(notes.store.passages, embeddings))
    assert (await ask(notes, searcher, "largest animal of the sea"))[0] == "whale.txt"
    # By meaning everything is found, if late.
    assert len(await ask(notes, searcher, "largest", limit=10)) == 4


async def test_an_embedding_server_that_fails_leaves_words_and_is_told_of_once(
    notes: Library, embeddings: EmbeddingServer, llm: LLM, caplog: pytest.LogCaptureFixture
) -> None:
    await notes.worker(embeddings).embed_missing(embeddings)
    await llm.control(fault="500", on="embeddings")
    moment = 0.0
    searcher = Searcher(notes.store.passages, AskedVectors(notes.store.passages, embeddings, lambda: moment))
    caplog.set_level(logging.INFO, "palaver.knowledge")
    for question in ("largest animal", "largest animal of all"):
        assert (await ask(notes, searcher, question))[0] == "whale.txt"
        moment += 60
    assert caplog.text.count("by words alone") == 1
    await llm.control()
    await ask(notes, searcher, "largest")
    assert "vectors again" in caplog.text


async def test_an_embedding_server_that_is_silent_is_not_waited_for_long_nor_again_soon(
    notes: Library, embeddings: EmbeddingServer, llm: LLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    await notes.worker(embeddings).embed_missing(embeddings)
    await llm.control(fault="no-first-byte", on="embeddings")
    monkeypatch.setattr("palaver.knowledge.asking.PATIENCE_SECONDS", 0.1)
    searcher = Searcher(notes.store.passages, AskedVectors(notes.store.passages, embeddings))
    await llm.control(reset_record=True)
    for question in ("largest animal", "animal"):
        async with asyncio.timeout(20):
            assert (await ask(notes, searcher, question))[0] == "whale.txt"
    assert len(await llm.record(n=1)) == 1


async def test_a_question_is_embedded_once(notes: Library, embeddings: EmbeddingServer, llm: LLM) -> None:
    await notes.worker(embeddings).embed_missing(embeddings)
    await llm.control(reset_record=True)
    searcher = Searcher(notes.store.passages, AskedVectors(notes.store.passages, embeddings))
    for _ in range(3):
        await ask(notes, searcher, "largest animal", "What is there?")
    assert len(await llm.record(n=1)) == 1


async def test_question_of_a_guest_asks_no_other_server(notes: Library, embeddings: EmbeddingServer, llm: LLM) -> None:
    async def model(_reader: Reader, _task: str) -> str:
        raise AssertionError("no model is asked")

    await notes.worker(embeddings).embed_missing(embeddings)
    await llm.control(reset_record=True)
    searcher = Searcher(notes.store.passages, AskedVectors(notes.store.passages, embeddings), model)
    found = await searcher.search(replace(notes.reader, is_guest=True), "papers", "bakery bread", (), 3)
    assert {one.name for one in found} >= {"baker.txt"}
    assert await llm.record() == []


class Sizeless:
    """A model that is not the one whose vectors are kept any more."""

    async def embed(self, model: str, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        assert model == "old"
        return [[1.0, 2.0] for _ in texts]


class Current:
    async def embedding(self) -> Embedding:
        return Embedding(EmbeddingId(1), "old", 3, True, Micros(0))


async def test_a_vector_of_another_size_is_none() -> None:
    assert await AskedVectors(Current(), Sizeless()).of(["a", "b"]) == [None, None]


class TakesNoLong:
    """It refuses a text for being too long, which is no fault of the server's."""

    def __init__(self) -> None:
        self.asked = 0

    async def embed(self, model: str, texts: Sequence[str]) -> Sequence[Sequence[float]]:  # noqa: ARG002 (one model)
        self.asked += 1
        error = EmbeddingsFailed("answers 400: too long")
        error.of_the_texts = True
        raise error


async def test_a_question_that_is_too_long_leaves_others_their_vectors() -> None:
    server = TakesNoLong()
    asked = AskedVectors(Current(), server, lambda: 0.0)
    assert await asked.of(["a very long one"]) == [None]
    assert await asked.of(["another"]) == [None]
    assert server.asked == 2


# Fusing, repetitions, order


def test_what_stands_in_both_rankings_goes_before_what_leads_one() -> None:
    one, two, three = (passage(number, "") for number in (1, 2, 3))
    assert [found.id for found in fuse([Ranking([one, two]), Ranking([three, two])])] == [2, 1, 3]
    assert [found.id for found in fuse([Ranking([one], 0.5), Ranking([three])])] == [3, 1]


def test_what_holds_one_word_of_many_counts_for_less_than_what_is_meant() -> None:
    chance, meant = passage(1, "A word that Bäckereien have too."), passage(2, "quite other ones")
    stems = ("backer", "oven", "bread", "roll")
    assert [found.id for found in fuse([Ranking([chance], stems=stems), Ranking([meant])])] == [2, 1]
    assert [found.id for found in fuse([Ranking([chance], stems=stems[:1]), Ranking([meant], 0.9)])] == [1, 2]


def test_the_fewer_words_a_question_has_the_more_its_context_weighs() -> None:
    weights = [to_asked(asked, ["When?"])[1][1] for asked in ("And it?", "And in winter?", "Which animal eats krill?")]
    assert weights == [2.0, 2.0, pytest.approx(2 / 3)]
    assert to_asked("And in winter?", ()) == [("And in winter?", 1.0)]


def test_what_says_the_same_is_given_once() -> None:
    text = " ".join(f"word{number}" for number in range(100))
    again = passage(2, text.replace("word50", "another").upper())
    neighbour = passage(3, " ".join(f"word{number}" for number in range(80, 180)))
    quote = passage(4, "word1 word2 word3 word4 word5")
    kept = without_repetitions([passage(1, text), again, neighbour, quote], 10)
    assert [one.id for one in kept] == [1, 3, 4]
    assert len(without_repetitions([passage(n, f"text {n}") for n in range(9)], 4)) == 4


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("What is the largest animal?", ["largest", "animal"]),
        ("Wie hoch ist die Mehrwertsteuer auf Brötchen?", ["hoch", "mehrwertsteuer", "brotchen"]),
        ("Qual è l'aliquota IVA per il pane?", ["l", "aliquota", "iva", "pane"]),
        ("What is it?", ["what", "is", "it"]),
        ("", []),
    ],
)
def test_frequent_words_are_not_looked_for_where_there_are_others(question: str, words: list[str]) -> None:
    assert to_wanted_words(question) == words


@pytest.mark.parametrize(
    ("answer", "order"),
    [
        ("2, 1", ["b", "a", "c"]),
        ("[3]", ["c", "a", "b"]),
        ("I think 3, then 3 and 2.", ["c", "b", "a"]),
        ("none of them", ["a", "b", "c"]),
        ("1, 9", ["a", "b", "c"]),
        ("", ["a", "b", "c"]),
    ],
)
def test_a_models_order_is_taken_where_it_is_one(answer: str, order: list[str]) -> None:
    named = read_order(answer, 3)
    letters = [*named, *(place for place in range(3) if place not in named)]
    assert ["abc"[place] for place in letters] == order


async def test_a_model_may_put_what_was_found_in_order(notes: Library) -> None:
    asked: list[str] = []

    async def last_first(_reader: Reader, prompt: str) -> str:
        asked.append(prompt)
        return str(prompt.count("\n\n["))

    plain = await ask(notes, Searcher(notes.store.passages), "bakery bread", limit=10)
    assert len(plain) > 1
    ranked = await ask(notes, Searcher(notes.store.passages, ask=last_first), "bakery bread", limit=10)
    assert ranked == [plain[-1], *plain[:-1]]
    assert "bakery bread" in asked[0]


async def fails(_reader: Reader, _prompt: str) -> str:
    raise BotUnavailable


async def never(_reader: Reader, _prompt: str) -> str:
    await asyncio.Event().wait()
    return ""


async def has_nothing_left(_reader: Reader, _prompt: str) -> str:
    raise OverBudget(1)


@pytest.mark.parametrize("model", [fails, never, has_nothing_left])
async def test_a_model_that_gives_no_order_changes_nothing(
    notes: Library, model: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palaver.knowledge.reranking.SECONDS", 0.05)
    plain = await ask(notes, Searcher(notes.store.passages), "bakery bread")
    assert await ask(notes, Searcher(notes.store.passages, ask=model), "bakery bread") == plain
