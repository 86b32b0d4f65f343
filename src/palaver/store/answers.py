"""Answers that may be given again, in the database: each under the digest of its question."""

from palaver.chat.clock import Micros
from palaver.chat.pieces import KnownAnswer
from palaver.chat.ports import AnswerToKeep
from palaver.chat.user import UserId
from palaver.store.database import Database, Transaction

FIND = "SELECT text, reason, model FROM answers WHERE digest = $1 AND user_id = $2 AND expires_at > $3"
# Held until it is written: a conversation that is being deleted takes with it what is there by then.
STILL_THERE = "SELECT id FROM conversations WHERE id = $1 AND owner_id = $2 AND deleted_at IS NULL"
# One that is asked for anew is a new one: its id says how old it is.
FORGET = "DELETE FROM answers WHERE digest = $1"
ADD = (
    "INSERT INTO answers (digest, user_id, conversation_id, text, reason, model, expires_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7)"
)
KEEP_NEWEST = "DELETE FROM answers WHERE id <= (SELECT id FROM answers ORDER BY id DESC LIMIT 1 OFFSET $1)"
FORGET_ANSWERS = "DELETE FROM answers WHERE conversation_id = $1"
EXPIRED = "SELECT id FROM answers WHERE expires_at <= $1 LIMIT $2"
# A transaction that held the writer for longer would be felt by those who talk.
REMOVED_AT_ONCE = 1000


class SqlAnswers:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, user_id: UserId, digest: bytes, now: Micros) -> KnownAnswer | None:
        row = await self._database.read(lambda tx: tx.one(FIND, digest, user_id, now))
        return None if row is None else KnownAnswer(*row)

    async def keep(self, kept: AnswerToKeep, most: int) -> None:
        answer = kept.answer

        async def work(tx: Transaction) -> None:
            if await tx.one(STILL_THERE + tx.lock, kept.conversation_id, kept.user_id) is None:
                return
            await tx.run(FORGET, kept.digest)
            await tx.run(
                ADD, kept.digest, kept.user_id, kept.conversation_id, answer.text, answer.reason, answer.model,
                kept.expires_at,
            )  # fmt: skip
            await tx.run(KEEP_NEWEST, most)

        await self._database.write(work)

    async def remove_expired(self, now: Micros) -> int:
        # Looked for beside the writer: mostly there are none.
        if await self._database.read(lambda tx: tx.one(EXPIRED, now, 1)) is None:
            return 0
        sql = f"DELETE FROM answers WHERE id IN ({EXPIRED}) RETURNING id"
        return len(await self._database.write(lambda tx: tx.all(sql, now, REMOVED_AT_ONCE)))
