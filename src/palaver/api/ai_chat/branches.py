"""What stands beside a message, and which of it is in view: for clients that leaf through answers and wordings."""

from msgspec import Struct

from palaver.api.ai_chat.contract import PREFIX, new_api
from palaver.api.ai_chat.sessions import whole_session
from palaver.api.ai_chat.shapes import MessageShown, WholeSession, show_message
from palaver.api.call import Call
from palaver.chat.errors import Busy
from palaver.chat.flow import show_branch

api = new_api()


class Siblings(Struct):
    """All wordings of a message, or all replies to one, by number. `in_view` is the one that is shown; null while none
    of them is."""

    siblings: list[MessageShown]
    in_view: str | None


@api.add("GET", f"{PREFIX}/sessions/{{id}}/messages/{{message_id}}/siblings/", answer=Siblings)
async def list_siblings(call: Call) -> Siblings:
    found = await call.chat.store.branches.siblings(call.reader, call.parameters["id"], call.parameters["message_id"])
    shown = next((message.uuid for message in found if message.in_view), None)
    return Siblings([show_message(message) for message in found], shown)


@api.add("POST", f"{PREFIX}/sessions/{{id}}/messages/{{message_id}}/show/", answer=WholeSession, raises=(Busy,))
async def show_message_branch(call: Call) -> WholeSession:
    """Everybody who has the conversation open sees it, too."""
    await show_branch(call.chat, call.reader, call.parameters["id"], call.parameters["message_id"])
    return await whole_session(call, await call.chat.store.conversations.access(call.reader, call.parameters["id"]))
