"""Budgets in the database, which hold however many ask at once.

What is held back for a reply stands in the reply's own row, and counts as long as the reply runs or waits: whatever
becomes of the reply, nothing of it can be forgotten. What those who pay have spent, and what is held back for them, is
looked up by `postgres_spending` or `sqlite_spending`.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from palaver.chat.clock import Micros
from palaver.chat.conversation import ConversationId, Speaking, Usage
from palaver.chat.errors import OverBudget
from palaver.chat.ledger import (
    BILLED_BY_MODEL,
    Budget,
    Budgets,
    DatedPrice,
    ModelSize,
    Price,
    Reservation,
    Spent,
    has_room,
    over_budget,
    over_conversation,
    to_cost,
    to_reserve,
    worst_of,
)
from palaver.chat.limit import LimitOf
from palaver.chat.user import UserId
from palaver.store.database import Transaction
from palaver.store.going_on import NO_HISTORY, History, PastAsked, to_histories
from palaver.store.payers import Payer, payers_within
from palaver.store.postgres_spending import HELD_BY as HELD_ON_POSTGRES
from palaver.store.postgres_spending import add_up_held, look_and_lock
from palaver.store.prices import NO_PRICES, Prices, price_at
from palaver.store.prompt_size import PROMPT_SIZE
from palaver.store.sqlite_spending import HELD_BY as HELD_ON_SQLITE
from palaver.store.sqlite_spending import recall
from palaver.store.summaries import PAST

OWN_BUDGET = f"SELECT {', '.join(Budget.__struct_fields__)}, user_id FROM limits WHERE user_id = $1"
HELD_IN_CONVERSATION = (
    "SELECT CAST(COALESCE(SUM(tokens), 0) AS BIGINT) FROM ("
    "SELECT reserved_tokens AS tokens FROM messages WHERE conversation_id = $1 AND status = 'running' "
    "AND payer_id = $2 UNION ALL "
    "SELECT reserved_tokens FROM messages WHERE conversation_id = $1 AND status = 'queued' AND payer_id = $2) AS held"
)


class Wish(Struct):
    """A reply that is to be made: who pays, and what the bot is to see: at most so many messages before the number
    `before`, among them the replies that it `waits_for`. `past` and `standing`, the tokens of those and of what stands
    before them, are looked up where they are None. `used` are those that the conversation has used so far. `payers`:
    who has to be able to afford it, once that is found; None where nobody counts what it uses."""

    payer_id: UserId
    app_id: UserId | None
    speaking: Speaking
    tokens: int
    conversation_id: ConversationId = ConversationId(0)
    context_from: int = 0
    before: int = 0
    limit: int = 0
    waits_for: int = 0
    used: int = 0
    past: int | None = None
    standing: int | None = None
    payers: Sequence[Payer] | None = None
    reads_past: bool = False
    """Whether the `history` is wanted, and not its size alone."""
    history: History | None = None


class _Bot(Struct, frozen=True):
    """Who is going to answer, as far as that is known: what its model takes, and the prices that may hold for it."""

    size: ModelSize
    prices: Sequence[Price]


async def reserve(
    tx: Transaction, wishes: Sequence[Wish | None], budgets: Budgets, known: Prices, now: Micros
) -> list[Reservation | OverBudget | None]:
    """What is held back for each of them, or why it cannot be; None where nobody counts.

    It writes nothing that anybody is told, and holds the rows of who pays until the transaction ends: the rows of the
    replies have to be written in it. Those are to be locked before that this transaction changes and that run (see
    store/locks.py), and the conversations of the wishes.
    """
    own = await _own_budgets(tx, wishes) if budgets.some_have_their_own else {}
    payers: dict[str, Payer] = {}
    some_count = counts_money = False
    reading: list[Wish] = []
    pasts: list[PastAsked] = []
    unknown: list[Wish] = []
    waiting: list[Wish] = []
    for wish in wishes:
        if wish is None:
            continue
        if wish.reads_past and wish.before > 1:
            reading.append(wish)
            pasts.append(_past_of(wish))
        of_payers = _payers_of(wish, budgets, own)
        wish.payers = of_payers if of_payers or budgets.conversation_tokens else None
        if wish.payers is None:
            continue
        for payer in of_payers:
            payers[payer.scope] = payer
            if payer.budget.money_a_month:
                counts_money = True
        some_count = True
        if wish.waits_for and budgets.conversation_tokens:
            waiting.append(wish)
        # Nothing was said before in a conversation that is yet to be made.
        if wish.conversation_id and (wish.standing is None or (wish.past is None and not wish.reads_past)):
            unknown.append(wish)
    if not some_count:
        return [None] * len(wishes)
    if unknown:
        await _measure(tx, unknown)
    # What each of them has spent, the mark of the prices, and the pasts. What is held may be told as more than it is.
    if tx.lock and payers:
        spent, mark, histories = await look_and_lock(tx, payers, pasts, now)
    else:
        histories = to_histories(await tx.all_many(PAST, pasts)) if pasts else {}
        spent, mark = await recall(tx, payers.values(), now) if payers else ({}, None)
    for wish in reading:
        history = histories.get(wish.conversation_id, NO_HISTORY)
        wish.history, wish.past = history, history.tokens
    prices = NO_PRICES
    if counts_money:
        latest = known.latest(mark)
        prices = await known.read(tx, mark) if latest is None else latest
    held_there = await _held_in_conversations(tx, waiting) if waiting else {}
    answers = _decide(wishes, spent, held_there, prices, budgets, now)
    if tx.lock and OverBudget in map(type, answers):
        # What ended while a row was waited for may be in both: in what was used, and in what is held.
        await add_up_held(tx, payers.values(), spent, now)
        answers = _decide(wishes, spent, held_there, prices, budgets, now)
    return answers


def _decide(
    wishes: Sequence[Wish | None],
    spent: Mapping[str, Spent],
    held_there: Mapping[ConversationId, int],
    prices: Mapping[str, Sequence[DatedPrice]],
    budgets: Budgets,
    now: Micros,
) -> list[Reservation | OverBudget | None]:
    """One after the other: what the first gets is held back from the next."""
    most_there = budgets.conversation_tokens
    # What is known of a bot is looked up once for all that ask the same one.
    bots: dict[tuple[str | None, str | None], _Bot] = {}
    answers: list[Reservation | OverBudget | None] = []
    for wish in wishes:
        if wish is None or wish.payers is None:
            answers.append(None)
            continue
        speaking, payers = wish.speaking, wish.payers
        named = (speaking.provider, speaking.model)
        bot = bots.get(named)
        if bot is None:
            bot = bots[named] = _to_bot(speaking, prices, budgets, now)
        wanted = _to_reservation(wish, bot, budgets)
        held = held_there.get(wish.conversation_id, 0)
        fits = not most_there or wish.used + held + wanted.tokens <= most_there
        for payer in payers:
            fits = fits and has_room(payer.budget, spent[payer.scope], wanted)
        if not fits:
            refusals = [*over_conversation(most_there, wish.used, held, wanted)]
            for payer in payers:
                refusals += over_budget(payer.budget, spent[payer.scope], wanted, now, payer.of, budgets.currency)
            answers.append(worst_of(refusals))
            continue
        for payer in payers:
            of_payer = spent[payer.scope]
            of_payer.held_tokens += wanted.tokens
            of_payer.held_money += wanted.money
        answers.append(wanted)
    return answers


def _to_reservation(wish: Wish, bot: _Bot, budgets: Budgets) -> Reservation:
    past, besides = wish.past or 0, wish.tokens + (wish.standing or 0)
    alone = to_reserve(past, besides, wish.speaking, bot.size, budgets)
    tokens, money = alone.total_tokens, _most_cost(alone, bot.prices)
    if not wish.waits_for:
        return Reservation(wish.payer_id, wish.app_id, tokens, money, tokens, money)
    waits_for = min(wish.waits_for, wish.limit)
    usage = to_reserve(past, besides, wish.speaking, bot.size, budgets, waits_for=waits_for)
    return Reservation(
        wish.payer_id, wish.app_id, usage.total_tokens, _most_cost(usage, bot.prices), tokens, money
    )  # fmt: skip


def _most_cost(usage: Usage, prices: Sequence[Price]) -> int:
    most = 0
    for price in prices:
        cost = to_cost(usage, price)
        if cost > most:
            most = cost
    return most


def _payers_of(wish: Wish, budgets: Budgets, own: Mapping[int | None, Budget]) -> Sequence[Payer]:
    """Those who pay for it and have a budget."""
    of_user, of_app = budgets.person, budgets.app
    if own:
        if wish.payer_id in own:
            of_user = own[wish.payer_id].or_else(of_user)
        if wish.app_id in own:
            of_app = own[wish.app_id].or_else(of_app)
    return payers_within(wish.payer_id, wish.app_id, of_user, of_app)


async def _own_budgets(tx: Transaction, wishes: Sequence[Wish | None]) -> Mapping[int | None, Budget]:
    ids = {id_ for wish in wishes if wish is not None for id_ in (wish.payer_id, wish.app_id) if id_ is not None}
    rows = await tx.all_many(OWN_BUDGET, [(id_,) for id_ in sorted(ids)])
    return {row[3]: Budget(*row[:3]) for row in rows}


async def _measure(tx: Transaction, wishes: Sequence[Wish]) -> None:
    """Sets the sizes of the past and of what stands before it."""
    asked = [_past_of(wish) for wish in wishes]
    for wish, row in zip(wishes, await tx.all_many(PROMPT_SIZE, asked), strict=True):
        wish.past, wish.standing = row


def _to_bot(speaking: Speaking, prices: Mapping[str, Sequence[DatedPrice]], budgets: Budgets, now: Micros) -> _Bot:
    may_hold = []
    if prices:
        for name in _may_be_billed_as(speaking, budgets):
            dated = prices.get(name)
            if dated and (price := price_at(dated, now)) is not None:
                may_hold.append(price)
    return _Bot(budgets.size_of(speaking), may_hold)


def _may_be_billed_as(speaking: Speaking, budgets: Budgets) -> Sequence[str]:
    """Where the model that is wanted is not offered just now, the default one answers."""
    provider = speaking.provider or budgets.default_provider
    if provider is not None and provider not in BILLED_BY_MODEL:
        return [provider]
    wanted, default = speaking.model, budgets.default_model
    if wanted is None:
        return () if default is None else (default,)
    return (wanted,) if default is None or default == wanted else (wanted, default)


def _past_of(wish: Wish) -> PastAsked:
    return wish.conversation_id, wish.context_from, wish.before, wish.limit


def held_by(tx: Transaction) -> Mapping[LimitOf, str]:
    """What adds up the tokens and the money that are held back for somebody, at a time."""
    return HELD_ON_POSTGRES if tx.lock else HELD_ON_SQLITE


async def _held_in_conversations(tx: Transaction, wishes: Sequence[Wish]) -> Mapping[ConversationId, int]:
    """What is held back there for the replies that each of them waits for."""
    asked = [(wish.conversation_id, wish.payer_id) for wish in wishes]
    rows = await tx.all_many(HELD_IN_CONVERSATION, asked)
    return {wish.conversation_id: row[0] for wish, row in zip(wishes, rows, strict=True)}
