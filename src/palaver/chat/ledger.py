"""What is used, what it costs, and what is left of a budget.

Money is counted in millionths of the operator's currency. A budget is of a day or a month in UTC. While a reply is
made, as much as it may take at the most is held back from whoever pays for it: many at once spend no more than one.
"""

from calendar import monthrange
from collections.abc import Callable, Sequence
from datetime import date
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from palaver.chat.clock import DAY, SECOND, Micros, to_datetime
from palaver.chat.context import TOKENS_AROUND, knowledge_share
from palaver.chat.conversation import PresetId, Speaking, Usage, may_know
from palaver.chat.errors import OverBudget
from palaver.chat.limit import BudgetName, Limit, LimitOf, Shortage
from palaver.chat.user import User, UserId

MILLION = 1_000_000

# A token of some models is shorter than what is counted here, and each message has a frame around it.
MARGIN = 1.25
FRAME_TOKENS = 12

# A budget that no day and no month fills again is looked at anew on the next day: somebody may have raised it.
COME_BACK_SECONDS = 86_400

# What is held back for a reply that runs is free again with its end: most are short.
HELD_SECONDS = 5

# Who answers by a model of an LLM server, which has a price. What any other bot says goes by the bot's own name.
BILLED_BY_MODEL = ("openai", "openai_rag")

# So that the price of the largest usage still is a whole number that a database holds.
MOST_PRICE = 10**9


class Price(Struct, frozen=True):
    """What a million tokens cost, in millionths."""

    input: int
    cached_input: int
    output: int


class DatedPrice(Struct, frozen=True):
    """The price of a model from a moment on, until another one follows."""

    model: str
    since: Micros
    price: Price


def to_cost(usage: Usage, price: Price) -> int:
    """Rounded once, over all of it. The store says the same in SQL."""
    cached = usage.cached_tokens if usage.cached_tokens < usage.prompt_tokens else usage.prompt_tokens
    parts = (usage.prompt_tokens - cached) * price.input + cached * price.cached_input
    return (parts + usage.completion_tokens * price.output + MILLION // 2) // MILLION


def to_billed_as(provider: str, model: str | None) -> str:
    """By whose price an answer is billed: by the model's, by the name that the operator knows, or by the bot's."""
    return model if model and provider in BILLED_BY_MODEL else provider


class Period(Struct, frozen=True):
    """Days, the last one included, counted from 1970 in UTC."""

    first_day: int
    last_day: int

    def seconds_left(self, now: Micros) -> float:
        return ((self.last_day + 1) * DAY - now) / SECOND

    @property
    def seconds(self) -> int:
        return (self.last_day + 1 - self.first_day) * DAY // SECOND


def day_of(now: Micros) -> Period:
    return Period(now // DAY, now // DAY)


def month_of(now: Micros) -> Period:
    return month_with(now // DAY)


@lru_cache(maxsize=10)
def month_with(day: int) -> Period:
    today = to_datetime(day * DAY).date()
    first = to_day(today.replace(day=1))
    return Period(first, first + monthrange(today.year, today.month)[1] - 1)


def to_day(day: date) -> int:
    return (day - date(1970, 1, 1)).days


class Budget(Struct, frozen=True, cache_hash=True):
    """The most that somebody may use; 0: as much as they like, None: as it is usual."""

    tokens_a_day: int | None = None
    tokens_a_month: int | None = None
    money_a_month: int | None = None

    @property
    def is_set(self) -> bool:
        return bool(self.tokens_a_day or self.tokens_a_month or self.money_a_month)

    def or_else(self, usual: "Budget") -> "Budget":
        """Each of the three, where it is set here; else the usual one. Set to 0, as every limit of one's own: none."""
        return Budget(
            _pick(self.tokens_a_day, usual.tokens_a_day),
            _pick(self.tokens_a_month, usual.tokens_a_month),
            _pick(self.money_a_month, usual.money_a_month),
        )


def _pick(own: int | None, usual: int | None) -> int | None:
    return usual if own is None else own or None


NO_BUDGET = Budget()


class ModelSize(Struct, frozen=True):
    """How many tokens a model takes, question and answer together, and how many it makes of one counted here."""

    context: int
    factor: float = MARGIN


def _usual_size(_speaking: Speaking) -> ModelSize:
    return ModelSize(16_384)


class Budgets(Struct, frozen=True):
    """The budgets of all: the usual ones, and whether anybody has one of their own.

    `reply_tokens` are held back for a reply that nothing bounds, `knowledge_tokens` for passages; `size_of` tells of
    the model that is going to answer, by the provider and the model that are named. Where a conversation names none,
    `default_provider` answers (None: an LLM server), with `default_model`.
    """

    person: Budget = NO_BUDGET
    app: Budget = NO_BUDGET
    conversation_tokens: int = 0
    reply_tokens: int = 2000
    knowledge_tokens: int = 2000
    size_of: Callable[[Speaking], ModelSize] = _usual_size
    default_model: str | None = None
    some_have_their_own: bool = False
    default_provider: str | None = None
    currency: str = ""

    @property
    def are_set(self) -> bool:
        usual = self.person.is_set or self.app.is_set or bool(self.conversation_tokens)
        return usual or self.some_have_their_own


class Spent(Struct):
    """What somebody has used today and in this month, and what is held back for replies that are being made."""

    tokens_today: int = 0
    tokens_this_month: int = 0
    money_this_month: int = 0
    held_tokens: int = 0
    held_money: int = 0


class Reservation(Struct, frozen=True):
    """What is held back for a reply, and from whom. `tokens_alone` and `money_alone` are what it may take where nothing
    comes before it in its conversation."""

    payer_id: UserId
    app_id: UserId | None
    tokens: int
    money: int
    tokens_alone: int
    money_alone: int


def to_reserve(
    past_tokens: int, besides: int, speaking: Speaking, size: ModelSize, budgets: Budgets, *, waits_for: int = 0
) -> Usage:
    """The most that a reply is expected to use. The past is cut to what the model takes, whose size is `size`; what
    else is sent is not.

    `waits_for`: so many replies come before it in its conversation, and are part of the past by then.
    """
    reply = speaking.max_tokens or budgets.reply_tokens
    past_tokens += waits_for * (reply + TOKENS_AROUND)
    if may_know(speaking):
        besides += knowledge_share(size.context, budgets.knowledge_tokens)
    margin = size.factor if size.factor > MARGIN else MARGIN
    uncut = int(besides * margin) + FRAME_TOKENS
    prompt = uncut + int(past_tokens * margin)
    if prompt > size.context:
        prompt = max(size.context, uncut)
    return Usage(prompt, reply, 0, True)


class _Line(Struct, frozen=True):
    """One limit of a budget, and how it stands."""

    name: BudgetName
    most: int
    used: int
    held: int

    def period(self, now: Micros) -> Period:
        return day_of(now) if self.name == "tokens_a_day" else month_of(now)


def _lines(budget: Budget, spent: Spent) -> list[_Line]:
    """Those that are set."""
    lines = []
    if budget.tokens_a_day:
        lines.append(_Line("tokens_a_day", budget.tokens_a_day, spent.tokens_today, spent.held_tokens))
    if budget.tokens_a_month:
        lines.append(_Line("tokens_a_month", budget.tokens_a_month, spent.tokens_this_month, spent.held_tokens))
    if budget.money_a_month:
        lines.append(_Line("money_a_month", budget.money_a_month, spent.money_this_month, spent.held_money))
    return lines


def has_room(budget: Budget, spent: Spent, wanted: Reservation) -> bool:
    """Whether the reply passes none of its limits: so it is for nearly all, and this is all that they cost."""
    tokens = spent.held_tokens + wanted.tokens
    money = spent.held_money + wanted.money
    return not (
        (budget.tokens_a_day and spent.tokens_today + tokens > budget.tokens_a_day)
        or (budget.tokens_a_month and spent.tokens_this_month + tokens > budget.tokens_a_month)
        or (budget.money_a_month and spent.money_this_month + money > budget.money_a_month)
    )


def over_budget(
    budget: Budget, spent: Spent, wanted: Reservation, now: Micros, of: LimitOf = "user", currency: str = ""
) -> Sequence[OverBudget]:
    """A refusal for each limit of the budget that the reply may pass."""
    refusals = []
    for line in _lines(budget, spent):
        is_money = line.name == "money_a_month"
        if line.used + line.held + (wanted.money if is_money else wanted.tokens) > line.most:
            alone = wanted.money_alone if is_money else wanted.tokens_alone
            period = line.period(now)
            wait = period.seconds_left(now)
            limit = Limit(line.name, line.most, period.seconds, of)
            refusals.append(_refusal(limit, line.used, alone, wait=wait, reset=wait, currency=currency))
    return refusals


def over_conversation(most: int, used: int, held: int, wanted: Reservation) -> Sequence[OverBudget]:
    """As `over_budget`, of the tokens of a conversation."""
    if not most or used + held + wanted.tokens <= most:
        return ()
    limit = Limit("conversation_tokens", most, of="conversation")
    return (_refusal(limit, used, wanted.tokens_alone, wait=COME_BACK_SECONDS, reset=0),)


def _refusal(limit: Limit, used: int, more: int, *, wait: float, reset: float, currency: str = "") -> OverBudget:
    left = max(0, limit.most - used)
    shortage: Shortage = "too_little" if left else "used_up"
    if more > limit.most:
        shortage, wait = "too_small", COME_BACK_SECONDS
    elif used + more <= limit.most:
        shortage, wait = "held", HELD_SECONDS
    return OverBudget(wait, limit, left=left, reset=reset, shortage=shortage, currency=currency)


def worst_of(refusals: Sequence[OverBudget]) -> OverBudget:
    """The one after which, once it is over, there is none of the others any more."""
    return max(refusals, key=lambda one: (one.shortage == "too_small", one.retry_after))


By = Literal["day", "user", "model", "app", "preset"]


class Used(Struct, frozen=True):
    """A sum of the ledger. `key` is the day, the id or the model; 0 or nothing where there is none.

    `uuid` and `name` are those of the user, application or preset, as long as it is there; `app` is the name of the
    application whose user it is.
    """

    key: int | str
    turns: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost: int = 0
    uuid: str | None = None
    name: str | None = None
    app: str | None = None

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


def to_total(sums: Sequence[Used]) -> Used:
    return Used(
        "",
        sum(one.turns for one in sums),
        sum(one.prompt_tokens for one in sums),
        sum(one.completion_tokens for one in sums),
        sum(one.cached_tokens for one in sums),
        sum(one.cost for one in sums),
    )


class Left(Struct, frozen=True):
    """One limit of a budget: what is left of it, and when it is filled again."""

    limit: Limit
    left: int
    renewed_at: Micros


class Own(Struct, frozen=True):
    """What somebody has used today and in this month, and what is left of their budget, if they have one."""

    today: Used
    this_month: Used
    left: Sequence[Left]


def to_left(budget: Budget, spent: Spent, now: Micros) -> list[Left]:
    return [
        Left(
            Limit(line.name, line.most, line.period(now).seconds),
            max(0, line.most - line.used - line.held),
            Micros((line.period(now).last_day + 1) * DAY),
        )
        for line in _lines(budget, spent)
    ]


def pays_by(user: User) -> UserId | None:
    """The application on whose account somebody's use goes, beside their own."""
    return user.app_id or (user.id if user.kind == "app" else None)


class Spending(Struct, frozen=True):
    """What was used by whom, on its way into the ledger."""

    user_id: UserId
    app_id: UserId | None
    preset_id: PresetId | None
    model: str
    usage: Usage
    cost: int
    now: Micros
