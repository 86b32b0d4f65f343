"""A bot that people have invited is asked: the reply to come is written, and from there on it is one like any other."""

from msgspec.structs import replace

from palaver.chat.conversation import Message, MessageId, Turn
from palaver.chat.cursor import Mark
from palaver.chat.errors import NotFound, OverBudget
from palaver.chat.ports import Begun, BotAsked
from palaver.chat.turn import make_message_uuid
from palaver.store.database import Database, Transaction
from palaver.store.events import lowest_open
from palaver.store.going_on import CONVERSATION_BY_ID, MESSAGE_BY_ID
from palaver.store.people.history import among_people, paid_by, with_name
from palaver.store.prices import Prices
from palaver.store.reserving import reserve_in, write_unless_refused
from palaver.store.rows import to_conversation, to_message
from palaver.store.texts import Texts
from palaver.store.turns import ADD_MESSAGE, ADVANCE_BESIDE, message_row

ANSWERED = (
    "SELECT 1 FROM messages WHERE conversation_id = $1 AND parent_number = $2 AND role = 'assistant' "
    "AND status <> 'failed'"
)


class AsksBot:
    def __init__(self, database: Database, texts: Texts, prices: Prices) -> None:
        self._database = database
        self._texts = texts
        self._prices = prices

    async def ask_bot(self, asked: BotAsked) -> Begun:
        begun = await write_unless_refused(self._database, lambda tx: _ask(tx, asked, self._prices))
        prompt_id = begun.turn.conversation.prompt_id
        if prompt_id is None or begun.state != "started":
            return begun
        return replace(begun, system_prompt=await self._texts.get(prompt_id))


async def _ask(tx: Transaction, asked: BotAsked, prices: Prices) -> Begun | OverBudget:
    row = await tx.one(CONVERSATION_BY_ID + tx.lock, asked.conversation_id)
    said = await tx.one(MESSAGE_BY_ID, asked.message_id)
    if row is None or said is None:
        raise NotFound
    prompt, conversation = to_message(said), replace(to_conversation(row), owner_id=asked.user_id)
    if conversation.preset_id is None or conversation.ended or not prompt.content:
        raise NotFound
    if await tx.one(ANSWERED, conversation.id, prompt.number) is not None:
        raise NotFound
    number, waits = conversation.last_number + 1, conversation.open_replies > 0
    if asked.refusal is not None and not waits:
        raise asked.refusal
    spoken = await with_name(tx, prompt)
    held = await reserve_in(tx, asked.budgets, asked.now, conversation, spoken, prices)
    if isinstance(held, OverBudget):
        return held
    event = conversation.event if waits else conversation.event + 1
    reply = Message(
        MessageId(0), make_message_uuid(asked.now, number), conversation.id, number, prompt.number, "assistant",
        "queued" if waits else "running", "", asked.now, asked.user_id, event=0 if waits else event,
        parent_uuid=prompt.uuid,
    )  # fmt: skip
    worker, lease = (None, None) if waits else (asked.worker, asked.lease_until)
    [added] = await tx.all_many(ADD_MESSAGE, [message_row(reply, worker, lease, held)])
    await tx.run(ADVANCE_BESIDE, conversation.id, number, asked.now, reply.uuid, event)
    begun = Begun(
        turn=paid_by(Turn(conversation, prompt, replace(reply, id=added[2]))),
        state="queued" if waits else "started",
        mark=Mark(conversation.revision, event, await lowest_open(tx, conversation.id, number)),
        is_reserved=held is not None,
    )
    return begun if waits else await among_people(tx, begun, spoken)
