"""How the LLM server does, and what the caller has here in all."""

import logging
from datetime import datetime

from msgspec import Struct

from palaver.api.ai_chat.contract import PREFIX, new_api
from palaver.api.call import Answer, Call, to_time
from palaver.api.language import text
from palaver.api.operation import Also
from palaver.chat.servers import model_health

api = new_api()

log = logging.getLogger("palaver.api")

RECENT = 5


class LlmHealth(Struct):
    llm_server_healthy: bool
    llm_server_url: str | None
    timestamp: datetime | None


class LlmHealthUnknown(LlmHealth):
    error: str


class ModelHealth(Struct):
    """`healthy`: whether one of the servers that offer it answers just now; null where nobody has asked them yet."""

    name: str
    healthy: bool | None


class Favorite(Struct):
    model_name: str
    count: int


class CallerStats(Struct):
    total_sessions: int
    total_messages: int
    recent_sessions: int
    favorite_model: Favorite | None


@api.add(
    "GET",
    f"{PREFIX}/health/llm_server/",
    who="anyone",
    until_draining=True,
    answer=LlmHealth,
    also={500: Also("A fault of the server's own", LlmHealthUnknown)},
)
async def llm_server_health(call: Call) -> LlmHealth | Answer:
    # Where the LLM server is tells something of the network behind.
    is_person = call.caller is not None and call.user.kind == "person"
    url = call.chat.bots.server_url if is_person else None
    try:
        return LlmHealth(await call.chat.bots.is_healthy(), url, await _newest_message(call))
    except Exception:
        # The request's outer edge, as for every request: here alone the answer has more to it than the error.
        log.exception("request %s: the health of the LLM server cannot be told", call.request_id)
        return Answer(LlmHealthUnknown(False, url, None, text("internal", call.language)), status=500)


# It is ours, in ai_chat's style: what a picker of models shows beside each.
@api.add("GET", f"{PREFIX}/health/models/", answer=list[ModelHealth])
async def models_health(call: Call) -> list[ModelHealth]:
    healthy = model_health(call.site.servers.list())
    names = [model.name for model in await call.site.models.available()]
    return [ModelHealth(name, healthy.get(name)) for name in names]


@api.add("GET", f"{PREFIX}/health/stats/", answer=CallerStats)
async def stats(call: Call) -> CallerStats:
    totals = await call.chat.store.conversations.totals(call.reader, call.chat.rules.default_model)
    favorite = None if totals.favorite is None else Favorite(*totals.favorite)
    return CallerStats(totals.conversations, totals.messages, min(totals.conversations, RECENT), favorite)


async def _newest_message(call: Call) -> datetime | None:
    if call.caller is None:
        return None
    totals = await call.chat.store.conversations.totals(call.reader, call.chat.rules.default_model)
    return None if totals.last_message_at is None else to_time(totals.last_message_at)
