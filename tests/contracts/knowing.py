"""Collections and documents as tests need them: made, filled, read, and asked about."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from tests.contracts.talking import SESSIONS, make
from tests.journeys.client import TIME, UUID, WHOLE, Answer, Client, ask_until, new_name
from tests.parts.llm import LLM

COLLECTIONS = "/ai-chat/api/collections/"
DOCUMENTS = "/ai-chat/api/documents/"

# As long as a busy machine may take to read a small document.
SECONDS_TO_READ = 30

Fields = dict[str, Any]


def collection_shown(**fields: Any) -> Fields:
    """A whole collection, with these fields among the ones that every collection has."""
    return {
        "id": UUID, "description": "", "is_public": False, "can_edit": True, "can_ask": True,
        "document_count": 0, "size": 0, "largest_document": WHOLE, "created_at": TIME, "updated_at": TIME, **fields,
    }  # fmt: skip


def document_shown(**fields: Any) -> Fields:
    return {
        "id": UUID, "media_type": "text/plain", "problem": None, "passage_count": WHOLE, "created_at": TIME,
        "updated_at": TIME, **fields,
    }  # fmt: skip


async def make_collection(person: Client, **fields: Any) -> Fields:
    answer = await person.post(COLLECTIONS, **{"name": new_name(), **fields})
    assert answer.status == 201, answer.text
    made: Fields = answer.body
    return made


async def upload(
    person: Client, collection: Fields, text: str | bytes, name: str = "a.txt", *, kind: str = "text/plain"
) -> Answer:
    body = text.encode() if isinstance(text, str) else text
    path = f"{COLLECTIONS}{collection['id']}/documents/?name={quote(name, safe='')}"
    return await person.having(Content_Type=kind).send("POST", path, body)


async def read_whole(person: Client, document: str) -> Fields:
    """The document, once it has been read or cannot be."""

    async def ask() -> Answer:
        return await person.get(f"{DOCUMENTS}{document}/")

    answer = await ask_until(ask, lambda one: one.body["status"] in ("ready", "failed"), seconds=SECONDS_TO_READ)
    shown: Fields = answer.body
    return shown


async def keep(person: Client, collection: Fields, text: str | bytes, name: str = "a.txt", **how: Any) -> Fields:
    """A document of it that can be searched."""
    answer = await upload(person, collection, text, name, **how)
    assert answer.status == 202, answer.text
    document = await read_whole(person, answer.body["id"])
    assert document["status"] == "ready", document
    return document


async def keep_all(person: Client, collection: Fields, texts: Sequence[tuple[str, str]]) -> list[Fields]:
    """The same for many, each a name and a text: they are read together."""
    answers = [await upload(person, collection, text, name) for name, text in texts]
    assert {answer.status for answer in answers} <= {202}
    documents = [await read_whole(person, answer.body["id"]) for answer in answers]
    assert {document["status"] for document in documents} == {"ready"}
    return documents


async def search(person: Client, collection: Fields, question: str) -> list[Fields]:
    answer = await person.get(f"{COLLECTIONS}{collection['id']}/search/?q={quote(question)}")
    assert answer.status == 200, answer.text
    passages: list[Fields] = answer.body["passages"]
    return passages


async def make_knowing(person: Client, collection: Fields | str, provider: str | None = "openai_rag") -> str:
    """The id of a new session that answers from the collection, or from one of that name."""
    session = await make(person)
    name = collection if isinstance(collection, str) else collection["id"]
    answer = await person.patch(f"{SESSIONS}{session}/settings/", provider=provider, collection=name)
    assert answer.status == 200, answer.text
    return session


async def told(llm: LLM, n: int = 1) -> list[list[tuple[str, str]]]:
    """What the model was sent, in each request to talk: who says what."""
    heard = [one for one in await llm.record(n=n) if one.path.endswith("chat/completions")]
    return [[(message["role"], message["content"]) for message in one.body["messages"]] for one in heard]
