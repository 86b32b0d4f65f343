"""Doors to an account: sign in, register, sign out; each contract's own spelling over one set of accounts."""

import secrets
from urllib.parse import urlsplit

from msgspec import Struct

from palaver.api.call import Answer, Call
from palaver.api.fields import Body, Flag, NoFields, Text, defaulting, optional, required
from palaver.api.language import text
from palaver.api.operation import JSON_OR_HTML, Also, Api, Style, fixed, worded
from palaver.api.who import cleared_cookies, session_cookies
from palaver.chat.accounts import SESSION_DAYS, Closed, WrongCredentials
from palaver.chat.errors import Invalid, Taken
from palaver.chat.user import User

drf = Api("doors", Style.DRF)
fastapi = Api("doors", Style.FASTAPI)

PASSWORD = Text(at_least=8, at_most=128)
ANY_PASSWORD = Text(at_least=1, at_most=1024)
ANY_NAME = Text(at_least=1, at_most=255)


class Credentials(Body):
    username = required(ANY_NAME)
    password = required(ANY_PASSWORD)


class MailCredentials(Body):
    email = required(ANY_NAME)
    password = required(ANY_PASSWORD)


class Registration(Body):
    username = required(Text(at_least=1, at_most=50))
    password = required(PASSWORD)
    email = optional(Text(at_most=250))


class MailRegistration(Body):
    email = required(Text(at_least=3, at_most=250))
    password = required(PASSWORD)
    full_name = required(Text(at_least=1, at_most=255), "fullName")


class SignOut(Body):
    everywhere = defaulting(Flag(), default=False)


class TokenAnswer(Struct):
    token: str


class UserAnswer(Struct, rename="camel"):
    user_id: str
    email: str
    full_name: str


class SignedIn(Struct, rename="camel"):
    message: str
    access_token: str
    user: UserAnswer


class Me(Struct, rename="camel"):
    user_id: str
    email: str
    full_name: str
    user: UserAnswer


class WithUser(Struct):
    user: UserAnswer


class Said(Struct):
    message: str


@drf.add(
    "POST",
    "/api/users/token",
    who="open",
    body=Credentials,
    takes_form=True,
    signs_in=True,
    answer=TokenAnswer,
)
async def users_token(call: Call) -> TokenAnswer | Answer:
    body = call.read(Credentials)
    try:
        _, token = await call.site.accounts.sign_in(body.username, body.password, call.address())
    except WrongCredentials:
        return Answer({"non_field_errors": [text("wrong_pair", call.language)]}, status=400)
    return TokenAnswer(token)


@drf.add(
    "POST",
    "/auth/login/",
    who="open",
    body=Credentials,
    takes_form=True,
    signs_in=True,
    answer=TokenAnswer,
    refusals={WrongCredentials: worded(403, "wrong_pair")},
)
async def auth_login(call: Call) -> TokenAnswer:
    body = call.read(Credentials)
    _, token = await call.site.accounts.sign_in(body.username, body.password, call.address())
    return TokenAnswer(token)


@drf.add(
    "POST",
    "/auth/register/",
    who="open",
    body=Registration,
    answer=TokenAnswer,
    status=201,
    refusals={Closed: worded(403, "closed")},
)
async def auth_register(call: Call) -> TokenAnswer:
    call.site.accounts.check_open()
    body = call.read(Registration)
    try:
        user = await call.site.accounts.register(body.username, body.password, email=body.email or "")
    except Taken as error:
        raise Invalid("email" if error.field == "email" else "username", "taken") from error
    return TokenAnswer(await call.site.accounts.new_token(user))


@fastapi.add(
    "POST",
    "/api/auth/register",
    who="open",
    body=MailRegistration,
    answer=SignedIn,
    status=201,
    refusals={Taken: worded(409, "taken"), Closed: worded(403, "closed")},
)
async def register(call: Call) -> SignedIn:
    call.site.accounts.check_open()
    body = call.read(MailRegistration)
    user = await call.site.accounts.register(body.email, body.password, email=body.email, full_name=body.full_name)
    return SignedIn("User registered successfully", await call.site.accounts.new_token(user), _user(user))


@fastapi.add(
    "POST",
    "/api/auth/login",
    who="open",
    body=MailCredentials,
    signs_in=True,
    answer=SignedIn,
    refusals={WrongCredentials: fixed(401, "Invalid credentials")},
)
async def login(call: Call) -> SignedIn:
    body = call.read(MailCredentials)
    user, token = await call.site.accounts.sign_in(body.email, body.password, call.address())
    return SignedIn("Login successful", token, _user(user))


@fastapi.add("GET", "/api/auth/me", who="signed_in", answer=Me)
async def me(call: Call) -> Me:
    shown = _user(call.user)
    return Me(shown.user_id, shown.email, shown.full_name, shown)


@fastapi.add("POST", "/api/auth/logout", who="signed_in", body=NoFields, answer=Said)
async def logout(call: Call) -> Answer:
    return await _signed_out(call, everywhere=False)


@fastapi.add(
    "POST",
    "/sign-in",
    who="open",
    body=Credentials,
    signs_in=True,
    answer=WithUser,
    refusals={WrongCredentials: worded(401, "wrong_pair")},
)
async def sign_in(call: Call) -> Answer:
    body = call.read(Credentials)
    user, session = await call.site.accounts.sign_in(body.username, body.password, call.address(), "session")
    return Answer(WithUser(_user(user)), headers=_session_headers(call, session))


@fastapi.add(
    "GET",
    "/sign-in/{code}",
    who="open",
    status=303,
    also={410: Also("Used, too old or unknown", content_types=JSON_OR_HTML)},
)
async def sign_in_by_link(call: Call) -> Answer:
    accounts, code = call.site.accounts, call.parameters["code"]
    # Behind a path prefix only the public URL knows where the app is.
    to_the_app = (b"location", f"{urlsplit(call.site.public_url or '').path}/".encode())
    if call.scope["method"] == "HEAD":
        # Whoever only looks at a link must not use it up.
        return Answer(headers=(to_the_app,)) if await accounts.is_link(code) else _link_gone(call)
    user = await accounts.sign_in_by_link(code)
    if user is None:
        return _link_gone(call)
    session = await call.site.accounts.new_session(user)
    return Answer(headers=(to_the_app, *_session_headers(call, session)))


def _link_gone(call: Call) -> Answer:
    words = text("link_gone", call.language)
    if "text/html" not in call.header(b"accept"):
        return Answer({"detail": words}, status=410)
    page = f"<!doctype html><meta charset=utf-8><title>Palaver</title><p>{words}</p>"
    return Answer(page.encode(), status=410, content_type=b"text/html; charset=utf-8")


@fastapi.add("POST", "/sign-out", who="signed_in", body=SignOut, answer=Said)
async def sign_out(call: Call) -> Answer:
    return await _signed_out(call, everywhere=call.read(SignOut).everywhere)


async def _signed_out(call: Call, *, everywhere: bool) -> Answer:
    assert call.caller is not None
    if everywhere:
        await call.site.accounts.revoke_all(call.user)
    else:
        await call.site.accounts.sign_out(call.caller)
    return Answer(Said("Signed out"), headers=tuple(cleared_cookies(call)))


def _session_headers(call: Call, session: str) -> tuple[tuple[bytes, bytes], ...]:
    return tuple(session_cookies(call, session, secrets.token_urlsafe(24), SESSION_DAYS))


def _user(user: User) -> UserAnswer:
    # Only `email` may be empty: who has given no full name is known by the name that signs in.
    return UserAnswer(user.uuid, user.email, user.full_name or user.name)
