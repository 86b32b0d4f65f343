"""Where other servers are asked for a search, whoever searches pays for it; for guests none is."""

from collections.abc import Mapping

import pytest

from tests.contracts.knowing import Fields, keep_all, make_collection, make_knowing, search, told
from tests.contracts.talking import say
from tests.journeys.client import Client
from tests.parts.llm import LLM
from tests.parts.palaver import StoreKind

TEXTS = [("a.txt", "The bakery opens at six."), ("b.txt", "The bakery opens at seven in winter.")]


@pytest.fixture(scope="module", params=["sqlite"])
def store_kind(request: pytest.FixtureRequest) -> StoreKind:
    """What is asked of the model does not depend on it."""
    kind: StoreKind = request.param
    return kind


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {
        "PALAVER_REGISTRATION": "on",
        "PALAVER_RERANK": "on",
        "PALAVER_EMBEDDING_MODEL": "vectors-1",
        "PALAVER_GUESTS": "on",
    }


async def test_what_a_model_says_of_the_order_holds_and_is_paid_for_by_who_searches(alice: Client, llm: LLM) -> None:
    collection = await make_collection(alice)
    await keep_all(alice, collection, TEXTS)
    await llm.control(text="2")
    names = [passage["document_name"] for passage in await search(alice, collection, "When does the bakery open?")]
    [[(_, task)]] = await told(llm)
    second = task.index("[2]")
    assert names[0] == next(name for name, text in TEXTS if text in task[second:])
    used = (await alice.get("/api/usage")).body["today"]
    assert (used["turns"], used["prompt_tokens"] > 10, used["completion_tokens"] > 0) == (1, True, True)


async def test_for_a_guest_neither_an_embedding_server_nor_a_model_is_asked_to_search(
    alice: Client, nobody: Client, llm: LLM
) -> None:
    collection = await make_collection(alice, is_public=True)
    await keep_all(alice, collection, TEXTS)
    await until_vectors_are_searched(alice, collection, llm)
    asked = "Does the bakery open on Sunday?"
    session = await make_knowing(nobody, collection)
    await llm.control(reset_record=True)
    assert len(await search(nobody, collection, asked)) == 2
    await say(nobody, session, asked)
    [turn] = await llm.record()
    assert turn.path.endswith("chat/completions")
    assert "The bakery opens at six." in turn.body["messages"][-1]["content"]


async def until_vectors_are_searched(person: Client, collection: Fields, llm: LLM) -> None:
    """From then on the embedding server is asked for questions."""
    question = "Where is the baker?"
    while not any(question in one.body.get("input", ()) for one in await llm.record()):
        await search(person, collection, question)
