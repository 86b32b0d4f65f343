"""For whom a request about people is: the person who asks, or the user whom an application names."""

from palaver.api.call import Call
from palaver.api.fields import Body, FieldProblem, Invalid, Text, optional
from palaver.chat import connections
from palaver.chat.errors import NotFound
from palaver.chat.user import User

PERSON = Text(at_least=1, at_most=255)


class For(Body):
    """Applications name their user; of a person it is left out."""

    user_id = optional(PERSON)


async def find_speaker(call: Call, *, made: bool = False, mentioned: bool = False) -> User:
    """`made`: an application's user is made at first mention; `mentioned`: with what it is brought into.

    Raises `Invalid`, and `NotFound` for one that is not."""
    caller = call.user
    if caller.kind == "app":
        named = call.read_query(For).user_id
        if named is None:
            raise Invalid([FieldProblem("user_id", "missing", {})], "query")
        if mentioned:
            caller = await connections.mention(call.chat, caller, named)
        else:
            caller = await find_app_user(call, named, made=made)
    call.site.presence.seen(caller)
    return caller


async def find_app_user(call: Call, named: str, *, made: bool = False) -> User:
    """One of the calling application's own. Raises `NotFound` for one that it has not mentioned yet, unless it is to be
    made, and for one that was disabled."""
    if made:
        return await call.site.accounts.app_user(call.user, named)
    found = await call.chat.store.connections.find_app_user(call.user.id, named)
    if found is None or found.disabled:
        raise NotFound
    return found


async def count_for(call: Call, speaker: User) -> None:
    """What this one says in the conversation of the path counts for it and, where an application speaks, for its user.
    Raises `RateLimited`, and `NotFound` for who is not in it."""
    by_app = call.user.kind == "app"
    granted = await call.site.limits.allow_among_people(speaker, call.parameters["id"], by_app=by_app)
    if call.granted is not None:
        call.granted.show(granted.limits, granted.standings)
