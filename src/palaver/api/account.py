"""A person's own account: what it is called, its password, and the tokens that sign in to it."""

from datetime import datetime

from msgspec import Struct
from msgspec.structs import asdict

from palaver.api.call import Answer, Call, to_time
from palaver.api.doors import ANY_PASSWORD, PASSWORD, Said
from palaver.api.fields import Body, Choice, Number, Text, changing, clearing, optional, required
from palaver.api.language import LANGUAGES, Language
from palaver.api.operation import Api, Style, worded
from palaver.chat.accounts import SessionNeeded
from palaver.chat.errors import RateLimited, Taken, TooManyTokens
from palaver.chat.user import Profile, ProfileChange, Token, TokenId

api = Api("account", Style.FASTAPI)

LANGUAGE: Choice[Language] = Choice(*LANGUAGES)


class AccountChange(Body):
    full_name = changing(Text(at_most=255, trimmed=True))
    email = changing(Text(at_most=250, trimmed=True))
    language = clearing(LANGUAGE)


class PasswordChange(Body):
    old_password = optional(ANY_PASSWORD)
    new_password = required(PASSWORD)


class NewToken(Body):
    """Without `days` it lives until it is revoked. None outlives the token by which it is asked for."""

    name = required(Text(at_least=1, at_most=100, trimmed=True))
    days = optional(Number(0.001, 3650))


class AccountShown(Struct):
    """`language` is null where it is the client's to say."""

    user_id: str
    username: str
    email: str
    full_name: str
    language: str | None
    is_admin: bool
    has_password: bool
    created_at: datetime


class TokenShown(Struct):
    """`name` is empty for one that signing in has made. `current` is the one that asks."""

    id: int
    name: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    current: bool


class TokenMade(TokenShown):
    """`token` is shown this once."""

    token: str


@api.add("GET", "/api/account", who="signed_in", answer=AccountShown, summary="Tell one's own account")
async def get_account(call: Call) -> AccountShown:
    return _account(await call.site.accounts.profile(call.user))


@api.add(
    "PATCH",
    "/api/account",
    who="signed_in",
    body=AccountChange,
    answer=AccountShown,
    refusals={Taken: worded(409, "email_taken")},
    summary="Change one's own name, e-mail or language",
)
async def change_account(call: Call) -> AccountShown:
    body = call.read(AccountChange)
    change = ProfileChange(body.full_name, body.email, body.language)
    return _account(await call.site.accounts.change_profile(call.user, change))


@api.add(
    "POST",
    "/api/account/password",
    who="signed_in",
    body=PasswordChange,
    answer=Said,
    refusals={SessionNeeded: worded(403, "session_needed")},
    raises=(RateLimited,),
    summary="Change one's own password, and end all other sessions",
)
async def change_password(call: Call) -> Said:
    assert call.caller is not None
    body = call.read(PasswordChange)
    await call.site.accounts.change_password(call.caller, body.old_password, body.new_password, call.address())
    return Said("Password changed")


@api.add("GET", "/api/account/tokens", who="signed_in", answer=list[TokenShown], summary="List one's own tokens")
async def list_tokens(call: Call) -> list[TokenShown]:
    return [_token(call, one) for one in await call.site.accounts.open_tokens(call.user)]


@api.add(
    "POST",
    "/api/account/tokens",
    who="signed_in",
    body=NewToken,
    answer=TokenMade,
    status=201,
    refusals={TooManyTokens: worded(409, "too_many_tokens")},
    summary="Make a token, which is shown this once",
)
async def add_token(call: Call) -> TokenMade:
    body = call.read(NewToken)
    assert call.caller is not None
    made, secret = await call.site.accounts.new_own_token(call.caller, body.name, body.days or 0)
    return TokenMade(**asdict(_token(call, made)), token=secret)


@api.add(
    "DELETE",
    "/api/account/tokens/{id}",
    who="signed_in",
    status=204,
    summary="Revoke a token, and end what it has open",
)
async def revoke_token(call: Call) -> Answer:
    await call.site.accounts.revoke_own_token(call.user, TokenId(call.number("id")))
    return Answer()


def _account(profile: Profile) -> AccountShown:
    user = profile.user
    return AccountShown(
        user_id=user.uuid,
        username=user.name,
        email=user.email,
        full_name=user.full_name,
        language=profile.language,
        is_admin=user.is_admin,
        has_password=profile.has_password,
        created_at=to_time(user.created_at),
    )


def _token(call: Call, token: Token) -> TokenShown:
    return TokenShown(
        id=token.id,
        name=token.label,
        created_at=to_time(token.created_at),
        last_used_at=None if token.last_used_at is None else to_time(token.last_used_at),
        expires_at=None if token.expires_at is None else to_time(token.expires_at),
        current=call.caller is not None and token.id == call.caller.token_id,
    )
