"""What presets have beyond the pages of ai_chat, chatify and chat_flow, and that it is the same preset in all three:
shared with people, kept as versions, complete in its settings, and answering equal questions once."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.contracts.talking import SESSIONS, make, message_shown, read, read_messages, say
from tests.journeys.client import TEXT, TIME, WHOLE, Answer, Client, new_name, register
from tests.parts.llm import LLM
from tests.parts.metrics import scrape, scrape_until

PRESETS = "/ai-chat/api/presets/"
PERSONALITIES = "/api/v1/personalities/"
UNKNOWN = 999_999_999

# Each test finds the model as nobody has told it anything.
pytestmark = pytest.mark.usefixtures("llm")

Fields = dict[str, Any]

DEFAULTS: Fields = {
    "provider": None, "collection": None,
    "model_name": None, "temperature": 0.7, "max_tokens": None, "presence_penalty": None, "frequency_penalty": None,
    "enable_tools": True, "window": None, "token_budget": None, "caches_answers": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_REGISTRATION": "on", "PALAVER_LLM_TRIES": "1", "LLM_DEFAULT_MODEL": "gpt-4"}


@pytest.fixture(scope="module")
async def carol(nobody: Client) -> Client:
    return await register(nobody)


@pytest.fixture
async def preset(alice: Client) -> Fields:
    """Alice's, and nobody else's."""
    return await make_preset(alice)


async def make_preset(person: Client, **fields: Any) -> Fields:
    answer = await person.post(PRESETS, **{"name": new_name(), "system_prompt": "You advise.", **fields})
    assert answer.status == 201, answer.text
    made: Fields = answer.body
    return made


def at(preset: Fields | int, place: str = "") -> str:
    return f"{PRESETS}{preset if isinstance(preset, int) else preset['id']}/{place}"


async def username(person: Client) -> str:
    session = await read(person, await make(person))
    return str(session["user"]["username"])


async def share(person: Client, preset: Fields, *people: Client) -> list[str]:
    names = [await username(one) for one in people]
    answer = await person.send("PUT", at(preset, "shares/"), {"usernames": names})
    assert answer.status == 200, answer.text
    assert answer.body == {"usernames": sorted(names, key=str.casefold)}
    return names


async def change_settings(person: Client, path: str, **fields: Any) -> Fields:
    answer = await person.patch(path, **fields)
    assert answer.status == 200, answer.text
    body: Fields = answer.body
    return body


async def start_from(person: Client, preset: Fields) -> str:
    answer = await person.send("POST", at(preset, "create_session_from_preset/"))
    assert answer.status == 201, answer.text
    return str(answer.body["id"])


def told(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.text


# Sharing


def uses_of(preset: int, slug: str) -> list[tuple[str, str, object]]:
    """Each way of reading or using one preset."""
    return [
        ("GET", at(preset), None),
        ("GET", at(preset, "settings/"), None),
        ("POST", at(preset, "create_session_from_preset/"), {}),
        ("GET", f"{PERSONALITIES}{slug}", None),
        ("POST", "/api/chat/start", {"context_id": preset, "initial_message": "hi", "provider": "dummy"}),
    ]


def changes_of(preset: int, slug: str) -> list[tuple[str, str, object]]:
    """Each way of changing one, or of seeing what is its maker's alone."""
    return [
        ("PATCH", at(preset), {"description": "mine now"}),
        ("PUT", at(preset), {"description": "mine now"}),
        ("DELETE", at(preset), None),
        ("PATCH", at(preset, "settings/"), {"window": 3}),
        ("GET", at(preset, "shares/"), None),
        ("PUT", at(preset, "shares/"), {"usernames": []}),
        ("GET", at(preset, "versions/"), None),
        ("GET", at(preset, "versions/1/"), None),
        ("POST", at(preset, "rollback/"), {"version": 1}),
        ("PUT", f"{PERSONALITIES}{slug}", {"title": "mine now"}),
        ("DELETE", f"{PERSONALITIES}{slug}", None),
    ]


async def lists_of(person: Client, preset: Fields, slug: str) -> list[bool]:
    """Whether each API lists it."""
    return [
        preset["id"] in [one["id"] for one in (await person.get(PRESETS)).body],
        slug in [one["id"] for one in (await person.get(PERSONALITIES)).body],
        slug in (await person.get("/api/v1/chatbot/personalities")).body["personalities"],
        preset["id"] in [one["id"] for one in (await person.get("/api/chat/contexts")).body],
    ]


async def template_of(person: Client, slug: str) -> str:
    """The template that a session of chatify really begins with."""
    made = await person.post("/api/v1/chatbot/session", user_id="u", template_id=slug)
    state = await person.get(f"/api/v1/chatbot/session/{made.body['session_id']}")
    return str(state.body["template_id"])


async def test_those_a_preset_is_shared_with_use_it_in_every_api_and_change_nothing(
    alice: Client, bob: Client, carol: Client, preset: Fields
) -> None:
    slug = preset["name"].lower()
    await share(alice, preset, bob)
    for person, sees in ((alice, True), (bob, True), (carol, False)):
        assert await lists_of(person, preset, slug) == [sees] * 4
        assert await template_of(person, slug) == (slug if sees else "general")
    for method, path, body in uses_of(preset["id"], slug):
        assert (await bob.send(method, path, body)).status in (200, 201), path
    assert (await bob.get(at(preset))).body == preset
    for method, path, body in changes_of(preset["id"], slug):
        answer = await bob.send(method, path, body)
        assert answer.status == 403, path
        assert list(answer.body) == ["detail"]
    assert (await alice.get(at(preset))).body == preset


async def test_admin_who_lists_presets_as_a_user_is_not_shown_what_others_keep_to_themselves(
    alice: Client, admin: Client, preset: Fields
) -> None:
    async def seen(query: str) -> set[int]:
        return {one["id"] for one in (await admin.get(f"{PRESETS}{query}")).body}

    all_that_there_is = await seen("")
    assert preset["id"] in all_that_there_is
    as_user = await seen("?as_user=1")
    assert as_user < all_that_there_is
    assert preset["id"] not in as_user
    await share(alice, preset, admin)
    assert await seen("?as_user=1") == as_user | {preset["id"]}


async def test_to_everybody_else_a_shared_preset_is_as_one_that_never_was(
    alice: Client, bob: Client, carol: Client, preset: Fields
) -> None:
    slug = preset["name"].lower()
    await share(alice, preset, bob)
    there = uses_of(preset["id"], slug) + changes_of(preset["id"], slug)
    never = uses_of(UNKNOWN, "never-was") + changes_of(UNKNOWN, "never-was")
    for (method, path, body), (_, other_path, other_body) in zip(there, never, strict=True):
        got = await carol.send(method, path, body)
        assert told(got) == told(await carol.send(method, other_path, other_body)), path
        assert got.status in (400, 404)


async def test_unshared_preset_is_lost_at_once_and_what_began_with_it_stays(
    alice: Client, bob: Client, carol: Client, preset: Fields
) -> None:
    slug = preset["name"].lower()
    await share(alice, preset, bob, carol)
    session = await start_from(bob, preset)
    await share(alice, preset, carol)
    assert await lists_of(bob, preset, slug) == [False] * 4
    for method, path, body in uses_of(preset["id"], slug):
        assert (await bob.send(method, path, body)).status in (400, 404), path
    assert await lists_of(carol, preset, slug) == [True] * 4
    assert (await read(bob, session))["messages"][0]["content"] == "You advise."
    assert (await say(bob, session))["success"]


async def test_admin_shares_what_others_made_and_nothing_of_the_servers_own(
    alice: Client, bob: Client, admin: Client, preset: Fields
) -> None:
    names = await share(admin, preset, bob)
    assert (await alice.get(at(preset, "shares/"))).body == {"usernames": names}
    # The maker sees it anyhow.
    await alice.send("PUT", at(preset, "shares/"), {"usernames": [await username(alice)]})
    assert (await alice.get(at(preset, "shares/"))).body == {"usernames": []}
    for built_in in (1, 2):
        refused = await admin.send("PUT", at(built_in, "shares/"), {"usernames": names})
        assert refused.status == 400
        assert refused.body == {"usernames": [TEXT]}


@pytest.mark.parametrize(
    "names",
    [None, "bob", ["no such person"], [7], [""], ["x" * 255], ["a"] * 101, {}],
    ids=["absent", "one", "unknown", "number", "blank", "long", "many", "object"],
)
async def test_names_that_cannot_be_shared_with_are_400_and_change_nothing(
    alice: Client, bob: Client, preset: Fields, names: object
) -> None:
    shared = await share(alice, preset, bob)
    answer = await alice.send("PUT", at(preset, "shares/"), {} if names is None else {"usernames": names})
    assert answer.status == 400
    assert answer.body == {"usernames": [TEXT]}
    assert (await alice.get(at(preset, "shares/"))).body == {"usernames": shared}


async def test_unknown_name_is_told_in_the_readers_language_and_not_repeated(alice: Client, preset: Fields) -> None:
    said = []
    for language in ("en", "de", "it"):
        answer = await alice.having(Accept_Language=language).send(
            "PUT", at(preset, "shares/"), {"usernames": ["no-such-person"]}
        )
        said += answer.body["usernames"]
        assert "no-such-person" not in answer.text
    assert said == ["Unknown user name.", "Unbekannter Benutzername.", "Nome utente sconosciuto."]


# Versions


async def numbers(person: Client, preset: Fields) -> list[int]:
    return [one["number"] for one in (await person.get(at(preset, "versions/"))).body]


async def test_every_change_over_any_api_is_a_version_with_who_made_it(
    alice: Client, admin: Client, preset: Fields
) -> None:
    me = (await read(alice, await make(alice)))["user"]
    them = (await read(admin, await make(admin)))["user"]
    await alice.patch(at(preset), system_prompt="Second.", temperature=0.1)
    await alice.send("PUT", f"{PERSONALITIES}{preset['name'].lower()}", {"title": "Third", "tags": ["t"]})
    await admin.patch(f"/api/chat/contexts/{preset['id']}", window=4)
    await alice.patch(at(preset, "settings/"), presence_penalty=1.5)
    # Nothing of it is another now.
    await alice.patch(at(preset, "settings/"), presence_penalty=1.5)
    listed = (await alice.get(at(preset, "versions/"))).body
    assert listed == [
        {"number": 5, "created_at": TIME, "created_by": me},
        {"number": 4, "created_at": TIME, "created_by": them},
        {"number": 3, "created_at": TIME, "created_by": me},
        {"number": 2, "created_at": TIME, "created_by": me},
        {"number": 1, "created_at": preset["created_at"], "created_by": me},
    ]
    assert (await admin.get(at(preset, "versions/"))).body == listed
    assert (await alice.get(at(preset, "versions/?limit=1&offset=3"))).body == listed[3:4]
    first, last = [(await alice.get(at(preset, f"versions/{number}/"))).body for number in (1, 5)]
    assert first == {
        **listed[4],
        "name": preset["name"],
        "system_prompt": "You advise.",
        "title": preset["name"],
        "description": "",
        "category": "general",
        "welcome_message": "",
        "tags": [],
        "provider": None,
        "collection": None,
        "settings": DEFAULTS,
    }
    assert last == {
        **first,
        **listed[0],
        "system_prompt": "Second.",
        "title": "Third",
        "tags": ["t"],
        "settings": {**DEFAULTS, "temperature": 0.1, "window": 4, "presence_penalty": 1.5},
    }


async def test_rollback_is_a_new_version_with_the_old_content(alice: Client, bob: Client, preset: Fields) -> None:
    await share(alice, preset, bob)
    first = (await alice.get(at(preset, "versions/1/"))).body
    await alice.patch(at(preset), name=new_name(), system_prompt="Second.", temperature=0.1, max_tokens=9)
    await alice.patch(at(preset, "settings/"), token_budget=9, caches_answers=True)
    answer = await alice.post(at(preset, "rollback/"), version=1)
    assert answer.status == 200
    assert answer.body == {**first, "number": 4, "created_at": TIME}
    now = (await bob.get(at(preset))).body
    assert now == {**preset, "updated_at": answer.body["created_at"]}
    assert await numbers(alice, preset) == [4, 3, 2, 1]
    # And back again.
    assert (await alice.post(at(preset, "rollback/"), version="3")).body["settings"]["token_budget"] == 9
    # To what it is now is no change.
    assert (await alice.post(at(preset, "rollback/"), version=5)).body["number"] == 5


async def test_rollback_leaves_who_may_see_a_preset_as_it_is(alice: Client, bob: Client, preset: Fields) -> None:
    await alice.patch(at(preset), is_public=True, system_prompt="Seen by all.")
    await alice.patch(at(preset), is_public=False, system_prompt="Mine alone.")
    assert (await alice.post(at(preset, "rollback/"), version=2)).body["system_prompt"] == "Seen by all."
    assert (await alice.get(at(preset))).body["is_public"] is False
    assert (await bob.get(at(preset))).status == 404


async def test_rollbacks_at_once_are_a_version_each(alice: Client, admin: Client, preset: Fields) -> None:
    for text in ("Second.", "Third."):
        await alice.patch(at(preset), system_prompt=text)
    answers = await asyncio.gather(
        alice.post(at(preset, "rollback/"), version=1), admin.post(at(preset, "rollback/"), version=2)
    )
    assert [answer.status for answer in answers] == [200, 200]
    assert await numbers(alice, preset) == [5, 4, 3, 2, 1]
    said = [(await alice.get(at(preset, f"versions/{number}/"))).body["system_prompt"] for number in range(1, 6)]
    assert said[:3] == ["You advise.", "Second.", "Third."]
    assert sorted(said[3:]) == ["Second.", "You advise."]


@pytest.mark.parametrize("version", [None, 0, 2, -1, "x", True, 2**64])
async def test_rollback_to_no_version_is_400_and_changes_nothing(
    alice: Client, preset: Fields, version: object
) -> None:
    answer = await alice.send("POST", at(preset, "rollback/"), {"version": version})
    assert answer.status == 400
    assert answer.body == {"version": [TEXT]}
    assert await numbers(alice, preset) == [1]


async def test_rollback_to_a_name_that_is_taken_by_now_is_400(alice: Client, preset: Fields) -> None:
    await alice.patch(at(preset), name=new_name())
    await make_preset(alice, name=preset["name"])
    answer = await alice.post(at(preset, "rollback/"), version=1)
    assert (answer.status, answer.body) == (400, {"name": [TEXT]})
    assert await numbers(alice, preset) == [2, 1]


@pytest.mark.parametrize("number", ["0", "2", "x", "01", "9" * 30])
async def test_version_that_is_none_is_404(alice: Client, preset: Fields, number: str) -> None:
    assert (await alice.get(at(preset, f"versions/{number}/"))).status == 404


# Settings

ALL: Fields = {
    "provider": "openai", "collection": None,
    "model_name": "gpt-4", "temperature": 0.25, "max_tokens": 77, "presence_penalty": -1.5, "frequency_penalty": 2,
    "enable_tools": False, "window": 4, "token_budget": 5000, "caches_answers": True,
}  # fmt: skip
WRONG: list[tuple[str, object]] = [
    ("temperature", 2.1), ("temperature", -0.1), ("max_tokens", 0), ("presence_penalty", 2.01),
    ("presence_penalty", "x"), ("frequency_penalty", -2.01), ("frequency_penalty", True), ("window", 201),
    ("window", -1), ("token_budget", 0), ("enable_tools", "yes"), ("caches_answers", 1), ("model_name", "m" * 101),
]  # fmt: skip


async def test_settings_of_a_preset_are_read_changed_and_taken_over(alice: Client, preset: Fields, llm: LLM) -> None:
    path = at(preset, "settings/")
    assert (await alice.get(path)).body == DEFAULTS
    assert await change_settings(alice, path, **ALL) == ALL
    assert (await alice.get(path)).body == ALL
    # The page's own shape has no room for them.
    assert (await alice.get(at(preset))).body.keys() == preset.keys()
    session = await start_from(alice, preset)
    assert (await alice.get(f"{SESSIONS}{session}/settings/")).body == ALL
    await say(alice, session)
    [heard] = await llm.record(n=1)
    sent = {name: heard.body[name] for name in ("model", "temperature", "max_tokens")}
    assert sent == {"model": "gpt-4", "temperature": 0.25, "max_tokens": 77}
    assert (heard.body["presence_penalty"], heard.body["frequency_penalty"]) == (-1.5, 2)
    # Another change is nothing to the session.
    cleared = dict.fromkeys(("temperature", "max_tokens", "presence_penalty", "frequency_penalty", "window"))
    assert await change_settings(alice, path, **cleared, model_name=None, token_budget=None) == {
        **ALL, **cleared, "model_name": None, "token_budget": None,
    }  # fmt: skip
    assert (await alice.get(f"{SESSIONS}{session}/settings/")).body == ALL


async def test_settings_of_a_session_are_read_and_changed_for_the_turns_to_come(alice: Client, llm: LLM) -> None:
    session = await make(alice, system_prompt="Old.")
    path = f"{SESSIONS}{session}/settings/"
    assert (await alice.get(path)).body == {**DEFAULTS, "model_name": "gpt-4"}
    changed = {**ALL, "window": 0, "caches_answers": False}
    assert await change_settings(alice, path, **changed, system_prompt="New.", title="T") == changed
    whole = await read(alice, session)
    shown = {name: value for name, value in changed.items() if name in whole}
    assert {name: whole[name] for name in shown} == shown
    assert (whole["title"], whole["messages"][0]["content"]) == ("T", "New.")
    for text in ("one", "two"):
        await say(alice, session, text)
    last = (await llm.record(n=2))[-1].body
    # The window is 0.
    assert [message["content"] for message in last["messages"]] == ["New.", "two"]
    assert (last["presence_penalty"], last["frequency_penalty"], last["temperature"]) == (-1.5, 2, 0.25)


@pytest.mark.parametrize(("name", "value"), WRONG)
async def test_setting_out_of_range_is_400_and_changes_nothing(
    alice: Client, preset: Fields, name: str, value: object
) -> None:
    session = await make(alice)
    for path in (at(preset, "settings/"), f"{SESSIONS}{session}/settings/"):
        before = (await alice.get(path)).body
        answer = await alice.patch(path, **{"window": 9, name: value})
        assert (answer.status, answer.body) == (400, {name: [TEXT]})
        assert (await alice.get(path)).body == before
    assert await numbers(alice, preset) == [1]


# Answers that are given again


async def cached_preset(person: Client) -> Fields:
    # A prompt of its own: no other test's answers are found.
    made = await make_preset(person, system_prompt=new_name(), temperature=0, enable_tools=False)
    await change_settings(person, at(made, "settings/"), caches_answers=True)
    return made


async def ask_streamed(person: Client, session: str, text: str) -> list[Fields]:
    answer = await person.post(f"{SESSIONS}{session}/send_message/", message=text, stream=True)
    assert answer.status == 200
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


async def test_hit_is_not_billed_and_told_like_any_reply(alice: Client, llm: LLM) -> None:
    preset = await cached_preset(alice)
    await llm.control(text="The Loire.", pieces=3)
    first, second, third = [await start_from(alice, preset) for _ in range(3)]
    await say(alice, first, "Name a river.")
    await llm.control(text="The Rhône.")
    before, used = await scrape(alice), (await alice.get("/api/usage")).body

    events = await ask_streamed(alice, second, "Name a river.")
    assert [event["type"] for event in events] == ["user_message", "ai_chunk", "ai_complete"]
    assert events[1]["data"] == {"content": "The Loire.", "full_content": "The Loire."}
    assert events[2]["data"]["content"] == "The Loire."
    async with alice.connect(f"/ws/ai-chat/session/{third}/") as socket:
        await socket.send_json({"type": "send_message", "message": "Name a river."})
        kinds: list[str] = []
        complete: Fields = {}
        while "ai_typing_stop" not in kinds:
            event = await socket.receive_json(timeout=10)
            kinds.append(event["type"])
            complete = event if event["type"] == "ai_message_complete" else complete
    assert kinds == [
        "connection_established", "user_message", "ai_typing", "ai_message_chunk", "ai_message_complete",
        "ai_typing_stop",
    ]  # fmt: skip
    for session, cached in ((first, False), (second, True), (third, True)):
        reply = (await read_messages(alice, session))[-1]
        metadata = {"model": "gpt-4"} if cached else {"model": "gpt-4", "usage": USAGE}
        expected = message_shown(role="assistant", content="The Loire.", metadata=metadata, parent_id=TEXT)
        assert reply == expected
    assert complete["message"] == reply
    assert len(await llm.record(n=1)) == 1
    assert (await alice.get("/api/usage")).body == used
    given = "palaver_answers_given_again_total"
    await scrape_until(alice, lambda told: told[given] == before[given] + 2)


USAGE = {"prompt_tokens": WHOLE, "completion_tokens": WHOLE, "total_tokens": WHOLE}


async def test_twenty_equal_questions_at_once_are_one_call_of_the_model(alice: Client, llm: LLM) -> None:
    preset = await cached_preset(alice)
    await llm.control(text="The Loire.", pieces=3, delay=0.1)
    sessions = await asyncio.gather(*(start_from(alice, preset) for _ in range(20)))
    answers = await asyncio.gather(*(say(alice, session, "Name a river.") for session in sessions))
    assert {answer["ai_message"]["content"] for answer in answers} == {"The Loire."}
    assert len(await llm.record(n=1)) == 1
    replies = [(await read_messages(alice, session))[-1] for session in sessions]
    metadata = sorted((reply["metadata"] for reply in replies), key=len)
    assert metadata == [{"model": "gpt-4"}] * 19 + [{"model": "gpt-4", "usage": USAGE}]


async def test_equal_question_over_another_api_is_the_same_question(alice: Client, llm: LLM) -> None:
    preset = await cached_preset(alice)
    slug = preset["name"].lower()
    await llm.control(text="The Loire.")
    made = [await alice.post("/api/v1/chatbot/session", user_id="u", template_id=slug) for _ in range(2)]
    for session in made:
        answer = await alice.post(f"/api/v1/chatbot/session/{session.body['session_id']}/message", message="River?")
        assert (answer.body["response"], answer.body["message_count"]) == ("The Loire.", 1)
    assert len(await llm.record(n=1)) == 1


# What is answered at once: where, which field holds the question, what else is sent, and all that the answer holds.
AT_ONCE: list[tuple[str, str, Fields, set[str]]] = [
    (f"{SESSIONS}{{}}/send_message/", "message", {}, {"success", "user_message", "ai_message"}),
    ("/api/chat", "message", {"sessionId": "{}"}, {"message", "sessionId", "messageId", "usage"}),
    ("/api/chat/session/{}/chat", "prompt", {}, {"id", "session", "prompt", "response_message"}),
    ("/api/v1/chatbot/session/{}/message", "message", {}, {"success", "response", "session_id", "message_count"}),
    ("/api/chat/", "message", {"session_id": "{}"}, {"response", "session_id", "success", "is_streaming", "is_final"}),
]


async def test_answer_that_is_given_again_says_so_in_a_header_and_in_no_field(alice: Client, llm: LLM) -> None:
    preset = await cached_preset(alice)
    await llm.control(text="The Loire.")
    for number, (path, field, more, holds) in enumerate(AT_ONCE):
        answers = []
        for _ in range(2):
            session = await start_from(alice, preset)
            sent = {field: f"River {number}?"} | {name: value.format(session) for name, value in more.items()}
            answers.append(await alice.post(path.format(session), **sent))
        assert [answer.headers.get("Cache-Status") for answer in answers] == [None, "palaver; hit"], path
        assert [set(answer.body) | {"usage"} for answer in answers] == [holds | {"usage"}] * 2, path


async def test_nobody_is_given_another_persons_answer(alice: Client, bob: Client, llm: LLM) -> None:
    preset = await cached_preset(alice)
    await share(alice, preset, bob)
    for person, text in ((alice, "For Alice."), (bob, "For Bob.")):
        await llm.control(text=text)
        answer = await say(person, await start_from(person, preset), "Name a river.")
        assert answer["ai_message"]["content"] == text
    assert len(await llm.record(n=2)) == 2


async def test_answer_goes_with_the_session_it_came_from(alice: Client, llm: LLM) -> None:
    preset = await cached_preset(alice)
    session = await start_from(alice, preset)
    await llm.control(text="The Loire.")
    await say(alice, session, "Name a river.")
    assert (await alice.delete(f"{SESSIONS}{session}/")).status == 204
    await llm.control(text="The Rhône.")
    answer = await say(alice, await start_from(alice, preset), "Name a river.")
    assert answer["ai_message"]["content"] == "The Rhône."
