"""The end of replies in the database: one transaction for all that end in the same moment."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from palaver.chat.clock import Micros
from palaver.chat.context import MOST_MESSAGES, count_tokens
from palaver.chat.conversation import ConversationId, MessageId, PresetId, Usage
from palaver.chat.cursor import Mark
from palaver.chat.ledger import Spending
from palaver.chat.ports import EndedReply, Ending
from palaver.chat.user import UserId
from palaver.store.database import Row, Transaction
from palaver.store.events import KEPT, lowest_open
from palaver.store.going_on import promote
from palaver.store.ledger import COST, SPENT_AND_ADDED_UP, spend, to_values_alone
from palaver.store.locks import LOCK_CONVERSATIONS
from palaver.store.outbox import add_reply_notices
from palaver.store.prompt_size import PROMPT_SIZE
from palaver.store.rows import IT_RUNS, SHOW_LEAF, from_sources

# An ended conversation counts no more exchanges: what was told when it ended stays true.
# The attempt and its worker fence: whoever woke up after its lease was taken over changes nothing.
END_REPLY = (
    "UPDATE messages SET status = $4, reason = $5, content = $6, created_at = $20, token_count = $7, model = $8, "
    "prompt_tokens = $9, completion_tokens = $10, cached_tokens = $11, usage_estimated = $14, cached = $16, "
    "details = $12, worker = NULL, lease_until = NULL, "
    "exchange = CASE WHEN $15 THEN (SELECT c.exchange_count + 1 FROM conversations c "
    "WHERE c.id = conversation_id AND c.status = 'active') END, "
    "end_event = (SELECT c.event + 2 FROM conversations c WHERE c.id = conversation_id), "
    "cost = CASE WHEN CAST($9 AS BIGINT) IS NOT NULL THEN "
    + COST.format(prompt="$9", cached="$17", completion="$10", model="$18", now="$19")
    + f" END WHERE id = $1 AND attempt = $2 AND worker = $3 AND {IT_RUNS} AND lease_until < $13 "
    "RETURNING id, exchange, in_view, cost, "
    "payer_id IS NOT NULL OR EXISTS (SELECT 1 FROM spending WHERE scope > ''), "
    "(SELECT c.app_id FROM conversations c WHERE c.id = conversation_id), "
    "(SELECT c.preset_id FROM conversations c WHERE c.id = conversation_id), "
    "(SELECT c.open_replies > 1 FROM conversations c WHERE c.id = conversation_id)"
)
NEVER_EXPIRES = 1 << 62
# A reply that has left the view saw another branch: where that was cut says nothing of the one in view.
COUNT_REPLY = (
    "UPDATE conversations SET message_count = message_count + $2, "
    "exchange_count = exchange_count + CASE WHEN status = 'active' THEN $3 ELSE 0 END, "
    "open_replies = open_replies - 1, context_from = CASE WHEN $8 THEN $4 ELSE context_from END, "
    "prompt_tokens = prompt_tokens + $5, "
    "completion_tokens = completion_tokens + $6, updated_at = $7, event = event + 2, "
    "cached_tokens = cached_tokens + $9, cost = cost + $10, "
    "last_message_at = CASE WHEN $2 > 0 THEN $7 ELSE last_message_at END WHERE id = $1 "
    "RETURNING id, exchange_count, open_replies, revision, event, last_number"
)
# For PostgreSQL what the reply has used goes with it where no other ends in the same moment: else it is one more round
# trip. The tokens and the cost are those that are counted anyway.
COUNT_AND_SPEND = "WITH " + SPENT_AND_ADDED_UP.format(
    tokens="CAST($5 AS BIGINT) + CAST($6 AS BIGINT)", money="CAST($10 AS BIGINT)", scope="$11", month="$12",
    user="$13", day="$14", added_day="$14", app="$15", model="$16", preset="$17",
    added="1, CAST($5 AS BIGINT), CAST($6 AS BIGINT), CAST($9 AS BIGINT), CAST($10 AS BIGINT)",
) + " " + COUNT_REPLY  # fmt: skip
KEEP_SOURCES = "UPDATE messages SET sources = $2 WHERE id = $1"
FORGET_LOG = "DELETE FROM reply_log WHERE message_id = $1"
LEFT_RUNNING = (
    "SELECT m.id, m.conversation_id, m.attempt, m.worker, COALESCE(m.sender_id, c.owner_id), c.context_from, c.uuid, "
    "c.model, m.parent_number, c.provider, m.lease_until, COALESCE((SELECT p.created_at FROM messages p "
    "WHERE p.conversation_id = m.conversation_id AND p.number = m.parent_number), 0) FROM messages m "
    "JOIN conversations c ON c.id = m.conversation_id "
    "WHERE m.status = 'running' AND (m.lease_until < $1 OR m.lease_until > $2)"
)


class _Written(Struct, frozen=True):
    """What `END_REPLY` tells of a reply that it has ended."""

    id: MessageId
    exchange: int | None
    in_view: bool
    cost: int | None
    may_have_budget: bool
    app_id: UserId | None
    preset_id: PresetId | None
    goes_on: bool
    """Whether others wait in the conversation."""


async def finish_all(tx: Transaction, endings: Sequence[Ending]) -> list[EndedReply | Exception]:
    in_order = sorted(endings, key=lambda ending: ending.reply_id)
    if tx.lock:
        await tx.all(LOCK_CONVERSATIONS, [ending.conversation_id for ending in in_order])
    rows = await tx.all_many(END_REPLY, [_end_row(ending) for ending in in_order])
    written = {row[0]: _Written(*row) for row in rows}
    kept = [ending for ending in in_order if ending.reply_id in written]
    if not kept:
        return [EndedReply(done=False)] * len(endings)
    silent = [(ending.conversation_id,) for ending in kept if not ending.text]
    if silent:
        await tx.run_many(SHOW_LEAF, silent)
    cited = [(ending.reply_id, from_sources(ending.sources)) for ending in kept if ending.sources]
    if cited:
        await tx.run_many(KEEP_SOURCES, cited)
    logged = [(ending.reply_id,) for ending in kept if ending.checkpointed]
    if logged:
        await tx.run_many(FORGET_LOG, logged)
    told = [(ending.owner_id, ending.conversation_id, ending.reply_id) for ending in kept if ending.tells_owner]
    if told:
        await add_reply_notices(tx, told, kept[0].now)
    counted = [_count_row(ending, written[ending.reply_id]) for ending in kept]
    entries = to_spending(kept, written)
    goes_with = None
    if tx.lock and entries and len(kept) == 1:
        alone = written[kept[0].reply_id]
        # Not where others go on: they would be read while all who pay with these wait for the rows.
        if not alone.goes_on:
            goes_with = to_values_alone(entries[0], budgets=alone.may_have_budget)
    if goes_with is None:
        counts = _to_counts(await tx.all_many(COUNT_REPLY, counted))
    else:
        counts = _to_counts(await tx.all(COUNT_AND_SPEND, *counted[0], *goes_with))
    ended: list[EndedReply | Exception] = []
    for ending in endings:
        if ending.reply_id not in written:
            ended.append(EndedReply(done=False))
            continue
        exchanges, waiting, revision, event, last_number = counts[ending.conversation_id]
        lowest, following = last_number + 1, None
        if waiting:
            lowest = await lowest_open(tx, ending.conversation_id, lowest)
            if ending.promote_to is not None:
                following = await promote(tx, ending.conversation_id, ending.promote_to, ending.now, ending.lease_until)
        ended.append(
            EndedReply(
                done=True,
                exchanges=exchanges,
                exchange=written[ending.reply_id].exchange,
                next=following,
                mark=Mark(revision, event, lowest),
            )
        )
    if entries and goes_with is None:
        budgets = bool(tx.lock) and any(one.may_have_budget for one in written.values())
        await spend(tx, entries, budgets=budgets)
    return ended


def _to_counts(rows: Iterable[Row]) -> Mapping[ConversationId, Row]:
    """How the conversations stand afterwards, by rows of `COUNT_REPLY`."""
    return {row[0]: row[1:] for row in rows}


def to_spending(endings: Sequence[Ending], written: Mapping[MessageId, _Written]) -> list[Spending]:
    """Of those of which it is known what they have used."""
    spent = []
    for ending in endings:
        if ending.usage is not None:
            of = written[ending.reply_id]
            spent.append(
                Spending(
                    ending.owner_id, of.app_id, of.preset_id, ending.billed_as, ending.usage, of.cost or 0, ending.now
                )
            )
    return spent


async def abandoned(tx: Transaction, row: Row, now: Micros, expired_before: Micros) -> Ending:
    (reply_id, conversation_id, attempt, worker, owner_id, context_from, uuid, model, parent_number, provider,
     lease_until, said_at) = row  # fmt: skip
    kept = await tx.all(KEPT, reply_id, attempt)
    text = "".join(part for (part,) in kept)
    asked = await tx.one(PROMPT_SIZE, conversation_id, context_from, parent_number + 1, MOST_MESSAGES)
    assert asked is not None
    return Ending(
        conversation_id=conversation_id, owner_id=owner_id, reply_id=reply_id, attempt=attempt, worker=worker,
        now=now, said_at=said_at, end="interrupted" if text else "failed", reason="worker_lost", text=text,
        token_count=count_tokens(text), context_from=context_from, expired_before=max(expired_before, lease_until + 1),
        conversation=uuid, billed_as=model or "", provider=provider,
        usage=Usage(sum(asked), count_tokens(text), estimated=True),
    )  # fmt: skip


def _end_row(ending: Ending) -> tuple[object, ...]:
    usage = ending.usage
    return (
        ending.reply_id, ending.attempt, ending.worker, ending.end, ending.reason, ending.text, ending.token_count,
        ending.model, usage.prompt_tokens if usage else None, usage.completion_tokens if usage else None,
        usage.cached_tokens if usage else None, ending.details,
        NEVER_EXPIRES if ending.expired_before is None else ending.expired_before,
        usage is not None and usage.estimated, ending.counts, ending.cached,
        min(usage.cached_tokens, usage.prompt_tokens) if usage else None, ending.billed_as, ending.now, ending.at,
    )  # fmt: skip


def _count_row(ending: Ending, written: _Written) -> tuple[object, ...]:
    usage, in_view = ending.usage, bool(written.in_view)
    return (
        ending.conversation_id, 1 if ending.text and in_view else 0, 1 if ending.counts else 0, ending.context_from,
        usage.prompt_tokens if usage else 0, usage.completion_tokens if usage else 0, ending.at, in_view,
        usage.cached_tokens if usage else 0, written.cost or 0,
    )  # fmt: skip
