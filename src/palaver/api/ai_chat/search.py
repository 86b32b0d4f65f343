"""Looking for words in one's own conversations. It is ours, in ai_chat's style."""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from palaver.api.ai_chat.contract import PREFIX, new_api
from palaver.api.ai_chat.marks import MarkedSession, show_marked
from palaver.api.call import Call, to_time
from palaver.api.fields import Body, Whole, defaulting, required
from palaver.chat.ports import FoundMessage

api = new_api()


class Sought(Struct, frozen=True):
    """Whatever somebody types: what cannot be found is not found, and no mistake."""

    def read(self, value: object) -> str:
        return str(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


class SearchWanted(Body):
    q = required(Sought())
    limit = defaulting(Whole(1, 100), 20)
    offset = defaulting(Whole(0), 0)


class MessageFound(Struct):
    """`in_view` is false where it stands in a branch that is not shown just now."""

    session_id: str
    session_title: str
    archived: bool
    message_id: str
    role: Literal["user", "assistant"]
    snippet: str
    created_at: datetime
    in_view: bool


class Found(Struct):
    """`sessions` are those with such a title, on the first page alone. `complete` is false where some of what is there
    was not read yet; it is a moment later."""

    sessions: list[MarkedSession]
    messages: list[MessageFound]
    has_more: bool
    complete: bool


@api.add(
    "GET",
    f"{PREFIX}/search/",
    query=SearchWanted,
    answer=Found,
    summary="Find words in the titles and messages of one's own sessions",
)
async def search(call: Call) -> Found:
    wanted = call.read_query(SearchWanted)
    found = await call.chat.store.search.find(call.reader, wanted.q, limit=wanted.limit, offset=wanted.offset)
    sessions = [show_marked(call, one) for one in found.titled]
    return Found(sessions, [_show(message) for message in found.messages], found.has_more, found.is_whole)


def _show(found: FoundMessage) -> MessageFound:
    return MessageFound(
        session_id=found.conversation,
        session_title=found.title,
        archived=found.archived,
        message_id=found.uuid,
        role="user" if found.role == "user" else "assistant",
        snippet=found.snippet,
        created_at=to_time(found.created_at),
        in_view=found.in_view,
    )
