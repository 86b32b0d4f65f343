"""Documents are read whole or not at all, whatever happens to whoever reads them."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec.structs import replace

from palaver.chat.clock import SECOND, Micros, SystemClock
from palaver.chat.knowledge import HELD_SECONDS, UNWANTED_SECONDS, Claimed, Cut, Quota, Sizes
from palaver.knowledge.embeddings import EmbeddingOptions, EmbeddingServer
from palaver.knowledge.worker import MOST_ATTEMPTS
from palaver.store import SqlStore, StoreOptions
from tests.chat.talking import HandClock
from tests.knowledge.files import docx, paragraph, pdf
from tests.knowledge.library import Library
from tests.knowledge.reading import LIMITS
from tests.parts.llm import LLM
from tests.parts.process import bare_environment
from tests.ports.talking import rows
from tests.promises import Measured

BOOK = "\n\n".join(f"Paragraph {number} of the book speaks of whales and of nothing else." for number in range(2000))


async def test_a_document_is_found_once_it_has_been_read(library: Library) -> None:
    waiting = await library.put("book.txt", BOOK)
    assert waiting.status == "waiting"
    assert await library.find(["whales"]) == []
    assert await library.worker().read_next()
    ready = await library.get(waiting)
    assert (ready.status, ready.problem) == ("ready", None)
    assert ready.passage_count > 50
    assert await library.text(ready) == BOOK
    assert len(await library.find(["whales"])) == 50
    assert not await library.worker().read_next()


async def test_a_file_that_cannot_be_read_says_why_and_the_others_are_read(library: Library) -> None:
    broken = await library.put("broken.docx", docx(paragraph("hello"))[:200])
    half = await library.put("half.txt", BOOK * 200)
    good = await library.put("good.pdf", pdf(["A whale."]))
    worker = library.worker(limits=replace(LIMITS, passages=500))
    while await worker.read_next():
        pass
    assert [(await library.get(one)).problem for one in (broken, half, good)] == ["broken", "too_large", None]
    assert [one.name for one in await library.find(["whale"])] == ["good.pdf"]


async def test_a_document_whose_text_is_more_than_its_owner_may_keep_fails(library: Library) -> None:
    packed = docx(paragraph("A whale. " * 2000))
    bomb = await library.put("bomb.docx", packed, quota=Quota(bytes=len(packed) + 10_000))
    assert await library.worker().read_next()
    failed = await library.get(bomb)
    assert (failed.status, failed.problem, failed.passage_count) == ("failed", "too_large", 0)


async def test_a_document_is_cut_as_it_was_put(library: Library) -> None:
    document = await library.put("book.txt", BOOK, Sizes(500, 150, "characters"))
    await library.worker().read_next()
    passages = await library.store.documents.passages(document.id, first=0, limit=200)
    assert max(len(one.text) for one in passages) <= 500
    assert (await library.get(document)).sizes == Sizes(500, 150, "characters")


async def test_a_document_that_is_deleted_while_it_is_read_leaves_nothing(library: Library) -> None:
    document = await library.put("book.txt", BOOK * 20)
    reading = asyncio.create_task(library.worker(lease=0.3).read_next())
    while not await library.store.documents.passages(document.id, first=0, limit=1) and not reading.done():
        await library.store.documents.delete(document.id)
    await reading
    assert await library.find(["whales"]) == []


async def test_a_worker_that_was_ended_in_the_middle_is_followed_by_another(library: Library) -> None:
    document = await library.put("book.txt", BOOK * 5)
    documents = library.store.documents
    now = SystemClock().now()
    stale = await documents.claim(Micros(now + SECOND // 100), now)
    assert stale is not None
    while not await library.worker().read_next():
        pass
    assert await library.text(await library.get(document)) == BOOK * 5
    assert not await documents.finish(stale, SystemClock().now())


async def test_a_worker_keeps_its_document_however_long_it_takes_away_what_was_left_of_it(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = await library.put("book.txt", BOOK)
    documents, now = library.store.documents, SystemClock().now()
    left = await documents.claim(now, Micros(now - 1))
    assert left is not None
    await documents.add_passages(left, [Cut(0, 0, 4, "half")])
    forget = documents.forget_passages

    async def forget_slowly(claimed: Claimed) -> None:
        first = last = await rows(library.store, "SELECT lease_until FROM documents")
        while last == first:
            last = await rows(library.store, "SELECT lease_until FROM documents")
        await forget(claimed)

    monkeypatch.setattr(documents, "forget_passages", forget_slowly)
    async with asyncio.timeout(20):
        assert await library.worker(lease=0.3).read_next()
    assert await library.text(await library.get(document)) == BOOK


async def test_a_document_that_ends_whoever_reads_it_is_given_up_and_the_others_are_read(
    library: Library,
) -> None:
    poison = await library.put("poison.txt", "A poison whale.")
    other = await library.put("other.txt", "A whale.")
    for _ in range(MOST_ATTEMPTS):
        now = SystemClock().now()
        claimed = await library.store.documents.claim(Micros(now - 1), now)
        assert claimed is not None
        assert claimed.document.id == poison.id
    while await library.worker().read_next():
        pass
    assert [(await library.get(one)).problem for one in (poison, other)] == ["broken", None]


async def test_a_worker_that_goes_gives_back_what_it_reads(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    document = await library.put("book.txt", BOOK * 20)
    reads = asyncio.Event()

    async def stand_still(_claimed: Claimed, _cuts: Sequence[Cut]) -> bool:
        reads.set()
        return await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(library.store.documents, "add_passages", stand_still)
        reading = asyncio.create_task(library.worker(lease=3600.0).read_next())
        await reads.wait()
        assert (await library.get(document)).status == "reading"
        reading.cancel()
        await asyncio.wait([reading])
    assert await library.worker().read_next()
    assert (await library.get(document)).status == "ready"


async def test_workers_share_what_waits_and_each_document_is_read_once(library: Library) -> None:
    put = [await library.put(f"{number}.txt", f"whale number {number}") for number in range(8)]
    workers = [asyncio.create_task(library.worker().work()) for _ in range(3)]
    await library.until_ready(put)
    for task in workers:
        task.cancel()
    await asyncio.wait(workers)
    assert len(await library.find(["whale"])) == 8


READER = """
import asyncio, sys
from pathlib import Path
from palaver.chat.clock import SystemClock
from palaver.knowledge import worker
from palaver.knowledge.worker import Worker, WorkRules
from palaver.store import StoreOptions, open_store

async def main(folder, url, most_attempts):
    worker.MOST_ATTEMPTS = int(most_attempts)
    async with open_store(StoreOptions(Path(folder), url or None, connections=2)) as store:
        rules = WorkRules(lease_seconds=0.3, renew_seconds=0.1, look_seconds=0.02)
        print("reads", flush=True)
        await Worker(store.documents, store.passages, SystemClock(), rules).work()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.proof("knowledge")
async def test_a_worker_killed_at_any_point_leaves_no_half_document_and_what_waits_is_read(
    library: Library,
    store_options: StoreOptions,
    seed: str,
    prove: bool,
    measured: Measured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On a slow machine none comes to the end of its document before it is killed.
    most_attempts = 1000
    monkeypatch.setattr("palaver.knowledge.worker.MOST_ATTEMPTS", most_attempts)
    arguments = (str(store_options.data_dir), store_options.database_url or "", str(most_attempts))
    texts = {f"{number}.txt": BOOK * 3 + f"\n\nThe end of {number}." for number in range(4 if prove else 2)}
    put = [await library.put(name, text) for name, text in texts.items()]
    chance = random.Random(seed)
    kills = 60 if prove else 3
    measured("kills", kills, "")
    for _ in range(kills):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", READER, *arguments),
            stdout=asyncio.subprocess.PIPE,
            env=bare_environment(),
            start_new_session=True,
        )
        assert process.stdout is not None
        await process.stdout.readline()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), chance.uniform(0, 0.9))
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await expect_whole_or_nothing(library, [document.uuid for document in put])
    reading = asyncio.create_task(library.worker(lease=0.3).work())
    await library.until_ready(put)
    reading.cancel()
    await asyncio.wait([reading])
    for document in put:
        assert await library.text(document) == texts[document.name]


async def expect_whole_or_nothing(library: Library, uuids: Sequence[str]) -> None:
    found = {one.document for one in await library.find(["whales"])}
    for uuid in uuids:
        document, _ = await library.store.documents.access(library.reader, uuid)
        assert (uuid in found) <= (document.status == "ready")


# Vectors


async def test_passages_get_vectors_in_the_background_and_are_found_by_them(
    library: Library, embeddings: EmbeddingServer
) -> None:
    await library.put("whale.txt", "The whale is the largest animal.")
    worker = library.worker(embeddings)
    await worker.read_next()
    await worker.embed_missing(embeddings)
    current = await library.store.passages.embedding()
    assert current is not None
    assert (current.model, current.is_current) == ("vectors-1", True)
    [vector] = await embeddings.embed("vectors-1", ["the largest animal"])
    hits = await library.store.passages.search(library.reader, "papers", [], vector, 5)
    assert [one.name for one in hits.by_meaning] == ["whale.txt"]


async def test_another_model_takes_over_once_it_has_all_and_the_old_one_answers_until_then(
    library: Library, embeddings: EmbeddingServer, llm: LLM, caplog: pytest.LogCaptureFixture
) -> None:
    library.clock = clock = HandClock()
    await library.put("whale.txt", "The whale is the largest animal.")
    worker, other_worker = library.worker(embeddings), library.worker(embeddings)
    await worker.read_next()
    await worker.embed_missing(embeddings)
    async with EmbeddingServer(EmbeddingOptions(url=llm.url, model="vectors-2")) as other:
        # As long as a server is set to the old one.
        await other_worker.embed_missing(other)
        assert await searched_model(library) == "vectors-1"
        clock.move(HELD_SECONDS)
        await other_worker.embed_missing(other)
        assert await searched_model(library) == "vectors-2"
        # A server that is still set to the old one never undoes it, nor pays for it; its log says so, once.
        asked = len(await llm.record("ended"))
        for _ in range(3):
            clock.move(2 * UNWANTED_SECONDS)
            await other_worker.embed_missing(other)
            await worker.embed_missing(embeddings)
    assert await searched_model(library) == "vectors-2"
    said = "another model (vectors-2) than PALAVER_EMBEDDING_MODEL (vectors-1) are searched"
    assert caplog.text.count(said) == 1
    assert [one for one in (await llm.record("ended"))[asked:] if one.path.endswith("/embeddings")] == []


async def searched_model(library: Library) -> str:
    current = await library.store.passages.embedding()
    assert current is not None
    return current.model


async def test_a_text_is_embedded_once_however_often_it_stands(
    library: Library, embeddings: EmbeddingServer, llm: LLM
) -> None:
    worker = library.worker(embeddings)
    for number in range(3):
        await library.put(f"{number}.txt", "The same words.")
        await worker.read_next()
    await worker.embed_missing(embeddings)
    heard = [one.body["input"] for one in await llm.record("ended", n=2) if one.path.endswith("/embeddings")]
    assert sum(texts.count("The same words.") for texts in heard) == 1


async def test_workers_that_embed_at_once_pay_for_each_text_once(
    library: Library, embeddings: EmbeddingServer, llm: LLM
) -> None:
    worker = library.worker(embeddings)
    await library.put("book.txt", BOOK)
    await worker.read_next()
    await asyncio.gather(*(library.worker(embeddings).embed_missing(embeddings) for _ in range(4)))
    heard = await llm.record("ended", n=1)
    texts = [
        text for one in heard if one.path.endswith("/embeddings") for text in one.body["input"] if text != "palaver"
    ]
    assert len(texts) == len(set(texts))
    current = await library.store.passages.embedding()
    assert current is not None
    assert await library.store.passages.without_vectors(current.id, 10) == []


async def test_vectors_that_a_worker_left_are_made_by_the_next(
    library: Library, embeddings: EmbeddingServer, llm: LLM
) -> None:
    worker = library.worker(embeddings)
    await library.put("whale.txt", "A whale.")
    await worker.read_next()
    await llm.control(first=60, on="embeddings", key="slow")
    slow = asyncio.create_task(worker.embed_missing(embeddings))
    await llm.record(n=1)
    slow.cancel()
    await asyncio.wait([slow])
    await llm.control()
    await library.worker(embeddings).embed_missing(embeddings)
    assert await library.store.passages.embedding() is not None


async def test_a_model_that_was_exchanged_behind_its_name_begins_anew(library: Library) -> None:
    size = 2

    async def answer(request: web.Request) -> web.Response:
        texts = (await request.json())["input"]
        return web.json_response({"data": [{"embedding": [1.0] * size} for _ in texts]})

    app = web.Application()
    app.router.add_post("/v1/embeddings", answer)
    worker = library.worker()
    async with (
        TestServer(app) as http,
        EmbeddingServer(EmbeddingOptions(url=str(http.make_url("/")), model="m")) as server,
    ):
        for size in (2, 3):
            await library.put("whale.txt", f"A whale of {size}.")
            await worker.read_next()
            await worker.embed_missing(server)
    current = await library.store.passages.embedding()
    assert current is not None
    assert (current.model, current.dimensions) == ("m", 3)


async def test_what_stumbles_is_tried_again(
    library: Library, store: SqlStore, embeddings: EmbeddingServer, llm: LLM
) -> None:
    await llm.control(fault="500", on="embeddings", times=1)
    document = await library.put("whale.txt", "A whale.")
    working = asyncio.create_task(library.worker(embeddings).work())
    await library.until_ready([document])
    [vector] = await embeddings.embed_all(["A whale."])
    while not (await store.passages.search(library.reader, "papers", [], vector, 5)).by_meaning:
        pass
    working.cancel()
    await asyncio.wait([working])
