"""For admins: the people who have an account here, and the doors to it."""

from datetime import datetime

from msgspec import Struct

from palaver.api.call import Answer, Call, to_time
from palaver.api.fields import Body, Flag, NoFields, Text, Whole, changing, defaulting, optional, required
from palaver.api.language import Language, text
from palaver.api.operation import Api, Refusal, Style, worded
from palaver.chat.errors import ChatError, Disabled, Invalid, LastAdmin, NotFound, Taken
from palaver.chat.people import SignInLink
from palaver.chat.ports import PeopleWanted
from palaver.chat.user import User, UserChange


def _taken(error: ChatError, language: Language) -> str:
    return text("email_taken" if isinstance(error, Taken) and error.field == "email" else "taken", language)


api = Api(
    "admin",
    Style.FASTAPI,
    {
        Taken: Refusal(409, _taken),
        LastAdmin: worded(409, "last_admin"),
        Disabled: worded(409, "user_disabled"),
    },
)

NAME = Text(at_least=1, at_most=250, trimmed=True)
FULL_NAME = Text(at_most=255, trimmed=True)


class PeopleQuery(Body):
    search = defaulting(Text(at_most=250, trimmed=True), "")
    after = defaulting(Text(at_most=250), "")
    limit = defaulting(Whole(1, 200), 50)


class NewPerson(Body):
    name = required(NAME)
    email = optional(Text(at_most=250, trimmed=True))
    full_name = defaulting(FULL_NAME, "")
    is_admin = defaulting(Flag(), default=False)


class PersonChanges(Body):
    full_name = changing(FULL_NAME)
    is_admin = changing(Flag())
    disabled = changing(Flag())


class PersonShown(Struct):
    user_id: str
    name: str
    email: str
    full_name: str
    is_admin: bool
    disabled: bool
    created_at: datetime


class PeoplePage(Struct):
    """`total`: how many there are in all."""

    users: list[PersonShown]
    total: int


class LinkShown(Struct):
    """It signs in once, until then."""

    url: str
    expires_at: datetime


class PersonAdded(Struct):
    user: PersonShown
    sign_in_link: LinkShown


@api.add(
    "GET",
    "/api/admin/users",
    who="admin",
    query=PeopleQuery,
    answer=PeoplePage,
    summary="List the people with an account, by name",
)
async def list_people(call: Call) -> PeoplePage:
    wanted = call.read_query(PeopleQuery)
    found = await call.site.people.find(PeopleWanted(wanted.search, wanted.after, wanted.limit))
    return PeoplePage([_person(user) for user in found.users], found.total)


@api.add(
    "POST",
    "/api/admin/users",
    who="admin",
    body=NewPerson,
    answer=PersonAdded,
    status=201,
    raises=(Taken,),
    summary="Add somebody, and tell a link that signs them in once",
)
async def add_person(call: Call) -> PersonAdded:
    body = call.read(NewPerson)
    try:
        user, link = await call.site.people.add(
            body.name, email=body.email or None, full_name=body.full_name, is_admin=body.is_admin
        )
    except Invalid as error:
        raise Invalid("name" if error.field == "username" else error.field, error.reason) from error
    return PersonAdded(_person(user), _link(call, link))


@api.add("GET", "/api/admin/users/{user}", who="admin", answer=PersonShown, summary="Tell of one person")
async def get_person(call: Call) -> PersonShown:
    return _person(await call.site.people.get(call.parameters["user"]))


@api.add(
    "PATCH",
    "/api/admin/users/{user}",
    who="admin",
    body=PersonChanges,
    answer=PersonShown,
    raises=(NotFound, LastAdmin),
    summary="Disable or enable somebody, or make them an admin or none",
)
async def change_person(call: Call) -> PersonShown:
    body = call.read(PersonChanges)
    change = UserChange(body.full_name, body.is_admin, body.disabled)
    return _person(await call.site.people.change(call.parameters["user"], change))


@api.add(
    "DELETE",
    "/api/admin/users/{user}",
    who="admin",
    status=204,
    raises=(NotFound, LastAdmin),
    summary="Erase somebody, with all that is theirs",
)
async def erase_person(call: Call) -> Answer:
    await call.site.people.erase(call.parameters["user"])
    return Answer()


@api.add(
    "POST",
    "/api/admin/users/{user}/sign-in-link",
    who="admin",
    body=NoFields,
    answer=LinkShown,
    status=201,
    raises=(NotFound, Disabled),
    summary="Make a link that signs somebody in once",
)
async def make_link(call: Call) -> LinkShown:
    return _link(call, await call.site.people.new_link(call.parameters["user"]))


@api.add(
    "POST",
    "/api/admin/users/{user}/sign-out",
    who="admin",
    body=NoFields,
    status=204,
    raises=(NotFound,),
    summary="End all sessions and tokens of somebody",
)
async def sign_person_out(call: Call) -> Answer:
    await call.site.people.sign_out(call.parameters["user"])
    return Answer()


def _person(user: User) -> PersonShown:
    return PersonShown(
        user.uuid, user.name, user.email, user.full_name, user.is_admin, user.disabled, to_time(user.created_at)
    )


def _link(call: Call, link: SignInLink) -> LinkShown:
    return LinkShown(f"{call.base_url()}/sign-in/{link.code}", to_time(link.expires_at))
