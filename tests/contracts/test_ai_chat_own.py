"""What ai_chat has beyond its page: marks, search, branches at a glance, prompts taken back."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.contracts.talking import (
    FIRST_PIECE,
    SESSIONS,
    STALLED,
    UNKNOWN,
    make,
    read_messages,
    said,
    say,
    session_shown,
)
from tests.journeys.client import Client, open_client, register
from tests.journeys.socket import Socket, enter, open_list
from tests.parts.palaver import Server

MINE = "/ai-chat/api/my_sessions/"

# Each test finds the model as nobody has told it anything.
pytestmark = pytest.mark.usefixtures("llm")


@pytest.fixture(scope="module")
def server_environment(scaled: Mapping[str, str]) -> Mapping[str, str]:
    return {"PALAVER_REGISTRATION": "on", "PALAVER_LLM_TRIES": "1", **scaled}


@pytest.fixture(scope="module")
async def nobody(shared_server: Server) -> AsyncIterator[Client]:
    async with open_client(shared_server) as client:
        yield client


@pytest.fixture
async def alice(nobody: Client) -> Client:
    return await register(nobody)


@pytest.fixture
async def bob(nobody: Client) -> Client:
    return await register(nobody)


# Marks


async def mark(person: Client, session: str, **marks: bool) -> None:
    answer = await person.patch(f"{SESSIONS}{session}/marks/", **marks)
    assert answer.status == 200, answer.text


async def titles(person: Client, query: str = "") -> list[str]:
    answer = await person.get(MINE + query)
    assert answer.status == 200, answer.text
    return [session["title"] for session in answer.body["sessions"]]


async def test_pinned_sessions_stand_first_and_archived_ones_apart(alice: Client) -> None:
    a, b, c, d = [await make(alice, title=title) for title in "abcd"]
    await mark(alice, a, pinned=True)
    await mark(alice, b, pinned=True)
    await mark(alice, c, archived=True)
    # It was pinned before; another word about it does not move it.
    await mark(alice, a, pinned=True, archived=False)
    assert await titles(alice) == ["b", "a", "d"]
    assert await titles(alice, "?archived=1") == ["c"]
    page = (await alice.get(f"{MINE}?limit=1&offset=1")).body
    assert page == {"sessions": [session_shown(id=a, title="a", pinned=True, archived=False)], "total": 3}
    await mark(alice, a, pinned=False)
    await mark(alice, c, archived=False)
    assert await titles(alice) == ["b", "d", "c", "a"]
    assert (await alice.get(f"{SESSIONS}{d}/marks/")).body == {"pinned": False, "archived": False}


async def test_contracts_list_shows_archived_sessions_as_it_always_did(alice: Client) -> None:
    first, second = await make(alice, title="first"), await make(alice, title="second")
    before = (await alice.get(SESSIONS)).body
    await mark(alice, second, archived=True)
    await mark(alice, first, pinned=True)
    assert (await alice.get(SESSIONS)).body == before
    # What is archived goes on as any other.
    await say(alice, second)
    assert (await alice.get(f"{SESSIONS}{second}/marks/")).body == {"pinned": False, "archived": True}


async def test_only_ones_own_sessions_are_marked(alice: Client, bob: Client) -> None:
    session = await make(alice)
    for path in (f"{SESSIONS}{session}/marks/", f"{SESSIONS}{UNKNOWN}/marks/", f"{SESSIONS}x/marks/"):
        assert (await bob.get(path)).status == (await bob.patch(path, pinned=True)).status == 404
    refused = await alice.having(Accept_Language="de").patch(f"{SESSIONS}{session}/marks/", pinned="yes")
    assert (refused.status, list(refused.body)) == (400, ["pinned"])
    for query in ("limit=0", "limit=201", "offset=-1", "archived=maybe"):
        assert (await alice.get(f"{MINE}?{query}")).status == 400


async def test_all_devices_hear_of_marks_that_ask_for_them(alice: Client) -> None:
    a, b = await make(alice, title="a"), await make(alice, title="b")
    async with open_list(alice, "marks=1") as phone, open_list(alice) as other:
        shown = (await phone.until("chat_list_update"))["sessions"]
        assert shown == (await alice.get(MINE)).body["sessions"]
        assert (await other.until("chat_list_update"))["total"] == 2
        await mark(alice, a, pinned=True)
        pinned = (await phone.until("chat_list_update"))["sessions"]
        assert [(one["title"], one["pinned"]) for one in pinned] == [("a", True), ("b", False)]
        await mark(alice, b, archived=True)
        archived = await phone.until("chat_list_update")
        assert ([one["title"] for one in archived["sessions"]], archived["total"]) == (["a"], 1)
        # To a client of the contract nothing is another than before.
        assert await other.settle() == []


# Search


async def find(person: Client, query: str) -> Any:
    answer = await person.get(f"/ai-chat/api/search/?{query}")
    assert answer.status == 200, answer.text
    return answer.body


async def test_words_are_found_in_titles_and_messages(alice: Client, bob: Client) -> None:
    session = await make(alice, title="Über Flüsse")
    turn = await say(alice, session, "Where does the Loire end?")
    await mark(alice, session, archived=True)
    found = await find(alice, "q=LOIRE%20end")
    prompt = turn["user_message"]
    assert found["messages"][-1] == {
        "session_id": session, "session_title": "Über Flüsse", "archived": True, "message_id": prompt["id"],
        "role": "user", "snippet": "Where does the Loire end?", "created_at": prompt["created_at"], "in_view": True,
    }  # fmt: skip
    assert {**found, "messages": []} == {"sessions": [], "messages": [], "has_more": False, "complete": True}
    [named] = (await find(alice, "q=uber"))["sessions"]
    assert named == session_shown(id=session, title="Über Flüsse", message_count=2, pinned=False, archived=True)
    nothing = {"sessions": [], "messages": [], "has_more": False, "complete": True}
    assert await find(bob, "q=loire") == await find(alice, "q=%00%FF%22*") == nothing
    assert (await alice.delete(f"{SESSIONS}{session}/")).status == 204
    assert await find(alice, "q=loire") == await find(alice, "q=uber") == nothing
    assert (await alice.get("/ai-chat/api/search/")).status == 400
    assert (await alice.get("/ai-chat/api/search/?q=x&limit=101")).status == 400


# Prompts taken back, and branches


async def branches(person: Client, session: str) -> Any:
    answer = await person.get(f"{SESSIONS}{session}/branches/")
    assert answer.status == 200, answer.text
    return answer.body


async def until_snapshot(device: Socket) -> list[str]:
    """What a device shows once it has heard that it is another story."""
    assert not (await device.until("resumed"))["recovered"]
    snapshot = await device.expect("snapshot")
    heard = snapshot["reply"]["content"]
    # A worker that does not make the reply may hear of its text a moment later.
    while heard != FIRST_PIECE:
        heard += (await device.expect("ai_message_chunk"))["content"]
    return [message["content"] for message in snapshot["session"]["messages"]]


async def test_prompt_that_waits_is_taken_back_for_all_devices(alice: Client) -> None:
    session = await make(alice)
    async with enter(alice, session) as phone, enter(alice, session) as laptop:
        await phone.say(STALLED)
        for device in (phone, laptop):
            await device.until("ai_message_chunk")
        await phone.say("never mind", client_message_id="k-1")
        waiting = (await laptop.until("user_message", client_message_id="k-1"))["message"]["id"]
        [running, queued] = (await branches(alice, session))["open_replies"]
        assert (running["status"], queued["status"], queued["prompt_id"]) == ("running", "queued", waiting)
        path = f"{SESSIONS}{session}/messages/{waiting}/take_back/"
        assert (await alice.send("POST", path)).body == {"message_id": waiting, "content": "never mind"}
        assert await until_snapshot(phone) == await until_snapshot(laptop) == [STALLED]
        assert [event["type"] for event in phone.heard if event["type"] == "error"] == []
        assert said(await read_messages(alice, session)) == [("user", STALLED)]
        refused = await alice.having(Accept_Language="de").send("POST", path)
        assert refused.status == 404
        # The one that runs is not taken back, but stopped; and none is answered after it.
        prompt = running["prompt_id"]
        refused = await alice.having(Accept_Language="it").send("POST", path.replace(waiting, prompt))
        assert (refused.status, "turno" in refused.body["detail"]) == (409, True)
        await laptop.send("stop", message_id=running["message_id"])
        assert (await phone.until("ai_typing_stop"))["reason"] == "stopped"
        assert await phone.settle() == []
    assert await branches(alice, session) == {"branches": [], "open_replies": [], "silent_replies": []}


@pytest.mark.parametrize("stream", [False, True])
async def test_request_whose_message_is_taken_back_is_told_so(alice: Client, stream: bool) -> None:
    session = await make(alice)
    async with enter(alice, session) as device:
        await device.say(STALLED)
        await device.until("ai_message_chunk")
        german = alice.having(Accept_Language="de")
        asking = asyncio.create_task(german.post(f"{SESSIONS}{session}/send_message/", message="wait", stream=stream))
        waiting = (await device.until("user_message"))["message"]["id"]
        taken = await alice.send("POST", f"{SESSIONS}{session}/messages/{waiting}/take_back/")
        assert taken.status == 200
        told = await asking
        assert told.status == (200 if stream else 409)
        assert "ckgenommen" in told.text
        await device.send("stop")
        await device.until("ai_typing_stop")


async def test_stop_takes_nothing_back(alice: Client) -> None:
    session = await make(alice)
    async with enter(alice, session) as device:
        await device.say(STALLED)
        await device.until("ai_message_chunk")
        await device.say("wait for me", client_message_id="k-1")
        await device.until("user_message", client_message_id="k-1")
        [_, queued] = (await branches(alice, session))["open_replies"]
        for waiting in (queued["message_id"], queued["prompt_id"]):
            await device.send("stop", message_id=waiting)
            refused = await device.until("error")
            assert (refused["code"], refused["message_id"]) == ("not_running", waiting)
        assert (await branches(alice, session))["open_replies"][1] == queued


async def test_branches_of_a_whole_session_are_told_at_once(alice: Client, bob: Client) -> None:
    session = await make(alice)
    turn = await say(alice, session, "hello")
    async with enter(alice, session) as device:
        await device.send("regenerate")
        beside = (await device.until("ai_message_complete"))["message_id"]
    told = {
        "message_id": beside,
        "parent_id": turn["user_message"]["id"],
        "siblings": [turn["ai_message"]["id"], beside],
    }
    assert await branches(alice, session) == {"branches": [told], "open_replies": [], "silent_replies": []}
    assert (await bob.get(f"{SESSIONS}{session}/branches/")).status == 404


async def test_reply_that_was_stopped_before_its_first_word_is_told_to_be_so_afterwards(alice: Client) -> None:
    session = await make(alice)
    async with enter(alice, session) as device:
        await device.say("[[fault=no-first-byte]]")
        prompt = (await device.until("user_message"))["message"]["id"]
        reply = (await device.until("ai_typing"))["message_id"]
        await device.send("stop")
        await device.until("ai_typing_stop", reason="stopped")
    assert (await branches(alice, session))["silent_replies"] == [
        {"message_id": reply, "prompt_id": prompt, "status": "stopped"}
    ]
