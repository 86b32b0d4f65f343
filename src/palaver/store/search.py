"""What people look for in their own conversations: words of messages and titles, each with whose they are.

Writing a message does nothing for it: whoever searches has what is new of theirs read first (docs/decisions/0014).
"""

import asyncio
import logging
from collections.abc import Sequence

from msgspec import Struct

from palaver.chat.conversation import ConversationId
from palaver.chat.ports import FoundMessage, Searched
from palaver.chat.user import Reader, UserId
from palaver.chat.words import to_snippets, to_wanted, to_words
from palaver.store.database import Database, Row, Transaction
from palaver.store.rows import CONVERSATION, to_conversation

log = logging.getLogger("palaver.store")

# Titles stand below zero, beside the messages.
KEEP = {
    "sqlite": "INSERT OR REPLACE INTO search (rowid, words) VALUES ($1, $2)",
    "postgres": "INSERT INTO search (rowid, words) VALUES ($1, array_to_tsvector($2::text[])) "
    "ON CONFLICT (rowid) DO UPDATE SET words = excluded.words",
}
# The index is asked first, and once. SQLite is told so by CROSS JOIN, and ends with the page; PostgreSQL, as long as it
# has not counted what the table holds, would ask it once for each conversation, which takes seconds.
HITS = {
    "sqlite": "WITH hits AS (SELECT rowid AS id FROM search WHERE search MATCH $2) ",
    "postgres": "WITH hits AS MATERIALIZED "
    "(SELECT rowid AS id FROM search WHERE words @@ $2::tsquery ORDER BY rowid DESC) ",
}
# Who may find it stands in the same query, whatever the words say. A reply that is made anew has no text meanwhile.
MESSAGES = (
    "SELECT c.uuid, c.title, c.archived_at, m.uuid, m.role, m.in_view, m.created_at, m.content "
    "FROM hits CROSS JOIN messages m CROSS JOIN conversations c "
    "WHERE m.id = hits.id AND c.id = m.conversation_id AND c.owner_id = $1 AND c.kind = 'bot' AND c.deleted_at IS NULL "
    "AND m.content <> '' AND m.status NOT IN ('queued', 'running') ORDER BY hits.id DESC LIMIT $3 OFFSET $4"
)
TITLES = (
    f"SELECT {CONVERSATION} FROM hits CROSS JOIN conversations c WHERE c.id = -hits.id "
    "AND c.owner_id = $1 AND c.kind = 'bot' AND c.deleted_at IS NULL ORDER BY c.updated_at DESC, c.id DESC LIMIT $3"
)
NEWS = (
    "c.kind = 'bot' AND c.deleted_at IS NULL "
    "AND (c.event > c.searched_event OR c.title IS DISTINCT FROM c.searched_title)"
)
NEW = f"SELECT c.id FROM conversations c WHERE c.owner_id = $1 AND {NEWS} ORDER BY c.updated_at DESC LIMIT $2"
STATE = "SELECT owner_id, event, title, searched_event, searched_title FROM conversations WHERE id = $1"
NEW_TEXTS = (
    "SELECT number, id, attempt, content FROM messages WHERE conversation_id = $1 AND number > $2 "
    "AND (event > $3 OR end_event > $3) AND role IN ('user', 'assistant') AND status NOT IN ('queued', 'running') "
    "AND content <> '' ORDER BY number LIMIT $4"
)
STILL = "SELECT id, attempt FROM messages WHERE conversation_id = $1 AND number >= $2 AND number <= $3"
HOLD = "SELECT owner_id FROM conversations WHERE id = $1"
DONE = (
    "UPDATE conversations SET searched_title = $3, searched_event = CASE WHEN searched_event < $2 THEN $2 "
    "ELSE searched_event END WHERE id = $1"
)
FORGET_WORDS = (
    "DELETE FROM search WHERE rowid IN (SELECT id FROM messages WHERE conversation_id = $1)",
    "DELETE FROM search WHERE rowid = -CAST($1 AS BIGINT)",
)

# The writer is held for a few milliseconds at a time; on PostgreSQL so is the conversation.
MESSAGES_AT_ONCE = 100
CONVERSATIONS_AT_ONCE = 100

# How many messages are read before an answer is given; all others behind it. Only who comes with a long history for the
# first time meets it.
BEFORE_ANSWERING = 3000
EVERYTHING = 1 << 62


class _Unread(Struct, frozen=True):
    owner_id: UserId
    event: int
    title: str
    searched_event: int
    searched_title: str | None


class SqlSearch:
    def __init__(self, database: Database, engine: str) -> None:
        self._database = database
        self._engine = engine
        self._reading: dict[UserId, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """Stops reading; the next search goes on with it."""
        reading = list(self._reading.values())
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    async def find(self, reader: Reader, text: str, *, limit: int, offset: int) -> Searched:
        wanted = to_wanted(text)
        if not wanted:
            return Searched()
        is_whole = await self._read_news(reader.user_id, BEFORE_ANSWERING)
        if not is_whole and reader.user_id not in self._reading:
            self._reading[reader.user_id] = asyncio.create_task(self._read_on(reader.user_id))
        owner, hits = reader.user_id, HITS[self._engine]

        async def work(tx: Transaction) -> tuple[Sequence[Row], Sequence[Row]]:
            in_messages = self._query(_of_messages(owner), wanted)
            said = await tx.all(hits + MESSAGES, owner, in_messages, limit + 1, offset)
            in_titles = self._query(_of_titles(owner), wanted)
            return said, [] if offset else await tx.all(hits + TITLES, owner, in_titles, limit)

        said, named = await self._database.read(work)
        page = said[:limit]
        # Long texts take their time, here too.
        snippets = await asyncio.to_thread(to_snippets, [row[-1] for row in page], wanted)
        return Searched(
            [to_conversation(row) for row in named],
            [_to_found(row, snippet) for row, snippet in zip(page, snippets, strict=True)],
            has_more=len(said) > limit,
            is_whole=is_whole,
        )

    async def _read_on(self, owner: UserId) -> None:
        try:
            await self._read_news(owner, EVERYTHING)
        except OSError as error:
            log.warning("what was said cannot be read for search just now: %s", error)
        except Exception:
            # The task's outer edge: nobody waits for it, and the next search tries again.
            log.exception("what was said cannot be read for search")
        finally:
            del self._reading[owner]

    async def _read_news(self, owner: UserId, most: int) -> bool:
        """Reads what is new, one conversation after the other, until so many messages were read. Tells whether that was
        all."""
        while most > 0:
            rows = await self._database.read(lambda tx: tx.all(NEW, owner, CONVERSATIONS_AT_ONCE))
            if not rows:
                return True
            for (conversation_id,) in rows:
                most -= 1 + await self._read_conversation(conversation_id)
                if most <= 0:
                    return False
        return False

    async def _read_conversation(self, conversation_id: ConversationId) -> int:
        """How many of its messages were new. What happens there meanwhile is read the next time."""
        row = await self._database.read(lambda tx: tx.one(STATE, conversation_id))
        if row is None:
            return 0
        unread, read, last = _Unread(*row), 0, -1
        while True:
            after, event = last, unread.searched_event
            texts = await self._database.read(
                lambda tx, after=after, event=event: tx.all(  # type: ignore[misc]
                    NEW_TEXTS, conversation_id, after, event, MESSAGES_AT_ONCE
                )
            )
            if not texts:
                await self._database.write(lambda tx: self._note_title(tx, conversation_id, unread))
                return read
            # Long texts take their time: the loop is not to wait for it.
            words = await asyncio.to_thread(lambda texts=texts: [to_words(one[3]) for one in texts])  # type: ignore[misc]
            last = texts[-1][0]
            await self._database.write(
                lambda tx, texts=texts, words=words: self._keep(tx, conversation_id, texts, words)  # type: ignore[misc]
            )
            read += len(texts)

    async def _keep(
        self, tx: Transaction, conversation_id: ConversationId, texts: Sequence[Row], words: Sequence[list[str]]
    ) -> None:
        """Only what is still there as it was: a conversation may be purged at any time, and a reply made anew."""
        owner = await tx.one(HOLD + tx.lock, conversation_id)
        if owner is None:
            return
        rows = await tx.all(STILL, conversation_id, texts[0][0], texts[-1][0])
        still = {(row[0], row[1]) for row in rows}
        kept = [
            (one[1], self._words(_of_messages(owner[0]), found))
            for one, found in zip(texts, words, strict=True)
            if (one[1], one[2]) in still
        ]
        if kept:
            await tx.run_many(KEEP[self._engine], kept)

    async def _note_title(self, tx: Transaction, conversation_id: ConversationId, unread: _Unread) -> None:
        """Its messages have been read up to there, and now its title is."""
        if await tx.one(HOLD + tx.lock, conversation_id) is None:
            return
        if unread.title != unread.searched_title:
            words = self._words(_of_titles(unread.owner_id), to_words(unread.title))
            await tx.run(KEEP[self._engine], -conversation_id, words)
        await tx.run(DONE, conversation_id, unread.event, unread.title)

    def _words(self, whose: str, words: list[str]) -> str | list[str]:
        return [whose, *words] if self._engine == "postgres" else " ".join([whose, *words])

    def _query(self, whose: str, wanted: Sequence[str]) -> str:
        """Every word has to be there. Words hold letters and digits alone, so none can be read as a command."""
        if self._engine == "postgres":
            return " & ".join([f"'{whose}'", *(f"'{word}':*" for word in wanted)])
        return " AND ".join([f'"{whose}"', *(f'"{word}"*' for word in wanted)])


# No word of a text holds this sign. Titles are few, and found without a look at all the messages.
def _of_messages(owner: UserId) -> str:
    return f"@{owner}"


def _of_titles(owner: UserId) -> str:
    return f"@{owner}@"


def _to_found(row: Row, snippet: str) -> FoundMessage:
    conversation, title, archived_at, uuid, role, in_view, created_at, _content = row
    return FoundMessage(conversation, title, archived_at is not None, uuid, role, bool(in_view), created_at, snippet)
