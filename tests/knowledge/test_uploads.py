"""What an upload costs the server that takes it."""

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.contracts.knowing import COLLECTIONS, DOCUMENTS, make_collection
from tests.journeys.client import Client, open_client
from tests.parts.palaver import Server, StoreKind
from tests.promises import Measured

PIECE = bytes(range(256)) * 256
MEGABYTE = 1_000_000

# What SQLite and the allocator keep for themselves, whatever the size.
MOST_MEGABYTES = 32


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    """PostgreSQL's driver and SQLite's take a part each; how they do it is no matter of its whole."""
    return "sqlite"


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_EXACT_TOKENS": "off", "PALAVER_KNOWLEDGE_DOCUMENT_MEGABYTES": "200"}


def most_memory(server: Server) -> float:
    """The most that it has ever had, in megabytes."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024 / MEGABYTE


@pytest.mark.proof("knowledge")
async def test_size_of_a_document_is_no_matter_of_memory(
    shared_server: Server, prove: bool, measured: Measured
) -> None:
    token = await shared_server.token("admin")
    async with open_client(shared_server) as nobody:
        collection = await make_collection(nobody.bearing(token))
        before = most_memory(shared_server)
        size = (150 if prove else 50) * MEGABYTE // len(PIECE) * len(PIECE)
        document = await _upload(nobody, token, collection["id"], size)
        assert await _download(nobody, token, document) == size
    grown = most_memory(shared_server) - before
    measured("document", size // MEGABYTE, "MiB")
    measured("memory grown by", round(grown, 1), "MiB")
    assert grown < MOST_MEGABYTES


async def _upload(nobody: Client, token: str, collection: str, size: int) -> str:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(size // len(PIECE)):
            yield PIECE

    headers = {"Authorization": f"Bearer {token}"}
    path = f"{nobody.url}{COLLECTIONS}{collection}/documents/?name=a.bin"
    async with ClientSession() as http, http.post(path, data=pieces(), headers=headers) as answer:
        assert answer.status == 202
        return str((await answer.json())["id"])


async def _download(nobody: Client, token: str, document: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    path = f"{nobody.url}{DOCUMENTS}{document}/file/"
    async with ClientSession() as http, http.get(path, headers=headers) as answer:
        return sum([len(piece) async for piece in answer.content.iter_chunked(len(PIECE))])
