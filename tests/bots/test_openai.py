"""The bot against a real server that fails in every way it can."""

import asyncio
from typing import Any, cast

import pytest

from palaver.bots import openai
from palaver.bots.openai import OpenAIBot
from palaver.bots.upstream import Upstream
from palaver.chat.conversation import Past, Speaking, Usage
from palaver.chat.errors import BotUnavailable
from palaver.chat.pieces import Finished, Prompt, Text
from palaver.llm_server import Options, running
from palaver.llm_server.record import Entry
from palaver.llm_server.server import Running

from .asking import (
    DONE,
    REQUEST_ID,
    STOPS,
    USAGE,
    Asked,
    Naps,
    Steps,
    hear,
    let_go,
    says,
    small_server,
    talking,
    to_bot,
    to_prompt,
    to_response,
    to_stream,
)

SECRET = "VENDORSECRET"

FINE_ODDITIES = ["one-byte", "crlf", "comments", "wrong-type", "slow-headers", "no-usage", "reject-stream-options"]
BEFORE_THE_FIRST_PIECE = ["429", "429-retry-after", "500", "503"]


def asked(llm: Running) -> list[Entry]:
    return list(llm.stand_in.record.entries)


def to_body(entry: Entry) -> dict[str, Any]:
    return cast(dict[str, Any], entry.body)


async def test_reply_is_heard_with_its_usage_and_details(bot: OpenAIBot) -> None:
    heard = await hear(bot, "Name a river.")
    assert heard.text == "You said: Name a river."
    assert heard.finished is not None
    assert heard.finished.reason == "stop"
    assert heard.finished.model == "gpt-4"
    assert isinstance(heard.finished.usage, Usage)
    assert heard.finished.details is not None
    assert heard.finished.details["id"] == "chatcmpl-1"
    assert heard.finished.details["usage"]["total_tokens"] == heard.finished.usage.total_tokens


async def test_server_is_sent_what_the_prompt_says_under_its_request_id(bot: OpenAIBot, llm: Running) -> None:
    prompt = Prompt(
        message="Another?",
        system="You know rivers.",
        history=(Past(1, "user", "Name a river.", 4), Past(2, "assistant", "The Loire.", 3)),
        speaking=Speaking(max_tokens=50),
        model="gpt-4",
        request_id=REQUEST_ID,
    )
    await hear(bot, prompt)
    [entry] = asked(llm)
    assert entry.headers["x-request-id"] == REQUEST_ID
    assert entry.headers["content-type"] == "application/json"
    assert [message["role"] for message in to_body(entry)["messages"]] == ["system", "user", "assistant", "user"]
    assert to_body(entry)["max_tokens"] == 50
    assert "temperature" not in to_body(entry)


async def test_without_a_model_the_default_answers(bot: OpenAIBot, llm: Running) -> None:
    await hear(bot, Prompt(message="Hello"))
    [entry] = asked(llm)
    assert to_body(entry)["model"] == "gpt-4"
    assert "x-request-id" not in entry.headers


async def test_burst_is_one_piece(bot: OpenAIBot) -> None:
    heard = await hear(bot, "[[pieces=500]]")
    assert len(heard.texts) <= 5
    assert heard.finished is not None


async def test_slow_words_are_heard_as_they_come(bot: OpenAIBot, llm: Running) -> None:
    async with talking(bot, "[[text=one two three&hold=words]]") as pieces:
        for word in ("one ", "two ", "three"):
            await let_go(llm, "words", pieces=1)
            assert await anext(pieces) == Text(word)


async def test_thoughts_are_told_apart(bot: OpenAIBot) -> None:
    heard = await hear(bot, "[[reasoning=Rivers are long&text=The Loire.]]")
    assert (heard.reasoning, heard.text) == ("Rivers are long", "The Loire.")


async def test_tool_call_that_nobody_offered_ends_without_text(bot: OpenAIBot) -> None:
    heard = await hear(bot, "[[tool=look_up]]")
    assert heard.text == ""
    assert heard.finished is not None
    assert heard.finished.reason == "tool_calls"


async def test_large_history_is_sent_whole(bot: OpenAIBot, llm: Running) -> None:
    history = tuple(Past(number, "user", "x" * 10_000, 2500) for number in range(150))
    assert (await hear(bot, Prompt(message="Hello", history=history, model="gpt-4"))).text == "You said: Hello"
    [entry] = asked(llm)
    assert len(to_body(entry)["messages"]) == 151


@pytest.mark.parametrize("fault", FINE_ODDITIES)
async def test_odd_but_whole_stream_is_heard_whole(bot: OpenAIBot, fault: str) -> None:
    heard = await hear(bot, f"[[fault={fault}&text=Über die Brücke 🥐 und zurück]]")
    assert heard.text == "Über die Brücke 🥐 und zurück"
    assert heard.finished is not None


@pytest.mark.parametrize("fault", ["emoji-cut", "bytes-cut"])
async def test_cut_character_is_joined(bot: OpenAIBot, fault: str) -> None:
    heard = await hear(bot, f"[[fault={fault}&text=one two&after=1]]")
    assert heard.text == "one 😀two"
    assert heard.finished is not None


async def test_empty_reply_is_finished_without_text(bot: OpenAIBot) -> None:
    heard = await hear(bot, "[[fault=empty]]")
    assert heard.texts == []
    assert heard.finished is not None


@pytest.mark.parametrize("fault", BEFORE_THE_FIRST_PIECE)
async def test_passing_failure_is_tried_three_times(bot: OpenAIBot, llm: Running, naps: Naps, fault: str) -> None:
    heard = await hear(bot, f"[[fault={fault}]]")
    assert heard.pieces == []
    assert heard.error is not None
    assert heard.error.cause == "unavailable"
    assert len(asked(llm)) == 3
    assert len(naps.seconds) == 2


@pytest.mark.parametrize("fault", BEFORE_THE_FIRST_PIECE)
async def test_failure_that_passes_is_not_noticed(bot: OpenAIBot, llm: Running, fault: str) -> None:
    heard = await hear(bot, f"[[fault={fault}&times=2&text=Here I am.]]")
    assert heard.text == "Here I am."
    assert heard.error is None
    assert len(asked(llm)) == 3


async def test_waits_as_long_as_the_server_asks_for(bot: OpenAIBot, naps: Naps) -> None:
    await hear(bot, "[[fault=429-retry-after&retry_after=3&times=1]]")
    assert naps.seconds == [3.5]


async def test_waits_ever_longer_where_the_server_asks_for_nothing(bot: OpenAIBot, naps: Naps) -> None:
    await hear(bot, "[[fault=503]]")
    assert naps.seconds == [0.5, 1.0]


async def test_cut_stream_ends_without_finishing(bot: OpenAIBot, warnings: pytest.LogCaptureFixture) -> None:
    heard = await hear(bot, "[[fault=cut&text=one two three&after=2]]")
    assert heard.text == "one two "
    assert heard.finished is None
    assert heard.error is None
    assert "without a finish mark" in warnings.text


@pytest.mark.parametrize("fault", ["reset", "malformed", "oversized", "error-in-stream"])
async def test_broken_stream_fails_after_what_it_said(bot: OpenAIBot, fault: str) -> None:
    heard = await hear(bot, f"[[fault={fault}&text=one two three&after=2]]")
    assert heard.text == "one two "
    assert heard.finished is None
    assert heard.error is not None
    assert heard.error.cause == "unavailable"


@pytest.mark.parametrize("fault", ["cut", "reset", "malformed", "oversized", "error-in-stream"])
async def test_nobody_is_asked_again_once_something_was_said(bot: OpenAIBot, llm: Running, fault: str) -> None:
    await hear(bot, f"[[fault={fault}&text=one two three&after=1]]")
    assert len(asked(llm)) == 1


async def test_page_instead_of_a_stream_is_a_failure(bot: OpenAIBot) -> None:
    heard = await hear(bot, "[[fault=html]]")
    assert heard.pieces == []
    assert heard.error is not None


@pytest.mark.parametrize("fault", [*BEFORE_THE_FIRST_PIECE, "malformed", "error-in-stream", "html"])
async def test_vendors_words_are_in_the_log_alone(
    bot: OpenAIBot, warnings: pytest.LogCaptureFixture, fault: str
) -> None:
    heard = await hear(bot, f"[[fault={fault}&text=one two]]")
    assert heard.error is not None
    assert SECRET in warnings.text
    assert SECRET not in repr(heard)
    assert heard.error.__cause__ is None
    assert heard.error.__context__ is None
    assert {record.__dict__["request_id"] for record in warnings.records} == {REQUEST_ID}
    assert all(REQUEST_ID in record.message and len(record.message) < 700 for record in warnings.records)


async def test_stream_options_are_left_out_from_then_on_where_they_are_refused(bot: OpenAIBot, llm: Running) -> None:
    await hear(bot, "[[fault=reject-stream-options&text=one]]")
    await hear(bot, "[[fault=reject-stream-options&text=two]]")
    assert ["stream_options" in to_body(entry) for entry in asked(llm)] == [True, False, False]


async def test_field_that_a_model_does_not_take_is_left_out_from_then_on() -> None:
    refusal = to_response(400, b'{"error":{"param":"max_tokens","code":"unsupported_parameter"}}')

    def answer(request: Asked) -> Steps:
        return [refusal if b'"max_tokens"' in request.body else to_stream(says("Hello"), STOPS, DONE)]

    async with small_server(answer) as server, Upstream(server.url) as upstream:
        prompt = Prompt(message="Hello", model="gpt-5-nano", speaking=Speaking(max_tokens=50))
        for _ in range(2):
            assert (await hear(to_bot(upstream), prompt)).text == "Hello"
        assert [b'"max_completion_tokens":50' in request.body for request in server.asked] == [False, True, True]
        assert b"stream_options" in server.asked[-1].body


async def test_cache_key_is_left_out_from_then_on_for_all_models_of_a_server_that_refuses_it() -> None:
    refusal = to_response(422, b'{"detail":[{"type":"extra_forbidden","loc":["body","prompt_cache_key"]}]}')

    def answer(request: Asked) -> Steps:
        return [refusal if b'"prompt_cache_key"' in request.body else to_stream(says("Hello"), STOPS, DONE)]

    async with small_server(answer) as server, Upstream(server.url) as upstream:
        for model in ("gpt-4", "gpt-4", "mistral"):
            prompt = Prompt(message="Hello", model=model, cache_key="4f2a")
            assert (await hear(to_bot(upstream), prompt)).text == "Hello"
        assert [b'"prompt_cache_key":"4f2a"' in request.body for request in server.asked] == [True, False, False, False]
        assert b"stream_options" in server.asked[-1].body


async def test_wrong_key_is_refused_at_once_and_stays_out_of_the_log(warnings: pytest.LogCaptureFixture) -> None:
    async with (
        running(Options(port=0, api_key="right-key")) as llm,
        Upstream(llm.url, api_key="wrong-key") as upstream,
    ):
        heard = await hear(to_bot(upstream), "Hello")
        assert heard.error is not None
        assert heard.error.cause == "refused"
        assert len(asked(llm)) == 1
    assert "401" in warnings.text
    assert "wrong-key" not in warnings.text + repr(upstream) + repr(vars(heard.error))


async def test_key_that_a_vendor_repeats_stays_out_of_the_log(warnings: pytest.LogCaptureFixture) -> None:
    def answer(request: Asked) -> Steps:
        return [to_response(401, f"Bad key:\n{request.headers['authorization']}".encode())]

    async with small_server(answer) as server, Upstream(server.url, api_key="sk-123") as upstream:
        await hear(to_bot(upstream), "Hello")
    assert "answers 401: Bad key: Bearer (secret)" in warnings.text
    assert "sk-123" not in warnings.text


async def test_right_key_is_accepted() -> None:
    async with (
        running(Options(port=0, api_key="right-key")) as llm,
        Upstream(llm.url, api_key="right-key") as upstream,
    ):
        assert (await hear(to_bot(upstream), "Hello")).text == "You said: Hello"


async def test_server_that_is_not_there_is_tried_three_times(naps: Naps, warnings: pytest.LogCaptureFixture) -> None:
    async with running(Options(port=0)) as llm:
        gone = llm.url
    async with Upstream(gone) as upstream:
        heard = await hear(to_bot(upstream, naps.backoff()), "Hello")
    assert heard.error is not None
    assert heard.error.cause == "unavailable"
    assert len(naps.seconds) == 2
    assert "ClientConnectorError" in warnings.text


async def test_connection_lost_before_an_answer_is_tried_again(naps: Naps) -> None:
    answers: list[Steps] = [[None], [None], [to_stream(says("Hello"), STOPS, DONE)]]
    async with (
        small_server(lambda _: answers.pop(0)) as server,
        Upstream(server.url) as upstream,
    ):
        assert (await hear(to_bot(upstream, naps.backoff()), "Hello")).text == "Hello"
        assert len(server.asked) == 3


async def test_number_of_tries_can_be_set() -> None:
    naps = Naps()
    async with small_server(lambda _: [to_response(503, b"")]) as server:
        async with Upstream(server.url) as upstream:
            assert (await hear(to_bot(upstream, naps.backoff(tries=1)), "Hello")).error is not None
        assert len(server.asked) == 1
    assert naps.seconds == []


async def test_what_came_before_a_reset_is_kept_by_a_slow_reader(bot: OpenAIBot, llm: Running) -> None:
    async with talking(bot, "[[fault=reset&text=one two three&after=2&hold=words]]") as pieces:
        await let_go(llm, "words", pieces=1)
        assert await anext(pieces) == Text("one ")
        await let_go(llm, "words", pieces=1)
        await llm.stand_in.record.wait_for("ended")
        # The reset is on its way to this very loop, which needs a few rounds to notice it.
        for _ in range(20):
            await asyncio.sleep(0)
        assert await anext(pieces) == Text("two ")
        with pytest.raises(BotUnavailable):
            await anext(pieces)


BEGUN = b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        [to_stream(says("one"), STOPS)],
        [BEGUN, b"data: " + says("one") + b"\n\n", b"data: " + STOPS + b"\n\n", None],
    ],
)
async def test_finish_mark_counts_without_done(answer: Steps) -> None:
    async with small_server(lambda _: answer) as server, Upstream(server.url) as upstream:
        heard = await hear(to_bot(upstream), "Hello")
    assert heard.text == "one"
    assert heard.finished is not None


async def test_stream_that_never_ends_after_its_finish_mark_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "LAST_SECONDS", 0.02)
    begun = b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\ndata: " + says("one") + b"\n\ndata: " + STOPS + b"\n\n"
    async with small_server(lambda _: [begun]) as server, Upstream(server.url) as upstream:
        heard = await hear(to_bot(upstream), "Hello")
    assert heard.text == "one"
    assert heard.finished is not None


async def test_done_without_a_finish_mark_is_not_finished() -> None:
    async with small_server(lambda _: [to_stream(says("one"), DONE)]) as server, Upstream(server.url) as upstream:
        heard = await hear(to_bot(upstream), "Hello")
    assert heard.text == "one"
    assert heard.finished is None
    assert heard.error is None


async def test_connection_is_used_again_after_a_whole_reply() -> None:
    whole = to_stream(says("one"), STOPS, USAGE, DONE)
    async with small_server(lambda _: [whole]) as server, Upstream(server.url) as upstream:
        for _ in range(3):
            await hear(to_bot(upstream), "Hello")
        assert [request.connection for request in server.asked] == [1, 1, 1]


async def test_connection_is_used_again_where_its_end_comes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    # It comes as soon as it is asked for, however long that takes.
    monkeypatch.setattr("palaver.bots.upstream._SETTLE_SECONDS", 60)
    said = asyncio.Event()

    def answer(_: Asked) -> Steps:
        body = b"".join(b"data: " + event + b"\n\n" for event in (says("one"), STOPS, DONE))
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        return [head + b"%x\r\n%b\r\n" % (len(body), body), said, b"0\r\n\r\n"]

    async with small_server(answer) as server, Upstream(server.url) as upstream:
        for _ in range(3):
            said.clear()
            async with talking(to_bot(upstream), "Hello") as pieces:
                assert await anext(pieces) == Text("one")
                said.set()
                assert isinstance(await anext(pieces), Finished)
        assert [request.connection for request in server.asked] == [1, 1, 1]


# Neither says anything more, so that nothing but leaving can close it.
@pytest.mark.parametrize("script", ["fault=stall&after=1", "text=one two three four&delay=3600"])
async def test_leaving_a_reply_closes_its_connection(bot: OpenAIBot, llm: Running, script: str) -> None:
    async with talking(bot, f"[[{script}]]") as pieces:
        assert isinstance(await anext(pieces), Text)
    await llm.stand_in.record.wait_for("closed")


@pytest.mark.parametrize("fault", ["stall", "no-first-byte", "headers-only"])
async def test_cancelling_a_reply_closes_its_connection(bot: OpenAIBot, llm: Running, fault: str) -> None:
    reply = asyncio.create_task(hear(bot, to_prompt(f"[[fault={fault}&text=one two&after=1]]")))
    await llm.stand_in.record.wait_for("arrived")
    reply.cancel()
    await llm.stand_in.record.wait_for("closed")
    with pytest.raises(asyncio.CancelledError):
        await reply


async def test_more_than_a_hundred_replies_run_at_once(bot: OpenAIBot, llm: Running) -> None:
    replies = [asyncio.create_task(hear(bot, "[[fault=headers-only]]")) for _ in range(150)]
    await llm.stand_in.record.wait_for("arrived", count=150)
    for reply in replies:
        reply.cancel()
    await asyncio.wait(replies)
