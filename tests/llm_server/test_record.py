"""A test can see what its client really did, and when."""

from palaver.llm_server import Options, Running, running

from .asking import CHAT, chat, stream
from .client import Client, connected


async def test_record_says_what_each_request_carried(client: Client) -> None:
    await client.post(CHAT, chat("hello", temperature=0.5), headers={"Authorization": "Bearer k", "X-Thing": "Value"})
    await client.post("/embeddings", {"model": "e", "input": "x"})
    first, second = (await client.get("/_record")).json
    assert (first["method"], first["path"]) == ("POST", "/v1/chat/completions")
    assert first["headers"]["authorization"] == "Bearer k"
    assert first["headers"]["x-thing"] == "Value"
    assert first["body"] == chat("hello", temperature=0.5)
    assert second["path"] == "/embeddings"


async def test_record_says_when_and_how_each_request_ended(client: Client) -> None:
    await client.post(CHAT, stream(model="gpt-4?pieces=5&delay=0.002"))
    [entry] = (await client.get("/_record")).json
    assert (entry["outcome"], entry["pieces_sent"], entry["fault"], entry["peer_closed_at"]) == (
        "complete",
        5,
        None,
        None,
    )
    for clock in ("monotonic", "wall"):
        times = [entry[moment][clock] for moment in ("arrived_at", "first_byte_at", "ended_at")]
        assert times == sorted(times)


async def test_models_health_and_the_record_itself_are_not_recorded(client: Client) -> None:
    for path in ("/models", "/health", "/_record"):
        await client.get(path)
    assert (await client.get("/_record")).json == []


async def test_body_that_was_no_json_is_recorded_as_text(client: Client) -> None:
    client.send_raw(b"POST /chat/completions HTTP/1.1\r\nHost: llm\r\nContent-Length: 4\r\n\r\n{\xffhi")
    assert (await client.response()).status == 400
    assert (await client.get("/_record")).json[0]["body"] == "{�hi"


async def test_peer_that_closes_a_running_stream_is_noted_at_once(llm: Running) -> None:
    async with connected(llm.port) as client:
        client.send("POST", CHAT, stream(model="gpt-4?pieces=1000&delay=0.01"))
        await client.until(b'"content":"said: "')
    [entry] = await llm.stand_in.record.wait_for("closed")
    assert entry.outcome == "closed_by_peer"
    assert entry.peer_closed_at is not None
    assert entry.ended_at is not None
    assert 2 <= entry.pieces_sent < 1000


async def test_peer_that_closes_after_the_answer_is_not_noted(llm: Running) -> None:
    async with connected(llm.port) as client:
        await client.post(CHAT, chat())
    [entry] = llm.stand_in.record.entries
    assert (entry.outcome, entry.peer_closed_at) == ("complete", None)


async def test_reader_of_the_record_can_wait_for_a_close(client: Client, llm: Running) -> None:
    client.send("GET", "/_record?wait=closed&n=1&timeout=10")
    async with connected(llm.port) as other:
        other.send("POST", CHAT, stream(model="gpt-4?fault=stall"))
        await other.until(b'"content":"You "')
        assert not client.arrivals
    [entry] = (await client.response()).json
    assert entry["peer_closed_at"] is not None


async def test_reader_of_the_record_who_waits_in_vain_gets_what_there_is(client: Client) -> None:
    await client.post(CHAT, chat())
    assert len((await client.get("/_record?wait=arrived&n=2&timeout=0.01")).json) == 1


async def test_wish_that_makes_no_sense_is_told_so(client: Client) -> None:
    assert (await client.get("/_record?wait=godot")).status == 400


async def test_record_keeps_only_the_last() -> None:
    async with running(Options(port=0, record=3)) as llm, connected(llm.port) as client:
        for number in range(5):
            await client.post(CHAT, chat(str(number)))
        entries = (await client.get("/_record")).json
    assert [entry["body"]["messages"][0]["content"] for entry in entries] == ["2", "3", "4"]


async def test_record_can_be_off() -> None:
    async with running(Options(port=0, record=0)) as llm, connected(llm.port) as client:
        await client.post(CHAT, chat())
        assert (await client.get("/_record")).json == []


async def test_bill_is_the_sum_of_what_was_told_to_have_been_used(client: Client) -> None:
    telling = {"include_usage": True}
    await client.post(CHAT, stream(stream_options=telling))
    await client.post(CHAT, stream(model="gpt-4?fault=cut&after=1", stream_options=telling))
    await client.post(CHAT, stream())
    told = (await client.post(CHAT, chat())).json["usage"]
    assert (await client.get("/_bill")).json == {
        "answers": 2,
        "prompt_tokens": 2 * told["prompt_tokens"],
        "completion_tokens": 2 * told["completion_tokens"],
        "cached_tokens": 0,
    }
    assert [entry["billed"] is not None for entry in (await client.get("/_record")).json] == [True, False, False, True]
