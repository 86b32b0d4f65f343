"""System prompts, kept once each. They never change, so that a process may remember them."""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256

from palaver.chat.clock import Micros
from palaver.chat.context import TOKENS_AROUND, count_tokens
from palaver.chat.conversation import TextId
from palaver.chat.errors import NotFound
from palaver.store.database import Database, Transaction

# Prompts are at most some tens of kilobytes, usually one: a few megabytes in all.
REMEMBERED = 2000

# A turn that has just begun may not have read what is replaced: it goes later, and only if nobody has it then.
LEAVE = "UPDATE texts SET left_at = $2 WHERE id = $1"
LEFT = "SELECT id FROM texts WHERE left_at < $1 LIMIT $2"
FORGET_LEFT = (
    "DELETE FROM texts WHERE id = $1 AND left_at < $2 AND NOT EXISTS (SELECT 1 FROM conversations WHERE prompt_id = $1)"
)
KEEP_LEFT = "UPDATE texts SET left_at = NULL WHERE id = $1 AND left_at < $2"
REMOVED_AT_ONCE = 100


class Texts:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[TextId, str] = OrderedDict()
        self._tokens: dict[TextId, int] = {}

    def tokens(self, text_id: TextId) -> int | None:
        """About how many tokens it takes as a message, if it is remembered. From any thread."""
        return self._tokens.get(text_id)

    async def get(self, text_id: TextId) -> str:
        text = self._known.get(text_id)
        if text is None:
            row = await self._database.read(lambda tx: tx.one("SELECT text FROM texts WHERE id = $1", text_id))
            if row is None:
                # Purged with its last conversation since that was read.
                raise NotFound
            text = str(row[0])
            self._known[text_id] = text
            self._tokens[text_id] = count_tokens(text) + TOKENS_AROUND
            if len(self._known) > REMEMBERED:
                forgotten, _ = self._known.popitem(last=False)
                del self._tokens[forgotten]
        return text

    async def add(self, tx: Transaction, text: str) -> TextId:
        digest = sha256(text.encode()).digest()
        row = await tx.one("SELECT id FROM texts WHERE digest = $1", digest)
        if row is None:
            row = await tx.one("INSERT INTO texts (digest, text) VALUES ($1, $2) RETURNING id", digest, text)
        assert row is not None
        return TextId(row[0])

    async def leave(self, tx: Transaction, text_id: TextId, now: Micros) -> None:
        """A conversation no longer has it."""
        await tx.run(LEAVE, text_id, now)

    async def remove_left(self, left_before: Micros) -> int:
        """Removes those that were left before then and that no conversation has. Tells how many were looked at."""
        looked_at = 0
        while rows := await self._database.read(lambda tx: tx.all(LEFT, left_before, REMOVED_AT_ONCE)):
            left = [(row[0], left_before) for row in rows]
            await self._database.write(lambda tx, left=left: _remove(tx, left))  # type: ignore[misc]
            looked_at += len(left)
        return looked_at


async def _remove(tx: Transaction, left: Sequence[tuple[TextId, Micros]]) -> None:
    await tx.run_many(FORGET_LEFT, left)
    await tx.run_many(KEEP_LEFT, left)
