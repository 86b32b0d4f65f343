"""Our own API for people: groups, edits, blocks, presence, and a bot that was invited."""

import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from tests.contracts.persons import PEOPLE, Person, new_person
from tests.journeys.client import TIME, UUID4, Client, Shaped, ask_until
from tests.journeys.socket import enter, open_list, said_by
from tests.parts.llm import LLM
from tests.parts.palaver import Server

# Each test finds the model as nobody has told it anything.
pytestmark = pytest.mark.usefixtures("llm")


@pytest.fixture(scope="module")
def server_environment(scaled: Mapping[str, str]) -> Mapping[str, str]:
    return {"PALAVER_REGISTRATION": "on", "PALAVER_LLM_TRIES": "1", **scaled}


@pytest.fixture
async def ana(nobody: Client) -> Person:
    return await new_person(nobody)


@pytest.fixture
async def ben(nobody: Client) -> Person:
    return await new_person(nobody)


@pytest.fixture(scope="module")
async def carl(nobody: Client) -> Person:
    return await new_person(nobody)


@pytest.fixture(scope="module")
async def dora(nobody: Client) -> Person:
    return await new_person(nobody)


@pytest.fixture
async def pair(ana: Person, ben: Person) -> str:
    return await ana.make(ben)


@pytest.fixture
async def group(ana: Person, ben: Person, carl: Person) -> str:
    """Ana manages it."""
    return await ana.make(ben, carl, title="Walkers")


def names(shown: Any) -> list[str]:
    return [member["username"] for member in shown["members"]]


async def test_pair_and_group_are_shown_to_who_is_in_them(ana: Person, ben: Person, carl: Person, group: str) -> None:
    pair = await ana.make(ben)
    assert await ben.make(ana) == pair
    person = {"full_name": "", "present": Shaped(bool)}
    assert await ben.see(group) == {
        "id": UUID4,
        "kind": "group",
        "title": "Walkers",
        "members": [
            {"id": ana.id, "username": ana.name, **person, "manages": True, "read_number": 0},
            {"id": ben.id, "username": ben.name, **person, "manages": False, "read_number": 0},
            {"id": carl.id, "username": carl.name, **person, "manages": False, "read_number": 0},
        ],
        "bot": None,
        "status": "active",
        "blocked": False,
        "muted": False,
        "unread_count": 0,
        "last_message": None,
        "created_at": TIME,
        "last_activity": TIME,
    }
    message = await ana.tell(group, "Who comes?", client_message_id="k")
    await ana.tell(pair, "And you?")
    listed = (await ben.client.get(PEOPLE)).body
    assert [(one["id"], one["kind"], one["unread_count"]) for one in listed["conversations"]] == [
        (pair, "pair", 1),
        (group, "group", 1),
    ]
    assert (listed["has_more"], listed["unread_total"]) == (False, 2)
    assert listed["conversations"][1]["last_message"] == {
        "id": message,
        "number": 1,
        "sender": {"id": ana.id, "username": ana.name},
        "role": "user",
        "content": "Who comes?",
        "created_at": TIME,
        "edited_at": None,
        "removed": False,
        "status": "complete",
        "client_message_id": "k",
    }


async def test_contract_knows_no_groups(ana: Person, group: str) -> None:
    assert (await ana.say(group, "hi")).status == 404
    assert (await ana.client.get(f"/api/v1/connections/{group}")).status == 404
    assert (await ana.client.get("/api/v1/connections")).body["connections"] == []


async def test_who_manages_invites_removes_and_renames(
    ana: Person, ben: Person, carl: Person, dora: Person, group: str
) -> None:
    path = f"{PEOPLE}/{group}"
    for method, where, body in (
        ("POST", f"{path}/members", {"members": [dora.name]}),
        ("DELETE", f"{path}/members/{carl.id}", None),
        ("PATCH", path, {"title": "Mine"}),
    ):
        assert (await ben.client.send(method, where, body)).status == 403
        assert (await dora.client.send(method, where, body)).status == 404
    before = await ana.tell(group, "before she came")
    invited = await ana.client.post(f"{path}/members", members=[dora.id, ben.name])
    assert names(invited.body) == [ana.name, ben.name, carl.name, dora.name]
    assert (await dora.see(group))["unread_count"] == 0
    assert [one["id"] for one in await dora.history(group)] == [before]
    assert (await ana.client.patch(path, title="  Runners ")).body["title"] == "Runners"
    assert (await ana.client.delete(f"{path}/members/{dora.name}")).status == 204
    assert (await ana.client.delete(f"{path}/members/{dora.name}")).status == 404
    assert (await dora.client.get(path)).status == 404
    unknown = await ana.client.post(f"{path}/members", members=["nobody-of-that-name"])
    assert unknown.status == 404
    # Who comes again starts anew.
    await ana.tell(group, "while she was away")
    await ana.client.post(f"{path}/members", members=[dora.id])
    assert (await dora.see(group))["unread_count"] == 0


async def test_others_can_manage_it_too(ana: Person, ben: Person, carl: Person, dora: Person, group: str) -> None:
    path = f"{PEOPLE}/{group}"
    assert (await ben.client.patch(f"{path}/members/{ben.name}", manages=True)).status == 403
    assert (await ana.client.patch(f"{path}/members/{dora.name}", manages=True)).status == 404
    shown = (await ana.client.patch(f"{path}/members/{ben.name}", manages=True)).body
    assert [member["manages"] for member in shown["members"]] == [True, True, False]
    assert (await ben.client.patch(f"{path}/members/{ana.id}", manages=False)).status == 200
    last = await ben.client.patch(f"{path}/members/{ben.id}", manages=False)
    assert (last.status, last.body["detail"][0]["loc"]) == (422, ["body", "manages"])
    assert [member["manages"] for member in (await carl.see(group))["members"]] == [False, True, False]


async def test_group_goes_on_without_who_began_it(ana: Person, ben: Person, carl: Person, group: str) -> None:
    path = f"{PEOPLE}/{group}"
    assert (await ana.client.send("POST", f"{path}/leave", {})).status == 204
    shown = await ben.see(group)
    assert [(member["username"], member["manages"]) for member in shown["members"]] == [
        (ben.name, True),
        (carl.name, False),
    ]
    await carl.tell(group, "still here")
    assert (await ben.client.delete(f"{path}/members/{carl.name}")).status == 204
    assert (await ben.client.send("POST", f"{path}/leave", {})).status == 204
    for person in (ana, ben, carl):
        assert (await person.client.get(path)).status == 404


async def test_pair_is_neither_left_nor_joined(ana: Person, ben: Person, carl: Person, pair: str) -> None:
    path = f"{PEOPLE}/{pair}"
    for method, where, body in (
        ("POST", f"{path}/leave", {}),
        ("POST", f"{path}/members", {"members": [carl.name]}),
        ("DELETE", f"{path}/members/{ben.name}", None),
        ("PATCH", path, {"title": "Us"}),
    ):
        assert (await ana.client.send(method, where, body)).status == 404
    assert (await ana.client.send("POST", f"{path}/end", {})).body["status"] == "ended"
    assert (await ben.client.post(f"{path}/messages", content="hello?")).status == 409


async def test_group_is_not_ended(ana: Person, group: str) -> None:
    assert (await ana.client.send("POST", f"{PEOPLE}/{group}/end", {})).status == 404


async def test_only_who_wrote_it_edits_and_removes_a_message(ana: Person, ben: Person, pair: str) -> None:
    message = await ana.tell(pair, "frist", client_message_id="k")
    path = f"{PEOPLE}/{pair}/messages/{message}"
    assert (await ben.client.patch(path, content="mine")).status == 404
    assert (await ben.client.delete(path)).status == 404
    assert (await ana.client.patch(path, content="  ")).status == 422
    edited = (await ana.client.patch(path, content="first")).body
    assert (edited["content"], edited["edited_at"], edited["number"]) == ("first", TIME, 1)
    # Sent once more it is still the same message.
    assert await ana.tell(pair, "frist", client_message_id="k") == message
    assert (await ben.see(pair))["unread_count"] == 1
    for _ in range(2):
        removed = (await ana.client.delete(path)).body
        assert (removed["content"], removed["removed"], removed["edited_at"]) == ("", True, None)
    assert (await ben.see(pair))["unread_count"] == 0
    assert [(one["content"], one["removed"]) for one in await ben.history(pair)] == [("", True)]
    assert (await ana.client.patch(path, content="again")).status == 404
    await ana.client.send("POST", f"{PEOPLE}/{pair}/end", {})


async def test_block_holds_in_pairs_and_against_invitations(
    ana: Person, ben: Person, carl: Person, group: str, pair: str
) -> None:
    assert (await ana.client.send("POST", f"/api/people/blocks/{ben.name}", {})).status == 204
    blocks = (await ana.client.get("/api/people/blocks")).body["blocks"]
    assert [(one["id"], one["username"], one["since"]) for one in blocks] == [(ben.id, ben.name, TIME)]
    assert ((await ana.see(pair))["blocked"], (await ben.see(pair))["blocked"]) == (True, False)
    for person in (ana, ben):
        assert (await person.client.post(f"{PEOPLE}/{pair}/messages", content="hi")).status == 403
        # In a group that both are in, they go on hearing each other.
        await person.tell(group, "hi all")
    assert (await carl.see(group))["unread_count"] >= 2
    for one, other in ((ana, ben), (ben, ana)):
        made = await one.client.post(PEOPLE, members=[other.name], title="Trap")
        assert made.status == 403
    assert (await ana.client.delete(f"/api/people/blocks/{ben.id}")).status == 204
    await ben.tell(pair, "hi")
    assert (await ana.client.send("POST", f"/api/people/blocks/{ana.name}", {})).status == 422
    assert (await ana.client.send("POST", "/api/people/blocks/nobody-of-that-name", {})).status == 404


async def test_mute_is_ones_own(ana: Person, ben: Person, group: str) -> None:
    assert (await ben.client.patch(f"{PEOPLE}/{group}", muted=True)).body["muted"] is True
    assert (await ana.see(group))["muted"] is False
    await ana.tell(group, "psst")
    listed = (await ben.client.get(PEOPLE)).body
    assert (listed["conversations"][0]["unread_count"], listed["unread_total"]) == (1, 0)
    assert (await ben.client.patch(f"{PEOPLE}/{group}", muted=False)).body["muted"] is False


async def test_presence_is_shown_unless_somebody_does_not_want_it(ana: Person, ben: Person, pair: str) -> None:
    def present(shown: Any) -> Any:
        return {member["username"]: member["present"] for member in shown["members"]}[ben.name]

    async with open_list(ben.client) as listing:
        await listing.expect("chat_list_update")
        path = f"{PEOPLE}/{pair}"
        await ask_until(lambda: ana.client.get(path), lambda answer: present(answer.body) is True, seconds=40)
    me = await ben.client.patch("/api/people/me", shows_presence=False)
    assert me.body == {"id": ben.id, "username": ben.name, "full_name": "", "shows_presence": False}
    assert present(await ana.see(pair)) is None
    assert (await ben.client.get("/api/people/me")).body["shows_presence"] is False


async def test_message_that_is_too_long_or_blank_is_refused(ana: Person, pair: str) -> None:
    path = f"{PEOPLE}/{pair}/messages"
    for content in ("", "  ", "x" * 10_001, None, 7):
        refused = await ana.client.post(path, content=content)
        assert (refused.status, refused.body["detail"][0]["loc"]) == (422, ["body", "content"])
    assert (await ana.client.post(path, content="x" * 10_000)).status == 200


async def test_erasing_somebody_shuts_the_talk_of_two_and_leaves_the_group(
    ana: Person, ben: Person, carl: Person, admin: Client, pair: str, group: str
) -> None:
    for where in (pair, group):
        await ben.tell(where, "wordofben")
    async with enter(ana.client, pair) as two, enter(carl.client, group) as several:
        assert (await admin.delete(f"/api/admin/users/{ben.id}")).status == 204
        assert await two.closed() == 4004
        snapshot = await several.until("snapshot")
        assert [one["content"] for one in snapshot["session"]["messages"]] == [""]
    assert (await ana.client.get(f"{PEOPLE}/{pair}")).status == 404
    shown = await ana.see(group)
    assert (names(shown), shown["unread_count"]) == ([ana.name, carl.name], 0)
    assert "wordofben" not in str(await ana.history(group))


async def test_application_has_groups_of_its_users(nobody: Client, shared_server: Server, ana: Person) -> None:
    app = f"app-{uuid.uuid4().hex[:8]}"
    await shared_server.cli("app", "add", app)
    client = nobody.bearing((await shared_server.cli("token", "create", "--app", app)).strip())
    made = await client.post(f"{PEOPLE}?user_id=u-1", members=["u-2", "u-3"], title="Shoppers")
    assert [(member["id"], member["username"]) for member in made.body["members"]] == [
        ("u-1", "u-1"),
        ("u-2", "u-2"),
        ("u-3", "u-3"),
    ]
    path = f"{PEOPLE}/{made.body['id']}"
    said = await client.post(f"{path}/messages?user_id=u-2", content="hi")
    assert said.body["sender"] == {"id": "u-2", "username": "u-2"}
    assert (await client.get(f"{path}?user_id=u-3")).body["unread_count"] == 1
    assert (await client.post(f"{path}/members?user_id=u-1", members=["u-4"])).status == 200
    assert (await client.delete(f"{path}/members/u-3?user_id=u-1")).status == 204
    missing = await client.get(path)
    assert (missing.status, missing.body["detail"][0]["loc"]) == (422, ["query", "user_id"])
    for stranger in ("u-3", "never-mentioned", ana.name):
        assert (await client.get(f"{path}?user_id={stranger}")).status == 404
    # Nobody of the application is to be found by its name.
    assert (await ana.client.post(PEOPLE, members=["u-1"])).status == 404


async def test_refused_request_makes_no_users(nobody: Client, shared_server: Server) -> None:
    app = f"app-{uuid.uuid4().hex[:8]}"
    await shared_server.cli("app", "add", app)
    client = nobody.bearing((await shared_server.cli("token", "create", "--app", app)).strip())
    made = await client.post(f"{PEOPLE}?user_id=boss", members=["eve", "new", "new"], title="Us")
    assert [member["id"] for member in made.body["members"]] == ["boss", "eve", "new"]
    blocked = await client.send("POST", "/api/people/blocks/eve?user_id=new", {})
    path = f"{PEOPLE}/{made.body['id']}/members"
    many = [f"u-{number}" for number in range(100)]
    full = await client.post(f"{PEOPLE}?user_id=u-maker", members=many)
    managing = await client.post(f"{path}?user_id=eve", members=["u-late"])
    trapped = await client.post(f"{PEOPLE}?user_id=eve", members=["new", "u-trapped"], title="Trap")
    reached = await client.post("/api/v1/connections", user1_id="eve", user2_id="new")
    oneself = await client.post(f"{PEOPLE}?user_id=u-alone", members=["u-alone"])
    statuses = [answer.status for answer in (blocked, full, managing, trapped, reached, oneself)]
    assert statuses == [204, 422, 403, 403, 403, 422]
    for name in (*many[::33], "u-maker", "u-late", "u-trapped", "u-alone"):
        # Who is not there is not found, whoever asks for them.
        assert (await client.get(f"{PEOPLE}/{made.body['id']}?user_id={name}")).status == 404
        assert (await client.delete(f"/api/people/blocks/{name}?user_id=boss")).status == 404


# A bot that was invited


async def invite(person: Person, conversation: str, **settings: Any) -> str:
    """The name by which the bot of a new preset is mentioned."""
    name = f"helper-{uuid.uuid4().hex[:8]}"
    preset = await person.client.post("/ai-chat/api/presets/", name=name, system_prompt="You help.", **settings)
    assert preset.status == 201, preset.text
    changed = await person.client.patch(f"{PEOPLE}/{conversation}", preset_id=preset.body["id"])
    assert (changed.status, changed.body["bot"]["slug"]) == (200, name)
    assert changed.body["bot"] == {"preset_id": preset.body["id"], "slug": name, "name": name}
    return name


async def test_bot_answers_where_it_is_mentioned_and_nowhere_else(
    ana: Person, ben: Person, carl: Person, group: str, llm: LLM
) -> None:
    bot = await invite(ana, group)
    async with enter(ben.client, group) as his:
        await ana.tell(group, "Shall we ask the helper?")
        await his.until("user_message")
        await carl.tell(group, f"@{bot}x is somebody else")
        await his.until("user_message")
        assert await llm.record() == []
        message = await ben.tell(group, f"@{bot.upper()}: where to?")
        assert (await his.expect("user_message"))["message"]["id"] == message
        events = await his.turn()
        assert [event["type"] for event in events if event["type"] != "ai_message_chunk"] == [
            "ai_typing",
            "ai_message_complete",
            "ai_typing_stop",
        ]
        answer = next(event["message"] for event in events if event["type"] == "ai_message_complete")
        assert said_by(events) == answer["content"]
    [heard] = await llm.record()
    assert [(one["role"], one["content"]) for one in heard.body["messages"]] == [
        ("system", "You help."),
        ("user", f"{ana.name}: Shall we ask the helper?"),
        ("user", f"{carl.name}: @{bot}x is somebody else"),
        ("user", f"{ben.name}: @{bot.upper()}: where to?"),
    ]
    history = await carl.history(group)
    assert (history[-1]["role"], history[-1]["sender"], history[-1]["content"]) == (
        "assistant",
        None,
        answer["content"],
    )
    # Who mentioned it pays.
    for person, turns in ((ben, 1), (ana, 0)):
        assert (await person.client.get("/api/usage/days?from=2020-01-01")).body["total"]["turns"] == turns


async def test_bot_is_stopped_by_anybody_who_is_there(ana: Person, ben: Person, group: str, llm: LLM) -> None:
    bot = await invite(ana, group)
    async with enter(ben.client, group) as his:
        await ana.tell(group, f"@{bot} [[text=one two three&pieces=3&fault=stall&after=1]]")
        await his.until("ai_message_chunk")
        # People go on talking meanwhile, and a second mention waits for its turn.
        await ben.tell(group, "hurry up")
        await his.until("user_message")
        await ben.tell(group, f"@{bot} and me?")
        await his.until("user_message")
        stopped = await ben.client.send("POST", f"{PEOPLE}/{group}/stop", {})
        assert stopped.body == {"stopped": True}
        event = await his.until("ai_message_stopped")
        assert event["message"]["content"] == "one "
        await his.until("ai_message_complete")
        await his.until("ai_typing_stop", reason="complete")
    second = (await llm.record())[-1].body["messages"]
    assert [one["content"] for one in second[-3:]] == ["one ", f"{ben.name}: hurry up", f"{ben.name}: @{bot} and me?"]
    assert (await ben.client.send("POST", f"{PEOPLE}/{group}/stop", {})).body == {"stopped": False}


async def test_bot_is_invited_by_who_manages_and_sent_away(
    ana: Person, ben: Person, dora: Person, group: str, llm: LLM
) -> None:
    refused = await ben.client.patch(f"{PEOPLE}/{group}", preset_id=1)
    assert refused.status == 403
    private = await dora.client.post("/ai-chat/api/presets/", name=f"p{uuid.uuid4().hex}", system_prompt="Mine.")
    hidden = await ana.client.patch(f"{PEOPLE}/{group}", preset_id=private.body["id"])
    assert hidden.status == 404
    both = await ana.client.patch(f"{PEOPLE}/{group}", preset_id=private.body["id"], title="Not this", muted=True)
    shown = await ana.see(group)
    assert (both.status, shown["title"], shown["muted"]) == (404, "Walkers", False)
    bot = await invite(ana, group)
    assert (await ana.client.send("PATCH", f"{PEOPLE}/{group}", {"preset_id": None})).body["bot"] is None
    await ana.tell(group, f"@{bot}?")
    assert await llm.record() == []


async def test_failed_bot_takes_nothing_from_what_was_said(ana: Person, ben: Person, group: str) -> None:
    bot = await invite(ana, group)
    async with enter(ben.client, group) as his:
        message = await ana.tell(group, f"@{bot} [[text=one&fault=500]]")
        await his.until("user_message")
        await his.until("ai_typing_stop", reason="failed")
    assert [one["id"] for one in await ben.history(group)] == [message]


async def test_whoever_asked_the_bot_on_a_socket_is_told_that_it_failed(ana: Person, ben: Person, group: str) -> None:
    bot = await invite(ana, group)
    async with enter(ana.client, group) as hers, enter(ben.client, group) as his:
        await hers.say(f"@{bot} [[text=one&fault=500]]", client_message_id="k")
        [_, typing, error, _] = await hers.turn()
        assert (error["type"], error["code"], error["client_message_id"]) == ("error", "bot_unavailable", "k")
        assert error["message_id"] == typing["message_id"]
        assert [event["type"] for event in await his.turn()] == ["user_message", "ai_typing", "ai_typing_stop"]


async def test_list_tells_who_asked_the_bot_that_it_has_answered_though_others_look(
    ana: Person, ben: Person, carl: Person, group: str
) -> None:
    bot = await invite(ana, group)
    async with enter(carl.client, group) as carls, open_list(ben.client) as his, open_list(ana.client) as hers:
        for socket in (his, hers):
            await socket.expect("chat_list_update")
        await ben.tell(group, f"@{bot} where to?")
        answer = next(one["message"] for one in await carls.turn() if one["type"] == "ai_message_complete")
        told = await his.until("notification")
        assert (told["kind"], told["session_id"], told["message_id"]) == ("reply", group, answer["id"])
        assert told["sender"] is None
        assert (told["preview"], told["unread_count"]) == (answer["content"][:120], 0)
        await hers.until("notification", kind="message")
        await hers.settle()
        assert "reply" not in [one.get("kind") for one in hers.heard]


async def test_no_bot_comes_between_two(ana: Person, ben: Person, pair: str, llm: LLM) -> None:
    for language, words in (("en", "group only"), ("de", "nur in eine Gruppe"), ("it", "solo in un gruppo")):
        asking = ana.client.sending({"Accept-Language": language})
        refused = await asking.patch(f"{PEOPLE}/{pair}", preset_id=1, muted=True)
        [problem] = refused.body["detail"]
        assert (refused.status, problem["loc"]) == (422, ["body", "preset_id"])
        assert words in problem["msg"]
    shown = await ana.see(pair)
    assert (shown["bot"], shown["muted"]) == (None, False)
    await ben.tell(pair, "@general hello")
    assert [one["sender_id"] for one in (await ben.messages(pair))["messages"]] == [ben.id]
    assert await llm.record() == []
