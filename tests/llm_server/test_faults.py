"""Each fault as the bytes on the wire, for a stream and for an answer in one piece."""

import re
from typing import Any

import pytest

from palaver.llm_server import Running
from palaver.llm_server.responses import SECRET
from palaver.llm_server.script import FAULTS

from .asking import CHAT, chat, stream
from .client import Client, connected

REFUSALS = ["429", "429-retry-after", "500", "503", "html"]
HANGING = ["no-first-byte", "headers-only", "stall"]
ODD = [
    "malformed",
    "one-byte",
    "crlf",
    "comments",
    "emoji-cut",
    "bytes-cut",
    "oversized",
    "empty",
    "wrong-type",
    "no-usage",
    "slow-headers",
]
BROKEN_STREAM = ["cut", "error-in-stream"]
DONE = b"data: [DONE]\n\n\r\n0\r\n\r\n"


def failing(fault: str, **more: Any) -> dict[str, Any]:
    return stream(model=f"gpt-4?text=abcdef&pieces=6&fault={fault}&after=2", **more)


def failing_whole(fault: str, **more: Any) -> dict[str, Any]:
    return chat(model=f"gpt-4?text=abcdef&fault={fault}", **more)


def test_every_fault_is_promised_something_here() -> None:
    promised = [*REFUSALS, *HANGING, *ODD, *BROKEN_STREAM, "reset", "reject-stream-options"]
    assert sorted(promised) == sorted(FAULTS)


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(("fault", "status"), [("429", 429), ("429-retry-after", 429), ("500", 500), ("503", 503)])
async def test_refusal_is_an_openai_error_with_its_status(
    client: Client, fault: str, status: int, streamed: bool
) -> None:
    answer = await client.post(CHAT, chat(model=f"gpt-4?fault={fault}", stream=streamed))
    assert answer.status == status
    assert SECRET in answer.json["error"]["message"]
    assert set(answer.json["error"]) == {"message", "type", "param", "code"}


async def test_only_the_one_429_says_when_to_come_back(client: Client) -> None:
    without = await client.post(CHAT, failing("429"))
    usual = await client.post(CHAT, failing("429-retry-after"))
    chosen = await client.post(CHAT, failing("429-retry-after&retry_after=17"))
    assert "retry-after" not in without.headers
    assert usual.headers["retry-after"] == "1"
    assert chosen.headers["retry-after"] == "17"


@pytest.mark.parametrize("streamed", [True, False])
async def test_html_is_a_page_where_an_answer_should_be(client: Client, streamed: bool) -> None:
    answer = await client.post(CHAT, chat(model="gpt-4?fault=html", stream=streamed))
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert SECRET.encode() in answer.body


@pytest.mark.parametrize("fault", REFUSALS)
async def test_connection_stays_usable_after_a_refusal(client: Client, llm: Running, fault: str) -> None:
    await client.post(CHAT, failing(fault))
    assert (await client.post(CHAT, stream())).data[-1] == b"[DONE]"
    assert [entry.outcome for entry in llm.stand_in.record.entries] == ["fault", "complete"]


@pytest.mark.parametrize("ask", [failing, failing_whole])
async def test_no_first_byte_takes_the_request_and_says_nothing(client: Client, llm: Running, ask: Any) -> None:
    client.send("POST", CHAT, ask("no-first-byte"))
    [entry] = await llm.stand_in.record.wait_for("ended")
    assert entry.outcome == "fault"
    assert entry.first_byte_at is None
    assert await client.hang_up() == b""


@pytest.mark.parametrize("ask", [failing, failing_whole])
async def test_headers_only_never_sends_a_byte_of_the_body(client: Client, llm: Running, ask: Any) -> None:
    client.send("POST", CHAT, ask("headers-only"))
    assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    await llm.stand_in.record.wait_for("ended")
    assert await client.hang_up() == b""


async def test_stalled_stream_says_its_pieces_and_stays_open(client: Client, llm: Running) -> None:
    client.send("POST", CHAT, failing("stall"))
    await client.until(b'"delta":{"content":"b"}')
    [entry] = await llm.stand_in.record.wait_for("ended")
    assert entry.pieces_sent == 2
    assert not client.lost.done()
    assert b"data:" not in await client.hang_up()


async def test_stalled_answer_says_its_first_half(client: Client, llm: Running) -> None:
    client.send("POST", CHAT, failing_whole("stall"))
    head = await client.until(b"\r\n\r\n")
    await llm.stand_in.record.wait_for("ended")
    half = await client.hang_up()
    assert len(half) == _content_length(head) // 2


@pytest.mark.parametrize("after", [0, 1, 5])
async def test_cut_stream_ends_cleanly_without_a_finish(client: Client, llm: Running, after: int) -> None:
    answer = await client.post(CHAT, stream(model=f"gpt-4?text=abcdef&pieces=6&fault=cut&after={after}"))
    assert "".join(answer.texts) == "abcdef"[:after]
    assert all(event["choices"][0]["finish_reason"] is None for event in answer.events)
    assert b"[DONE]" not in answer.body
    [entry] = llm.stand_in.record.entries
    assert (entry.outcome, entry.pieces_sent) == ("fault", after)


async def test_cut_that_comes_after_all_pieces_still_has_no_finish(client: Client) -> None:
    answer = await client.post(CHAT, stream(model="gpt-4?text=abc&pieces=3&fault=cut&after=99"))
    assert answer.texts == ["a", "b", "c"]
    assert answer.data[-1] != b"[DONE]"


async def test_cut_answer_is_closed_in_its_middle(client: Client) -> None:
    client.send("POST", CHAT, failing_whole("cut"))
    head = await client.until(b"\r\n\r\n")
    assert len(await client.rest()) == _content_length(head) // 2


@pytest.mark.parametrize("ask", [failing, failing_whole])
async def test_reset_is_a_reset_and_not_a_close(client: Client, llm: Running, ask: Any) -> None:
    client.send("POST", CHAT, ask("reset"))
    await client.until(b"\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await client.rest()
    [entry] = llm.stand_in.record.entries
    assert (entry.outcome, entry.peer_closed_at) == ("fault", None)


async def test_reset_stream_said_its_pieces_before(client: Client) -> None:
    client.send("POST", CHAT, failing("reset"))
    said = await client.until(b'"delta":{"content":"b"}')
    assert said.count(b"data:") == 3


async def test_malformed_line_comes_in_a_stream_that_is_otherwise_whole(client: Client) -> None:
    answer = await client.post(CHAT, failing("malformed"))
    broken = answer.data.pop(3)
    texts = [data for data in answer.data if b'"content":"' in data and SECRET.encode() not in data]
    assert answer.data[3] == broken == b'{"choices":[{"index":0,"delta":{"content":"VENDORSECRET'
    assert len(texts) == 1 + 6
    assert answer.data[-1] == b"[DONE]"


async def test_malformed_answer_is_no_json(client: Client) -> None:
    answer = await client.post(CHAT, failing_whole("malformed"))
    assert answer.headers["content-type"] == "application/json"
    assert answer.body.endswith(SECRET.encode())


@pytest.mark.parametrize("ask", [stream, chat])
async def test_one_byte_is_the_usual_answer_byte_by_byte(writes: list[bytes], client: Client, ask: Any) -> None:
    usual = await client.post(CHAT, ask(model="gpt-4?text=abc&pieces=2"))
    writes.clear()
    client.arrivals.clear()
    answer = await client.post(CHAT, ask(model="gpt-4?text=abc&pieces=2&fault=one-byte"))
    assert _without_number(answer.body) == _without_number(usual.body)
    assert b"".join(writes) == b"".join(client.arrivals)
    assert {len(write) for write in writes} == {1}


async def test_crlf_ends_every_line_of_the_stream(client: Client) -> None:
    answer = await client.post(CHAT, failing("crlf"))
    assert answer.body.count(b"\r\n\r\n") == len(answer.data)
    assert b"\n" not in answer.body.replace(b"\r\n", b"")
    assert "".join(answer.texts) == "abcdef"
    assert answer.data[-1] == b"[DONE]"


async def test_comments_begin_with_a_mark_and_come_between_events(client: Client) -> None:
    answer = await client.post(CHAT, failing("comments"))
    assert answer.body.startswith(b"\xef\xbb\xbf: OPENROUTER PROCESSING\n\ndata:{")
    assert answer.body.count(b": OPENROUTER PROCESSING\n\n") == len(answer.data)
    assert b"\n\ndata: {" in answer.body
    assert "".join(answer.texts) == "abcdef"


async def test_emoji_is_cut_into_two_halves_in_a_row(client: Client) -> None:
    answer = await client.post(CHAT, failing("emoji-cut"))
    assert rb'"content":"\ud83d"' in answer.data[3]
    assert rb'"content":"\ude00"' in answer.data[4]
    assert answer.data[-1] == b"[DONE]"


async def test_emoji_of_an_answer_in_one_piece_lacks_its_second_half(client: Client) -> None:
    assert rb'"content":"\ud83d"}' in (await client.post(CHAT, failing_whole("emoji-cut"))).body


async def test_character_is_cut_over_two_writes(writes: list[bytes], client: Client) -> None:
    answer = await client.post(CHAT, failing("bytes-cut"))
    cut = next(i for i, chunk in enumerate(answer.chunks) if chunk.endswith("😀".encode()[:2]))
    assert answer.chunks[cut + 1].startswith("😀".encode()[2:])
    assert answer.texts == ["a", "b", "😀", "c", "d", "e", "f"]
    assert any(write.rstrip(b"\r\n").endswith("😀".encode()[:2]) for write in writes)


async def test_character_of_an_answer_in_one_piece_is_cut_over_two_writes(writes: list[bytes], client: Client) -> None:
    answer = await client.post(CHAT, failing_whole("bytes-cut"))
    assert answer.json["choices"][0]["message"]["content"] == "😀"
    assert writes[0][-2:] == "😀".encode()[:2]


async def test_oversized_is_one_line_of_ten_mebibytes(client: Client) -> None:
    answer = await client.post(CHAT, failing("oversized"))
    longest = max(answer.body.split(b"\n\n"), key=len)
    assert len(longest + b"\n\n") == 10 * 1024 * 1024
    assert answer.texts[:2] + answer.texts[3:] == ["a", "b", "c", "d", "e", "f"]


async def test_oversized_answer_says_ten_mebibytes(client: Client) -> None:
    answer = await client.post(CHAT, failing_whole("oversized"))
    assert len(answer.json["choices"][0]["message"]["content"]) == 10 * 1024 * 1024


async def test_error_in_a_stream_is_its_last_event(client: Client) -> None:
    answer = await client.post(CHAT, failing("error-in-stream"))
    assert answer.status == 200
    assert SECRET in answer.events[-1]["error"]["message"]
    assert len(answer.data) == 1 + 2 + 1


async def test_error_in_one_piece_comes_with_status_200(client: Client) -> None:
    answer = await client.post(CHAT, failing_whole("error-in-stream"))
    assert answer.status == 200
    assert SECRET in answer.json["error"]["message"]


async def test_empty_finishes_without_a_word(client: Client) -> None:
    answer = await client.post(CHAT, failing("empty"))
    whole = await client.post(CHAT, failing_whole("empty"))
    assert answer.texts == []
    assert answer.events[-1]["choices"][0]["finish_reason"] == "stop"
    assert answer.data[-1] == b"[DONE]"
    assert whole.json["choices"][0]["message"]["content"] == ""


async def test_wrong_type_says_that_a_stream_is_json_and_json_text(client: Client) -> None:
    answer = await client.post(CHAT, failing("wrong-type"))
    whole = await client.post(CHAT, failing_whole("wrong-type"))
    assert answer.headers["content-type"] == "application/json"
    assert "".join(answer.texts) == "abcdef"
    assert whole.headers["content-type"] == "text/plain"
    assert whole.json["choices"][0]["message"]["content"] == "abcdef"


async def test_no_usage_is_told_also_where_it_was_asked_for(client: Client) -> None:
    answer = await client.post(CHAT, failing("no-usage", stream_options={"include_usage": True}))
    whole = await client.post(CHAT, failing_whole("no-usage"))
    assert all(event.get("usage") is None for event in answer.events)
    assert "usage" not in whole.json


async def test_stream_options_are_rejected_and_nothing_else(client: Client) -> None:
    rejected = await client.post(CHAT, failing("reject-stream-options", stream_options={"include_usage": True}))
    accepted = await client.post(CHAT, failing("reject-stream-options"))
    assert rejected.status == 400
    assert SECRET in rejected.json["error"]["message"]
    assert "".join(accepted.texts) == "abcdef"


@pytest.mark.parametrize("ask", [failing, failing_whole])
async def test_slow_headers_come_line_by_line(writes: list[bytes], client: Client, ask: Any) -> None:
    assert (await client.post(CHAT, ask("slow-headers"))).status == 200
    assert writes[0] == b"HTTP/1.1 200 OK\r\n"
    assert writes[1].startswith(b"content-type: ")


@pytest.mark.parametrize("fault", ODD)
async def test_odd_answers_come_to_their_end(client: Client, llm: Running, fault: str) -> None:
    client.send("POST", CHAT, failing(fault))
    await client.until(b"[DONE]")
    [entry] = await llm.stand_in.record.wait_for("ended")
    assert (entry.outcome, entry.fault) == ("complete", fault)


@pytest.mark.parametrize("fault", HANGING)
async def test_hanging_answer_notes_when_the_peer_gives_up(client: Client, llm: Running, fault: str) -> None:
    client.send("POST", CHAT, failing(fault))
    await llm.stand_in.record.wait_for("ended")
    client.close()
    [entry] = await llm.stand_in.record.wait_for("closed")
    assert entry.outcome == "fault"


@pytest.mark.parametrize("fault", REFUSALS)
async def test_embeddings_are_refused_alike(client: Client, fault: str) -> None:
    model = f"embedder?fault={fault}"
    chat_answer = await client.post(CHAT, chat(model=model))
    answer = await client.post("/embeddings", {"model": model, "input": "x"})
    assert (answer.status, answer.headers, answer.body) == (chat_answer.status, chat_answer.headers, chat_answer.body)


async def test_embeddings_can_be_broken(client: Client) -> None:
    answer = await client.post("/embeddings", {"model": "embedder?fault=malformed", "input": "x"})
    assert answer.body.endswith(SECRET.encode())


async def test_models_can_hang(llm: Running) -> None:
    async with connected(llm.port) as client:
        await client.post("/_control", {"fault": "headers-only", "on": "models"})
        client.send("GET", "/models")
        await client.until(b"\r\n\r\n")
        assert await client.hang_up() == b""


def _content_length(head: bytes) -> int:
    return int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])


def _without_number(body: bytes) -> bytes:
    """The body without what differs from request to request."""
    return re.sub(rb'"id":"chatcmpl-\d+"|"created":\d+', b"", body)
