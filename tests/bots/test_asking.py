"""Before the first piece the next server is asked; after it, nobody."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import pytest

from palaver.bots import asking
from palaver.bots.asking import AskingOptions
from palaver.bots.catalogue import Catalogue
from palaver.bots.openai import OpenAIBot
from palaver.bots.pool import LlmServer, Pool
from palaver.bots.upstream import Upstream
from palaver.chat.backoff import Backoff
from palaver.chat.pieces import Text
from palaver.llm_server import Options, running
from palaver.llm_server.server import Running

from .asking import HandTimeouts, Heard, Naps, hear, talking, to_server

PATIENCE = 0.1
BEFORE_THE_FIRST_PIECE = [
    {"fault": "429"},
    {"fault": "429-retry-after", "retry_after": "3"},
    {"fault": "500"},
    {"fault": "503"},
    {"fault": "html"},
    {"fault": "cut", "after": 0},
    {"fault": "reset", "after": 0},
    {"fault": "malformed", "after": 0},
    {"fault": "error-in-stream", "after": 0},
]
# How often such a server is waited for until it is silent: for its headers, for what it says first, and for the rest.
SILENT_BEFORE_IT: list[tuple[dict[str, str | int], int]] = [
    ({"fault": "no-first-byte"}, 1),
    ({"fault": "headers-only"}, 2),
    ({"fault": "stall", "after": 0}, 3),
]
AFTER_IT = ["cut", "reset", "malformed", "error-in-stream"]


class Several:
    """Two servers that say their own names, the first of which is asked first, and the bot that they make."""

    def __init__(
        self, llms: Sequence[Running], servers: Sequence[LlmServer], naps: Naps, timeouts: HandTimeouts
    ) -> None:
        self.llms = llms
        self.servers = servers
        self.naps = naps
        self.timeouts = timeouts
        self.pool = Pool(servers)
        self.bot = OpenAIBot(self.pool, Catalogue(self.pool, ["gpt-4"]), AskingOptions(naps.backoff(), PATIENCE))

    async def hear(self, prompt: str = "Hello") -> Heard:
        heard = await hear(self.bot, prompt)
        assert [server.running for server in self.servers] == [0, 0]
        return heard

    def times_asked(self) -> list[int]:
        return [len(llm.stand_in.record.entries) for llm in self.llms]

    async def lose_patience(self, with_llm: int, *, waits: int, times: int = 1) -> None:
        """With this server, once it has fallen silent so many times; after so many waits for anybody."""
        await self.llms[with_llm].stand_in.record.wait_for("ended", count=times)
        await self.timeouts.run_out(waits)


@pytest.fixture
async def several(naps: Naps, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Several]:
    timeouts = HandTimeouts()
    timeouts.stand_in(asking, monkeypatch)
    async with AsyncExitStack() as stack:
        llms = [await stack.enter_async_context(running(Options(port=0, text=text))) for text in ("first", "second")]
        upstreams = [await stack.enter_async_context(Upstream(llm.url)) for llm in llms]
        servers = [to_server(upstream, str(number)) for number, upstream in enumerate(upstreams)]
        yield Several(llms, servers, naps, timeouts)


@pytest.mark.parametrize("script", BEFORE_THE_FIRST_PIECE, ids=lambda script: script["fault"])
async def test_next_server_is_asked_before_the_first_piece_and_nobody_notices(
    several: Several, script: dict[str, str]
) -> None:
    several.llms[0].stand_in.control(script)
    heard = await several.hear()
    assert (heard.text, heard.error) == ("second", None)
    assert several.times_asked() == [1, 1]
    assert several.naps.seconds == []


@pytest.mark.parametrize(
    ("script", "waits"), SILENT_BEFORE_IT, ids=[str(script["fault"]) for script, _ in SILENT_BEFORE_IT]
)
async def test_next_server_is_asked_where_one_is_silent_before_the_first_piece(
    several: Several, script: dict[str, str | int], waits: int
) -> None:
    several.llms[0].stand_in.control(script)
    hearing = asyncio.create_task(several.hear())
    await several.lose_patience(0, waits=waits)
    heard = await hearing
    assert (heard.text, heard.error) == ("second", None)
    assert several.times_asked() == [1, 1]
    assert several.naps.seconds == []
    assert set(several.timeouts.seconds) == {PATIENCE}


@pytest.mark.parametrize(
    ("left", "text"), [("the other", "second"), ("none", ""), ("closed", "")], ids=lambda value: value
)
async def test_reply_that_rests_while_its_server_is_removed_goes_on_elsewhere_or_fails_as_any_other(
    several: Several, left: str, text: str
) -> None:
    gone, there = several.servers
    several.llms[0].stand_in.control({"fault": "503"})
    pool = Pool([gone])

    async def remove(_seconds: float) -> None:
        pool.set({"the other": [there], "none": [], "closed": [gone]}[left])
        await gone.upstream.close()

    bot = OpenAIBot(pool, Catalogue(pool, ["gpt-4"]), AskingOptions(Backoff(sleep=remove), PATIENCE))
    heard = await hear(bot, "Hello")
    assert (heard.text, heard.error is None) == (text, bool(text))
    assert [server.running for server in several.servers] == [0, 0]


async def test_server_that_is_gone_or_has_another_key_is_passed_over(several: Several) -> None:
    async with running(Options(port=0)) as llm:
        gone = llm.url
    async with (
        running(Options(port=0, api_key="right")) as locked,
        Upstream(gone) as nowhere,
        Upstream(locked.url, api_key="wrong") as refusing,
    ):
        several.pool.set([to_server(nowhere), to_server(refusing), *several.servers])
        assert (await several.hear()).text == "first"


@pytest.mark.parametrize("fault", AFTER_IT)
async def test_nobody_else_is_asked_once_something_was_said(several: Several, fault: str) -> None:
    several.llms[0].stand_in.control({"fault": fault, "after": 1, "text": "one two"})
    assert (await several.hear()).text == "one "
    assert several.times_asked() == [1, 0]


async def test_silence_after_the_first_piece_is_left_to_the_core(several: Several) -> None:
    several.llms[0].stand_in.control({"fault": "stall", "after": 1, "text": "one two"})
    async with talking(several.bot, "Hello") as pieces:
        assert await anext(pieces) == Text("one ")
        before = len(several.timeouts.seconds)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3 * PATIENCE):
                await anext(pieces)
    assert several.times_asked() == [1, 0]
    assert len(several.timeouts.seconds) == before


async def test_request_that_is_at_fault_itself_is_not_passed_on(several: Several) -> None:
    several.llms[0].stand_in.control({"fault": "reject-stream-options"})
    assert (await several.hear()).text == "first"
    assert several.times_asked() == [2, 0]


async def test_all_are_asked_before_one_is_asked_again(several: Several) -> None:
    for llm in several.llms:
        llm.stand_in.control({"fault": "503"})
    heard = await several.hear()
    assert heard.error is not None
    assert heard.error.cause == "unavailable"
    assert several.times_asked() == [3, 3]
    # Both rest as long after a failure of theirs, so that one nap does for the two of them.
    assert several.naps.seconds == [0.5, 1.0]


async def test_nobody_is_asked_earlier_than_it_has_named(several: Several) -> None:
    for llm, seconds in zip(several.llms, ("3", "1"), strict=True):
        llm.stand_in.control({"fault": "429-retry-after", "retry_after": seconds, "times": 1})
    assert (await several.hear()).text == "second"
    assert several.naps.seconds == [1.5]


async def test_after_three_failures_others_are_asked_first(several: Several) -> None:
    # However long it takes, the pause after the third is not over.
    servers = [to_server(server.upstream, clock=lambda: 0.0) for server in several.servers]
    several.pool.set(servers)
    several.llms[0].stand_in.control({"fault": "500"})
    for _ in range(20):
        assert (await several.hear()).text == "second"
    assert several.times_asked()[0] == 3
    assert servers[0].breaker.state == "open"


async def test_behind_open_breakers_all_are_asked_all_the_same(several: Several) -> None:
    for server in several.servers:
        for _ in range(3):
            server.breaker.failed(trial=False)
    assert (await several.hear()).error is None


async def test_server_alone_may_be_silent_as_long_as_the_core_allows(several: Several) -> None:
    several.pool.set(several.servers[:1])
    several.llms[0].stand_in.control({"first": 3 * PATIENCE})
    assert (await several.hear()).text == "first"
    assert several.timeouts.seconds == []


async def test_servers_that_are_all_slow_are_heard_for_longer(several: Several) -> None:
    several.llms[0].stand_in.control({"fault": "no-first-byte"})
    several.llms[1].stand_in.control({"fault": "no-first-byte", "times": 1})
    hearing = asyncio.create_task(several.hear())
    await several.lose_patience(0, waits=1)
    await several.lose_patience(1, waits=2)
    await several.lose_patience(0, times=2, waits=3)
    assert (await hearing).text == "second"
    assert several.times_asked() == [2, 2]
    # The last one for its headers and for what it says first.
    assert several.timeouts.seconds == [PATIENCE, PATIENCE, 2 * PATIENCE, 2 * PATIENCE, 2 * PATIENCE]


async def test_reply_waits_while_every_place_is_taken(several: Several) -> None:
    server = several.servers[0]
    server.named = type(server.named)("first", server.named.url, most_at_once=1)
    several.pool.set([server])
    async with talking(several.bot, "Hello") as pieces:
        await anext(pieces)
        waiting = asyncio.create_task(hear(several.bot, "Hello"))
        await asyncio.sleep(0)
        assert several.times_asked() == [1, 0]
    assert (await waiting).text == "first"


async def test_reply_that_is_left_before_its_first_piece_gives_its_place_back(several: Several) -> None:
    several.llms[0].stand_in.control({"fault": "no-first-byte"})
    several.pool.set(several.servers[:1])
    leaving = asyncio.create_task(hear(several.bot, "Hello"))
    await several.llms[0].stand_in.record.wait_for("arrived")
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert several.servers[0].running == 0
