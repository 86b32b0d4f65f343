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
from palaver.chat.conversation import PresetId, Speaking, Usage
from palaver.chat.errors import OverBudget
from palaver.chat.limit import Limit, LimitName, LimitOf
from palaver.chat.user import User, UserId

MILLION = 1_000_000

# A token of some models is shorter than what is counted here, and each message has a frame around it.
MARGIN = 1.25
FRAME_TOKENS = 12

# A budget that no day and no month fills again is looked at anew on the next day: somebody may have raised it.
COME_BACK_SECONDS = 86_400

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
    cached = min(usage.cached_tokens, usage.prompt_tokens)
    parts = (usage.prompt_tokens - cached) * price.input + cached * price.cached_input
    return (parts + usage.completion_tokens * price.output + MILLION // 2) // MILLION


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
    return _month_of(now // DAY)


@lru_cache(maxsize=10)
def _month_of(day: int) -> Period:
    today = to_datetime(day * DAY).date()
    first = to_day(today.replace(day=1))
    return Period(first, first + monthrange(today.year, today.month)[1] - 1)


def to_day(day: date) -> int:
    return (day - date(1970, 1, 1)).days


class Budget(Struct, frozen=True):
    """The most that somebody may use; None: as much as they like."""

    tokens_a_day: int | None = None
    tokens_a_month: int | None = None
    money_a_month: int | None = None

    @property
    def is_set(self) -> bool:
        return self != NO_BUDGET

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

    `reply_tokens` are held back for a reply that nothing bounds; `size_of` tells of the model that is going to answer.
    """

    person: Budget = NO_BUDGET
    app: Budget = NO_BUDGET
    conversation_tokens: int | None = None
    reply_tokens: int = 2000
    size_of: Callable[[Speaking], ModelSize] = _usual_size
    default_model: str | None = None
    some_have_their_own: bool = False

    @property
    def are_set(self) -> bool:
        usual = self.person.is_set or self.app.is_set or self.conversation_tokens is not None
        return usual or self.some_have_their_own


class Spent(Struct):
    """What somebody has used today and in this month, and what is held back for replies that are being made."""

    tokens_today: int = 0
    tokens_this_month: int = 0
    money_this_month: int = 0
    held_tokens: int = 0
    held_money: int = 0


class Reservation(Struct, frozen=True):
    """What is held back for a reply, and from whom."""

    payer_id: UserId
    app_id: UserId | None
    tokens: int
    money: int = 0


def to_reserve(past_tokens: int, besides: int, speaking: Speaking, budgets: Budgets) -> Usage:
    """The most that a reply is expected to use. The past is cut to what the model takes; what else is sent is not."""
    reply = speaking.max_tokens or budgets.reply_tokens
    size = budgets.size_of(speaking)
    margin = max(MARGIN, size.factor)
    uncut = int(besides * margin) + FRAME_TOKENS
    prompt = min(uncut + int(past_tokens * margin), max(size.context, uncut))
    return Usage(prompt, reply, estimated=True)


def check_budget(budget: Budget, spent: Spent, wanted: Reservation, now: Micros, of: LimitOf = "user") -> None:
    """Raises `OverBudget` where it would be passed."""
    day, month = day_of(now), month_of(now)
    tokens, money = spent.held_tokens + wanted.tokens, spent.held_money + wanted.money
    _check("tokens_a_day", budget.tokens_a_day, spent.tokens_today + tokens, day, now, of)
    _check("tokens_a_month", budget.tokens_a_month, spent.tokens_this_month + tokens, month, now, of)
    _check("money_a_month", budget.money_a_month, spent.money_this_month + money, month, now, of)


def _check(name: LimitName, most: int | None, would_be: int, period: Period, now: Micros, of: LimitOf) -> None:
    if most is not None and would_be > most:
        raise OverBudget(period.seconds_left(now), Limit(name, most, period.seconds, of))


def check_conversation(most: int | None, spent: int, wanted: Reservation) -> None:
    """Raises `OverBudget` where the tokens of a conversation would be passed."""
    if most is not None and spent + wanted.tokens > most:
        raise OverBudget(COME_BACK_SECONDS, Limit("conversation_tokens", most, of="conversation"))


By = Literal["day", "user", "model", "app", "preset"]


class Used(Struct, frozen=True):
    """A sum of the ledger. `key` is the day, the id or the model; 0 or nothing where there is none."""

    key: int | str
    turns: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost: int = 0

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
    day, month = day_of(now), month_of(now)
    limits: tuple[tuple[LimitName, int | None, int, Period], ...] = (
        ("tokens_a_day", budget.tokens_a_day, spent.tokens_today + spent.held_tokens, day),
        ("tokens_a_month", budget.tokens_a_month, spent.tokens_this_month + spent.held_tokens, month),
        ("money_a_month", budget.money_a_month, spent.money_this_month + spent.held_money, month),
    )
    return [
        Left(Limit(name, most, period.seconds), max(0, most - used), Micros((period.last_day + 1) * DAY))
        for name, most, used, period in limits
        if most is not None
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
