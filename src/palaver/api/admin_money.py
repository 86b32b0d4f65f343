"""For admins: prices, and what all have used and what it cost. Money is told in millionths of the currency."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from palaver.api.call import Answer, Call, to_time
from palaver.api.fields import Body, Choice, Problem, Text, Whole, defaulting, optional, required
from palaver.api.money import Day, UsedShown, to_used_shown
from palaver.api.operation import Api, Refusals, Style, worded
from palaver.chat.books import UsedBy
from palaver.chat.clock import EPOCH, Micros
from palaver.chat.errors import Conflict, NotFound
from palaver.chat.ledger import MOST_PRICE, By, DatedPrice, Price

api = Api("admin", Style.FASTAPI)

MODEL = Text(at_least=1, at_most=200, trimmed=True)
PRICE = Whole(0, MOST_PRICE)

AMBIGUOUS: Refusals = {Conflict: worded(409, "ambiguous_name")}

# A spreadsheet takes a cell that begins so for a formula, and carries it out on the machine of who opens it.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Time(Struct, frozen=True):
    """A moment; without an offset it is in UTC."""

    def read(self, value: object) -> Micros:
        try:
            if isinstance(value, str):
                said = datetime.fromisoformat(value)
                # The last hours of the last year are, by some offset, none that can be told in UTC.
                moment = said.astimezone(UTC) if said.tzinfo else said.replace(tzinfo=UTC)
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
    user = optional(Text(at_least=1, at_most=250))


class NewPrice(Body):
    """In millionths of the currency for a million tokens: 2,500,000 is 2.50 for a million."""

    model = required(MODEL)
    input = required(PRICE)
    cached_input = optional(PRICE)
    output = required(PRICE)
    since = optional(Time())


class PriceNamed(Body):
    model = required(MODEL)
    since = required(Time())


class PriceShown(Struct):
    model: str
    since: datetime
    input: int
    cached_input: int
    output: int


class PriceList(Struct):
    currency: str
    prices: list[PriceShown]


class UsedByShown(UsedShown):
    """`key`: the UUID, where it is by user or application; a number for one that was erased. `app` is the name of the
    application whose user it is."""

    key: str | int | None
    name: str | None
    app: str | None


class UsageReport(Struct, rename={"first": "from", "last": "to"}):
    first: date
    last: date
    by: By
    currency: str
    rows: list[UsedByShown]
    total: UsedShown


@api.add("GET", "/api/admin/prices", who="admin", answer=PriceList, summary="List all prices, past and to come")
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
    summary="Add a price of a model, from now or from a moment on",
)
async def add_price(call: Call) -> PriceShown:
    body = call.read(NewPrice)
    cached = body.input if body.cached_input is None else body.cached_input
    price = Price(body.input, cached, body.output)
    return _price(await call.chat.books.add_price(body.model, price, since=body.since))


@api.add(
    "DELETE",
    "/api/admin/prices",
    who="admin",
    query=PriceNamed,
    status=204,
    raises=(NotFound,),
    summary="Take back a price that has not begun",
)
async def remove_price(call: Call) -> Answer:
    named = call.read_query(PriceNamed)
    await call.chat.books.remove_price(named.model, named.since)
    return Answer()


@api.add(
    "GET",
    "/api/admin/usage",
    who="admin",
    query=UsageWanted,
    answer=UsageReport,
    raises=(NotFound,),
    refusals=AMBIGUOUS,
    summary="Tell what was used, by day, user, model, application or preset",
)
async def usage(call: Call) -> UsageReport:
    return await _usage(call)


@api.add(
    "GET",
    "/api/admin/usage.csv",
    who="admin",
    query=UsageWanted,
    content_types=("text/csv",),
    raises=(NotFound,),
    refusals=AMBIGUOUS,
    summary="Tell the same as a table",
)
async def usage_as_csv(call: Call) -> Answer:
    told = await _usage(call)
    columns = UsedShown.__struct_fields__
    rows = [[row.key, row.name, row.app, *(getattr(row, column) for column in columns)] for row in told.rows]
    name = f"usage-{told.first}-{told.last}-by-{told.by}.csv"
    return Answer(
        to_csv([[told.by, "name", "app", *columns], *rows]),
        headers=((b"content-disposition", f'attachment; filename="{name}"'.encode()),),
        content_type=b"text/csv; charset=utf-8",
    )


def to_csv(rows: Iterable[Sequence[object]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows([_to_cell(value) for value in row] for row in rows)
    return written.getvalue().encode()


def _to_cell(value: object) -> object:
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


async def _usage(call: Call) -> UsageReport:
    wanted = call.read_query(UsageWanted)
    books = call.chat.books
    told = await books.usage(wanted.by, wanted.first, wanted.last, wanted.user)
    rows = [_row(one) for one in told.rows]
    return UsageReport(told.first, told.last, wanted.by, books.currency, rows, to_used_shown(told.total))


def _row(row: UsedBy) -> UsedByShown:
    return UsedByShown(**asdict(to_used_shown(row.used)), key=row.key, name=row.name, app=row.app)


def _price(dated: DatedPrice) -> PriceShown:
    price = dated.price
    return PriceShown(dated.model, to_time(dated.since), price.input, price.cached_input, price.output)
