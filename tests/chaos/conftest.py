from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.chaos.kept import Kept
from tests.chaos.person import Person, open_http
from tests.parts.palaver import Server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_http() as http:
        yield http


@pytest.fixture
async def alice(http: aiohttp.ClientSession, server: Server) -> Person:
    return Person(http, server, await server.token("admin"))


@pytest.fixture
def kept(server: Server) -> Kept:
    return Kept(server)


@pytest.fixture(scope="module")
async def shared_token(shared_server: Server) -> str:
    return await shared_server.token("admin")


@pytest.fixture
def shared_alice(http: aiohttp.ClientSession, shared_server: Server, shared_token: str) -> Person:
    """Alice at the server that all tests in a file use. A file calls her `alice` where it needs no other."""
    return Person(http, shared_server, shared_token)
