"""People who talk to each other hear it at once: the sockets of ai_chat, with a connection's id as the session's."""

import asyncio
import uuid
from collections.abc import Mapping

import pytest

from tests.contracts.persons import CONNECTIONS, PEOPLE, Person, new_person
from tests.journeys.client import TIME, UUID, Client
from tests.journeys.socket import CONVERSATION, LIST, Socket, enter, open_conversation, open_list, open_socket
from tests.parts.llm import LLM
from tests.parts.palaver import Server


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
async def carl(nobody: Client) -> Person:
    return await new_person(nobody)


@pytest.fixture
async def pair(ana: Person, ben: Person) -> str:
    return await ana.make(ben)


@pytest.fixture
async def group(ana: Person, ben: Person, carl: Person) -> str:
    """Ana manages it."""
    return await ana.make(ben, carl, title="Walkers")


async def test_message_reaches_the_other_once_and_no_bot(ana: Person, ben: Person, pair: str, llm: LLM) -> None:
    async with enter(ana.client, pair) as hers, enter(ben.client, pair) as his:
        message = await ana.tell(pair, "See you?", client_message_id="k1")
        for socket in (hers, his):
            event = await socket.expect("user_message", sender_id=ana.id, client_message_id="k1")
            assert (event["message"]["id"], event["message"]["content"]) == (message, "See you?")
            assert (event["message"]["role"], event["message"]["number"]) == ("user", 1)
            assert await socket.settle() == []
    assert await llm.record() == []


async def test_member_says_types_and_reads_over_the_socket(ana: Person, ben: Person, pair: str) -> None:
    async with enter(ana.client, pair) as hers, enter(ben.client, pair) as his:
        await hers.send("typing")
        for socket in (hers, his):
            await socket.expect("user_typing", user=ana.name)
        await hers.send("stop_typing")
        for socket in (hers, his):
            await socket.expect("user_typing_stop", user=ana.name)
        await hers.say(" hello ", client_message_id="k")
        said = [await socket.expect("user_message", sender_id=ana.id) for socket in (hers, his)]
        assert said[0] == said[1]
        assert said[0]["message"]["content"] == "hello"
        await his.send("read", message_id=said[0]["message"]["id"])
        for socket in (hers, his):
            await socket.expect("message_read", message_id=said[0]["message"]["id"], user=ben.name)
        # Said again it is told to this one alone.
        await hers.say("hello", client_message_id="k")
        await hers.expect("user_message", client_message_id="k")
        await hers.say("another", client_message_id="k")
        await hers.refused("conflict")
        await hers.say("  ")
        await hers.refused("invalid")
        assert await his.settle() == []
    assert (await ben.see(pair))["unread_count"] == 0


async def test_blocked_person_neither_shows_nor_sees_a_sign_of_life(ana: Person, ben: Person, pair: str) -> None:
    first, second = await ana.tell(pair, "one"), await ana.tell(pair, "two")
    async with enter(ana.client, pair) as hers, enter(ben.client, pair) as his:
        before = hers.cursor
        await ana.client.send("POST", f"/api/people/blocks/{ben.name}", {})
        for socket in (hers, his):
            await socket.send("typing")
            await socket.send("stop_typing")
        await his.send("read", message_id=first)
        assert (await hers.settle(), await his.settle()) == ([], [])
        for person, other in ((ana, ben), (ben, ana)):
            present = {one["username"]: one["present"] for one in (await person.see(pair))["members"]}
            assert (present[other.name], type(present[person.name])) == (None, bool)
        assert (await ben.see(pair))["unread_count"] == 1
        await ana.client.delete(f"/api/people/blocks/{ben.name}")
        async with enter(ana.client, pair, f"cursor={before}") as again:
            await again.expect("resumed", recovered=True)
            assert await again.settle() == []
            await ben.read(pair, second)
            await again.expect("message_read", message_id=second)
        await his.send("typing")
        await hers.until("user_typing")
        await ana.client.send("POST", f"{PEOPLE}/{pair}/end", {})
        await hers.until("snapshot")
        await hers.send("typing")
        assert await hers.settle() == []


async def test_bot_commands_are_unsupported(ana: Person, pair: str) -> None:
    async with enter(ana.client, pair) as socket:
        message = await ana.tell(pair, "mine")
        await socket.expect("user_message")
        await socket.send("stop")
        await socket.refused("unsupported")
        await socket.send("regenerate")
        await socket.refused("unsupported")
        await socket.send("edit", message_id=message, message="yours", client_message_id="e")
        await socket.expect("error", code="unsupported", client_message_id="e")
        await socket.send("ping")
        await socket.expect("pong")


@pytest.mark.proof("people")
async def test_member_who_comes_back_misses_nothing(ana: Person, ben: Person, pair: str) -> None:
    async with enter(ben.client, pair) as his:
        await ana.tell(pair, "one")
        await his.until("user_message")
        cursor = his.cursor
    for words in ("two", "three"):
        await ana.tell(pair, words)
    message = (await ana.history(pair))[-1]["id"]
    assert (await ben.client.post(f"{PEOPLE}/{pair}/read", message_id=message)).body == {"unread_count": 0}
    async with enter(ben.client, pair, f"cursor={cursor}") as his:
        await his.expect("resumed", recovered=True)
        for words in ("two", "three"):
            event = await his.expect("user_message", sender_id=ana.id)
            assert event["message"]["content"] == words
        await his.expect("message_read", user=ben.name, message_id=message)
        await ana.tell(pair, "four")
        assert (await his.expect("user_message"))["message"]["content"] == "four"


async def test_what_was_edited_or_removed_is_told_as_another_story(ana: Person, ben: Person, pair: str) -> None:
    first, second = await ana.tell(pair, "firstwords"), await ana.tell(pair, "secondwords")
    async with enter(ben.client, pair) as his:
        before = his.cursor
        edited = await ana.client.patch(f"{PEOPLE}/{pair}/messages/{first}", content="better words")
        assert (edited.status, edited.body["content"], edited.body["edited_at"]) == (200, "better words", TIME)
        await his.expect("resumed", recovered=False)
        snapshot = await his.expect("snapshot", has_more=False, reply=None)
        assert [one["content"] for one in snapshot["session"]["messages"]] == ["better words", "secondwords"]
        assert [one["metadata"]["sender_id"] for one in snapshot["session"]["messages"]] == [ana.id] * 2
        removed = await ana.client.delete(f"{PEOPLE}/{pair}/messages/{second}")
        assert (removed.body["removed"], removed.body["content"]) == (True, "")
        await his.expect("resumed", recovered=False)
        snapshot = await his.expect("snapshot")
        assert [one["content"] for one in snapshot["session"]["messages"]] == ["better words", ""]
        await ana.tell(pair, "on we go")
        assert (await his.expect("user_message"))["message"]["content"] == "on we go"
    async with enter(ben.client, pair, f"cursor={before}") as his:
        await his.expect("resumed", recovered=False)
        await his.expect("snapshot")
        assert "secondwords" not in str(his.heard)


async def test_whoever_leaves_or_is_removed_loses_the_socket(
    ana: Person, ben: Person, carl: Person, group: str
) -> None:
    async with (
        enter(ana.client, group) as hers,
        enter(ben.client, group) as his,
        enter(carl.client, group) as carls,
    ):
        assert (await ana.client.delete(f"{PEOPLE}/{group}/members/{ben.name}")).status == 204
        assert await his.closed() == 4004
        assert (await carl.client.send("POST", f"{PEOPLE}/{group}/leave", {})).status == 204
        assert await carls.closed() == 4004
        await ana.tell(group, "alone")
        # By itself, or in a snapshot: each time somebody goes there is one.
        while "alone" not in str(hers.heard):
            await hers.next()
        for heard in (his.heard, carls.heard):
            assert "alone" not in str(heard)
    for gone in (ben, carl):
        async with open_conversation(gone.client, group) as socket:
            await socket.refused("not_found")
            assert await socket.closed() == 4004


async def test_nobody_else_comes_in(ana: Person, carl: Person, admin: Client, pair: str) -> None:
    async with enter(ana.client, pair):
        for client in (carl.client, admin):
            async with open_conversation(client, pair) as socket:
                await socket.refused("not_found")
                assert await socket.closed() == 4004


@pytest.mark.proof("people")
async def test_all_hear_the_same_in_the_same_order(ana: Person, ben: Person, carl: Person, group: str) -> None:
    people = (ana, ben, carl)
    async with enter(ana.client, group) as a, enter(ben.client, group) as b, enter(carl.client, group) as c:
        sockets: tuple[Socket, ...] = (a, b, c)

        async def talk(person: Person) -> None:
            for number in range(8):
                await person.tell(group, f"{person.name} {number}")

        await asyncio.gather(*(talk(person) for person in people))
        heard = []
        for socket in sockets:
            events = [await socket.expect("user_message") for _ in range(24)]
            heard.append([(event["message"]["number"], event["message"]["content"]) for event in events])
        assert heard[0] == heard[1] == heard[2]
        assert [number for number, _ in heard[0]] == list(range(1, 25))


async def test_list_tells_of_messages_to_everybody_but_who_wrote(
    ana: Person, ben: Person, carl: Person, group: str
) -> None:
    async with open_list(ana.client) as hers, open_list(ben.client) as his, open_list(carl.client) as carls:
        # All tests of this file write to Carl.
        for socket in (hers, his, carls):
            await socket.until("chat_list_update")
        for unread, words in enumerate(("x" * 130, "again"), 1):
            message = await ana.tell(group, words)
            for socket in (his, carls):
                assert await socket.until("notification", session_id=group) == {
                    "type": "notification",
                    "kind": "message",
                    "session_id": group,
                    "message_id": message,
                    "sender": {"id": ana.id, "username": ana.name},
                    "preview": words[:120],
                    "unread_count": unread,
                    "created_at": TIME,
                }
        assert "notification" not in [event["type"] for event in await hers.settle()]


async def test_list_of_ones_own_devices_hears_that_one_has_read_on(ana: Person, ben: Person, group: str) -> None:
    message = await ana.tell(group, "hello")
    async with open_list(ben.client, "marks=1") as app, open_list(ben.client) as contract:
        for socket in (app, contract):
            await socket.until("chat_list_update")
        for _ in range(2):
            assert (await ben.client.send("POST", f"{PEOPLE}/{group}/read", {"message_id": message})).status == 200
        read = {"kind": "read", "session_id": group, "message_id": message, "unread_count": 0}
        # Another worker may still be about to tell of the message itself.
        assert await app.until("notification", kind="read") == {"type": "notification", **read}
        assert "read" not in [event.get("kind") for socket in (app, contract) for event in await socket.settle()]


async def test_list_tells_nothing_of_what_is_muted_or_of_who_is_blocked(
    ana: Person, ben: Person, carl: Person, group: str
) -> None:
    assert (await ben.client.patch(f"{PEOPLE}/{group}", muted=True)).status == 200
    assert (await carl.client.send("POST", f"/api/people/blocks/{ana.name}", {})).status == 204
    async with open_list(ben.client) as his, open_list(carl.client) as carls:
        for socket in (his, carls):
            await socket.until("chat_list_update")
        for who in (ana, ben):
            await who.tell(group, f"you cannot hide @{ben.name} @{carl.name}")
        # Of the second alone, as he has not blocked who says it.
        assert (await carls.until("notification", session_id=group))["sender"]["username"] == ben.name
        for socket in (his, carls):
            await socket.settle()
        assert "hide" not in str(his.heard)
        told = [event for event in carls.heard if event["type"] == "notification" and event["session_id"] == group]
        assert [event["sender"]["username"] for event in told] == [ben.name]
    assert (await ben.see(group))["unread_count"] == 1


async def test_application_opens_the_socket_for_its_user(nobody: Client, shared_server: Server) -> None:
    app = f"app-{uuid.uuid4().hex[:8]}"
    await shared_server.cli("app", "add", app)
    client = nobody.bearing((await shared_server.cli("token", "create", "--app", app)).strip())
    made = await client.post(CONNECTIONS, user1_id="u-1", user2_id="u-2")
    connection = made.body["connection_id"]
    async with (
        enter(client, connection, "user_id=u-1") as one,
        enter(client, connection, "user_id=u-2") as two,
        open_socket(client, f"{LIST}?user_id=u-2") as listing,
    ):
        await listing.expect("chat_list_update")
        await one.say("hi")
        for socket in (one, two):
            await socket.expect("user_message", sender_id="u-1")
        assert (await listing.until("notification"))["sender"] == {"id": "u-1", "username": "u-1"}
    for query in ("?user_id=u-3", ""):
        async with open_socket(client, CONVERSATION.format(connection) + query) as socket:
            await socket.refused("not_found")
            assert await socket.closed() == 4004
    assert connection == UUID
