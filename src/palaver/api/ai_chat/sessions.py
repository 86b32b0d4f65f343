"""ai_chat's sessions: made, listed, read, changed, put away."""

from msgspec import UNSET, Struct

from palaver.api.ai_chat import frames
from palaver.api.ai_chat.contract import PREFIX, new_api
from palaver.api.ai_chat.shapes import (
    MessageShown,
    SessionShown,
    WholeSession,
    show_message,
    show_session,
    show_whole_session,
)
from palaver.api.call import Answer, Call
from palaver.api.fields import Body, Flag, Text, Whole, changing, clearing, defaulting, optional
from palaver.api.speaking import MAX_TOKENS, TEMPERATURE, TOKEN_BUDGET, WINDOW
from palaver.chat import ranges
from palaver.chat.citing import cite
from palaver.chat.conversation import Conversation, ConversationChange
from palaver.chat.conversations import change_conversation, deactivate_conversation
from palaver.chat.flow import delete_conversation, owner
from palaver.chat.snapshot import Snapshot
from palaver.chat.starting import start_with_settings

api = new_api()

TITLE = Text(at_least=1, at_most=255, trimmed=True)
MODEL = Text(at_least=1, at_most=ranges.MODEL_LENGTH)
PROMPT = Text(at_most=ranges.PROMPT_LENGTH)


class NewSession(Body):
    title = optional(TITLE)
    model_name = optional(MODEL)
    temperature = optional(TEMPERATURE)
    max_tokens = optional(MAX_TOKENS)
    enable_tools = optional(Flag())
    system_prompt = optional(PROMPT)


class SettingsChange(Body):
    title = changing(TITLE)
    model_name = changing(MODEL)
    temperature = changing(TEMPERATURE)
    max_tokens = clearing(MAX_TOKENS)
    enable_tools = changing(Flag())
    system_prompt = changing(PROMPT)
    window = clearing(WINDOW)
    token_budget = clearing(TOKEN_BUDGET)


class SessionChange(SettingsChange):
    is_active = changing(Flag())


class Page(Body):
    limit = optional(Whole(1))
    offset = defaulting(Whole(0), 0)


class Deactivated(Struct):
    message: str


class MessagePage(Struct):
    session_id: str
    messages: list[MessageShown]
    total_count: int


@api.add("GET", f"{PREFIX}/sessions/", query=Page, answer=list[SessionShown])
async def list_sessions(call: Call) -> list[SessionShown]:
    page = call.read_query(Page)
    conversations = await call.chat.store.conversations.list(call.reader, limit=page.limit, offset=page.offset)
    return [show_session(conversation, call.user, _default_model(call)) for conversation in conversations]


@api.add("POST", f"{PREFIX}/sessions/", body=NewSession, answer=WholeSession, status=201)
async def create_session(call: Call) -> WholeSession:
    body = call.read(NewSession)
    conversation = await start_with_settings(
        call.chat,
        await call.stored_user(),
        title=body.title,
        model=body.model_name,
        temperature=body.temperature,
        max_tokens=body.max_tokens,
        enable_tools=body.enable_tools,
        system_prompt=_or_nothing(body.system_prompt or ""),
    )
    return await whole_session(call, conversation)


@api.add("GET", f"{PREFIX}/sessions/{{id}}/", answer=WholeSession)
async def get_session(call: Call) -> WholeSession:
    return await whole_session(call, await _access(call))


@api.add("PATCH", f"{PREFIX}/sessions/{{id}}/", body=SessionChange, answer=WholeSession)
async def change_session(call: Call) -> WholeSession:
    return await _change_all(call)


@api.add("PUT", f"{PREFIX}/sessions/{{id}}/", body=SessionChange, answer=WholeSession)
async def put_session(call: Call) -> WholeSession:
    return await _change_all(call)


@api.add("PATCH", f"{PREFIX}/sessions/{{id}}/update_settings/", body=SettingsChange, answer=WholeSession)
async def update_settings(call: Call) -> WholeSession:
    conversation = await _access(call)
    return await whole_session(call, await _change(call, conversation, call.read(SettingsChange)))


@api.add("DELETE", f"{PREFIX}/sessions/{{id}}/", status=204)
async def delete_session(call: Call) -> Answer:
    await delete_conversation(call.chat, call.reader, call.parameters["id"])
    return Answer()


@api.add("DELETE", f"{PREFIX}/sessions/{{id}}/deactivate/", answer=Deactivated)
async def deactivate_session(call: Call) -> Deactivated:
    await deactivate_conversation(call.chat, call.reader, call.parameters["id"])
    return Deactivated("Session deactivated")


@api.add("GET", f"{PREFIX}/sessions/{{id}}/messages/", query=Page, answer=MessagePage)
async def list_session_messages(call: Call) -> MessagePage:
    conversation = await _access(call)
    page = call.read_query(Page)
    messages = await call.chat.store.conversations.messages(conversation, limit=page.limit, offset=page.offset)
    messages = await cite(call.chat.store.passages, call.reader, messages)
    return MessagePage(conversation.uuid, [show_message(message) for message in messages], conversation.message_count)


async def whole_session(call: Call, conversation: Conversation, *, is_active: bool = True) -> WholeSession:
    """It with all its messages, as it is read now."""
    messages = await call.chat.store.conversations.messages(conversation, limit=None, offset=0)
    messages = await cite(call.chat.store.passages, call.reader, messages)
    whose = await owner(call.chat, call.user, conversation)
    session = show_session(conversation, whose, _default_model(call), is_active=is_active)
    # More may have been said since the conversation was read: whoever counts the list finds the number right.
    session.message_count = len(messages)
    return show_whole_session(session, conversation, messages)


async def show_sessions(call: Call, limit: int) -> tuple[list[SessionShown], int]:
    """The newest of the caller's sessions, and how many there are."""
    conversations = call.chat.store.conversations
    newest = await conversations.list(call.reader, limit=limit, offset=0)
    total = len(newest) if len(newest) < limit else await conversations.count(call.reader)
    return [show_session(one, call.user, _default_model(call)) for one in newest], total


async def show_snapshot(call: Call, snapshot: Snapshot) -> frames.Snapshot:
    whose = await owner(call.chat, call.user, snapshot.conversation)
    session = show_session(snapshot.conversation, whose, _default_model(call))
    messages = await cite(call.chat.store.passages, call.reader, snapshot.messages)
    shown = show_whole_session(session, snapshot.conversation, messages)
    running = None
    if snapshot.reply is not None:
        running = frames.ReplyShown(snapshot.reply.uuid, snapshot.text, len(snapshot.text))
    return frames.Snapshot(shown, snapshot.has_more, running)


async def _change_all(call: Call) -> WholeSession:
    found = await _access(call)
    body = call.read(SessionChange)
    changed = await _change(call, found, body)
    if body.is_active is not False:
        return await whole_session(call, changed)
    # Read before it is put away: afterwards nobody finds it.
    last = await whole_session(call, changed, is_active=False)
    await deactivate_conversation(call.chat, call.reader, changed.uuid)
    return last


async def _change(call: Call, conversation: Conversation, body: SettingsChange) -> Conversation:
    return await change_conversation(call.chat, call.reader, conversation.uuid, to_change(body))


def to_change(body: SettingsChange) -> ConversationChange:
    return ConversationChange(
        title=body.title,
        model=body.model_name,
        temperature=body.temperature,
        max_tokens=body.max_tokens,
        enable_tools=body.enable_tools,
        window=body.window,
        token_budget=body.token_budget,
        system_prompt=UNSET if body.system_prompt is UNSET else _or_nothing(body.system_prompt),
    )


async def _access(call: Call) -> Conversation:
    return await call.chat.store.conversations.access(call.reader, call.parameters["id"])


def _or_nothing(prompt: str) -> str:
    """A blank system prompt is none."""
    return prompt if prompt.strip() else ""


def _default_model(call: Call) -> str:
    return call.chat.rules.default_model
