"""What stands beside a message, and which of it is in view: for clients that leaf through answers and wordings."""

from typing import Literal

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


class BranchingShown(Struct):
    """`siblings`, oldest first, all follow `parent_id` (null: nothing). `message_id` is the one that is shown;
    null while none of them is."""

    message_id: str | None
    parent_id: str | None
    siblings: list[str]


class OpenReplyShown(Struct):
    """`prompt_id` is what it answers."""

    message_id: str
    prompt_id: str
    status: Literal["running", "queued"]


class SilentReplyShown(Struct):
    """It has ended without a word, and is in no list of messages. `prompt_id` is what it was to answer."""

    message_id: str
    prompt_id: str
    status: Literal["stopped", "failed"]


class Branches(Struct):
    branches: list[BranchingShown]
    open_replies: list[OpenReplyShown]
    silent_replies: list[SilentReplyShown]


@api.add(
    "GET",
    f"{PREFIX}/sessions/{{id}}/branches/",
    answer=Branches,
    summary="Tell where there is more than one branch, which replies are to come, and which ended without a word",
)
async def list_branches(call: Call) -> Branches:
    overview = await call.chat.store.branches.overview(call.reader, call.parameters["id"])
    return Branches(
        [BranchingShown(one.in_view, one.parent, list(one.messages)) for one in overview.branchings],
        [
            OpenReplyShown(one.reply, one.prompt, "running" if one.running else "queued")
            for one in overview.open_replies
        ],
        [SilentReplyShown(one.reply, one.prompt, "stopped" if one.stopped else "failed") for one in overview.silent],
    )


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
