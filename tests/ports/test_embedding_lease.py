"""Who makes the vectors: one worker at a time, as long as it says so."""

from palaver.chat.clock import SECOND, Micros
from palaver.store import SqlStore
from tests.ports.talking import NOW

UNTIL = Micros(NOW + 60 * SECOND)
LATER = Micros(UNTIL + SECOND)


async def test_one_worker_at_a_time_makes_the_vectors(store: SqlStore, other_store: SqlStore) -> None:
    embedding = await store.passages.use_embedding("m", 3, NOW)
    lease, other_lease = store.passages.lease_embedding, other_store.passages.lease_embedding
    assert await lease(embedding.id, UNTIL, NOW)
    assert not await other_lease(embedding.id, UNTIL, NOW)
    assert await lease(embedding.id, LATER, NOW, UNTIL)
    assert not await lease(embedding.id, LATER, NOW, UNTIL)
    assert await lease(embedding.id, Micros(0), NOW, LATER)
    assert await other_lease(embedding.id, UNTIL, NOW)


async def test_a_lease_that_has_run_out_is_anybodys(store: SqlStore, other_store: SqlStore) -> None:
    embedding = await store.passages.use_embedding("m", 3, NOW)
    assert await store.passages.lease_embedding(embedding.id, UNTIL, NOW)
    assert await other_store.passages.lease_embedding(embedding.id, Micros(LATER + 1), LATER)
    assert not await store.passages.lease_embedding(embedding.id, Micros(LATER + 2), LATER, UNTIL)
