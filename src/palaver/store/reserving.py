"""What a turn wants to have held back for its reply, before it is begun."""

from collections.abc import Sequence
from typing import TypeAlias, TypeVar

from msgspec import Struct

from palaver.chat.clock import Micros
from palaver.chat.context import count_tokens, history_limit
from palaver.chat.conversation import Conversation, ConversationId, Message
from palaver.chat.errors import ChatError, OverBudget
from palaver.chat.ledger import Budgets, Reservation
from palaver.chat.ports import NewTurn
from palaver.chat.turn import decide_known, decide_new
from palaver.store.budgets import Wish, reserve
from palaver.store.database import Database, Transaction, Work
from palaver.store.going_on import Histories, History
from palaver.store.locks import LOCK_RUNNING
from palaver.store.prices import Prices
from palaver.store.texts import Texts

T = TypeVar("T")


class Place(Struct):
    """Where a message goes: the conversation as it was, and what was said there under the same client id."""

    conversation: Conversation
    prompt: Message | None = None
    reply: Message | None = None


Held: TypeAlias = Reservation | OverBudget | None


async def reserve_all(
    tx: Transaction, turns: Sequence[NewTurn], places: Sequence[Place | None], texts: Texts, prices: Prices
) -> tuple[Sequence[Held], Histories]:
    """What is held back for the reply to each, or why there is to be none; and of the conversations whose past was read
    for it, what their bots are to see of that. Nothing is changed by it."""
    # What holds by now, for those as well who came just before that was known.
    budgets = turns[-1].budgets
    if budgets is None:
        return [None] * len(turns), {}
    wishes: list[Wish | None] = []
    stops: list[ConversationId] = []
    for index, turn in enumerate(turns):
        place = places[index]
        wish = _wish(turn, place)
        wishes.append(wish)
        if place is None:
            continue
        if place.conversation.open_replies:
            if turn.when_busy == "interrupt" or turn.edits:
                stops.append(place.conversation.id)
        elif wish is not None and turn.edits is None:
            # Its reply starts at once: what its bot is to see is read now, and only once.
            wish.reads_past = True
            wish.standing = _standing(place.conversation, texts)
    if not any(wishes):
        return [None] * len(turns), {}
    if tx.lock and stops:
        await tx.all(LOCK_RUNNING, stops)
    held = await reserve(tx, wishes, budgets, prices, turns[0].now)
    read: dict[ConversationId, History] = {}
    for wish in wishes:
        if wish is not None and wish.history is not None:
            read[wish.conversation_id] = wish.history
    return held, read


def _standing(conversation: Conversation, texts: Texts) -> int | None:
    """The tokens of what stands before the past, as far as that is known without a look."""
    if conversation.summary_to:
        return None
    return 0 if conversation.prompt_id is None else texts.tokens(conversation.prompt_id)


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
    return Wish(
        conversation.owner_id, conversation.app_id, conversation.speaking, tokens, conversation.id,
        conversation.context_from, before, history_limit(conversation.speaking), conversation.open_replies,
        conversation.used_tokens,
    )  # fmt: skip


async def reserve_in(
    tx: Transaction, budgets: Budgets | None, now: Micros, conversation: Conversation, prompt: Message, prices: Prices
) -> Reservation | OverBudget | None:
    """For a reply to a message that was committed before."""
    if budgets is None:
        return None
    if tx.lock and conversation.open_replies:
        await tx.all(LOCK_RUNNING, [conversation.id])
    wish = _wish_in(conversation, prompt.token_count or 0, prompt.number)
    [held] = await reserve(tx, [wish], budgets, prices, now)
    return held


async def write_unless_refused(database: Database, work: Work[T | OverBudget]) -> T:
    """Carries out `work`, and raises the refusal that it gives. Raised within, it would undo what was added up of who
    pays, and each refusal would cost as much again; so nothing else may have been written before it."""
    done = await database.write(work)
    if isinstance(done, OverBudget):
        raise done
    return done
