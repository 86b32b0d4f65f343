"""chat_flow over real HTTP, as its contract page says it."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.journeys.client import (
    TEXT,
    TIME,
    UUID4,
    WHOLE,
    Answer,
    Client,
    ask_until,
    new_name,
    open_client,
    until_offered,
)
from tests.journeys.socket import enter
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer

UNKNOWN = "0d2b8a54-6f0f-4c55-9e0a-5a3c1d2f7b10"


# Each test finds the model as nobody has told it anything.
pytestmark = pytest.mark.usefixtures("llm")


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_REGISTRATION": "on", "PALAVER_LLM_TRIES": "1"}


async def make_context(admin: Client, **fields: Any) -> dict[str, Any]:
    answer = await admin.post("/api/chat/contexts", **{"name": new_name(), "system_prompt": "You advise.", **fields})
    assert answer.status == 201, answer.text
    context: dict[str, Any] = answer.body
    return context


async def start(person: Client, **fields: Any) -> dict[str, Any]:
    asked = {"context_id": 1, "initial_message": "I run a bakery.", "provider": "dummy", **fields}
    answer = await person.post("/api/chat/start", **asked)
    assert answer.status == 201, answer.text
    session: dict[str, Any] = answer.body
    return session


async def say(person: Client, session: dict[str, Any], prompt: str = "hello", **fields: Any) -> Answer:
    return await person.post(f"/api/chat/session/{session['id']}/chat", prompt=prompt, **fields)


async def read(person: Client, session: dict[str, Any]) -> list[tuple[str, str]]:
    """Who said what, as another API lists it."""
    answer = await person.get(f"/api/chat/sessions/{session['uuid']}/messages")
    assert answer.status == 200, answer.text
    return [(message["role"], message["content"]) for message in answer.body]


# Starting


async def test_session_shows_exactly_what_was_settled(alice: Client) -> None:
    assert await start(alice, provider="dummy", model="gpt-5-nano") == {
        "id": WHOLE,
        "uuid": UUID4,
        "created_at": TIME,
        "model": "gpt-5-nano",
        "provider": "dummy",
        "initial_message": TEXT,
    }


async def test_initial_message_is_the_system_prompt_a_newline_and_the_trimmed_text(
    alice: Client, admin: Client
) -> None:
    context = await make_context(admin, system_prompt="  You advise\r\nshops.\n ")
    session = await start(alice, context_id=context["id"], initial_message=" \n Ich führe 🥐\n eine Bäckerei. \t\n")
    assert session["initial_message"] == "  You advise\r\nshops.\n \nIch führe 🥐\n eine Bäckerei."


async def test_session_ids_grow(alice: Client, bob: Client) -> None:
    ids = [(await start(person))["id"] for person in (alice, bob, alice)]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("context_id", [999_999_999, 0, -1, 2**63 - 1])
async def test_unknown_context_is_not_found(alice: Client, context_id: int) -> None:
    answer = await alice.post("/api/chat/start", context_id=context_id, initial_message="hi")
    assert (answer.status, answer.body) == (400, {"context_id": ["Context not found."]})


async def test_private_context_of_another_is_one_that_does_not_exist(alice: Client, bob: Client, admin: Client) -> None:
    made = await alice.post("/api/v1/personalities/", name=new_name(), personalityPrompt="You keep my secrets.")
    [private] = [
        context for context in (await alice.get("/api/chat/contexts")).body if context["name"] == made.body["name"]
    ]
    refused = await bob.having(Accept_Language="de").post(
        "/api/chat/start", context_id=private["id"], initial_message="hi"
    )
    assert (refused.status, refused.body) == (400, {"context_id": ["Context not found."]})
    for allowed in (alice, admin):
        session = await start(allowed, context_id=private["id"], initial_message="hi")
        assert session["initial_message"] == "You keep my secrets.\nhi"


@pytest.mark.parametrize("internal", [2, 3])
async def test_built_in_settings_start_sessions_for_admins_alone(alice: Client, admin: Client, internal: int) -> None:
    refused = await alice.post("/api/chat/start", context_id=internal, initial_message="hi")
    assert (refused.status, refused.body) == (400, {"context_id": ["Context not found."]})
    assert (await start(admin, context_id=internal))["provider"] == "dummy"


@pytest.mark.parametrize("left_out", [{}, {"provider": None}])
async def test_provider_left_out_is_the_contexts(alice: Client, admin: Client, left_out: dict[str, None]) -> None:
    context = await make_context(admin, provider="openai_rag")
    answer = await alice.post("/api/chat/start", context_id=context["id"], initial_message="hi", **left_out)
    assert answer.body["provider"] == "openai_rag"


async def test_provider_that_nothing_names_is_the_servers_default(alice: Client) -> None:
    answer = await alice.post("/api/chat/start", context_id=1, initial_message="hi")
    assert answer.body["provider"] == "openai"


@pytest.mark.parametrize("provider", ["dummy", "openai", "openai_rag"])
async def test_provider_that_is_known_is_taken(alice: Client, provider: str) -> None:
    assert (await start(alice, provider=provider))["provider"] == provider


@pytest.mark.parametrize("provider", ["nobody", "", "DUMMY", "x" * 31])
async def test_provider_that_is_unknown_is_refused(alice: Client, provider: str) -> None:
    answer = await alice.post("/api/chat/start", context_id=1, initial_message="hi", provider=provider)
    assert (answer.status, list(answer.body)) == (400, ["provider"])


@pytest.mark.parametrize("left_out", [{}, {"model": None}])
async def test_model_left_out_is_the_contexts_else_the_servers_default(
    alice: Client, admin: Client, left_out: dict[str, None]
) -> None:
    named = await make_context(admin, model="gpt-4o-mini")
    assert (await start(alice, context_id=named["id"], **left_out))["model"] == "gpt-4o-mini"
    unnamed = await make_context(admin)
    assert (await start(alice, context_id=unnamed["id"], **left_out))["model"] == "qwen3:8b"


@pytest.mark.parametrize("model", ["qwen3:8b", "gpt-4", "gpt-4.1-mini", "gpt-5-nano"])
async def test_model_that_is_known_is_taken(alice: Client, model: str) -> None:
    assert (await start(alice, model=model))["model"] == model


@pytest.mark.parametrize("model", ["gpt-9", "", "x" * 101])
async def test_model_that_is_unknown_is_refused(alice: Client, model: str) -> None:
    answer = await alice.post("/api/chat/start", context_id=1, initial_message="hi", model=model)
    assert (answer.status, list(answer.body)) == (400, ["model"])


async def test_model_of_the_catalogue_is_known_while_its_server_is_down(alice: Client, llm: LLM) -> None:
    llm.process.kill()
    assert (await start(alice, model="gpt-4", provider="openai"))["model"] == "gpt-4"


@pytest.mark.parametrize("servers", [{}, {"LLM_SERVER_URL": ""}], ids=["down", "none"])
async def test_model_of_the_catalogue_is_known_where_no_server_has_told_it_since_the_start(
    server: Server, llm: LLM, servers: Mapping[str, str]
) -> None:
    async with open_client(server) as client:
        admin = client.bearing(await server.token("admin"))
        await until_offered(admin, "gpt-4")
        llm.process.kill()
        server.environment.update(servers)
        await server.restart()
        assert (await start(admin, model="gpt-4"))["model"] == "gpt-4"
        context = await make_context(admin, model="gpt-4")
        assert (await start(admin, context_id=context["id"]))["model"] == "gpt-4"
        changed = await admin.patch(f"/api/chat/contexts/{context['id']}", model="gpt-4o-mini")
        assert (changed.status, changed.body["model"]) == (200, "gpt-4o-mini")
        unknown = await admin.post("/api/chat/start", context_id=1, initial_message="hi", model="gpt-9")
        assert (unknown.status, list(unknown.body)) == (400, ["model"])


async def test_known_model_that_is_not_offered_is_replaced_for_the_turn(alice: Client, llm: LLM) -> None:
    session = await start(alice, model="gpt-5-nano", provider="openai")
    assert (await say(alice, session)).status == 201
    [heard] = await llm.record(n=1)
    assert heard.body["model"] == "qwen3:8b"


async def test_server_without_a_model_shows_one_and_answers_as_the_dummy(start_server: StartServer) -> None:
    server = await start_server(LLM_SERVER_URL="")
    async with open_client(server) as client:
        person = client.bearing(await server.token("admin"))
        answer = await person.post("/api/chat/start", context_id=1, initial_message="hi")
        assert (answer.body["model"], answer.body["provider"]) == ("gpt-4.1-mini", "dummy")
        assert (await say(person, answer.body, "grüezi")).body["response_message"] == "GRÜEZI"


async def test_later_change_of_the_context_does_not_reach_the_session(alice: Client, admin: Client, llm: LLM) -> None:
    context = await make_context(admin, system_prompt="You advise shops.")
    session = await start(alice, context_id=context["id"], provider="openai")
    await admin.patch(f"/api/chat/contexts/{context['id']}", system_prompt="You advise banks.")
    await say(alice, session)
    [heard] = await llm.record(n=1)
    assert heard.body["messages"][0] == {"role": "system", "content": "You advise shops.\nI run a bakery."}


async def test_starting_asks_no_bot_and_says_nothing(alice: Client, llm: LLM) -> None:
    session = await start(alice, provider="openai")
    assert await llm.record() == []
    assert await read(alice, session) == []


async def test_title_in_other_apis_is_the_first_fifty_characters_of_the_text(alice: Client) -> None:
    session = await start(alice, initial_message="  " + "ä" * 60)
    assert (await alice.get(f"/api/chat/sessions/{session['uuid']}")).body["title"] == "ä" * 50


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, {"context_id", "initial_message"}),
        ({"context_id": 1}, {"initial_message"}),
        ({"context_id": 1, "initial_message": None}, {"initial_message"}),
        ({"context_id": 1, "initial_message": " \n\t"}, {"initial_message"}),
        ({"context_id": 1, "initial_message": "x" * 100_001}, {"initial_message"}),
        ({"context_id": 1, "initial_message": 5}, {"initial_message"}),
        ({"context_id": 1, "initial_message": "a\u0000b"}, {"initial_message"}),
        ({"context_id": 1, "initial_message": "a\ud800b"}, {"initial_message"}),
        ({"context_id": None, "initial_message": "hi"}, {"context_id"}),
        ({"context_id": "one", "initial_message": "hi"}, {"context_id"}),
        ({"context_id": 1.5, "initial_message": "hi"}, {"context_id"}),
        ({"context_id": True, "initial_message": "hi"}, {"context_id"}),
        ({"context_id": [1], "initial_message": "hi"}, {"context_id"}),
        ({"context_id": 2**63, "initial_message": "hi"}, {"context_id"}),
        ({"context_id": 1, "initial_message": "hi", "provider": 5}, {"provider"}),
        ({"context_id": 1, "initial_message": "hi", "model": True}, {"model"}),
    ],
)
async def test_start_that_cannot_be_used_says_which_field(
    alice: Client, fields: dict[str, Any], wrong: set[str]
) -> None:
    answer = await alice.post("/api/chat/start", **fields)
    assert (answer.status, set(answer.body)) == (400, wrong)
    assert all(isinstance(reason, str) and reason for reasons in answer.body.values() for reason in reasons)


@pytest.mark.parametrize("length", [1, 100_000])
async def test_initial_message_may_be_so_long(alice: Client, length: int) -> None:
    session = await start(alice, initial_message=" " + "é" * length + " ")
    assert session["initial_message"].endswith("\n" + "é" * length)


async def test_context_id_may_be_a_string_that_is_a_number(alice: Client) -> None:
    assert (await start(alice, context_id="1"))["initial_message"].endswith("\nI run a bakery.")


# Talking


async def test_turn_shows_exactly_the_prompt_and_its_answer(alice: Client) -> None:
    session = await start(alice)
    answer = await say(alice, session, "  Wie hoch ist die Mehrwertsteuer auf Brötchen?\n")
    assert (answer.status, answer.body) == (
        201,
        {
            "id": WHOLE,
            "session": session["id"],
            "prompt": "Wie hoch ist die Mehrwertsteuer auf Brötchen?",
            "response_message": "WIE HOCH IST DIE MEHRWERTSTEUER AUF BRÖTCHEN?",
        },
    )


@pytest.mark.parametrize(
    "prompt", ["hello", "äöüß éà ςσ", "👩‍🚀 flies 🇨🇭 high", "two\n  lines\tand\r\n tabs", "ŉ ﬁ ǰ", "x" * 20_000]
)
async def test_dummy_answers_the_prompt_in_upper_case(alice: Client, prompt: str) -> None:
    answer = await say(alice, await start(alice), prompt)
    assert answer.body["response_message"] == prompt.upper()


async def test_turn_ids_grow(alice: Client, bob: Client) -> None:
    hers, his = await start(alice), await start(bob)
    turns = [await say(alice, hers), await say(bob, his), await say(alice, hers)]
    ids = [turn.body["id"] for turn in turns]
    assert ids == sorted(set(ids))


async def test_session_is_found_by_its_uuid_and_shows_its_integer(alice: Client) -> None:
    session = await start(alice)
    answer = await alice.post(f"/api/chat/session/{session['uuid']}/chat", prompt="hello")
    assert (answer.status, answer.body["session"]) == (201, session["id"])


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \u2003\n"}, "prompt"),
        ({"prompt": "x" * 100_001}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": ["hi"]}, "prompt"),
        ({"prompt": "a\u0000b"}, "prompt"),
        ({"prompt": "a\udc00b"}, "prompt"),
        ({"prompt": "hi", "client_message_id": ""}, "client_message_id"),
        ({"prompt": "hi", "client_message_id": "x" * 101}, "client_message_id"),
        ({"prompt": "hi", "client_message_id": 7}, "client_message_id"),
        ({"prompt": "hi", "when_busy": "wait"}, "when_busy"),
    ],
)
async def test_prompt_that_cannot_be_used_says_which_field_and_stores_nothing(
    alice: Client, fields: dict[str, Any], wrong: str
) -> None:
    session = await start(alice)
    answer = await alice.post(f"/api/chat/session/{session['id']}/chat", **fields)
    assert (answer.status, list(answer.body)) == (400, [wrong])
    assert await read(alice, session) == []


async def test_prompt_may_have_a_hundred_thousand_characters(alice: Client) -> None:
    prompt = "é" * 100_000
    assert (await say(alice, await start(alice), f" {prompt} ")).body["prompt"] == prompt


async def test_longest_prompt_is_a_setting(start_server: StartServer) -> None:
    server = await start_server(PALAVER_CHAT_FLOW_MAX_PROMPT="5")
    async with open_client(server) as client:
        person = client.bearing(await server.token("admin"))
        session = await start(person)
        assert (await say(person, session, "  12345 ")).status == 201
        assert (await say(person, session, "123456")).status == 400


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "The assistant cannot answer just now. Please try again."),
        ("de", "Der Assistent kann gerade nicht antworten. Bitte erneut versuchen."),
        ("it", "L'assistente non può rispondere in questo momento. Riprova."),
    ],
)
async def test_bot_that_fails_is_503_in_the_callers_language(
    alice: Client, llm: LLM, language: str, words: str
) -> None:
    await llm.control(fault="500")
    answer = await say(alice.having(Accept_Language=language), await start(alice, provider="openai"))
    assert (answer.status, answer.body) == (503, {"detail": words})


@pytest.mark.parametrize("fault", ["500", "html", "empty", "reset", "malformed"])
async def test_bot_that_fails_leaves_the_message_and_a_new_prompt_goes_on(alice: Client, llm: LLM, fault: str) -> None:
    session = await start(alice, provider="openai")
    await llm.control(fault=fault, after=0)
    failed = await say(alice, session, "first")
    assert failed.status == 503
    assert "Retry-After" not in failed.headers
    assert await read(alice, session) == [("user", "first")]
    assert (await alice.get(f"/api/v1/chatbot/session/{session['uuid']}")).body["message_count"] == 0
    await llm.control(text="Here I am.")
    assert (await say(alice, session, "second")).body["response_message"] == "Here I am."
    expected = [("user", "first"), ("user", "second"), ("assistant", "Here I am.")]
    assert await read(alice, session) == expected
    assert (await alice.get(f"/api/v1/chatbot/session/{session['uuid']}")).body["message_count"] == 1


async def test_reply_that_broke_off_is_503_and_its_text_is_kept(alice: Client, llm: LLM) -> None:
    session = await start(alice, provider="openai")
    await llm.control(fault="cut", text="one two three", pieces=3, after=2)
    assert (await say(alice, session, "count")).status == 503
    [said, kept] = await read(alice, session)
    assert said == ("user", "count")
    assert kept[0] == "assistant"
    assert "one two three".startswith(kept[1])
    assert "one" in kept[1]
    assert (await alice.get(f"/api/v1/chatbot/session/{session['uuid']}")).body["message_count"] == 0


async def test_same_client_message_id_asks_again_for_the_message_that_failed(alice: Client, llm: LLM) -> None:
    session = await start(alice, provider="openai")
    await llm.control(fault="500")
    assert (await say(alice, session, "hello", client_message_id="c1")).status == 503
    await llm.control(text="Here I am.")
    again = await say(alice, session, "hello", client_message_id="c1")
    assert (again.status, again.body["response_message"]) == (201, "Here I am.")
    assert await read(alice, session) == [("user", "hello"), ("assistant", "Here I am.")]


async def test_model_server_that_is_down_is_503_until_it_is_back(alice: Client, llm: LLM) -> None:
    session = await start(alice, provider="openai")
    llm.process.kill()
    failed = await say(alice, session, "hello", client_message_id="c1")
    assert (failed.status, list(failed.body)) == (503, ["detail"])
    assert await read(alice, session) == [("user", "hello")]
    await llm.restart()
    await llm.control(text="Back.")
    again = await say(alice, session, "hello", client_message_id="c1")
    assert (again.status, again.body["response_message"]) == (201, "Back.")
    assert await read(alice, session) == [("user", "hello"), ("assistant", "Back.")]


async def test_same_client_message_id_is_the_same_turn(alice: Client) -> None:
    session = await start(alice)
    first = await say(alice, session, "hello", client_message_id="c" * 100)
    assert (await say(alice, session, " hello ", client_message_id="c" * 100)).body == first.body
    assert len(await read(alice, session)) == 2


async def test_same_client_message_id_with_another_prompt_is_a_conflict(alice: Client) -> None:
    session = await start(alice)
    await say(alice, session, "hello", client_message_id="c1")
    answer = await say(alice, session, "goodbye", client_message_id="c1")
    assert (answer.status, list(answer.body)) == (409, ["detail"])
    assert len(await read(alice, session)) == 2


async def test_reply_that_is_stopped_is_returned_as_far_as_it_came(alice: Client) -> None:
    session = await start(alice, provider="openai")
    async with enter(alice, session["uuid"]) as device:
        first = asyncio.create_task(say(alice, session, "[[text=one two three&fault=stall&after=1]]"))
        await device.until("ai_message_chunk")
    second = await say(alice, session, "[[text=Yes.]]", when_busy="interrupt")
    stopped = await first
    assert stopped.status == 201
    assert stopped.body["response_message"].strip() == "one"
    assert second.body["response_message"] == "Yes."
    assert (await alice.get(f"/api/v1/chatbot/session/{session['uuid']}")).body["message_count"] == 2


async def test_reply_that_is_stopped_before_its_first_piece_is_null(alice: Client, llm: LLM) -> None:
    session = await start(alice, provider="openai")
    first = asyncio.create_task(say(alice, session, "[[fault=no-first-byte]]"))
    await llm.record(n=1)
    await say(alice, session, "[[text=Yes.]]", when_busy="interrupt")
    stopped = await first
    assert (stopped.status, stopped.body["response_message"]) == (201, None)
    assert (await alice.get(f"/api/v1/chatbot/session/{session['uuid']}")).body["message_count"] == 1


async def test_two_prompts_at_once_each_get_their_own_answer(alice: Client) -> None:
    session = await start(alice)
    prompts = [f"prompt {number}" for number in range(5)]
    answers = await asyncio.gather(*(say(alice, session, prompt) for prompt in prompts))
    assert [(answer.status, answer.body["response_message"]) for answer in answers] == [
        (201, prompt.upper()) for prompt in prompts
    ]
    listed = await read(alice, session)
    assert sorted(listed[::2]) == [("user", prompt) for prompt in prompts]
    assert [said.upper() for _, said in listed[::2]] == [answered for _, answered in listed[1::2]]


async def test_prompt_that_may_not_wait_is_refused_while_a_reply_runs(alice: Client, llm: LLM) -> None:
    session = await start(alice, provider="openai")
    await llm.control(hold="first", text="Done.")
    first = asyncio.create_task(say(alice, session, "one"))
    await llm.record(n=1)
    refused = await say(alice, session, "two", when_busy="reject")
    assert (refused.status, list(refused.body)) == (409, ["detail"])
    await llm.let_go("first")
    assert (await first).body["response_message"] == "Done."
    assert await read(alice, session) == [("user", "one"), ("assistant", "Done.")]


async def test_session_that_has_ended_takes_no_prompt_and_checks_it_first(alice: Client) -> None:
    session = await start(alice)
    assert (await alice.delete(f"/api/v1/chatbot/session/{session['uuid']}")).status == 200
    ended = await say(alice, session)
    assert (ended.status, list(ended.body)) == (409, ["detail"])
    assert (await say(alice, session, " ")).status == 400


async def test_client_that_goes_away_stops_nothing(alice: Client, llm: LLM) -> None:
    session = await start(alice, provider="openai")
    await llm.control(hold="reply", text="All of it.")
    gone = asyncio.create_task(say(alice, session, "hello"))
    await llm.record(n=1)
    gone.cancel()
    assert await read(alice, session) == [("user", "hello")]
    await llm.let_go("reply")
    await ask_until(
        lambda: alice.get(f"/api/chat/sessions/{session['uuid']}/messages"),
        lambda answer: [message["content"] for message in answer.body] == ["hello", "All of it."],
        seconds=10,
    )


# Who may


async def test_session_of_another_an_unknown_one_and_a_malformed_id_are_the_same_404(
    alice: Client, bob: Client
) -> None:
    session = await start(alice)
    places = [
        session["id"], session["uuid"], 999_999_999, 2**70, UNKNOWN, "abc", "0", "-1", "1.0", "%F0%9F%98%80", "%00",
        "%27--", "1%20", "%D9%A1", f"0{session['id']}", f"+{session['id']}",
    ]  # fmt: skip
    answers = [await bob.post(f"/api/chat/session/{place}/chat", prompt="hello") for place in places]
    assert {(answer.status, answer.text) for answer in answers} == {(404, '{"detail":"Not found."}')}
    assert await read(alice, session) == []


async def test_malformed_id_is_not_found_by_its_owner_either(alice: Client) -> None:
    sessions = [await start(alice) for _ in range(10)]
    number = str(sessions[-1]["id"])
    # "1" and then digits that are digits to Python, but not to a contract.
    wide = number[0] + "".join(f"%EF%BC%{0x90 + int(digit):X}" for digit in number[1:])
    for place in (wide, f"0{number}", f"+{number}", f"{number}.0", f"%20{number}", f"{number}%0A"):
        assert (await alice.post(f"/api/chat/session/{place}/chat", prompt="hello")).status == 404


async def test_session_that_was_deleted_is_not_found(alice: Client) -> None:
    session = await start(alice)
    assert (await alice.delete(f"/api/chat/sessions/{session['uuid']}")).status == 200
    for place in (session["id"], session["uuid"]):
        answer = await alice.post(f"/api/chat/session/{place}/chat", prompt="hello")
        assert (answer.status, answer.body) == (404, {"detail": "Not found."})


async def test_admin_does_not_find_the_sessions_of_others(alice: Client, admin: Client) -> None:
    assert (await say(admin, await start(alice))).status == 404


async def test_session_that_is_not_there_comes_before_a_prompt_that_cannot_be_used(alice: Client) -> None:
    for place in ("999999999", UNKNOWN, "abc"):
        assert (await alice.post(f"/api/chat/session/{place}/chat", prompt=" ")).status == 404


@pytest.mark.parametrize(("language", "words"), [("de-CH", "Nicht gefunden."), ("it", "Non trovato.")])
async def test_not_found_is_said_in_the_callers_language(alice: Client, language: str, words: str) -> None:
    answer = await alice.having(Accept_Language=language).post("/api/chat/session/abc/chat", prompt="hello")
    assert answer.body == {"detail": words}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/chat/start"),
        ("POST", "/api/chat/session/1/chat"),
        ("GET", "/api/chat/contexts"),
        ("POST", "/api/chat/contexts"),
        ("PATCH", "/api/chat/contexts/1"),
        ("DELETE", "/api/chat/contexts/1"),
    ],
)
async def test_no_or_bad_credentials_are_401(nobody: Client, method: str, path: str) -> None:
    for client in (nobody, nobody.bearing("x" * 43)):
        answer = await client.send(method, path)
        assert (answer.status, list(answer.body)) == (401, ["detail"])
        assert answer.headers["WWW-Authenticate"] == "Token"


# Paths


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/chat/start", "POST"),
        ("/api/chat/session/12/chat", "POST"),
        ("/api/chat/contexts", "GET, HEAD, POST"),
        ("/api/chat/contexts/1", "DELETE, PATCH"),
    ],
)
async def test_other_methods_are_405_and_say_what_is_allowed(alice: Client, path: str, allowed: str) -> None:
    answer = await alice.send("PUT", path)
    assert (answer.status, answer.body) == (405, {"detail": "Method Not Allowed"})
    assert sorted(answer.headers["Allow"].split(", ")) == allowed.split(", ")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/chat/start/"),
        ("POST", "/api/chat/session/12/chat/"),
        ("POST", "/api/chat/session/12"),
        ("GET", "/api/chat/contexts/"),
        ("PATCH", "/api/chat/contexts/1/"),
    ],
)
async def test_slash_at_the_end_is_another_path(alice: Client, method: str, path: str) -> None:
    answer = await alice.send(method, path, {})
    assert (answer.status, answer.body) == (404, {"detail": "Not Found"})


# Bots


async def test_openai_sees_the_system_prompt_the_history_and_the_prompt(alice: Client, admin: Client, llm: LLM) -> None:
    context = await make_context(admin, system_prompt="You advise.")
    session = await start(alice, context_id=context["id"], provider="openai", model="gpt-4")
    await llm.control(text="Answer one.")
    await say(alice, session, "one")
    await llm.control(fault="500")
    await say(alice, session, "two")
    await llm.control(text="Answer three.")
    await say(alice, session, " three ")
    last = (await llm.record(n=3))[-1].body
    assert last["messages"] == [
        {"role": "system", "content": "You advise.\nI run a bakery."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "Answer one."},
        {"role": "user", "content": "two"},
        {"role": "user", "content": "three"},
    ]
    assert (last["model"], last["temperature"], last["max_tokens"]) == ("gpt-4", 0, 400)


async def test_temperature_and_length_of_a_context_can_be_changed_as_a_preset(
    alice: Client, admin: Client, llm: LLM
) -> None:
    context = await make_context(admin)
    changed = await admin.send("PUT", f"/api/v1/personalities/{context['name']}", {"temperature": 1.5, "maxTokens": 77})
    assert changed.status == 200, changed.text
    await say(alice, await start(alice, context_id=context["id"], provider="openai"))
    [heard] = await llm.record(n=1)
    assert (heard.body["temperature"], heard.body["max_tokens"]) == (1.5, 77)


@pytest.mark.parametrize("window", [0, 1, 4, 5])
async def test_bot_sees_no_more_than_the_window_and_always_the_newest(
    alice: Client, admin: Client, llm: LLM, window: int
) -> None:
    context = await make_context(admin, window=window)
    session = await start(alice, context_id=context["id"], provider="openai")
    await llm.control(text="So it is.")
    for number in range(8):
        await say(alice, session, f"prompt {number}")
    said = await read(alice, session)
    for number, heard in enumerate(await llm.record(n=8)):
        system, *history, prompt = [(message["role"], message["content"]) for message in heard.body["messages"]]
        assert system[0] == "system"
        assert prompt == ("user", f"prompt {number}")
        assert len(history) <= window
        assert history == said[2 * number - len(history) : 2 * number]


async def test_session_of_500_turns_sends_the_window_and_not_one_more(alice: Client, admin: Client, llm: LLM) -> None:
    context = await make_context(admin, window=20)
    session = await start(alice, context_id=context["id"], provider="openai")
    await llm.control(text="So it is.")
    # Each waits for those before it: of many at once the last would wait longer than a client does.
    for first in range(0, 500, 10):
        await asyncio.gather(*(say(alice, session, f"prompt {first + number}") for number in range(10)))
    said = await read(alice, session)
    assert len(said) == 1000
    await say(alice, session, "the last")
    heard = await llm.record(n=501)
    assert max(len(request.body["messages"]) for request in heard) <= 22
    system, *history, prompt = [(message["role"], message["content"]) for message in heard[-1].body["messages"]]
    assert (system[0], prompt) == ("system", ("user", "the last"))
    assert history
    assert history == said[-len(history) :]


async def test_openai_rag_without_a_collection_answers_without_passages(alice: Client, admin: Client, llm: LLM) -> None:
    for collection in (None, "tax-leaflets"):
        context = await make_context(admin, provider="openai_rag", collection=collection)
        session = await start(alice, context_id=context["id"], provider=None)
        await llm.control(text="So it is.")
        assert (await say(alice, session)).body["response_message"] == "So it is."
        heard = (await llm.record(n=1))[-1]
        assert [message["role"] for message in heard.body["messages"]] == ["system", "user"]


async def test_session_goes_on_with_its_history_after_a_restart(server: Server, llm: LLM) -> None:
    async with open_client(server) as client:
        person = client.bearing(await server.token("admin"))
        session = await start(person, provider="openai")
        await llm.control(text="Answer one.")
        await say(person, session, "one")
        await server.restart()
        assert (await say(person, session, "two")).status == 201
        contents = [message["content"] for message in (await llm.record(n=2))[-1].body["messages"]]
        assert contents[1:] == ["one", "Answer one.", "two"]


@pytest.mark.parametrize("store_kind", ["postgres"], scope="module")
async def test_session_goes_on_with_its_history_on_another_worker(
    server: Server, start_server: StartServer, llm: LLM
) -> None:
    other = await start_server()
    token = await server.token("admin")
    async with open_client(server) as here, open_client(other) as there:
        session = await start(here.bearing(token), provider="openai")
        await llm.control(text="Answer one.")
        await say(here.bearing(token), session, "one")
        assert (await say(there.bearing(token), session, "two")).status == 201
        contents = [message["content"] for message in (await llm.record(n=2))[-1].body["messages"]]
        assert contents[1:] == ["one", "Answer one.", "two"]


# Contexts


async def test_context_shows_exactly_its_fields_with_their_defaults(admin: Client) -> None:
    name = new_name()
    context = await make_context(admin, name=f"  {name} ", system_prompt="  You advise. \n")
    assert context == {
        "id": WHOLE,
        "name": name,
        "system_prompt": "  You advise. \n",
        "provider": None,
        "model": None,
        "collection": None,
        "window": 20,
        "created_at": TIME,
        "updated_at": context["created_at"],
    }


async def test_contexts_are_a_bare_list_by_id_of_what_the_caller_may_use(
    alice: Client, bob: Client, admin: Client
) -> None:
    public = await make_context(admin)
    private = (await bob.post("/api/v1/personalities/", name=new_name(), personalityPrompt="You are bob's.")).body
    hers, his, all_of_them = [(await who.get("/api/chat/contexts")).body for who in (alice, bob, admin)]
    assert [context["id"] for context in hers] == sorted(context["id"] for context in hers)
    assert (hers[0]["id"], hers[0]["name"]) == (1, "general")
    assert public in hers
    names = [[context["name"] for context in listed] for listed in (hers, his, all_of_them)]
    assert [private["name"] in listed for listed in names] == [False, True, True]
    assert [{"domain", "streaming"} <= set(listed) for listed in names] == [False, False, True]
    assert {"domain", "streaming"}.isdisjoint(names[0])


async def test_context_keeps_what_it_was_given(admin: Client) -> None:
    given = {
        "name": new_name(), "system_prompt": "ü" * 20_000, "provider": "openai_rag", "model": "gpt-4.1-mini",
        "collection": "tax-leaflets", "window": 200,
    }  # fmt: skip
    context = await make_context(admin, **given)
    listed = (await admin.get("/api/chat/contexts")).body
    assert {**context, **given} in listed


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": None}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": 5}, "name"),
        ({"system_prompt": None}, "system_prompt"),
        ({"system_prompt": ""}, "system_prompt"),
        ({"system_prompt": "x" * 20_001}, "system_prompt"),
        ({"provider": "nobody"}, "provider"),
        ({"provider": "x" * 31}, "provider"),
        ({"model": "gpt-9"}, "model"),
        ({"model": "x" * 101}, "model"),
        ({"collection": "x" * 101}, "collection"),
        ({"collection": 5}, "collection"),
        ({"window": -1}, "window"),
        ({"window": 201}, "window"),
        ({"window": True}, "window"),
        ({"window": 1.5}, "window"),
        ({"window": "many"}, "window"),
    ],
)
async def test_context_that_cannot_be_used_says_which_field(admin: Client, fields: dict[str, Any], wrong: str) -> None:
    answer = await admin.post("/api/chat/contexts", **{"name": new_name(), "system_prompt": "You advise.", **fields})
    assert (answer.status, list(answer.body)) == (400, [wrong])


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": "  "}, "name"),
        ({"system_prompt": ""}, "system_prompt"),
        ({"provider": "nobody"}, "provider"),
        ({"model": "gpt-9"}, "model"),
        ({"window": 201}, "window"),
    ],
)
async def test_change_that_cannot_be_made_says_which_field(admin: Client, fields: dict[str, Any], wrong: str) -> None:
    context = await make_context(admin)
    answer = await admin.patch(f"/api/chat/contexts/{context['id']}", **fields)
    assert (answer.status, list(answer.body)) == (400, [wrong])
    assert context in (await admin.get("/api/chat/contexts")).body


@pytest.mark.parametrize("window", [0, 200, "20"])
async def test_window_may_be_anything_from_0_to_200(admin: Client, window: int | str) -> None:
    assert (await make_context(admin, window=window))["window"] == int(window)


async def test_system_prompt_may_be_a_blank(admin: Client) -> None:
    assert (await make_context(admin, system_prompt=" "))["system_prompt"] == " "


async def test_name_is_unique_for_its_maker_alone(admin: Client, shared_server: Server, nobody: Client) -> None:
    first, second = await make_context(admin), await make_context(admin)
    again = await admin.post("/api/chat/contexts", name=first["name"], system_prompt="You advise.")
    assert (again.status, list(again.body)) == (400, ["name"])
    renamed = await admin.patch(f"/api/chat/contexts/{second['id']}", name=first["name"])
    assert (renamed.status, list(renamed.body)) == (400, ["name"])
    same = await admin.patch(f"/api/chat/contexts/{first['id']}", name=first["name"], window=3)
    assert (same.status, same.body["window"]) == (200, 3)
    other = nobody.bearing(await shared_server.token("second-admin", admin=True))
    assert (await make_context(other, name=first["name"]))["id"] != first["id"]


async def test_name_of_a_deleted_context_is_free_again(admin: Client) -> None:
    context = await make_context(admin)
    await admin.delete(f"/api/chat/contexts/{context['id']}")
    assert (await make_context(admin, name=context["name"]))["id"] != context["id"]


async def test_change_changes_what_it_names_and_null_clears(admin: Client) -> None:
    context = await make_context(admin, provider="dummy", model="gpt-4", collection="leaflets", window=7)
    changed = await admin.patch(f"/api/chat/contexts/{context['id']}", name=f"{context['name']}2", collection=None)
    assert changed.status == 200
    assert changed.body["updated_at"] > context["updated_at"]
    expected = {**context, "name": f"{context['name']}2", "collection": None}
    assert changed.body == {**expected, "updated_at": changed.body["updated_at"]}


async def test_context_of_the_server_can_be_changed_and_not_deleted(admin: Client) -> None:
    assert (await admin.patch("/api/chat/contexts/1", window=10)).status == 200
    answer = await admin.delete("/api/chat/contexts/1")
    assert (answer.status, list(answer.body)) == (400, ["detail"])
    assert (await start(admin, context_id=1))["id"]


async def test_deleting_a_context_leaves_its_sessions_as_they_are(alice: Client, admin: Client, llm: LLM) -> None:
    context = await make_context(admin, system_prompt="You advise shops.")
    session = await start(alice, context_id=context["id"], provider="openai")
    deleted = await admin.delete(f"/api/chat/contexts/{context['id']}")
    assert (deleted.status, deleted.content) == (204, b"")
    await say(alice, session)
    [heard] = await llm.record(n=1)
    assert heard.body["messages"][0]["content"] == "You advise shops.\nI run a bakery."
    refused = await alice.post("/api/chat/start", context_id=context["id"], initial_message="hi")
    assert refused.body == {"context_id": ["Context not found."]}
    for answer in (
        await admin.delete(f"/api/chat/contexts/{context['id']}"),
        await admin.patch(f"/api/chat/contexts/{context['id']}", window=5),
    ):
        assert (answer.status, answer.body) == (404, {"detail": "Not found."})


@pytest.mark.parametrize("place", ["999999999", "abc", "0", "-1", "general", "1.0", "%00", "99999999999999999999"])
async def test_context_that_is_not_there_is_not_found_whatever_the_body(admin: Client, place: str) -> None:
    for answer in (
        await admin.patch(f"/api/chat/contexts/{place}", window=999),
        await admin.delete(f"/api/chat/contexts/{place}"),
    ):
        assert (answer.status, answer.body) == (404, {"detail": "Not found."})


async def test_only_admins_write_contexts(alice: Client, admin: Client) -> None:
    context = await make_context(admin)
    for answer in (
        await alice.post("/api/chat/contexts", name=new_name(), system_prompt="You advise."),
        await alice.patch(f"/api/chat/contexts/{context['id']}", window=5),
        await alice.patch("/api/chat/contexts/999999999", window=5),
        await alice.delete(f"/api/chat/contexts/{context['id']}"),
        await alice.delete("/api/chat/contexts/1"),
    ):
        assert (answer.status, list(answer.body)) == (403, ["detail"])
    assert context in (await alice.get("/api/chat/contexts")).body


async def test_malformed_json_is_400_with_a_detail(alice: Client, admin: Client) -> None:
    typed = {"Content-Type": "application/json"}
    for body in (b"{", b"", b"[]", b'"hi"', b"null", b"\xff", b'{"prompt": NaN}'):
        for client, path in ((alice, "/api/chat/start"), (admin, "/api/chat/contexts")):
            answer = await client.sending(typed).send("POST", path, body)
            assert (answer.status, list(answer.body)) == (400, ["detail"])


# Other views of the same conversation


async def test_session_started_here_is_read_and_continued_elsewhere_by_its_uuid(alice: Client, llm: LLM) -> None:
    await llm.control(text="So it is.")
    session = await start(alice, provider="openai")
    await say(alice, session, "one")
    shown = (await alice.get(f"/api/chat/sessions/{session['uuid']}")).body
    assert (shown["sessionId"], shown["title"]) == (session["uuid"], "I run a bakery.")
    there = await alice.post("/api/chat", message="two", sessionId=session["uuid"])
    assert (there.status, there.body["sessionId"]) == (200, session["uuid"])
    chatify = await alice.post(f"/api/v1/chatbot/session/{session['uuid']}/message", message="three")
    assert (chatify.status, chatify.body["message_count"]) == (200, 3)
    await say(alice, session, "four")
    said = [("user", word) for word in ("one", "two", "three", "four")]
    assert (await read(alice, session))[::2] == said
    sent = [message["content"] for message in (await llm.record(n=4))[-1].body["messages"]]
    assert sent[1:] == ["one", "So it is.", "two", "So it is.", "three", "So it is.", "four"]


async def test_session_made_elsewhere_is_continued_here_by_its_uuid(alice: Client, llm: LLM) -> None:
    await llm.control(text="So it is.")
    domain = (await alice.post("/api/chat", message="one")).body["sessionId"]
    chatify = (await alice.post("/api/v1/chatbot/session", user_id="u-81")).body["session_id"]
    for uuid in (domain, chatify):
        answer = await alice.post(f"/api/chat/session/{uuid}/chat", prompt="two")
        assert (answer.status, answer.body["response_message"]) == (201, "So it is.")
        by_number = await alice.post(f"/api/chat/session/{answer.body['session']}/chat", prompt="three")
        assert (by_number.status, by_number.body["session"]) == (201, answer.body["session"])
        assert (await read(alice, {"uuid": uuid}))[-4:] == [
            ("user", "two"),
            ("assistant", "So it is."),
            ("user", "three"),
            ("assistant", "So it is."),
        ]
