from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.chaos.kept import Kept
from tests.chaos.person import open_http
from tests.parts.palaver import Server, StartServer, StoreKind
from tests.serve.crew import Crew
from tests.serve.streams import Hearer


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "postgres"


@pytest.fixture
async def server(start_server: StartServer, redis_url: str) -> Server:
    """With two workers, and patience for those who hear a reply, and for one that is held while they do."""
    return await start_server(
        "--workers", "2", PALAVER_REDIS_URL=redis_url, PALAVER_DRAIN_SECONDS="30", LLM_TIMEOUT="300"
    )


@pytest.fixture
def crew(server: Server) -> Crew:
    return Crew(server)


@pytest.fixture
def kept(server: Server) -> Kept:
    return Kept(server)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A connection of its own for each request."""
    async with open_http() as http:
        yield http


@pytest.fixture
async def alice(http: aiohttp.ClientSession, server: Server) -> Hearer:
    return Hearer(http, server, await server.token("admin"))
