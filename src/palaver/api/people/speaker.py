"""For whom a request about people is: the person who asks, or the user whom an application names."""

from palaver.api.call import Call
from palaver.api.fields import Body, FieldProblem, Invalid, Text, optional
from palaver.chat.user import User

PERSON = Text(at_least=1, at_most=255)


class For(Body):
    """Applications name their user; of a person it is left out."""

    user_id = optional(PERSON)


async def find_speaker(call: Call) -> User:
    """An application's user is made at first mention. Raises `Invalid`."""
    caller = call.user
    if caller.kind == "app":
        named = call.read_query(For).user_id
        if named is None:
            raise Invalid([FieldProblem("user_id", "missing", {})], "query")
        caller = await call.site.accounts.app_user(caller, named)
    call.site.presence.seen(caller)
    return caller


async def count_for(call: Call, speaker: User) -> None:
    """An application's user has the limits of any other person: the application's own were asked before. Raises
    `RateLimited`."""
    if call.user.kind == "app":
        granted = await call.site.limits.allow_for(speaker)
        if call.granted is not None:
            call.granted.shown += granted.shown
