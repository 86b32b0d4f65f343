"""What was used and what it cost: for who pays, and for who runs the server. Money is told in millionths."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from msgspec import Struct

from palaver.api.call import Answer, Call, to_time
from palaver.api.fields import Body, Choice, Problem, Text, Whole, defaulting, optional, required
from palaver.api.operation import Api, Style, worded
from palaver.chat.clock import EPOCH, Micros
from palaver.chat.conversation import PresetId
from palaver.chat.errors import Conflict
from palaver.chat.ledger import MOST_PRICE, By, DatedPrice, Period, Price, Used, to_total
from palaver.chat.limit import LimitName
from palaver.chat.user import UserId

api = Api("money", Style.FASTAPI)

PRICE = Whole(0, MOST_PRICE)
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

# A spreadsheet takes a cell that begins so for a formula, and carries it out on the machine of who opens it.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Day(Struct, frozen=True):
    def read(self, value: object) -> date:
        try:
            if isinstance(value, str) and DATE.fullmatch(value):
                return date.fromisoformat(value)
        except ValueError as error:
            raise Problem("date_type") from error
        raise Problem("date_type")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date"}


class Time(Struct, frozen=True):
    """A moment; without an offset it is in UTC."""

    def read(self, value: object) -> Micros:
        try:
            if isinstance(value, str):
                said = datetime.fromisoformat(value)
                moment = said if said.tzinfo else said.replace(tzinfo=UTC)
                return Micros((moment - EPOCH) // timedelta(microseconds=1))
        except (ValueError, OverflowError) as error:
            raise Problem("time_type") from error
        raise Problem("time_type")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}


BY: Choice[By] = Choice("day", "user", "model", "app", "preset")


class UsageWanted(Body):
    first = optional(Day(), "from")
    last = optional(Day(), "to")
    by = defaulting(BY, "day")


class NewPrice(Body):
    """In millionths of the currency for a million tokens: 2,500,000 is 2.50 for a million."""

    model = required(Text(at_least=1, at_most=200))
    input = required(PRICE)
    cached_input = optional(PRICE)
    output = required(PRICE)
    since = optional(Time())


class PriceShown(Struct):
    model: str
    since: datetime
    input: int
    cached_input: int
    output: int


class PriceList(Struct):
    currency: str
    prices: list[PriceShown]


class UsedShown(Struct):
    turns: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    total_tokens: int
    cost: int


class UsedBy(UsedShown):
    key: str | int | None
    name: str | None


class UsageShown(Struct, rename={"first": "from", "last": "to"}):
    first: date
    last: date
    by: By
    currency: str
    rows: list[UsedBy]
    total: UsedShown


class LeftShown(Struct):
    limit: LimitName
    most: int
    left: int
    renewed_at: datetime


class OwnUsage(Struct):
    currency: str
    today: UsedShown
    this_month: UsedShown
    budget: list[LeftShown]


@api.add("GET", "/api/admin/prices", who="admin", answer=PriceList)
async def list_prices(call: Call) -> PriceList:
    books = call.chat.books
    return PriceList(books.currency, [_price(price) for price in await books.prices()])


@api.add(
    "POST",
    "/api/admin/prices",
    who="admin",
    body=NewPrice,
    answer=PriceShown,
    status=201,
    refusals={Conflict: worded(409, "price_taken")},
)
async def add_price(call: Call) -> PriceShown:
    body = call.read(NewPrice)
    cached = body.input if body.cached_input is None else body.cached_input
    price = Price(body.input, cached, body.output)
    return _price(await call.chat.books.add_price(body.model, price, since=body.since))


@api.add("GET", "/api/admin/usage", who="admin", query=UsageWanted, answer=UsageShown)
async def usage(call: Call) -> UsageShown:
    return await _usage(call)


@api.add("GET", "/api/admin/usage.csv", who="admin", query=UsageWanted, content_types=("text/csv",))
async def usage_as_csv(call: Call) -> Answer:
    told = await _usage(call)
    columns = UsedShown.__struct_fields__
    rows = [[row.key, row.name, *(getattr(row, column) for column in columns)] for row in told.rows]
    name = f"usage-{told.first}-{told.last}-by-{told.by}.csv"
    return Answer(
        to_csv([[told.by, "name", *columns], *rows]),
        headers=((b"content-disposition", f'attachment; filename="{name}"'.encode()),),
        content_type=b"text/csv; charset=utf-8",
    )


@api.add("GET", "/api/usage", answer=OwnUsage)
async def own_usage(call: Call) -> OwnUsage:
    own = await call.chat.books.own(call.user)
    left = [LeftShown(one.limit.name, one.limit.most, one.left, to_time(one.renewed_at)) for one in own.left]
    return OwnUsage(call.chat.books.currency, _used(own.today), _used(own.this_month), left)


def to_csv(rows: Iterable[Sequence[object]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows([_to_cell(value) for value in row] for row in rows)
    return written.getvalue().encode()


def _to_cell(value: object) -> object:
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


async def _usage(call: Call) -> UsageShown:
    wanted = call.read_query(UsageWanted)
    period, sums = await call.chat.books.usage(wanted.by, wanted.first, wanted.last)
    names = await _names(call, wanted.by, sums)
    rows = [_row(wanted.by, one, names) for one in sums]
    first, last = _days(period)
    return UsageShown(first, last, wanted.by, call.chat.books.currency, rows, _used(to_total(sums)))


async def _names(call: Call, by: By, sums: Sequence[Used]) -> Mapping[int | str, str]:
    """Of those that are still there."""
    ids = [one.key for one in sums if isinstance(one.key, int) and one.key]
    if by in ("user", "app"):
        users = await call.chat.store.accounts.get_users([UserId(id_) for id_ in ids])
        return {user.id: user.name for user in users.values()}
    if by == "preset":
        presets = [await call.chat.store.presets.get(PresetId(id_)) for id_ in ids]
        return {preset.id: preset.name for preset in presets if preset is not None}
    return {}


def _row(by: By, one: Used, names: Mapping[int | str, str]) -> UsedBy:
    key: str | int | None = one.key or None
    if by == "day" and isinstance(one.key, int):
        key = (EPOCH + timedelta(days=one.key)).date().isoformat()
    used = _used(one)
    return UsedBy(
        used.turns, used.prompt_tokens, used.cached_tokens, used.completion_tokens, used.total_tokens, used.cost,
        key, names.get(one.key),
    )  # fmt: skip


def _days(period: Period) -> tuple[date, date]:
    first, last = (EPOCH + timedelta(days=day) for day in (period.first_day, period.last_day))
    return first.date(), last.date()


def _used(used: Used) -> UsedShown:
    return UsedShown(
        used.turns, used.prompt_tokens, used.cached_tokens, used.completion_tokens, used.total_tokens, used.cost
    )


def _price(dated: DatedPrice) -> PriceShown:
    price = dated.price
    return PriceShown(dated.model, to_time(dated.since), price.input, price.cached_input, price.output)
