"""What one person or application may do in place of what the settings say for all: read and settled by admins."""

from uuid import UUID

from msgspec import Struct

from palaver.api.call import Call
from palaver.api.fields import Body, Whole, optional
from palaver.api.operation import Api, Style
from palaver.chat.errors import NotFound
from palaver.chat.limit import OwnLimits
from palaver.chat.user import User, UserKind

api = Api("limits", Style.FASTAPI)

# As much as a setting may say, of which the time of each is kept; of what is only summed up, all that a database holds.
COUNTED = Whole(0, 100_000)
SUMMED = Whole(0, 10**18 - 1)


class NewLimits(Body):
    """All of them at once: one that is absent or null is again what the settings say. 0: no limit."""

    turns_a_minute = optional(COUNTED)
    replies_at_once = optional(COUNTED)
    sockets_at_once = optional(COUNTED)
    tokens_a_day = optional(SUMMED)
    tokens_a_month = optional(SUMMED)
    money_a_month = optional(SUMMED)


class LimitsShown(Struct):
    """null: what the settings say. `money_a_month` is in millionths."""

    user_id: str
    name: str
    kind: UserKind
    turns_a_minute: int | None
    replies_at_once: int | None
    sockets_at_once: int | None
    tokens_a_day: int | None
    tokens_a_month: int | None
    money_a_month: int | None


@api.add("GET", "/api/admin/limits/{user}", who="admin", answer=LimitsShown)
async def get_limits(call: Call) -> LimitsShown:
    user = await _find(call)
    return _show(user, await call.chat.store.limits.get(user.id))


@api.add("PUT", "/api/admin/limits/{user}", who="admin", body=NewLimits, answer=LimitsShown)
async def put_limits(call: Call) -> LimitsShown:
    body = call.read(NewLimits)
    user = await _find(call)
    limits = OwnLimits(
        body.turns_a_minute,
        body.replies_at_once,
        body.sockets_at_once,
        body.tokens_a_day,
        body.tokens_a_month,
        body.money_a_month,
    )
    await call.chat.store.limits.put(user.id, limits)
    call.site.limits.changed()
    return _show(user, limits)


async def _find(call: Call) -> User:
    """By the UUID; else the person of that name or e-mail, or the application of that name. Raises `NotFound`."""
    accounts, named = call.chat.store.accounts, call.parameters["user"]
    try:
        user = await accounts.get_user_by_uuid(str(UUID(named)))
    except ValueError:
        person = await accounts.find_user(named)
        user = await accounts.find_app(named) if person is None else person[0]
    if user is None:
        raise NotFound
    return user


def _show(user: User, limits: OwnLimits) -> LimitsShown:
    return LimitsShown(
        user.uuid,
        user.name,
        user.kind,
        limits.turns_a_minute,
        limits.replies_at_once,
        limits.sockets_at_once,
        limits.tokens_a_day,
        limits.tokens_a_month,
        limits.money_a_month,
    )
