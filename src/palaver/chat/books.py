"""The ledger as the core uses it: the budgets that hold just now, the prices, and what was used."""

from collections.abc import Sequence
from datetime import date

from msgspec import Struct
from msgspec.structs import replace

from palaver.chat.clock import DAY, SECOND, Clock, Micros, to_datetime
from palaver.chat.conversation import Speaking
from palaver.chat.errors import Conflict, Invalid, NotFound
from palaver.chat.ledger import (
    Budget,
    Budgets,
    By,
    DatedPrice,
    ModelSize,
    Own,
    Period,
    Price,
    Used,
    month_of,
    to_day,
    to_total,
)
from palaver.chat.limits import find_named
from palaver.chat.ports import Bots, Store
from palaver.chat.tokens import Tokens, to_key
from palaver.chat.user import User, UserId


class ModelSizes:
    """What the models take, as far as their servers tell, and what was learned of how they count."""

    def __init__(self, bots: Bots, tokens: Tokens, usual_context: int) -> None:
        self._bots = bots
        self._tokens = tokens
        self._usual = usual_context

    def of(self, speaking: Speaking) -> ModelSize:
        """The size of the model that answers just now where one is asked so."""
        model = self._bots.model_for_turn(speaking.model)
        context = self._bots.context_length(model, self._usual)
        return ModelSize(context, self._tokens.factor(to_key(speaking.provider, model)))


class UsedBy(Struct, frozen=True):
    """What was used, by one part of a cut. `key`: the day, the UUID of the user or application, the model, or the
    preset's number; of somebody who was erased, the number that is left; None where there is none."""

    key: str | int | None
    name: str | None
    app: str | None
    used: Used


class Told(Struct, frozen=True):
    """What was used from the first day to the last."""

    first: date
    last: date
    rows: Sequence[UsedBy]
    total: Used


class UsedOnDay(Struct, frozen=True):
    """What one model has used on a day; None: nobody knows which."""

    day: date
    model: str | None
    used: Used


class ToldByDay(Struct, frozen=True):
    """What was used from the first day to the last."""

    first: date
    last: date
    rows: Sequence[UsedOnDay]
    total: Used


class Books:
    """The budgets that hold just now, and what the ledger tells."""

    def __init__(self, store: Store, clock: Clock, usual: Budgets) -> None:
        self._store = store
        self._clock = clock
        self._usual = usual
        self.currency = usual.currency
        self.budgets: Budgets | None = usual if usual.are_set else None
        """None while nobody has one: then no turn looks for it."""

    async def follow(self, default_model: str | None = None, default_provider: str | None = None) -> None:
        """Takes note of budgets that were given to somebody, or taken away, by whatever process."""
        latest = replace(
            self._usual,
            default_model=default_model,
            default_provider=default_provider,
            some_have_their_own=await self._store.ledger.some_have_their_own_budget(),
        )
        self.budgets = latest if latest.are_set else None

    async def reserve(
        self, user_id: UserId, app_id: UserId | None, speaking: Speaking, prompt_tokens: int, seconds: float
    ) -> int | None:
        """Holds back what an answer may use that is stored nowhere, for so long at the most; None while nobody has a
        budget. Raises `OverBudget`."""
        if self.budgets is None:
            return None
        now = self._clock.now()
        until = Micros(now + int(seconds * SECOND))
        return await self._store.ledger.reserve_answer(
            user_id, app_id, speaking, prompt_tokens, self.budgets, now, until
        )

    async def add_price(self, model: str, price: Price, *, since: Micros | None) -> DatedPrice:
        """Holds from `since` on, by default from now; what was used before stays as it was billed.

        Raises `Invalid` for a time that has passed, and `Conflict` where one begins at that very moment.
        """
        now = self._clock.now()
        if since is not None and since < now:
            raise Invalid("since", "time_passed")
        added = DatedPrice(model, now if since is None else since, price)
        if not await self._store.ledger.add_price(added):
            raise Conflict
        return added

    async def remove_price(self, model: str, since: Micros) -> None:
        """Takes back a price that has not begun. Raises `Invalid` for one that has, and `NotFound`."""
        if since <= self._clock.now():
            raise Invalid("since", "price_begun")
        if not await self._store.ledger.remove_price(model, since):
            raise NotFound

    async def prices(self) -> Sequence[DatedPrice]:
        return await self._store.ledger.prices()

    async def usage(self, by: By, first_day: date | None, last_day: date | None, user: str | None = None) -> Told:
        """The sums of these days, by default of this month, of all or of the `user` with that UUID or name.

        Raises `Invalid` where they end before they begin, and as `find_named`.
        """
        period = self._to_period(first_day, last_day)
        of = None if user is None else await find_named(self._store.accounts, user)
        sums = await self._store.ledger.usage(by, period, of)
        rows = [UsedBy(_to_key(by, one), one.name, one.app, one) for one in sums]
        return Told(_to_date(period.first_day), _to_date(period.last_day), rows, to_total(sums))

    def _to_period(self, first_day: date | None, last_day: date | None) -> Period:
        this_month = month_of(self._clock.now())
        if last_day is None:
            first = this_month.first_day if first_day is None else to_day(first_day)
            return Period(first, max(this_month.last_day, first))
        last = to_day(last_day)
        first = month_of(Micros(last * DAY)).first_day if first_day is None else to_day(first_day)
        if last < first:
            raise Invalid("to", "before_from")
        return Period(first, last)

    async def own_days(self, user: User, first_day: date | None, last_day: date | None) -> ToldByDay:
        """What the user, or the application with all its users, has used in these days, by default in this month.
        Raises `Invalid` where they end before they begin."""
        period = self._to_period(first_day, last_day)
        sums = await self._store.ledger.own_days(user, period)
        rows = [UsedOnDay(_to_date(day), str(used.key) or None, used) for day, used in sums]
        return ToldByDay(
            _to_date(period.first_day), _to_date(period.last_day), rows, to_total([used for _, used in sums])
        )

    async def own(self, user: User) -> Own:
        is_app = user.kind == "app"
        return await self._store.ledger.own(user.id, self.usual(is_app=is_app), self._clock.now(), is_app=is_app)

    def usual(self, *, is_app: bool) -> Budget:
        """What the settings say of a person, or of an application with all its users."""
        return self._usual.app if is_app else self._usual.person


def _to_key(by: By, one: Used) -> str | int | None:
    if by == "day" and isinstance(one.key, int):
        return _to_date(one.key).isoformat()
    return one.uuid or one.key or None


def _to_date(day: int) -> date:
    return to_datetime(day * DAY).date()
