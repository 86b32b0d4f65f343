"""The journey of a message in the database. Two commits a turn: the message with its reply to come, and its end."""

from collections.abc import Sequence

from msgspec.structs import replace

from palaver.chat.clock import SECOND, Micros
from palaver.chat.conversation import (
    Conversation,
    ConversationId,
    Message,
    MessageId,
    NewConversation,
    Status,
    Turn,
)
from palaver.chat.cursor import Mark
from palaver.chat.errors import Busy, ChatError, Ended, NotFound, OverBudget, StoreUnavailable
from palaver.chat.ledger import Reservation
from palaver.chat.ports import AnotherReply, Begun, Checkpoint, EndedReply, Ending, Held, NewTurn, Renewed, TakenBack
from palaver.chat.turn import Decision, decide_known, decide_new, make_message_uuid
from palaver.chat.user import NOT_STORED, Reader, UserId
from palaver.store.branches import find_in_view, leave_view, open_conversation
from palaver.store.database import Database, Transaction
from palaver.store.ending import LEFT_RUNNING, abandoned, finish_all
from palaver.store.events import lowest_open
from palaver.store.going_on import MESSAGE_BY_ID, MESSAGE_BY_NUMBER, add_history, promote, read_started, read_turn
from palaver.store.locks import LOCK_CONVERSATION
from palaver.store.prices import Prices
from palaver.store.reserving import Place, reserve_all, reserve_in, write_unless_refused
from palaver.store.rows import (
    CONVERSATION,
    IT_RUNS,
    MESSAGE,
    OPEN,
    SHOW_LEAF,
    SPEAKING,
    UUID_OF,
    from_speaking,
    to_conversation,
    to_message,
)
from palaver.store.taking_back import take_back
from palaver.store.texts import Texts

OPEN_BY_CREATION = (
    f"SELECT {CONVERSATION} FROM conversations c "
    "WHERE c.owner_id = $1 AND c.creation_key = $2 AND c.kind = 'bot' AND c.deleted_at IS NULL"
)
OPEN_BY_NAME = (
    f"SELECT {CONVERSATION} FROM conversations c "
    "WHERE c.owner_id = $1 AND c.client_name = $2 AND c.kind = 'bot' AND c.deleted_at IS NULL"
)
SAID_BEFORE = (
    f"SELECT {MESSAGE} FROM messages m WHERE m.conversation_id = $1 AND m.sender_id = $2 AND m.client_message_id = $3"
)
REPLY_TO = (
    f"SELECT {MESSAGE} FROM messages m "
    "WHERE m.conversation_id = $1 AND m.number > $2 AND m.parent_number = $2 AND m.role = 'assistant' "
    "ORDER BY m.in_view DESC, m.number DESC LIMIT 1"
)
ADD_CONVERSATION = (
    "INSERT INTO conversations (uuid, owner_id, app_id, origin, title, prompt_id, preset_id, preset_slug, label, "
    f"creation_key, client_name, open_by_id, ends_when_idle, created_at, updated_at, {SPEAKING}) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, "
    "$15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26) RETURNING id"
)
ADD_MESSAGE = (
    "INSERT INTO messages (conversation_id, number, parent_number, uuid, role, status, content, sender_id, "
    "client_message_id, created_at, token_count, worker, lease_until, event, payer_id, payer_app_id, reserved_tokens, "
    "reserved_money) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) "
    "RETURNING conversation_id, number, id"
)
ADVANCE = (
    "UPDATE conversations SET last_number = $2, leaf_number = $2, leaf_uuid = $4, message_count = message_count + 1, "
    "open_replies = open_replies + 1, updated_at = $3, last_message_at = $3, event = $5 WHERE id = $1"
)
ADVANCE_BESIDE = (
    "UPDATE conversations SET last_number = $2, leaf_number = $2, leaf_uuid = $4, open_replies = open_replies + 1, "
    "updated_at = $3, event = $5 WHERE id = $1"
)
LAST_REPLY = (
    f"SELECT {MESSAGE} FROM messages m WHERE m.conversation_id = $1 AND m.in_view AND m.role = 'assistant' "
    "ORDER BY m.number DESC LIMIT 1"
)
# What an attempt that broke off has used stays counted when the row is used again. A reply has a sender where people
# have asked an invited bot: who did.
KEEP_USAGE = (
    "INSERT INTO usage (at, user_id, message_id, model, prompt_tokens, completion_tokens, cached_tokens, cost) "
    "SELECT m.created_at, COALESCE(m.sender_id, c.owner_id), m.id, m.model, m.prompt_tokens, m.completion_tokens, "
    "m.cached_tokens, "
    "COALESCE(m.cost, 0) "
    "FROM messages m JOIN conversations c ON c.id = m.conversation_id "
    "WHERE {which} AND m.prompt_tokens IS NOT NULL"
)
KEEP_USAGE_OF_ONE = KEEP_USAGE.format(which="m.id = $1")
KEEP_USAGE_OF_ALL = KEEP_USAGE.format(which="m.conversation_id = $1")
ASK_AGAIN = (
    "UPDATE messages SET status = $2, attempt = attempt + 1, content = '', reason = NULL, token_count = NULL, "
    "exchange = NULL, model = NULL, prompt_tokens = NULL, completion_tokens = NULL, cached_tokens = NULL, "
    "usage_estimated = FALSE, details = NULL, sources = NULL, worker = $3, lease_until = $4, created_at = $5, "
    "stop_asked = FALSE, event = $6, end_event = 0, cost = NULL, payer_id = $7, payer_app_id = $8, "
    "reserved_tokens = $9, reserved_money = $10 WHERE id = $1"
)
ADVANCE_AGAIN = (
    "UPDATE conversations SET revision = revision + 1, message_count = message_count - $2, "
    "open_replies = open_replies + 1, updated_at = $3, event = event + $4 WHERE id = $1"
)
RUNNING = "SELECT id FROM messages WHERE conversation_id = $1 AND status = 'running'"
ASK_TO_STOP = f"UPDATE messages SET stop_asked = TRUE WHERE id = $1 AND {IT_RUNS} RETURNING worker"
COUNT_USE = "UPDATE presets SET usage_count = usage_count + 1 WHERE id = $1"
RENEW = (
    f"UPDATE messages SET lease_until = $4 WHERE id = $1 AND attempt = $2 AND worker = $3 AND {IT_RUNS} "
    "RETURNING id, stop_asked"
)
# A checkpoint whose answer was lost is written again, and is longer by then.
KEEP = (
    "INSERT INTO reply_log (message_id, attempt, position, text) VALUES ($1, $2, $3, $4) "
    "ON CONFLICT (message_id, attempt, position) DO UPDATE SET text = excluded.text"
)
HELD_BY = "SELECT id, attempt, worker, conversation_id FROM messages WHERE status = 'running' AND worker = $1"
STILL_HELD = f"SELECT payer_id IS NOT NULL FROM messages WHERE id = $1 AND attempt = $2 AND worker = $3 AND {IT_RUNS}"
RUNNING_REPLY = f"SELECT {MESSAGE} FROM messages m WHERE m.conversation_id = $1 AND m.status = 'running'"
QUEUED_REPLY = (
    f"SELECT {MESSAGE} FROM messages m WHERE m.conversation_id = $1 AND m.status = 'queued' ORDER BY m.number LIMIT 1"
)
LEFT_WAITING = (
    "SELECT DISTINCT q.conversation_id FROM messages q WHERE q.status = 'queued' AND NOT EXISTS "
    "(SELECT 1 FROM messages r WHERE r.conversation_id = q.conversation_id AND r.status = 'running')"
)

# No worker asks for a lease of more than an hour: one that ends later was written before a clock was put back.
MOST_LEASE = 2 * 3600 * SECOND


class SqlTurns:
    def __init__(self, database: Database, texts: Texts, prices: Prices) -> None:
        self._database = database
        self._texts = texts
        self._prices = prices
        self._begin_one = database.together(self._begin_all, _key)
        self._finish_one = database.together(finish_all, lambda ending: ending.conversation_id)

    async def begin(self, turn: NewTurn) -> Begun:
        if turn.edits is None:
            begun = await self._begin_one(turn)
        else:
            # What leaves the view is written at once, whatever its order: so it shares no transaction.
            [one] = await self._database.write(lambda tx: self._begin_all(tx, [turn]))
            if isinstance(one, Exception):
                raise one
            begun = one
        return await self._with_prompt(begun)

    async def begin_another(self, asked: AnotherReply) -> Begun:
        begun = await write_unless_refused(self._database, lambda tx: _begin_another(tx, asked, self._prices))
        return await self._with_prompt(begun)

    async def finish(self, ending: Ending) -> EndedReply:
        ended = await self._finish_one(ending)
        if ended.next is None:
            return ended
        return replace(ended, next=await self._with_prompt(ended.next))

    async def _with_prompt(self, begun: Begun) -> Begun:
        text_id = begun.turn.conversation.prompt_id
        if text_id is None or begun.state != "started":
            return begun
        try:
            return replace(begun, system_prompt=await self._texts.get(text_id))
        except StoreUnavailable:
            # The reply is committed as this worker's.
            self._database.count_broken_off()
            raise

    async def _begin_all(self, tx: Transaction, turns: Sequence[NewTurn]) -> list[Begun | Exception]:
        places = await self._places(tx, turns)
        reserved, histories = await reserve_all(tx, turns, places, self._texts, self._prices)
        begun: list[Begun | Exception] = []
        for turn, place, held in zip(turns, places, reserved, strict=True):
            try:
                begun.append(held if isinstance(held, OverBudget) else await self._begin_one_of(tx, turn, place, held))
            except ChatError as error:
                begun.append(error)
        await self._write_new(tx, turns, begun, reserved)
        await _ask_to_stop(tx, begun)
        fresh = [
            turn.new
            for turn, place, one in zip(turns, places, begun, strict=True)
            if turn.new and not place and isinstance(one, Begun)
        ]
        await count_use(tx, fresh)
        return await add_history(tx, begun, histories)

    async def _places(self, tx: Transaction, turns: Sequence[NewTurn]) -> list[Place | None]:
        asked = [
            (turn.conversation, turn.reader.user_id, turn.reader.app_id, turn.reader.guests_allowed)
            for turn in turns
            if turn.conversation is not None
        ]
        asked.sort(key=lambda row: row[0])  # See store/locks.py.
        rows = await tx.all_many(OPEN + tx.lock, asked) if asked else ()
        found = {row[1]: to_conversation(row) for row in rows}
        places: list[Place | None] = []
        for turn in turns:
            if turn.new is not None:
                places.append(await self._made_before(tx, turn.new, turn.client_message_id))
                continue
            conversation = found.get(turn.conversation)
            if conversation is None:
                places.append(None)
            else:
                places.append(await _said_before(tx, conversation, turn.client_message_id, _sender(turn, conversation)))
        return places

    async def _made_before(self, tx: Transaction, new: NewConversation, client_message_id: str | None) -> Place | None:
        if new.client_name is not None:
            row = await tx.one(OPEN_BY_NAME + tx.lock, new.owner_id, new.client_name)
        elif new.client_id is not None:
            row = await tx.one(OPEN_BY_CREATION + tx.lock, new.owner_id, new.client_id)
        else:
            return None
        if row is None:
            return None
        return await _said_before(tx, to_conversation(row), client_message_id, new.owner_id)

    async def _begin_one_of(
        self, tx: Transaction, turn: NewTurn, place: Place | None, held: Reservation | None
    ) -> Begun:
        if place is None:
            if turn.new is None:
                raise NotFound
            _check_may_start(turn, 0)
            conversation = await add_conversation(tx, self._texts, turn.new, turn.now)
            return _new_turn(turn, conversation, "start")
        if place.prompt is not None and place.reply is not None:
            return await _begin_known(tx, turn, place.conversation, place.prompt, place.reply, held)
        if turn.edits is not None:
            return await _begin_edit(tx, turn, place.conversation, turn.edits)
        decision = decide_new(
            ended=place.conversation.ended, open_replies=place.conversation.open_replies, when_busy=turn.when_busy
        )
        _check_may_start(turn, place.conversation.open_replies)
        lowest = None
        if decision != "start":
            lowest = await lowest_open(tx, place.conversation.id, place.conversation.last_number + 2)
        begun = _new_turn(turn, place.conversation, decision, lowest)
        return await _interrupt(tx, begun) if decision == "interrupt" else begun

    async def _write_new(
        self,
        tx: Transaction,
        turns: Sequence[NewTurn],
        begun: list[Begun | Exception],
        reserved: Sequence[Reservation | OverBudget | None],
    ) -> None:
        fresh = [
            (index, one)
            for index, one in enumerate(begun)
            if isinstance(one, Begun) and one.turn.prompt.id == MessageId(0)
        ]
        if not fresh:
            return
        rows: list[tuple[object, ...]] = []
        advances: list[tuple[object, ...]] = []
        for index, one in fresh:
            rows.append(message_row(one.turn.prompt, None, None, None))
            worker, lease = (turns[index].worker, turns[index].lease_until) if one.state == "started" else (None, None)
            reply, held = one.turn.reply, reserved[index]
            rows.append(message_row(reply, worker, lease, held if isinstance(held, Reservation) else None))
            advances.append((one.turn.conversation.id, reply.number, turns[index].now, reply.uuid, one.mark.event))
        ids = {(row[0], row[1]): row[2] for row in await tx.all_many(ADD_MESSAGE, rows)}
        await tx.run_many(ADVANCE, advances)
        for index, one in fresh:
            turn = one.turn
            key = turn.conversation.id
            prompt = replace(turn.prompt, id=ids[key, turn.prompt.number])
            reply = replace(turn.reply, id=ids[key, turn.reply.number])
            is_reserved = isinstance(reserved[index], Reservation)
            begun[index] = replace(one, turn=Turn(turn.conversation, prompt, reply), is_reserved=is_reserved)

    async def checkpoint(
        self, worker: str, lease_until: Micros, held: Sequence[tuple[MessageId, int]], written: Sequence[Checkpoint]
    ) -> Renewed:
        async def work(tx: Transaction) -> Renewed:
            rows = await tx.all_many(RENEW, [(id_, attempt, worker, lease_until) for id_, attempt in sorted(held)])
            still = frozenset(row[0] for row in rows)
            keep = [
                (piece.reply_id, piece.attempt, piece.position, piece.text)
                for piece in written
                if piece.reply_id in still
            ]
            if keep:
                await tx.run_many(KEEP, keep)
            return Renewed(held=still, stop=frozenset(row[0] for row in rows if row[1]))

        return await self._database.write(work)

    async def ask_to_stop(self, reply_id: MessageId) -> str | None:
        row = await self._database.write(lambda tx: tx.one(ASK_TO_STOP, reply_id))
        return None if row is None else row[0]

    async def abandoned(self, now: Micros, expired_before: Micros) -> Sequence[Ending]:
        async def work(tx: Transaction) -> list[Ending]:
            rows = await tx.all(LEFT_RUNNING, expired_before, now + MOST_LEASE)
            return [await abandoned(tx, row, now, expired_before) for row in rows]

        return await self._database.read(work)

    async def held_by(self, worker: str) -> Sequence[Held]:
        rows = await self._database.read(lambda tx: tx.all(HELD_BY, worker))
        return [Held(*row) for row in rows]

    async def take_up(self, held: Held) -> Begun | None:
        async def work(tx: Transaction) -> Begun | None:
            row = await tx.one(STILL_HELD, held.reply_id, held.attempt, held.worker)
            return None if row is None else await read_started(tx, held.reply_id, is_reserved=bool(row[0]))

        found = await self._database.read(work, one_state=True)
        return None if found is None else await self._with_prompt(found)

    async def promote_waiting(self, worker: str, now: Micros, lease_until: Micros) -> Sequence[Begun]:
        waiting = await self._database.read(lambda tx: tx.all(LEFT_WAITING))

        async def next_in(tx: Transaction, conversation_id: ConversationId) -> Begun | None:
            if tx.lock:
                await tx.one(LOCK_CONVERSATION, conversation_id)
            return await promote(tx, conversation_id, worker, now, lease_until)

        begun = []
        for (conversation_id,) in waiting:
            found = await self._database.write(lambda tx, id_=conversation_id: next_in(tx, id_))  # type: ignore[misc]
            if found is not None:
                begun.append(await self._with_prompt(found))
        return begun

    async def get(self, reply_id: MessageId) -> Begun | None:
        async def work(tx: Transaction) -> Begun | None:
            row = await tx.one(MESSAGE_BY_ID, reply_id)
            return None if row is None else _known(await read_turn(tx, to_message(row)))

        # It may be taken back, and its prompt with it.
        return await self._database.read(work, one_state=True)

    async def open_reply(self, conversation_id: ConversationId) -> Begun | None:
        async def work(tx: Transaction) -> Begun | None:
            row = await tx.one(RUNNING_REPLY, conversation_id) or await tx.one(QUEUED_REPLY, conversation_id)
            return None if row is None else _known(await read_turn(tx, to_message(row)))

        # A mark read after the reply has ended would say that its end was heard.
        return await self._database.read(work, one_state=True)

    async def take_back(self, reader: Reader, conversation: str, message: str, now: Micros) -> TakenBack:
        return await self._database.write(lambda tx: take_back(tx, reader, conversation, message, now))

    async def reply_at(self, conversation_id: ConversationId, number: int) -> Begun | None:
        async def work(tx: Transaction) -> Begun | None:
            row = await tx.one(MESSAGE_BY_NUMBER, conversation_id, number)
            reply = None if row is None else to_message(row)
            return None if reply is None or reply.role != "assistant" else _known(await read_turn(tx, reply))

        # As for `get`.
        return await self._database.read(work, one_state=True)


def _key(turn: NewTurn) -> object:
    if turn.new is None:
        return turn.conversation
    name = turn.new.client_name or turn.new.client_id
    return turn.new.uuid if name is None else (turn.new.owner_id, name)


def _check_may_start(turn: NewTurn | AnotherReply, open_replies: int) -> None:
    """Asked before anything is written: a reply starts at once where no other one is open."""
    if turn.refusal is not None and not open_replies:
        raise turn.refusal


async def _begin_edit(tx: Transaction, turn: NewTurn, conversation: Conversation, edits: str) -> Begun:
    if conversation.ended:
        raise Ended
    old = await find_in_view(tx, conversation, edits)
    if old.role != "user" or old.sender_id != _sender(turn, conversation):
        raise NotFound
    if conversation.open_replies and turn.when_busy == "reject":
        raise Busy
    _check_may_start(turn, conversation.open_replies)
    left = await leave_view(tx, conversation, old.parent_number)
    decision: Decision = "queue" if left.conversation.open_replies else "start"
    lowest = None
    if decision == "queue":
        lowest = await lowest_open(tx, conversation.id, conversation.last_number + 2)
    begun = replace(_new_turn(turn, left.conversation, decision, lowest), replaces=old.uuid, dropped=left.dropped)
    # A reply that leaves the view is not worth waiting for, whatever the policy.
    stops = decision == "queue" and (left.running is not None or turn.when_busy == "interrupt")
    return await _interrupt(tx, begun) if stops else begun


def _sender(turn: NewTurn, conversation: Conversation) -> UserId:
    """Who speaks: the reader, but for an application that speaks for its user, and a guest that nobody knows yet."""
    on_behalf = turn.reader.app_id is not None or turn.reader.user_id == NOT_STORED
    return conversation.owner_id if on_behalf else turn.reader.user_id


async def _said_before(tx: Transaction, conversation: Conversation, client_id: str | None, sender: UserId) -> Place:
    if client_id is None:
        return Place(conversation)
    row = await tx.one(SAID_BEFORE, conversation.id, sender, client_id)
    if row is None:
        return Place(conversation)
    parent = await tx.one(UUID_OF, conversation.id, row[4] or 0)
    prompt = to_message(row, parent_uuid=None if parent is None else parent[0])
    reply = await tx.one(REPLY_TO, conversation.id, prompt.number)
    return Place(conversation, prompt, None if reply is None else to_message(reply, parent_uuid=prompt.uuid))


async def _begin_known(
    tx: Transaction,
    turn: NewTurn,
    conversation: Conversation,
    prompt: Message,
    reply: Message,
    held: Reservation | None,
) -> Begun:
    decision = decide_known(same_text=prompt.content == turn.text, reply=reply.status, ended=conversation.ended)
    if decision == "known":
        return _known(Turn(conversation, prompt, reply))
    _check_may_start(turn, conversation.open_replies)
    busy = decide_new(ended=False, open_replies=conversation.open_replies, when_busy=turn.when_busy)
    status: Status = "running" if busy == "start" else "queued"
    leased = status == "running"
    event = conversation.event + 1 if leased else 0
    await tx.run(KEEP_USAGE_OF_ONE, reply.id)
    await tx.run(
        ASK_AGAIN, reply.id, status, turn.worker if leased else None, turn.lease_until if leased else None, turn.now,
        event, *_reserved_row(held),
    )  # fmt: skip
    await tx.run(SHOW_LEAF, conversation.id)
    was_listed = bool(reply.content) and reply.in_view
    await tx.run(ADVANCE_AGAIN, conversation.id, 1 if was_listed else 0, turn.now, 1 if leased else 0)
    fresh = replace(
        reply, status=status, attempt=reply.attempt + 1, content="", reason=None, created_at=turn.now,
        token_count=None, model=None, usage=None, details=None, sources=(), event=event, end_event=0,
        parent_uuid=prompt.uuid,
    )  # fmt: skip
    mark = Mark(
        conversation.revision + 1,
        conversation.event + (1 if leased else 0),
        await lowest_open(tx, conversation.id, reply.number),
    )
    begun = Begun(
        turn=Turn(conversation, prompt, fresh), state="started" if leased else "queued", mark=mark,
        is_reserved=held is not None,
    )  # fmt: skip
    return await _interrupt(tx, begun) if busy == "interrupt" else begun


def _new_turn(turn: NewTurn, conversation: Conversation, decision: Decision, lowest: int | None = None) -> Begun:
    """`lowest` is the lowest number of a reply that is open already."""
    number = conversation.last_number + 1
    event = conversation.event + 1
    started = decision == "start"
    prompt = Message(
        MessageId(0), make_message_uuid(turn.now, number), conversation.id, number, conversation.leaf_number or None,
        "user", "complete", turn.text, turn.now, _sender(turn, conversation), turn.client_message_id, turn.token_count,
        event=event, parent_uuid=conversation.leaf_uuid,
    )  # fmt: skip
    reply = Message(
        MessageId(0), make_message_uuid(turn.now, number + 1), conversation.id, number + 1, number,
        "assistant", "running" if started else "queued", "", turn.now, event=event + 1 if started else 0,
        parent_uuid=prompt.uuid,
    )  # fmt: skip
    mark = Mark(conversation.revision, event + 1 if started else event, number + 1 if lowest is None else lowest)
    return Begun(turn=Turn(conversation, prompt, reply), state="started" if started else "queued", mark=mark)


async def _begin_another(tx: Transaction, asked: AnotherReply, prices: Prices) -> Begun | OverBudget:
    conversation = await open_conversation(tx, asked.reader, asked.conversation, tx.lock)
    if conversation.ended:
        raise Ended
    old = await _reply_in_view(tx, conversation, asked.reply)
    row = await tx.one(MESSAGE_BY_NUMBER, conversation.id, old.parent_number)
    if row is None:
        raise NotFound
    prompt = to_message(row)
    if conversation.open_replies and asked.when_busy == "reject":
        raise Busy
    _check_may_start(asked, conversation.open_replies)
    held = await reserve_in(tx, asked.budgets, asked.now, conversation, prompt, prices)
    if isinstance(held, OverBudget):
        return held
    left = await leave_view(tx, conversation, prompt.number)
    conversation = left.conversation
    number, waits = conversation.last_number + 1, conversation.open_replies > 0
    event = conversation.event if waits else conversation.event + 1
    reply = Message(
        MessageId(0), make_message_uuid(asked.now, number), conversation.id, number, prompt.number, "assistant",
        "queued" if waits else "running", "", asked.now, event=0 if waits else event, parent_uuid=prompt.uuid,
    )  # fmt: skip
    worker, lease = (None, None) if waits else (asked.worker, asked.lease_until)
    [added] = await tx.all_many(ADD_MESSAGE, [message_row(reply, worker, lease, held)])
    await tx.run(ADVANCE_BESIDE, conversation.id, number, asked.now, reply.uuid, event)
    begun = Begun(
        turn=Turn(conversation, prompt, replace(reply, id=added[2])),
        state="queued" if waits else "started",
        dropped=left.dropped,
        replaces=old.uuid,
        mark=Mark(conversation.revision, event, await lowest_open(tx, conversation.id, number)),
        is_reserved=held is not None,
    )
    if waits:
        if left.running is not None or asked.when_busy == "interrupt":
            begun = await _interrupt(tx, begun)
            await _ask_to_stop(tx, [begun])
        return begun
    [with_history] = await add_history(tx, [begun])
    assert isinstance(with_history, Begun)
    return with_history


async def _reply_in_view(tx: Transaction, conversation: Conversation, uuid: str | None) -> Message:
    if uuid is None:
        row = await tx.one(LAST_REPLY, conversation.id)
        if row is None:
            raise NotFound
        return to_message(row)
    found = await find_in_view(tx, conversation, uuid)
    if found.role != "assistant":
        raise NotFound
    return found


async def _interrupt(tx: Transaction, begun: Begun) -> Begun:
    """The reply that runs there is to end; `_ask_to_stop` writes it."""
    row = await tx.one(RUNNING, begun.turn.conversation.id)
    return begun if row is None else replace(begun, interrupts=row[0])


async def _ask_to_stop(tx: Transaction, begun: Sequence[Begun | Exception]) -> None:
    stops = sorted(one.interrupts for one in begun if isinstance(one, Begun) and one.interrupts is not None)
    if stops:
        await tx.run_many(ASK_TO_STOP, [(reply_id,) for reply_id in stops])


def _known(turn: Turn) -> Begun:
    conversation, exchanges = turn.conversation, turn.reply.exchange
    return Begun(
        turn=turn,
        state="known",
        exchanges=conversation.exchange_count if exchanges is None else exchanges,
        mark=Mark(conversation.revision, conversation.event, _lowest_beside(conversation, turn.reply)),
    )


def _lowest_beside(conversation: Conversation, reply: Message) -> int:
    """Where to look for news. Too low is never wrong; exact where nothing else is open."""
    if not conversation.open_replies:
        return conversation.last_number + 1
    alone = conversation.open_replies == 1 and reply.status in ("queued", "running")
    return reply.number if alone else 0


async def add_conversation(tx: Transaction, texts: Texts, new: NewConversation, now: Micros) -> Conversation:
    """That a preset was used is for `count_use` to say, once the transaction holds all its other locks."""
    prompt_id = await texts.add(tx, new.system_prompt) if new.system_prompt else None
    row = await tx.one(
        ADD_CONVERSATION, new.uuid, new.owner_id, new.app_id, new.origin, new.title, prompt_id, new.preset_id,
        new.preset_slug, new.label, new.client_id, new.client_name, new.open_by_id, new.ends_when_idle, now,
        *from_speaking(new.speaking),
    )  # fmt: skip
    assert row is not None
    return Conversation(
        row[0], new.uuid, new.owner_id, new.app_id, new.origin, False, new.title, prompt_id, new.preset_id,
        new.preset_slug, new.speaking, new.label, 1, 0, 0, 0, 0, 0, 0, now, now, None, None,
    )  # fmt: skip


async def count_use(tx: Transaction, made: Sequence[NewConversation]) -> None:
    """Presets count the conversations that were made from them."""
    used = sorted(new.preset_id for new in made if new.preset_id is not None)
    if used:
        await tx.run_many(COUNT_USE, [(preset_id,) for preset_id in used])


def message_row(
    message: Message, worker: str | None, lease_until: Micros | None, held: Reservation | None
) -> tuple[object, ...]:
    """For `ADD_MESSAGE`."""
    return (
        message.conversation_id, message.number, message.parent_number, message.uuid, message.role, message.status,
        message.content, message.sender_id, message.client_message_id, message.created_at, message.token_count,
        worker, lease_until, message.event, *_reserved_row(held),
    )  # fmt: skip


def _reserved_row(held: Reservation | None) -> tuple[object, ...]:
    return (None,) * 4 if held is None else (held.payer_id, held.app_id, held.tokens, held.money)
