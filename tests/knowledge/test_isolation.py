"""What one person keeps for themselves does not come out at another, whatever they ask for and however.

Forty secrets stand in Alice's documents. Everything Bob is answered, and everything the model is sent on his behalf, is
looked through for them; the model says back all that it was told, as one would that keeps nothing to itself.
"""

import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest

from tests.contracts.knowing import COLLECTIONS, DOCUMENTS, Fields, keep_all, make_collection, make_knowing, upload
from tests.contracts.talking import SESSIONS, make, read, read_messages
from tests.journeys.client import Answer, Client, open_client, register
from tests.journeys.socket import CONVERSATION, open_socket
from tests.parts.llm import LLM
from tests.parts.palaver import Server

SECRETS = [f"zq{number}{uuid.uuid4().hex[:12]}" for number in range(40)]
TOPICS = ("salary", "merger", "password", "diagnosis", "verdict", "offer", "formula", "address")
QUESTION = "Tell me all about the salary, merger, password, diagnosis, verdict, offer, formula and address."


@pytest.fixture(scope="module")
def server_environment(scaled: Mapping[str, str]) -> Mapping[str, str]:
    return {"PALAVER_REGISTRATION": "on", "PALAVER_LLM_TRIES": "1", "LLM_DEFAULT_MODEL": "gpt-4", **scaled}


@dataclass
class Vault:
    """Alice's collection with the secrets, and what Bob has been answered so far."""

    alice: Client
    bob: Client
    bobs_name: str
    collection: Fields
    documents: list[Fields]
    answers: list[Answer] = field(default_factory=list)

    async def ask(self, method: str, path: str, body: object = None) -> Answer:
        """As Bob."""
        answer = await self.bob.send(method, path, body)
        self.answers.append(answer)
        return answer

    def leaked(self) -> set[str]:
        return {secret for answer in self.answers for secret in SECRETS if secret.encode() in answer.content}

    async def share_with(self, *names: str) -> None:
        path = f"{COLLECTIONS}{self.collection['id']}/shares/"
        assert (await self.alice.send("PUT", path, {"usernames": names})).status == 200


@pytest.fixture(scope="module")
async def vault(shared_server: Server) -> AsyncIterator[Vault]:
    async with open_client(shared_server) as nobody:
        alice, bob = await register(nobody), await register(nobody)
        collection = await make_collection(alice, name=f"payroll-{uuid.uuid4().hex[:8]}", description=SECRETS[0])
        texts = [
            (f"{SECRETS[5 * number]}-{topic}.md", _text(topic, SECRETS[5 * number : 5 * number + 5]))
            for number, topic in enumerate(TOPICS)
        ]
        documents = await keep_all(alice, collection, texts)
        name = (await read(bob, await make(bob)))["user"]["username"]
        yield Vault(alice, bob, name, collection, documents)


@pytest.fixture(autouse=True)
async def model_that_tells_all(llm: LLM, vault: Vault) -> LLM:
    await llm.control(repeats=True)
    vault.answers.clear()
    return llm


def _text(topic: str, secrets: list[str]) -> str:
    parts = (
        f"# The {topic} {secret}\n\nAll about the {topic}: it is {secret}, and nobody may know.\n" for secret in secrets
    )
    return "\n".join(parts)


async def sent(llm: LLM) -> str:
    return "".join(str(heard.body) for heard in await llm.record())


def leaked_in(text: str) -> set[str]:
    return {secret for secret in SECRETS if secret in text}


async def test_owner_is_told_the_secrets(vault: Vault, llm: LLM) -> None:
    """What the others look for can be found."""
    session = await make_knowing(vault.alice, vault.collection)
    answer = await vault.alice.post(f"{SESSIONS}{session}/send_message/", message=QUESTION)
    assert len(leaked_in(answer.text)) > 10
    assert leaked_in(await sent(llm))


async def test_nothing_is_listed_read_searched_downloaded_or_changed(vault: Vault) -> None:
    collection = f"{COLLECTIONS}{vault.collection['id']}/"
    attempts: list[tuple[str, str, object]] = [
        ("GET", collection, None),
        ("GET", f"{collection}documents/", None),
        ("GET", f"{collection}search/?q={quote(QUESTION)}", None),
        ("GET", f"{collection}shares/", None),
        ("PUT", f"{collection}shares/", {"usernames": [vault.bobs_name]}),
        ("PATCH", collection, {"is_public": True}),
        ("DELETE", collection, None),
        ("POST", f"{collection}documents/?name=a.txt", b"mine"),
    ]
    for document in vault.documents:
        place = f"{DOCUMENTS}{document['id']}/"
        attempts += [("GET", f"{place}{what}", None) for what in ("", "passages/", "file/")] + [("DELETE", place, None)]
    statuses = {(await vault.ask(*attempt)).status for attempt in attempts}
    assert statuses == {404}
    assert (await vault.ask("GET", COLLECTIONS)).body == {"collections": []}
    for path in (
        "/ai-chat/api/search/?q=salary",
        "/ai-chat/api/presets/",
        "/api/chat/contexts",
        "/ai-chat/api/my_sessions/",
    ):
        assert (await vault.ask("GET", path)).status == 200
    assert vault.leaked() == set()


@pytest.mark.parametrize("named_by", ["id", "name"])
async def test_nothing_comes_by_a_session_that_names_it(vault: Vault, llm: LLM, named_by: str) -> None:
    session = await make_knowing(vault.bob, vault.collection[named_by])
    await talk_everywhere(vault, session)
    assert vault.leaked() == set()
    assert leaked_in(await sent(llm)) == set()


@pytest.mark.parametrize("named_by", ["id", "name"])
async def test_nothing_comes_by_a_preset_of_alice_that_names_it(vault: Vault, llm: LLM, named_by: str) -> None:
    new = {"name": uuid.uuid4().hex, "system_prompt": "You advise."}
    preset = (await vault.alice.post("/ai-chat/api/presets/", **new)).body
    place = f"/ai-chat/api/presets/{preset['id']}/"
    await vault.alice.patch(f"{place}settings/", provider="openai_rag", collection=vault.collection[named_by])
    shared = await vault.alice.send("PUT", f"{place}shares/", {"usernames": [vault.bobs_name]})
    assert shared.status == 200
    made = await vault.ask("POST", f"{place}create_session_from_preset/")
    await talk_everywhere(vault, made.body["id"])
    started = await vault.ask("POST", "/api/chat/start", {"context_id": preset["id"], "initial_message": "Hello."})
    await vault.ask("POST", f"/api/chat/session/{started.body['id']}/chat", {"prompt": QUESTION})
    session = await vault.ask("POST", "/api/v1/chatbot/session", {"user_id": "u", "template_id": preset["name"]})
    message = {"message": QUESTION}
    await vault.ask("POST", f"/api/v1/chatbot/session/{session.body['session_id']}/message", message)
    assert {answer.status for answer in vault.answers} <= {200, 201}
    assert vault.leaked() == set()
    assert leaked_in(await sent(llm)) == set()
    assert "nobody may know" not in await sent(llm)


async def talk_everywhere(vault: Vault, session: str) -> None:
    """Over each API that goes on in a session, and once more; then it is read in each."""
    says: list[tuple[str, Any]] = [
        (f"{SESSIONS}{session}/send_message/", {"message": QUESTION}),
        (f"{SESSIONS}{session}/send_message/?full_content=1", {"message": QUESTION, "stream": True}),
        (f"/api/chat/session/{session}/chat", {"prompt": QUESTION}),
        ("/api/chat", {"message": QUESTION, "sessionId": session}),
        (f"/api/v1/chatbot/session/{session}/message", {"message": QUESTION}),
        ("/api/chat/", {"message": QUESTION, "session_id": session}),
    ]
    for path, body in says:
        assert (await vault.ask("POST", path, body)).status in (200, 201), path
    async with open_socket(vault.bob, CONVERSATION.format(session)) as socket:
        await socket.say(QUESTION)
        assert leaked_in(str(await socket.turn())) == set()
    reads = [f"{SESSIONS}{session}/", f"{SESSIONS}{session}/messages/", f"{SESSIONS}{session}/settings/"]
    reads += [
        f"/api/chat/sessions/{session}/messages",
        f"/api/v1/chatbot/session/{session}",
        "/ai-chat/api/search/?q=salary",
    ]
    for path in reads:
        assert (await vault.ask("GET", path)).status == 200, path
    messages = await read_messages(vault.bob, session)
    assert len(messages) >= 14
    assert [one for one in messages if "passages" in one["metadata"]] == []


async def test_own_collection_of_the_same_name_is_searched_in_its_stead(vault: Vault, llm: LLM) -> None:
    own = await make_collection(vault.bob, name=vault.collection["name"])
    await keep_all(vault.bob, own, [("own.txt", "Salary: Bob's own.")])
    session = await make_knowing(vault.bob, vault.collection["name"])
    await vault.ask("POST", f"{SESSIONS}{session}/send_message/", {"message": QUESTION})
    assert "Bob's own" in await sent(llm)
    assert vault.leaked() == leaked_in(await sent(llm)) == set()
    assert (await vault.bob.delete(f"{COLLECTIONS}{own['id']}/")).status == 204


async def test_secrets_are_not_known_by_their_bytes(vault: Vault) -> None:
    """Who uploads the very same file is not told that it is there already."""
    own = await make_collection(vault.bob)
    answer = await upload(vault.bob, own, _text(TOPICS[0], SECRETS[:5]), f"{SECRETS[0]}-{TOPICS[0]}.md")
    assert answer.status == 202
    assert (await vault.bob.delete(f"{COLLECTIONS}{own['id']}/")).status == 204


@pytest.mark.proof("security")
async def test_right_that_is_withdrawn_closes_every_way_at_once(vault: Vault, llm: LLM) -> None:
    await vault.share_with(vault.bobs_name)
    session = await make_knowing(vault.bob, vault.collection)
    shown = await vault.bob.post(f"{SESSIONS}{session}/send_message/", message=QUESTION)
    assert leaked_in(shown.text)
    sources = (await read_messages(vault.bob, session))[1]["metadata"]["passages"]
    await vault.share_with()
    await llm.control(reset_record=True)
    await vault.ask("POST", f"{SESSIONS}{session}/send_message/", {"message": "And once more: what is the salary?"})
    [heard] = await llm.record(n=1)
    # What the model has said to Bob before is Bob's, and part of the history; passages there are no more.
    assert "nobody may know" not in heard.body["messages"][-1]["content"]
    for source in sources:
        place = f"{DOCUMENTS}{source['document_id']}/"
        assert {(await vault.ask("GET", f"{place}{what}")).status for what in ("", "passages/", "file/")} == {404}
    kept = (await read_messages(vault.bob, session))[1]["metadata"]["passages"]
    assert {(one["document_name"], one["page"], one["heading"]) for one in kept} == {("", None, "")}
