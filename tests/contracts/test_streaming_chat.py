"""streaming_chat over real HTTP, as its contract page says it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientResponse
from yarl import URL

from tests.journeys.client import PASSWORD, TEXT, TIME, UUID, UUID4, Client, new_name, open_client
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer

FOREIGN = "c2f1e1c0-5b5e-4f0c-9f0b-2a4b7f5f6a11"
STALLED = "[[text=one two three&pieces=3&fault=stall&after=1]]"
EMOJI = "Caffè 漢字 \U0001f600 pronto"

# Each test finds the model as nobody has told it anything.
pytestmark = pytest.mark.usefixtures("llm")

Event = dict[str, Any]


class Hearing:
    """A stream while it is read, and all that has been read of it."""

    def __init__(self, response: ClientResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.reads: list[bytes] = []
        self._response = response
        self._waiting: list[tuple[str, Event]] = []

    async def event(self) -> tuple[str, Event]:
        """The next event and its id. `AssertionError` where there is none."""
        assert await self._more(), "the stream has ended"
        return self._waiting.pop(0)

    async def rest(self) -> list[tuple[str, Event]]:
        events = []
        while await self._more():
            events.append(self._waiting.pop(0))
        return events

    async def _more(self) -> bool:
        while not self._waiting and (read := await self._response.content.readany()):
            assert read.endswith(b"\n\n"), read
            self.reads.append(read)
            # A comment says no more than that the stream goes on.
            told = [one for one in read.decode().split("\n\n")[:-1] if not one.startswith(":")]
            self._waiting = [_to_event(one) for one in told]
        return bool(self._waiting)


def _to_event(written: str) -> tuple[str, Event]:
    lines = dict(line.split(": ", 1) for line in written.split("\n"))
    return lines.get("id", ""), json.loads(lines["data"])


class Listener(Client):
    """A client that can hear a stream while it goes on."""

    @asynccontextmanager
    async def hear(self, message: str = "hello", **fields: Any) -> AsyncIterator[Hearing]:
        async with self._open("POST", "/api/chat/stream/", {"message": message, **fields}) as hearing:
            yield hearing

    @asynccontextmanager
    async def hear_on(self, session: str, last: str | None = None) -> AsyncIterator[Hearing]:
        listener = self if last is None else self.having(Last_Event_ID=last)
        async with listener._open("GET", f"/api/chat/stream/?session_id={session}", None) as hearing:
            yield hearing

    @asynccontextmanager
    async def _open(self, method: str, path: str, body: object) -> AsyncIterator[Hearing]:
        url = URL(self.url + path, encoded=True)
        async with self._http.request(method, url, json=body, headers=self._headers) as response:
            yield Hearing(response)


@pytest.fixture(scope="module")
def server_environment(scaled: Mapping[str, str]) -> Mapping[str, str]:
    return {"PALAVER_REGISTRATION": "on", "PALAVER_LLM_TRIES": "1", **scaled}


@pytest.fixture(scope="module")
async def nobody(shared_server: Server) -> AsyncIterator[Listener]:
    async with open_client(shared_server) as client:
        yield Listener(client._http, client.url, {})


async def register(nobody: Listener) -> Listener:
    answer = await nobody.post("/auth/register/", username=new_name(), password=PASSWORD)
    return nobody.bearing(answer.body["token"])


@pytest.fixture
async def alice(nobody: Listener) -> Listener:
    return await register(nobody)


@pytest.fixture
async def bob(nobody: Listener) -> Listener:
    return await register(nobody)


async def ask(person: Client, message: str, **fields: Any) -> dict[str, Any]:
    answer = await person.post("/api/chat/", message=message, **fields)
    assert answer.status == 200, answer.text
    body: dict[str, Any] = answer.body
    return body


async def history(person: Client, query: str = "") -> list[tuple[str, str]]:
    answer = await person.get(f"/api/history/{query}")
    assert answer.status == 200, answer.text
    return [(turn["user_message"], turn["assistant_response"].strip()) for turn in answer.body["messages"]]


# Answering at once


@pytest.mark.parametrize(
    ("asked", "repeated"), [({}, False), ({"streaming": False}, False), ({"streaming": True}, True)]
)
async def test_answer_holds_exactly_what_the_page_names(
    alice: Listener, llm: LLM, asked: dict[str, Any], repeated: bool
) -> None:
    await llm.control(text=EMOJI)
    assert await ask(alice, "hi", session_id=" page 1 ", **asked) == {
        "response": EMOJI, "session_id": " page 1 ", "success": True, "is_streaming": repeated, "is_final": True,
    }  # fmt: skip


async def test_no_session_id_makes_a_session_that_other_apis_open(alice: Listener) -> None:
    session = (await ask(alice, "hi"))["session_id"]
    assert session == UUID4
    assert (await alice.post("/api/chat", message="on", sessionId=session)).body["sessionId"] == session
    assert [said for said, _ in await history(alice, f"?session_id={session}")] == ["on", "hi"]


async def test_session_of_another_api_is_the_same_conversation(alice: Listener) -> None:
    session = (await alice.post("/api/chat", message="there")).body["sessionId"]
    assert (await ask(alice, "here", session_id=session))["session_id"] == session
    assert len((await alice.get(f"/api/chat/sessions/{session}/messages")).body) == 4


async def test_bot_is_asked_with_the_settings_of_this_api_and_never_sees_another_session(
    alice: Listener, llm: LLM
) -> None:
    await ask(alice, "secret", session_id="a")
    await ask(alice, "one", session_id="b")
    await ask(alice, "two", session_id="b")
    body = (await llm.record(n=3))[-1].body
    assert "temperature" not in body
    assert 150 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    assert [said["content"] for said in body["messages"] if said["role"] == "user"] == ["one", "two"]
    assert "secret" not in str(body["messages"])


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "message"),
        ({"message": " "}, "message"),
        ({"message": "x" * 1001}, "message"),
        ({"message": "hi", "session_id": None}, "session_id"),
        ({"message": "hi", "session_id": ""}, "session_id"),
        ({"message": "hi", "session_id": " "}, "session_id"),
        ({"message": "hi", "session_id": "x" * 101}, "session_id"),
        ({"message": "hi", "session_id": 5}, "session_id"),
        ({"message": "hi", "client_message_id": ""}, "client_message_id"),
    ],
)
@pytest.mark.parametrize("path", ["/api/chat/", "/api/chat/stream/"])
async def test_what_cannot_be_used_is_400_in_json_and_stores_nothing(
    alice: Listener, path: str, fields: dict[str, Any], name: str
) -> None:
    answer = await alice.having(Accept_Language="it").send("POST", path, fields)
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/json")
    assert answer.body == {"error": "Dati non validi", "details": {name: [TEXT]}}
    assert await history(alice) == []


async def test_streaming_that_is_no_boolean_and_malformed_json_are_400(alice: Listener) -> None:
    answer = await alice.post("/api/chat/", message="hi", streaming="true")
    assert (answer.status, list(answer.body["details"])) == (400, ["streaming"])
    broken = await alice.having(Content_Type="application/json").send("POST", "/api/chat/", b"{")
    assert (broken.status, broken.body) == (400, {"error": TEXT, "details": {}})


async def test_thousand_characters_after_trimming_pass(alice: Listener) -> None:
    assert (await ask(alice, f"  {'x' * 1000}  "))["success"]


@pytest.mark.parametrize(
    ("language", "apology", "cause"),
    [("en", "Sorry", "the model"), ("de", "Entschuldigung", "das Modell"), ("it", "Mi dispiace", "il modello")],
)
async def test_model_that_fails_is_200_with_an_apology_and_a_cause(
    alice: Listener, llm: LLM, language: str, apology: str, cause: str
) -> None:
    await llm.control(fault="500")
    answer = await ask(alice.having(Accept_Language=language), "hi", session_id="s", client_message_id="c")
    assert answer["response"].startswith(apology)
    assert answer["error"].startswith(cause)
    assert (answer["success"], answer["is_final"]) == (False, True)
    assert await history(alice) == [("hi", "")]
    await llm.control(text="Back.")
    assert (await ask(alice, "hi", session_id="s", client_message_id="c"))["response"] == "Back."
    assert await history(alice) == [("hi", "Back.")]


async def test_reply_that_broke_off_is_the_text_so_far_and_a_cause(alice: Listener, llm: LLM) -> None:
    await llm.control(text="one two three", pieces=3, fault="reset", after=1)
    answer = await ask(alice, "count")
    assert (answer["response"].strip(), answer["success"]) == ("one", False)
    assert answer["error"] == TEXT
    assert await history(alice) == [("count", "one")]


# Sessions


async def test_same_string_of_two_people_is_two_sessions(alice: Listener, bob: Listener) -> None:
    async with alice.hear(STALLED, session_id="same") as hers:
        await hers.event()
        await hers.event()
        async with bob.hear_on("same") as his:
            assert his.status == 204
        assert (await bob.post("/api/chat/stop/", session_id="same")).body == {"success": True, "stopped": False}
        assert await history(bob, "?session_id=same") == []
        await ask(bob, "his", session_id="same")
        assert [said for said, _ in await history(bob)] == ["his"]
        assert [said for said, _ in await history(alice)] == [STALLED]
        assert (await alice.post("/api/chat/stop/", session_id="same")).body["stopped"]


async def test_uuid_of_another_is_a_name_of_ones_own(alice: Listener, bob: Listener) -> None:
    hers = (await ask(alice, "hers"))["session_id"]
    assert (await ask(bob, "his", session_id=hers))["session_id"] == hers
    assert [said for said, _ in await history(bob, f"?session_id={hers}")] == ["his"]
    assert [said for said, _ in await history(alice, f"?session_id={hers}")] == ["hers"]


async def test_deleted_string_begins_anew_and_its_turns_are_gone(alice: Listener) -> None:
    await ask(alice, "one", session_id="page-1")
    [session] = (await alice.get("/api/chat/sessions")).body
    assert (await alice.delete(f"/api/chat/sessions/{session['sessionId']}")).status == 200
    assert await history(alice) == []
    for name in ("page-1", session["sessionId"]):
        await ask(alice, "two", session_id=name)
        assert [said for said, _ in await history(alice, f"?session_id={name}")] == ["two"]


async def test_guest_without_cookies_keeps_a_session_by_our_uuid_alone(start_server: StartServer) -> None:
    server = await start_server(PALAVER_GUESTS="on")
    async with open_client(server) as guest:
        ours = (await ask(guest, "one"))["session_id"]
        await ask(guest, "two", session_id=ours)
        assert [said for said, _ in await history(guest, f"?session_id={ours}")] == ["two", "one"]
        await ask(guest, "one", session_id="mine")
        assert await history(guest, "?session_id=mine") == []


# Answering in pieces


async def test_stream_is_whole_ascii_events_with_ids_and_ends_with_all_of_it(alice: Listener, llm: LLM) -> None:
    await llm.control(text=EMOJI, pieces=5, hold="turn")
    async with alice.hear(session_id="s") as hearing:
        started = await hearing.event()
        await llm.let_go("turn", pieces=1)
        begun = await hearing.event()
        await llm.let_go("turn")
        events = [started, begun, *await hearing.rest()]
        assert hearing.headers["Content-Type"] == "text/event-stream"
        assert hearing.headers["Cache-Control"] == "no-cache"
        assert hearing.headers["X-Accel-Buffering"] == "no"
        assert "Access-Control-Allow-Origin" not in hearing.headers
    raw = b"".join(hearing.reads)
    assert raw.isascii()
    assert all(id_ for id_, _ in events)
    assert len({id_ for id_, _ in events}) == len(events)
    [start, *chunks, end] = [event for _, event in events]
    assert start == {"type": "start", "session_id": "s"}
    assert len(chunks) > 1
    assert {chunk["type"] for chunk in chunks} == {"chunk"}
    assert end == {"type": "end", "complete_response": "".join(chunk["content"] for chunk in chunks)}
    assert end["complete_response"] == EMOJI
    assert await history(alice) == [("hello", EMOJI)]


@pytest.mark.parametrize("fault", ["500", "empty"])
async def test_model_that_fails_is_one_error_event(alice: Listener, llm: LLM, fault: str) -> None:
    await llm.control(fault=fault)
    async with alice.having(Accept_Language="de").hear() as hearing:
        assert hearing.status == 200
        [_, (_, last)] = await hearing.rest()
    assert last == {"type": "error", "error": TEXT}
    assert last["error"].startswith("das Modell")
    assert await history(alice) == [("hello", "")]


async def test_errors_before_the_turn_are_plain_json(alice: Listener, nobody: Listener) -> None:
    await ask(alice, "one", session_id="s", client_message_id="c")
    conflict = await alice.post("/api/chat/stream/", message="two", session_id="s", client_message_id="c")
    assert (conflict.status, conflict.body) == (409, {"error": TEXT})
    refused = await nobody.post("/api/chat/stream/", message="two")
    assert (refused.status, refused.body) == (401, {"error": TEXT})


# Leaving and coming back


async def test_who_comes_back_gets_exactly_the_rest(alice: Listener, llm: LLM) -> None:
    words = "one two three four five six"
    await llm.control(text=words, pieces=6, delay=0.2)
    async with alice.hear(session_id="s") as hearing:
        await hearing.event()
        last, first = await hearing.event()
    async with alice.hear_on("s", last) as back:
        missed = await back.rest()
    chunks = [event["content"] for _, event in missed[:-1]]
    assert first["content"] + "".join(chunks) == words
    end, ended = missed[-1]
    assert ended == {"type": "end", "complete_response": words}
    async with alice.hear_on("s", last) as later:
        again = await later.rest()
    assert first["content"] + "".join(event["content"] for _, event in again[:-1]) == words
    assert again[-1] == (end, ended)
    for nothing in (end, None, "r1.1.x"):
        async with alice.hear_on("s", nothing) as after:
            assert after.status == 204
    assert await history(alice) == [("hello", words)]


async def test_id_that_is_not_of_this_reply_hears_all_of_it(alice: Listener) -> None:
    async with alice.hear("[[text=before]]", session_id="s") as before:
        ids = [id_ for id_, _ in await before.rest()]
    async with alice.hear(STALLED, session_id="s") as hearing:
        await hearing.event()
        _, said = await hearing.event()
        for other in (*ids, None, "nonsense"):
            async with alice.hear_on("s", other) as back:
                assert (await back.event())[1] == {"type": "start", "session_id": "s"}
                assert (await back.event())[1] == said
        await alice.post("/api/chat/stop/", session_id="s")


async def test_message_whose_session_ends_while_it_waits_is_over_once_that_is_told(alice: Listener, llm: LLM) -> None:
    session = (await alice.post("/api/v1/chatbot/session", user_id="u-81")).body["session_id"]
    running = asyncio.create_task(ask(alice, "[[hold=turn]] one", session_id=session))
    await llm.record(n=1)
    async with alice.hear("two", session_id=session) as waiting:
        start, _ = await waiting.event()
        assert (await alice.delete(f"/api/v1/chatbot/session/{session}")).status == 200
        [(last, told)] = await waiting.rest()
    assert told == {"type": "error", "error": TEXT}
    await llm.let_go("turn")
    await running
    async with alice.hear_on(session, start) as back:
        assert (back.status, await back.rest()) == (200, [(last, told)])
    async with alice.hear_on(session, last) as after:
        assert after.status == 204


async def test_session_that_is_unknown_or_anothers_is_204(alice: Listener, bob: Listener) -> None:
    async with bob.hear(session_id="his") as hearing:
        [(first, _), *_] = await hearing.rest()
    for session in ("his", FOREIGN):
        answer = await alice.having(Last_Event_ID=first).get(f"/api/chat/stream/?session_id={session}")
        assert (answer.status, answer.content) == (204, b"")
    await ask(alice, "hers", session_id="his")
    async with alice.hear_on("his", first) as foreign:
        assert foreign.status == 204


async def test_id_is_good_after_a_restart(server: Server) -> None:
    async with open_client(server) as client:
        person = Listener(client._http, client.url, {}).bearing(await server.token("admin"))
        async with person.hear("[[text=one two]]", session_id="s") as hearing:
            events = await hearing.rest()
        await server.restart()
        async with person.hear_on("s", events[0][0]) as back:
            assert (await back.rest())[-1] == events[-1]


# Stopping


async def test_stop_closes_the_upstream_and_keeps_the_text(alice: Listener, llm: LLM) -> None:
    waiting = asyncio.create_task(ask(alice, STALLED, session_id="s", client_message_id="c"))
    await llm.record(n=1)
    async with alice.hear_on("s") as hearing:
        await hearing.event()
        _, chunk = await hearing.event()
        assert (await alice.post("/api/chat/stop/", session_id="s")).body == {"success": True, "stopped": True}
        assert await history(alice) == [(STALLED, chunk["content"].strip())]
        [(_, end)] = await hearing.rest()
    assert end == {"type": "end", "complete_response": chunk["content"], "stopped": True}
    answer = await waiting
    assert (answer["response"], answer["success"]) == (chunk["content"], True)
    assert "error" not in answer
    await llm.record("closed", n=1)
    assert (await alice.post("/api/chat/stop/", session_id="s")).body == {"success": True, "stopped": False}


@pytest.mark.parametrize("fields", [{}, {"session_id": None}, {"session_id": " "}, {"session_id": "x" * 101}])
async def test_stop_needs_a_session(alice: Listener, fields: dict[str, Any]) -> None:
    answer = await alice.send("POST", "/api/chat/stop/", fields)
    assert (answer.status, list(answer.body["details"])) == (400, ["session_id"])


# History


async def test_history_shows_the_twenty_newest_turns_of_all_sessions(alice: Listener) -> None:
    for number in range(18):
        await ask(alice, f"a{number} [[text=yes]]", session_id=f"s{number % 2}")
    await alice.post("/api/chat", message="domain")
    for number in range(3):
        await ask(alice, f"b{number}")
    turns = (await alice.get("/api/history/")).body["messages"]
    assert turns[0] == {"id": UUID, "user_message": "b2", "assistant_response": TEXT, "created_at": TIME}
    said = [turn["user_message"].split()[0] for turn in turns]
    assert said == ["b2", "b1", "b0", "domain", *(f"a{number}" for number in range(17, 1, -1))]


# The edges


async def test_revoked_token_ends_an_open_stream(alice: Listener) -> None:
    async with alice.hear(STALLED, session_id="s") as hearing:
        await hearing.event()
        await hearing.event()
        await alice.post("/api/auth/logout")
        # The model says nothing more, and nobody else would end it.
        async with asyncio.timeout(15):
            assert await hearing.rest() == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/chat/"),
        ("POST", "/api/chat/stream/"),
        ("GET", "/api/chat/stream/?session_id=s"),
        ("POST", "/api/chat/stop/"),
        ("GET", "/api/history/"),
    ],
)
async def test_no_or_bad_credentials_are_401(nobody: Listener, method: str, path: str) -> None:
    for client in (nobody, nobody.bearing("x" * 43)):
        answer = await client.send(method, path, {"message": "hi", "session_id": "s"} if method == "POST" else None)
        assert (answer.status, answer.body, answer.headers["WWW-Authenticate"]) == (401, {"error": TEXT}, "Token")


async def test_paths_are_exact(alice: Listener) -> None:
    sent = [("POST", "/api/chat/stream"), ("POST", "/api/chat/stop"), ("GET", "/api/history"), ("GET", "/api/chat/")]
    answers = [await alice.send(*one) for one in sent]
    assert [answer.status for answer in answers] == [404, 404, 404, 405]
    assert answers[-1].headers["Allow"] == "POST"
