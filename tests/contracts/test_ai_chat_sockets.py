"""One conversation over ai_chat's WebSocket, as its contract page says it: who comes in, and what is said to whom."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import WSServerHandshakeError

from tests.contracts.talking import (
    BROKEN,
    CURSOR,
    FIRST_PIECE,
    SESSIONS,
    STALLED,
    UNKNOWN,
    make,
    message_shown,
    read,
    read_messages,
    said,
    say,
    to_story,
)
from tests.journeys.client import UUID, Client, new_name, open_beside, open_client, register, sign_in
from tests.journeys.socket import CONVERSATION, LIST, Event, Socket, enter, open_conversation, open_socket, said_by
from tests.parts.llm import LLM
from tests.parts.palaver import Server
from tests.parts.run import Run

ALLOWED = "https://app.example.org"
FOREIGN = "https://evil.example.org"
EMOJI = "Caffè 漢字 \U0001f600 pronto"
TURN = ["user_message", "ai_typing", "ai_message_chunk", "ai_message_complete", "ai_typing_stop"]
BOTH = (CONVERSATION.format(UNKNOWN), LIST)

# Each test finds the model as nobody has told it anything.
pytestmark = pytest.mark.usefixtures("llm")


@pytest.fixture(scope="module")
def server_environment(scaled: Mapping[str, str]) -> Mapping[str, str]:
    return {"PALAVER_REGISTRATION": "on", "PALAVER_LLM_TRIES": "1", "LLM_DEFAULT_MODEL": "gpt-4", **scaled}


@pytest.fixture
async def session(alice: Client) -> str:
    return await make(alice)


@pytest.fixture
async def socket(alice: Client, session: str) -> AsyncIterator[Socket]:
    """Alice's, in her session."""
    async with enter(alice, session) as socket:
        yield socket


@pytest.fixture
async def other(alice: Client, session: str) -> AsyncIterator[Socket]:
    """Her other device's."""
    async with enter(alice, session) as socket:
        yield socket


@pytest.fixture(scope="module")
async def token(shared_server: Server) -> str:
    return await shared_server.token("admin")


@pytest.fixture(scope="module")
async def browser(nobody: Client, shared_server: Server) -> Client:
    """Somebody's who has followed a sign-in link."""
    return nobody.carrying(**await sign_in(nobody, shared_server))


@pytest.fixture(scope="module")
async def open_server(run: Run, shared_server: Server) -> AsyncIterator[Server]:
    """A server that lets guests in, and a page from elsewhere."""
    async with open_beside(run, shared_server, PALAVER_GUESTS="on", ALLOWED_ORIGINS=ALLOWED) as server:
        yield server


@pytest.fixture
async def guest(open_server: Server) -> AsyncIterator[Client]:
    async with open_client(open_server) as client:
        yield client


async def refusal(person: Client, path: str) -> int:
    with pytest.raises(WSServerHandshakeError) as refused:
        async with open_socket(person, path):
            pass
    return refused.value.status


async def shut_out(person: Client, path: str) -> tuple[list[Event], int | None]:
    """All that a socket is told that is opened in vain."""
    async with open_socket(person, path) as socket:
        code = await socket.closed()
        return socket.heard, code


async def begin_reply(socket: Socket, message: str = STALLED, **fields: Any) -> Event:
    """Asks for a reply, and gives its first chunk."""
    await socket.say(message, **fields)
    return await socket.until("ai_message_chunk")


# Coming in


@pytest.mark.parametrize("path", ["/ws/ai-chat/", "/ws/ai-chat/sessions", f"/ws/ai-chat/session/{UNKNOWN}", "/ws/x/"])
async def test_path_that_nobody_has_is_refused_at_the_handshake(alice: Client, path: str) -> None:
    assert await refusal(alice, path) == 404


async def test_conversations_socket_says_that_it_is_connected(alice: Client, session: str) -> None:
    async with open_conversation(alice.having(X_Request_Id="socket-1"), session) as socket:
        assert await socket.next() == {
            "type": "connection_established",
            "session_id": session,
            "message": "Connected to chat session",
            "cursor": CURSOR,
        }
        assert await socket.settle() == []
        assert socket.headers["X-Request-Id"] == "socket-1"


@pytest.mark.parametrize("scheme", ["Token", "Bearer", "tOKEN"])
async def test_token_comes_in_by_header_or_address_whatever_the_origin(nobody: Client, token: str, scheme: str) -> None:
    session = await make(nobody.bearing(token))
    foreign = nobody.having(Origin=FOREIGN)
    async with enter(foreign.having(Authorization=f"{scheme} {token}"), session):
        pass
    async with enter(foreign, session, f"token={token}"):
        pass


@pytest.mark.parametrize("path", BOTH)
async def test_without_good_credentials_the_socket_is_accepted_told_so_and_closed(nobody: Client, path: str) -> None:
    error = {
        "type": "error",
        "message": "Sign in first: no valid credentials were sent.",
        "code": "unauthenticated",
    }
    told = ([error], 4001)
    assert await shut_out(nobody, path) == told
    assert await shut_out(nobody.bearing("x" * 43), path) == told
    assert await shut_out(nobody, f"{path}?token={'x' * 43}") == told
    assert await shut_out(nobody, f"{path}?token=") == told
    assert await shut_out(nobody.carrying(palaver_session="x" * 43), path) == told
    assert await shut_out(nobody.having(Authorization="Basic YTpi"), path) == told


async def test_bad_token_is_not_helped_by_a_good_cookie(browser: Client, shared_server: Server) -> None:
    page = browser.having(Origin=shared_server.url)
    [error], code = await shut_out(page.bearing("x" * 43), LIST)
    assert (error["code"], code) == ("unauthenticated", 4001)


@pytest.mark.parametrize("session", [UNKNOWN, "x", "1", UNKNOWN.upper(), "%00", "%F0%9F%98%80", "x" * 300])
async def test_unknown_session_is_not_found(alice: Client, session: str) -> None:
    told, code = await shut_out(alice, CONVERSATION.format(session))
    assert told == [{"type": "error", "message": "Not found.", "code": "not_found"}]
    assert code == 4004


async def test_third_person_and_whoever_comes_after_its_end_find_nothing(
    alice: Client, bob: Client, session: str, socket: Socket
) -> None:
    unknown = await shut_out(alice, CONVERSATION.format(UNKNOWN))
    # Whether somebody has it open or nobody does: it is not there for others.
    assert await shut_out(bob, CONVERSATION.format(session)) == unknown
    closed = await make(alice)
    assert await shut_out(bob, CONVERSATION.format(closed)) == unknown
    assert (await alice.delete(f"{SESSIONS}{session}/")).status == 204
    assert await socket.closed() == 4004
    assert await shut_out(alice, CONVERSATION.format(session)) == unknown
    assert (await alice.delete(f"{SESSIONS}{closed}/deactivate/")).status == 200
    assert await shut_out(alice, CONVERSATION.format(closed)) == unknown


async def test_words_follow_the_language_of_whoever_comes(alice: Client) -> None:
    [error], _ = await shut_out(alice.having(Accept_Language="it"), CONVERSATION.format(UNKNOWN))
    assert error["message"] == "Non trovato."


# Cookies


@pytest.mark.parametrize("path", BOTH)
async def test_cookie_opens_a_socket_for_our_own_pages_alone(browser: Client, path: str) -> None:
    assert await refusal(browser, path) == 403
    assert await refusal(browser.having(Origin=FOREIGN), path) == 403
    assert await refusal(browser.having(Origin="null"), path) == 403
    async with open_socket(browser.having(Origin=browser.url), path) as socket:
        assert (await socket.next())["type"] in ("chat_list_update", "error")


async def test_cookie_opens_a_socket_for_pages_that_are_allowed(open_server: Server) -> None:
    async with open_client(open_server) as nobody:
        browser = nobody.carrying(**await sign_in(nobody, open_server))
        assert await refusal(browser.having(Origin=FOREIGN), LIST) == 403
        async with open_socket(browser.having(Origin=ALLOWED), LIST) as socket:
            await socket.expect("chat_list_update")


async def test_token_goes_before_a_cookie(browser: Client, nobody: Client) -> None:
    alice = await register(nobody)
    session = await make(alice)
    async with enter(alice.sending(browser._headers), session):
        pass


# Guests and applications


async def test_handshake_makes_a_guest_and_gives_the_cookie(guest: Client) -> None:
    async with open_socket(guest, LIST) as socket:
        await socket.expect("chat_list_update", sessions=[], total=0)
        cookie = socket.headers["Set-Cookie"]
    assert cookie.startswith("palaver_guest=")
    known = guest.carrying(palaver_guest=cookie.split("=", 1)[1].split(";")[0])
    session = await make(known)
    page = known.having(Origin=known.url)
    async with open_socket(page, LIST) as socket:
        update = await socket.expect("chat_list_update", total=1)
        assert update["sessions"][0]["id"] == session
        assert "Set-Cookie" not in socket.headers
    assert await refusal(known, LIST) == 403
    assert await refusal(known.having(Origin=FOREIGN), LIST) == 403


async def test_guests_conversation_is_open_to_whoever_holds_its_id(guest: Client) -> None:
    session = await make(guest)
    async with enter(guest, session) as one, enter(guest, session) as two:
        await one.say("hello")
        assert to_story(await two.turn()) == to_story(await one.turn())
    [error], code = await shut_out(guest.bearing("x" * 43), CONVERSATION.format(session))
    assert (error["code"], code) == ("unauthenticated", 4001)


async def test_guest_without_a_cookie_marks_as_read(guest: Client) -> None:
    session = await make(guest)
    turn = await say(guest, session)
    async with enter(guest, session) as socket:
        await socket.send("read", message_id=turn["ai_message"]["id"])
        assert (await socket.until("message_read"))["message_id"] == turn["ai_message"]["id"]


async def test_guest_who_is_new_sees_in_the_list_what_is_made_from_then_on(guest: Client) -> None:
    async with open_socket(guest, LIST) as listing:
        await listing.expect("chat_list_update")
        cookie = listing.headers["Set-Cookie"].split("=", 1)[1].split(";")[0]
        session = await make(guest.carrying(palaver_guest=cookie))
        listed = (await listing.until("chat_list_update"))["sessions"]
        assert [shown["id"] for shown in listed] == [session]


async def test_persons_conversation_is_not_open_to_guests(guest: Client, open_server: Server) -> None:
    session = await make(guest.bearing(await open_server.token("admin")))
    [error], code = await shut_out(guest, CONVERSATION.format(session))
    assert (error["code"], code) == ("not_found", 4004)


async def test_application_opens_its_users_conversations(nobody: Client, shared_server: Server) -> None:
    [shop, bank] = [nobody.bearing(await make_app(shared_server)) for _ in range(2)]
    [of_seven, _] = [await begin_for(app, "7") for app in (shop, bank)]
    async with enter(shop, of_seven) as socket, enter(shop, of_seven, "user_id=7") as seven:
        await seven.say("hello")
        assert to_story(await socket.turn()) == to_story(await seven.turn())
        await seven.send("typing")
        assert (await socket.expect("user_typing"))["user"] == (await seven.expect("user_typing"))["user"]
    for stranger in (bank, await register(nobody)):
        for query in ("", "?user_id=7"):
            assert (await shut_out(stranger, CONVERSATION.format(of_seven) + query))[1] == 4004


async def test_list_is_the_applications_or_that_of_its_user_who_is_named(nobody: Client, shared_server: Server) -> None:
    shop = nobody.bearing(await make_app(shared_server))
    of_seven, own = await begin_for(shop, "7"), await make(shop)
    for query, sessions in (("", [own]), ("?user_id=7", [of_seven]), ("?user_id=8", [])):
        async with open_socket(shop, LIST + query) as socket:
            update = await socket.expect("chat_list_update")
            assert [session["id"] for session in update["sessions"]] == sessions
    # For a person it is as if it were not there.
    alice = await register(nobody)
    mine = await make(alice)
    async with open_socket(alice, f"{LIST}?user_id=7") as socket:
        update = await socket.expect("chat_list_update")
        assert [session["id"] for session in update["sessions"]] == [mine]


async def make_app(server: Server) -> str:
    name = new_name()
    await server.cli("app", "add", name)
    return (await server.cli("token", "create", "--app", name)).strip().splitlines()[-1]


async def begin_for(app: Client, user: str) -> str:
    """A session of an application's user."""
    answer = await app.post("/api/v1/chatbot/session", user_id=user)
    assert answer.status == 200, answer.text
    session: str = answer.body["session_id"]
    return session


# A turn


async def test_turn_is_told_in_order_and_whole(socket: Socket, llm: LLM) -> None:
    await llm.control(text=EMOJI, pieces=1)
    await socket.say("  Name a river. \n", client_message_id="k-17")
    [asked, typing, chunk, complete, quiet] = await socket.turn()
    prompt, reply = asked["message"]["id"], typing["message_id"]
    length = len(EMOJI)
    assert asked == {
        "type": "user_message",
        "message": message_shown(role="user", content="Name a river.", number=1, parent_id=None),
        "client_message_id": "k-17",
        "cursor": CURSOR,
    }
    assert typing == {
        "type": "ai_typing",
        "message": "AI is thinking...",
        "message_id": UUID,
        "position": 0,
        "cursor": CURSOR,
    }
    assert chunk == {
        "type": "ai_message_chunk",
        "content": EMOJI,
        "full_content": EMOJI,
        "message_id": reply,
        "position": length,
        "cursor": CURSOR,
    }
    assert complete == {
        "type": "ai_message_complete",
        "message": message_shown(id=reply, role="assistant", content=EMOJI, number=2, parent_id=prompt),
        "message_id": reply,
        "position": length,
        "cursor": CURSOR,
    }
    assert complete["message"]["metadata"]["model"] == "gpt-4"
    assert complete["message"]["created_at"] > asked["message"]["created_at"]
    assert quiet == {
        "type": "ai_typing_stop",
        "message_id": reply,
        "position": length,
        "reason": "complete",
        "cursor": CURSOR,
    }
    assert await socket.settle() == []


async def test_chunks_join_to_the_whole_and_say_where_they_stand(alice: Client, session: str, socket: Socket) -> None:
    async with enter(alice, session, "full_content=0") as brief:
        await socket.say(f"[[text={EMOJI * 9}&pieces=12&delay=0.01]]")
        events, told_briefly = await socket.turn(), await brief.turn()
    whole = events[-2]["message"]["content"]
    assert whole == EMOJI * 9
    said_so_far = ""
    for chunk in chunks_of(events):
        assert chunk["position"] - len(chunk["content"]) == len(said_so_far)
        said_so_far += chunk["content"]
        assert chunk["full_content"] == said_so_far
    assert said_so_far == said_by(told_briefly) == whole
    assert chunks_of(events)[-1]["position"] == events[-2]["position"] == events[-1]["position"] == len(whole)
    assert {"full_content"} & {name for chunk in chunks_of(told_briefly) for name in chunk} == set()
    assert told_briefly[-2:] == events[-2:]


def chunks_of(events: list[Event]) -> list[Event]:
    return [event for event in events if event["type"] == "ai_message_chunk"]


async def test_what_was_told_is_what_is_kept(alice: Client, session: str, socket: Socket) -> None:
    await socket.say("hello", client_message_id="k")
    events = await socket.turn()
    assert await read_messages(alice, session) == [events[0]["message"], events[-2]["message"]]


async def test_message_is_kept_before_it_is_told_and_so_is_the_reply(
    alice: Client, session: str, socket: Socket
) -> None:
    await socket.say("hello")
    await socket.until("user_message")
    assert said(await read_messages(alice, session))[0] == ("user", "hello")
    complete = await socket.until("ai_message_complete")
    assert complete["message"] == (await read_messages(alice, session))[1]


async def test_all_hear_the_same_events_in_the_same_order(socket: Socket, other: Socket) -> None:
    await socket.say("[[text=one two three four&pieces=4&delay=0.02]]")
    await other.send("typing")
    await other.say("And then?")
    await socket.until("ai_typing_stop")
    await socket.until("ai_typing_stop")
    await other.until("ai_typing_stop")
    await other.until("ai_typing_stop")
    for one in (socket, other):
        while "user_typing" not in one.types:
            await one.next()
    # Pieces may come merged, and who types is told when it happens, wherever others are with the text.
    [mine, others] = [to_story([event for event in one.heard[1:] if lasts(event)]) for one in (socket, other)]
    assert mine == others
    assert socket.types.count("user_typing") == other.types.count("user_typing") == 1


def lasts(event: Event) -> bool:
    return event["type"] not in ("user_typing", "user_typing_stop")


async def test_turn_over_http_is_told_to_the_sockets(alice: Client, session: str, socket: Socket) -> None:
    turn = await say(alice, session)
    events = await socket.turn()
    # Where another worker makes it, it may come in more than one chunk.
    assert [event["type"] for event in to_story(events)] == TURN
    assert events[0]["message"]["id"] == turn["user_message"]["id"]
    assert events[-2]["message_id"] == turn["ai_message"]["id"]
    assert "client_message_id" not in events[0]


async def test_who_comes_while_a_reply_runs_hears_all_of_it(alice: Client, session: str, socket: Socket) -> None:
    first = await begin_reply(socket)
    async with enter(alice, session) as late:
        assert await late.expect("ai_typing") == {
            "type": "ai_typing",
            "message": "AI is thinking...",
            "message_id": first["message_id"],
            "position": 0,
            "cursor": CURSOR,
        }
        assert to_story([await late.expect("ai_message_chunk")]) == to_story([first])
        await late.send("stop")
        assert to_story(await late.turn()) == to_story(await socket.turn())


@pytest.mark.parametrize("when_busy", [None, "queue"])
async def test_prompt_meanwhile_is_told_at_once_and_answered_in_its_order(
    alice: Client, session: str, socket: Socket, other: Socket, when_busy: str | None
) -> None:
    first = await begin_reply(socket)
    await other.say("And then?", when_busy=when_busy)
    waiting = await socket.expect("user_message")
    assert waiting["message"]["content"] == "And then?"
    assert said(await read_messages(alice, session))[1] == ("user", "And then?")
    await socket.send("stop")
    stopped = await socket.until("ai_typing_stop", reason="stopped")
    assert stopped["message_id"] == first["message_id"]
    events = await socket.turn()
    assert [event["type"] for event in to_story(events)] == TURN[1:]
    assert events[-2]["message"]["parent_id"] == waiting["message"]["id"]


async def test_prompt_that_is_not_to_wait_is_refused_to_its_sender(socket: Socket, other: Socket) -> None:
    await begin_reply(socket)
    await other.until("ai_message_chunk")
    await other.say("Now!", when_busy="reject", client_message_id="k")
    assert await other.next() == {
        "type": "error",
        "message": "The assistant is still answering. Wait for the answer or stop it.",
        "code": "busy",
        "client_message_id": "k",
    }
    assert await socket.settle() == []
    await socket.send("stop")
    await socket.turn()


async def test_prompt_that_interrupts_is_answered_next(socket: Socket) -> None:
    first = await begin_reply(socket)
    await socket.say("Now!", when_busy="interrupt")
    stopped = await socket.until("ai_message_stopped")
    assert (stopped["message_id"], stopped["message"]["content"]) == (first["message_id"], FIRST_PIECE)
    await socket.until("ai_typing_stop", reason="stopped")
    assert (await socket.turn())[-1]["reason"] == "complete"


async def test_ended_conversation_takes_no_more_messages(alice: Client) -> None:
    session = await begin_for(alice, "somebody")
    async with enter(alice, session) as socket:
        assert (await alice.delete(f"/api/v1/chatbot/session/{session}")).status == 200
        await socket.say("hello", client_message_id="k")
        assert await socket.refused("ended") == {
            "type": "error",
            "message": socket.heard[-1]["message"],
            "code": "ended",
            "client_message_id": "k",
        }
        await socket.send("ping")
        await socket.expect("pong")


async def test_who_waits_when_the_conversation_ends_is_told(alice: Client) -> None:
    session = await begin_for(alice, "somebody")
    async with enter(alice, session) as socket, enter(alice, session) as other:
        await begin_reply(other)
        await socket.say("And then?")
        await socket.until("user_message")
        await socket.until("user_message")
        assert (await alice.delete(f"/api/v1/chatbot/session/{session}")).status == 200
        # The reply that runs may say more before it.
        await socket.until("error", code="ended")
        assert "error" not in [event["type"] for event in await other.settle()]
        await other.send("stop")


# Said again


async def test_message_sent_five_times_at_once_is_said_and_answered_once(
    alice: Client, session: str, socket: Socket, other: Socket, llm: LLM
) -> None:
    for sender in (socket, other, socket, other, socket):
        await sender.say("[[text=one two three&pieces=3&delay=0.05]]", client_message_id="k")
    for one in (socket, other):
        await one.until("ai_typing_stop")
        await one.settle()
    heard = socket.heard + other.heard
    prompts = [event["message"]["id"] for event in heard if event["type"] == "user_message"]
    assert len(prompts) >= 5
    assert len(set(prompts)) == 1
    assert len({event["message_id"] for event in heard if event["type"] == "ai_typing"}) == 1
    assert {event["message"]["content"] for event in heard if event["type"] == "ai_message_complete"} == {
        "one two three"
    }
    assert len(await llm.record()) == 1
    assert said(await read_messages(alice, session)) == [
        ("user", "[[text=one two three&pieces=3&delay=0.05]]"),
        ("assistant", "one two three"),
    ]


async def test_turn_asked_for_again_is_told_again_to_that_socket_alone(socket: Socket, other: Socket) -> None:
    await socket.say("hello", client_message_id="k")
    first = await socket.turn()
    assert to_story(await other.turn()) == to_story(first)
    await socket.say("hello", client_message_id="k")
    assert to_story(await socket.turn()) == to_story(first)
    assert await other.settle() == []
    assert await socket.settle() == []


async def test_turn_asked_for_again_while_it_runs_is_told_from_its_beginning(socket: Socket, other: Socket) -> None:
    first = await begin_reply(socket, client_message_id="k")
    so_far = to_story(socket.heard[1:])
    await other.until("ai_message_chunk")
    await other.say(STALLED, client_message_id="k")
    assert to_story([await other.next() for _ in range(3)]) == so_far
    await other.send("stop")
    stopped = await other.turn()
    assert to_story(await socket.turn()) == to_story(stopped)
    assert stopped[0]["message"]["content"] == first["content"]


async def test_same_id_with_another_text_is_a_conflict(socket: Socket, other: Socket) -> None:
    await socket.say("hello", client_message_id="k")
    await socket.turn()
    await other.turn()
    await socket.say("goodbye", client_message_id="k")
    assert await socket.next() == {
        "type": "error",
        "message": "This client message id was used before with another text.",
        "code": "conflict",
        "client_message_id": "k",
    }
    assert await other.settle() == []


async def test_failed_turn_asked_for_again_asks_the_model_again(socket: Socket, other: Socket, llm: LLM) -> None:
    await llm.control(fault="500")
    await socket.say("hello", client_message_id="k")
    await socket.until("ai_typing_stop", reason="failed")
    await other.until("ai_typing_stop", reason="failed")
    await llm.control()
    await socket.say("hello", client_message_id="k")
    assert [event["type"] for event in await socket.turn()] == TURN
    # The others have heard the message before.
    assert [event["type"] for event in await other.turn()] == TURN[1:]


# How a reply ends


async def test_model_that_fails_is_told_to_the_sender_and_its_end_to_all(
    alice: Client, session: str, socket: Socket, other: Socket, llm: LLM
) -> None:
    await llm.control(fault="500")
    await socket.say("hello")
    [_, typing, error, quiet] = await socket.turn()
    assert error == {
        "type": "error",
        "message": "The assistant cannot answer just now. Please try again.",
        "code": "bot_unavailable",
        "message_id": typing["message_id"],
    }
    assert quiet == {
        "type": "ai_typing_stop",
        "message_id": typing["message_id"],
        "position": 0,
        "reason": "failed",
        "cursor": CURSOR,
    }
    assert [event["type"] for event in await other.turn()] == ["user_message", "ai_typing", "ai_typing_stop"]
    assert other.heard[-1] == quiet
    assert said(await read_messages(alice, session)) == [("user", "hello")]


async def test_reply_that_breaks_off_keeps_what_it_said(
    alice: Client, session: str, socket: Socket, other: Socket
) -> None:
    await socket.say(BROKEN)
    [_, typing, chunk, error, quiet] = await socket.turn()
    assert chunk["content"] == FIRST_PIECE
    assert (error["code"], error["message_id"]) == ("bot_unavailable", typing["message_id"])
    assert (quiet["reason"], quiet["position"]) == ("interrupted", len(FIRST_PIECE))
    assert [event["type"] for event in await other.turn()] == [*TURN[:3], "ai_typing_stop"]
    kept = (await read_messages(alice, session))[1]
    assert (kept["id"], kept["content"], kept["status"]) == (typing["message_id"], FIRST_PIECE, "interrupted")


async def test_reply_without_text_is_a_failure(alice: Client, session: str, socket: Socket, llm: LLM) -> None:
    await llm.control(fault="empty")
    await socket.say("hello")
    [_, _, error, quiet] = await socket.turn()
    assert (error["code"], quiet["reason"], quiet["position"]) == ("bot_unavailable", "failed", 0)
    assert said(await read_messages(alice, session)) == [("user", "hello")]


async def test_who_only_listens_is_not_told_of_a_failure(alice: Client, session: str, socket: Socket) -> None:
    answer = await alice.post(f"{SESSIONS}{session}/send_message/", message=BROKEN)
    assert answer.status == 500
    assert "error" not in [event["type"] for event in await socket.turn()]


@pytest.mark.parametrize("names_the_reply", [False, True])
async def test_stop_really_stops_and_keeps_what_all_saw(
    alice: Client, session: str, socket: Socket, other: Socket, llm: LLM, names_the_reply: bool
) -> None:
    chunk = await begin_reply(socket)
    await other.until("ai_message_chunk")
    await other.send("stop", **{"message_id": chunk["message_id"]} if names_the_reply else {})
    [stopped, quiet] = await socket.turn()
    assert stopped == {
        "type": "ai_message_stopped",
        "message": message_shown(
            id=chunk["message_id"],
            role="assistant",
            content=FIRST_PIECE,
            number=2,
            status="stopped",
            parent_id=socket.heard[1]["message"]["id"],
        ),
        "message_id": chunk["message_id"],
        "position": len(FIRST_PIECE),
        "cursor": CURSOR,
    }
    assert quiet == {
        "type": "ai_typing_stop",
        "message_id": chunk["message_id"],
        "position": len(FIRST_PIECE),
        "reason": "stopped",
        "cursor": CURSOR,
    }
    assert await other.turn() == [stopped, quiet]
    assert said_by(socket.heard) == said_by(other.heard) == FIRST_PIECE
    assert (await read_messages(alice, session))[1] == stopped["message"]
    await llm.record("closed", n=1)


async def test_stop_where_nothing_runs_is_said_so(socket: Socket) -> None:
    await socket.send("stop")
    assert await socket.next() == {
        "type": "error",
        "message": "No answer is being written just now.",
        "code": "not_running",
    }
    chunk = await begin_reply(socket)
    await socket.send("stop", message_id=UNKNOWN)
    await socket.refused("not_running")
    await socket.send("stop", message_id=socket.heard[2]["message"]["id"])
    await socket.refused("not_running")
    # What is not asked of it is not looked at.
    await socket.send("stop", message_id=chunk["message_id"], when_busy="nonsense")
    await socket.turn()
    await socket.send("stop", message_id=chunk["message_id"])
    await socket.refused("not_running")


async def test_reply_is_stopped_from_other_apis_too(alice: Client, session: str, socket: Socket) -> None:
    await begin_reply(socket)
    answer = await alice.delete(f"{SESSIONS}{session}/")
    assert answer.status == 204
    assert await socket.closed() == 4004
    assert socket.heard[-1]["code"] == "not_found"


# Other branches


@pytest.mark.parametrize("names_the_reply", [False, True])
async def test_another_reply_is_made_beside_the_old(
    alice: Client, session: str, socket: Socket, other: Socket, llm: LLM, names_the_reply: bool
) -> None:
    await socket.say("hello")
    first = (await socket.turn())[-1]["message_id"]
    await other.turn()
    await llm.control(text="another", pieces=1)
    await socket.send("regenerate", **{"message_id": first} if names_the_reply else {})
    [typing, chunk, complete, _] = await socket.turn()
    assert typing == {
        "type": "ai_typing",
        "message": "AI is thinking...",
        "message_id": UUID,
        "position": 0,
        "replaces": first,
        "cursor": CURSOR,
    }
    assert typing["message_id"] != first
    assert (chunk["content"], complete["message"]["content"]) == ("another", "another")
    assert to_story(await other.turn()) == to_story(socket.heard[-4:])
    shown = await read(alice, session)
    assert said(shown["messages"]) == [("user", "hello"), ("assistant", "another")]
    assert shown["message_count"] == 2
    assert shown["messages"][1]["parent_id"] == shown["messages"][0]["id"]


async def test_another_reply_takes_what_followed_out_of_view(alice: Client, session: str, socket: Socket) -> None:
    await socket.say("one")
    first = (await socket.turn())[-1]["message_id"]
    await socket.say("two")
    await socket.turn()
    await socket.send("regenerate", message_id=first)
    await socket.turn()
    shown = await read(alice, session)
    assert said(shown["messages"]) == [("user", "one"), ("assistant", "You said: one")]
    assert shown["message_count"] == 2
    # What left the view is not gone from the way messages are numbered.
    assert shown["messages"][1]["number"] == 5


async def test_another_reply_to_nothing_is_not_found(alice: Client, socket: Socket) -> None:
    await socket.send("regenerate")
    await socket.refused("not_found")
    await socket.send("regenerate", message_id=UNKNOWN)
    await socket.refused("not_found")
    await socket.say("hello")
    prompt = (await socket.turn())[0]["message"]["id"]
    await socket.send("regenerate", message_id=prompt)
    await socket.refused("not_found")
    elsewhere = await make(alice)
    reply = (await say(alice, elsewhere))["ai_message"]["id"]
    await socket.send("regenerate", message_id=reply)
    await socket.refused("not_found")


async def test_edited_message_is_answered_and_what_followed_leaves_the_view(
    alice: Client, session: str, socket: Socket, other: Socket
) -> None:
    await socket.say("one")
    old = (await socket.turn())[0]["message"]
    await socket.say("two")
    await socket.turn()
    await other.turn()
    await other.turn()
    await socket.send("edit", message_id=old["id"], message="  uno ", client_message_id="k")
    events = await socket.turn()
    assert [event["type"] for event in events] == TURN
    assert events[0] == {
        "type": "user_message",
        "message": message_shown(role="user", content="uno", parent_id=old["parent_id"]),
        "client_message_id": "k",
        "replaces": old["id"],
        "cursor": CURSOR,
    }
    assert events[0]["message"]["id"] != old["id"]
    assert "replaces" not in events[1]
    assert to_story(await other.turn()) == to_story(events)
    shown = await read(alice, session)
    assert said(shown["messages"]) == [("user", "uno"), ("assistant", "You said: uno")]
    assert shown["message_count"] == 2


async def test_edit_while_a_reply_runs_ends_it(alice: Client, session: str, socket: Socket) -> None:
    await begin_reply(socket)
    prompt = socket.heard[1]["message"]["id"]
    await socket.send("edit", message_id=prompt, message="better")
    edited = await socket.until("user_message", replaces=prompt)
    answered = await socket.until("ai_message_complete")
    assert answered["message"]["parent_id"] == edited["message"]["id"]
    await socket.until("ai_typing_stop")
    assert said(await read_messages(alice, session)) == [("user", "better"), ("assistant", "You said: better")]


async def test_edit_of_what_is_not_ones_own_message_is_not_found(alice: Client, socket: Socket) -> None:
    await socket.say("hello")
    reply = (await socket.turn())[-1]["message_id"]
    elsewhere = (await say(alice, await make(alice)))["user_message"]["id"]
    for message_id in (UNKNOWN, reply, elsewhere, "x", "x" * 100):
        await socket.send("edit", message_id=message_id, message="other", client_message_id="k")
        error = await socket.refused("not_found")
        assert error["client_message_id"] == "k"


async def test_edit_twice_under_one_id_is_one_edit(alice: Client, session: str, socket: Socket) -> None:
    await socket.say("one")
    old = (await socket.turn())[0]["message"]["id"]
    await socket.send("edit", message_id=old, message="uno", client_message_id="k")
    first = await socket.turn()
    await socket.send("edit", message_id=old, message="uno", client_message_id="k")
    again = await socket.turn()
    assert (again[0]["message"], again[0]["replaces"]) == (first[0]["message"], old)
    assert to_story(again[1:]) == to_story(first[1:])
    assert said(await read_messages(alice, session)) == [("user", "uno"), ("assistant", "You said: uno")]


# Small signs


async def test_typing_is_told_to_all_and_to_who_types(
    alice: Client, session: str, socket: Socket, other: Socket
) -> None:
    name = (await read(alice, session))["user"]["username"]
    cursor = socket.cursor
    for kind, told in (("typing", "user_typing"), ("stop_typing", "user_typing_stop")):
        await socket.send(kind)
        event = {"type": told, "user": name, "cursor": cursor}
        assert await socket.next() == await other.next() == event


async def test_reading_is_told_to_all_and_never_moves_back(socket: Socket, other: Socket) -> None:
    await socket.say("hello")
    [prompt, reply] = [
        event["message"]["id"] for event in await socket.turn() if isinstance(event.get("message"), dict)
    ]
    await other.turn()
    await socket.send("read", message_id=reply)
    event = await socket.next()
    assert event == {"type": "message_read", "message_id": reply, "user": event["user"], "cursor": CURSOR}
    assert await other.next() == event
    for message_id in (prompt, reply):
        await socket.send("read", message_id=message_id)
        assert await socket.settle() == []
    assert await other.settle() == []
    await socket.send("read", message_id=UNKNOWN)
    await socket.refused("not_found")
    await socket.send("read")
    await socket.refused("invalid")


async def test_ping_is_answered(socket: Socket) -> None:
    await socket.send("ping")
    assert await socket.next() == {"type": "pong"}


# What is no message


@pytest.mark.parametrize("text", ['"x"', "[]", "{", "", "null", "1", "nope", '{"type": NaN}', '{"type": "ping"}{}'])
@pytest.mark.parametrize("place", ["session", "list"])
async def test_what_is_no_object_in_json_is_said_so_and_the_socket_goes_on(
    alice: Client, session: str, text: str, place: str
) -> None:
    async with open_socket(alice, {"session": CONVERSATION.format(session), "list": LIST}[place]) as socket:
        await socket.next()
        await socket.send_text(text)
        error = {"type": "error", "message": "Invalid JSON format", "code": "bad_json"}
        assert await socket.next() == error
        await socket.send_bytes(b'{"type": "ping"}')
        assert await socket.next() == error
        await socket.send("ping")
        assert await socket.next() == {"type": "pong"}


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("dance", "dance"),
        ("", ""),
        (1, "1"),
        (None, "null"),
        (["ping"], "[...]"),
        ({}, "{...}"),
        ("é", "é"),
        ("Ping", "Ping"),
        ("\ud800", "?"),
        ("x" * 101, "x" * 100),
    ],
)
@pytest.mark.parametrize("place", ["session", "list"])
async def test_unknown_type_is_said_so_and_the_socket_goes_on(
    alice: Client, session: str, kind: object, shown: str, place: str
) -> None:
    async with open_socket(alice, {"session": CONVERSATION.format(session), "list": LIST}[place]) as socket:
        await socket.next()
        await socket.send_text(json.dumps({"type": kind}))
        assert await socket.next() == {
            "type": "error",
            "message": f"Unknown message type: {shown}",
            "code": "unknown_type",
        }
        await socket.send("ping")
        await socket.expect("pong")


async def test_types_of_one_socket_are_unknown_on_the_other(alice: Client, socket: Socket) -> None:
    await socket.send("refresh_chat_list")
    await socket.refused("unknown_type")
    async with open_socket(alice, LIST) as listing:
        await listing.expect("chat_list_update")
        for kind in ("send_message", "stop", "regenerate", "edit", "read", "typing", "stop_typing", "resume"):
            await listing.send(kind, message="hi", message_id=UNKNOWN, cursor="x")
            error = await listing.refused("unknown_type")
            assert error["message"] == f"Unknown message type: {kind}"


@pytest.mark.parametrize("kind", ["send_message", "edit"])
@pytest.mark.parametrize("fields", [{}, {"message": ""}, {"message": " \n\t "}, {"message": None}])
async def test_blank_message_is_said_so(socket: Socket, kind: str, fields: Event) -> None:
    await socket.send(kind, message_id=UNKNOWN, client_message_id="k", **fields)
    assert await socket.next() == {
        "type": "error",
        "message": "Message cannot be empty",
        "code": "invalid",
        "client_message_id": "k",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"message": "x" * 10_001},
        {"message": 1},
        {"message": True},
        {"message": ["hi"]},
        {"message": "a\0b"},
        {"message": "\ud800"},
        {"message": "hi", "client_message_id": ""},
        {"message": "hi", "client_message_id": "x" * 101},
        {"message": "hi", "client_message_id": 7},
        {"message": "hi", "client_message_id": "\udfff"},
        {"message": "hi", "when_busy": "later"},
    ],
)
async def test_invalid_field_is_said_so_and_nothing_is_kept(
    alice: Client, session: str, socket: Socket, fields: Event
) -> None:
    await socket.say(**fields)
    await socket.refused("invalid")
    assert await read_messages(alice, session) == []


async def test_longest_message_and_id_are_taken(socket: Socket) -> None:
    longest = "\U0001f600" * 10_000
    # Spelled with escapes it would be longer than a message of a socket may be.
    fields = {"type": "send_message", "message": f" {longest} ", "client_message_id": "k" * 100}
    await socket.send_text(json.dumps(fields, ensure_ascii=False))
    asked = await socket.until("user_message")
    assert asked["message"]["content"] == longest
    assert asked["client_message_id"] == "k" * 100
    await socket.turn()


@pytest.mark.parametrize("place", ["session", "list"])
async def test_message_over_64_kib_is_refused_and_closes(alice: Client, session: str, place: str) -> None:
    async with open_socket(alice, {"session": CONVERSATION.format(session), "list": LIST}[place]) as socket:
        await socket.next()
        await socket.send_text('{"type": "ping", "x": "' + "x" * (64 * 1024 - 25) + '"}')
        await socket.expect("pong")
        await socket.send_text('{"type": "ping", "x": "' + "x" * (64 * 1024 - 24) + '"}')
        assert await socket.next() == {"type": "error", "message": "The request is too large.", "code": "too_large"}
        assert await socket.closed() == 1009


async def test_size_is_counted_in_bytes(socket: Socket) -> None:
    await socket.send_text(json.dumps({"type": "ping", "x": "é" * 32_760}, ensure_ascii=False))
    await socket.refused("too_large")
    assert await socket.closed() == 1009


async def test_binary_frame_over_64_kib_closes_too(socket: Socket) -> None:
    await socket.send_bytes(b"x" * (64 * 1024 + 1))
    await socket.refused("too_large")
    assert await socket.closed() == 1009


# How it is closed


async def test_conversation_that_is_deleted_closes_all_its_sockets(
    alice: Client, session: str, socket: Socket, other: Socket
) -> None:
    assert (await alice.delete(f"/api/chat/sessions/{session}")).status in (200, 204)
    for one in (socket, other):
        assert await one.closed() == 4004
        assert one.heard[1:] == [{"type": "error", "message": "Not found.", "code": "not_found"}]


async def test_conversation_that_is_put_away_closes_its_sockets(alice: Client, session: str, socket: Socket) -> None:
    assert (await alice.patch(f"{SESSIONS}{session}/", is_active=False)).status == 200
    assert await socket.closed() == 4004


async def test_client_may_close_as_it_likes(alice: Client, session: str, socket: Socket) -> None:
    await socket.close()
    assert socket.close_code == 1000
    async with enter(alice, session):
        pass


async def test_reply_goes_on_when_whoever_asked_is_gone(alice: Client, session: str, other: Socket) -> None:
    async with enter(alice, session) as socket:
        await begin_reply(socket, "[[text=one two three&pieces=3&delay=0.05]]")
        socket.cut()
    await other.until("ai_message_complete")
    assert said(await read_messages(alice, session))[1] == ("assistant", "one two three")


async def test_many_messages_at_once_are_carried_out_in_their_order(
    alice: Client, session: str, socket: Socket
) -> None:
    for number in range(20):
        await socket.say(str(number))
    for _ in range(20):
        await socket.until("ai_typing_stop")
    assert [content for role, content in said(await read_messages(alice, session)) if role == "user"] == [
        str(number) for number in range(20)
    ]
    assert await asyncio.wait_for(socket.settle(), 10) == []


async def test_system_prompt_that_is_changed_is_shown_to_all_present(alice: Client) -> None:
    session = await make(alice, system_prompt="Be brief.")
    async with enter(alice, session) as socket:
        before = socket.heard[-1]["cursor"]
        assert (await alice.patch(f"{SESSIONS}{session}/", system_prompt="Be long.")).status == 200
        snapshot = await socket.until("snapshot")
        assert [message["content"] for message in snapshot["session"]["messages"]] == ["Be long."]
    async with enter(alice, session, f"cursor={before}") as socket:
        assert (await socket.until("resumed"))["recovered"] is False


async def test_error_says_which_message_it_is_about(socket: Socket) -> None:
    await socket.send("stop", message_id=UNKNOWN)
    assert (await socket.until("error"))["message_id"] == UNKNOWN
    await socket.send("send_message", message="[[fault=500]]", client_message_id="k-1")
    failed = await socket.until("error")
    reply = next(event for event in socket.heard if event["type"] == "ai_typing")
    assert (failed["client_message_id"], failed["message_id"]) == ("k-1", reply["message_id"])
