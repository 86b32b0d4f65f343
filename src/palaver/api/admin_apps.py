"""For admins: the applications, and their tokens. A token is told once, when it is made."""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import asdict

from palaver.api.call import Answer, Call, to_time
from palaver.api.fields import Body, Flag, Text, Whole, changing, defaulting, required
from palaver.api.operation import Api, Style, worded
from palaver.chat.errors import Disabled, Invalid, NotFound, Taken
from palaver.chat.user import Token, TokenId, User

api = Api("admin", Style.FASTAPI, {Taken: worded(409, "taken"), Disabled: worded(409, "user_disabled")})

# A century.
MOST_DAYS = 36_525


class NewApp(Body):
    name = required(Text(at_least=1, at_most=50, trimmed=True))


class AppChanges(Body):
    disabled = changing(Flag())


class NewAppToken(Body):
    """0 days: until it is revoked."""

    label = defaulting(Text(at_most=100, trimmed=True), "")
    days = defaulting(Whole(0, MOST_DAYS), 0)


class AppShown(Struct):
    app_id: str
    name: str
    disabled: bool
    created_at: datetime


class AppTokenShown(Struct):
    """`expires_at`: null where it works until it is revoked. `last_used_at`: to the minute."""

    id: int
    label: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class AppTokenAdded(AppTokenShown):
    """`token`: this once, and never again."""

    token: str


@api.add("GET", "/api/admin/apps", who="admin", answer=list[AppShown], summary="List the applications")
async def list_apps(call: Call) -> list[AppShown]:
    return [_app(app) for app in await call.site.applications.list()]


@api.add(
    "POST",
    "/api/admin/apps",
    who="admin",
    body=NewApp,
    answer=AppShown,
    status=201,
    raises=(Taken,),
    summary="Add an application",
)
async def add_app(call: Call) -> AppShown:
    try:
        return _app(await call.site.applications.add(call.read(NewApp).name))
    except Invalid as error:
        raise Invalid("name", error.reason) from error


@api.add("GET", "/api/admin/apps/{app}", who="admin", answer=AppShown, summary="Tell of one application")
async def get_app(call: Call) -> AppShown:
    return _app(await call.site.applications.get(call.parameters["app"]))


@api.add(
    "PATCH",
    "/api/admin/apps/{app}",
    who="admin",
    body=AppChanges,
    answer=AppShown,
    raises=(NotFound,),
    summary="Disable or enable an application with its users",
)
async def change_app(call: Call) -> AppShown:
    named, disabled = call.parameters["app"], call.read(AppChanges).disabled
    applications = call.site.applications
    if not isinstance(disabled, bool):
        return _app(await applications.get(named))
    return _app(await applications.set_disabled(named, disabled=disabled))


@api.add(
    "DELETE",
    "/api/admin/apps/{app}",
    who="admin",
    status=204,
    raises=(NotFound,),
    summary="Erase an application, with its users and all that is theirs",
)
async def erase_app(call: Call) -> Answer:
    await call.site.applications.erase(call.parameters["app"])
    return Answer()


@api.add(
    "GET",
    "/api/admin/apps/{app}/tokens",
    who="admin",
    answer=list[AppTokenShown],
    raises=(NotFound,),
    summary="List the tokens of an application that work",
)
async def list_app_tokens(call: Call) -> list[AppTokenShown]:
    return [_token(token) for token in await call.site.applications.tokens(call.parameters["app"])]


@api.add(
    "POST",
    "/api/admin/apps/{app}/tokens",
    who="admin",
    body=NewAppToken,
    answer=AppTokenAdded,
    status=201,
    raises=(NotFound, Disabled),
    summary="Make a token, and tell it this once",
)
async def add_app_token(call: Call) -> AppTokenAdded:
    body = call.read(NewAppToken)
    secret, token = await call.site.applications.new_token(call.parameters["app"], label=body.label, days=body.days)
    return AppTokenAdded(**asdict(_token(token)), token=secret)


@api.add(
    "DELETE",
    "/api/admin/apps/{app}/tokens/{id}",
    who="admin",
    status=204,
    raises=(NotFound,),
    summary="Revoke a token of an application",
)
async def revoke_app_token(call: Call) -> Answer:
    await call.site.applications.revoke(call.parameters["app"], TokenId(call.number("id")))
    return Answer()


def _app(app: User) -> AppShown:
    return AppShown(app.uuid, app.name, app.disabled, to_time(app.created_at))


def _token(token: Token) -> AppTokenShown:
    times = [None if time is None else to_time(time) for time in (token.expires_at, token.last_used_at)]
    return AppTokenShown(token.id, token.label, to_time(token.created_at), *times)
