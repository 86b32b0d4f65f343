"""Vectors, from the stand-in LLM server over HTTP."""

import json
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from palaver.chat.backoff import Backoff
from palaver.knowledge.embeddings import BATCH, EmbeddingOptions, EmbeddingServer, EmbeddingsFailed, read_vectors
from tests.parts.llm import LLM

KEY = "sk-very-secret"


async def no_sleep(_seconds: float) -> None:
    pass


SOON = Backoff(tries=3, sleep=no_sleep)


async def test_texts_get_their_vectors_in_batches_and_in_order(llm: LLM, embeddings: EmbeddingServer) -> None:
    texts = [f"text number {number}" for number in range(BATCH * 2 + 5)]
    vectors = await embeddings.embed_all(texts)
    assert len(vectors) == len(texts)
    assert list(vectors[BATCH + 1]) == list((await embeddings.embed("vectors-1", [texts[BATCH + 1]]))[0])
    asked = [heard for heard in await llm.record("ended", n=4) if heard.path.endswith("/embeddings")]
    assert sorted(len(heard.body["input"]) for heard in asked) == [1, 5, BATCH, BATCH]


@pytest.mark.parametrize("path", ["", "/v1", "/v1/"])
async def test_a_server_is_found_with_and_without_v1(llm: LLM, path: str) -> None:
    async with EmbeddingServer(EmbeddingOptions(url=llm.url + path, model="m")) as server:
        assert len(await server.embed("m", ["a", "b"])) == 2


@pytest.mark.parametrize("fault", ["500", "429", "503"])
async def test_a_server_that_stumbles_is_asked_again(llm: LLM, fault: str) -> None:
    await llm.control(fault=fault, on="embeddings", times=2)
    async with EmbeddingServer(EmbeddingOptions(url=llm.url, model="m"), SOON) as server:
        assert len(await server.embed_all(["a"])) == 1


async def test_what_the_server_says_of_when_to_come_back_is_kept_to(llm: LLM) -> None:
    await llm.control(fault="429-retry-after", on="embeddings", times=1, retry_after="7")
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    backoff = Backoff(tries=3, sleep=wait, jitter=lambda: 0.0, longest_told=60.0)
    async with EmbeddingServer(EmbeddingOptions(url=llm.url, model="m"), backoff) as server:
        await server.embed_all(["a"])
    assert waited == [7.0]


async def test_a_server_that_is_not_there_is_given_up() -> None:
    async with EmbeddingServer(EmbeddingOptions(url="http://127.0.0.1:9", model="m", key=KEY), SOON) as server:
        with pytest.raises(EmbeddingsFailed, match="cannot be reached"):
            await server.embed_all(["a"])


async def test_the_key_is_sent_and_stands_nowhere_else(llm: LLM, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    options = EmbeddingOptions(url=llm.url, model="m", key=KEY)
    await llm.control(fault="500", on="embeddings")
    async with EmbeddingServer(options, SOON) as server:
        with pytest.raises(EmbeddingsFailed) as error:
            await server.embed_all(["a"])
    heard = await llm.record(n=1)
    assert heard[-1].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(options) + repr(server) + str(error.value) + caplog.text


@pytest.fixture
async def strict_url() -> AsyncIterator[str]:
    """A server that takes three texts of 500 characters at most."""

    async def embeddings(request: web.Request) -> web.Response:
        texts = (await request.json())["input"]
        if len(texts) > 3 or max(map(len, texts)) > 500 or "forbidden" in texts:
            raise web.HTTPBadRequest(text="input is too long")
        return web.json_response({"data": [{"index": n, "embedding": [len(text), 1]} for n, text in enumerate(texts)]})

    app = web.Application()
    app.router.add_post("/v1/embeddings", embeddings)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


async def test_texts_that_are_too_many_or_too_long_are_made_fewer_and_shorter(strict_url: str) -> None:
    texts = [*("x" * length for length in (100, 200, 300, 400, 500, 250)), "y" * 1600]
    async with EmbeddingServer(EmbeddingOptions(url=strict_url, model="m"), SOON) as server:
        vectors = await server.embed_all(texts)
    assert [vector[0] for vector in vectors] == [100, 200, 300, 400, 500, 250, 400]


async def test_a_text_that_is_refused_keeps_no_other_from_its_vector(strict_url: str) -> None:
    async with EmbeddingServer(EmbeddingOptions(url=strict_url, model="m"), SOON) as server:
        assert await server.embed_all(["a", "forbidden", "bcd"]) == [[1, 1], [1, 0], [3, 1]]
        assert await server.embed_all(["forbidden"]) == [[1, 0]]
        with pytest.raises(EmbeddingsFailed):
            await server.embed("m", ["forbidden"])


async def test_a_server_that_refuses_everything_is_not_asked_for_each_text() -> None:
    asked: list[str] = []

    async def refuse(request: web.Request) -> web.Response:
        asked.append(await request.text())
        raise web.HTTPBadRequest(text="no such model")

    app = web.Application()
    app.router.add_post("/v1/embeddings", refuse)
    async with TestServer(app) as http:
        options = EmbeddingOptions(url=str(http.make_url("/")), model="m")
        async with EmbeddingServer(options, SOON) as server:
            with pytest.raises(EmbeddingsFailed, match="no such model"):
                await server.embed_all(["a"] * 50)
    assert len(asked) == 2


def answer(*vectors: object) -> bytes:
    return json.dumps({"data": [{"index": n, "embedding": one} for n, one in enumerate(vectors)]}).encode()


@pytest.mark.parametrize(
    ("said", "count"),
    [
        (b"<html>", 1),
        (b"{}", 1),
        (answer([1.0]), 2),
        (answer([1.0], [1.0]), 1),
        (answer([1.0], [1.0, 2.0]), 2),
        (answer([]), 1),
        (answer(["x"]), 1),
        (b'{"data":[{"index":0,"embedding":[1e999]}]}', 1),
        (b'{"data":[{"index":0,"embedding":[NaN]}]}', 1),
        (b'{"data":[{"index":5,"embedding":[1.0]}]}', 1),
        (answer([1.0] * 10_000), 1),
    ],
)
def test_what_is_no_vector_for_each_text_is_refused(said: bytes, count: int) -> None:
    with pytest.raises(EmbeddingsFailed):
        read_vectors(said, count)


def test_vectors_are_put_into_the_order_of_their_texts() -> None:
    said = b'{"data":[{"index":1,"embedding":[2.0]},{"index":0,"embedding":[1.0]}]}'
    assert read_vectors(said, 2) == [[1.0], [2.0]]


def test_a_vector_without_a_direction_gets_one() -> None:
    assert read_vectors(answer([0.0, 0.0]), 1) == [[1.0, 0.0]]
