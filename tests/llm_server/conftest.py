from collections.abc import AsyncIterator

import pytest

from palaver.llm_server import Options, Running, running

from .client import Client, connected


@pytest.fixture
async def llm() -> AsyncIterator[Running]:
    async with running(Options(port=0)) as running_llm:
        yield running_llm


@pytest.fixture
async def client(llm: Running) -> AsyncIterator[Client]:
    async with connected(llm.port) as connected_client:
        yield connected_client
