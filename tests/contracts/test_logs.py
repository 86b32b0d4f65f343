"""The log as JSON: what a line says, and what none ever says, in either form."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest

from tests.contracts.talking import make
from tests.journeys.client import Client, open_client
from tests.journeys.socket import enter
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer, StoreKind
from tests.parts.process import wait_until

KEY, PASSWORD, MESSAGE = "sk-KEYKEYKEY", "PASSWORDWORD", "MESSAGEMESSAGE"
NEVER = (KEY, PASSWORD, MESSAGE)


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "sqlite"


@pytest.fixture(params=["json", "text"])
async def server(request: pytest.FixtureRequest, start_server: StartServer, llm: LLM) -> Server:
    form: str = request.param
    return await start_server(
        LLM_SERVER_URL=llm.url.replace("://", f"://user:{PASSWORD}@"),
        PALAVER_LOG_FORMAT=form,
        PALAVER_METRICS_TOKEN=KEY,
        PALAVER_LLM_TRIES="1",
        PALAVER_LOG_LEVEL="debug",
    )


@pytest.fixture
async def nobody(server: Server) -> AsyncIterator[Client]:
    async with open_client(server) as client:
        yield client


def lines_of(server: Server) -> list[dict[str, Any]]:
    """All that the log says; what is said to the operator is not of it."""
    said = server.log_text().splitlines()
    return [json.loads(line) for line in said if not line.startswith(("Palaver is ready", "Sign in as"))]


async def test_no_secret_and_nothing_that_is_said_gets_into_it(nobody: Client, server: Server, llm: LLM) -> None:
    token = await server.token("alice")
    alice = nobody.bearing(token)
    session = await make(alice)
    await nobody.get(f"/api/chat/sessions?token={token}&password={PASSWORD}")
    await nobody.get(f"/{token}/{PASSWORD}")
    await nobody.post("/sign-in", username="alice", password=PASSWORD)
    await nobody.post("/auth/login/", username=PASSWORD, password=PASSWORD)
    await nobody.bearing(PASSWORD).get("/metrics")
    async with enter(nobody, session, f"token={token}") as socket:
        await socket.say(MESSAGE)
        await socket.turn()
    for fault in ("500", "429", "cut", "malformed"):
        await llm.control(fault=fault)
        await alice.post("/api/chat", message=MESSAGE)
        await alice.send("POST", "/api/chat", f'{{"message": "{MESSAGE}'.encode())
    assert await wait_until(lambda: server.log_text().count("/api/chat ") >= 8, seconds=10)
    log = server.log_text()
    assert [secret for secret in (token, *NEVER) if secret in log] == []


async def test_lines_are_objects_that_name_their_request_and_worker(start_server: StartServer, llm: LLM) -> None:
    await llm.control(fault="500")
    server = await start_server(PALAVER_LOG_FORMAT="json", PALAVER_LLM_TRIES="1")
    token = await server.token("alice")
    async with open_client(server, X_Request_Id="mine") as client:
        await client.bearing(token).post("/api/chat", message="hello")
        await client.get("/none?x=1")
        assert await wait_until(lambda: server.log_text().count("GET -") == 1, seconds=10)
    lines = lines_of(server)
    told = [line for line in lines if line.get("request_id") == "mine"]
    assert {line["logger"] for line in told} == {"palaver.bots", "palaver.reply", "palaver.api"}
    assert all(line["worker"] == "1" and isinstance(line["process"], int) for line in lines)
    assert all(datetime.fromisoformat(line["time"]).utcoffset() is not None for line in lines)
    assert {line["level"] for line in told} == {"info", "warning"}
    requests = [line for line in told if "status" in line]
    shown = [(line["method"], line["route"], line["status"], line["level"]) for line in requests]
    assert shown == [("POST", "/api/chat", 503, "info"), ("GET", "-", 404, "info")]
