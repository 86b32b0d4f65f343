"""A request says how it is to be answered, and other requests do not notice."""

from time import monotonic_ns

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.llm_server import Running
from palaver.llm_server.replies import split_evenly

from .asking import CHAT, chat, stream
from .client import Client, connected


async def test_model_name_carries_a_script(client: Client) -> None:
    answer = await client.post(CHAT, stream(model="gpt-4?text=caf%C3%A9+au+lait&pieces=3"))
    assert answer.texts == ["café", " au ", "lait"]
    assert answer.events[0]["model"] == "gpt-4"


async def test_last_user_message_carries_a_script(client: Client) -> None:
    answer = await client.post(CHAT, stream("please [[text=yes%20sir]] now"))
    assert answer.texts == ["yes ", "sir"]


async def test_earlier_messages_carry_none(client: Client) -> None:
    history = [{"role": "user", "content": "[[fault=500]]"}, {"role": "user", "content": "and now?"}]
    assert (await client.post(CHAT, {"model": "gpt-4", "messages": history})).status == 200


@pytest.mark.parametrize("text", ["see [[Main Page]]", "[[ -f x ]] && echo", "[[unknown=1]]", "[[text=open", "[[]]"])
async def test_double_brackets_that_are_no_script_are_just_said(client: Client, text: str) -> None:
    answer = await client.post(CHAT, chat(text))
    assert answer.json["choices"][0]["message"]["content"] == f"You said: {text}"


async def test_message_overrules_model_and_model_overrules_control(client: Client, llm: Running) -> None:
    llm.stand_in.control({"text": "control", "pieces": 1})
    assert (await client.post(CHAT, stream())).texts == ["control"]
    assert (await client.post(CHAT, stream(model="gpt-4?text=model"))).texts == ["model"]
    assert (await client.post(CHAT, stream("[[pieces=2]]", model="gpt-4?text=model"))).texts == ["mo", "del"]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("fautl=500", "fautl"),
        ("fault=501", "$.fault"),
        ("pieces=many", "$.pieces"),
        ("pieces=0", "$.pieces"),
        ("delay=-1", "$.delay"),
        ("pieces", "pieces"),
    ],
)
async def test_script_that_cannot_be_followed_is_named(client: Client, query: str, named: str) -> None:
    answer = await client.post(CHAT, chat(model=f"gpt-4?{query}"))
    assert answer.status == 400
    assert named in answer.json["error"]["message"]


@pytest.mark.parametrize("pieces", [1, 2, 3, 4, 5, 40, 200])
async def test_reply_has_as_many_pieces_as_were_asked_for(client: Client, pieces: int) -> None:
    answer = await client.post(CHAT, stream("hello there", model=f"gpt-4?pieces={pieces}"))
    assert len(answer.texts) == pieces
    assert "".join(answer.texts).startswith("You said: hello there")


async def test_given_text_is_never_added_to(client: Client) -> None:
    assert (await client.post(CHAT, stream(model="gpt-4?text=abc&pieces=40"))).texts == ["a", "b", "c"]


@pytest.mark.proof("operating")
@given(text=st.text(), pieces=st.integers(min_value=1, max_value=50))
def test_parts_make_up_the_text_and_none_is_empty(text: str, pieces: int) -> None:
    parts = split_evenly(text, pieces)
    assert "".join(parts) == text
    assert "" not in parts
    assert len(parts) <= pieces


async def test_delays_are_kept_and_do_not_add_up(client: Client, llm: Running) -> None:
    await client.post(CHAT, stream(model="gpt-4?pieces=11&delay=0.01&first=0.05"))
    [entry] = llm.stand_in.record.entries
    assert entry.first_byte_at is not None
    assert entry.ended_at is not None
    assert entry.first_byte_at.monotonic - entry.arrived_at.monotonic > 0.045
    # A first byte that comes late takes nothing from the whole, and adds nothing to it.
    assert entry.ended_at.monotonic - entry.arrived_at.monotonic > 0.145


async def test_answer_in_one_piece_takes_as_long_as_its_stream_would(client: Client, llm: Running) -> None:
    await client.post(CHAT, chat(model="gpt-4?pieces=6&delay=0.01&first=0.01"))
    [entry] = llm.stand_in.record.entries
    assert entry.first_byte_at is not None
    assert entry.first_byte_at.monotonic - entry.arrived_at.monotonic > 0.055


async def test_stamped_pieces_say_when_they_were_written(client: Client) -> None:
    before = monotonic_ns()
    answer = await client.post(CHAT, stream(model="gpt-4?stamp=1&pieces=4&delay=0.002"))
    seen = [before, *(int(text) for text in answer.texts), monotonic_ns()]
    assert len(seen) == 6
    assert seen == sorted(seen)


async def test_model_that_repeats_keeps_nothing_to_itself(client: Client) -> None:
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello."}]
    answer = await client.post(CHAT, {"model": "gpt-4?repeats=1", "messages": messages})
    assert answer.json["choices"][0]["message"]["content"] == "You said: Be kind.\nHello."


async def test_reasoning_comes_before_the_text(client: Client) -> None:
    model = "gpt-4?reasoning=hm+well&text=yes"
    deltas = [event["choices"][0]["delta"] for event in (await client.post(CHAT, stream(model=model))).events]
    message = (await client.post(CHAT, chat(model=model))).json["choices"][0]["message"]
    assert deltas[1:4] == [{"reasoning_content": "hm "}, {"reasoning_content": "well"}, {"content": "yes"}]
    assert message == {"role": "assistant", "content": "yes", "reasoning_content": "hm well"}


async def test_tool_is_called_until_its_result_is_there(client: Client) -> None:
    model = "gpt-4?tool=weather&arguments=%7B%22city%22%3A%22Oslo%22%7D"
    result = {"role": "tool", "tool_call_id": "call_1", "content": "rain"}
    [choice] = (await client.post(CHAT, chat(model=model))).json["choices"]
    asked = chat("so?", model=model)
    after = await client.post(CHAT, {**asked, "messages": [*asked["messages"], choice["message"], result]})
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city":"Oslo"}'}
    assert after.json["choices"][0]["message"]["content"] == "You said: so?"


async def test_streamed_tool_call_comes_in_parts(client: Client) -> None:
    answer = await client.post(CHAT, stream(model="gpt-4?tool=weather&arguments=%7B%22city%22%3A%22Oslo%22%7D"))
    calls = [
        delta["tool_calls"][0] for event in answer.events if "tool_calls" in (delta := event["choices"][0]["delta"])
    ]
    assert calls[0]["id"] == "call_1"
    assert calls[0]["function"]["name"] == "weather"
    assert "".join(call["function"]["arguments"] for call in calls) == '{"city":"Oslo"}'
    assert answer.events[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_fault_with_times_goes_away(client: Client) -> None:
    asked = chat(model="gpt-4?fault=500&times=2&key=a")
    other = chat(model="gpt-4?fault=500&times=1&key=b")
    statuses = [(await client.post(CHAT, body)).status for body in (asked, asked, other, asked, other)]
    assert statuses == [500, 500, 500, 200, 200]


async def test_one_key_counts_over_models_and_texts(client: Client) -> None:
    bodies = [chat(f"{text} [[fault=503&times=1&key=shared]]", model=model) for text, model in [("x", "a"), ("y", "b")]]
    assert [(await client.post(CHAT, body)).status for body in bodies] == [503, 200]


async def test_without_a_key_equal_scripts_count_together(client: Client) -> None:
    bodies = [chat(model=f"gpt-4?fault=500&times=1&text={text}") for text in ("x", "x", "y")]
    assert [(await client.post(CHAT, body)).status for body in bodies] == [500, 200, 500]


async def test_control_holds_for_all_that_follow_until_it_is_cleared(client: Client) -> None:
    assert (await client.post("/_control", {"fault": "503"})).status == 200
    assert (await client.post(CHAT, chat())).status == 503
    assert (await client.post("/embeddings", {"model": "e", "input": "x"})).status == 503
    assert (await client.get("/models")).status == 503
    assert (await client.get("/health")).status == 503
    assert (await client.post("/_control", {})).status == 200
    assert (await client.post(CHAT, chat())).status == 200
    assert (await client.get("/models")).status == 200


async def test_control_can_be_for_one_endpoint(client: Client) -> None:
    await client.post("/_control", {"fault": "500", "on": "models"})
    assert (await client.get("/v1/models")).status == 500
    assert (await client.post(CHAT, chat())).status == 200


async def test_control_counts_its_times_afresh_whenever_it_is_set(client: Client) -> None:
    statuses = []
    for _ in range(2):
        await client.post("/_control", {"fault": "500", "times": 1})
        statuses += [(await client.post(CHAT, chat())).status for _ in range(2)]
    assert statuses == [500, 200, 500, 200]


@pytest.mark.parametrize("spec", [{"fault": "nope"}, {"on": "nowhere"}, {"fault": "500", "colour": "red"}, [1]])
async def test_control_that_cannot_be_followed_changes_nothing(client: Client, spec: object) -> None:
    await client.post("/_control", {"text": "before"})
    assert (await client.post("/_control", spec)).status == 400
    assert (await client.post(CHAT, stream())).texts == ["before"]


async def test_held_answer_leaves_piece_by_piece_as_it_is_let_go(client: Client, llm: Running) -> None:
    async with connected(llm.port) as reader:
        reader.send("POST", CHAT, stream(model="gpt-4?text=one+two+three&hold=count"))
        await client.post("/_let_go", {"hold": "another"})
        await client.post("/_let_go", {"hold": "count", "pieces": 1})
        await client.post("/_let_go", {"hold": "count", "pieces": 1})
        await reader.until(b'"content":"two "')
        [entry] = llm.stand_in.record.entries
        assert (entry.pieces_sent, entry.outcome) == (2, None)
        await client.post("/_let_go", {"hold": "count"})
        assert b'"content":"three"' in await reader.until(b"[DONE]")


async def test_all_that_is_held_leaves_at_once_and_what_comes_later_is_held_again(client: Client, llm: Running) -> None:
    asked = stream(model="gpt-4?text=one+two&hold=count&delay=0.001")
    async with connected(llm.port) as first, connected(llm.port) as second:
        for reader in (first, second):
            reader.send("POST", CHAT, asked)
            await reader.until(b'"role":"assistant"')
            await client.post("/_let_go", {})
            left = await reader.until(b"[DONE]")
            assert b'"content":"one "' in left
            assert b'"content":"two"' in left


async def test_emptying_the_record_leaves_the_script_in_force(client: Client, llm: Running) -> None:
    await client.post("/_control", {"fault": "503"})
    await client.post(CHAT, chat())
    await client.post("/_control", {"reset_record": True})
    assert not llm.stand_in.record.entries
    assert (await client.post(CHAT, chat())).status == 503
