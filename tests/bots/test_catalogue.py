import asyncio

import pytest

from palaver.bots import upstream as upstream_module
from palaver.bots.catalogue import Catalogue
from palaver.bots.listing import Listing
from palaver.bots.models import decode_models
from palaver.bots.upstream import Upstream, UpstreamFailed
from palaver.chat.model import OfferedModel
from palaver.llm_server import Options, running
from palaver.llm_server.server import Running

from .asking import small_server, to_catalogue, to_response


@pytest.fixture
def catalogue(upstream: Upstream) -> Catalogue:
    return to_catalogue(upstream, ["qwen3:8b"])


def names(catalogue: Catalogue) -> list[str]:
    return [model.name for model in catalogue.models() or ()]


async def to_told_catalogue(models: tuple[str, ...], *preferred: str) -> Catalogue:
    """What a server with these models makes of them."""
    async with running(Options(port=0, models=models)) as llm, Upstream(llm.url) as upstream:
        catalogue = to_catalogue(upstream, list(preferred))
        await catalogue.refresh()
        return catalogue


class Rests:
    """Rests that last until the test ends them."""

    def __init__(self) -> None:
        self.asked_for: asyncio.Queue[float] = asyncio.Queue()
        self._ended: asyncio.Queue[None] = asyncio.Queue()

    async def rest(self, seconds: float) -> None:
        self.asked_for.put_nowait(seconds)
        await self._ended.get()

    async def next(self) -> float:
        async with asyncio.timeout(60):
            return await self.asked_for.get()

    def end(self) -> None:
        self._ended.put_nowait(None)


@pytest.fixture
async def rests() -> Rests:
    return Rests()


async def test_offers_what_the_server_tells(catalogue: Catalogue) -> None:
    await catalogue.refresh()
    assert names(catalogue) == ["gpt-4", "gpt-4.1-mini", "gpt-4o-mini", "qwen3:8b"]


async def test_while_nothing_is_known_everything_may_be_there(catalogue: Catalogue) -> None:
    assert names(catalogue) == []
    assert catalogue.default_model() == "qwen3:8b"
    assert catalogue.model_for_turn("llama") == "llama"
    assert catalogue.model_for_turn(None) == "qwen3:8b"
    assert catalogue.knows_model("qwen3:8b")
    assert not catalogue.knows_model("llama")


async def test_model_that_is_not_offered_is_replaced(catalogue: Catalogue) -> None:
    await catalogue.refresh()
    assert catalogue.model_for_turn("gpt-4") == "gpt-4"
    assert catalogue.model_for_turn("llama") == "qwen3:8b"


async def test_default_is_the_one_preferred_where_it_is_offered() -> None:
    assert (await to_told_catalogue(("a", "b"), "b")).default_model() == "b"
    assert (await to_told_catalogue(("a", "b"), "x", "b")).default_model() == "b"


async def test_default_is_else_the_first_by_name() -> None:
    assert (await to_told_catalogue(("m", "c", "z"), "x")).default_model() == "c"


async def test_default_is_no_model_that_cannot_chat() -> None:
    assert (await to_told_catalogue(("babbage-002", "a-embed", "whisper-1", "m"), "x")).default_model() == "m"
    assert (await to_told_catalogue(("whisper-1",), "x")).default_model() == "whisper-1"


async def test_failed_refresh_changes_nothing(catalogue: Catalogue, llm: Running) -> None:
    await catalogue.refresh()
    before = catalogue.models()
    for fault in ("500", "html", "malformed", "cut", "429", "reset"):
        llm.stand_in.control({"fault": fault, "on": "models"})
        with pytest.raises(UpstreamFailed):
            await catalogue.refresh()
        assert catalogue.models() == before


async def test_server_that_is_silent_is_given_up(
    catalogue: Catalogue, llm: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_module, "MODELS_SECONDS", 0.05)
    llm.stand_in.control({"fault": "no-first-byte", "on": "models"})
    with pytest.raises(UpstreamFailed):
        await catalogue.refresh()


async def test_model_that_has_vanished_is_still_known() -> None:
    told = [b'{"data":[{"id":"new"}]}', b'{"data":[{"id":"old"}]}']
    async with (
        small_server(lambda _: [to_response(200, told.pop())]) as server,
        Upstream(server.url) as upstream,
    ):
        catalogue = to_catalogue(upstream, ["x"])
        await catalogue.refresh()
        await catalogue.refresh()
    assert names(catalogue) == ["new"]
    assert catalogue.knows_model("old")
    assert catalogue.model_for_turn("old") == "new"


async def test_is_refreshed_every_minute_and_sooner_after_a_failure(
    upstream: Upstream, llm: Running, rests: Rests, warnings: pytest.LogCaptureFixture
) -> None:
    listing = Listing(upstream, sleep=rests.rest)
    keeping = asyncio.create_task(listing.keep_fresh())
    assert await rests.next() == 60
    assert (listing.models, listing.tells) != (None, None)
    llm.stand_in.control({"fault": "500", "on": "models"})
    for _ in range(2):
        rests.end()
        assert await rests.next() == 5
        assert listing.tells is False
    assert len(warnings.records) == 1
    llm.stand_in.control({})
    rests.end()
    assert await rests.next() == 60
    keeping.cancel()


async def test_is_asked_whatever_became_of_it(llm: Running, upstream: Upstream, rests: Rests) -> None:
    llm.stand_in.control({"fault": "500", "on": "models"})
    listing = Listing(upstream, sleep=rests.rest)
    keeping = asyncio.create_task(listing.keep_fresh())
    async with asyncio.timeout(60):
        await listing.asked.wait()
    keeping.cancel()


@pytest.mark.parametrize(
    ("told", "model"),
    [
        (b'{"id":"m"}', OfferedModel("m")),
        (b'{"id":"m","max_model_len":32768}', OfferedModel("m", context_length=32768)),
        (b'{"id":"m","context_length":128000,"max_model_len":0}', OfferedModel("m", context_length=128000)),
        (b'{"id":"m","context_length":"long","meta":null}', OfferedModel("m")),
        (b'{"id":"m","context_length":9223372036854775808}', OfferedModel("m")),
        (
            b'{"id":"m","meta":{"n_ctx_train":8192,"n_params":8030261312,"size":4912898304}}',
            OfferedModel("m", context_length=8192, size=4912898304, parameter_count="8.0B", only_trained=True),
        ),
        (b'{"id":"m","meta":{"n_ctx_train":8192,"n_ctx":4096}}', OfferedModel("m", context_length=4096)),
    ],
)
def test_takes_what_a_server_tells_of_a_model(told: bytes, model: OfferedModel) -> None:
    assert decode_models(b'{"object":"list","data":[%b]}' % told) == (model,)


def test_each_model_is_listed_once_by_name() -> None:
    body = b'{"data":[{"id":"b"},{"id":"a"},{"id":"b"},{"id":""}]}'
    assert [model.name for model in decode_models(body)] == ["a", "b"]


async def test_health_is_what_the_server_says_of_itself(upstream: Upstream, llm: Running) -> None:
    assert await upstream.is_healthy()
    llm.stand_in.control({"fault": "500", "on": "models"})
    assert await upstream.is_healthy()


async def test_without_a_word_on_health_models_are_enough(upstream: Upstream, llm: Running) -> None:
    llm.stand_in.control({"fault": "500", "on": "health"})
    assert await upstream.is_healthy()
    llm.stand_in.control({"fault": "500"})
    assert not await upstream.is_healthy()


async def test_silent_server_is_unhealthy_in_time(
    upstream: Upstream, llm: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_module, "HEALTH_SECONDS", 0.05)
    llm.stand_in.control({"fault": "no-first-byte"})
    assert not await upstream.is_healthy()


async def test_server_that_is_gone_is_unhealthy() -> None:
    async with running(Options(port=0)) as llm:
        gone = llm.url
    async with Upstream(gone) as upstream:
        assert not await upstream.is_healthy()


async def test_context_is_what_the_server_takes_and_the_usual_where_it_does_not_tell() -> None:
    told = b'{"data":[{"id":"a","context_length":100000},{"id":"b","meta":{"n_ctx_train":100000}},{"id":"c"}]}'
    async with small_server(lambda _: [to_response(200, told)]) as server, Upstream(server.url) as upstream:
        catalogue = to_catalogue(upstream, ["a"])
        assert catalogue.context_length("a", 16_384) == 16_384
        await catalogue.refresh()
        names = ("a", "b", "c", "d", None)
        assert [catalogue.context_length(name, 16_384) for name in names] == [100_000, 16_384, 16_384, 16_384, 16_384]
        # A server is often started with less than its model was trained for; never with more.
        assert catalogue.context_length("b", 200_000) == 100_000
        # An admin knows better.
        catalogue.use_lengths({"a": 8192, "d": 4096})
        assert [catalogue.context_length(name, 16_384) for name in names] == [8192, 16_384, 16_384, 4096, 16_384]


def test_name_that_no_database_keeps_is_no_model() -> None:
    assert decode_models(b'{"data":[{"id":"a\\u0000b"},{"id":"m"},{"id":""}]}') == (OfferedModel("m"),)


async def test_nothing_is_known_until_the_server_tells(upstream: Upstream) -> None:
    assert to_catalogue(upstream, ["x"]).models() is None
    async with running(Options(port=0, models=())) as empty, Upstream(empty.url) as silent:
        catalogue = to_catalogue(silent, ["x"])
        await catalogue.refresh()
        assert catalogue.models() == ()


@pytest.mark.parametrize(
    ("operators", "peoples", "default"),
    [
        (("gpt-4o-mini",), "gpt-4", "gpt-4o-mini"),
        (("not there",), "gpt-4o-mini", "gpt-4o-mini"),
        (("not there",), "not there either", "qwen3:8b"),
        (("not there",), None, "qwen3:8b"),
        ((), "gpt-4", "gpt-4"),
    ],
)
async def test_what_people_prefer_comes_after_the_operators_choice_and_before_the_usual(
    upstream: Upstream, operators: tuple[str, ...], peoples: str | None, default: str
) -> None:
    catalogue = to_catalogue(upstream, list(operators), ["qwen3:8b"])
    catalogue.prefer(peoples)
    await catalogue.refresh()
    assert catalogue.default_model() == default
    assert catalogue.model_for_turn("gone") == default
    catalogue.prefer(None)
    catalogue.prefer(peoples)
    assert catalogue.default_model() == default
