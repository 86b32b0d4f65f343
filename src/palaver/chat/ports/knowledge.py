"""Collections, their documents, and finding passages in them."""

from collections.abc import Sequence
from typing import Protocol

from palaver.chat.clock import Micros
from palaver.chat.knowledge import (
    Claimed,
    Collection,
    CollectionChange,
    CollectionId,
    Cut,
    Document,
    DocumentId,
    Embedding,
    EmbeddingId,
    Hits,
    NewCollection,
    Passage,
    Problem,
    Quota,
    Sizes,
    Source,
)
from palaver.chat.user import Reader, User, UserId


class Collections(Protocol):
    async def visible(self, reader: Reader) -> Sequence[Collection]:
        """One's own, those shared with the reader, and the public ones, by name; all for an admin."""
        ...

    async def access(self, reader: Reader, uuid: str) -> Collection:
        """If it is among the visible ones. Raises `NotFound`."""
        ...

    async def find(self, reader: Reader, name: str) -> Collection | None:
        """By its UUID where `name` has the form of one, else by its name, among those the reader may search. Of several
        with this name one's own goes before an admin's, that before a shared one, and that before a public one, the
        oldest of these. An admin's rights find nothing more here: what others keep for themselves is not searched by
        accident."""
        ...

    async def add(self, owner: User, new: NewCollection, now: Micros, quota: Quota) -> Collection:
        """Raises `Taken("name")` where the owner has one of that name, `Invalid("name")` for one in the form of a UUID,
        and `OverQuota`."""
        ...

    async def change(self, collection_id: CollectionId, change: CollectionChange, now: Micros) -> Collection:
        """Raises `NotFound`, or as `add` does for a name."""
        ...

    async def delete(self, collection_id: CollectionId) -> None:
        """With all that was in it. It is found no more from the first moment on; the rest goes in small steps in the
        background, or by the next `Documents.drop_unfinished`."""
        ...

    async def shared_with(self, collection_id: CollectionId) -> Sequence[str]: ...
    async def share(self, collection_id: CollectionId, names: Sequence[str]) -> Sequence[str]:
        """With these people and no others, as for presets. Raises `Invalid`, and then nothing has changed."""
        ...

    async def drop_share(self, collection_id: CollectionId, user_id: UserId) -> None:
        """It is shared with that person no more. Raises `NotFound` where it was not."""
        ...


class Documents(Protocol):
    """How a document gets in: `begin`, `add_part` for each part in order, `arrive`; then a worker claims it, reads its
    parts, adds its passages, and says `finish` or `fail`."""

    async def listed(self, collection_id: CollectionId, *, limit: int, offset: int) -> tuple[Sequence[Document], int]:
        """By name, and how many there are in all. Those that still arrive are not among them."""
        ...

    async def access(self, reader: Reader, uuid: str) -> tuple[Document, Collection]:
        """If its collection is visible to the reader and it has arrived. Raises `NotFound`."""
        ...

    async def begin(
        self, collection_id: CollectionId, name: str, media_type: str, now: Micros, sizes: Sizes | None = None
    ) -> Document:
        """Raises `NotFound` where the collection is gone."""
        ...

    async def add_part(self, document_id: DocumentId, number: int, data: bytes, quota: Quota, now: Micros) -> None:
        """Kept when this returns. Raises `OverQuota`, and `NotFound` where it is gone."""
        ...

    async def arrive(self, document_id: DocumentId, digest: bytes, now: Micros, quota: Quota) -> tuple[Document, bool]:
        """All its parts are there; from now on it waits to be read. Where the collection has the same bytes under the
        same name already, that one is returned, with True, and this one is gone. Another one of the same name is
        replaced as soon as this one can be searched, and at once where it cannot be searched itself: of several that
        come one behind the other the last stays. Raises `OverQuota`, `NotFound`."""
        ...

    async def has(self, collection_id: CollectionId, name: str, digest: bytes) -> Document | None:
        """The document of this name with these bytes, unless reading it failed."""
        ...

    async def part(self, document_id: DocumentId, number: int) -> bytes | None: ...
    async def delete(self, document_id: DocumentId) -> None:
        """It is found no more from the first moment on, and its citations say nothing of it. The rest goes as that of a
        collection does."""
        ...

    async def drop_unfinished(self, before: Micros) -> int:
        """Takes away that of which nothing has arrived since before then and that never came to its end, and what is
        left of all that was deleted: when this returns there is no trace of it. How many never came to their end."""
        ...

    async def claim(self, lease_until: Micros, now: Micros) -> Claimed | None:
        """One whose worker let its lease run out, else one that waits: of the owners the one who has not had a turn for
        longest, and of theirs the oldest."""
        ...

    async def renew(self, claimed: Claimed, lease_until: Micros) -> bool:
        """False where it is no longer this worker's."""
        ...

    async def forget_passages(self, claimed: Claimed) -> None:
        """Takes away what an earlier attempt had added, in steps; nothing, where it is no longer this worker's."""
        ...

    async def add_passages(self, claimed: Claimed, cuts: Sequence[Cut]) -> bool:
        """Nobody finds them yet. Those with a number that is there already are left as they are. False where it is no
        longer this worker's; what was added till then is for the next one to forget. Raises `OverQuota` where that text
        is more than the quota with which the document arrived leaves."""
        ...

    async def finish(self, claimed: Claimed, now: Micros) -> bool:
        """All its passages are found from now on, and those of the document it replaces no more."""
        ...

    async def fail(self, claimed: Claimed, problem: Problem, now: Micros) -> bool: ...
    async def passages(self, document_id: DocumentId, *, first: int, limit: int) -> Sequence[Passage]:
        """From that number on, in order; none of one that cannot be searched."""
        ...


class Passages(Protocol):
    """Finding them. The reader's rights stand in the query itself."""

    async def search(
        self,
        reader: Reader,
        collection: str,
        words: Sequence[str],
        vector: Sequence[float] | None,
        limit: int,
    ) -> Hits:
        """In the collection of that name or UUID, chosen as `Collections.find` does. `words` are any of `to_words`: a
        passage need not hold them all, and those that a good part of the passages have are not looked for where there
        are rarer ones. `vector` is of the current embedding's model and size; of another size nothing is near. Where
        there is no such collection, nothing is found."""
        ...

    async def cite(self, reader: Reader, sources: Sequence[Source]) -> Sequence[Source]:
        """The same with what the reader may search of them now."""
        ...

    async def can_embed(self) -> bool:
        """Whether vectors can be searched here: sqlite-vec or pgvector may be missing."""
        ...

    async def embedding(self) -> Embedding | None:
        """The one that is searched."""
        ...

    async def use_embedding(self, model: str, dimensions: int, now: Micros) -> Embedding:
        """Begins with this one, or goes on with it, and notes that a server is set to it. The one that was current
        stays so until this one has all. Raises `NotFound` where `can_embed` says no, and `Invalid` where no vector is
        so long."""
        ...

    async def lease_embedding(
        self, embedding_id: EmbeddingId, until: Micros, now: Micros, held: Micros | None = None
    ) -> bool:
        """Whether the caller, and nobody else, makes its vectors until then. `held` is the time until which the caller
        does already; who gives it up leases it until a time that has passed."""
        ...

    async def without_vectors(self, embedding_id: EmbeddingId, limit: int) -> Sequence[tuple[bytes, str]]:
        """Texts of searched passages that have none yet, each once, by the digest of its content. What had the same
        content, model and size before is given its vector without being listed here."""
        ...

    async def keep_vectors(self, embedding_id: EmbeddingId, vectors: Sequence[tuple[bytes, Sequence[float]]]) -> None:
        """For every searched passage with that content. For what was deleted meanwhile, and where another embedding has
        become current, nothing is kept."""
        ...

    async def make_current(self, embedding_id: EmbeddingId, now: Micros) -> bool:
        """It is searched from now on, if nothing is without a vector and the one that was till now yields to it; else
        False. The older one is kept for a day."""
        ...

    async def drop_old_embeddings(self, now: Micros) -> None:
        """Never the one that is searched: those that were replaced, or that no server was set to, since a day."""
        ...


class Finding(Protocol):
    """What answers a question from a collection."""

    async def search(
        self,
        reader: Reader,
        collection: str,
        question: str,
        context: Sequence[str],
        limit: int,
    ) -> Sequence[Passage]:
        """The passages that this reader may see and that are likely to answer it, best first, none that says the same
        as one before it. `context`: what the person asked before, oldest first, which tells what a follow-up means.
        For a guest words alone serve: no other server is asked anything. Where there is no such collection, nothing is
        found."""
        ...
