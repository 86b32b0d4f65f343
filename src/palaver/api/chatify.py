"""chatify: short sessions with a personality. FastAPI style, every success is 200, UUIDs, no slash at the end."""

from datetime import datetime

from msgspec import UNSET, Struct, UnsetType

from palaver.api.call import Call, to_time
from palaver.api.fields import Body, QueryFlag, Text, defaulting, optional, required
from palaver.api.language import Language, text
from palaver.api.operation import Api, Refusal, Style, fixed
from palaver.api.turns import CLIENT_ID, WHEN_BUSY, answered, check_length
from palaver.chat.clock import SECOND
from palaver.chat.conversation import Conversation
from palaver.chat.errors import BotUnavailable, ChatError, Ended, NotFound, RateLimited
from palaver.chat.flow import continue_chat, end_conversation, owner
from palaver.chat.preset import GENERAL
from palaver.chat.starting import start_session
from palaver.chat.sweep import clean

REASONS = {
    "timeout": "reason_timeout",
    "refused": "reason_refused",
    "empty": "reason_empty",
    "interrupted": "reason_interrupted",
}


def _why_the_bot_failed(error: ChatError, language: Language) -> str:
    cause = error.cause if isinstance(error, BotUnavailable) else ""
    return f"AI service error: {text(REASONS.get(cause, 'reason_unavailable'), language)}"


def _why_it_takes_no_message(error: ChatError, _language: Language) -> str:
    waited = isinstance(error, Ended) and error.while_waiting
    return "Session is no longer active" if waited else "Session not found or expired"


bot_failed = Refusal(400, _why_the_bot_failed)
no_message = Refusal(400, _why_it_takes_no_message)

api = Api("chatify", Style.FASTAPI, {NotFound: fixed(404, "Session not found")})


class NewSession(Body):
    user_id = required(Text(at_least=1, at_most=255))
    template_id = defaulting(Text(at_most=100), GENERAL)


class Say(Body):
    message = required(Text(at_least=1, at_most=4000, blank=False))
    client_message_id = optional(CLIENT_ID)
    when_busy = optional(WHEN_BUSY)


class StateWanted(Body):
    include_ended = defaulting(QueryFlag(), False)


class Created(Struct):
    session_id: str
    success: bool = True
    message: str = "Session created successfully"


class Answered(Struct):
    response: str
    session_id: str
    message_count: int
    success: bool = True


class SessionEnded(Struct):
    session_id: str
    duration_seconds: float
    total_messages: int
    success: bool = True
    message: str = "Session ended successfully"


class SessionState(Struct):
    message: str
    session_id: str
    status: str
    user_id: str
    template_id: str
    message_count: int
    created_at: datetime
    last_activity: datetime
    duration_seconds: float
    total_messages: int
    ended_at: datetime | UnsetType = UNSET
    success: bool = True


class Templates(Struct):
    personalities: dict[str, str]
    success: bool = True
    default: str = GENERAL


class Stats(Struct):
    active_sessions: int
    session_timeout_minutes: float
    sessions: list[str]


class StatsAnswer(Struct):
    stats: Stats
    success: bool = True


class CleanedUp(Struct):
    memory_sessions_cleaned: int
    firebase_sessions_cleaned: int
    active_sessions: int
    success: bool = True
    message: str = "Cleanup completed"


@api.add("POST", "/api/v1/chatbot/session", body=NewSession, answer=Created, raises=(RateLimited,))
async def create_session(call: Call) -> Created:
    body = call.read(NewSession)
    user = await call.site.accounts.owner_for(call.user, body.user_id)
    conversation = await start_session(call.chat, user, call.reader, body.template_id, body.user_id)
    return Created(conversation.uuid)


@api.add(
    "POST",
    "/api/v1/chatbot/session/{id}/message",
    body=Say,
    answer=Answered,
    starts_turn=True,
    refusals={NotFound: no_message, Ended: no_message, BotUnavailable: bot_failed},
)
async def send_message(call: Call) -> Answered:
    body = call.read(Say)
    check_length(call, "message", body.message)
    begun = await continue_chat(
        call.chat,
        call.reader,
        body.message,
        conversation=call.parameters["id"],
        client_message_id=body.client_message_id,
        when_busy=body.when_busy,
        request_id=call.request_id,
        granted=call.granted,
    )
    outcome = await answered(call, begun)
    turn = outcome.turn
    return Answered(turn.reply.content, turn.conversation.uuid, outcome.exchanges)


@api.add(
    "DELETE",
    "/api/v1/chatbot/session/{id}",
    answer=SessionEnded,
    refusals={NotFound: fixed(400, "Session not found"), Ended: fixed(400, "Session not found")},
)
async def end_session(call: Call) -> SessionEnded:
    ended = await end_conversation(call.chat, call.reader, call.parameters["id"])
    return SessionEnded(ended.uuid, _seconds(call, ended), ended.exchange_count)


@api.add("GET", "/api/v1/chatbot/session/{id}", query=StateWanted, answer=SessionState)
async def get_session(call: Call) -> SessionState:
    wanted = call.read_query(StateWanted)
    conversation = await call.chat.store.conversations.access(call.reader, call.parameters["id"])
    if conversation.ended and not wanted.include_ended:
        raise NotFound
    return SessionState(
        message="Session has ended" if conversation.ended else "Session is active",
        session_id=conversation.uuid,
        status="ended" if conversation.ended else "active",
        user_id=conversation.label or (await owner(call.chat, call.user, conversation)).shown_id,
        template_id=conversation.preset_slug,
        message_count=conversation.exchange_count,
        created_at=to_time(conversation.created_at),
        last_activity=to_time(conversation.last_message_at or conversation.created_at),
        duration_seconds=_seconds(call, conversation),
        total_messages=conversation.exchange_count,
        ended_at=UNSET if conversation.ended_at is None else to_time(conversation.ended_at),
    )


@api.add("GET", "/api/v1/chatbot/personalities", answer=Templates)
async def list_templates(call: Call) -> Templates:
    presets = await call.chat.store.presets.visible(call.reader)
    return Templates({preset.slug: preset.description for preset in presets})


@api.add("GET", "/api/v1/chatbot/stats", who="admin", answer=StatsAnswer)
async def stats(call: Call) -> StatsAnswer:
    sessions = list(await call.chat.store.conversations.active())
    minutes = call.chat.rules.idle_seconds / 60
    return StatsAnswer(Stats(len(sessions), int(minutes) if minutes.is_integer() else minutes, sessions))


@api.add("POST", "/api/v1/chatbot/cleanup", who="admin", answer=CleanedUp)
async def clean_up(call: Call) -> CleanedUp:
    cleaned = await clean(call.chat)
    return CleanedUp(cleaned.ended, cleaned.purged, len(await call.chat.store.conversations.active()))


def _seconds(call: Call, conversation: Conversation) -> float:
    until = call.chat.clock.now() if conversation.ended_at is None else conversation.ended_at
    return round((until - conversation.created_at) / SECOND, 3)
