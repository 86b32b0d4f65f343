"""System prompts, kept once each. They never change, so that a process may remember them."""

from collections import OrderedDict
from hashlib import sha256

from palaver.chat.conversation import TextId
from palaver.chat.errors import NotFound
from palaver.store.database import Database, Transaction

# Prompts are at most some tens of kilobytes, usually one: a few megabytes in all.
REMEMBERED = 2000


class Texts:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[TextId, str] = OrderedDict()

    async def get(self, text_id: TextId) -> str:
        text = self._known.get(text_id)
        if text is None:
            row = await self._database.read(lambda tx: tx.one("SELECT text FROM texts WHERE id = $1", text_id))
            if row is None:
                # Purged with its last conversation since that was read.
                raise NotFound
            text = str(row[0])
            self._known[text_id] = text
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return text

    async def add(self, tx: Transaction, text: str) -> TextId:
        digest = sha256(text.encode()).digest()
        row = await tx.one("SELECT id FROM texts WHERE digest = $1", digest)
        if row is None:
            row = await tx.one("INSERT INTO texts (digest, text) VALUES ($1, $2) RETURNING id", digest, text)
        assert row is not None
        return TextId(row[0])
