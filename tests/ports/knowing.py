"""The words in which the store suite speaks of knowledge: documents on their way in, and what is found in them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from palaver.chat.clock import SECOND, Micros
from palaver.chat.knowledge import Claimed, Collection, Cut, Document, Hits, NewCollection, Quota
from palaver.chat.user import Reader, User
from palaver.chat.words import to_words
from palaver.store import SqlStore
from tests.ports.talking import LEASE, NOW, rows

ANY = Quota()

# What SQLite and PostgreSQL keep of their own, and who is known to whom.
TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
    "postgres": "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename",
}


async def collect(store: SqlStore, owner: User, name: str = "Notes", *, is_public: bool = False) -> Collection:
    return await store.collections.add(owner, NewCollection(name, is_public=is_public), NOW, ANY)


def cut(*texts: str, heading: str = "") -> list[Cut]:
    """Passages one behind the other."""
    cuts, start = [], 0
    for number, text in enumerate(texts):
        cuts.append(Cut(number, start, start + len(text), text, heading=heading))
        start += len(text)
    return cuts


async def arrive(
    store: SqlStore, collection: Collection, name: str, data: bytes, *, quota: Quota = ANY, now: Micros = NOW
) -> tuple[Document, bool]:
    document = await store.documents.begin(collection.id, name, "text/plain", now)
    await store.documents.add_part(document.id, 0, data, quota, now)
    return await store.documents.arrive(document.id, hashlib.sha256(data).digest(), now, quota)


async def claim(store: SqlStore, *, now: Micros = NOW) -> Claimed:
    claimed = await store.documents.claim(Micros(now + 10 * SECOND), now)
    assert claimed is not None
    return claimed


async def read(store: SqlStore, claimed: Claimed, cuts: Sequence[Cut]) -> None:
    assert await store.documents.add_passages(claimed, cuts)
    assert await store.documents.finish(claimed, NOW)


async def keep(store: SqlStore, collection: Collection, name: str, *texts: str, heading: str = "") -> Document:
    """A document of these passages that can be searched."""
    document, known = await arrive(store, collection, name, "".join(texts).encode())
    assert not known
    claimed = await claim(store)
    assert claimed.document.id == document.id
    await read(store, claimed, cut(*texts, heading=heading))
    return (await store.documents.access(Reader(collection.owner_id), document.uuid))[0]


async def search(
    store: SqlStore, who: User, where: str, text: str = "", vector: Sequence[float] | None = None, limit: int = 8
) -> Hits:
    return await store.passages.search(Reader(who.id, is_admin=who.is_admin), where, to_words(text), vector, limit)


async def found(store: SqlStore, who: User, where: str, text: str) -> list[str]:
    return [passage.text for passage in (await search(store, who, where, text)).by_words]


async def near(store: SqlStore, who: User, where: str, *vector: float) -> list[str]:
    return [passage.text for passage in (await search(store, who, where, vector=vector)).by_meaning]


async def everything(store: SqlStore) -> dict[str, bytes]:
    """All that every table holds, those of the engine's indexes too, as bytes."""
    held = {}
    for (table,) in await rows(store, TABLES[store.engine]):
        whole = "*" if store.engine == "sqlite" else "t::text"
        values = [value for row in await rows(store, f"SELECT {whole} FROM {table} t") for value in row]
        held[table] = b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)
    return held


async def holding(store: SqlStore, *secrets: bytes) -> set[str]:
    """The tables in which any of these stands."""
    wanted = [*secrets, *(secret.hex().encode() for secret in secrets)]
    return {table for table, held in (await everything(store)).items() if any(secret in held for secret in wanted)}


@asynccontextmanager
async def looking_on(look: Callable[[], Awaitable[None]]) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Somebody looks all the while, again and again. What it gives waits until another look has ended."""
    ended, over = asyncio.Event(), asyncio.Event()

    async def look_on() -> None:
        while not over.is_set():
            await look()
            ended.set()

    async def another_look() -> None:
        ended.clear()
        await ended.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(look_on())
        yield another_look
        over.set()


__all__ = [
    "ANY",
    "LEASE",
    "arrive",
    "claim",
    "collect",
    "cut",
    "everything",
    "found",
    "holding",
    "keep",
    "looking_on",
    "near",
    "read",
]
