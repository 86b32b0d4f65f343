"""The worker at its port: a real store, on SQLite and on PostgreSQL, and the stand-in LLM server for vectors."""

from collections.abc import AsyncIterator

import pytest

from palaver.chat.clock import SystemClock
from palaver.chat.knowledge import Collection, NewCollection, Quota
from palaver.chat.user import User
from palaver.knowledge.embeddings import EmbeddingOptions, EmbeddingServer
from palaver.store import SqlStore
from tests.knowledge.library import Library
from tests.parts.llm import LLM
from tests.ports.conftest import alice, store, store_options

__all__ = ["alice", "store", "store_options"]


@pytest.fixture
async def library(store: SqlStore, alice: User) -> Library:
    """A collection of Alice's, and who reads what is put into it."""
    collection: Collection = await store.collections.add(alice, NewCollection("papers"), SystemClock().now(), Quota())
    return Library(store, alice, collection)


@pytest.fixture
async def embeddings(llm: LLM) -> AsyncIterator[EmbeddingServer]:
    async with EmbeddingServer(EmbeddingOptions(url=llm.url, model="vectors-1")) as server:
        yield server
