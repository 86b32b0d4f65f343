"""What admins do about LLM servers and models, and that every worker follows."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from palaver.llm_server import Options, running
from palaver.llm_server.server import Running
from tests.journeys.client import TEXT, TIME, WHOLE, Client, ask_until, new_name, open_client
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StoreKind

SERVERS = "/api/admin/servers"
MODELS = "/api/admin/models"
SECONDS = 60.0


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    # What is kept is tried on both in tests/chat/test_models.py.
    return "sqlite"


@pytest.fixture
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.fixture(scope="module")
async def token(shared_server: Server) -> str:
    return await shared_server.token("admin")


@pytest.fixture
async def admin(server: Server, llm: LLM, token: str) -> AsyncIterator[Client]:
    """Afterwards there are no servers again but the one of the settings."""
    assert llm.url
    async with open_client(server) as client:
        admin = client.bearing(token)
        await shown(admin, "llm-server", healthy=True)
        yield admin
        for added in (await admin.get(SERVERS)).body[1:]:
            assert (await admin.delete(f"{SERVERS}/{added['name']}")).status == 204


@pytest.fixture
async def other_llm() -> AsyncIterator[Running]:
    """With a model that the usual one has, and one of its own."""
    async with running(Options(port=0, models=("qwen3:8b", "own"), api_key="right")) as llm:
        yield llm


async def offered(admin: Client) -> list[str]:
    return [model["name"] for model in (await admin.get("/ai-chat/api/models/")).body]


async def shown(admin: Client, name: str, *, healthy: bool) -> Any:
    """A server once it is shown so. Whoever names one is answered before its models are known where it takes its time
    to tell them."""
    answer = await ask_until(
        lambda: admin.get(f"{SERVERS}/{name}"), lambda answer: answer.body["healthy"] is healthy, seconds=SECONDS
    )
    return answer.body


async def test_server_is_added_changed_and_removed_and_its_key_never_shown(
    admin: Client, other_llm: Running, llm: LLM
) -> None:
    [first] = (await admin.get(SERVERS)).body
    assert (first["name"], first["url"], first["origin"], first["healthy"]) == ("llm-server", llm.url, "settings", True)

    added = await admin.post(SERVERS, name="own", url=other_llm.url, key="right", weight=2)
    assert added.status == 201
    told = await shown(admin, "own", healthy=True)
    assert told == {
        "name": "own", "url": other_llm.url, "has_key": True, "models": [], "weight": 2.0, "most_at_once": None,
        "origin": "admin", "healthy": True, "breaker": "closed", "running": 0, "offers": ["own", "qwen3:8b"],
    }  # fmt: skip
    assert added.body in (told, {**told, "healthy": None, "offers": []})
    assert "own" in await offered(admin)

    changed = await admin.patch(f"{SERVERS}/own", most_at_once=3, models=["own"])
    assert changed.body == {**told, "models": ["own"], "most_at_once": 3, "offers": ["own"], "healthy": None}
    cleared = await admin.patch(f"{SERVERS}/own", key=None, most_at_once=None, models=[])
    assert (cleared.body["has_key"], cleared.body["most_at_once"]) == (False, None)
    assert (await shown(admin, "own", healthy=False))["offers"] == []
    assert "right" not in added.text + changed.text + cleared.text

    assert (await admin.delete(f"{SERVERS}/own")).status == 204
    assert (await admin.get(f"{SERVERS}/own")).status == 404
    assert "own" not in await offered(admin)
    gone = next(model for model in (await admin.get(MODELS)).body if model["name"] == "own")
    assert (gone["is_available"], gone["servers"]) == (False, [])


async def test_what_cannot_be_a_server_is_refused(admin: Client) -> None:
    refused: list[tuple[dict[str, object], str]] = [
        ({"name": "No Name"}, "name"),
        ({"url": None}, "url"),
        ({"url": "ftp://h"}, "url"),
        ({"url": "http://me:secret@h"}, "url"),
        ({"url": "http://h?key=secret"}, "url"),
        ({"url": "http://[h"}, "url"),
        ({"key": "two words"}, "key"),
        ({"weight": 0}, "weight"),
        ({"most_at_once": 0}, "most_at_once"),
    ]
    for fields, name in refused:
        answer = await admin.post(SERVERS, **{"name": "n", "url": "http://h", **fields})
        assert (answer.status, [problem["loc"] for problem in answer.body["detail"]]) == (422, [["body", name]])
        assert "secret" not in answer.text
    assert len((await admin.get(SERVERS)).body) == 1


async def test_name_is_taken_once_and_servers_of_the_settings_stay(admin: Client) -> None:
    assert (await admin.post(SERVERS, name="llm-server", url="http://h")).status == 409
    assert (await admin.patch(f"{SERVERS}/llm-server", weight=2)).status == 409
    refused = await admin.having(Accept_Language="de").delete(f"{SERVERS}/llm-server")
    assert (refused.status, refused.body["detail"][:13]) == (409, "Dieser Server")
    assert (await admin.patch(f"{SERVERS}/nobody", weight=2)).status == 404


async def test_what_an_admin_says_of_a_model_is_kept_over_syncs(admin: Client) -> None:
    [model] = [model for model in (await admin.get(MODELS)).body if model["name"] == "gpt-4"]
    assert model == {
        "id": WHOLE, "name": "gpt-4", "display_name": "gpt-4", "description": "", "size": None, "parameter_count": "",
        "context_length": None, "capabilities": [], "is_available": True, "is_default": False, "is_hidden": False,
        "servers": ["llm-server"], "created_at": TIME, "updated_at": TIME,
    }  # fmt: skip
    assert (await admin.get(f"{MODELS}/{model['id']}")).body == model
    said = {"display_name": "The Four", "description": "Old.", "context_length": 8192, "capabilities": ["tools"]}
    changed = await admin.patch(f"{MODELS}/{model['id']}", **said, is_default=True)
    assert changed.body == {**model, **said, "is_default": True, "updated_at": TIME}
    synced = (await admin.post("/ai-chat/api/models/sync_models/")).body["models"]
    [shown] = [one for one in synced if one["name"] == "gpt-4"]
    assert (shown["display_name"], shown["context_length"], shown["is_default"]) == ("The Four", 8192, True)
    assert sum(one["is_default"] for one in synced) == 1
    assert (await admin.patch(f"{MODELS}/{model['id']}", context_length=None)).body["context_length"] is None


async def test_default_is_a_model_that_is_offered_and_never_none(admin: Client) -> None:
    models = (await admin.get(MODELS)).body
    default = next(model for model in models if model["is_default"])
    answer = await admin.patch(f"{MODELS}/{default['id']}", is_default=False)
    assert (answer.status, answer.body["detail"][0]["loc"]) == (422, ["body", "is_default"])
    assert (await admin.post(SERVERS, name="brief", url="http://127.0.0.1:1", models=["brief"])).status == 201
    [brief] = [model for model in (await admin.get(MODELS)).body if model["name"] == "brief"]
    assert (await admin.delete(f"{SERVERS}/brief")).status == 204
    answer = await admin.patch(f"{MODELS}/{brief['id']}", is_default=True)
    assert (answer.status, answer.body["detail"][0]["type"]) == (422, "model_not_offered")
    unknown = f"{MODELS}/999999"
    assert [(await admin.get(unknown)).status, (await admin.patch(unknown, description="x")).status] == [404, 404]
    assert (await admin.patch(f"{MODELS}/{brief['id']}", capabilities=["Not A Word"])).status == 422


async def test_hidden_model_is_not_listed_and_answers_who_names_it(admin: Client, llm: LLM) -> None:
    [model] = [model for model in (await admin.get(MODELS)).body if model["name"] == "gpt-4o-mini"]
    assert (await admin.patch(f"{MODELS}/{model['id']}", is_hidden=True)).body["is_hidden"] is True
    assert "gpt-4o-mini" not in await offered(admin)
    assert "gpt-4o-mini" in [one["name"] for one in (await admin.get(MODELS)).body]
    made = await admin.post("/ai-chat/api/sessions/", model_name="gpt-4o-mini")
    said = await admin.post(f"/ai-chat/api/sessions/{made.body['id']}/send_message/", message="hi")
    assert (said.status, (await llm.record(n=1))[0].body["model"]) == (200, "gpt-4o-mini")
    assert (await admin.patch(f"{MODELS}/{model['id']}", is_hidden=False)).body["is_hidden"] is False
    assert "gpt-4o-mini" in await offered(admin)


async def test_server_says_how_it_does_when_it_is_tried(admin: Client, other_llm: Running) -> None:
    assert (await admin.post(SERVERS, name="own", url=other_llm.url, key="right", models=["own"])).status == 201
    tried = await admin.post(f"{SERVERS}/own/test")
    assert (tried.status, tried.body) == (
        200, {"problem": None, "milliseconds": WHOLE, "models": ["own", "qwen3:8b"]},
    )  # fmt: skip
    assert (await admin.patch(f"{SERVERS}/own", key="wrong")).status == 200
    assert (await admin.post(f"{SERVERS}/own/test")).body["problem"] == "key"
    other_llm.stand_in.control({"fault": "500", "on": "models"})
    assert (await admin.patch(f"{SERVERS}/own", key="right")).status == 200
    refused = await admin.post(f"{SERVERS}/own/test")
    assert refused.body == {"problem": "refused", "milliseconds": WHOLE, "models": []}
    assert (await admin.patch(f"{SERVERS}/own", url="http://127.0.0.1:1")).status == 200
    assert (await admin.post(f"{SERVERS}/own/test")).body["problem"] == "unavailable"
    assert (await admin.post(f"{SERVERS}/nobody/test")).status == 404


async def test_nobody_but_admins_sees_servers(server: Server, admin: Client) -> None:
    person = admin.bearing(await server.token(new_name()))
    for path in (SERVERS, f"{SERVERS}/llm-server", MODELS):
        answer = await person.get(path)
        assert (answer.status, answer.body) == (403, {"detail": TEXT})


async def test_server_that_is_added_answers_and_survives_a_restart(
    server: Server, admin: Client, other_llm: Running
) -> None:
    assert (await admin.post(SERVERS, name="own", url=other_llm.url, key="right")).status == 201
    await server.restart()
    await shown(admin, "own", healthy=True)
    made = await admin.post("/ai-chat/api/sessions/", model_name="own")
    said = await admin.post(f"/ai-chat/api/sessions/{made.body['id']}/send_message/", message="hi")
    assert (said.status, len(other_llm.stand_in.record.entries)) == (200, 1)


async def test_sync_that_failed_and_one_that_did_not_are_seen_at_once(admin: Client, other_llm: Running) -> None:
    assert (await admin.post(SERVERS, name="own", url=other_llm.url, key="right")).status == 201
    await shown(admin, "own", healthy=True)
    for script, healthy in (({"fault": "500", "on": "models"}, False), ({}, True)):
        other_llm.stand_in.control(script)
        assert (await admin.post("/ai-chat/api/models/sync_models/")).status == 200
        assert (await admin.get(f"{SERVERS}/own")).body["healthy"] is healthy


async def test_server_that_is_down_takes_no_model_away_even_after_a_restart(
    server: Server, admin: Client, other_llm: Running
) -> None:
    assert (await admin.post(SERVERS, name="own", url=other_llm.url, key="right")).status == 201
    await shown(admin, "own", healthy=True)
    before = await offered(admin)
    assert "own" in before
    other_llm.stand_in.control({"fault": "500", "on": "models"})
    await server.restart()
    assert (await admin.post("/ai-chat/api/models/sync_models/")).status == 200
    assert await offered(admin) == before
    assert (await admin.get(f"{SERVERS}/own")).body["healthy"] is False
