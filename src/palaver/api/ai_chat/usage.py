"""What a session has used and cost. It is ours, in ai_chat's style."""

from msgspec import Struct

from palaver.api.ai_chat.contract import PREFIX, new_api
from palaver.api.call import Call

api = new_api()


class UsedInSession(Struct):
    """All of it, replies included that stand in no branch that is shown. `cost` is in millionths."""

    currency: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    total_tokens: int
    cost: int


@api.add(
    "GET",
    f"{PREFIX}/sessions/{{id}}/usage/",
    answer=UsedInSession,
    summary="Tell what the replies of a session have used and cost",
)
async def get_session_usage(call: Call) -> UsedInSession:
    used = await call.chat.store.ledger.used_in(call.reader, call.parameters["id"])
    return UsedInSession(
        call.chat.books.currency, used.prompt_tokens, used.cached_tokens, used.completion_tokens, used.total_tokens,
        used.cost,
    )  # fmt: skip
