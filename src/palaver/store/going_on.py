"""A turn as it stands in the database, with what the bot is to see of the past; and the one that waits for its own."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from palaver.chat.clock import Micros
from palaver.chat.context import history_limit, tokens_of
from palaver.chat.conversation import ConversationId, Message, MessageId, Past, Turn
from palaver.chat.cursor import Mark
from palaver.chat.errors import NotFound
from palaver.chat.ports import Begun
from palaver.store.database import Row, Transaction
from palaver.store.events import ONE_MORE_EVENT, lowest_open
from palaver.store.people.history import among_people, paid_by, with_name
from palaver.store.rows import CONVERSATION, MESSAGE, to_conversation, to_message
from palaver.store.summaries import PAST, PASTS, read_summaries

CONVERSATION_BY_ID = f"SELECT {CONVERSATION} FROM conversations c WHERE c.id = $1"
MESSAGE_BY_ID = f"SELECT {MESSAGE} FROM messages m WHERE m.id = $1"
MESSAGE_BY_NUMBER = f"SELECT {MESSAGE} FROM messages m WHERE m.conversation_id = $1 AND m.number = $2"
PROMOTE = (
    "UPDATE messages SET status = 'running', worker = $2, lease_until = $3, created_at = $4, "
    "event = (SELECT c.event + 1 FROM conversations c WHERE c.id = $1) WHERE id = "
    "(SELECT q.id FROM messages q WHERE q.conversation_id = $1 AND q.status = 'queued' ORDER BY q.number LIMIT 1) "
    "AND NOT EXISTS (SELECT 1 FROM messages r WHERE r.conversation_id = $1 AND r.status = 'running') "
    "RETURNING id, payer_id IS NOT NULL"
)
# The reply beside which another one was asked for.
ONE_BESIDE = (
    "SELECT uuid FROM messages WHERE conversation_id = $1 AND parent_number = $2 AND number < $3 "
    "AND role = 'assistant' ORDER BY number DESC LIMIT 1"
)


class History(Struct, frozen=True):
    """What a bot is to see of the past, newest first, and the tokens of all of it as messages."""

    messages: Sequence[Past]
    tokens: int


Histories: TypeAlias = Mapping[ConversationId, History]
NO_HISTORY = History((), 0)
NO_HISTORIES: Histories = MappingProxyType({})
# The conversation, from which number of a message, before which, and how many at most.
PastAsked: TypeAlias = tuple[ConversationId, int, int, int]


async def read_turn(tx: Transaction, reply: Message) -> Turn:
    conversation = await tx.one(CONVERSATION_BY_ID, reply.conversation_id)
    prompt = await tx.one(MESSAGE_BY_NUMBER, reply.conversation_id, reply.parent_number)
    if conversation is None or prompt is None:
        raise NotFound
    said = to_message(prompt)
    return paid_by(Turn(to_conversation(conversation), said, replace(reply, parent_uuid=said.uuid)))


async def read_histories(tx: Transaction, asked: Sequence[PastAsked]) -> Histories:
    """What the bots are to see of the past, newest first."""
    asked = [one for one in asked if one[2] > 1]
    if tx.lock and len(asked) > 1:
        return to_histories(await tx.all(PASTS, *to_lists(asked)))
    return to_histories(await tx.all_many(PAST, asked) if asked else ())


def to_lists(asked: Sequence[PastAsked]) -> Sequence[Sequence[int]]:
    """For `PASTS`."""
    return list(zip(*asked, strict=True))


def to_histories(rows: Iterable[Row], besides: list[str] | None = None) -> Histories:
    """Of the rows of `PAST`. What a past takes is added up here, once for all who ask.

    A row of no conversation came with them: what stands in its text is added to `besides`.
    """
    past: dict[ConversationId, list[Past]] = {}
    for conversation_id, number, role, content, token_count in rows:
        if conversation_id is None:
            assert besides is not None, "only who asked for more is told more"
            besides.append(content)
            continue
        past.setdefault(conversation_id, []).append(Past(number, role, content, token_count or 0))
    return {conversation_id: History(messages, tokens_of(messages)) for conversation_id, messages in past.items()}


async def add_history(
    tx: Transaction,
    begun: list[Begun | Exception],
    known: Histories = NO_HISTORIES,
) -> list[Begun | Exception]:
    """`known`: what was read of it already."""
    started = [one for one in begun if isinstance(one, Begun) and one.state == "started"]
    asked = [
        (
            one.turn.conversation.id,
            one.turn.conversation.context_from,
            one.turn.prompt.number,
            history_limit(one.turn.conversation.speaking),
        )
        for one in started
        if one.turn.prompt.number > 1 and one.turn.conversation.id not in known
    ]
    if not (asked or known):
        return begun
    past = {**known, **await read_histories(tx, asked)} if asked else known
    summaries = await read_summaries(
        tx, [one.turn.conversation.id for one in started if one.turn.conversation.summary_to]
    )
    return [
        _with_past(one, past, summaries) if isinstance(one, Begun) and one.state == "started" else one for one in begun
    ]


def _with_past(begun: Begun, past: Histories, summaries: Mapping[ConversationId, str]) -> Begun:
    id_ = begun.turn.conversation.id
    history = past.get(id_, NO_HISTORY)
    summary = summaries.get(id_, "")
    return replace(begun, history=history.messages, history_tokens=history.tokens, summary=summary)


async def promote(
    tx: Transaction, conversation_id: ConversationId, worker: str, now: Micros, lease_until: Micros
) -> Begun | None:
    row = await tx.one(PROMOTE, conversation_id, worker, lease_until, now)
    if row is None:
        return None
    await tx.run(ONE_MORE_EVENT, conversation_id)
    return await read_started(tx, row[0], is_reserved=bool(row[1]))


async def read_started(tx: Transaction, reply_id: MessageId, *, is_reserved: bool) -> Begun:
    """The reply that runs, as whoever is to make it has to know it."""
    reply = await tx.one(MESSAGE_BY_ID, reply_id)
    assert reply is not None
    turn = await read_turn(tx, to_message(reply))
    conversation_id = turn.conversation.id
    beside = await tx.one(ONE_BESIDE, conversation_id, turn.reply.parent_number, turn.reply.number)
    mark = Mark(turn.conversation.revision, turn.reply.event, await lowest_open(tx, conversation_id, turn.reply.number))
    begun = Begun(
        turn=turn, state="started", mark=mark, replaces=None if beside is None else beside[0], is_reserved=is_reserved
    )
    if turn.conversation.is_of_people:
        return await among_people(tx, begun, await with_name(tx, turn.prompt))
    with_history = (await add_history(tx, [begun]))[0]
    assert isinstance(with_history, Begun)
    return with_history
