"""What ai_chat has beyond its page: marks, search, branches at a glance, prompts taken back."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.contracts.talking import SESSIONS, UNKNOWN, make, say, session_shown
from tests.journeys.client import Client, open_client, register
from tests.journeys.socket import open_list
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
    said = turn["user_message"]
    assert found["messages"][-1] == {
        "session_id": session, "session_title": "Über Flüsse", "archived": True, "message_id": said["id"],
        "role": "user", "snippet": "Where does the Loire end?", "created_at": said["created_at"], "in_view": True,
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
