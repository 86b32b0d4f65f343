"""Answers from documents, over every API: what the model is given, what is kept of it, and who sees that."""

from collections.abc import Mapping
from typing import Any

import pytest

from palaver.bots.passages import HEAD, NOTHING
from tests.contracts.knowing import (
    COLLECTIONS,
    DOCUMENTS,
    Fields,
    keep,
    keep_all,
    make_collection,
    make_knowing,
    told,
)
from tests.contracts.talking import SESSIONS, make, message_shown, read, read_messages, say
from tests.journeys.client import TEXT, Client, new_name
from tests.journeys.socket import CONVERSATION, Socket, open_socket
from tests.parts.llm import LLM

BREAD = "# Rates\n\nBread is taxed at seven per cent.\n"
QUESTION = "How is bread taxed?"
HEADED = HEAD.partition("{mark}")[0]

pytestmark = pytest.mark.usefixtures("llm")


@pytest.fixture(scope="module")
def server_environment(scaled: Mapping[str, str]) -> Mapping[str, str]:
    return {"PALAVER_REGISTRATION": "on", "PALAVER_LLM_TRIES": "1", "LLM_DEFAULT_MODEL": "gpt-4", **scaled}


@pytest.fixture(scope="module")
async def collection(alice: Client) -> Fields:
    """Alice's, and what it holds."""
    collection = await make_collection(alice)
    await keep(alice, collection, BREAD, "rates.md", kind="text/markdown")
    return collection


def passages_of(message: Mapping[str, Any]) -> Any:
    return message["metadata"].get("passages")


async def document_of(person: Client, collection: Fields) -> str:
    listed = await person.get(f"{COLLECTIONS}{collection['id']}/documents/")
    return str(listed.body["documents"][0]["id"])


def cited(document: str, name: str = "rates.md", heading: str = "Rates") -> list[Fields]:
    return [
        {
            "number": 1, "document_id": document, "document_name": name, "passage": 0, "page": None, "heading": heading,
        }
    ]  # fmt: skip


# What the model is given


async def test_passages_come_with_the_message_and_the_front_stays_as_it_was(
    alice: Client, collection: Fields, llm: LLM
) -> None:
    session = await make_knowing(alice, collection)
    await say(alice, session, "Hello.")
    await say(alice, session, QUESTION)
    first, second = await told(llm, 2)
    role, content = second[-1]
    assert role == "user"
    assert content.startswith(HEADED)
    assert "[1] rates.md, Rates\n" in content
    assert "Bread is taxed at seven per cent." in content
    assert content.endswith(f"\n\n{QUESTION}")
    # What was said is kept and sent again without them.
    assert second[:-1] == [("user", "Hello."), ("assistant", f"You said: {first[-1][1]}")]


async def test_by_its_name_it_is_ones_own_before_a_public_one(alice: Client, bob: Client, llm: LLM) -> None:
    name = new_name()
    for person, text in ((bob, "Bread is free, says Bob."), (alice, "Bread is dear, says Alice.")):
        await keep(person, await make_collection(person, name=name, is_public=True), text)
    session = await make_knowing(alice, name)
    await say(alice, session, QUESTION)
    [[(_, content)]] = await told(llm)
    assert "says Alice" in content
    assert "says Bob" not in content


async def test_what_is_not_in_the_documents_is_told_as_not_found(alice: Client, collection: Fields, llm: LLM) -> None:
    session = await make_knowing(alice, collection)
    await say(alice, session, "Zebras?")
    [[(_, content)]] = await told(llm)
    assert content == f"{NOTHING}\n\nZebras?"
    assert passages_of((await read_messages(alice, session))[-1]) is None


@pytest.mark.parametrize("provider", ["openai", None])
async def test_another_bot_is_given_none_of_it(
    alice: Client, collection: Fields, llm: LLM, provider: str | None
) -> None:
    session = await make_knowing(alice, collection, provider)
    await say(alice, session, QUESTION)
    assert await told(llm) == [[("user", QUESTION)]]


async def test_without_a_collection_or_with_an_empty_one_it_is_asked_plainly(alice: Client, llm: LLM) -> None:
    empty = await make_collection(alice)
    for name in (empty["id"], "no-collection-of-this-name", ""):
        await say(alice, await make_knowing(alice, name), QUESTION)
    assert await told(llm, 3) == [[("user", QUESTION)]] * 3


async def test_right_that_is_withdrawn_is_gone_at_the_next_search(
    alice: Client, bob: Client, collection: Fields, llm: LLM
) -> None:
    session = await make_knowing(bob, collection)
    name = (await read(bob, session))["user"]["username"]
    for usernames in ([name], []):
        shares = f"{COLLECTIONS}{collection['id']}/shares/"
        assert (await alice.send("PUT", shares, {"usernames": usernames})).status == 200
        await say(bob, session, QUESTION)
    with_passages, without = await told(llm, 2)
    assert "seven per cent" in with_passages[-1][1]
    assert without[-1] == ("user", QUESTION)
    reply = (await read_messages(bob, session))[1]
    [source] = passages_of(reply)
    assert (source["document_name"], source["page"], source["heading"]) == ("", None, "")


async def test_long_passages_leave_less_history_and_both_fit(alice: Client, llm: LLM) -> None:
    collection = await make_collection(alice)
    words = "flour water salt yeast rye spelt oven stone"
    text = "\n\n".join(f"# Bread {n}\n\nBread number {n}: " + f"{words} {n} " * 30 for n in range(12))
    document = await keep(alice, collection, text, "breads.md", kind="text/markdown")
    assert document["passage_count"] >= 12
    session = await make_knowing(alice, collection)
    await say(alice, session, QUESTION)
    [[(_, content)]] = await told(llm)
    assert 1_000 < len(content) // 4 < 2_200


# What is kept of it, and who sees it


async def test_reply_tells_what_it_was_given_wherever_it_is_read(alice: Client, collection: Fields) -> None:
    session = await make_knowing(alice, collection)
    await say(alice, session, QUESTION)
    expected = cited(await document_of(alice, collection))
    whole = await read(alice, session)
    listed = (await alice.get(f"{SESSIONS}{session}/messages/")).body["messages"]
    reply = whole["messages"][1]
    siblings = (await alice.get(f"{SESSIONS}{session}/messages/{reply['id']}/siblings/")).body["siblings"]
    assert [passages_of(one) for one in (reply, listed[1], siblings[0])] == [expected] * 3
    assert passages_of(whole["messages"][0]) is None
    assert reply == message_shown(role="assistant", content=TEXT, parent_id=whole["messages"][0]["id"])
    assert {key for one in listed for key in one["metadata"]} <= {"model", "usage", "passages"}


async def test_socket_tells_it_with_the_end_and_again_to_whoever_comes_back(alice: Client, collection: Fields) -> None:
    session = await make_knowing(alice, collection)
    expected = cited(await document_of(alice, collection))
    async with open_socket(alice, CONVERSATION.format(session)) as socket:
        await socket.say(QUESTION, client_message_id="k-1")
        turn = await socket.turn()
        before = turn[0]["cursor"]
        [complete] = [event for event in turn if event["type"] == "ai_message_complete"]
        await socket.say(QUESTION, client_message_id="k-1")
        again = await until(socket, "ai_message_complete")
    assert passages_of(complete["message"]) == expected
    assert again["message"] == complete["message"]
    for cursor in (before, "0"):
        async with open_socket(alice, f"{CONVERSATION.format(session)}?cursor={cursor}") as socket:
            kind = "snapshot" if cursor == "0" else "ai_message_complete"
            event = await until(socket, kind)
            message = event["session"]["messages"][1] if kind == "snapshot" else event["message"]
            assert message == complete["message"]


async def until(socket: Socket, kind: str) -> Fields:
    while (event := await socket.next())["type"] != kind:
        pass
    return event


async def test_citation_of_a_document_that_is_gone_says_nothing_of_it(alice: Client) -> None:
    collection = await make_collection(alice)
    document = await keep(alice, collection, BREAD, "secret-name.md", kind="text/markdown")
    session = await make_knowing(alice, collection)
    await say(alice, session, QUESTION)
    assert passages_of((await read_messages(alice, session))[1]) == cited(document["id"], "secret-name.md")
    assert (await alice.delete(f"{DOCUMENTS}{document['id']}/")).status == 204
    reply = (await read_messages(alice, session))[1]
    assert passages_of(reply) == cited(document["id"], "", "")


async def test_stopped_reply_keeps_what_it_was_given(alice: Client, collection: Fields, llm: LLM) -> None:
    session = await make_knowing(alice, collection)
    await llm.control(text="one two three", pieces=3, fault="stall", after=1)
    async with open_socket(alice, CONVERSATION.format(session)) as socket:
        await socket.say(QUESTION)
        await until(socket, "ai_message_chunk")
        await socket.send("stop")
        stopped = await until(socket, "ai_message_stopped")
    assert passages_of(stopped["message"]) == cited(await document_of(alice, collection))
    assert passages_of((await read_messages(alice, session))[1]) == passages_of(stopped["message"])


async def test_asked_again_a_message_tells_only_what_the_new_reply_was_given(alice: Client, llm: LLM) -> None:
    collection = await make_collection(alice)
    document = await keep(alice, collection, BREAD)
    session = await make_knowing(alice, collection)
    await llm.control(text="one two three", pieces=3, fault="cut", after=1)
    failed = await alice.post(f"{SESSIONS}{session}/send_message/", message=QUESTION, client_message_id="k")
    assert failed.status == 500
    assert passages_of((await read_messages(alice, session))[1]) is not None
    await alice.delete(f"{DOCUMENTS}{document['id']}/")
    await llm.control()
    again = await alice.post(f"{SESSIONS}{session}/send_message/", message=QUESTION, client_message_id="k")
    assert again.status == 200
    assert passages_of((await read_messages(alice, session))[1]) is None


async def test_other_apis_show_nothing_that_their_pages_do_not_have(alice: Client, collection: Fields) -> None:
    session = await make_knowing(alice, collection)
    plain = await make(alice)
    await say(alice, session, QUESTION)
    await say(alice, plain, QUESTION)
    for path in ("/api/chat/sessions/{}", "/api/chat/sessions/{}/messages", "/api/v1/chatbot/session/{}"):
        knowing, knowing_nothing = [(await alice.get(path.format(one))).body for one in (session, plain)]
        assert keys_of(knowing) == keys_of(knowing_nothing)


def keys_of(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in keys_of(inner)}
    return {key for inner in value for key in keys_of(inner)} if isinstance(value, list) else set()


# chat_flow


async def make_context(admin: Client, **fields: Any) -> int:
    context = {"name": new_name(), "system_prompt": "You advise.", "provider": "openai_rag", **fields}
    answer = await admin.post("/api/chat/contexts", **context)
    assert answer.status == 201, answer.text
    return int(answer.body["id"])


async def chat_in(person: Client, context: int, *prompts: str, **fields: Any) -> list[Fields]:
    started = await person.post("/api/chat/start", context_id=context, initial_message="I bake.", **fields)
    assert started.status == 201, started.text
    turns = []
    for prompt in prompts:
        answer = await person.post(f"/api/chat/session/{started.body['id']}/chat", prompt=prompt)
        assert answer.status == 201, answer.text
        turns.append(answer.body)
    return turns


async def test_chat_flow_gives_the_three_best_between_system_and_history(admin: Client, bob: Client, llm: LLM) -> None:
    collection = await make_collection(admin, is_public=True)
    texts = [(f"{number}.txt", f"Bread of kind {number} is taxed at {number} per cent.") for number in range(3)]
    await keep_all(admin, collection, [*texts, ("best.txt", "How is bread taxed? Bread is taxed at seven per cent.")])
    context = await make_context(admin, collection=collection["name"])
    turns = await chat_in(bob, context, "Hello.", QUESTION)
    assert set(turns[1]) == {"id", "session", "prompt", "response_message"}
    assert turns[1]["response_message"] == f"You said: {QUESTION}"
    second = (await told(llm, 2))[1]
    assert [role for role, _ in second] == ["system", "system", "user", "assistant", "user"]
    assert second[0] == ("system", "You advise.\nI bake.")
    pinned = second[1][1]
    assert pinned.startswith(HEADED)
    assert pinned.count("<<< ") == 3
    assert "[1] best.txt\n" in pinned
    assert second[4] == ("user", QUESTION)


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({"provider": "openai"}, {}),
        ({}, {"provider": "openai"}),
        ({"collection": None}, {}),
        ({"collection": "none"}, {}),
    ],
)
async def test_chat_flow_gives_none_to_another_bot_or_without_a_collection(
    admin: Client, bob: Client, llm: LLM, collection: Fields, fields: Fields, asked: Fields
) -> None:
    context = await make_context(admin, **{"collection": collection["id"], **fields})
    await chat_in(bob, context, QUESTION, **asked)
    assert await told(llm) == [[("system", "You advise.\nI bake."), ("user", QUESTION)]]


async def test_chat_flow_reads_with_the_rights_of_whoever_the_session_belongs_to(
    admin: Client, alice: Client, bob: Client, collection: Fields, llm: LLM
) -> None:
    context = await make_context(admin, collection=collection["id"])
    for person in (bob, admin, alice):
        await chat_in(person, context, QUESTION)
    plain = [("system", "You advise.\nI bake."), ("user", QUESTION)]
    of_bob, of_admin, of_alice = await told(llm, 3)
    assert of_bob == of_admin == plain
    assert "seven per cent" in of_alice[1][1]


async def test_a_session_of_chat_flow_shows_its_passages_where_there_is_room(
    admin: Client, alice: Client, collection: Fields
) -> None:
    context = await make_context(admin, collection=collection["id"])
    started = await alice.post("/api/chat/start", context_id=context, initial_message="I bake.")
    await alice.post(f"/api/chat/session/{started.body['id']}/chat", prompt=QUESTION)
    reply = (await read_messages(alice, started.body["uuid"]))[-1]
    assert passages_of(reply) == cited(await document_of(alice, collection))


# Presets and settings


async def test_preset_that_names_a_collection_gives_it_to_its_sessions_and_nobody_a_right_to_it(
    alice: Client, bob: Client, collection: Fields, llm: LLM
) -> None:
    preset = (
        await alice.post("/ai-chat/api/presets/", name=new_name(), system_prompt="You advise.", is_public=True)
    ).body
    settings = f"/ai-chat/api/presets/{preset['id']}/settings/"
    changed = await alice.patch(settings, provider="openai_rag", collection=collection["id"])
    assert (changed.body["provider"], changed.body["collection"]) == ("openai_rag", collection["id"])
    for person in (alice, bob):
        made = await person.post(f"/ai-chat/api/presets/{preset['id']}/create_session_from_preset/")
        own = (await person.get(f"{SESSIONS}{made.body['id']}/settings/")).body
        assert (own["provider"], own["collection"]) == ("openai_rag", collection["id"])
        await say(person, made.body["id"], QUESTION)
    of_alice, of_bob = await told(llm, 2)
    assert "seven per cent" in of_alice[-1][1]
    assert of_bob[-1] == ("user", QUESTION)


async def test_settings_of_a_session_take_a_known_provider_and_any_collection(alice: Client) -> None:
    session = await make(alice)
    path = f"{SESSIONS}{session}/settings/"
    first = (await alice.get(path)).body
    assert (first["provider"], first["collection"]) == (None, None)
    unknown = await alice.patch(path, provider="no-such-bot")
    assert (unknown.status, unknown.body) == (400, {"provider": ["Unknown provider."]})
    assert (await alice.patch(path, collection="c" * 101)).status == 400
    changed = await alice.patch(path, provider="dummy", collection="not-yet")
    assert (changed.body["provider"], changed.body["collection"]) == ("dummy", "not-yet")
    assert (await say(alice, session, "hello"))["ai_message"]["content"] == "HELLO"
    cleared = await alice.patch(path, provider=None, collection=None)
    assert cleared.body == first
