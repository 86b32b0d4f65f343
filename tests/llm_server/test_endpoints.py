"""What any client of an OpenAI server may expect."""

from base64 import b64decode
from contextlib import AsyncExitStack
from struct import unpack

import pytest

from palaver.llm_server import Options, running
from palaver.llm_server.responses import SECRET

from .asking import CHAT, chat, stream
from .client import Client, connected


@pytest.mark.parametrize("prefix", ["", "/v1"])
async def test_each_endpoint_answers_with_and_without_the_prefix(client: Client, prefix: str) -> None:
    answers = [
        await client.get(f"{prefix}/models"),
        await client.get(f"{prefix}/health"),
        await client.post(f"{prefix}/chat/completions", chat()),
        await client.post(f"{prefix}/embeddings", {"model": "e", "input": "hello"}),
    ]
    assert [answer.status for answer in answers] == [200, 200, 200, 200]


@pytest.mark.parametrize(
    ("served", "there", "gone"), [("v1", "/v1/models", "/models"), ("none", "/models", "/v1/models")]
)
async def test_one_prefix_alone_can_be_served(served: str, there: str, gone: str) -> None:
    options = Options(port=0, prefix="v1" if served == "v1" else "none")
    async with running(options) as llm, connected(llm.port) as client:
        assert (await client.get(there)).status == 200
        assert (await client.get(gone)).status == 404


async def test_models_are_those_offered() -> None:
    async with running(Options(port=0, models=("a", "b"))) as llm, connected(llm.port) as client:
        listed = (await client.get("/v1/models")).json
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["a", "b"]


async def test_models_for_embeddings_are_listed_too_and_known_where_the_server_is_strict() -> None:
    options = Options(port=0, models=("a",), embedding_models=("e",), strict_models=True)
    async with running(options) as llm, connected(llm.port) as client:
        listed = (await client.get("/v1/models")).json["data"]
        assert [model["id"] for model in listed] == ["a", "e"]
        assert (await client.post("/v1/embeddings", {"model": "e", "input": "x"})).status == 200
        assert (await client.post("/v1/embeddings", {"model": "f", "input": "x"})).status == 404
        assert (await client.post(CHAT, chat(model="e"))).status == 404


async def test_a_model_that_is_not_offered_answers_unless_the_server_is_strict(client: Client) -> None:
    assert (await client.post(CHAT, chat(model="other"))).status == 200
    async with running(Options(port=0, strict_models=True)) as llm, connected(llm.port) as strict:
        assert (await strict.post(CHAT, chat(model="other"))).json["error"]["code"] == "model_not_found"
        assert (await strict.post(CHAT, chat(model="gpt-4?pieces=3"))).status == 200


async def test_reply_repeats_what_the_user_said_last(client: Client) -> None:
    asked = {
        "model": "gpt-4",
        "messages": [
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "You said: first"},
            {"role": "user", "content": [{"type": "text", "text": "second"}]},
        ],
    }
    answer = (await client.post(CHAT, asked)).json
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "You said: second"}
    assert answer["choices"][0]["finish_reason"] == "stop"


async def test_stream_names_the_role_says_its_pieces_finishes_and_is_done(client: Client) -> None:
    answer = await client.post(CHAT, stream("hello there"))
    assert answer.headers["content-type"] == "text/event-stream"
    first, *pieces, last = answer.events
    assert first["object"] == "chat.completion.chunk"
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [piece["choices"][0]["delta"]["content"] for piece in pieces] == ["You ", "said: ", "hello ", "there"]
    assert [piece["choices"][0]["finish_reason"] for piece in pieces] == [None] * 4
    assert last["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    assert answer.data[-1] == b"[DONE]"


async def test_stream_reads_the_same_however_slowly_it_is_told(client: Client) -> None:
    at_once = await client.post(CHAT, stream(stream_options={"include_usage": True}))
    slowly = await client.post(CHAT, stream(model="gpt-4?delay=0.002", stream_options={"include_usage": True}))
    assert [event["choices"] for event in slowly.events] == [event["choices"] for event in at_once.events]
    assert len(slowly.chunks) > len(at_once.chunks)


async def test_usage_comes_last_and_without_choices_when_it_was_asked_for(client: Client) -> None:
    answer = await client.post(CHAT, stream("hello", stream_options={"include_usage": True}))
    assert answer.events[-1]["choices"] == []
    assert answer.events[-1]["usage"] == {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    assert all(event["usage"] is None for event in answer.events[:-1])


async def test_stream_without_the_wish_tells_no_usage(client: Client) -> None:
    assert all("usage" not in event for event in (await client.post(CHAT, stream())).events)


async def test_answer_in_one_piece_tells_the_same_usage_as_its_stream(client: Client) -> None:
    whole = (await client.post(CHAT, chat("how are you"))).json["usage"]
    streamed = (await client.post(CHAT, stream("how are you", stream_options={"include_usage": True}))).events[-1]
    assert whole == streamed["usage"]


async def test_tools_are_accepted(client: Client) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    assert (await client.post(CHAT, chat("hello", tools=[tool]))).status == 200


async def test_texts_that_share_words_are_nearer(client: Client) -> None:
    texts = ["the cat sat on the mat", "a cat sat on a chair", "quarterly revenue rose sharply"]
    listed = (await client.post("/v1/embeddings", {"model": "e", "input": texts})).json["data"]
    cat, other_cat, revenue = (item["embedding"] for item in listed)
    assert [item["index"] for item in listed] == [0, 1, 2]
    assert _product(cat, other_cat) > _product(cat, revenue) + 0.2


async def test_forms_of_a_word_and_parts_of_a_compound_are_near(client: Client) -> None:
    texts = ["Versicherung", "Versicherungen", "Haftpflichtversicherung", "Kartoffelsalat"]
    listed = (await client.post("/v1/embeddings", {"model": "e", "input": texts})).json["data"]
    one, form, compound, other = (item["embedding"] for item in listed)
    assert min(_product(one, form), _product(one, compound)) > _product(one, other) + 0.2


@pytest.mark.parametrize("given", [[], [""] * 2049, None, 7, [{"text": "x"}]])
async def test_embeddings_of_what_is_no_text_are_refused(client: Client, given: object) -> None:
    answer = await client.post("/v1/embeddings", {"model": "e", "input": given})
    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"


async def test_embedding_has_length_one_and_is_always_the_same(client: Client) -> None:
    first = (await client.post("/v1/embeddings", {"model": "e", "input": "hello world"})).json
    again = (await client.post("/v1/embeddings", {"model": "e", "input": ["hello world"]})).json
    vector = first["data"][0]["embedding"]
    assert len(vector) == 384
    assert _product(vector, vector) == pytest.approx(1)
    assert first == again


@pytest.mark.parametrize("text", ["", "...", "12", "ünïcode 😀"])
async def test_any_text_has_an_embedding(client: Client, text: str) -> None:
    vector = (await client.post("/embeddings", {"model": "e", "input": text, "dimensions": 16})).json["data"][0][
        "embedding"
    ]
    assert len(vector) == 16
    assert _product(vector, vector) == pytest.approx(1)


async def test_embedding_in_base64_is_the_same_in_single_precision(client: Client) -> None:
    asked = {"model": "e", "input": [[1, 2], [3]]}
    plain = (await client.post("/embeddings", asked)).json["data"]
    packed = (await client.post("/embeddings", {**asked, "encoding_format": "base64"})).json["data"]
    assert unpack("<384f", b64decode(packed[1]["embedding"])) == pytest.approx(plain[1]["embedding"])


async def test_wrong_or_missing_key_is_turned_away_as_openai_does() -> None:
    async with running(Options(port=0, api_key="right")) as llm, connected(llm.port) as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "right"}):
            answer = await client.post(CHAT, chat(), headers=headers)
            assert answer.status == 401
            assert answer.json["error"]["code"] == "invalid_api_key"
            assert SECRET in answer.json["error"]["message"]
        assert (await client.get("/v1/models")).status == 401
        assert (await client.get("/health")).status == 200
        assert (await client.post(CHAT, chat(), headers={"authorization": "Bearer right"})).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"model": "gpt-4"},
        {"model": 4, "messages": []},
        "text",
        {"model": "gpt-4", "messages": [{"content": "no role"}]},
    ],
)
async def test_body_that_is_no_request_is_told_so(client: Client, body: object) -> None:
    answer = await client.post(CHAT, body)
    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"


async def test_body_that_is_no_text_is_told_so(client: Client) -> None:
    body = b'{"model":"gpt-4","messages":[{"role":"user","content":"\xff"}]}'
    client.send_raw(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    assert (await client.response()).status == 400


async def test_connection_serves_many_requests_also_when_all_are_sent_at_once(client: Client) -> None:
    client.send("POST", CHAT, stream("one", model="gpt-4?delay=0.001"))
    client.send("POST", CHAT, stream("two"))
    client.send("POST", CHAT, chat("three"))
    assert (await client.response()).texts == ["You ", "said: ", "one"]
    assert (await client.response()).texts == ["You ", "said: ", "two"]
    assert (await client.response()).json["choices"][0]["message"]["content"] == "You said: three"


async def test_connection_closes_after_the_answer_when_asked_to(client: Client) -> None:
    assert (await client.post(CHAT, stream(), headers={"Connection": "close"})).data[-1] == b"[DONE]"
    assert await client.rest() == b""


async def test_what_is_no_http_is_answered_and_closed(client: Client) -> None:
    client.send_raw(b"HELO llm\r\n\r\n")
    assert b"400 Bad Request" in await client.rest()


async def test_cached_tokens_are_the_front_that_was_seen_before() -> None:
    async with running(Options(port=0, prompt_cache=True)) as llm, connected(llm.port) as client:
        history = [{"role": "user", "content": f"{number:04}" * 250} for number in range(10)]
        first = await _cached_tokens(client, "gpt-4", history[:6])
        longer = await _cached_tokens(client, "gpt-4", history)
        same = await _cached_tokens(client, "gpt-4", history)
        other_front = await _cached_tokens(client, "gpt-4", history[1:])
        other_model = await _cached_tokens(client, "gpt-4o-mini", history)
    assert first == 0
    assert longer == 1536
    assert same == 2560
    assert other_front == 0
    assert other_model == 0


async def test_short_prompts_are_not_cached() -> None:
    async with running(Options(port=0, prompt_cache=True)) as llm, connected(llm.port) as client:
        history = [{"role": "user", "content": "x" * 4 * 1000}]
        assert await _cached_tokens(client, "gpt-4", history) == 0
        assert await _cached_tokens(client, "gpt-4", history) == 0


async def test_options_say_how_a_plain_request_is_answered() -> None:
    async with running(Options(port=0, text="As I was told.", pieces=2, first_delay=0.02)) as llm:
        async with connected(llm.port) as client:
            answer = await client.post(CHAT, stream())
        [entry] = llm.stand_in.record.entries
    assert answer.texts == ["As I wa", "s told."]
    assert entry.first_byte_at is not None
    assert entry.first_byte_at.monotonic - entry.arrived_at.monotonic > 0.015


async def test_leaving_the_block_drops_those_who_wait_for_an_answer() -> None:
    async with AsyncExitStack() as stack:
        async with running(Options(port=0)) as llm:
            client = await stack.enter_async_context(connected(llm.port))
            client.send("POST", CHAT, chat(model="gpt-4?fault=no-first-byte"))
            await llm.stand_in.record.wait_for("arrived")
        assert await client.rest() == b""


async def _cached_tokens(client: Client, model: str, messages: list[dict[str, str]]) -> int:
    usage = (await client.post(CHAT, {"model": model, "messages": messages})).json["usage"]
    assert usage["prompt_tokens"] >= usage["prompt_tokens_details"]["cached_tokens"]
    cached: int = usage["prompt_tokens_details"]["cached_tokens"]
    return cached


def _product(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
