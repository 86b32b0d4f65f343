"""Where a model puts in order what was found, whoever searches pays for it."""

from collections.abc import Mapping

import pytest

from tests.contracts.knowing import keep_all, make_collection, search, told
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
    return {"PALAVER_REGISTRATION": "on", "PALAVER_RERANK": "on"}


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
