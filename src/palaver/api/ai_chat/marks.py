"""What stands where in a person's own list: pinned, put away, or as usual. It is ours, in ai_chat's style.

The contract's own list of sessions knows none of it and shows all of them.
"""

from msgspec import Struct
from msgspec.structs import asdict

from palaver.api.ai_chat.contract import PREFIX, new_api
from palaver.api.ai_chat.shapes import SessionShown, show_session
from palaver.api.call import Call
from palaver.api.fields import Body, Flag, QueryFlag, Whole, changing, defaulting
from palaver.chat.conversation import Conversation, Marks
from palaver.chat.conversations import mark_conversation

api = new_api()


class MarksChange(Body):
    pinned = changing(Flag())
    archived = changing(Flag())


class MyPage(Body):
    archived = defaulting(QueryFlag(), default=False)
    limit = defaulting(Whole(1, 200), 50)
    offset = defaulting(Whole(0), 0)


class MarksShown(Struct):
    pinned: bool
    archived: bool


class MarkedSession(SessionShown):
    pinned: bool
    archived: bool


class MySessions(Struct):
    """`total` counts those of this list."""

    sessions: list[MarkedSession]
    total: int


@api.add(
    "GET",
    f"{PREFIX}/my_sessions/",
    query=MyPage,
    answer=MySessions,
    summary="List one's sessions, pinned ones first and archived ones apart",
)
async def list_my_sessions(call: Call) -> MySessions:
    page = call.read_query(MyPage)
    return await show_my_sessions(call, archived=page.archived, limit=page.limit, offset=page.offset)


@api.add("GET", f"{PREFIX}/sessions/{{id}}/marks/", answer=MarksShown, summary="Tell whether it is pinned or archived")
async def get_marks(call: Call) -> MarksShown:
    return _marks(await call.chat.store.conversations.access(call.reader, call.parameters["id"]))


@api.add(
    "PATCH",
    f"{PREFIX}/sessions/{{id}}/marks/",
    body=MarksChange,
    answer=MarksShown,
    summary="Pin or archive a session, or take that back",
)
async def change_marks(call: Call) -> MarksShown:
    found = await call.chat.store.conversations.access(call.reader, call.parameters["id"])
    body = call.read(MarksChange)
    return _marks(await mark_conversation(call.chat, call.reader, found.uuid, Marks(body.pinned, body.archived)))


async def show_my_sessions(call: Call, *, archived: bool, limit: int, offset: int) -> MySessions:
    listed, total = await call.chat.store.conversations.in_list(
        call.reader, archived=archived, limit=limit, offset=offset
    )
    return MySessions([show_marked(call, one) for one in listed], total)


def show_marked(call: Call, conversation: Conversation) -> MarkedSession:
    session = show_session(conversation, call.user, call.chat.rules.default_model)
    return MarkedSession(**asdict(session), **asdict(_marks(conversation)))


def _marks(conversation: Conversation) -> MarksShown:
    return MarksShown(conversation.pinned_at is not None, conversation.archived_at is not None)
