"""chatify, part one: sessions, personalities, rules, stateless chat and the keepalive socket, over the wire."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from starlette.types import Message
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from yarl import URL

from palaver.api.call import Call, Site
from palaver.api.keepalive import PING_SECONDS, keepalive
from palaver.chat.clock import SECOND
from palaver.store import StoreOptions, open_store
from tests.journeys.client import new_connector, open_beside
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer
from tests.parts.run import Run

SESSION = "/api/v1/chatbot/session"
TEMPLATES = "/api/v1/chatbot/personalities"
STATS = "/api/v1/chatbot/stats"
CLEANUP = "/api/v1/chatbot/cleanup"
PERSONALITIES = "/api/v1/personalities/"
RULES = "/api/v1/settings/universal-rules"
CHAT = "/api/v1/chat/"
CHAT_SIMPLE = "/api/v1/chat/simple"
CHAT_CONVERSATION = "/api/v1/chat/conversation"
CHAT_MODELS = "/api/v1/chat/models"
DOMAIN = "/api/chat"
DOMAIN_SESSIONS = "/api/chat/sessions"

UNKNOWN = "6b6f0a2e-93d1-4a3e-8a5f-1f7c0a9be4d2"
MALFORMED = ["7", "not-a-uuid", "6B6F0A2E", "%00", "%ff", UNKNOWN + "0"]

GENERAL_PROMPT = "You are a friendly, helpful assistant. Answer briefly and clearly."
PIRATE_PROMPT = "You talk like a pirate, always."

NOT_FOUND = {"detail": "Session not found"}
NO_SESSION = {"detail": "Session not found or expired"}
TOO_LONG = {"detail": "AI service error: the model took too long to answer"}

SECRET = "SECRET"
WAIT_SECONDS = 10


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def detail(self) -> Any:
        return self.body["detail"]

    @property
    def loc(self) -> list[list[str | int]]:
        """Where each field that a 422 complains of stands."""
        assert self.status == 422, self
        assert all(set(problem) == {"loc", "msg", "type"} for problem in self.detail)
        return [problem["loc"] for problem in self.detail]


@dataclass(frozen=True)
class Client:
    """Somebody who asks a server, with a token or without; keeps no cookies."""

    http: aiohttp.ClientSession
    server: Server
    token: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, body: object = None, *, raw: bytes | None = None) -> Answer:
        headers = dict(self.headers)
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        data = raw
        if raw is None and body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            headers.setdefault("Content-Type", "application/json")
        async with self.http.request(
            method, URL(f"{self.server.url}{path}", encoded=True), data=data, headers=headers, allow_redirects=False
        ) as response:
            read = await response.read()
            return Answer(response.status, json.loads(read) if read else None, response.headers)

    async def get(self, path: str) -> Answer:
        return await self.ask("GET", path)

    async def post(self, path: str, body: object = None) -> Answer:
        return await self.ask("POST", path, body)

    async def put(self, path: str, body: object) -> Answer:
        return await self.ask("PUT", path, body)

    async def delete(self, path: str) -> Answer:
        return await self.ask("DELETE", path)

    async def start(self, template: str | None = None, *, user_id: str = "u-81") -> str:
        body = {"user_id": user_id} if template is None else {"user_id": user_id, "template_id": template}
        created = await self.post(SESSION, body)
        assert created.status == 200, created
        return str(created.body["session_id"])

    async def say(self, session: str, message: str, **more: object) -> Answer:
        return await self.post(f"{SESSION}/{session}/message", {"message": message, **more})

    async def state(self, session: str) -> Any:
        answer = await self.get(f"{SESSION}/{session}?include_ended=true")
        assert answer.status == 200, answer
        return answer.body

    async def end(self, session: str) -> Answer:
        return await self.delete(f"{SESSION}/{session}")

    async def make(self, name: str, **fields: object) -> Any:
        """A personality, as the server answers it."""
        made = await self.post(PERSONALITIES, {"name": name, "personalityPrompt": PIRATE_PROMPT, **fields})
        assert made.status == 200, made
        return made.body


@pytest.fixture(autouse=True)
async def _llm_as_at_first(llm: LLM) -> None:
    """What a test has told the stand-in is forgotten before the next."""


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(), connector=new_connector(), timeout=timeout
    ) as session:
        yield session


@pytest.fixture(scope="module")
async def admin(http: aiohttp.ClientSession, shared_server: Server) -> Client:
    return Client(http, shared_server, await shared_server.token("admin"))


@pytest.fixture(scope="module")
async def alice(http: aiohttp.ClientSession, shared_server: Server) -> Client:
    return Client(http, shared_server, await shared_server.token("alice"))


@pytest.fixture(scope="module")
async def bob(http: aiohttp.ClientSession, shared_server: Server) -> Client:
    return Client(http, shared_server, await shared_server.token("bob"))


@pytest.fixture
def nobody(http: aiohttp.ClientSession, shared_server: Server) -> Client:
    return Client(http, shared_server)


@pytest.fixture(scope="module")
async def hasty(run: Run, http: aiohttp.ClientSession, shared_server: Server) -> AsyncIterator[Client]:
    """Somebody on a server that gives up a model which says nothing for a second."""
    async with open_beside(run, shared_server, LLM_TIMEOUT="1") as server:
        yield Client(http, server, await server.token("admin"))


@pytest.fixture(scope="module")
async def shop(http: aiohttp.ClientSession, shared_server: Server) -> Client:
    """An application."""
    return await open_app(http, shared_server, "shop")


@pytest.fixture(scope="module")
async def game(http: aiohttp.ClientSession, shared_server: Server) -> Client:
    """Another application."""
    return await open_app(http, shared_server, "game")


@pytest.fixture
def name() -> str:
    """A name that no other test has given to anything."""
    return f"pirate {uuid.uuid4().hex[:12]}"


async def open_app(http: aiohttp.ClientSession, server: Server, name: str) -> Client:
    await server.cli("app", "add", name)
    printed = await server.cli("token", "create", "--app", name)
    return Client(http, server, printed.strip())


def to_id(name: str) -> str:
    return name.replace(" ", "-")


def to_moment(text: str) -> datetime:
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


async def prompts(llm: LLM) -> list[list[tuple[str, str]]]:
    """What the model was given, call by call: role and text of each message."""
    return [
        [(message["role"], message["content"]) for message in heard.body["messages"]] for heard in await llm.record()
    ]


# Sessions


async def test_session_is_made_talked_in_twice_ended_and_then_takes_no_more(alice: Client) -> None:
    created = await alice.post(SESSION, {"user_id": "u-81", "template_id": "general"})
    assert (created.status, created.body) == (
        200,
        {"success": True, "session_id": created.body["session_id"], "message": "Session created successfully"},
    )
    session = created.body["session_id"]
    assert str(uuid.UUID(session, version=4)) == session

    first = await alice.say(session, "Where is the treasure?")
    assert (first.status, first.body) == (
        200,
        {
            "success": True,
            "response": "You said: Where is the treasure?",
            "session_id": session,
            "message_count": 1,
        },
    )
    assert (await alice.say(session, "And the map?")).body["message_count"] == 2

    ended = await alice.end(session)
    assert (ended.status, ended.body) == (
        200,
        {
            "success": True,
            "message": "Session ended successfully",
            "session_id": session,
            "duration_seconds": ended.body["duration_seconds"],
            "total_messages": 2,
        },
    )
    assert ended.body["duration_seconds"] >= 0

    refused = await alice.say(session, "One more")
    assert (refused.status, refused.body) == (400, NO_SESSION)


async def test_state_of_an_active_session_tells_all_and_no_history(alice: Client) -> None:
    session = await alice.start(user_id="u-81")
    before = await alice.state(session)
    assert before["last_activity"] == before["created_at"]
    await alice.say(session, "Hello")

    answer = await alice.get(f"{SESSION}/{session}")
    state = answer.body
    assert answer.status == 200
    assert state == {
        "success": True,
        "message": "Session is active",
        "session_id": session,
        "status": "active",
        "user_id": "u-81",
        "template_id": "general",
        "message_count": 1,
        "created_at": before["created_at"],
        "last_activity": state["last_activity"],
        "duration_seconds": state["duration_seconds"],
        "total_messages": 1,
    }
    assert to_moment(state["last_activity"]) > to_moment(state["created_at"])
    assert abs(to_moment(state["created_at"]) - datetime.now(UTC)) < timedelta(minutes=1)


async def test_state_of_an_ended_session_is_told_to_who_asks_for_ended_ones_alone(alice: Client) -> None:
    session = await alice.start()
    await alice.say(session, "Hello")
    ended = (await alice.end(session)).body

    state = await alice.state(session)
    assert (state["message"], state["status"], state["total_messages"]) == ("Session has ended", "ended", 1)
    assert state["duration_seconds"] == ended["duration_seconds"]
    lasted = to_moment(state["ended_at"]) - to_moment(state["created_at"])
    assert state["duration_seconds"] == pytest.approx(lasted.total_seconds(), abs=0.001)
    for path in (f"{SESSION}/{session}", f"{SESSION}/{session}?include_ended=false"):
        answer = await alice.get(path)
        assert (answer.status, answer.body) == (404, NOT_FOUND)


async def test_session_ends_once(alice: Client) -> None:
    session = await alice.start()
    assert (await alice.end(session)).status == 200
    again = await alice.end(session)
    assert (again.status, again.body) == (400, NOT_FOUND)


@pytest.mark.parametrize("session", [UNKNOWN, *MALFORMED])
async def test_session_that_is_not_there_is_refused_in_the_words_of_each_route(alice: Client, session: str) -> None:
    said = await alice.say(session, "Hello")
    assert (said.status, said.body) == (400, NO_SESSION)
    read = await alice.get(f"{SESSION}/{session}?include_ended=true")
    assert (read.status, read.body) == (404, NOT_FOUND)
    ended = await alice.end(session)
    assert (ended.status, ended.body) == (400, NOT_FOUND)


async def test_session_of_somebody_else_is_not_there_for_persons_and_admins(
    alice: Client, bob: Client, admin: Client
) -> None:
    session = await alice.start()
    for other in (bob, admin):
        assert (await other.say(session, "Hello")).body == NO_SESSION
        assert (await other.get(f"{SESSION}/{session}?include_ended=true")).body == NOT_FOUND
        assert (await other.end(session)).body == NOT_FOUND
    assert (await alice.state(session))["status"] == "active"


async def test_deleted_session_is_not_there(alice: Client) -> None:
    session = await alice.start()
    assert (await alice.delete(f"{DOMAIN_SESSIONS}/{session}")).status == 200
    assert (await alice.say(session, "Hello")).body == NO_SESSION
    assert (await alice.get(f"{SESSION}/{session}?include_ended=true")).status == 404
    assert (await alice.end(session)).body == NOT_FOUND


async def test_message_that_waits_when_the_session_ends_hears_that_it_is_no_longer_active(
    alice: Client, llm: LLM
) -> None:
    session = await alice.start()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(alice.say(session, "[[hold=turn]] First"))
        await llm.record("arrived", n=1)
        waiting = tasks.create_task(alice.say(session, "Second"))
        await wait_for_messages(alice, session, 2)
        assert (await alice.end(session)).status == 200
        await llm.let_go("turn")
    refused = waiting.result()
    assert (refused.status, refused.body) == (400, {"detail": "Session is no longer active"})
    assert running.result().status == 200
    assert [text for _, text in (await prompts(llm))[-1]][-1] == "[[hold=turn]] First"


async def test_message_that_waits_when_the_session_is_deleted_hears_that_it_is_gone(alice: Client, llm: LLM) -> None:
    session = await alice.start()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(alice.say(session, "[[hold=turn]] First"))
        await llm.record("arrived", n=1)
        waiting = tasks.create_task(alice.say(session, "Second"))
        await wait_for_messages(alice, session, 2)
        await alice.delete(f"{DOMAIN_SESSIONS}/{session}")
        await llm.let_go("turn")
    assert (waiting.result().status, waiting.result().body) == (400, NO_SESSION)


async def wait_for_messages(client: Client, session: str, number: int) -> None:
    """Returns when so many of the person's own messages are listed."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            listed = (await client.get(f"{DOMAIN_SESSIONS}/{session}/messages")).body
            if sum(message["role"] == "user" for message in listed) >= number:
                return


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("500", "the model cannot be reached just now"),
        ("429", "the model cannot be reached just now"),
        ("html", "the model cannot be reached just now"),
        ("reset", "the answer broke off"),
        ("cut", "the answer broke off"),
        ("error-in-stream", "the answer broke off"),
        ("empty", "the model said nothing"),
    ],
)
async def test_model_that_fails_is_told_in_plain_words_and_sending_again_works(
    alice: Client, fault: str, reason: str
) -> None:
    session = await alice.start()
    await alice.say(session, "Hello")
    failed = await alice.say(session, f"[[fault={fault}]] Are you there?", client_message_id="m1")
    assert (failed.status, failed.body) == (400, {"detail": f"AI service error: {reason}"})
    assert (await alice.state(session))["message_count"] == 1
    again = await alice.say(session, "Are you there now?")
    assert (again.status, again.body["message_count"]) == (200, 2)


@pytest.mark.parametrize("fault", ["stall", "no-first-byte"])
async def test_model_that_hangs_is_given_up_in_plain_words_and_asked_again(hasty: Client, llm: LLM, fault: str) -> None:
    session = await hasty.start()
    failed = await hasty.say(session, f"[[fault={fault}]] Are you there?", client_message_id="m1")
    assert (failed.status, failed.body) == (400, TOO_LONG)
    assert (await hasty.state(session))["message_count"] == 0
    # On a machine with other work a second may be too little for any answer, and even for the question.
    async with asyncio.timeout(WAIT_SECONDS):
        while ("user", "Are you there now?") not in [asked[-1] for asked in await prompts(llm)]:
            await hasty.say(session, "Are you there now?", when_busy="reject")


async def test_model_that_comes_back_answers_the_message_that_had_failed(alice: Client, llm: LLM) -> None:
    session = await alice.start()
    await llm.control(fault="500")
    failed = await alice.say(session, "Hello", client_message_id="m1")
    assert failed.status == 400
    assert failed.detail.startswith("AI service error: ")
    assert SECRET not in json.dumps(failed.body)
    assert (await alice.state(session))["message_count"] == 0
    await llm.control()
    again = await alice.say(session, "Hello", client_message_id="m1")
    assert (again.status, again.body["message_count"]) == (200, 1)
    messages = (await alice.get(f"{DOMAIN_SESSIONS}/{session}/messages")).body
    assert [message["role"] for message in messages] == ["user", "assistant"]


async def test_failure_is_told_in_the_language_of_the_reader(alice: Client) -> None:
    session = await alice.start()
    reader = Client(alice.http, alice.server, alice.token, {"Accept-Language": "de"})
    failed = await reader.say(session, "[[fault=empty]]")
    assert failed.detail == "AI service error: das Modell hat nichts gesagt"
    assert (await reader.end(session)).body["message"] == "Session ended successfully"


async def test_reply_that_somebody_stops_answers_with_the_text_so_far(alice: Client, llm: LLM) -> None:
    session = await alice.start()
    async with asyncio.TaskGroup() as tasks:
        stopped = tasks.create_task(alice.say(session, "[[text=one two three&pieces=3&fault=stall&after=1]]"))
        await llm.record("arrived", n=1)
        following = tasks.create_task(alice.say(session, "Stop that", when_busy="interrupt"))
    assert stopped.result().status == 200
    assert "one two three".startswith(stopped.result().body["response"])
    assert stopped.result().body["response"] != "one two three"
    assert following.result().body["response"] == "You said: Stop that"


async def test_same_client_message_id_is_one_message_and_one_answer(alice: Client, llm: LLM) -> None:
    session = await alice.start()
    first, second = await asyncio.gather(
        alice.say(session, "Hello", client_message_id="a1"), alice.say(session, "Hello", client_message_id="a1")
    )
    third = await alice.say(session, "Hello", client_message_id="a1")
    assert first.body == second.body == third.body
    assert first.body["message_count"] == 1
    assert len(await llm.record()) == 1
    other = await alice.say(session, "Goodbye", client_message_id="a1")
    assert other.status == 409
    assert isinstance(other.detail, str)


async def test_message_that_is_not_to_wait_is_refused_while_a_reply_runs(alice: Client, llm: LLM) -> None:
    session = await alice.start()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(alice.say(session, "[[hold=turn]] First"))
        await llm.record("arrived", n=1)
        refused = await alice.say(session, "Second", when_busy="reject")
        await llm.let_go("turn")
    assert refused.status == 409
    assert running.result().body["message_count"] == 1


async def test_messages_sent_at_once_are_answered_in_turn(alice: Client) -> None:
    session = await alice.start()
    answers = await asyncio.gather(*(alice.say(session, f"Message {number}") for number in range(5)))
    assert [answer.body["response"] for answer in answers] == [f"You said: Message {number}" for number in range(5)]
    assert sorted(answer.body["message_count"] for answer in answers) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({}, ["body", "user_id"]),
        ({"user_id": None}, ["body", "user_id"]),
        ({"user_id": ""}, ["body", "user_id"]),
        ({"user_id": 7}, ["body", "user_id"]),
        ({"user_id": "u" * 256}, ["body", "user_id"]),
        ({"user_id": "u\u0000"}, ["body", "user_id"]),
        ({"user_id": "u", "template_id": "t" * 101}, ["body", "template_id"]),
        ({"user_id": "u", "template_id": 1}, ["body", "template_id"]),
    ],
)
async def test_session_with_a_wrong_field_is_not_made(alice: Client, body: object, loc: list[str | int]) -> None:
    assert (await alice.post(SESSION, body)).loc == [loc]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({}, ["body", "message"]),
        ({"message": ""}, ["body", "message"]),
        ({"message": " \n\t"}, ["body", "message"]),
        ({"message": None}, ["body", "message"]),
        ({"message": 5}, ["body", "message"]),
        ({"message": "m" * 4001}, ["body", "message"]),
        ({"message": "\ud800"}, ["body", "message"]),
        ({"message": "m", "client_message_id": ""}, ["body", "client_message_id"]),
        ({"message": "m", "client_message_id": "c" * 101}, ["body", "client_message_id"]),
        ({"message": "m", "when_busy": "perhaps"}, ["body", "when_busy"]),
    ],
)
async def test_message_with_a_wrong_field_is_refused_before_the_session_is_looked_for(
    alice: Client, body: object, loc: list[str | int]
) -> None:
    answer = await alice.post(f"{SESSION}/{UNKNOWN}/message", body)
    assert answer.loc == [loc]
    assert "m" * 4001 not in json.dumps(answer.body)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"text"', b"\xff"])
async def test_body_that_is_no_json_object_is_invalid(alice: Client, raw: bytes) -> None:
    for path in (SESSION, f"{SESSION}/{UNKNOWN}/message", PERSONALITIES, CHAT):
        answer = await alice.ask("POST", path, raw=raw)
        assert (answer.status, type(answer.detail)) == (422, list)


async def test_include_ended_that_is_no_boolean_is_invalid(alice: Client) -> None:
    session = await alice.start()
    assert (await alice.get(f"{SESSION}/{session}?include_ended=perhaps")).loc == [["query", "include_ended"]]


@pytest.mark.parametrize("message", ["  Ahoy  ", "m" * 4000, "😀" * 4000])
async def test_message_reaches_the_model_as_it_was_written(alice: Client, llm: LLM, message: str) -> None:
    session = await alice.start()
    assert (await alice.say(session, message)).status == 200
    assert (await prompts(llm))[0][-1] == ("user", message)


@pytest.mark.parametrize("path", [f"{SESSION}/", "/api/v1/personalities", f"{RULES}/", "/api/v1/chat", f"{TEMPLATES}/"])
async def test_slash_too_many_or_too_few_is_not_found(alice: Client, path: str) -> None:
    for method in ("GET", "POST"):
        answer = await alice.ask(method, path, {} if method == "POST" else None)
        assert (answer.status, answer.body) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", SESSION),
        ("POST", f"{SESSION}/{UNKNOWN}/message"),
        ("DELETE", f"{SESSION}/{UNKNOWN}"),
        ("GET", f"{SESSION}/{UNKNOWN}"),
        ("GET", TEMPLATES),
        ("GET", STATS),
        ("POST", CLEANUP),
        ("GET", PERSONALITIES),
        ("POST", PERSONALITIES),
        ("GET", f"{PERSONALITIES}general"),
        ("PUT", f"{PERSONALITIES}general"),
        ("DELETE", f"{PERSONALITIES}general"),
        ("GET", RULES),
        ("PUT", RULES),
        ("POST", CHAT),
        ("POST", CHAT_SIMPLE),
        ("POST", CHAT_CONVERSATION),
        ("GET", CHAT_MODELS),
    ],
)
async def test_nobody_without_credentials_gets_in_while_guests_are_off(nobody: Client, method: str, path: str) -> None:
    answer = await nobody.ask(method, path, {} if method in ("POST", "PUT") else None)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert isinstance(answer.detail, str)
    assert answer.headers["X-Request-Id"]


# Whose a session is


async def test_label_of_a_person_makes_nobody_else_the_owner(alice: Client, bob: Client) -> None:
    session = await alice.start(user_id="bob")
    assert (await alice.state(session))["user_id"] == "bob"
    assert (await bob.get(f"{SESSION}/{session}")).status == 404
    assert session in [listed["sessionId"] for listed in (await alice.get(DOMAIN_SESSIONS)).body]


async def test_application_names_its_user_and_reaches_all_of_its_users_sessions(shop: Client) -> None:
    session = await shop.start(user_id="7")
    state = await shop.state(session)
    assert state["user_id"] == "7"
    assert (await shop.say(session, "Hello")).body["message_count"] == 1
    assert (await shop.state(await shop.start(user_id="8")))["user_id"] == "8"
    seen = (await shop.get(f"{DOMAIN_SESSIONS}/{session}")).body
    assert seen["userId"] == "7"
    assert (await shop.end(session)).status == 200


async def test_users_of_two_applications_with_the_same_user_id_are_two_users(
    shop: Client, game: Client, alice: Client
) -> None:
    session = await shop.start(user_id="7")
    await game.start(user_id="7")
    for other in (game, alice):
        assert (await other.say(session, "Hello")).body == NO_SESSION
        assert (await other.get(f"{SESSION}/{session}")).body == NOT_FOUND
        assert (await other.end(session)).body == NOT_FOUND


async def test_fifty_first_mentions_at_once_make_one_user(shop: Client) -> None:
    user_id = uuid.uuid4().hex
    sessions = await asyncio.gather(*(shop.start(user_id=user_id) for _ in range(50)))
    assert len(set(sessions)) == 50


async def test_ended_session_stays_readable_elsewhere_and_takes_no_message_there(alice: Client) -> None:
    session = await alice.start()
    await alice.say(session, "Hello")
    await alice.end(session)
    messages = (await alice.get(f"{DOMAIN_SESSIONS}/{session}/messages")).body
    assert [message["content"] for message in messages] == ["Hello", "You said: Hello"]
    refused = await alice.post(DOMAIN, {"message": "More", "sessionId": session})
    assert (refused.status, refused.body) == (409, {"detail": "Session has ended"})


async def test_session_begun_elsewhere_is_a_session_here(alice: Client) -> None:
    me = (await alice.get("/api/auth/me")).body["userId"]
    begun = (await alice.post(DOMAIN, {"message": "Hello"})).body
    session = begun["sessionId"]
    state = await alice.state(session)
    assert (state["user_id"], state["template_id"], state["message_count"]) == (me, "domain", 1)
    assert (await alice.say(session, "Again")).body["message_count"] == 2
    assert (await alice.end(session)).body["total_messages"] == 2


async def test_session_made_in_a_context_shows_its_name_id(alice: Client, admin: Client, name: str) -> None:
    context = await admin.post("/api/chat/contexts", {"name": name, "system_prompt": "Know the sea."})
    started = await alice.post("/api/chat/start", {"context_id": context.body["id"], "initial_message": "Be brief."})
    assert (await alice.state(started.body["uuid"]))["template_id"] == to_id(name)


# Templates, rules, and what the model is given


@pytest.mark.parametrize("template", ["no-such-template", "", "\u00fc", "domain", None])
async def test_template_that_cannot_be_used_falls_back_to_general(
    alice: Client, llm: LLM, template: str | None
) -> None:
    created = await alice.post(SESSION, {"user_id": "u", "template_id": template})
    assert created.status == 200
    session = created.body["session_id"]
    assert (await alice.state(session))["template_id"] == "general"
    await alice.say(session, "Hello")
    assert (await prompts(llm))[0][0][0] == "system"


async def test_template_of_somebody_else_falls_back_to_general_and_a_public_one_does_not(
    alice: Client, bob: Client, name: str
) -> None:
    private = await alice.make(name)
    public = await alice.make(f"{name} public", isPublic=True)
    assert (await bob.state(await bob.start(private["id"])))["template_id"] == "general"
    assert (await bob.state(await bob.start(public["id"])))["template_id"] == public["id"]
    assert (await alice.state(await alice.start(private["id"])))["template_id"] == private["id"]


async def test_application_uses_its_own_templates_for_its_users(shop: Client, game: Client, name: str) -> None:
    own = await shop.make(name)
    assert (await shop.state(await shop.start(own["id"], user_id="7")))["template_id"] == own["id"]
    assert (await game.state(await game.start(own["id"], user_id="7")))["template_id"] == "general"


async def test_general_is_asked_with_its_own_settings(alice: Client, llm: LLM) -> None:
    session = await alice.start()
    await alice.say(session, "Hello")
    asked = (await llm.record())[0].body
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == ("gpt-4o-mini", 0.9, 50)
    assert (asked["presence_penalty"], asked["frequency_penalty"]) == (0.6, 0.6)
    assert asked["messages"][0]["content"].endswith(GENERAL_PROMPT)


async def test_personality_is_asked_with_its_own_settings(alice: Client, llm: LLM, name: str) -> None:
    made = await alice.make(name, model="gpt-4", temperature=0.2, maxTokens=321)
    session = await alice.start(made["id"])
    await alice.say(session, "Hello")
    asked = (await llm.record())[0].body
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == ("gpt-4", 0.2, 321)
    assert "presence_penalty" not in asked
    assert asked["messages"][0]["content"].endswith(PIRATE_PROMPT)


@pytest.mark.parametrize("template", ["general", "own"])
async def test_model_is_given_the_prompt_the_last_ten_messages_and_the_new_one(
    alice: Client, llm: LLM, template: str, name: str
) -> None:
    made = await alice.make(name)
    session = await alice.start({"general": "general", "own": made["id"]}[template])
    for number in range(1, 21):
        await alice.say(session, f"Message {number}")
    given = await prompts(llm)
    assert given[1][1:] == [
        ("user", "Message 1"),
        ("assistant", "You said: Message 1"),
        ("user", "Message 2"),
    ]
    assert given[19][0][0] == "system"
    assert given[19][1:] == [
        *(
            said
            for number in range(15, 20)
            for said in (("user", f"Message {number}"), ("assistant", f"You said: Message {number}"))
        ),
        ("user", "Message 20"),
    ]


async def test_context_of_another_api_keeps_its_own_window(alice: Client, admin: Client, llm: LLM, name: str) -> None:
    await admin.post("/api/chat/contexts", {"name": name, "system_prompt": "Know the sea.", "window": 2})
    session = await alice.start(to_id(name))
    for number in range(1, 7):
        await alice.say(session, f"Message {number}")
    assert max(len(given) for given in await prompts(llm)) == 1 + 2 + 1


async def test_failed_message_stays_in_what_the_model_sees(alice: Client, llm: LLM) -> None:
    session = await alice.start()
    await alice.say(session, "[[fault=500]] First")
    await alice.say(session, "Second")
    assert [text for _, text in (await prompts(llm))[-1]][-2:] == ["[[fault=500]] First", "Second"]


async def test_change_of_template_or_rules_changes_no_session_that_exists(
    server: Server, http: aiohttp.ClientSession, llm: LLM
) -> None:
    admin = Client(http, server, await server.token("admin"))
    await admin.put(RULES, {"rules": "Never be rude to anybody."})
    made = await admin.make("Pirate", temperature=0.5)
    session = await admin.start(made["id"])

    await admin.put(RULES, {"rules": "Always be rude to everybody."})
    await admin.put(f"{PERSONALITIES}pirate", {"personalityPrompt": "You talk like a parrot.", "temperature": 1})
    await admin.say(session, "Hello")
    await admin.delete(f"{PERSONALITIES}pirate")
    await admin.say(session, "Still there?")
    first, second = await llm.record()
    assert first.body["messages"][0] == {
        "role": "system",
        "content": f"Never be rude to anybody.\n\n{PIRATE_PROMPT}",
    }
    assert second.body["messages"][0] == first.body["messages"][0]
    assert (first.body["temperature"], second.body["temperature"]) == (0.5, 0.5)
    assert (await admin.state(session))["template_id"] == "pirate"


async def test_rules_go_before_the_prompt_unless_they_are_off_or_empty(
    server: Server, http: aiohttp.ClientSession, llm: LLM
) -> None:
    admin = Client(http, server, await server.token("admin"))
    initial = await admin.get(RULES)
    assert initial.body == {
        "rules": "",
        "version": "1.0",
        "enabled": True,
        "updatedAt": initial.body["updatedAt"],
    }
    await admin.say(await admin.start(), "No rules yet")

    changed = await admin.put(RULES, {"rules": "Be kind to people.", "version": "2.0"})
    assert (changed.status, changed.body) == (
        200,
        {
            "rules": "Be kind to people.",
            "version": "2.0",
            "enabled": True,
            "updatedAt": changed.body["updatedAt"],
        },
    )
    assert to_moment(changed.body["updatedAt"]) > to_moment(initial.body["updatedAt"])
    await admin.say(await admin.start(), "Rules")

    off = await admin.put(RULES, {"enabled": False})
    assert (off.body["rules"], off.body["version"], off.body["enabled"]) == ("Be kind to people.", "2.0", False)
    assert (await admin.get(RULES)).body == off.body
    await admin.say(await admin.start(), "Rules are off")

    await admin.put(RULES, {"enabled": True})
    await admin.post(DOMAIN, {"message": "The rules are chatify's alone"})

    without, with_rules, switched_off, elsewhere = (given[0][1] for given in await prompts(llm))
    assert without == switched_off == GENERAL_PROMPT
    assert with_rules == f"Be kind to people.\n\n{GENERAL_PROMPT}"
    assert "Be kind" not in elsewhere


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"rules": "too short"}, ["body", "rules"]),
        ({"rules": "r" * 20_001}, ["body", "rules"]),
        ({"version": ""}, ["body", "version"]),
        ({"version": "v" * 21}, ["body", "version"]),
        ({"version": 2}, ["body", "version"]),
        ({"enabled": "true"}, ["body", "enabled"]),
    ],
)
async def test_rules_with_a_wrong_field_are_refused(admin: Client, body: object, loc: list[str | int]) -> None:
    before = (await admin.get(RULES)).body
    assert (await admin.put(RULES, body)).loc == [loc]
    assert (await admin.get(RULES)).body == before


async def test_rules_are_read_by_everybody_and_changed_by_admins(alice: Client) -> None:
    assert (await alice.get(RULES)).status == 200
    refused = await alice.put(RULES, {"rules": "Alice decides now."})
    assert (refused.status, type(refused.detail)) == (403, str)


async def test_changes_of_two_rules_fields_at_once_both_last(admin: Client) -> None:
    version = uuid.uuid4().hex[:10]
    rules = f"Be kind, {version}."
    await asyncio.gather(admin.put(RULES, {"version": version}), admin.put(RULES, {"rules": rules}))
    now = (await admin.get(RULES)).body
    assert (now["version"], now["rules"]) == (version, rules)


# Restarts, idle sessions, cleaning up


async def test_session_goes_on_with_its_history_and_count_after_a_kill(
    server: Server, http: aiohttp.ClientSession, llm: LLM
) -> None:
    admin = Client(http, server, await server.token("admin"))
    session = await admin.start()
    await admin.say(session, "Remember me")
    server.kill()
    await server.start()
    assert (await admin.say(session, "Do you?")).body["message_count"] == 2
    assert [text for _, text in (await prompts(llm))[-1]][1:] == ["Remember me", "You said: Remember me", "Do you?"]


async def an_hour_passes(server: Server) -> None:
    """Since anything was said on it."""
    environment = server.environment
    options = StoreOptions(Path(environment["PALAVER_DATA_DIR"]), environment.get("PALAVER_DATABASE_URL"))
    hour = 3600 * SECOND
    earlier = f"UPDATE conversations SET created_at = created_at - {hour}, last_message_at = last_message_at - {hour}"
    async with open_store(options) as store:
        await store.database.write(lambda tx: tx.run(earlier))


async def test_idle_session_ends_by_itself_and_one_in_use_or_of_another_api_does_not(
    start_server: StartServer, http: aiohttp.ClientSession, llm: LLM
) -> None:
    server = await start_server(PALAVER_SESSION_IDLE_MINUTES="30")
    admin = Client(http, server, await server.token("admin"))
    elsewhere = (await admin.post(DOMAIN, {"message": "Hello"})).body["sessionId"]
    idle = await admin.start()
    used = await admin.start()
    async with asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(admin.say(used, "[[hold=turn]] Think"))
        await llm.record("arrived", n=2)
        await an_hour_passes(server)
        assert (await admin.post(CLEANUP)).status == 200
        assert (await admin.state(idle))["status"] == "ended"
        assert (await admin.state(used))["status"] == "active"
        await llm.let_go("turn")
    assert slow.result().status == 200
    state = await admin.state(idle)
    assert "ended_at" in state
    assert state["total_messages"] == 0
    assert (await admin.say(idle, "Too late")).body == NO_SESSION
    assert (await admin.end(idle)).body == NOT_FOUND
    assert (await admin.say(elsewhere, "Still here")).status == 200


async def test_cleanup_purges_what_retention_has_released_and_tells_what_it_did(
    start_server: StartServer, http: aiohttp.ClientSession
) -> None:
    server = await start_server(PALAVER_RETENTION_DAYS="0", PALAVER_SESSION_IDLE_MINUTES="0")
    admin = Client(http, server, await server.token("admin"))
    kept, gone = await admin.start(), await admin.start()
    await admin.say(gone, "Forget me")
    await admin.delete(f"{DOMAIN_SESSIONS}/{gone}")
    cleaned = await admin.post(CLEANUP)
    assert cleaned.status == 200
    assert isinstance(cleaned.body.pop("message"), str)
    assert cleaned.body == {
        "success": True,
        "memory_sessions_cleaned": 0,
        "firebase_sessions_cleaned": 1,
        "active_sessions": 1,
    }
    assert (await admin.say(kept, "Still here")).status == 200


async def test_stats_tell_admins_which_sessions_are_active(
    start_server: StartServer, http: aiohttp.ClientSession
) -> None:
    server = await start_server()
    admin = Client(http, server, await server.token("admin"))
    alice = Client(http, server, await server.token("alice"))
    active, ended = await alice.start(), await alice.start()
    await alice.end(ended)
    await alice.post(DOMAIN, {"message": "Not a session of this API"})
    stats = await admin.get(STATS)
    assert (stats.status, stats.body) == (
        200,
        {
            "success": True,
            "stats": {"active_sessions": 1, "session_timeout_minutes": 30, "sessions": [active]},
        },
    )


async def test_stats_and_cleanup_are_for_admins(alice: Client, shop: Client) -> None:
    for client in (alice, shop):
        assert (await client.get(STATS)).status == 403
        assert (await client.post(CLEANUP)).status == 403


# Guests


async def test_guest_without_cookies_makes_continues_and_ends_a_session_by_its_id(
    start_server: StartServer, http: aiohttp.ClientSession
) -> None:
    server = await start_server(PALAVER_GUESTS="on")
    guest = Client(http, server)
    created = await guest.post(SESSION, {"user_id": "somebody"})
    assert created.headers["Set-Cookie"].startswith("palaver_guest=")
    session = created.body["session_id"]
    assert (await guest.say(session, "Hello")).body["message_count"] == 1
    assert (await guest.state(session))["user_id"] == "somebody"
    assert (await guest.end(session)).status == 200
    wrong = Client(http, server, "x" * 30)
    assert (await wrong.post(SESSION, {"user_id": "somebody"})).status == 401


async def test_session_of_a_person_is_not_open_to_guests(
    start_server: StartServer, http: aiohttp.ClientSession
) -> None:
    server = await start_server(PALAVER_GUESTS="on")
    admin = Client(http, server, await server.token("admin"))
    session = await admin.start()
    assert (await Client(http, server).say(session, "Hello")).body == NO_SESSION


async def test_guest_may_make_a_personality_that_stays_private_and_is_the_guests_own(
    start_server: StartServer, http: aiohttp.ClientSession
) -> None:
    server = await start_server(PALAVER_GUESTS="on")
    stranger = Client(http, server)
    made = await stranger.post(
        PERSONALITIES, {"name": "Parrot", "systemPrompt": PIRATE_PROMPT, "isPublic": True, "isDefault": True}
    )
    assert (made.status, made.body["isPublic"], made.body["isDefault"]) == (200, False, False)
    cookie = made.headers["Set-Cookie"].partition(";")[0]
    guest = Client(http, server, headers={"Cookie": cookie})
    assert [listed["id"] for listed in (await guest.get(PERSONALITIES)).body] == ["parrot", "general"]
    published = await guest.put(f"{PERSONALITIES}parrot", {"isPublic": True, "title": "Polly"})
    assert (published.body["isPublic"], published.body["title"]) == (False, "Polly")
    assert (await stranger.get(f"{PERSONALITIES}parrot")).status == 404
    assert (await guest.state(await guest.start("parrot")))["template_id"] == "parrot"
    assert (await guest.get(STATS)).status == 401
    assert (await guest.put(RULES, {"enabled": False})).status == 401


async def test_guest_is_answered_without_a_session(start_server: StartServer, http: aiohttp.ClientSession) -> None:
    server = await start_server(PALAVER_GUESTS="on")
    guest = Client(http, server)
    for _ in range(2):
        assert (await guest.post(CHAT_SIMPLE, {"message": "Hello"})).body["content"] == "You said: Hello"


# Personalities


async def test_personality_has_its_defaults_and_shows_camel_case_alone(alice: Client, name: str) -> None:
    made = await alice.post(PERSONALITIES, {"name": name, "personalityPrompt": PIRATE_PROMPT})
    assert made.status == 200
    assert made.body == {
        "id": to_id(name),
        "name": name,
        "title": name,
        "description": "",
        "category": "general",
        "personalityPrompt": PIRATE_PROMPT,
        "welcomeMessage": "",
        "model": None,
        "temperature": 0.9,
        "maxTokens": 150,
        "tags": [],
        "isPublic": False,
        "isDefault": False,
        "usageCount": 0,
        "createdAt": made.body["createdAt"],
        "updatedAt": made.body["createdAt"],
    }
    to_moment(made.body["createdAt"])
    read = await alice.get(f"{PERSONALITIES}{made.body['id']}")
    assert (read.status, read.body) == (200, made.body)


async def test_personality_keeps_all_that_was_said_of_it(admin: Client, name: str) -> None:
    fields = {
        "title": "Captain",
        "description": "Talks of the sea.",
        "category": "fun",
        "personalityPrompt": "p" * 20_000,
        "welcomeMessage": "Ahoy!",
        "model": "gpt-4",
        "temperature": 0,
        "maxTokens": 4000,
        "tags": ["sea", "rum"],
        "isPublic": True,
        "isDefault": True,
    }
    made = await admin.make(name, **fields)
    assert {key: made[key] for key in fields} == fields


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"maxTokens": 200}, ("maxTokens", 200)),
        ({"max_tokens": 200}, ("maxTokens", 200)),
        ({"max_tokens": 300, "maxTokens": 200}, ("maxTokens", 200)),
        ({"maxTokens": "200"}, ("maxTokens", 200)),
        ({"maxTokens": None}, ("maxTokens", 150)),
        ({"welcome_message": "Ahoy"}, ("welcomeMessage", "Ahoy")),
        ({"is_public": True}, ("isPublic", True)),
        ({"usageCount": 7}, ("usageCount", 0)),
        ({"title": None}, ("title", "name")),
    ],
)
async def test_names_of_both_spellings_are_read(
    alice: Client, name: str, fields: dict[str, object], shown: tuple[str, object]
) -> None:
    made = await alice.make(name, **fields)
    assert made[shown[0]] == {"name": name}.get(str(shown[1]), shown[1])
    changed = await alice.put(f"{PERSONALITIES}{made['id']}", fields)
    assert changed.body[shown[0]] == made[shown[0]]


@pytest.mark.parametrize("spelling", ["personalityPrompt", "personality_prompt", "systemPrompt"])
async def test_prompt_is_read_in_each_of_its_spellings(alice: Client, name: str, spelling: str) -> None:
    made = await alice.post(PERSONALITIES, {"name": name, spelling: PIRATE_PROMPT})
    assert made.body["personalityPrompt"] == PIRATE_PROMPT
    changed = await alice.put(f"{PERSONALITIES}{made.body['id']}", {spelling: "Talk like a parrot."})
    assert changed.body["personalityPrompt"] == "Talk like a parrot."


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("Sea\tWolf_9", "sea-wolf_9"),
        ("Käpt'n  Blaubär!", "kptn--blaubr"),
        ("---", "---"),
    ],
)
async def test_id_is_made_of_the_name_and_never_changes(alice: Client, name: str, id_: str) -> None:
    made = await alice.make(name)
    assert made["id"] == id_
    changed = await alice.put(f"{PERSONALITIES}{id_}", {"name": f"Renamed {id_}", "id": "other"})
    assert (changed.body["id"], changed.body["name"]) == (id_, f"Renamed {id_}")
    assert (await alice.delete(f"{PERSONALITIES}{id_}")).status == 200


async def test_id_may_be_given_beside_the_name(alice: Client, bob: Client, name: str) -> None:
    wanted = f"Sea {name}!"
    made = await alice.make("\u4f60\u597d", id=wanted, isPublic=True)
    assert (made["id"], made["name"]) == (f"sea-{to_id(name)}", "\u4f60\u597d")
    assert (await alice.get(f"{PERSONALITIES}{made['id']}")).body == made
    refused = await bob.post(PERSONALITIES, {"name": name, "id": made["id"], "personalityPrompt": PIRATE_PROMPT})
    assert (refused.status, type(refused.detail)) == (400, str)
    assert (await bob.make(name, id=None))["id"] == to_id(name)
    assert (await alice.delete(f"{PERSONALITIES}{made['id']}")).status == 200


async def test_id_that_the_caller_sees_is_taken(alice: Client, bob: Client, name: str) -> None:
    await alice.make(name, isPublic=True)
    for client, taken in ((bob, name.upper()), (alice, name), (bob, "General")):
        refused = await client.post(PERSONALITIES, {"name": taken, "personalityPrompt": PIRATE_PROMPT})
        assert (refused.status, type(refused.detail)) == (400, str)


async def test_id_that_is_taken_by_a_hidden_one_gets_a_number(
    alice: Client, bob: Client, shop: Client, name: str
) -> None:
    assert (await alice.make(name))["id"] == to_id(name)
    assert (await bob.make(name))["id"] == f"{to_id(name)}-2"
    assert (await shop.make(name))["id"] == f"{to_id(name)}-3"
    assert (await bob.make("domain"))["id"] == "domain-2"


async def test_id_of_a_deleted_one_is_free_again(alice: Client, name: str) -> None:
    made = await alice.make(name)
    deleted = await alice.delete(f"{PERSONALITIES}{made['id']}")
    assert (deleted.status, deleted.body["success"], set(deleted.body)) == (200, True, {"success", "message"})
    assert (await alice.get(f"{PERSONALITIES}{made['id']}")).status == 404
    assert (await alice.make(name))["id"] == made["id"]


async def test_ten_of_one_name_at_once_make_one(alice: Client, name: str) -> None:
    answers = await asyncio.gather(
        *(alice.post(PERSONALITIES, {"name": name, "personalityPrompt": PIRATE_PROMPT}) for _ in range(10))
    )
    assert sorted(answer.status for answer in answers) == [200] + [400] * 9


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({"name": None}, ["body", "name"]),
        ({"name": ""}, ["body", "name"]),
        ({"name": "n" * 101}, ["body", "name"]),
        ({"name": "\u4f60\u597d"}, ["body", "name"]),
        ({"id": "\u4f60\u597d"}, ["body", "id"]),
        ({"id": 7}, ["body", "id"]),
        ({"title": "t" * 201}, ["body", "title"]),
        ({"description": "d" * 501}, ["body", "description"]),
        ({"category": "c" * 101}, ["body", "category"]),
        ({"personalityPrompt": "too short"}, ["body", "personalityPrompt"]),
        ({"personalityPrompt": "p" * 20_001}, ["body", "personalityPrompt"]),
        ({"personalityPrompt": None}, ["body", "personalityPrompt"]),
        ({"personalityPrompt": None, "systemPrompt": "too short"}, ["body", "systemPrompt"]),
        ({"welcome_message": "w" * 1001}, ["body", "welcome_message"]),
        ({"model": "m" * 101}, ["body", "model"]),
        ({"temperature": 2.1}, ["body", "temperature"]),
        ({"temperature": -0.1}, ["body", "temperature"]),
        ({"temperature": True}, ["body", "temperature"]),
        ({"maxTokens": 9}, ["body", "maxTokens"]),
        ({"max_tokens": 4001}, ["body", "max_tokens"]),
        ({"maxTokens": 10.5}, ["body", "maxTokens"]),
        ({"tags": "sea"}, ["body", "tags"]),
        ({"tags": ["sea"] * 21}, ["body", "tags"]),
        ({"tags": ["sea", "t" * 51]}, ["body", "tags", 1]),
        ({"isPublic": "true"}, ["body", "isPublic"]),
        ({"is_default": 1}, ["body", "is_default"]),
    ],
)
async def test_personality_with_a_wrong_field_is_not_made(
    alice: Client, name: str, fields: dict[str, object], loc: list[str | int]
) -> None:
    body = {"name": name, "personalityPrompt": PIRATE_PROMPT, **fields}
    assert (await alice.post(PERSONALITIES, body)).loc == [loc]
    assert name not in [listed["name"] for listed in (await alice.get(PERSONALITIES)).body]


@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({"name": ""}, ["body", "name"]),
        ({"systemPrompt": "too short"}, ["body", "systemPrompt"]),
        ({"temperature": 3}, ["body", "temperature"]),
        ({"max_tokens": 5}, ["body", "max_tokens"]),
        ({"tags": [7]}, ["body", "tags", 0]),
    ],
)
async def test_change_with_a_wrong_field_changes_nothing(
    alice: Client, name: str, fields: dict[str, object], loc: list[str | int]
) -> None:
    made = await alice.make(name)
    assert (await alice.put(f"{PERSONALITIES}{made['id']}", {"title": "New", **fields})).loc == [loc]
    assert (await alice.get(f"{PERSONALITIES}{made['id']}")).body == made
    assert (await alice.put(f"{PERSONALITIES}no-such-one", fields)).loc == [loc]


async def test_change_takes_what_it_names_and_leaves_the_rest(alice: Client, name: str) -> None:
    made = await alice.make(name, model="gpt-4", tags=["sea"])
    changed = await alice.put(f"{PERSONALITIES}{made['id']}", {"model": None, "title": None, "description": "New"})
    assert changed.status == 200
    assert changed.body == {**made, "model": None, "description": "New", "updatedAt": changed.body["updatedAt"]}
    assert to_moment(changed.body["updatedAt"]) > to_moment(made["updatedAt"])
    same = await alice.put(f"{PERSONALITIES}{made['id']}", changed.body)
    assert same.body == {**changed.body, "updatedAt": same.body["updatedAt"]}


async def test_name_is_unique_for_its_maker(alice: Client, name: str) -> None:
    first, second = await alice.make(name), await alice.make(f"{name} two")
    assert (await alice.put(f"{PERSONALITIES}{second['id']}", {"name": name})).loc == [["body", "name"]]
    assert (await alice.put(f"{PERSONALITIES}{first['id']}", {"name": name})).status == 200
    await alice.put(f"{PERSONALITIES}{first['id']}", {"name": f"{name} three"})
    refused = await alice.post(PERSONALITIES, {"name": f"{name} three", "personalityPrompt": PIRATE_PROMPT})
    assert refused.status == 400


async def test_everybody_sees_public_ones_makers_their_own_and_admins_all(
    alice: Client, bob: Client, admin: Client, name: str
) -> None:
    private = (await alice.make(name))["id"]
    public = (await alice.make(f"{name} public", isPublic=True))["id"]
    for client, seen in ((alice, {private, public}), (bob, {public}), (admin, {private, public})):
        listed = {one["id"] for one in (await client.get(PERSONALITIES)).body}
        offered = set((await client.get(TEMPLATES)).body["personalities"])
        assert listed & {private, public} == seen
        assert offered == listed
        for one in (private, public):
            assert (await client.get(f"{PERSONALITIES}{one}")).status == {True: 200, False: 404}[one in seen]


async def test_settings_of_the_server_itself_are_shown_to_admins_alone(alice: Client, admin: Client) -> None:
    for id_ in ("domain", "streaming"):
        hidden = await alice.get(f"{PERSONALITIES}{id_}")
        assert (hidden.status, hidden.body) == (404, {"detail": "Personality not found"})
        assert (await admin.get(f"{PERSONALITIES}{id_}")).status == 200
        assert id_ in (await admin.get(TEMPLATES)).body["personalities"]
    assert (await admin.get(f"{PERSONALITIES}streaming")).body["temperature"] is None


async def test_list_is_bare_and_by_name(alice: Client, name: str) -> None:
    for start in ("b", "a", "c"):
        await alice.make(f"{start} {name}")
    listed = await alice.get(PERSONALITIES)
    names = [one["name"] for one in listed.body]
    assert listed.status == 200
    assert names == sorted(names)
    assert [one["id"] for one in listed.body if one["id"] == "general"] == ["general"]


async def test_templates_are_told_with_their_descriptions(alice: Client, name: str) -> None:
    made = await alice.make(name, description="Talks of the sea.")
    answer = await alice.get(TEMPLATES)
    assert answer.status == 200
    assert set(answer.body) == {"success", "personalities", "default"}
    assert (answer.body["success"], answer.body["default"]) == (True, "general")
    assert answer.body["personalities"][made["id"]] == "Talks of the sea."
    assert answer.body["personalities"]["general"]


async def test_public_one_of_somebody_else_may_be_read_and_not_touched(
    alice: Client, bob: Client, admin: Client, name: str
) -> None:
    made = await alice.make(name, isPublic=True)
    path = f"{PERSONALITIES}{made['id']}"
    for refused in (await bob.put(path, {"title": "Mine"}), await bob.delete(path)):
        assert (refused.status, type(refused.detail)) == (403, str)
    assert (await bob.get(path)).body == made
    assert (await admin.put(path, {"title": "An admin's"})).body["title"] == "An admin's"
    assert (await admin.delete(path)).status == 200


@pytest.mark.parametrize("id_", ["private", "no-such-one", "%00", "..", "%2e%2e"])
async def test_one_that_the_caller_does_not_see_is_not_there(alice: Client, bob: Client, name: str, id_: str) -> None:
    private = (await alice.make(name))["id"]
    path = PERSONALITIES + {"private": private}.get(id_, id_)
    for answer in (await bob.get(path), await bob.put(path, {"title": "Mine"}), await bob.delete(path)):
        assert (answer.status, answer.body) == (404, {"detail": "Personality not found"})


async def test_default_ones_are_made_by_admins_and_never_deleted(alice: Client, admin: Client, name: str) -> None:
    mine = await alice.make(name, isDefault=True)
    assert mine["isDefault"] is False
    path = f"{PERSONALITIES}{mine['id']}"
    assert (await alice.put(path, {"isDefault": True})).body["isDefault"] is False
    assert (await admin.put(path, {"isDefault": True})).body["isDefault"] is True
    for client in (alice, admin):
        refused = await client.delete(path)
        assert (refused.status, type(refused.detail)) == (400, str)
    assert (await admin.put(path, {"is_default": False})).body["isDefault"] is False
    assert (await alice.delete(path)).status == 200


@pytest.mark.parametrize("id_", ["general", "domain", "streaming"])
async def test_built_in_ones_are_changed_by_admins_and_never_deleted_or_hidden(
    alice: Client, admin: Client, id_: str
) -> None:
    path = f"{PERSONALITIES}{id_}"
    before = (await admin.get(path)).body
    assert (await admin.delete(path)).status == 400
    shown = before["isPublic"]
    assert (await admin.put(path, {"is_public": not shown})).loc == [["body", "is_public"]]
    changed = await admin.put(path, {"description": "Changed by an admin.", "isPublic": shown})
    assert changed.body == {
        **before,
        "description": "Changed by an admin.",
        "updatedAt": changed.body["updatedAt"],
    }
    assert (await alice.put(path, {"title": "Mine"})).status == {True: 403, False: 404}[shown]
    assert (await admin.get(path)).status == 200


async def test_usage_count_counts_the_sessions_made_from_it(alice: Client, name: str) -> None:
    made = await alice.make(name)
    for _ in range(3):
        await alice.start(made["id"])
    assert (await alice.get(f"{PERSONALITIES}{made['id']}")).body["usageCount"] == 3


# Stateless chat


async def test_question_with_its_history_is_answered_and_nothing_is_kept(alice: Client, llm: LLM) -> None:
    before = (await alice.get(DOMAIN_SESSIONS)).body
    answer = await alice.post(
        CHAT,
        {
            "message": "And the map?",
            "conversation_history": [
                {"role": "user", "content": "Where is the treasure?"},
                {"role": "assistant", "content": "Under the third palm."},
                {"role": "system", "content": "Be brief."},
            ],
            "system_prompt": "You are a pirate.",
            "temperature": 1.5,
            "max_tokens": 77,
        },
    )
    assert answer.status == 200
    assert set(answer.body) == {"success", "content", "usage", "model"}
    assert (answer.body["success"], answer.body["content"]) == (True, "You said: And the map?")
    asked = (await llm.record())[0].body
    assert answer.body["model"] == asked["model"]
    assert (asked["temperature"], asked["max_tokens"]) == (1.5, 77)
    assert (await prompts(llm))[0] == [
        ("system", "You are a pirate."),
        ("user", "Where is the treasure?"),
        ("assistant", "Under the third palm."),
        ("system", "Be brief."),
        ("user", "And the map?"),
    ]
    assert (await alice.get(DOMAIN_SESSIONS)).body == before


@pytest.mark.parametrize("path", [CHAT, CHAT_SIMPLE])
async def test_question_alone_is_answered_with_a_short_prompt_of_ours(alice: Client, llm: LLM, path: str) -> None:
    answer = await alice.post(path, {"message": " Hello "})
    assert (answer.status, answer.body["content"]) == (200, "You said:  Hello ")
    asked = (await llm.record())[0].body
    assert asked["temperature"] == 0.7
    assert "max_tokens" not in asked
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert asked["messages"][1]["content"] == " Hello "


async def test_simple_question_takes_a_prompt(alice: Client, llm: LLM) -> None:
    await alice.post(CHAT_SIMPLE, {"message": "Hello", "system_prompt": "You are a parrot."})
    assert (await prompts(llm))[0] == [("system", "You are a parrot."), ("user", "Hello")]


@pytest.mark.parametrize("last", ["user", "assistant", "system"])
async def test_conversation_reaches_the_model_word_for_word(alice: Client, llm: LLM, last: str) -> None:
    messages = [
        {"role": "system", "content": "You are a pirate."},
        {"role": "user", "content": "Where is the treasure?"},
        {"role": last, "content": "Once more:"},
    ]
    answer = await alice.post(CHAT_CONVERSATION, {"messages": messages, "temperature": 0, "max_tokens": 4000})
    assert answer.status == 200
    asked = (await llm.record())[0].body
    assert asked["messages"] == messages
    assert (asked["temperature"], asked["max_tokens"]) == (0, 4000)


async def test_conversation_of_two_hundred_messages_keeps_the_newest_that_fit(alice: Client, llm: LLM) -> None:
    messages = [{"role": "user", "content": f"{number} " + "long " * 200} for number in range(200)]
    answer = await alice.post(CHAT_CONVERSATION, {"messages": messages})
    assert answer.status == 200
    given = (await llm.record())[0].body["messages"]
    assert 1 < len(given) < 200
    assert given == messages[-len(given) :]


@pytest.mark.parametrize("fault", ["", "no-usage"])
async def test_usage_is_told_whether_the_model_reports_it_or_not(alice: Client, llm: LLM, fault: str) -> None:
    await llm.control(**{"fault": fault} if fault else {})
    usage = (await alice.post(CHAT_SIMPLE, {"message": "Hello, how are you?"})).body["usage"]
    assert set(usage) == {"prompt_tokens", "completion_tokens", "total_tokens"}
    assert usage["prompt_tokens"] > 0
    assert usage["completion_tokens"] > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("500", "the model cannot be reached just now"),
        ("cut", "the answer broke off"),
        ("error-in-stream", "the answer broke off"),
        ("empty", "the model said nothing"),
    ],
)
async def test_stateless_failure_is_told_in_plain_words(alice: Client, llm: LLM, fault: str, reason: str) -> None:
    failed = await alice.post(CHAT, {"message": f"[[fault={fault}]] Hello"})
    assert (failed.status, failed.body) == (400, {"detail": f"AI service error: {reason}"})
    await llm.record("ended", n=1)


@pytest.mark.parametrize("fault", ["stall", "no-first-byte"])
async def test_stateless_question_to_a_model_that_hangs_is_given_up_in_plain_words(
    hasty: Client, llm: LLM, fault: str
) -> None:
    failed = await hasty.post(CHAT, {"message": f"[[fault={fault}]] Hello"})
    assert (failed.status, failed.body) == (400, TOO_LONG)
    await llm.record("ended", n=1)


@pytest.mark.parametrize(
    ("path", "body", "loc"),
    [
        (CHAT, {}, ["body", "message"]),
        (CHAT, {"message": ""}, ["body", "message"]),
        (CHAT, {"message": "m" * 4001}, ["body", "message"]),
        (CHAT, {"message": "m", "system_prompt": "s" * 2001}, ["body", "system_prompt"]),
        (CHAT, {"message": "m", "temperature": 2.1}, ["body", "temperature"]),
        (CHAT, {"message": "m", "max_tokens": 0}, ["body", "max_tokens"]),
        (CHAT, {"message": "m", "max_tokens": 4001}, ["body", "max_tokens"]),
        (CHAT, {"message": "m", "conversation_history": "none"}, ["body", "conversation_history"]),
        (
            CHAT,
            {"message": "m", "conversation_history": [{"role": "user", "content": "c"}] * 201},
            ["body", "conversation_history"],
        ),
        (
            CHAT,
            {"message": "m", "conversation_history": [{"role": "user", "content": "c"}, {"role": "tool"}]},
            ["body", "conversation_history", 1, "role"],
        ),
        (CHAT_SIMPLE, {"message": None}, ["body", "message"]),
        (CHAT_SIMPLE, {"message": "m", "system_prompt": 5}, ["body", "system_prompt"]),
        (CHAT_CONVERSATION, {}, ["body", "messages"]),
        (CHAT_CONVERSATION, {"messages": []}, ["body", "messages"]),
        (CHAT_CONVERSATION, {"messages": [{"role": "user", "content": "c"}] * 201}, ["body", "messages"]),
        (CHAT_CONVERSATION, {"messages": ["Hello"]}, ["body", "messages", 0]),
        (CHAT_CONVERSATION, {"messages": [{"role": "user"}]}, ["body", "messages", 0, "content"]),
        (
            CHAT_CONVERSATION,
            {"messages": [{"role": "user", "content": "c" * 4001}]},
            ["body", "messages", 0, "content"],
        ),
        (CHAT_CONVERSATION, {"messages": [{"role": "user", "content": ""}]}, ["body", "messages", 0, "content"]),
    ],
)
async def test_stateless_question_with_a_wrong_field_asks_no_model(
    alice: Client, llm: LLM, path: str, body: object, loc: list[str | int]
) -> None:
    assert (await alice.post(path, body)).loc == [loc]
    assert await llm.record() == []


async def test_models_are_those_of_the_model_server(alice: Client) -> None:
    models = await alice.get(CHAT_MODELS)
    assert models.status == 200
    assert set(models.body) == {"current_model", "available_models", "default_model"}
    assert models.body["current_model"] == models.body["default_model"]
    assert models.body["default_model"] in models.body["available_models"]
    assert {"gpt-4", "gpt-4o-mini"} <= set(models.body["available_models"])


async def test_server_without_any_model_answers_by_itself(
    start_server: StartServer, http: aiohttp.ClientSession
) -> None:
    server = await start_server(LLM_SERVER_URL="", PALAVER_DEFAULT_PROVIDER="dummy")
    admin = Client(http, server, await server.token("admin"))
    answer = await admin.post(CHAT, {"message": "Hello there"})
    assert (answer.body["content"], answer.body["model"]) == ("HELLO THERE", "dummy")
    assert answer.body["usage"]["total_tokens"] > 0
    assert (await admin.get(CHAT_MODELS)).body == {
        "current_model": "dummy",
        "available_models": ["dummy"],
        "default_model": "dummy",
    }
    assert (await admin.say(await admin.start(), "Hello there")).body["response"] == "HELLO THERE"


# The socket that only says that the server is there


def open_keepalive(server: Server, path: str = "/ws/keepalive", **headers: str) -> connect:
    url = server.url.replace("http://", "ws://")
    return connect(f"{url}{path}", additional_headers=headers, proxy=None)


async def hear(socket: ClientConnection) -> Any:
    async with asyncio.timeout(WAIT_SECONDS):
        return json.loads(await socket.recv())


async def hear_the_end(socket: ClientConnection) -> int | None:
    """The code that the server closes with."""
    async with asyncio.timeout(WAIT_SECONDS):
        await socket.wait_closed()
    return socket.close_code


async def test_keepalive_is_open_to_everybody_and_pings_at_once(shared_server: Server) -> None:
    async with open_keepalive(shared_server) as socket:
        ping = await hear(socket)
    assert ping == {"type": "ping", "timestamp": ping["timestamp"], "status": "alive", "service": "palaver"}
    assert abs(to_moment(ping["timestamp"]) - datetime.now(UTC)) < timedelta(seconds=30)
    datetime.strptime(ping["timestamp"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


async def test_keepalive_handshake_carries_the_request_id(shared_server: Server) -> None:
    async with open_keepalive(shared_server, **{"X-Request-Id": "mine-1"}) as socket:
        assert socket.response is not None
        assert socket.response.headers["X-Request-Id"] == "mine-1"
    async with open_keepalive(shared_server, **{"X-Request-Id": "not allowed"}) as socket:
        assert socket.response is not None
        assert socket.response.headers["X-Request-Id"] not in ("", "not allowed")


async def test_keepalive_ignores_what_is_said_up_to_64_kib_and_closes_on_more(shared_server: Server) -> None:
    for too_much in ("x" * (65_536 + 1), b"x" * (65_536 + 1), "\u00e4" * 40_000, "x" * 2_000_000):
        async with open_keepalive(shared_server) as socket:
            await hear(socket)
            for said in ("{", b"\x00", "x" * 65_536, b"x" * 65_536):
                await socket.send(said)
            pong = await socket.ping()
            await asyncio.wait_for(pong, WAIT_SECONDS)
            # The server need not read all of it to close.
            with suppress(ConnectionClosed):
                await socket.send(too_much)
            assert await hear_the_end(socket) == 1009


async def test_keepalive_closes_1012_when_the_server_restarts(server: Server) -> None:
    async with open_keepalive(server) as socket, open_keepalive(server) as other:
        await hear(socket)
        await hear(other)
        await server.stop()
        assert await hear_the_end(socket) == 1012
        assert await hear_the_end(other) == 1012
    await server.start()
    async with open_keepalive(server) as socket:
        assert (await hear(socket))["status"] == "alive"


@pytest.mark.parametrize("path", ["/ws/keepalive/", "/ws/keep", "/api/v1/ws/keepalive"])
async def test_keepalive_has_one_path(shared_server: Server, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with open_keepalive(shared_server, path):
            pass
    assert refused.value.response.status_code == 404


async def test_keepalive_pings_again_and_again_until_the_client_leaves() -> None:
    heard: asyncio.Queue[Message] = asyncio.Queue()
    told: asyncio.Queue[Message] = asyncio.Queue()
    await told.put({"type": "websocket.connect"})
    # It asks nothing of the site but for limits.
    nothing = cast(Any, None)
    call = Call(
        Site(nothing, nothing, nothing, nothing, "1", nothing, nothing),
        {"type": "websocket", "path": "/ws/keepalive", "headers": []},
        "mine-1",
        "en",
    )
    async with asyncio.timeout(WAIT_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(keepalive(call, told.get, heard.put, seconds=0.01))
        assert (await heard.get())["type"] == "websocket.accept"
        for _ in range(3):
            assert json.loads((await heard.get())["text"])["type"] == "ping"
            await told.put({"type": "websocket.receive", "text": "Who is there?"})
        await told.put({"type": "websocket.disconnect", "code": 1001})
    assert PING_SECONDS == 30
