"""chatify, part two: connections from person to person, over the wire."""

import asyncio
import uuid
from collections.abc import Mapping

import pytest

from tests.contracts.persons import CONNECTIONS, Person, new_person
from tests.journeys.client import TIME, UUID, UUID4, Answer, Client
from tests.parts.palaver import Server

UNKNOWN = "6b6f0a2e-93d1-4a3e-8a5f-1f7c0a9be4d2"
MALFORMED = ["7", "not-a-uuid", "%00", UNKNOWN + "0", UNKNOWN.upper()]

NOT_FOUND = {"detail": "Connection not found"}
NO_USER = {"detail": "User not found"}
HAS_ENDED = {"detail": "Connection has ended"}
UNREACHABLE = {"detail": "This person cannot be reached"}


@pytest.fixture(scope="module")
def server_environment(scaled: Mapping[str, str]) -> Mapping[str, str]:
    return {"PALAVER_REGISTRATION": "on", **scaled}


@pytest.fixture
async def ana(nobody: Client) -> Person:
    return await new_person(nobody)


@pytest.fixture
async def ben(nobody: Client) -> Person:
    return await new_person(nobody)


@pytest.fixture(scope="module")
async def stranger(nobody: Client) -> Person:
    return await new_person(nobody)


@pytest.fixture
async def connection(ana: Person, ben: Person) -> str:
    """That of Ana and Ben, begun by her."""
    made = await ana.connect(ben.id)
    assert made.status == 200, made.text
    return str(made.body["connection_id"])


async def test_connection_is_begun_and_shown_to_both(ana: Person, ben: Person) -> None:
    made = await ana.connect(ben.id)
    shown = {
        "connection_id": UUID4,
        "user1_id": ana.id,
        "user2_id": ben.id,
        "status": "active",
        "blocked": False,
        "created_at": TIME,
        "last_activity": TIME,
        "last_message": None,
        "unread_count": 0,
    }
    assert (made.status, made.body) == (
        200,
        {"success": True, "connection_id": UUID4, "created": True, "connection": shown},
    )
    connection = made.body["connection_id"]
    for person in (ana, ben):
        assert await person.get(connection) == made.body["connection"]
        listed = await person.client.get(CONNECTIONS)
        assert listed.body == {"success": True, "connections": [made.body["connection"]], "has_more": False}


async def test_there_is_one_connection_for_a_pair_in_either_order(ana: Person, ben: Person, connection: str) -> None:
    for answer in (
        await ben.connect(ana.name.upper()),
        await ben.client.post(CONNECTIONS, user1_id=ana.id, user2_id=ben.name),
        await ana.client.post(CONNECTIONS, user1_id=ana.name, user2_id=ben.id),
    ):
        assert (answer.status, answer.body["created"], answer.body["connection_id"]) == (200, False, connection)
        assert answer.body["connection"]["user1_id"] == ana.id


@pytest.mark.proof("people")
async def test_fifty_at_once_in_both_orders_make_one_connection(ana: Person, ben: Person) -> None:
    answers = await asyncio.gather(
        *(one.connect(other.id) for one, other in [(ana, ben), (ben, ana)] * 25),
    )
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body["connection_id"] for answer in answers}) == 1
    assert [answer.body["created"] for answer in answers].count(True) == 1


async def test_who_is_named_decides_what_is_refused(ana: Person, ben: Person, stranger: Person) -> None:
    two_others = await ana.client.post(CONNECTIONS, user1_id=ben.id, user2_id=stranger.id)
    assert two_others.status == 403
    unknown = await ana.connect("nobody-of-that-name")
    assert (unknown.status, unknown.body) == (404, NO_USER)
    unknown = await ana.client.post(CONNECTIONS, user1_id=UNKNOWN, user2_id=ana.id)
    assert (unknown.status, unknown.body) == (404, NO_USER)
    for alone in ({"user2_id": ana.id}, {"user1_id": ana.name, "user2_id": ana.id}):
        refused = await ana.client.post(CONNECTIONS, **alone)
        assert (refused.status, refused.body["detail"][0]["loc"]) == (422, ["body", "user2_id"])
    for body in ({}, {"user2_id": ""}, {"user2_id": "x" * 256}, {"user2_id": 7}):
        refused = await ana.client.post(CONNECTIONS, **body)
        assert (refused.status, refused.body["detail"][0]["loc"]) == (422, ["body", "user2_id"])


async def test_messages_are_numbered_and_read_by_both(ana: Person, ben: Person, connection: str) -> None:
    first = await ana.say(connection, "  See you at eight?  ", client_message_id="a1")
    assert (first.status, first.body) == (
        200,
        {
            "success": True,
            "message_id": UUID,
            "connection_id": connection,
            "sender_id": ana.id,
            "content": "  See you at eight?  ",
            "timestamp": TIME,
            "number": 1,
            "client_message_id": "a1",
        },
    )
    second = await ben.say(connection, "Yes.", sender_id=ben.name)
    assert (second.body["number"], second.body["sender_id"]) == (2, ben.id)
    assert "client_message_id" not in second.body
    shown = [{name: value for name, value in answer.body.items() if name != "success"} for answer in (first, second)]
    for person in (ana, ben):
        assert await person.messages(connection) == {"success": True, "messages": shown, "has_more": False}
        assert (await person.get(connection))["last_message"] == shown[1]


async def test_messages_come_in_pages(ana: Person, ben: Person, connection: str) -> None:
    sent = [(await ana.say(connection, f"{number}")).body["message_id"] for number in range(5)]
    page = await ben.messages(connection, "?limit=2")
    assert ([one["message_id"] for one in page["messages"]], page["has_more"]) == (sent[3:], True)
    page = await ben.messages(connection, f"?limit=3&before={sent[3]}")
    assert ([one["message_id"] for one in page["messages"]], page["has_more"]) == (sent[:3], False)
    page = await ben.messages(connection, f"?before={sent[0]}")
    assert (page["messages"], page["has_more"]) == ([], False)
    for before in ("nonsense", str(uuid.uuid4()), sent[0][:-1] + "0"):
        answer = await ben.client.get(f"{CONNECTIONS}/{connection}/messages?before={before}")
        assert answer.status == 404
    for query in ("limit=0", "limit=101", "limit=x"):
        answer = await ben.client.get(f"{CONNECTIONS}/{connection}/messages?{query}")
        assert (answer.status, answer.body["detail"][0]["loc"]) == (422, ["query", "limit"])


async def test_what_cannot_be_said_is_refused(ana: Person, connection: str) -> None:
    for content in ("", "   ", "x" * 4001, None, 7):
        refused = await ana.say(connection, content)
        assert (refused.status, refused.body["detail"][0]["loc"]) == (422, ["body", "content"])
    for client_id in ("", "x" * 101, 7):
        refused = await ana.say(connection, "hi", client_message_id=client_id)
        assert (refused.status, refused.body["detail"][0]["loc"]) == (422, ["body", "client_message_id"])
    assert (await ana.say(connection, "x" * 4000)).status == 200
    assert len((await ana.messages(connection))["messages"]) == 1


async def test_same_client_id_is_the_same_message(ana: Person, ben: Person, connection: str) -> None:
    answers = await asyncio.gather(*(ana.say(connection, "once", client_message_id="k") for _ in range(5)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body["message_id"] for answer in answers}) == 1
    assert (await ana.say(connection, "another", client_message_id="k")).status == 409
    theirs = await ben.say(connection, "mine", client_message_id="k")
    assert theirs.body["number"] == 2
    assert (await ana.get(connection))["unread_count"] == 1
    assert (await ben.get(connection))["unread_count"] == 1


async def test_read_never_moves_back(ana: Person, ben: Person, connection: str) -> None:
    sent = [(await ana.say(connection, f"{number}")).body["message_id"] for number in range(3)]
    assert (await ben.get(connection))["unread_count"] == 3
    assert (await ana.get(connection))["unread_count"] == 0
    answer = await ben.read(connection, sent[1])
    assert (answer.status, answer.body) == (200, {"success": True, "unread_count": 1})
    assert (await ben.read(connection, sent[0])).body["unread_count"] == 1
    mine = (await ben.say(connection, "mine")).body["message_id"]
    assert (await ben.get(connection))["unread_count"] == 1
    assert (await ben.read(connection, mine)).body["unread_count"] == 0
    assert (await ana.get(connection))["unread_count"] == 1
    assert (await ben.read(connection, str(uuid.uuid4()))).status == 404
    assert (await ben.client.post(f"{CONNECTIONS}/{connection}/read")).status == 422


async def test_ended_connection_is_read_and_takes_no_more(ana: Person, ben: Person, connection: str) -> None:
    message = (await ana.say(connection, "bye", client_message_id="last")).body["message_id"]
    for person in (ben, ana, ben):
        answer = await person.end(connection)
        assert (answer.status, answer.body) == (200, {"success": True, "message": "Connection ended successfully"})
    for person in (ana, ben):
        refused = await person.say(connection, "hello?")
        assert (refused.status, refused.body) == (409, HAS_ENDED)
        assert (await person.get(connection))["status"] == "ended"
        assert [one["message_id"] for one in (await person.messages(connection))["messages"]] == [message]
    assert (await ana.say(connection, "bye", client_message_id="last")).body["message_id"] == message
    assert (await ben.read(connection, message)).body["unread_count"] == 0
    again = await ben.connect(ana.id)
    assert (again.body["created"], again.body["connection"]["user1_id"]) == (True, ben.id)
    assert again.body["connection_id"] != connection
    listed = {}
    for status in ("active", "ended", "all"):
        found = (await ana.client.get(f"{CONNECTIONS}?status={status}")).body["connections"]
        listed[status] = [one["connection_id"] for one in found]
    newer = again.body["connection_id"]
    assert (listed["active"], listed["ended"], set(listed["all"])) == ([newer], [connection], {newer, connection})


async def test_block_holds_for_both_and_outlives_an_end(ana: Person, ben: Person, connection: str) -> None:
    for _ in range(2):
        answer = await ana.block(connection)
        assert (answer.status, answer.body) == (200, {"success": True, "blocked": True})
    for person in (ana, ben):
        refused = await person.say(connection, "hello?")
        assert (refused.status, refused.body) == (403, UNREACHABLE)
    assert (await ana.get(connection))["blocked"] is True
    assert (await ben.get(connection))["blocked"] is False
    assert (await ben.unblock(connection)).body == {"success": True, "blocked": False}
    assert (await ben.say(connection, "hello?")).status == 403
    assert (await ben.end(connection)).status == 200
    refused = await ben.connect(ana.id)
    assert (refused.status, refused.body) == (403, UNREACHABLE)
    made = await ana.connect(ben.id)
    assert (made.status, made.body["created"], made.body["connection"]["blocked"]) == (200, True, True)
    newer = made.body["connection_id"]
    assert (await ana.say(newer, "hello?")).status == 403
    assert (await ana.unblock(newer)).body == {"success": True, "blocked": False}
    assert (await ben.say(newer, "hello")).status == 200


async def test_list_is_paged_by_newest_activity(ana: Person, nobody: Client) -> None:
    others = [await new_person(nobody) for _ in range(3)]
    made = [(await ana.connect(other.id)).body["connection_id"] for other in others]
    await others[0].say(made[0], "newest")
    in_order = [made[0], made[2], made[1]]
    page = (await ana.client.get(f"{CONNECTIONS}?limit=2")).body
    assert ([one["connection_id"] for one in page["connections"]], page["has_more"]) == (in_order[:2], True)
    page = (await ana.client.get(f"{CONNECTIONS}?limit=2&offset=2")).body
    assert ([one["connection_id"] for one in page["connections"]], page["has_more"]) == (in_order[2:], False)
    for query in ("limit=0", "limit=101", "offset=-1", "status=gone"):
        answer = await ana.client.get(f"{CONNECTIONS}?{query}")
        assert (answer.status, answer.body["detail"][0]["loc"]) == (422, ["query", query.partition("=")[0]])


def every_way(connection: str, message: str) -> list[tuple[str, str, object]]:
    path = f"{CONNECTIONS}/{connection}"
    return [
        ("GET", path, None),
        ("POST", f"{path}/message", {"content": "let me in"}),
        ("GET", f"{path}/messages", None),
        ("POST", f"{path}/read", {"message_id": message}),
        ("DELETE", path, None),
        ("POST", f"{path}/block", {}),
        ("DELETE", f"{path}/block", None),
    ]


@pytest.mark.proof("people")
async def test_nobody_else_finds_a_connection_in_any_way(
    ana: Person, ben: Person, stranger: Person, admin: Client, connection: str
) -> None:
    message = (await ana.say(connection, "secret")).body["message_id"]
    for client in (stranger.client, admin):
        for method, path, body in every_way(connection, message):
            answer = await client.send(method, path, body)
            assert (answer.status, answer.body) == (404, NOT_FOUND), (method, path)
    for wrong in (UNKNOWN, *MALFORMED):
        for method, path, body in every_way(wrong, message):
            answer = await ana.client.send(method, path, body)
            assert (answer.status, answer.body) == (404, NOT_FOUND), (method, path)
    assert len((await ben.messages(connection))["messages"]) == 1


async def test_person_speaks_for_nobody_else(ana: Person, ben: Person, connection: str) -> None:
    message = (await ana.say(connection, "hi", sender_id=ana.id)).body["message_id"]
    for method, path, body, field in (
        ("POST", "/message", {"content": "hi"}, "sender_id"),
        ("POST", "/read", {"message_id": message}, "user_id"),
        ("POST", "/block", {}, "user_id"),
    ):
        answer = await ana.client.send(method, f"{CONNECTIONS}/{connection}{path}", {**body, field: ben.id})
        assert answer.status == 403, (method, path)
    for method, path in (("GET", ""), ("GET", "/messages"), ("DELETE", ""), ("DELETE", "/block")):
        answer = await ana.client.send(method, f"{CONNECTIONS}/{connection}{path}?user_id={ben.id}")
        assert answer.status == 403, (method, path)
    assert (await ana.client.get(f"{CONNECTIONS}?user_id={ben.id}")).status == 403
    assert (await ana.get(connection))["status"] == "active"


async def test_no_other_api_finds_a_connection(ana: Person, connection: str) -> None:
    message = (await ana.say(connection, "unfindableword")).body["message_id"]
    person = ana.client
    for method, path, body in (
        ("GET", f"/api/v1/chatbot/session/{connection}?include_ended=true", None),
        ("GET", f"/api/chat/session/{connection}", None),
        ("GET", f"/api/chat/sessions/{connection}", None),
        ("GET", f"/ai-chat/api/sessions/{connection}/", None),
        ("PATCH", f"/ai-chat/api/sessions/{connection}/", {"title": "Mine"}),
        ("DELETE", f"/ai-chat/api/sessions/{connection}/", None),
        ("GET", f"/ai-chat/api/sessions/{connection}/messages/", None),
        ("POST", f"/ai-chat/api/sessions/{connection}/send_message/", {"message": "hi"}),
        ("GET", f"/ai-chat/api/sessions/{connection}/marks/", None),
        ("GET", f"/ai-chat/api/sessions/{connection}/branches/", None),
    ):
        assert (await person.send(method, path, body)).status == 404, (method, path)
    ended = await person.delete(f"/api/v1/chatbot/session/{connection}")
    said = await person.post(f"/api/v1/chatbot/session/{connection}/message", message="hi")
    assert (ended.status, said.status) == (400, 400)
    assert (await person.get("/ai-chat/api/sessions/")).body == []
    assert (await person.get("/ai-chat/api/search/?q=unfindableword")).body["messages"] == []
    assert (await person.get("/ai-chat/api/health/stats/")).body["total_sessions"] == 0
    assert [one["message_id"] for one in (await ana.messages(connection))["messages"]] == [message]


class Application:
    def __init__(self, client: Client) -> None:
        self.client = client

    async def connect(self, first: str, second: str) -> Answer:
        return await self.client.post(CONNECTIONS, user1_id=first, user2_id=second)


@pytest.fixture(scope="module")
async def apps(nobody: Client, shared_server: Server) -> tuple[Application, Application]:
    made = []
    for name in ("one", "two"):
        app = f"{name}-{uuid.uuid4().hex[:8]}"
        await shared_server.cli("app", "add", app)
        token = (await shared_server.cli("token", "create", "--app", app)).strip()
        made.append(Application(nobody.bearing(token)))
    return made[0], made[1]


async def test_application_speaks_for_its_users(apps: tuple[Application, Application]) -> None:
    app, _ = apps
    first, second = f"u-{uuid.uuid4().hex[:8]}", f"u-{uuid.uuid4().hex[:8]}"
    made = await app.connect(first, second)
    assert (made.body["connection"]["user1_id"], made.body["connection"]["user2_id"]) == (first, second)
    path = f"{CONNECTIONS}/{made.body['connection_id']}"
    assert (await app.connect(second, first)).body["created"] is False
    said = await app.client.post(f"{path}/message", content="hi", sender_id=second)
    assert (said.status, said.body["sender_id"]) == (200, second)
    listed = (await app.client.get(f"{CONNECTIONS}?user_id={first}")).body["connections"]
    assert [(one["connection_id"], one["unread_count"]) for one in listed] == [(made.body["connection_id"], 1)]
    read = await app.client.post(f"{path}/read", message_id=said.body["message_id"], user_id=first)
    assert read.body == {"success": True, "unread_count": 0}
    assert (await app.client.send("POST", f"{path}/block", {"user_id": first})).body["blocked"] is True
    assert (await app.client.get(f"{path}?user_id={second}")).body["connection"]["blocked"] is False
    assert (await app.client.post(f"{path}/message", content="hi", sender_id=second)).status == 403
    assert (await app.client.delete(f"{path}/block?user_id={first}")).body["blocked"] is False
    assert (await app.client.get(f"{path}/messages?user_id={first}")).status == 200
    assert (await app.client.delete(f"{path}?user_id={first}")).status == 200


async def test_application_has_to_say_for_whom(apps: tuple[Application, Application]) -> None:
    app, _ = apps
    connection = (await app.connect("x-1", "x-2")).body["connection_id"]
    path = f"{CONNECTIONS}/{connection}"
    for method, where, body, loc in (
        ("POST", CONNECTIONS, {"user2_id": "x-2"}, ["body", "user1_id"]),
        ("POST", CONNECTIONS, {"user1_id": "x-2", "user2_id": "x-2"}, ["body", "user2_id"]),
        ("GET", CONNECTIONS, None, ["query", "user_id"]),
        ("GET", path, None, ["query", "user_id"]),
        ("POST", f"{path}/message", {"content": "hi"}, ["body", "sender_id"]),
        ("GET", f"{path}/messages", None, ["query", "user_id"]),
        ("POST", f"{path}/read", {"message_id": "m"}, ["body", "user_id"]),
        ("DELETE", path, None, ["query", "user_id"]),
        ("POST", f"{path}/block", {}, ["body", "user_id"]),
        ("DELETE", f"{path}/block", None, ["query", "user_id"]),
    ):
        answer = await app.client.send(method, where, body)
        assert (answer.status, answer.body["detail"][0]["loc"]) == (422, loc), (method, where)
    for third in ("x-3", "never-mentioned"):
        answer = await app.client.post(f"{path}/message", content="hi", sender_id=third)
        assert (answer.status, answer.body) == (404, NOT_FOUND)
        assert (await app.client.get(f"{path}?user_id={third}")).status == 404


async def test_users_of_two_applications_never_meet(apps: tuple[Application, Application]) -> None:
    one, two = apps
    mine = (await one.connect("7", "8")).body["connection_id"]
    theirs = await two.connect("7", "8")
    assert (theirs.body["created"], theirs.body["connection_id"] == mine) == (True, False)
    assert (await two.client.get(f"{CONNECTIONS}/{mine}?user_id=7")).status == 404
    assert (await two.client.post(f"{CONNECTIONS}/{mine}/message", content="hi", sender_id="7")).status == 404
    listed = (await two.client.get(f"{CONNECTIONS}?user_id=7&status=all")).body["connections"]
    assert [found["connection_id"] for found in listed] == [theirs.body["connection_id"]]


async def test_nobody_without_credentials(nobody: Client, connection: str) -> None:
    ways = [("POST", CONNECTIONS, {"user2_id": "x"}), ("GET", CONNECTIONS, None), *every_way(connection, "m")]
    for method, path, body in ways:
        answer = await nobody.send(method, path, body)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), (method, path)
