"""What was used and what it cost, for whoever used it. Money is told in millionths of the currency."""

import re
from datetime import date, datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from palaver.api.call import Call, to_time
from palaver.api.fields import Body, Problem, optional
from palaver.api.operation import Api, Style
from palaver.chat.ledger import Used
from palaver.chat.limit import LimitName

api = Api("money", Style.FASTAPI)


DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


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


class DaysWanted(Body):
    first = optional(Day(), "from")
    last = optional(Day(), "to")


class UsedShown(Struct):
    turns: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    total_tokens: int
    cost: int


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


class UsedOnDay(UsedShown):
    """By one model. Money and tokens of days on which there was nothing are in no row."""

    day: date
    model: str | None


class DaysOfUsage(Struct, rename={"first": "from", "last": "to"}):
    """The first and the last day are those that were asked for, by default those of this month."""

    first: date
    last: date
    currency: str
    rows: list[UsedOnDay]
    total: UsedShown


@api.add("GET", "/api/usage", answer=OwnUsage, summary="Tell what the caller has used, and what is left")
async def own_usage(call: Call) -> OwnUsage:
    own = await call.chat.books.own(call.user)
    left = [LeftShown(one.limit.name, one.limit.most, one.left, to_time(one.renewed_at)) for one in own.left]
    return OwnUsage(call.chat.books.currency, to_used_shown(own.today), to_used_shown(own.this_month), left)


@api.add(
    "GET",
    "/api/usage/days",
    query=DaysWanted,
    answer=DaysOfUsage,
    summary="Tell what the caller has used, by day and model",
)
async def own_usage_by_day(call: Call) -> DaysOfUsage:
    wanted = call.read_query(DaysWanted)
    told = await call.chat.books.own_days(call.user, wanted.first, wanted.last)
    rows = [UsedOnDay(**asdict(to_used_shown(one.used)), day=one.day, model=one.model) for one in told.rows]
    return DaysOfUsage(told.first, told.last, call.chat.books.currency, rows, to_used_shown(told.total))


def to_used_shown(used: Used) -> UsedShown:
    return UsedShown(
        used.turns, used.prompt_tokens, used.cached_tokens, used.completion_tokens, used.total_tokens, used.cost
    )
