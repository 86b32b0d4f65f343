"""What was used and what it cost, for whoever used it. Money is told in millionths of the currency."""

from datetime import datetime

from msgspec import Struct

from palaver.api.call import Call, to_time
from palaver.api.operation import Api, Style
from palaver.chat.ledger import Used
from palaver.chat.limit import LimitName

api = Api("money", Style.FASTAPI)


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


@api.add("GET", "/api/usage", answer=OwnUsage, summary="Tell what the caller has used, and what is left")
async def own_usage(call: Call) -> OwnUsage:
    own = await call.chat.books.own(call.user)
    left = [LeftShown(one.limit.name, one.limit.most, one.left, to_time(one.renewed_at)) for one in own.left]
    return OwnUsage(call.chat.books.currency, to_used_shown(own.today), to_used_shown(own.this_month), left)


def to_used_shown(used: Used) -> UsedShown:
    return UsedShown(
        used.turns, used.prompt_tokens, used.cached_tokens, used.completion_tokens, used.total_tokens, used.cost
    )
