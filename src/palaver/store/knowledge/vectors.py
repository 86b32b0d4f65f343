"""What passages are found by when their meaning is looked for: sqlite-vec on SQLite, pgvector on PostgreSQL.

Each embedding has tables of its own, as vectors of one size can be compared alone. Where the engine cannot do it,
words serve alone.
"""

from collections.abc import Sequence
from typing import Protocol

from palaver.chat.knowledge import CollectionId, EmbeddingId, PassageId
from palaver.store.database import Transaction
from palaver.store.knowledge.searched import Searched

EMBEDDINGS = "SELECT id FROM embeddings"

# More than this of the nearest is not asked for: more sqlite-vec does not give.
MOST_NEAR = 4096


class EmbeddingGone(Exception):
    """Another one has just become current; the next look finds it."""


class Vectors(Protocol):
    async def can_embed(self) -> bool: ...
    async def make(self, tx: Transaction, embedding_id: EmbeddingId, dimensions: int) -> None: ...
    async def add(
        self,
        tx: Transaction,
        embedding_id: EmbeddingId,
        vectors: Sequence[tuple[PassageId, CollectionId, Sequence[float]]],
    ) -> None: ...
    async def copy(
        self, tx: Transaction, embedding_id: EmbeddingId, passages: Sequence[tuple[PassageId, CollectionId, PassageId]]
    ) -> None:
        """The vector of the last named passage is that of the first, too."""
        ...

    async def hold(self, tx: Transaction) -> Sequence[EmbeddingId]:
        """All there are. Until the transaction ends none of them is given vectors or taken away."""
        ...

    async def remove(
        self, tx: Transaction, embeddings: Sequence[EmbeddingId], passages: Sequence[PassageId]
    ) -> None: ...

    async def nearest(
        self,
        tx: Transaction,
        embedding_id: EmbeddingId,
        searched: Searched,
        vector: Sequence[float],
        limit: int,
    ) -> Sequence[PassageId]:
        """The nearest first. Raises `EmbeddingGone`."""
        ...

    async def drop_some(self, tx: Transaction, embedding_id: EmbeddingId) -> bool:
        """A step of taking an embedding's tables away. False where nothing is left of them."""
        ...

    async def tidy_some(self, tx: Transaction) -> bool:
        """A step of taking away what could not be reached when it was removed. Whether there was any."""
        ...
