"""chat_domain over real HTTP, as its contract page says it."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.journeys.client import (
    TEXT,
    TIME,
    UUID,
    UUID4,
    WHOLE,
    Answer,
    Client,
    ask_until,
    open_client,
    until_offered,
)
from tests.journeys.socket import enter
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer

UNKNOWN = "c2f1e1c0-5b5e-4f0c-9f0b-2a4b7f5f6a11"
NOT_FOUND = (404, '{"detail":"Session not found"}')


# Each test finds the model as nobody has told it anything.
pytestmark = pytest.mark.usefixtures("llm")


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_REGISTRATION": "on", "PALAVER_LLM_TRIES": "1"}


async def begin(person: Client, message: str = "hello", **fields: Any) -> str:
    """The id of a session that a first message has made."""
    answer = await person.post("/api/chat", message=message, **fields)
    assert answer.status == 200, answer.text
    session: str = answer.body["sessionId"]
    return session


async def read(person: Client, session: str, query: str = "") -> list[dict[str, Any]]:
    answer = await person.get(f"/api/chat/sessions/{session}/messages{query}")
    assert answer.status == 200, answer.text
    messages: list[dict[str, Any]] = answer.body
    return messages


async def contents(person: Client, session: str) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in await read(person, session)]


async def count(person: Client) -> int:
    return len((await person.get("/api/chat/sessions")).body)


# Talking


async def test_first_message_answers_exactly_what_the_page_names(alice: Client, llm: LLM) -> None:
    await llm.control(text="Flour and water that wild yeast has moved into.")
    answer = await alice.post("/api/chat", message="  What is a yeast starter?  ")
    assert (answer.status, answer.body) == (
        200,
        {
            "message": "Flour and water that wild yeast has moved into.",
            "sessionId": UUID4,
            "messageId": UUID,
            "usage": {"promptTokens": WHOLE, "completionTokens": WHOLE, "totalTokens": WHOLE},
        },
    )
    usage = answer.body["usage"]
    assert usage["totalTokens"] == usage["promptTokens"] + usage["completionTokens"]


async def test_usage_is_absent_where_the_model_server_tells_none(alice: Client, llm: LLM) -> None:
    await llm.control(fault="no-usage")
    answer = await alice.post("/api/chat", message="hello")
    assert (answer.status, set(answer.body)) == (200, {"message", "sessionId", "messageId"})


async def test_second_message_goes_on_in_the_same_session(alice: Client, llm: LLM) -> None:
    await llm.control(text="So it is.")
    first = (await alice.post("/api/chat", message="one")).body
    second = (await alice.post("/api/chat", message="two", sessionId=first["sessionId"])).body
    assert second["sessionId"] == first["sessionId"]
    messages = await read(alice, first["sessionId"])
    assert [message["role"] for message in messages] == ["user", "assistant", "user", "assistant"]
    assert [messages[1]["messageId"], messages[3]["messageId"]] == [first["messageId"], second["messageId"]]


@pytest.mark.parametrize("nothing", [{}, {"sessionId": None}, {"sessionId": ""}, {"session_id": None}])
async def test_no_session_id_begins_a_session(alice: Client, nothing: dict[str, Any]) -> None:
    first, second = await begin(alice, **nothing), await begin(alice, **nothing)
    assert first != second


async def test_both_spellings_of_a_name_do_the_same(alice: Client) -> None:
    session = await begin(alice)
    assert await begin(alice, sessionId=session) == session
    assert await begin(alice, session_id=session) == session
    twice = [
        (await alice.post("/api/chat", message="again", sessionId=session, **{name: "c1"})).body
        for name in ("clientMessageId", "client_message_id")
    ]
    assert twice[0] == twice[1]
    invalid = [await alice.post("/api/chat", message="hi", **{name: "maybe"}) for name in ("whenBusy", "when_busy")]
    assert [answer.status for answer in invalid] == [422, 422]


async def test_camel_case_goes_first_where_both_spellings_are_there(alice: Client) -> None:
    session = await begin(alice)
    assert await begin(alice, sessionId=session, session_id=UNKNOWN) == session
    assert (await alice.post("/api/chat", message="hi", sessionId=UNKNOWN, session_id=session)).status == 404


async def test_model_is_sent_the_new_message_once_and_the_history_oldest_first(alice: Client, llm: LLM) -> None:
    await llm.control(text="So it is.")
    session = await begin(alice, "  one ")
    await begin(alice, "two", sessionId=session)
    first, second = [request.body for request in await llm.record(n=2)]
    assert [message["content"] for message in first["messages"]][1:] == ["one"]
    assert [(message["role"], message["content"]) for message in second["messages"]][1:] == [
        ("user", "one"),
        ("assistant", "So it is."),
        ("user", "two"),
    ]


async def test_model_is_asked_with_the_settings_of_this_api(alice: Client, llm: LLM) -> None:
    await begin(alice)
    [heard] = await llm.record(n=1)
    assert (heard.body["model"], heard.body["temperature"]) == ("gpt-4", 0.7)
    assert {"max_tokens", "presence_penalty", "frequency_penalty"}.isdisjoint(heard.body)
    system = heard.body["messages"][0]
    assert system["role"] == "system"
    assert all(word in system["content"].lower() for word in ("helpful", "concise", "friendly"))


async def test_model_is_sent_at_most_22_messages(alice: Client, llm: LLM) -> None:
    session = await begin(alice)
    for number in range(14):
        await begin(alice, f"prompt {number}", sessionId=session)
    lengths = [len(request.body["messages"]) for request in await llm.record(n=15)]
    assert max(lengths) == 22
    assert all(request.body["messages"][0]["role"] == "system" for request in await llm.record())


async def test_model_and_temperature_are_settings_until_an_admin_changes_them(
    start_server: StartServer, llm: LLM
) -> None:
    server = await start_server(OPENAI_MODEL="gpt-4o-mini", OPENAI_TEMPERATURE="0.2")
    async with open_client(server) as client:
        admin = client.bearing(await server.token("admin"))
        await begin(admin)
        changed = await admin.send("PUT", "/api/v1/personalities/domain", {"temperature": 1.1, "model": "gpt-4.1-mini"})
        assert changed.status == 200, changed.text
        await begin(admin)
    asked = [(request.body["model"], request.body["temperature"]) for request in await llm.record(n=2)]
    assert asked == [("gpt-4o-mini", 0.2), ("gpt-4.1-mini", 1.1)]


async def test_settings_hold_for_what_an_admin_has_left_and_are_what_is_shown(
    start_server: StartServer, llm: LLM
) -> None:
    server = await start_server(OPENAI_MODEL="gpt-4o-mini", OPENAI_TEMPERATURE="0.2")
    path = "/ai-chat/api/presets/2/"
    async with open_client(server) as client:
        admin = client.bearing(await server.token("admin"))
        shown = (await admin.get(path)).body
        assert (shown["model_name"], shown["temperature"]) == ("gpt-4o-mini", 0.2)
        assert (await admin.patch(path, system_prompt="Be brief.")).status == 200
        await begin(admin)
        # What is built in is as good as any other value.
        assert (await admin.patch(path, temperature=0.7)).body["temperature"] == 0.7
        server.environment["OPENAI_MODEL"] = "gpt-4.1-mini"
        await server.restart()
        await begin(admin)
        shown = (await admin.get(path)).body
        assert (shown["model_name"], shown["temperature"]) == ("gpt-4.1-mini", 0.7)
    asked = [(request.body["model"], request.body["temperature"]) for request in await llm.record(n=2)]
    assert asked == [("gpt-4o-mini", 0.2), ("gpt-4.1-mini", 0.7)]


async def test_model_that_is_not_offered_is_replaced_by_the_servers_default(
    start_server: StartServer, llm: LLM
) -> None:
    server = await start_server(OPENAI_MODEL="gpt-9", LLM_DEFAULT_MODEL="gpt-4.1-mini")
    async with open_client(server) as client:
        admin = client.bearing(await server.token("admin"))
        await until_offered(admin, "gpt-4.1-mini")
        await begin(admin)
    [heard] = await llm.record(n=1)
    assert heard.body["model"] == "gpt-4.1-mini"


async def test_session_begun_elsewhere_keeps_its_own_settings(alice: Client, llm: LLM) -> None:
    context = {"context_id": 1, "initial_message": "I run a bakery.", "model": "gpt-4o-mini", "provider": "openai"}
    started = (await alice.post("/api/chat/start", **context)).body
    assert await begin(alice, "one", sessionId=started["uuid"]) == started["uuid"]
    [heard] = await llm.record(n=1)
    assert heard.body["model"] == "gpt-4o-mini"
    assert heard.body["messages"][0]["content"] == started["initial_message"]


async def test_client_that_goes_away_stops_nothing(newcomer: Client, llm: LLM) -> None:
    await llm.control(hold="reply", text="All of it.")
    gone = asyncio.create_task(newcomer.post("/api/chat", message="hello"))
    await llm.record(n=1)
    gone.cancel()
    [session] = (await newcomer.get("/api/chat/sessions")).body
    assert await contents(newcomer, session["sessionId"]) == [("user", "hello")]
    await llm.let_go("reply")
    await ask_until(
        lambda: newcomer.get(f"/api/chat/sessions/{session['sessionId']}/messages"),
        lambda answer: [message["content"] for message in answer.body] == ["hello", "All of it."],
        seconds=10,
    )


@pytest.mark.parametrize(
    ("fields", "loc", "kind"),
    [
        ({}, "message", "missing"),
        ({"message": None}, "message", "null"),
        ({"message": ""}, "message", "blank"),
        ({"message": " "}, "message", "blank"),
        ({"message": "x" * 10_001}, "message", "string_too_long"),
        ({"message": 5}, "message", "string_type"),
        ({"message": True}, "message", "string_type"),
        ({"message": {"text": "hi"}}, "message", "string_type"),
        ({"message": "a\u0000b"}, "message", "string_characters"),
        ({"message": "a\ud83db"}, "message", "string_characters"),
        ({"message": "hi", "sessionId": 5}, "sessionId", "string_type"),
        ({"message": "hi", "session_id": 5}, "session_id", "string_type"),
        ({"message": "hi", "clientMessageId": ""}, "clientMessageId", "blank"),
        ({"message": "hi", "clientMessageId": "x" * 101}, "clientMessageId", "string_too_long"),
        ({"message": "hi", "client_message_id": 7}, "client_message_id", "string_type"),
        ({"message": "hi", "whenBusy": "wait"}, "whenBusy", "choice"),
        ({"message": "hi", "when_busy": True}, "when_busy", "string_type"),
    ],
)
async def test_message_that_cannot_be_used_is_422_at_the_name_it_used_and_stores_nothing(
    newcomer: Client, fields: dict[str, Any], loc: str, kind: str
) -> None:
    answer = await newcomer.post("/api/chat", **fields)
    assert (answer.status, answer.body) == (422, {"detail": [{"loc": ["body", loc], "msg": TEXT, "type": kind}]})
    assert "xxxx" not in answer.text
    assert await count(newcomer) == 0


async def test_message_may_have_ten_thousand_characters_after_trimming(alice: Client, llm: LLM) -> None:
    await llm.control(text="Long.")
    session = await begin(alice, " \n" + "🥐" * 10_000 + "\t ")
    assert await contents(alice, session) == [("user", "🥐" * 10_000), ("assistant", "Long.")]


async def test_malformed_json_is_422(alice: Client) -> None:
    typed = alice.sending({"Content-Type": "application/json"})
    for body in (b"{", b"", b"[]", b"null", b'"hi"', b"\xff", b'{"message": Infinity}'):
        answer = await typed.send("POST", "/api/chat", body)
        assert (answer.status, answer.body) == (
            422,
            {"detail": [{"loc": ["body"], "msg": TEXT, "type": "json_invalid"}]},
        )


# When the model fails


@pytest.mark.parametrize(
    "fault", ["429", "429-retry-after", "500", "503", "html", "empty", "reset", "malformed", "error-in-stream"]
)
async def test_model_that_fails_is_503_with_that_very_text_and_nothing_of_the_cause(
    newcomer: Client, llm: LLM, fault: str
) -> None:
    await llm.control(fault=fault, after=0)
    answer = await newcomer.having(Accept_Language="de").post("/api/chat", message="hello")
    assert (answer.status, answer.content) == (503, b'{"detail":"AI service unavailable"}')
    assert "Retry-After" not in answer.headers
    assert "VENDORSECRET" not in str(answer.headers)
    [session] = (await newcomer.get("/api/chat/sessions")).body
    assert await contents(newcomer, session["sessionId"]) == [("user", "hello")]


async def test_reply_that_broke_off_is_503_and_listed_with_the_text_so_far(newcomer: Client, llm: LLM) -> None:
    await llm.control(fault="reset", text="one two three", pieces=3, after=1)
    assert (await newcomer.post("/api/chat", message="count")).status == 503
    [session] = (await newcomer.get("/api/chat/sessions")).body
    [asked, kept] = await contents(newcomer, session["sessionId"])
    assert (asked, kept[0], kept[1].strip()) == (("user", "count"), "assistant", "one")


async def test_model_server_that_is_down_is_503_and_the_same_request_asks_again(newcomer: Client, llm: LLM) -> None:
    llm.process.kill()
    failed = await newcomer.post("/api/chat", message="hello", clientMessageId="c1")
    assert (failed.status, failed.body) == (503, {"detail": "AI service unavailable"})
    without = await newcomer.post("/api/chat", message="hello")
    assert without.status == 503
    assert await count(newcomer) == 2
    await llm.restart()
    await llm.control(text="Back.")
    again = await newcomer.post("/api/chat", message="hello", clientMessageId="c1")
    assert (again.status, again.body["message"]) == (200, "Back.")
    assert await count(newcomer) == 2
    assert await contents(newcomer, again.body["sessionId"]) == [("user", "hello"), ("assistant", "Back.")]


# Client ids


async def test_same_client_message_id_of_a_first_message_makes_one_session(newcomer: Client) -> None:
    first = await newcomer.post("/api/chat", message="hello", clientMessageId="c" * 100)
    again = await newcomer.post("/api/chat", message="hello ", clientMessageId="c" * 100)
    assert (again.status, again.body) == (200, first.body)
    assert await count(newcomer) == 1
    there = await newcomer.post(
        "/api/chat", message="hello", clientMessageId="c" * 100, sessionId=first.body["sessionId"]
    )
    assert there.body == first.body


async def test_same_client_message_id_with_another_text_is_a_conflict(newcomer: Client) -> None:
    session = await begin(newcomer, "hello", clientMessageId="c1")
    for place in ({}, {"sessionId": session}):
        answer = await newcomer.post("/api/chat", message="goodbye", clientMessageId="c1", **place)
        assert (answer.status, list(answer.body)) == (409, ["detail"])
    assert await count(newcomer) == 1
    assert len(await read(newcomer, session)) == 2


async def test_client_message_ids_of_two_people_are_two(alice: Client, bob: Client) -> None:
    hers = await begin(alice, "hello", clientMessageId="ours")
    his = await begin(bob, "goodbye", clientMessageId="ours")
    assert hers != his


async def test_deleting_a_session_frees_its_client_message_ids(newcomer: Client) -> None:
    session = await begin(newcomer, "hello", clientMessageId="c1")
    await newcomer.delete(f"/api/chat/sessions/{session}")
    assert await begin(newcomer, "goodbye", clientMessageId="c1") != session


# Busy, stopped, ended


async def test_busy_session_refuses_a_message_that_may_not_wait(alice: Client, llm: LLM) -> None:
    session = await begin(alice)
    await llm.control(hold="first")
    first = asyncio.create_task(begin(alice, "one", sessionId=session))
    await llm.record(n=2)
    refused = await alice.post("/api/chat", message="two", sessionId=session, whenBusy="reject")
    assert (refused.status, list(refused.body)) == (409, ["detail"])
    assert isinstance(refused.body["detail"], str)
    await llm.let_go("first")
    await first
    assert len(await read(alice, session)) == 4


async def test_reply_that_is_stopped_from_elsewhere_is_200_with_the_text_so_far(alice: Client) -> None:
    session = await begin(alice)
    async with enter(alice, session) as device:
        talking = asyncio.create_task(
            alice.post("/api/chat", message="[[text=one two three&fault=stall&after=1]]", sessionId=session)
        )
        await device.until("ai_message_chunk")
    interrupted = await alice.post(f"/api/chat/session/{session}/chat", prompt="[[text=Yes.]]", when_busy="interrupt")
    assert interrupted.status == 201
    stopped = await talking
    assert (stopped.status, stopped.body["message"].strip()) == (200, "one")
    assert [text.strip() for _, text in await contents(alice, session)][-3:] == ["one", "[[text=Yes.]]", "Yes."]


async def test_reply_that_runs_is_not_listed_and_its_message_is(alice: Client, llm: LLM) -> None:
    session = await begin(alice)
    await llm.control(hold="reply", text="Done.")
    talking = asyncio.create_task(begin(alice, "one", sessionId=session))
    await llm.record(n=2)
    assert [text for _, text in await contents(alice, session)][2:] == ["one"]
    await llm.let_go("reply")
    await talking
    assert [text for _, text in await contents(alice, session)][2:] == ["one", "Done."]


async def test_session_that_has_ended_takes_no_message_and_stays_readable(alice: Client) -> None:
    session = await begin(alice)
    assert (await alice.delete(f"/api/v1/chatbot/session/{session}")).status == 200
    answer = await alice.having(Accept_Language="it").post("/api/chat", message="more", sessionId=session)
    assert (answer.status, answer.body) == (409, {"detail": "Session has ended"})
    assert (await alice.post("/api/chat", message=" ", sessionId=session)).status == 422
    assert len(await read(alice, session)) == 2
    assert session in [listed["sessionId"] for listed in (await alice.get("/api/chat/sessions")).body]
    assert (await alice.patch(f"/api/chat/sessions/{session}", title="Over")).body["title"] == "Over"


# Sessions


async def test_session_shows_exactly_its_fields(newcomer: Client) -> None:
    session = await begin(newcomer)
    me = (await newcomer.get("/api/auth/me")).body
    expected = {"sessionId": session, "userId": me["userId"], "title": "hello", "createdAt": TIME, "updatedAt": TIME}
    assert (await newcomer.get(f"/api/chat/sessions/{session}")).body == expected
    assert (await newcomer.get("/api/chat/sessions")).body == [expected]


async def test_messages_show_exactly_their_fields(alice: Client, llm: LLM) -> None:
    await llm.control(text="So it is.")
    session = await begin(alice, " one ")
    shared = {"messageId": UUID, "sessionId": session, "createdAt": TIME}
    messages = await read(alice, session)
    assert messages == [
        {**shared, "role": "user", "content": "one"},
        {**shared, "role": "assistant", "content": "So it is."},
    ]
    assert messages[0]["createdAt"] <= messages[1]["createdAt"]


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("  What is a yeast starter?  ", "What is a yeast starter?"),
        ("é" * 60, "é" * 50),
        ("one\ntwo\r\nthree", "one two three"),
        ("🥐" * 51, "🥐" * 50),
    ],
)
async def test_title_is_the_first_fifty_characters_of_the_first_message(
    alice: Client, message: str, title: str
) -> None:
    session = await begin(alice, message)
    shown = (await alice.get(f"/api/chat/sessions/{session}")).body["title"]
    assert " ".join(shown.split()) == title


async def test_session_without_a_first_message_is_called_new_chat(alice: Client) -> None:
    session = (await alice.post("/api/v1/chatbot/session", user_id="u-1")).body["session_id"]
    assert (await alice.get(f"/api/chat/sessions/{session}")).body["title"] == "New Chat"


async def test_sessions_are_listed_newest_update_first_page_by_page(newcomer: Client) -> None:
    assert (await newcomer.get("/api/chat/sessions")).content == b"[]"
    made = [await begin(newcomer, f"session {number}") for number in range(4)]
    await begin(newcomer, "again", sessionId=made[1])
    await newcomer.patch(f"/api/chat/sessions/{made[0]}", title="Renamed")
    expected = [made[0], made[1], made[3], made[2]]

    async def listed(query: str) -> list[str]:
        return [session["sessionId"] for session in (await newcomer.get(f"/api/chat/sessions{query}")).body]

    assert await listed("") == expected
    assert await listed("?limit=2") == expected[:2]
    assert await listed("?limit=2&offset=2") == expected[2:]
    assert await listed("?offset=3&limit=100") == expected[3:]
    assert await listed("?offset=4") == []


async def test_sessions_of_others_are_not_listed(alice: Client, newcomer: Client, admin: Client) -> None:
    session = await begin(alice)
    for other in (newcomer, admin):
        assert session not in (await other.get("/api/chat/sessions")).text


async def test_no_more_than_a_hundred_sessions_are_listed_unless_told(newcomer: Client) -> None:
    started = {"context_id": 1, "initial_message": "hi"}
    await asyncio.gather(*(newcomer.post("/api/chat/start", **started) for _ in range(101)))
    assert await count(newcomer) == 100
    assert len((await newcomer.get("/api/chat/sessions?offset=100")).body) == 1


async def test_messages_are_listed_page_by_page(alice: Client) -> None:
    session = await begin(alice, "one")
    await begin(alice, "two", sessionId=session)
    messages = await read(alice, session)
    assert len(messages) == 4
    assert await read(alice, session, "?limit=3") == messages[:3]
    assert await read(alice, session, "?offset=1") == messages[1:]
    assert await read(alice, session, "?limit=2&offset=1") == messages[1:3]
    assert await read(alice, session, "?limit=100000") == messages
    assert await read(alice, session, "?offset=4") == []


async def test_empty_session_lists_an_empty_bare_list(alice: Client) -> None:
    started = (await alice.post("/api/chat/start", context_id=1, initial_message="hi")).body
    assert (await alice.get(f"/api/chat/sessions/{started['uuid']}/messages")).content == b"[]"


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=all", "limit"),
        ("limit=1.5", "limit"),
        ("limit=", "limit"),
        ("limit=true", "limit"),
        ("offset=-1", "offset"),
        ("offset=99999999999999999999", "offset"),
        ("offset=%00", "offset"),
    ],
)
async def test_page_that_cannot_be_is_422_in_the_query(alice: Client, query: str, name: str) -> None:
    answer = await alice.get(f"/api/chat/sessions?{query}")
    assert (answer.status, answer.body) == (422, {"detail": [{"loc": ["query", name], "msg": TEXT, "type": TEXT}]})


@pytest.mark.parametrize("query", ["limit=0", "limit=many", "offset=-1"])
async def test_page_of_messages_that_cannot_be_is_422_before_404(alice: Client, query: str) -> None:
    session = await begin(alice)
    for place in (session, UNKNOWN, "abc"):
        answer = await alice.get(f"/api/chat/sessions/{place}/messages?{query}")
        assert (answer.status, answer.body["detail"][0]["loc"][0]) == (422, "query")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_rename_changes_the_title_and_moves_the_update(alice: Client, method: str) -> None:
    session = await begin(alice)
    before = (await alice.get(f"/api/chat/sessions/{session}")).body
    renamed = await alice.send(method, f"/api/chat/sessions/{session}", {"title": "  Brot & 🥐 "})
    assert renamed.status == 200
    assert renamed.body == {**before, "title": "Brot & 🥐", "updatedAt": renamed.body["updatedAt"]}
    assert renamed.body["updatedAt"] > before["updatedAt"]
    assert (await alice.get(f"/api/chat/sessions/{session}")).body == renamed.body


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    "fields", [{}, {"title": None}, {"title": " "}, {"title": "x" * 256}, {"title": 5}, {"title": "\u0000"}]
)
async def test_title_that_cannot_be_used_is_422_before_404(alice: Client, method: str, fields: dict[str, Any]) -> None:
    session = await begin(alice)
    for place in (session, UNKNOWN):
        answer = await alice.send(method, f"/api/chat/sessions/{place}", fields)
        assert (answer.status, answer.body["detail"][0]["loc"]) == (422, ["body", "title"])
    assert (await alice.get(f"/api/chat/sessions/{session}")).body["title"] == "hello"


async def test_title_may_have_255_characters(alice: Client) -> None:
    session = await begin(alice)
    title = "🥐" * 255
    assert (await alice.patch(f"/api/chat/sessions/{session}", title=f" {title} ")).body["title"] == title


async def test_update_moves_with_each_message_in_whichever_api(alice: Client) -> None:
    session = await begin(alice)

    async def updated() -> str:
        moment: str = (await alice.get(f"/api/chat/sessions/{session}")).body["updatedAt"]
        return moment

    moments = [await updated()]
    await begin(alice, sessionId=session)
    moments.append(await updated())
    await alice.post(f"/api/chat/session/{session}/chat", prompt="hello")
    moments.append(await updated())
    await alice.post(f"/api/v1/chatbot/session/{session}/message", message="hello")
    moments.append(await updated())
    assert moments == sorted(set(moments))


async def test_delete_hides_at_once_everywhere_and_a_second_one_is_404(newcomer: Client) -> None:
    session = await begin(newcomer)
    deleted = await newcomer.delete(f"/api/chat/sessions/{session}")
    assert (deleted.status, deleted.content) == (200, b'{"success":true}')
    again = await newcomer.delete(f"/api/chat/sessions/{session}")
    assert (again.status, again.text) == NOT_FOUND
    assert await count(newcomer) == 0
    for answer in await six_operations(newcomer, session):
        assert (answer.status, answer.text) == NOT_FOUND
    assert (await newcomer.post(f"/api/chat/session/{session}/chat", prompt="hi")).status == 404
    assert (await newcomer.get(f"/api/v1/chatbot/session/{session}?include_ended=true")).status == 404


async def test_delete_stops_the_reply_that_runs(alice: Client, llm: LLM) -> None:
    session = await begin(alice)
    talking = asyncio.create_task(alice.post("/api/chat", message="[[fault=no-first-byte]]", sessionId=session))
    await llm.record(n=2)
    assert (await alice.delete(f"/api/chat/sessions/{session}")).status == 200
    await llm.record("closed", n=1)
    assert (await talking).status in (200, 404)


# Whose it is


async def six_operations(person: Client, session: str) -> list[Answer]:
    """Each operation that takes a session, on this one."""
    return [
        await person.post("/api/chat", message="hello", sessionId=session),
        await person.get(f"/api/chat/sessions/{session}"),
        await person.get(f"/api/chat/sessions/{session}/messages"),
        await person.post(f"/api/chat/sessions/{session}", title="Mine"),
        await person.patch(f"/api/chat/sessions/{session}", title="Mine"),
        await person.delete(f"/api/chat/sessions/{session}"),
    ]


@pytest.mark.parametrize("place", [UNKNOWN, "abc", "1", "%F0%9F%98%80", "%20", "..%2e", "a%27b", "x" * 300])
async def test_session_that_is_not_there_is_the_same_404_on_each_operation(alice: Client, place: str) -> None:
    for answer in await six_operations(alice, place):
        assert (answer.status, answer.text) == NOT_FOUND


async def test_id_with_a_nul_is_malformed_and_not_found(alice: Client) -> None:
    _, *in_the_path = await six_operations(alice, "a%00b")
    assert {(answer.status, answer.text) for answer in in_the_path} == {NOT_FOUND}


async def test_session_of_another_is_the_same_404_on_each_operation_and_stays(
    alice: Client, bob: Client, admin: Client
) -> None:
    session = await begin(alice)
    before = (await alice.get(f"/api/chat/sessions/{session}")).body
    for other in (bob, admin):
        for answer in await six_operations(other, session):
            assert (answer.status, answer.text) == NOT_FOUND
    assert (await alice.get(f"/api/chat/sessions/{session}")).body == before
    assert len(await read(alice, session)) == 2


async def test_invented_session_id_is_never_adopted(newcomer: Client) -> None:
    for invented in (UNKNOWN, "my-session", "7"):
        assert (await newcomer.post("/api/chat", message="hello", sessionId=invented)).status == 404
    assert await count(newcomer) == 0


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/chat", {"message": "hello"}),
        ("GET", "/api/chat/sessions", None),
        ("GET", f"/api/chat/sessions/{UNKNOWN}", None),
        ("GET", f"/api/chat/sessions/{UNKNOWN}/messages", None),
        ("POST", f"/api/chat/sessions/{UNKNOWN}", {"title": "Mine"}),
        ("PATCH", f"/api/chat/sessions/{UNKNOWN}", {"title": "Mine"}),
        ("DELETE", f"/api/chat/sessions/{UNKNOWN}", None),
    ],
)
async def test_no_or_bad_credentials_are_401(nobody: Client, method: str, path: str, body: Any) -> None:
    for client in (nobody, nobody.bearing("x" * 43), nobody.carrying(palaver_guest="whoever")):
        answer = await client.send(method, path, body)
        assert (answer.status, list(answer.body)) == (401, ["detail"])
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.cookies == {}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/chat", ["POST"]),
        ("DELETE", "/api/chat/sessions", ["GET", "HEAD"]),
        ("PUT", f"/api/chat/sessions/{UNKNOWN}", ["DELETE", "GET", "HEAD", "PATCH", "POST"]),
        ("POST", f"/api/chat/sessions/{UNKNOWN}/messages", ["GET", "HEAD"]),
    ],
)
async def test_other_methods_are_405_and_say_what_is_allowed(
    alice: Client, method: str, path: str, allowed: list[str]
) -> None:
    answer = await alice.send(method, path)
    assert (answer.status, answer.body) == (405, {"detail": "Method Not Allowed"})
    assert sorted(answer.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "path", ["/api/chat/sessions/", f"/api/chat/sessions/{UNKNOWN}/", "/api/chat/sessions//messages"]
)
async def test_slash_at_the_end_is_another_path(alice: Client, path: str) -> None:
    answer = await alice.get(path)
    assert (answer.status, answer.body) == (404, {"detail": "Not Found"})


async def test_session_begun_here_goes_on_after_a_restart(server: Server, llm: LLM) -> None:
    async with open_client(server) as client:
        person = client.bearing(await server.token("admin"))
        await llm.control(text="So it is.")
        session = await begin(person, "one", clientMessageId="c1")
        before = await read(person, session)
        await server.restart()
        assert await read(person, session) == before
        again = await person.post("/api/chat", message="one", clientMessageId="c1")
        assert (again.body["sessionId"], again.body["messageId"]) == (session, before[1]["messageId"])
        await begin(person, "two", sessionId=session)
    assert [message["content"] for message in (await llm.record(n=2))[-1].body["messages"]][1:] == [
        "one",
        "So it is.",
        "two",
    ]


# Guests


async def test_guest_that_keeps_the_cookie_lists_its_own_sessions(start_server: StartServer) -> None:
    server = await start_server(PALAVER_GUESTS="on")
    async with open_client(server) as client:
        first = await client.post("/api/chat", message="hello")
        assert first.status == 200
        guest = client.carrying(palaver_guest=first.cookies["palaver_guest"])
        session = first.body["sessionId"]
        assert await begin(guest, "again", sessionId=session) == session
        [listed] = (await guest.get("/api/chat/sessions")).body
        assert listed == {"sessionId": session, "userId": UUID, "title": "hello", "createdAt": TIME, "updatedAt": TIME}
        await begin(guest)
        assert await count(guest) == 2


async def test_guest_that_keeps_no_cookie_does_everything_by_session_id(start_server: StartServer) -> None:
    server = await start_server(PALAVER_GUESTS="on")
    async with open_client(server) as client:
        session = await begin(client)
        assert await begin(client, "again", sessionId=session) == session
        assert len(await read(client, session)) == 4
        assert (await client.get("/api/chat/sessions")).content == b"[]"
        shown = (await client.get(f"/api/chat/sessions/{session}")).body
        assert (await client.post(f"/api/chat/sessions/{session}", title="Ours")).body["userId"] == shown["userId"]
        assert (await client.delete(f"/api/chat/sessions/{session}")).body == {"success": True}
        assert (await client.get(f"/api/chat/sessions/{session}")).status == 404
