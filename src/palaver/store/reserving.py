"""What a turn wants to have held back for its reply, before it is begun."""

from collections.abc import Sequence

from msgspec import Struct

from palaver.chat.context import count_tokens, history_limit
from palaver.chat.conversation import Conversation, Message
from palaver.chat.errors import ChatError, OverBudget
from palaver.chat.ledger import Reservation
from palaver.chat.ports import AnotherReply, NewTurn
from palaver.chat.turn import decide_known, decide_new
from palaver.store.database import Transaction
from palaver.store.ledger import Wish, reserve
from palaver.store.locks import LOCK_RUNNING


class Place(Struct):
    """Where a message goes: the conversation as it was, and what was said there under the same client id."""

    conversation: Conversation
    prompt: Message | None = None
    reply: Message | None = None


async def reserve_all(
    tx: Transaction, turns: Sequence[NewTurn], places: Sequence[Place | None]
) -> Sequence[Reservation | OverBudget | None]:
    """What is held back for the reply to each, or why there is to be none. Nothing is changed by it."""
    budgets = next((turn.budgets for turn in turns if turn.budgets is not None), None)
    if budgets is None:
        return [None] * len(turns)
    wishes = [_wish(turn, place) for turn, place in zip(turns, places, strict=True)]
    if not any(wishes):
        return [None] * len(turns)
    stops = [
        place.conversation.id
        for turn, place in zip(turns, places, strict=True)
        if place is not None and place.conversation.open_replies and (turn.when_busy == "interrupt" or turn.edits)
    ]
    if tx.lock and stops:
        await tx.all(LOCK_RUNNING, stops)
    return await reserve(tx, wishes, budgets, turns[0].now)


def _wish(turn: NewTurn, place: Place | None) -> Wish | None:
    """None where no reply comes of it: there is one already, or it is refused for another reason."""
    new = turn.new
    if turn.refusal is not None and (place is None or not place.conversation.open_replies):
        return None
    if place is None:
        if new is None:
            return None
        tokens = turn.token_count + count_tokens(new.system_prompt)
        return Wish(new.owner_id, new.app_id, new.speaking, tokens)
    conversation = place.conversation
    try:
        if place.prompt is None or place.reply is None:
            decide_new(ended=conversation.ended, open_replies=conversation.open_replies, when_busy=turn.when_busy)
            return _wish_in(conversation, turn.token_count, conversation.last_number + 1)
        same_text = place.prompt.content == turn.text
        if decide_known(same_text=same_text, reply=place.reply.status, ended=conversation.ended) == "known":
            return None
        return _wish_in(conversation, turn.token_count, place.prompt.number)
    except ChatError:
        return None


def _wish_in(conversation: Conversation, tokens: int, before: int) -> Wish:
    limit = history_limit(conversation.speaking)
    return Wish(
        conversation.owner_id, conversation.app_id, conversation.speaking, tokens, conversation.id,
        conversation.context_from, before, limit, waits_for=min(conversation.open_replies, limit),
    )  # fmt: skip


async def reserve_another(
    tx: Transaction, asked: AnotherReply, conversation: Conversation, prompt: Message
) -> Reservation | None:
    """Raises `OverBudget`."""
    if asked.budgets is None:
        return None
    if tx.lock and conversation.open_replies:
        await tx.all(LOCK_RUNNING, [conversation.id])
    wish = _wish_in(conversation, prompt.token_count or 0, prompt.number)
    [held] = await reserve(tx, [wish], asked.budgets, asked.now)
    if isinstance(held, OverBudget):
        raise held
    return held
