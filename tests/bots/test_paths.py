"""Where a server has its paths, with and without /v1."""

from typing import Literal

import pytest

from palaver.bots.upstream import Upstream, UpstreamFailed, to_url
from palaver.llm_server import Options, running

from .asking import DONE, STOPS, Asked, Steps, hear, says, small_server, to_bot, to_response, to_stream

Prefix = Literal["both", "v1", "none"]

NOT_THERE = to_response(404, b'{"error":"no such path"}')
MODELS = to_response(200, b'{"data":[{"id":"m1"}]}')
REPLY = to_stream(says("Hello"), STOPS, DONE)


def paths(asked: list[Asked]) -> list[str]:
    return [request.path for request in asked]


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
@pytest.mark.parametrize("prefix", ["both", "v1", "none"])
async def test_found_with_and_without_v1(prefix: Prefix, ending: str) -> None:
    async with running(Options(port=0, prefix=prefix)) as llm:
        async with Upstream(llm.url + ending) as upstream:
            assert (await hear(to_bot(upstream), "Hello")).text == "You said: Hello"
        async with Upstream(llm.url + ending) as upstream:
            assert [model.name for model in await upstream.fetch_models()] == sorted(Options().models)


@pytest.mark.parametrize(
    ("ending", "expected"),
    [("", ["/v1/chat/completions", "/chat/completions"]), ("/v1", ["/v1/chat/completions", "/chat/completions"])],
)
async def test_place_is_found_out_once(ending: str, expected: list[str]) -> None:
    def answer(request: Asked) -> Steps:
        return [NOT_THERE if request.path.startswith("/v1") else REPLY]

    async with small_server(answer) as server, Upstream(server.url + ending) as upstream:
        for _ in range(2):
            assert (await hear(to_bot(upstream), "Hello")).text == "Hello"
        assert paths(server.asked) == [*expected, expected[-1]]


async def test_models_show_the_place_to_the_bot() -> None:
    def answer(request: Asked) -> Steps:
        return [NOT_THERE if request.path.startswith("/v1") else MODELS if request.method == "GET" else REPLY]

    async with small_server(answer) as server, Upstream(server.url) as upstream:
        await upstream.fetch_models()
        assert (await hear(to_bot(upstream), "Hello")).text == "Hello"
        assert paths(server.asked) == ["/v1/models", "/models", "/chat/completions"]


async def test_place_that_has_moved_is_found_again() -> None:
    places = ["/v1/chat/completions"]

    def answer(request: Asked) -> Steps:
        return [REPLY if request.path in places else NOT_THERE]

    async with small_server(answer) as server, Upstream(server.url) as upstream:
        assert (await hear(to_bot(upstream), "Hello")).text == "Hello"
        places[:] = ["/chat/completions"]
        assert (await hear(to_bot(upstream), "Hello")).text == "Hello"
        assert (await hear(to_bot(upstream), "Hello")).text == "Hello"
        assert paths(server.asked)[-1] == "/chat/completions"
        assert len(server.asked) == 4


async def test_model_that_is_not_there_is_refused_in_the_words_of_the_right_place(
    warnings: pytest.LogCaptureFixture,
) -> None:
    options = Options(port=0, prefix="none", models=("other",), strict_models=True)
    async with running(options) as llm, Upstream(llm.url) as upstream:
        await upstream.fetch_models()
        heard = await hear(to_bot(upstream), "Hello")
    assert heard.error is not None
    assert heard.error.cause == "refused"
    assert "`gpt-4` does not exist" in warnings.text


@pytest.mark.parametrize(
    "odd",
    [
        to_response(200, b'{"error":"Unexpected endpoint or method. (GET /models)"}'),
        to_response(200, b"<!doctype html>", "text/html"),
        to_response(401, b"{}"),
    ],
)
async def test_only_a_list_of_models_counts_as_one(odd: bytes) -> None:
    async with (
        small_server(lambda request: [MODELS if request.path == "/models" else odd]) as server,
        Upstream(server.url) as upstream,
    ):
        assert [model.name for model in await upstream.fetch_models()] == ["m1"]
    async with small_server(lambda _: [odd]) as server, Upstream(server.url) as upstream:
        with pytest.raises(UpstreamFailed):
            await upstream.fetch_models()


async def test_redirect_is_not_followed_with_the_prompt() -> None:
    elsewhere = b"HTTP/1.1 307 Elsewhere\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n"
    async with small_server(lambda _: [elsewhere]) as server, Upstream(server.url) as upstream:
        heard = await hear(to_bot(upstream), "Hello")
        assert heard.error is not None
        assert heard.error.cause == "refused"


async def test_password_in_the_url_is_used_and_not_shown(warnings: pytest.LogCaptureFixture) -> None:
    async with small_server(lambda _: [to_response(401, b"no")]) as server:
        url = server.url.replace("http://", "http://me:hush@")
        async with Upstream(url) as upstream:
            await hear(to_bot(upstream), "Hello")
            assert server.asked[0].headers["authorization"].startswith("Basic ")
            assert upstream.shown_url == server.url
    assert "hush" not in warnings.text


async def test_query_of_the_url_is_kept() -> None:
    async with small_server(lambda _: [REPLY]) as server, Upstream(server.url + "?api-version=7") as upstream:
        await hear(to_bot(upstream), "Hello")
        assert paths(server.asked) == ["/v1/chat/completions?api-version=7"]


def test_url_may_lack_its_scheme() -> None:
    assert str(to_url("localhost:8001")) == "http://localhost:8001"


@pytest.mark.parametrize("url", ["", "http://", "ftp://localhost", "unix:///tmp/llm", "http://localhost:port"])
def test_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"LLM_SERVER_URL|URL"):
        to_url(url)
