"""ai_chat over HTTP, as the REST part of its contract page says it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from math import inf
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientResponse
from yarl import URL

from palaver.llm_server import Options, running
from palaver.llm_server.server import Running
from tests.journeys.client import (
    TEXT,
    TIME,
    UUID,
    UUID4,
    WHOLE,
    Answer,
    Client,
    ask_until,
    new_name,
    open_client,
    register,
    sign_in,
    until_offered,
)
from tests.journeys.socket import enter
from tests.parts import PartFailed
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer
from tests.promises import Measured

UNKNOWN = "0d2b8a54-6f0f-4c55-9e0a-5a3c1d2f7b10"
SESSIONS = "/ai-chat/api/sessions/"
PRESETS = "/ai-chat/api/presets/"
MODELS = "/ai-chat/api/models/"
SYNC = "/ai-chat/api/models/sync_models/"
HEALTH = "/ai-chat/api/health/llm_server/"
STATS = "/ai-chat/api/health/stats/"
STALLED = "[[text=one two three&pieces=3&fault=stall&after=1]]"
EMOJI = "Caffè 漢字 \U0001f600 pronto"

# Each test finds the model as nobody has told it anything.
pytestmark = pytest.mark.usefixtures("llm")

Fields = dict[str, Any]


@pytest.fixture(scope="module")
def server_environment(scaled: Mapping[str, str]) -> Mapping[str, str]:
    return {
        "PALAVER_REGISTRATION": "on",
        "PALAVER_LLM_TRIES": "1",
        "LLM_DEFAULT_MODEL": "gpt-4",
        "LLM_TEMPERATURE": "0.4",
        "LLM_MAX_TOKENS": "1234",
        "LLM_ENABLE_TOOLS": "false",
        **scaled,
    }


@pytest.fixture
async def alice(nobody: Client) -> Client:
    return await register(nobody)


@pytest.fixture
async def bob(nobody: Client) -> Client:
    return await register(nobody)


def at(session: str, place: str = "") -> str:
    return f"{SESSIONS}{session}/{place}"


async def make(person: Client, **fields: Any) -> Fields:
    answer = await person.post(SESSIONS, **fields)
    assert answer.status == 201, answer.text
    made: Fields = answer.body
    return made


async def read(person: Client, session: str) -> Fields:
    answer = await person.get(at(session))
    assert answer.status == 200, answer.text
    body: Fields = answer.body
    return body


async def change(person: Client, session: str, **fields: Any) -> Fields:
    answer = await person.patch(at(session), **fields)
    assert answer.status == 200, answer.text
    body: Fields = answer.body
    return body


async def say(person: Client, session: str, message: str = "hello", **fields: Any) -> Fields:
    answer = await person.post(at(session, "send_message/"), message=message, **fields)
    assert answer.status == 200, answer.text
    body: Fields = answer.body
    return body


def said(session: Fields) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in session["messages"]]


# Making sessions


async def test_new_session_holds_exactly_what_the_page_names(nobody: Client) -> None:
    answer = await nobody.post(
        "/api/auth/register", email="ana@example.org", password="correct horse", fullName="Ana Maria Rossi"
    )
    session = await make(nobody.bearing(answer.body["accessToken"]))
    assert session == {
        "id": UUID4,
        "user": {"id": WHOLE, "username": "ana@example.org", "first_name": "Ana", "last_name": "Maria Rossi"},
        "title": session["title"],
        "model_name": "gpt-4",
        "temperature": 0.4,
        "max_tokens": None,
        "enable_tools": False,
        "is_active": True,
        "status": "active",
        "created_at": TIME,
        "updated_at": session["created_at"],
        "message_count": 0,
        "last_message_time": session["created_at"],
        "window": None,
        "token_budget": None,
        "messages": [],
    }
    day, minute = session["created_at"][:10], session["created_at"][11:16]
    assert session["title"] == f"Chat {day} {minute}"


async def test_new_session_is_made_with_what_is_sent(alice: Client) -> None:
    wanted = {"model_name": "any name", "temperature": 2, "max_tokens": 1, "enable_tools": True}
    made = await make(alice, title="  Rivers ", **wanted)
    assert made["title"] == "Rivers"
    assert {name: made[name] for name in wanted} == wanted
    assert await read(alice, made["id"]) == made


@pytest.mark.parametrize("body", [b"", b"{}", dict.fromkeys(("title", "temperature", "system_prompt"))])
async def test_nothing_need_be_sent_and_null_is_nothing(alice: Client, body: object) -> None:
    typed = alice.having(Content_Type="application/json")
    answer = await (typed if body == b"{}" else alice).send("POST", SESSIONS, body)
    assert (answer.status, answer.body["messages"]) == (201, [])


async def test_system_prompt_is_the_first_message(alice: Client) -> None:
    session = await make(alice, system_prompt=" You are a geographer. ")
    assert session["messages"] == [
        {
            "id": UUID,
            "role": "system",
            "content": " You are a geographer. ",
            "tool_calls": None,
            "tool_call_id": None,
            "metadata": {},
            "created_at": session["created_at"],
            "token_count": WHOLE,
            "number": 0,
            "status": "complete",
            "parent_id": None,
        }
    ]
    assert (session["message_count"], session["last_message_time"]) == (1, session["created_at"])


async def test_blank_system_prompt_is_none(alice: Client) -> None:
    assert (await make(alice, system_prompt="  \n"))["messages"] == []


WRONG: list[tuple[str, object]] = [
    ("title", ""), ("title", "  "), ("title", "x" * 256), ("title", 5), ("title", "a\0"),
    ("model_name", ""), ("model_name", "x" * 101), ("model_name", 5),
    ("temperature", -0.1), ("temperature", 2.1), ("temperature", "warm"), ("temperature", True),
    ("max_tokens", 0), ("max_tokens", 1.5), ("max_tokens", True), ("max_tokens", "many"),
    ("enable_tools", "true"), ("enable_tools", 1),
    ("system_prompt", "x" * 20_001), ("system_prompt", ["x"]), ("system_prompt", "\ud800"),
]  # fmt: skip
WRONG_LATER: list[tuple[str, object]] = [
    *WRONG,
    ("window", -1), ("window", 201), ("window", "x"), ("token_budget", 0), ("token_budget", 1.5),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG)
async def test_field_out_of_its_range_is_400_and_makes_nothing(alice: Client, name: str, value: object) -> None:
    answer = await alice.post(SESSIONS, **{name: value})
    assert (answer.status, answer.body) == (400, {name: [TEXT]})
    assert (await alice.get(SESSIONS)).body == []


async def test_every_wrong_field_is_named(alice: Client) -> None:
    answer = await alice.post(SESSIONS, title=5, max_tokens=0, temperature=3)
    assert answer.body == {"title": [TEXT], "max_tokens": [TEXT], "temperature": [TEXT]}


async def test_ends_of_the_ranges_are_within(alice: Client) -> None:
    for ends in (
        {"title": "x", "model_name": "x", "temperature": 0, "max_tokens": 1, "system_prompt": ""},
        {"title": f" {'x' * 255} ", "model_name": "x" * 100, "temperature": "2", "system_prompt": "漢" * 20_000},
    ):
        await make(alice, **ends)


async def test_malformed_json_is_400_and_another_type_415(alice: Client) -> None:
    broken = await alice.having(Content_Type="application/json").send("POST", SESSIONS, b"{")
    assert (broken.status, broken.body) == (400, {"detail": TEXT})
    typed = await alice.having(Content_Type="text/plain").send("POST", SESSIONS, b"{}")
    assert (typed.status, typed.body) == (415, {"detail": TEXT})


# Listing and reading


async def test_list_is_bare_and_without_messages_newest_change_first(alice: Client) -> None:
    made = [await make(alice, title=f"s{number}", system_prompt="Be kind.") for number in range(3)]
    await change(alice, made[0]["id"], title="first again")
    listed = (await alice.get(SESSIONS)).body
    assert [session["title"] for session in listed] == ["first again", "s2", "s1"]
    whole = await read(alice, made[0]["id"])
    assert listed[0] == {
        name: value for name, value in whole.items() if name not in ("messages", "window", "token_budget")
    }


async def test_list_is_cut_into_pages(alice: Client) -> None:
    for number in range(4):
        await make(alice, title=f"s{number}")
    for query, titles in (
        ("?limit=2", ["s3", "s2"]), ("?limit=2&offset=3", ["s0"]), ("?offset=2", ["s1", "s0"]), ("?offset=9", []),
        ("?limit=1000000", ["s3", "s2", "s1", "s0"]),
    ):  # fmt: skip
        assert [session["title"] for session in (await alice.get(SESSIONS + query)).body] == titles


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "offset=-1", "offset=x", "limit="])
async def test_page_that_cannot_be_is_400(alice: Client, query: str) -> None:
    session = await make(alice)
    for path in (SESSIONS, at(session["id"], "messages/")):
        answer = await alice.get(f"{path}?{query}")
        assert (answer.status, answer.body) == (400, {query.partition("=")[0]: [TEXT]})


async def test_messages_are_a_path_each_following_the_one_listed_before_it(alice: Client, llm: LLM) -> None:
    session = (await make(alice, system_prompt="Be brief."))["id"]
    await say(alice, session, "Name a river.", client_message_id="k-17")
    await llm.control(fault="500")
    assert (await alice.post(at(session, "send_message/"), message="Another.")).status == 500
    await llm.control(text="The Rhine.", fault="no-usage")
    await say(alice, session, "Another one.")
    page = (await alice.get(at(session, "messages/"))).body
    assert (page["session_id"], page["total_count"]) == (session, 6)
    messages = page["messages"]
    assert said(page) == [
        ("system", "Be brief."),
        ("user", "Name a river."),
        ("assistant", "You said: Name a river."),
        ("user", "Another."),
        ("user", "Another one."),
        ("assistant", "The Rhine."),
    ]
    assert [message["parent_id"] for message in messages] == [None, *(message["id"] for message in messages[:-1])]
    numbers = [message["number"] for message in messages]
    assert numbers == sorted(set(numbers))
    assert {message["status"] for message in messages} == {"complete"}
    usage = messages[2]["metadata"]["usage"]
    assert usage == {"prompt_tokens": WHOLE, "completion_tokens": WHOLE, "total_tokens": WHOLE}
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert [message["metadata"] for message in messages] == [
        {}, {"client_message_id": "k-17"}, {"model": "gpt-4", "usage": usage}, {}, {}, {"model": "gpt-4"},
    ]  # fmt: skip
    assert (await read(alice, session))["messages"] == messages


async def test_page_of_messages_begins_with_the_parent_that_is_not_in_it(alice: Client) -> None:
    session = (await make(alice, system_prompt="Be brief."))["id"]
    for text in ("one", "two"):
        await say(alice, session, text)
    whole = (await alice.get(at(session, "messages/"))).body
    for query, part in (
        ("?limit=2", slice(0, 2)), ("?limit=2&offset=2", slice(2, 4)), ("?offset=4", slice(4, 5)),
        ("?offset=5", slice(5, 5)), ("?limit=9223372036854775807&offset=4", slice(4, 5)),
        ("?offset=9223372036854775807", slice(5, 5)),
    ):  # fmt: skip
        page = (await alice.get(at(session, f"messages/{query}"))).body
        assert page == {**whole, "messages": whole["messages"][part]}
        assert page["total_count"] == 5


async def test_reply_that_broke_off_is_listed_with_its_status_and_reason(alice: Client, llm: LLM) -> None:
    session = (await make(alice))["id"]
    await llm.control(text="one two three", pieces=3, fault="cut", after=1)
    failed = await alice.post(at(session, "send_message/"), message="count")
    assert (failed.status, failed.body) == (500, {"error": TEXT})
    reply = (await read(alice, session))["messages"][1]
    assert (reply["content"], reply["status"], reply["metadata"]["reason"]) == ("one ", "interrupted", TEXT)


async def test_last_message_time_moves_with_the_messages(alice: Client) -> None:
    session = (await make(alice, system_prompt="Be brief."))["id"]
    turn = await say(alice, session)
    after = await read(alice, session)
    times = [after["created_at"], turn["user_message"]["created_at"], turn["ai_message"]["created_at"]]
    assert times == [message["created_at"] for message in after["messages"]]
    assert times == sorted(set(times))
    assert after["last_message_time"] == times[-1]
    assert (after["message_count"], after["updated_at"]) == (3, after["last_message_time"])


# Changing


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "Rivers"}, {"model_name": "gpt-4o-mini"}, {"temperature": 1.5}, {"max_tokens": 77},
        {"enable_tools": True}, {"window": 0}, {"window": 200}, {"token_budget": 1}, {"is_active": True},
    ],
)  # fmt: skip
@pytest.mark.parametrize(("method", "place"), [("PATCH", ""), ("PUT", ""), ("PATCH", "update_settings/")])
async def test_change_changes_what_is_given_and_nothing_else(
    alice: Client, fields: Fields, method: str, place: str
) -> None:
    before = await make(alice, title="Lakes", temperature=0.1, system_prompt="Be kind.")
    answer = await alice.send(method, at(before["id"], place), fields)
    assert answer.status == 200, answer.text
    assert answer.body == {**before, **fields, "updated_at": answer.body["updated_at"]}
    assert await read(alice, before["id"]) == answer.body


async def test_updated_at_moves_with_each_change(alice: Client) -> None:
    session = await make(alice)
    for fields in ({"title": "a"}, {"window": 3}, {"system_prompt": "x"}, {"temperature": 1}):
        changed = await change(alice, session["id"], **fields)
        assert changed["updated_at"] > session["updated_at"]
        session = changed
    assert await change(alice, session["id"]) == session


async def test_null_clears_what_may_be_null_and_else_is_as_if_absent(alice: Client) -> None:
    wanted = {"title": "T", "model_name": "m", "temperature": 0.5, "enable_tools": True}
    session = await make(alice, **wanted, max_tokens=5, system_prompt="Be kind.")
    await change(alice, session["id"], window=3, token_budget=4)
    names = (*wanted, "max_tokens", "window", "token_budget", "system_prompt", "is_active")
    changed = await change(alice, session["id"], **dict.fromkeys(names))
    assert [changed[name] for name in ("max_tokens", "window", "token_budget")] == [None, None, None]
    assert {name: changed[name] for name in wanted} == wanted
    assert said(changed) == [("system", "Be kind.")]


@pytest.mark.parametrize(("name", "value"), [*WRONG_LATER, ("is_active", "false"), ("is_active", 0)])
async def test_change_out_of_range_is_400_and_changes_nothing(alice: Client, name: str, value: object) -> None:
    before = await make(alice)
    for method in ("PATCH", "PUT"):
        answer = await alice.send(method, at(before["id"]), {"title": "New", name: value})
        assert (answer.status, answer.body) == (400, {name: [TEXT]})
    assert await read(alice, before["id"]) == before


async def test_update_settings_takes_no_is_active(alice: Client) -> None:
    session = (await make(alice))["id"]
    assert (await alice.patch(at(session, "update_settings/"), is_active=False)).body["is_active"] is True
    assert (await read(alice, session))["is_active"] is True
    answer = await alice.patch(at(session, "update_settings/"), window=201)
    assert (answer.status, answer.body) == (400, {"window": [TEXT]})


async def test_system_prompt_is_replaced_where_it_stands_for_the_turns_to_come(alice: Client, llm: LLM) -> None:
    session = await make(alice, system_prompt="Be brief.")
    await say(alice, session["id"], "one")
    changed = await change(alice, session["id"], system_prompt="Be long.")
    assert said(changed)[:2] == [("system", "Be long."), ("user", "one")]
    assert changed["messages"][0]["id"] == session["messages"][0]["id"]
    assert changed["message_count"] == 3
    await say(alice, session["id"], "two")
    first, second = [request.body["messages"] for request in await llm.record(n=2)]
    assert [message["content"] for message in first] == ["Be brief.", "one"]
    assert [message["content"] for message in second] == ["Be long.", "one", "You said: one", "two"]
    assert [message["role"] for message in second] == ["system", "user", "assistant", "user"]


async def test_system_prompt_can_come_later_and_go_again(alice: Client, llm: LLM) -> None:
    session = (await make(alice))["id"]
    await say(alice, session, "one")
    with_it = await change(alice, session, system_prompt="Be kind.")
    assert [role for role, _ in said(with_it)] == ["system", "user", "assistant"]
    assert with_it["messages"][1]["parent_id"] == with_it["messages"][0]["id"]
    without = await change(alice, session, system_prompt=" ")
    assert [role for role, _ in said(without)] == ["user", "assistant"]
    assert (with_it["message_count"], without["message_count"]) == (3, 2)
    assert without["messages"][0]["parent_id"] is None
    await say(alice, session, "two")
    assert "Be kind." not in str((await llm.record(n=2))[-1].body)


# Putting away


async def test_deleted_session_is_204_and_then_nowhere(alice: Client) -> None:
    session = (await make(alice, system_prompt="Be kind."))["id"]
    answer = await alice.delete(at(session))
    assert (answer.status, answer.content) == (204, b"")
    await assert_gone(alice, session)


async def test_deactivated_session_is_told_and_then_nowhere(alice: Client) -> None:
    session = (await make(alice))["id"]
    answer = await alice.delete(at(session, "deactivate/"))
    assert (answer.status, answer.body) == (200, {"message": TEXT})
    await assert_gone(alice, session)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_is_active_false_deactivates_and_answers_once(alice: Client, method: str) -> None:
    before = await make(alice)
    answer = await alice.send(method, at(before["id"]), {"is_active": False, "title": "Gone"})
    assert answer.status == 200
    assert answer.body == {**before, "is_active": False, "title": "Gone", "updated_at": TIME}
    await assert_gone(alice, before["id"])


async def assert_gone(person: Client, session: str) -> None:
    for answer in [await person.send(*request) for request in requests(session)]:
        assert (answer.status, answer.body) == (404, {"detail": "Not found."})
    assert (await person.get(SESSIONS)).body == []
    # In the other APIs too.
    elsewhere = [
        await person.get(f"/api/chat/sessions/{session}"),
        await person.post("/api/chat", message="hi", sessionId=session),
        await person.get(f"/api/v1/chatbot/session/{session}?include_ended=true"),
        await person.post(f"/api/chat/session/{session}/chat", prompt="hi"),
    ]
    assert [answer.status for answer in elsewhere] == [404] * 4
    assert (await person.get("/api/chat/sessions")).body == []
    assert (await person.get(f"/api/history/?session_id={session}")).body == {"messages": []}


def requests(session: str) -> list[tuple[str, str, object]]:
    """Every request that names a session. Their fields are wrong: what is not there comes before that."""
    wrong = {"title": "", "message": ""}
    return [
        ("GET", at(session), None),
        ("PATCH", at(session), wrong),
        ("PUT", at(session), wrong),
        ("DELETE", at(session), None),
        ("PATCH", at(session, "update_settings/"), wrong),
        ("DELETE", at(session, "deactivate/"), None),
        ("POST", at(session, "send_message/"), wrong),
        ("GET", at(session, "messages/?limit=0"), None),
    ]


@pytest.mark.parametrize("session", [UNKNOWN, "1", "x", "%20", UNKNOWN.replace("-", ""), UNKNOWN + "%00"])
async def test_unknown_or_malformed_session_is_404_before_any_field(alice: Client, session: str) -> None:
    for request in requests(session):
        answer = await alice.send(*request)
        assert (answer.status, answer.body) == (404, {"detail": "Not found."}), request


async def test_session_of_another_is_not_found_and_not_listed(alice: Client, bob: Client) -> None:
    session = await make(alice)
    for request in requests(session["id"]):
        assert (await bob.send(*request)).body == {"detail": "Not found."}, request
    assert (await bob.get(SESSIONS)).body == []
    assert await read(alice, session["id"]) == session


@pytest.mark.parametrize("away", ["", "deactivate/"])
async def test_putting_away_stops_the_reply_that_runs(alice: Client, llm: LLM, away: str) -> None:
    session = (await make(alice))["id"]
    waiting = asyncio.create_task(alice.post(at(session, "send_message/"), message=STALLED))
    await llm.record(n=1)
    await alice.delete(at(session, away))
    await llm.record("closed", n=1)
    assert (await waiting).status in (200, 404)


async def test_paths_need_their_last_slash_and_no_answer_is_wrapped(alice: Client) -> None:
    session = (await make(alice))["id"]
    for method, path, body in requests(session):
        answer = await alice.send(method, path.partition("?")[0].removesuffix("/"), body)
        assert (answer.status, answer.text) == (404, '{"detail":"Not Found"}')
    for method in ("GET", "POST"):
        assert (await alice.send(method, SESSIONS.removesuffix("/"), None)).status == 404
    listed = (await alice.get(SESSIONS)).body
    for body in (listed[0], await read(alice, session), (await alice.get(at(session, "messages/"))).body):
        assert not {"meta", "data"} & set(body)


# Sending over HTTP


async def test_answer_at_once_holds_exactly_what_the_page_names(alice: Client, llm: LLM) -> None:
    session = (await make(alice))["id"]
    await llm.control(text=EMOJI)
    answer = await say(alice, session, "  Name a river. ")
    assert answer == {
        "success": True,
        "user_message": {"id": UUID, "content": "Name a river.", "created_at": TIME},
        "ai_message": {"id": UUID, "content": EMOJI, "created_at": TIME},
    }
    listed = (await read(alice, session))["messages"]
    assert [message["id"] for message in listed] == [answer["user_message"]["id"], answer["ai_message"]["id"]]


async def test_bot_is_asked_with_the_settings_of_the_session(alice: Client, llm: LLM) -> None:
    session = (await make(alice))["id"]
    await say(alice, session)
    await change(alice, session, model_name="gpt-4o-mini", temperature=1.25, max_tokens=77)
    await say(alice, session)
    await change(alice, session, model_name="not offered")
    await say(alice, session)
    asked = [request.body for request in await llm.record(n=3)]
    assert [(body["model"], body["temperature"], body["max_tokens"]) for body in asked] == [
        ("gpt-4", 0.4, 1234), ("gpt-4o-mini", 1.25, 77), ("gpt-4", 1.25, 77),
    ]  # fmt: skip
    assert all("tools" not in body for body in asked)


async def test_window_bounds_what_the_bot_sees(alice: Client, llm: LLM) -> None:
    session = (await make(alice))["id"]
    await say(alice, session, "one")
    await change(alice, session, window=0)
    await say(alice, session, "two")
    assert [message["content"] for message in (await llm.record(n=2))[-1].body["messages"]] == ["two"]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "message"), ({"message": None}, "message"), ({"message": " "}, "message"), ({"message": 5}, "message"),
        ({"message": "x" * 10_001}, "message"), ({"message": "hi", "stream": "true"}, "stream"),
        ({"message": "hi", "stream": 1}, "stream"), ({"message": "hi", "client_message_id": ""}, "client_message_id"),
        ({"message": "hi", "client_message_id": "x" * 101}, "client_message_id"),
        ({"message": "hi", "when_busy": "wait"}, "when_busy"),
    ],
)  # fmt: skip
async def test_message_that_cannot_be_used_is_400_and_stores_nothing(alice: Client, fields: Fields, name: str) -> None:
    session = await make(alice)
    for stream in ({}, {"stream": True}):
        answer = await alice.send("POST", at(session["id"], "send_message/"), {**stream, **fields})
        assert (answer.status, answer.body) == (400, {name: [TEXT]})
    assert await read(alice, session["id"]) == session


async def test_ten_thousand_characters_after_trimming_pass(alice: Client) -> None:
    session = (await make(alice))["id"]
    assert (await say(alice, session, f" {'漢' * 10_000}\n"))["success"] is True


@pytest.mark.parametrize("value", ["2", "true", "", "01"])
async def test_full_content_is_one_or_nought(alice: Client, value: str) -> None:
    session = (await make(alice))["id"]
    answer = await alice.post(at(session, f"send_message/?full_content={value}"), message="hi", stream=True)
    assert (answer.status, answer.body) == (400, {"full_content": [TEXT]})


@pytest.mark.parametrize("fault", ["500", "empty", "reset"])
async def test_model_that_fails_is_500_with_an_error_and_keeps_the_message(alice: Client, llm: LLM, fault: str) -> None:
    session = (await make(alice))["id"]
    await llm.control(fault=fault, after=0)
    answer = await alice.having(Accept_Language="de").post(
        at(session, "send_message/"), message="hi", client_message_id="k"
    )
    assert (answer.status, answer.body) == (
        500, {"error": "Der Assistent kann gerade nicht antworten. Bitte erneut versuchen."},
    )  # fmt: skip
    assert said(await read(alice, session)) == [("user", "hi")]
    await llm.control(text="Back.")
    assert (await say(alice, session, "hi", client_message_id="k"))["ai_message"]["content"] == "Back."
    assert said(await read(alice, session)) == [("user", "hi"), ("assistant", "Back.")]


async def test_same_client_id_is_the_same_turn_and_another_text_a_conflict(alice: Client) -> None:
    session = (await make(alice))["id"]
    answers = await asyncio.gather(*(say(alice, session, "hi", client_message_id="k") for _ in range(5)))
    assert all(answer == answers[0] for answer in answers)
    assert (await read(alice, session))["message_count"] == 2
    for stream in (False, True):
        answer = await alice.post(at(session, "send_message/"), message="other", client_message_id="k", stream=stream)
        assert (answer.status, answer.body) == (409, {"detail": TEXT})


async def test_busy_session_refuses_where_it_is_told_to(alice: Client) -> None:
    session = (await make(alice))["id"]
    async with enter(alice, session) as device:
        waiting = asyncio.create_task(alice.post(at(session, "send_message/"), message=STALLED))
        await device.until("ai_message_chunk")
    refused = await alice.post(at(session, "send_message/"), message="hi", when_busy="reject")
    assert (refused.status, refused.body) == (409, {"detail": TEXT})
    assert (await say(alice, session, "hi", when_busy="interrupt"))["ai_message"]["content"] == "You said: hi"
    stopped = await waiting
    assert (stopped.status, stopped.body["ai_message"]["content"]) == (200, "one ")


async def test_what_runs_or_waits_is_not_listed_and_its_prompt_is(alice: Client, llm: LLM) -> None:
    session = (await make(alice))["id"]
    running = asyncio.create_task(alice.post(at(session, "send_message/"), message=STALLED))
    await llm.record(n=1)
    queued = asyncio.create_task(alice.post(at(session, "send_message/"), message="then"))
    whole = await until_listed(alice, session, 2)
    assert said(whole) == [("user", STALLED), ("user", "then")]
    assert whole["message_count"] == 2
    await alice.delete(at(session))
    await asyncio.gather(running, queued)


async def until_listed(person: Client, session: str, count: int) -> Fields:
    async with asyncio.timeout(10):
        while len((whole := await read(person, session))["messages"]) < count:
            pass
    return whole


async def test_ended_session_is_listed_and_takes_no_more_messages(alice: Client) -> None:
    session = (await make(alice))["id"]
    assert (await alice.delete(f"/api/v1/chatbot/session/{session}")).status == 200
    assert (await read(alice, session))["status"] == "ended"
    for stream in (False, True):
        answer = await alice.post(at(session, "send_message/"), message="hi", stream=stream)
        assert (answer.status, answer.body) == (409, {"detail": TEXT})
    assert (await change(alice, session, title="Over"))["status"] == "ended"


# Events while it is said


class Hearing:
    """A stream while it is read, in the server's own writes."""

    def __init__(self, response: ClientResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response
        self._waiting: list[str] = []

    async def event(self) -> Any:
        """The next event, or what ends the stream. `AssertionError` where there is nothing more."""
        assert await self._more(), "the stream has ended"
        return _to_event(self._waiting.pop(0))

    async def rest(self) -> list[Any]:
        events = []
        while await self._more():
            events.append(_to_event(self._waiting.pop(0)))
        return events

    async def _more(self) -> bool:
        while not self._waiting and (read := await self._response.content.readany()):
            assert read.endswith(b"\n\n"), read
            # A comment says no more than that the stream goes on.
            self._waiting = [one for one in read.decode("ascii").split("\n\n")[:-1] if not one.startswith(":")]
        return bool(self._waiting)


def _to_event(written: str) -> Any:
    assert written.startswith("data: ")
    assert "\n" not in written
    data = written.removeprefix("data: ")
    return data if data == "[DONE]" else json.loads(data)


@asynccontextmanager
async def hear(
    person: Client, session: str, message: str = "hello", query: str = "", **fields: Any
) -> AsyncIterator[Hearing]:
    body = {"message": message, "stream": True, **fields}
    url = URL(person.url + at(session, f"send_message/{query}"), encoded=True)
    async with person._http.post(url, json=body, headers=person._headers) as response:
        yield Hearing(response)


async def test_stream_tells_the_message_the_pieces_and_the_whole_reply(alice: Client, llm: LLM) -> None:
    session = (await make(alice))["id"]
    await llm.control(text=EMOJI, pieces=4, hold="turn")
    async with hear(alice, session, " Name a river. ") as hearing:
        assert (hearing.status, hearing.headers["Content-Type"]) == (200, "text/event-stream")
        assert hearing.headers["Cache-Control"] == "no-cache"
        first = await hearing.event()
        await llm.let_go("turn", pieces=1)
        begun = await hearing.event()
        await llm.let_go("turn")
        *others, complete, done = await hearing.rest()
    chunks = [begun, *others]
    assert first == {
        "type": "user_message", "data": {"id": UUID, "content": "Name a river.", "created_at": TIME},
    }  # fmt: skip
    assert len(chunks) > 1
    said_so_far = ""
    for chunk in chunks:
        said_so_far += chunk["data"]["content"]
        assert chunk == {
            "type": "ai_chunk", "data": {"content": chunk["data"]["content"], "full_content": said_so_far},
        }  # fmt: skip
    assert said_so_far == EMOJI
    assert complete == {"type": "ai_complete", "data": {"id": UUID, "content": EMOJI, "created_at": TIME}}
    assert done == "[DONE]"
    assert [message["id"] for message in (await read(alice, session))["messages"]] == [
        first["data"]["id"], complete["data"]["id"],
    ]  # fmt: skip


async def test_full_content_can_be_left_out(alice: Client) -> None:
    session = (await make(alice))["id"]
    async with hear(alice, session, query="?full_content=0") as hearing:
        _, *chunks, _, _ = await hearing.rest()
    assert [list(chunk["data"]) for chunk in chunks] == [["content"]] * len(chunks)


async def test_reply_is_kept_before_it_is_told_to_be_complete(alice: Client) -> None:
    session = (await make(alice))["id"]
    async with hear(alice, session) as hearing:
        while (event := await hearing.event())["type"] != "ai_complete":
            pass
        kept = (await read(alice, session))["messages"][-1]
    assert (kept["id"], kept["content"]) == (event["data"]["id"], event["data"]["content"])


@pytest.mark.parametrize(("fault", "chunks"), [("500", 0), ("cut", 1), ("error-in-stream", 1), ("empty", 0)])
async def test_failure_after_the_start_is_an_error_in_place_of_the_end(
    alice: Client, llm: LLM, fault: str, chunks: int
) -> None:
    session = (await make(alice))["id"]
    await llm.control(text="one two three", pieces=3, fault=fault, after=1)
    async with hear(alice.having(Accept_Language="it"), session) as hearing:
        assert hearing.status == 200
        events = await hearing.rest()
    assert [event["type"] for event in events[:-2]] == ["user_message", *["ai_chunk"] * chunks]
    assert events[-2:] == [
        {"type": "error", "data": {"error": "L'assistente non può rispondere in questo momento. Riprova."}},
        "[DONE]",
    ]


async def test_stopped_reply_ends_complete_with_the_text_so_far(alice: Client, llm: LLM) -> None:
    session = (await make(alice))["id"]
    async with hear(alice, session, STALLED) as hearing:
        await hearing.event()
        chunk = await hearing.event()
        await alice.post("/api/chat/stop/", session_id=session)
        complete, done = await hearing.rest()
    assert (complete["type"], complete["data"]["content"], done) == ("ai_complete", chunk["data"]["content"], "[DONE]")
    await llm.record("closed", n=1)
    assert (await read(alice, session))["messages"][-1]["status"] == "stopped"


async def test_same_client_id_is_told_the_same_turn_again(alice: Client) -> None:
    session = (await make(alice))["id"]
    told = []
    for _ in range(2):
        async with hear(alice, session, client_message_id="k") as hearing:
            events = await hearing.rest()
            told.append((events[0], events[-2:]))
    assert told[0] == told[1]
    assert (await read(alice, session))["message_count"] == 2


async def test_whoever_leaves_a_stream_stops_nothing(alice: Client) -> None:
    session = (await make(alice))["id"]
    async with hear(alice, session, "[[text=one two three&pieces=3&delay=0.1]]") as hearing:
        await hearing.event()
    whole = await until_listed(alice, session, 2)
    assert (whole["messages"][1]["content"], whole["messages"][1]["status"]) == ("one two three", "complete")


# One conversation, whichever API


async def test_session_made_here_goes_on_everywhere(alice: Client) -> None:
    made = await make(alice, title="Rivers", system_prompt="Be brief.")
    session = made["id"]
    await say(alice, session, "here")
    domain = await alice.post("/api/chat", message="domain", sessionId=session)
    flow = await alice.post(f"/api/chat/session/{session}/chat", prompt="flow")
    bot = await alice.post(f"/api/v1/chatbot/session/{session}/message", message="chatify")
    streaming = await alice.post("/api/chat/", message="streaming", session_id=session)
    assert [answer.status for answer in (domain, flow, bot, streaming)] == [200, 201, 200, 200]
    assert bot.body["message_count"] == 4
    prompts = ["here", "domain", "flow", "chatify", "streaming"]
    spoken = [turn for text in prompts for turn in (("user", text), ("assistant", f"You said: {text}"))]
    whole = await read(alice, session)
    assert said(whole) == [("system", "Be brief."), *spoken]
    assert whole["message_count"] == 11
    # The others list what people and bots said, page by page.
    listed = (await alice.get(f"/api/chat/sessions/{session}/messages")).body
    assert [(message["role"], message["content"]) for message in listed] == spoken
    page = (await alice.get(f"/api/chat/sessions/{session}/messages?limit=3&offset=1")).body
    assert [(message["role"], message["content"]) for message in page] == spoken[1:4]
    assert [turn["user_message"] for turn in (await alice.get("/api/history/")).body["messages"]] == prompts[::-1]
    assert (await alice.get(f"/api/chat/sessions/{session}")).body["title"] == "Rivers"
    assert (await alice.patch(f"/api/chat/sessions/{session}", title="Lakes")).status == 200
    assert (await read(alice, session))["title"] == "Lakes"


async def test_session_of_every_other_api_is_listed_read_and_goes_on_here(alice: Client) -> None:
    flow = (await alice.post("/api/chat/start", context_id=1, initial_message="hi", model="gpt-4")).body["uuid"]
    domain = (await alice.post("/api/chat", message="hi")).body["sessionId"]
    bot = (await alice.post("/api/v1/chatbot/session", user_id="me", template_id="general")).body["session_id"]
    streaming = (await alice.post("/api/chat/", message="hi")).body["session_id"]
    listed = (await alice.get(SESSIONS)).body
    assert [session["id"] for session in listed] == [streaming, bot, domain, flow]
    assert [(session["model_name"], session["temperature"], session["max_tokens"]) for session in listed] == [
        ("gpt-4.1-nano", None, 150), ("gpt-4o-mini", 0.9, 50), ("gpt-4", 0.7, None), ("gpt-4", 0.9, 50),
    ]  # fmt: skip
    for session in (flow, domain, bot, streaming):
        assert (await say(alice, session, "on"))["ai_message"]["content"] == "You said: on"
        assert said(await read(alice, session))[-2:] == [("user", "on"), ("assistant", "You said: on")]
    changed = await change(alice, flow, system_prompt="Be brief.", window=None)
    assert (said(changed)[0], changed["window"]) == (("system", "Be brief."), None)


async def test_only_sessions_of_this_api_leave_the_length_to_the_server(alice: Client, llm: LLM) -> None:
    domain = (await alice.post("/api/chat", message="hi")).body["sessionId"]
    await say(alice, domain)
    assert all("max_tokens" not in request.body for request in await llm.record(n=2))


async def test_application_lists_its_own_and_opens_those_of_its_users(
    nobody: Client, shared_server: Server, alice: Client
) -> None:
    await shared_server.cli("app", "add", "shop")
    printed = await shared_server.cli("token", "create", "--app", "shop")
    shop = nobody.bearing(next(line for line in printed.splitlines() if line and " " not in line))
    own = await make(shop)
    assert own["user"] == {"id": WHOLE, "username": "shop", "first_name": "", "last_name": ""}
    customers = (await shop.post("/api/v1/chatbot/session", user_id="customer 7")).body["session_id"]
    assert [session["id"] for session in (await shop.get(SESSIONS)).body] == [own["id"]]
    opened = await read(shop, customers)
    assert (opened["user"]["username"], opened["user"]["id"] == own["user"]["id"]) == ("customer 7", False)
    assert (await alice.get(at(customers))).status == 404


async def test_guest_makes_and_reads_a_session_by_its_id(start_server: StartServer) -> None:
    server = await start_server(PALAVER_GUESTS="on")
    async with open_client(server) as guest:
        session = (await make(guest))["id"]
        await say(guest, session, "hi")
        assert said(await read(guest, session)) == [("user", "hi"), ("assistant", "You said: hi")]
        assert (await read(guest, session))["user"]["username"] == "guest"
        assert (await guest.get(SESSIONS)).body == []


async def test_draining_server_takes_no_messages(start_server: StartServer) -> None:
    server = await start_server(PALAVER_DRAIN_SECONDS="60")
    async with open_client(server) as client:
        token = await server.token("admin")
        admin = client.bearing(token)
        session = (await make(admin))["id"]
        async with hear(admin, session, STALLED) as hearing:
            await hearing.event()
            await hearing.event()
            stopping = asyncio.create_task(server.stop())
            answer = await until_refused(admin, session)
            assert (answer.status, answer.body, answer.headers["Retry-After"]) == (503, {"detail": TEXT}, "2")
            # Over a connection of its own: those that say nothing are closed at any moment now.
            async with open_client(server) as another:
                await another.bearing(token).post("/api/chat/stop/", session_id=session)
            await hearing.rest()
        await stopping


async def test_stream_of_a_message_that_still_waits_when_the_server_goes_away_ends_with_an_error(
    start_server: StartServer,
) -> None:
    server = await start_server(PALAVER_DRAIN_SECONDS="60")
    async with open_client(server) as client:
        token = await server.token("admin")
        admin = client.bearing(token)
        session = (await make(admin))["id"]
        async with hear(admin, session, STALLED) as running, hear(admin, session, "and then?") as waiting:
            for hearing, events in ((running, 2), (waiting, 1)):
                for _ in range(events):
                    await hearing.event()
            stopping = asyncio.create_task(server.stop())
            await until_refused(admin, session)
            # Over a connection of its own: those that say nothing are closed at any moment now.
            async with open_client(server) as another:
                await another.bearing(token).post("/api/chat/stop/", session_id=session)
            await running.rest()
            assert await waiting.rest() == [
                {"type": "error", "data": {"error": "The server is restarting. Try again in a moment."}},
                "[DONE]",
            ]
        await stopping


async def until_refused(person: Client, session: str) -> Answer:
    """What somebody is told who comes once the server goes away. A worker that has nothing left to end closes the
    connections that it has, and one that is used just then is told nothing."""
    coming = person.having(Connection="close")
    async with asyncio.timeout(10):
        while True:
            with suppress(ClientConnectionError):
                answer = await coming.post(at(session, "send_message/"))
                if answer.status != 400:
                    return answer


# Presets


async def make_preset(person: Client, **fields: Any) -> Fields:
    answer = await person.post(PRESETS, **{"name": new_name(), "system_prompt": "You advise.", **fields})
    assert answer.status == 201, answer.text
    made: Fields = answer.body
    return made


def preset_at(preset: Fields, place: str = "") -> str:
    return f"{PRESETS}{preset['id']}/{place}"


async def test_new_preset_holds_exactly_what_the_page_names(alice: Client) -> None:
    preset = await make_preset(alice, name="  Rivers ")
    assert preset == {
        "id": WHOLE,
        "name": "Rivers",
        "description": "",
        "model_name": "gpt-4",
        "is_public": False,
        "created_by": {"id": WHOLE, "username": TEXT, "first_name": "", "last_name": ""},
        "created_at": TIME,
        "updated_at": preset["created_at"],
        "system_prompt": "You advise.",
        "temperature": 0.4,
        "max_tokens": None,
        "enable_tools": False,
    }
    assert (await alice.get(preset_at(preset))).body == preset
    assert preset["created_by"] == (await make(alice))["user"]


async def test_list_of_presets_is_short_by_name_and_holds_the_public_ones(alice: Client, bob: Client) -> None:
    mark = new_name()
    private, public = [await make_preset(alice, name=f"{mark}-{name}", is_public=name == "b") for name in ("a", "b")]
    last = await make_preset(bob, name=f"{mark}-c")
    for person, seen in ((alice, [private, public]), (bob, [public, last])):
        listed = (await person.get(PRESETS)).body
        names = [preset["name"] for preset in listed]
        assert names == sorted(names)
        assert [preset for preset in listed if preset["name"].startswith(mark)] == [short(preset) for preset in seen]
        [general] = [preset for preset in listed if preset["id"] == 1]
        assert (general["name"], general["is_public"], general["created_by"]) == ("general", True, None)


def short(preset: Fields) -> Fields:
    left_out = ("system_prompt", "temperature", "max_tokens", "enable_tools")
    return {name: value for name, value in preset.items() if name not in left_out}


WRONG_PRESET: list[tuple[str, object]] = [
    ("name", ""), ("name", "  "), ("name", "x" * 101), ("name", 5),
    ("system_prompt", ""), ("system_prompt", "x" * 20_001), ("system_prompt", 5),
    ("description", "x" * 501), ("description", 5), ("model_name", "x" * 101), ("model_name", 5),
    ("temperature", -0.1), ("temperature", 2.1), ("temperature", False), ("max_tokens", 0), ("max_tokens", 1.5),
    ("enable_tools", "yes"), ("is_public", 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG_PRESET)
async def test_preset_out_of_range_is_400_and_changes_nothing(alice: Client, name: str, value: object) -> None:
    preset = await make_preset(alice)
    fields = {"name": new_name(), "system_prompt": "You advise.", name: value}
    for answer in (
        await alice.post(PRESETS, **fields),
        await alice.patch(preset_at(preset), **{name: value}),
        await alice.send("PUT", preset_at(preset), fields),
    ):
        assert (answer.status, answer.body) == (400, {name: [TEXT]})
    assert [one["id"] for one in (await alice.get(PRESETS)).body if one["created_by"] == preset["created_by"]] == [
        preset["id"]
    ]
    assert (await alice.get(preset_at(preset))).body == preset


async def test_preset_needs_a_name_and_a_prompt(alice: Client) -> None:
    for fields in ({}, {"name": None, "system_prompt": None}):
        answer = await alice.post(PRESETS, **fields)
        assert (answer.status, answer.body) == (400, {"name": [TEXT], "system_prompt": [TEXT]})


async def test_name_is_taken_for_its_maker_alone(alice: Client, bob: Client) -> None:
    first, second = await make_preset(alice), await make_preset(alice)
    for answer in (
        await alice.post(PRESETS, name=f" {first['name']} ", system_prompt="You advise."),
        await alice.patch(preset_at(second), name=first["name"]),
        await alice.send("PUT", preset_at(second), {"name": first["name"]}),
    ):
        assert (answer.status, answer.body) == (400, {"name": [TEXT]})
    await make_preset(bob, name=first["name"], is_public=True)
    assert (await alice.patch(preset_at(first), name=first["name"])).status == 200


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Lakes"}, {"system_prompt": "Be long."}, {"description": "d"}, {"model_name": "m"},
        {"temperature": 2}, {"max_tokens": 1}, {"max_tokens": None}, {"enable_tools": True}, {"is_public": True}, {},
    ],
)  # fmt: skip
async def test_preset_changes_in_what_is_given(alice: Client, fields: Fields, method: str) -> None:
    before = await make_preset(alice, max_tokens=9, temperature=0.1, description="old", model_name="old")
    answer = await alice.send(method, preset_at(before), fields)
    assert answer.status == 200, answer.text
    assert answer.body == {**before, **fields, "updated_at": answer.body["updated_at"]}
    assert (await alice.get(preset_at(before))).body == answer.body


async def test_private_preset_is_its_makers_and_the_admins(alice: Client, bob: Client, admin: Client) -> None:
    preset = await make_preset(alice)
    for request in requests_of(preset):
        answer = await bob.send(*request)
        assert (answer.status, answer.body) == (404, {"detail": "Not found."}), request
    assert (await admin.get(preset_at(preset))).body == preset
    assert (await admin.patch(preset_at(preset), description="seen")).status == 200
    assert (await alice.get(preset_at(preset))).body["description"] == "seen"
    assert (await admin.delete(preset_at(preset))).status == 204
    assert (await alice.get(preset_at(preset))).status == 404


async def test_public_preset_is_for_all_to_use_and_for_its_maker_to_change(alice: Client, bob: Client) -> None:
    preset = await make_preset(alice, is_public=True)
    assert (await bob.get(preset_at(preset))).body == preset
    # Who may not change it learns so before what is wrong with the change.
    for request in requests_of(preset)[1:4]:
        answer = await bob.send(*request)
        assert (answer.status, answer.body) == (403, {"detail": TEXT}), request
    assert (await bob.post(preset_at(preset, "create_session_from_preset/"))).status == 201
    assert (await alice.get(preset_at(preset))).body == preset
    deleted = await alice.delete(preset_at(preset))
    assert (deleted.status, deleted.content) == (204, b"")
    assert (await bob.get(preset_at(preset))).status == 404


@pytest.mark.parametrize("preset", ["999999999", "0", "-1", "x", "1.0", "01", "9" * 30, UNKNOWN])
async def test_unknown_or_malformed_preset_is_404(alice: Client, preset: str) -> None:
    for request in requests_of({"id": preset}):
        answer = await alice.send(*request)
        assert (answer.status, answer.body) == (404, {"detail": "Not found."}), request


def requests_of(preset: Fields) -> list[tuple[str, str, object]]:
    wrong = {"name": ""}
    return [
        ("GET", preset_at(preset), None),
        ("PATCH", preset_at(preset), wrong),
        ("PUT", preset_at(preset), wrong),
        ("DELETE", preset_at(preset), None),
        ("POST", preset_at(preset, "create_session_from_preset/"), {}),
    ]


async def test_built_in_preset_is_changed_by_admins_and_never_deleted(alice: Client, admin: Client) -> None:
    general = f"{PRESETS}1/"
    assert (await alice.patch(general, description="mine")).status == 403
    assert (await alice.delete(general)).status == 403
    refused = await admin.delete(general)
    assert (refused.status, refused.body) == (400, {"detail": TEXT})
    hidden = await admin.patch(general, is_public=False)
    assert (hidden.status, hidden.body) == (400, {"is_public": [TEXT]})
    before = (await admin.get(general)).body["description"]
    assert (await admin.patch(general, description="Everyday")).body["description"] == "Everyday"
    await admin.patch(general, description=before)


async def test_settings_of_other_apis_are_seen_by_admins_alone(alice: Client, admin: Client) -> None:
    names = {preset["name"] for preset in (await admin.get(PRESETS)).body}
    assert {"general", "domain", "streaming"} <= names
    assert not {"domain", "streaming"} & {preset["name"] for preset in (await alice.get(PRESETS)).body}


async def test_session_from_a_preset_takes_everything_over(alice: Client, llm: LLM) -> None:
    preset = await make_preset(
        alice, name="River guide", system_prompt="Only rivers.", model_name="gpt-4o-mini", temperature=0.1,
        max_tokens=9, enable_tools=True,
    )  # fmt: skip
    answer = await alice.send("POST", preset_at(preset, "create_session_from_preset/"))
    assert answer.status == 201, answer.text
    session = answer.body
    taken_over = ("model_name", "temperature", "max_tokens", "enable_tools")
    assert {name: session[name] for name in taken_over} == {name: preset[name] for name in taken_over}
    assert (session["title"], session["window"]) == ("Chat from River guide", None)
    assert said(session) == [("system", "Only rivers.")]
    # What becomes of the preset later is nothing to the session.
    await alice.patch(preset_at(preset), system_prompt="Only lakes.")
    await alice.delete(preset_at(preset))
    await say(alice, session["id"], "hi")
    body = (await llm.record(n=1))[0].body
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("gpt-4o-mini", 0.1, 9)
    assert [message["content"] for message in body["messages"]] == ["Only rivers.", "hi"]


async def test_preset_is_the_same_in_every_api(alice: Client, admin: Client) -> None:
    preset = await make_preset(alice, name="Both ways", description="d")
    shown = (await alice.get("/api/v1/personalities/both-ways")).body
    assert (shown["personalityPrompt"], shown["description"], shown["usageCount"]) == ("You advise.", "d", 0)
    await alice.post(preset_at(preset, "create_session_from_preset/"))
    assert (await alice.get("/api/v1/personalities/both-ways")).body["usageCount"] == 1
    personality = {"name": "Pirate", "personalityPrompt": "You talk like a pirate."}
    await alice.post("/api/v1/personalities/", **personality)
    [listed] = [one for one in (await alice.get(PRESETS)).body if one["name"] == "Pirate"]
    whole = (await alice.get(preset_at(listed))).body
    assert (whole["system_prompt"], whole["model_name"]) == ("You talk like a pirate.", "gpt-4")
    assert (whole["temperature"], whole["max_tokens"]) == (0.9, 150)
    started = await alice.post("/api/chat/start", context_id=preset["id"], initial_message="hi", provider="dummy")
    assert started.status == 201
    context = await admin.post("/api/chat/contexts", name=new_name(), system_prompt="Help.", window=7)
    session = (await alice.post(preset_at(context.body, "create_session_from_preset/"))).body
    assert (session["window"], session["temperature"], session["max_tokens"]) == (7, 0, 400)


async def test_guests_preset_stays_private(start_server: StartServer) -> None:
    server = await start_server(PALAVER_GUESTS="on")
    async with open_client(server) as client:
        made = await client.post(PRESETS, name="Mine", system_prompt="You advise.", is_public=True)
        assert (made.status, made.body["is_public"]) == (201, False)
        guest = client.carrying(palaver_guest=made.cookies["palaver_guest"])
        changed = await guest.patch(preset_at(made.body), is_public=True)
        assert (changed.status, changed.body["is_public"]) == (200, False)
        assert (await client.get(preset_at(made.body))).status == 404


# Models


@asynccontextmanager
async def offering(*models: str, port: int = 0) -> AsyncIterator[Running]:
    """An LLM server that offers these."""
    async with running(Options(port=port, models=models)) as llm:
        yield llm


async def names_of(person: Client) -> list[str]:
    answer = await person.get(MODELS)
    assert answer.status == 200, answer.text
    return [model["name"] for model in answer.body]


async def test_models_are_listed_by_name_and_one_is_the_default(alice: Client) -> None:
    listed = (await alice.get(MODELS)).body
    assert [model["name"] for model in listed] == ["gpt-4", "gpt-4.1-mini", "gpt-4o-mini", "qwen3:8b"]
    assert listed[0] == {
        "id": WHOLE,
        "name": "gpt-4",
        "display_name": "gpt-4",
        "description": "",
        "size": None,
        "parameter_count": "",
        "context_length": None,
        "is_available": True,
        "is_default": True,
        "created_at": TIME,
        "updated_at": TIME,
    }
    assert [model["is_default"] for model in listed] == [True, False, False, False]
    for model in listed:
        assert (await alice.get(f"{MODELS}{model['id']}/")).body == model


@pytest.mark.parametrize("model", ["999999999", "0", "gpt-4", "-1"])
async def test_unknown_or_malformed_model_is_404(alice: Client, model: str) -> None:
    answer = await alice.get(f"{MODELS}{model}/")
    assert (answer.status, answer.body) == (404, {"detail": "Not found."})


async def test_sync_tells_all_that_is_available(alice: Client) -> None:
    for sent in (b"{}", b""):
        answer = await alice.having(Content_Type="application/json").send("POST", SYNC, sent)
        assert answer.status == 200, answer.text
        assert answer.body == {"message": TEXT, "models": (await alice.get(MODELS)).body}


async def test_sync_adds_what_is_new_and_marks_what_is_gone(start_server: StartServer) -> None:
    async with offering("b", "c") as llm:
        server = await start_server(LLM_SERVER_URL=llm.url, LLM_DEFAULT_MODEL="b")
        token = await server.token("admin")
        async with open_client(server) as client:
            before = {model["name"]: model for model in await until_offered(client.bearing(token), "b", "c")}
    async with open_client(server) as client:
        person = client.bearing(token)
        assert [before[name]["is_default"] for name in ("b", "c")] == [True, False]
        async with offering("a", "c", port=llm.port):
            synced = (await person.post(SYNC)).body["models"]
        assert [(model["name"], model["is_default"]) for model in synced] == [("a", True), ("c", False)]
        assert synced[1] == before["c"]
        assert (await person.get(MODELS)).body == synced
        gone = (await person.get(f"{MODELS}{before['b']['id']}/")).body
        assert (gone["is_available"], gone["is_default"]) == (False, False)
        async with offering("b", "c", port=llm.port):
            again = (await person.post(SYNC)).body["models"]
        assert [(model["id"], model["is_default"]) for model in again] == [
            (before["b"]["id"], True), (before["c"]["id"], False),
        ]  # fmt: skip


async def test_with_the_llm_server_down_every_model_stays_as_it_was(alice: Client, llm: LLM) -> None:
    before = (await alice.get(MODELS)).body
    session = (await make(alice))["id"]
    llm.process.kill()
    answer = await alice.having(Accept_Language="it").post(SYNC)
    assert (answer.status, list(answer.body)) == (503, ["error"])
    assert (await alice.get(MODELS)).body == before
    assert (await alice.get(HEALTH)).body["llm_server_healthy"] is False
    assert (await alice.post(at(session, "send_message/"), message="hi")).status == 500
    async with hear(alice, session) as hearing:
        assert [event["type"] for event in (await hearing.rest())[:-1]] == ["user_message", "error"]


async def test_sync_that_gets_no_list_is_503(alice: Client, llm: LLM) -> None:
    before = (await alice.get(MODELS)).body
    for fault in ("500", "malformed", "html"):
        await llm.control(fault=fault, on="models")
        answer = await alice.post(SYNC)
        assert (answer.status, answer.body) == (503, {"error": TEXT})
    assert (await alice.get(MODELS)).body == before


async def test_command_syncs_beside_a_server_that_follows(start_server: StartServer) -> None:
    async with offering("a", "b") as llm:
        server = await start_server(LLM_SERVER_URL=llm.url, LLM_DEFAULT_MODEL="not offered")
        async with open_client(server) as client:
            person = client.bearing(await server.token("admin"))
            session = await make(person)
            assert session["model_name"] == "not offered"
            await until_asked(person, session["id"], "a")
            printed = await server.cli("sync-models", "--set-default", "b")
            assert ["b", "b", "default"] in [line.split() for line in printed.splitlines()]
            assert [model["is_default"] for model in (await person.get(MODELS)).body] == [False, True]
            await until_asked(person, session["id"], "b")
            with pytest.raises(PartFailed, match="offers a model 'c'"):
                await server.cli("sync-models", "--set-default", "c")
            assert [model["is_default"] for model in (await person.get(MODELS)).body] == [False, True]
            await server.restart()
            await until_asked(person, session["id"], "b")
    with pytest.raises(PartFailed, match="nothing has changed"):
        await server.cli("sync-models")


async def until_asked(person: Client, session: str, model: str) -> None:
    """Returns once a turn of the session is answered by this model: a worker hears of it a moment later."""

    async def turn() -> Answer:
        await say(person, session)
        return await person.get(at(session))

    await ask_until(turn, lambda told: told.body["messages"][-1]["metadata"]["model"] == model, seconds=30)


# Health and stats


async def test_health_tells_persons_where_the_server_is(
    alice: Client, nobody: Client, llm: LLM, shared_server: Server
) -> None:
    assert (await alice.get(HEALTH)).body == {
        "llm_server_healthy": True, "llm_server_url": llm.url, "timestamp": None,
    }  # fmt: skip
    assert (await nobody.get(HEALTH)).body == {
        "llm_server_healthy": True, "llm_server_url": None, "timestamp": None,
    }  # fmt: skip
    await make(alice)
    assert (await alice.get(HEALTH)).body["timestamp"] is None
    prompted = await make(alice, system_prompt="Be kind.")
    assert (await alice.get(HEALTH)).body["timestamp"] == prompted["messages"][0]["created_at"]
    session = prompted["id"]
    await say(alice, session)
    assert (await alice.get(HEALTH)).body["timestamp"] == (await read(alice, session))["last_message_time"]
    await shared_server.cli("app", "add", "clinic")
    printed = await shared_server.cli("token", "create", "--app", "clinic")
    clinic = nobody.bearing(next(line for line in printed.splitlines() if line and " " not in line))
    assert (await clinic.get(HEALTH)).body["llm_server_url"] is None


async def test_health_needs_no_credentials_and_refuses_bad_ones(nobody: Client, shared_server: Server) -> None:
    bad = [nobody.bearing("x" * 43), nobody.carrying(palaver_session="x" * 43)]
    for client in bad:
        answer = await client.get(HEALTH)
        assert (answer.status, answer.body, answer.headers["WWW-Authenticate"]) == (401, {"detail": TEXT}, "Token")
    cookies = await sign_in(nobody, shared_server)
    assert (await nobody.carrying(**cookies).get(HEALTH)).body["llm_server_url"] is not None
    assert (await nobody.sending({"Authorization": "Basic eDp5"}).get(HEALTH)).body["llm_server_url"] is None


async def test_health_makes_no_guest(start_server: StartServer) -> None:
    server = await start_server(PALAVER_GUESTS="on")
    async with open_client(server) as client:
        answer = await client.get(HEALTH)
        assert (answer.status, answer.cookies) == (200, {})
        made = await client.post(SESSIONS)
        guest = client.carrying(palaver_guest=made.cookies["palaver_guest"])
        assert (await guest.get(HEALTH)).body["llm_server_url"] is None
        await say(guest, made.body["id"])
        assert (await guest.get(HEALTH)).body["timestamp"] == TIME
        assert (await client.carrying(palaver_guest="nonsense").get(HEALTH)).body["timestamp"] is None
        assert (await guest.get(STATS)).body["total_sessions"] == 1
        assert (await client.get(STATS)).body["total_sessions"] == 0


@pytest.mark.proof("faults", alone=True)
async def test_server_that_does_not_answer_is_unhealthy_within_five_seconds(
    alice: Client, llm: LLM, prove: bool, measured: Measured
) -> None:
    await llm.control(fault="no-first-byte")
    before = time.monotonic()
    answer = await alice.get(HEALTH)
    took = time.monotonic() - before
    measured("it was unhealthy after", round(took, 2), "s")
    assert (answer.status, answer.body["llm_server_healthy"]) == (200, False)
    # Among other tests everything takes as long as they let it.
    assert took < (5 if prove else inf)


async def test_stats_count_what_the_caller_has(alice: Client, bob: Client) -> None:
    assert (await alice.get(STATS)).body == {
        "total_sessions": 0, "total_messages": 0, "recent_sessions": 0, "favorite_model": None,
    }  # fmt: skip
    await make(bob, model_name="his")
    first = (await make(alice, system_prompt="Be kind."))["id"]
    await say(alice, first)
    away = [await make(alice, model_name="gone") for _ in range(4)]
    for session in away:
        await alice.delete(at(session["id"], "deactivate/"))
    for _ in range(2):
        await make(alice, model_name="favourite")
    assert (await alice.get(STATS)).body == {
        "total_sessions": 3, "total_messages": 3, "recent_sessions": 3,
        "favorite_model": {"model_name": "favourite", "count": 2},
    }  # fmt: skip
    for _ in range(4):
        await make(alice)
    body = (await alice.get(STATS)).body
    assert (body["total_sessions"], body["recent_sessions"]) == (7, 5)
    assert body["favorite_model"] == {"model_name": "gpt-4", "count": 5}


@pytest.mark.parametrize("path", ["sessions/", "models/", "models/1/", "presets/", "presets/1/", "health/stats/"])
async def test_no_or_bad_credentials_are_401(nobody: Client, path: str) -> None:
    for client in (nobody, nobody.bearing("x" * 43)):
        answer = await client.get(f"/ai-chat/api/{path}")
        assert (answer.status, answer.body, answer.headers["WWW-Authenticate"]) == (401, {"detail": TEXT}, "Token")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "models"), ("GET", "models/1"), ("POST", "models/sync_models"), ("GET", "presets"),
        ("GET", "presets/1"), ("POST", "presets/1/create_session_from_preset"), ("GET", "health/llm_server"),
        ("GET", "health/stats"), ("GET", "health/"), ("GET", ""),
    ],
)  # fmt: skip
async def test_path_without_its_last_slash_is_404(alice: Client, method: str, path: str) -> None:
    answer = await alice.send(method, f"/ai-chat/api/{path}")
    assert (answer.status, answer.text) == (404, '{"detail":"Not Found"}')
