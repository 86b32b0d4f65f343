"""The list of somebody's sessions over ai_chat's WebSocket: whenever it is another, and what ended unheard."""

import time
from collections.abc import AsyncIterator, Mapping

import pytest

from tests.contracts.talking import (
    BROKEN,
    SESSIONS,
    STALLED,
    make,
    say,
    session_shown,
    until_nobody_has_it_open,
)
from tests.journeys.client import TIME, UUID, Client, register
from tests.journeys.socket import Event, Socket, enter, open_list
from tests.parts.llm import LLM
from tests.parts.palaver import Server

# Each test finds the model as nobody has told it anything.
pytestmark = pytest.mark.usefixtures("llm")


@pytest.fixture(scope="module")
def server_environment(scaled: Mapping[str, str]) -> Mapping[str, str]:
    return {"PALAVER_REGISTRATION": "on", "PALAVER_LLM_TRIES": "1", **scaled}


@pytest.fixture
async def alice(nobody: Client) -> Client:
    """A person who has no session yet."""
    return await register(nobody)


@pytest.fixture
async def listing(alice: Client) -> AsyncIterator[Socket]:
    """Her list, once it is told as it was at first."""
    async with open_list(alice) as socket:
        await socket.expect("chat_list_update")
        yield socket


async def next_list(listing: Socket) -> list[Event]:
    sessions: list[Event] = (await listing.until("chat_list_update"))["sessions"]
    return sessions


async def test_list_is_told_on_connecting(alice: Client) -> None:
    first = await make(alice, title="First")
    second = await make(alice, title="Second")
    await say(alice, first)
    async with open_list(alice) as socket:
        # Another worker may still be about to tell that the reply has ended.
        update = await socket.until("chat_list_update")
        assert update == {
            "type": "chat_list_update",
            "sessions": [
                session_shown(id=first, title="First", message_count=2),
                session_shown(id=second, title="Second", message_count=0),
            ],
            "total": 2,
        }
        listed = (await alice.get(SESSIONS)).body
        assert update["sessions"] == listed
        assert "chat_list_update" not in [event["type"] for event in await socket.settle()]


async def test_list_is_told_when_it_is_asked_for(listing: Socket) -> None:
    await listing.send("refresh_chat_list")
    assert await listing.expect("chat_list_update") == {"type": "chat_list_update", "sessions": [], "total": 0}
    await listing.send("ping")
    assert await listing.next() == {"type": "pong"}


async def test_list_is_told_when_sessions_are_made_changed_and_put_away(alice: Client, listing: Socket) -> None:
    session = await make(alice, title="One")
    assert [shown["title"] for shown in await next_list(listing)] == ["One"]
    assert (await alice.patch(f"{SESSIONS}{session}/", title="Another")).status == 200
    assert [shown["title"] for shown in await next_list(listing)] == ["Another"]
    assert (await alice.patch(f"{SESSIONS}{session}/update_settings/", title="Third")).status == 200
    assert [shown["title"] for shown in await next_list(listing)] == ["Third"]
    assert (await alice.delete(f"{SESSIONS}{session}/deactivate/")).status == 200
    assert await next_list(listing) == []
    session = await make(alice)
    assert len(await next_list(listing)) == 1
    assert (await alice.delete(f"{SESSIONS}{session}/")).status == 204
    assert await next_list(listing) == []


async def test_list_is_told_when_something_is_said_over_a_socket(alice: Client, listing: Socket) -> None:
    session = await make(alice)
    async with enter(alice, session) as socket:
        await socket.say("hello")
        await socket.turn()
        await until_counted(listing, {session: 2})


async def until_counted(listing: Socket, counts: dict[str, int]) -> None:
    """Returns once the list shows so many messages."""
    while {shown["id"]: shown["message_count"] for shown in await next_list(listing)} != counts:
        pass


async def test_list_is_told_when_a_session_changes_over_chatify(alice: Client, listing: Socket) -> None:
    session = (await alice.post("/api/v1/chatbot/session", user_id="somebody")).body["session_id"]
    await until_counted(listing, {session: 0})
    assert (await alice.post(f"/api/v1/chatbot/session/{session}/message", message="hello")).status == 200
    await until_counted(listing, {session: 2})
    assert (await alice.delete(f"/api/v1/chatbot/session/{session}")).status == 200
    assert [shown["status"] for shown in await next_list(listing)] == ["ended"]


async def test_list_is_told_when_a_session_changes_over_chat_domain(alice: Client, listing: Socket) -> None:
    session = (await alice.post("/api/chat", message="hello")).body["sessionId"]
    await until_counted(listing, {session: 2})
    assert (await alice.post("/api/chat", message="again", sessionId=session)).status == 200
    await until_counted(listing, {session: 4})
    assert (await alice.delete(f"/api/chat/sessions/{session}")).status in (200, 204)
    await until_counted(listing, {})


async def test_list_is_told_when_a_session_changes_over_chat_flow_and_streaming_chat(
    alice: Client, listing: Socket
) -> None:
    begun = (await alice.post("/api/chat/start", context_id=1, initial_message="hello")).body
    await until_counted(listing, {begun["uuid"]: (await count(alice))[begun["uuid"]]})
    assert (await alice.post(f"/api/chat/session/{begun['uuid']}/chat", prompt="again")).status == 201
    await until_counted(listing, await count(alice))
    assert (await alice.post("/api/chat/", message="hi")).status == 200
    await until_counted(listing, await count(alice))


async def count(alice: Client) -> dict[str, int]:
    return {shown["id"]: shown["message_count"] for shown in (await alice.get(SESSIONS)).body}


async def test_others_hear_nothing_of_it(nobody: Client, alice: Client, listing: Socket) -> None:
    bob = await register(nobody)
    await say(bob, await make(bob))
    await say(alice, await make(alice))
    assert len(await next_list(listing)) == 1
    assert len({shown["user"]["id"] for shown in listing.heard[-1]["sessions"]}) == 1


async def test_list_that_changes_all_the_time_is_told_once_a_second_and_the_last_state_arrives(
    alice: Client, listing: Socket
) -> None:
    since = time.monotonic()
    session = await make(alice)
    for number in range(119):
        assert (await alice.patch(f"{SESSIONS}{session}/", title=str(number))).status == 200
        await listing.send("refresh_chat_list")
    # Whoever asks is told once more, though it is the same. After the last change nobody has asked.
    await listing.settle()
    assert (await alice.patch(f"{SESSIONS}{session}/", title="119")).status == 200
    while (await next_list(listing))[0]["title"] != "119":
        pass
    # The first at once, and then at most one in each second that has passed.
    assert listing.types[1:].count("chat_list_update") <= time.monotonic() - since + 1
    assert await listing.settle() == []


async def test_list_has_the_newest_hundred_and_says_how_many_there_are(alice: Client) -> None:
    made = [await make(alice, title=str(number)) for number in range(102)]
    async with open_list(alice) as socket:
        update = await socket.expect("chat_list_update")
    assert [shown["id"] for shown in update["sessions"]] == made[:1:-1]
    assert update["total"] == 102


# What ended unheard


async def test_reply_that_nobody_heard_is_told(alice: Client, listing: Socket, llm: LLM) -> None:
    await llm.control(text="x" * 200, pieces=4)
    session = await make(alice)
    reply = (await say(alice, session))["ai_message"]["id"]
    told = await listing.until("notification")
    assert told == {
        "type": "notification",
        "kind": "reply",
        "session_id": session,
        "message_id": reply,
        "sender": None,
        "preview": "x" * 120,
        "unread_count": told["unread_count"],
        "created_at": TIME,
    }
    assert told["unread_count"] == 1


async def test_unread_messages_are_counted_from_what_was_read(
    alice: Client, listing: Socket, shared_server: Server
) -> None:
    session = await make(alice)
    first = (await say(alice, session))["ai_message"]["id"]
    assert (await listing.until("notification"))["unread_count"] == 1
    async with enter(alice, session) as socket:
        await socket.send("read", message_id=first)
        await socket.expect("message_read")
    await until_nobody_has_it_open(shared_server, session)
    await say(alice, session)
    assert (await listing.until("notification"))["unread_count"] == 1
    await say(alice, session)
    assert (await listing.until("notification"))["unread_count"] == 2


async def test_reply_that_somebody_has_open_is_no_news(alice: Client, listing: Socket, shared_server: Server) -> None:
    session = await make(alice)
    async with enter(alice, session) as socket:
        await say(alice, session)
        await socket.turn()
        await until_counted(listing, {session: 2})
        assert "notification" not in listing.types
    await until_nobody_has_it_open(shared_server, session)
    await say(alice, session)
    assert (await listing.until("notification"))["session_id"] == session
    assert listing.types.count("notification") == 1


async def test_reply_without_text_is_no_news_and_one_that_broke_off_is(
    alice: Client, listing: Socket, llm: LLM
) -> None:
    session = await make(alice)
    await llm.control(fault="500")
    assert (await alice.post(f"{SESSIONS}{session}/send_message/", message="hello")).status == 500
    await llm.control()
    assert (await alice.post(f"{SESSIONS}{session}/send_message/", message=BROKEN)).status == 500
    assert (await listing.until("notification"))["preview"] == "one "
    assert listing.types.count("notification") == 1


async def test_list_is_told_to_all_who_look_at_it(alice: Client, listing: Socket) -> None:
    async with open_list(alice) as other:
        await other.expect("chat_list_update")
        session = await make(alice)
        for one in (listing, other):
            assert [shown["id"] for shown in await next_list(one)] == [session]
        reply = (await say(alice, session))["ai_message"]["id"]
        for one in (listing, other):
            assert await one.until("notification", message_id=reply)


async def test_running_reply_does_not_keep_the_list_from_being_told(alice: Client, listing: Socket) -> None:
    session = await make(alice)
    async with enter(alice, session) as socket:
        await socket.say(STALLED)
        await socket.until("ai_message_chunk")
        await until_counted(listing, {session: 1})
        assert await listing.settle() == []
        await socket.send("stop")
        await socket.turn()
        await until_counted(listing, {session: 2})


async def test_ids_are_those_of_every_api(alice: Client, listing: Socket) -> None:
    await make(alice)
    assert [shown["id"] for shown in await next_list(listing)] == [UUID]


async def test_session_that_is_put_away_while_its_reply_runs_leaves_the_list_open(
    alice: Client, listing: Socket
) -> None:
    session = await make(alice)
    await next_list(listing)
    async with enter(alice, session) as socket:
        await socket.send("send_message", message=STALLED)
        await socket.until("ai_message_chunk")
    assert (await alice.delete(f"{SESSIONS}{session}/")).status == 204
    # Before that it may be told once more with what was said in it.
    await until_counted(listing, {})
    await listing.send("ping")
    await listing.until("pong")


async def test_branch_that_is_brought_into_view_moves_the_list(alice: Client, listing: Socket) -> None:
    session = await make(alice, system_prompt="Be brief.")
    turn = await say(alice, session)
    async with enter(alice, session) as socket:
        await socket.send("regenerate")
        await socket.until("ai_typing_stop")
        await listing.settle()
        shown = f"{SESSIONS}{session}/messages/{turn['ai_message']['id']}/show/"
        assert (await alice.post(shown)).status == 200
        await socket.until("snapshot")
        [listed] = await next_list(listing)
        assert listed["message_count"] == 3
        # What is in view already turns nothing.
        assert (await alice.post(shown)).status == 200
        assert await socket.settle() == []


async def test_showing_the_system_message_shows_what_was_said_last_after_it(alice: Client) -> None:
    session = await make(alice, system_prompt="Be brief.")
    await say(alice, session, "one")
    await say(alice, session, "two")
    system = (await alice.get(f"{SESSIONS}{session}/messages/")).body["messages"][0]
    shown = (await alice.post(f"{SESSIONS}{session}/messages/{system['id']}/show/")).body
    assert [message["role"] for message in shown["messages"]] == ["system", "user", "assistant", "user", "assistant"]
