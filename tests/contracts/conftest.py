"""Who asks, where a file needs nobody else: on the one server of the file, which has to let people register."""

from collections.abc import AsyncIterator

import pytest

from tests.journeys.client import Client, open_client, register
from tests.parts.palaver import Server


@pytest.fixture(scope="module")
async def nobody(shared_server: Server) -> AsyncIterator[Client]:
    async with open_client(shared_server) as client:
        yield client


@pytest.fixture(scope="module")
async def alice(nobody: Client) -> Client:
    return await register(nobody)


@pytest.fixture(scope="module")
async def bob(nobody: Client) -> Client:
    return await register(nobody)


@pytest.fixture(scope="module")
async def admin(nobody: Client, shared_server: Server) -> Client:
    return nobody.bearing(await shared_server.token("admin"))


@pytest.fixture
async def newcomer(nobody: Client) -> Client:
    """Somebody who has said nothing yet."""
    return await register(nobody)
