"""deploy/nginx: what it keeps to itself and what it lets pass. Streams, sockets: tests/contracts/test_proxies.py."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping

import pytest

from tests.contracts.test_proxies import behind
from tests.journeys.client import Client, open_client
from tests.parts.palaver import Server, StoreKind
from tests.parts.proxies import DeployedNginx
from tests.parts.run import Run

pytestmark = pytest.mark.usefixtures("llm")


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "sqlite"


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    """As compose.yaml has it: whoever reaches it may read its numbers."""
    return {"PALAVER_METRICS": "on"}


@pytest.fixture
def nginx(run: Run, shared_server: Server) -> DeployedNginx:
    return DeployedNginx(run, shared_server.url)


@pytest.fixture
async def person(nginx: DeployedNginx, shared_server: Server) -> AsyncIterator[Client]:
    async with behind(nginx, shared_server) as person:
        yield person


async def test_nginx_finds_no_fault_with_it(nginx: DeployedNginx) -> None:
    await nginx.start()
    command = [nginx._program, "-t", *nginx.arguments()]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    nginx.process.kill()
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


async def test_numbers_are_not_for_those_outside(person: Client, shared_server: Server) -> None:
    assert (await person.get("/metrics")).status == 404
    async with open_client(shared_server) as inside:
        assert (await inside.get("/metrics")).status == 200


async def test_body_that_nginx_would_refuse_as_it_comes_is_palavers_to_judge(person: Client) -> None:
    answer = await person.post("/api/chat", message="x" * 1_500_000)
    # Palaver's own words.
    assert answer.status == 413
    assert "nginx" not in answer.content.decode()
