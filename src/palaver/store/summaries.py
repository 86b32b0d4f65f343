"""What stands for the messages that a bot no longer sees."""

from collections.abc import Collection, Mapping

from palaver.chat.clock import Micros
from palaver.chat.context import MOST_MESSAGES
from palaver.chat.conversation import ConversationId, Past
from palaver.chat.ports import Unsummarised
from palaver.store.database import Database, Transaction

# What is in view and was said: a failed reply and one that has only begun are no part of what a bot sees.
_PAST = (
    "SELECT conversation_id, number, role, content, token_count FROM messages "
    "WHERE conversation_id = {conversation} AND number >= {start} AND number < {before} AND in_view "
    "AND role IN ('user', 'assistant') AND content <> '' AND status IN ('complete', 'stopped', 'interrupted') "
    "ORDER BY number DESC LIMIT {most}"
)


def select_past(first: int) -> str:
    """What a bot is to see. The values from the `first` on: the conversation, from which number, before which, and how
    many at most."""
    conversation, start, before, most = (f"${at}" for at in range(first, first + 4))
    return _PAST.format(conversation=conversation, start=start, before=before, most=most)


def select_pasts(first: int) -> str:
    """The same of many conversations, on PostgreSQL, where each execution costs as much as what it reads: the values
    are lists."""
    lists = ", ".join(f"CAST(${at} AS BIGINT[])" for at in range(first, first + 4))
    past = _PAST.format(conversation="asked.id", start="asked.start", before="asked.before", most="asked.most")
    return f"SELECT past.* FROM UNNEST({lists}) AS asked (id, start, before, most), LATERAL ({past}) AS past"


PAST = select_past(1)
PASTS = select_pasts(1)
# One maker at a time, in any worker. Whoever died while making it is followed once the lease has run out.
CLAIM = (
    "UPDATE conversations SET summary_lease = $3 WHERE id = $1 AND context_from = $2 AND summary_to < $2 "
    "AND summary_lease < $4 AND deleted_at IS NULL RETURNING summary, summary_to"
)
# An edit or another branch has reset the lease: what was summarised may not be in view any more.
KEEP = (
    "UPDATE conversations SET summary = $4, summary_to = $2, summary_lease = 0 "
    "WHERE id = $1 AND summary_lease = $3 AND context_from >= $2 RETURNING id"
)
GIVE_UP = "UPDATE conversations SET summary_lease = 0 WHERE id = $1 AND summary_lease = $2"
SUMMARY = "SELECT id, summary FROM conversations WHERE id = $1"


class SqlSummaries:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self, conversation_id: ConversationId, up_to: int, now: Micros, until: Micros
    ) -> Unsummarised | None:
        async def work(tx: Transaction) -> Unsummarised | None:
            row = await tx.one(CLAIM, conversation_id, up_to, until, now)
            if row is None:
                return None
            summary, since = row
            said = await tx.all(PAST, conversation_id, since, up_to, MOST_MESSAGES)
            past = [Past(number, role, content, tokens or 0) for _, number, role, content, tokens in said]
            return Unsummarised(conversation_id, up_to, until, summary or "", past)

        return await self._database.write(work)

    async def keep(self, cut: Unsummarised, summary: str) -> bool:
        row = await self._database.write(
            lambda tx: tx.one(KEEP, cut.conversation_id, cut.up_to, cut.lease_until, summary)
        )
        return row is not None

    async def give_up(self, cut: Unsummarised) -> None:
        await self._database.write(lambda tx: tx.run(GIVE_UP, cut.conversation_id, cut.lease_until))


async def read_summaries(tx: Transaction, ids: Collection[ConversationId]) -> Mapping[ConversationId, str]:
    rows = await tx.all_many(SUMMARY, [(id_,) for id_ in ids]) if ids else ()
    return {row[0]: row[1] or "" for row in rows}
