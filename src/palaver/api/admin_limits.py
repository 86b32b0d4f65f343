"""For admins: what single users and applications may do in place of what the settings say for all."""

from typing import Any, ClassVar

from msgspec import Struct
from msgspec.structs import asdict

from palaver.api.call import Call
from palaver.api.fields import Body, Field, Whole, optional
from palaver.api.operation import Api, Style, worded
from palaver.chat.errors import Conflict
from palaver.chat.ledger import Budget
from palaver.chat.limit import OwnLimits
from palaver.chat.limits import Given
from palaver.chat.user import UserKind

api = Api("admin", Style.FASTAPI, {Conflict: worded(409, "ambiguous_name")})

# As much as a setting may say, of which the time of each is kept; of what is only summed up, all that a database holds.
COUNTED = Whole(0, 100_000)
SUMMED = Whole(0, 10**18 - 1)


class NewLimits(Body):
    """All of them at once: one that is absent or null is again what the settings say. 0: no limit."""

    fields: ClassVar[dict[str, Field[Any]]] = {
        name: optional(SUMMED if name in Budget.__struct_fields__ else COUNTED, name)
        for name in OwnLimits.__struct_fields__
    }

    def to_limits(self) -> OwnLimits:
        return OwnLimits(**self.values)


class LimitsShown(OwnLimits, frozen=True, kw_only=True):
    """null: what the settings say; 0: no limit. `money_a_month` is in millionths. `app` is the name of the application
    whose user it is."""

    user_id: str
    name: str
    kind: UserKind
    app: str | None


class UsualLimits(Struct):
    """0: no limit. `money_a_month` is in millionths."""

    turns_a_minute: int
    replies_at_once: int
    sockets_at_once: int
    tokens_a_day: int
    tokens_a_month: int
    money_a_month: int


class LimitsOfAll(Struct):
    """`app`: of an application, with all its users."""

    person: UsualLimits
    app: UsualLimits


@api.add(
    "GET",
    "/api/admin/usual-limits",
    who="admin",
    answer=LimitsOfAll,
    summary="Tell what the settings say for whoever has no limits of their own",
)
async def get_usual_limits(call: Call) -> LimitsOfAll:
    return LimitsOfAll(_usual(call, is_app=False), _usual(call, is_app=True))


@api.add(
    "GET",
    "/api/admin/limits",
    who="admin",
    answer=list[LimitsShown],
    summary="Tell who has limits of their own",
)
async def list_limits(call: Call) -> list[LimitsShown]:
    return [_show(given) for given in await call.site.limits.all_given()]


@api.add(
    "GET",
    "/api/admin/limits/{user}",
    who="admin",
    answer=LimitsShown,
    raises=(Conflict,),
    summary="Tell the limits of one user or application, by UUID or name",
)
async def get_limits(call: Call) -> LimitsShown:
    return _show(await call.site.limits.given(call.parameters["user"]))


@api.add(
    "PUT",
    "/api/admin/limits/{user}",
    who="admin",
    body=NewLimits,
    answer=LimitsShown,
    raises=(Conflict,),
    summary="Give one user or application limits of their own",
)
async def put_limits(call: Call) -> LimitsShown:
    limits = call.read(NewLimits).to_limits()
    return _show(await call.site.limits.give(call.parameters["user"], limits))


def _usual(call: Call, *, is_app: bool) -> UsualLimits:
    counted, summed = call.site.limits.usual(is_app=is_app), call.chat.books.usual(is_app=is_app)
    return UsualLimits(
        turns_a_minute=counted.turns_a_minute or 0,
        replies_at_once=counted.replies_at_once or 0,
        sockets_at_once=counted.sockets_at_once or 0,
        tokens_a_day=summed.tokens_a_day or 0,
        tokens_a_month=summed.tokens_a_month or 0,
        money_a_month=summed.money_a_month or 0,
    )


def _show(given: Given) -> LimitsShown:
    user, app = given.user, given.app
    return LimitsShown(
        **asdict(given.limits),
        user_id=user.uuid,
        name=user.name,
        kind=user.kind,
        app=None if app is None else app.name,
    )
