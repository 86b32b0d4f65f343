"""chat_flow: start a session in a context, then prompt and answer. DRF style, integer ids, no slash at the end."""

from datetime import datetime

from msgspec import UNSET, Struct

from palaver.api.call import NUMBER, Answer, Call, to_time
from palaver.api.fields import (
    Body,
    FieldProblem,
    Invalid,
    Text,
    Whole,
    changing,
    clearing,
    defaulting,
    optional,
    required,
)
from palaver.api.operation import Also, Api, Style
from palaver.api.speaking import COLLECTION, MODEL, NAME, PROMPT, PROVIDER, WINDOW
from palaver.api.turns import CLIENT_ID, WHEN_BUSY, answered, check_length
from palaver.chat.conversation import Conversation, PresetId, Speaking
from palaver.chat.errors import Invalid as InvalidValue
from palaver.chat.errors import RateLimited, Taken
from palaver.chat.flow import continue_chat, find_conversation
from palaver.chat.preset import NewPreset, Preset, PresetChange
from palaver.chat.presets import access_preset, add_preset, change_preset, delete_preset
from palaver.chat.starting import check_speaks, start_from_context

api = Api("chat_flow", Style.DRF)

MOST_TEXT = 100_000


class Start(Body):
    context_id = required(Whole())
    initial_message = required(Text(at_least=1, at_most=MOST_TEXT, trimmed=True))
    model = optional(MODEL)
    provider = optional(PROVIDER)


class Say(Body):
    prompt = required(Text(at_least=1, trimmed=True))
    client_message_id = optional(CLIENT_ID)
    when_busy = optional(WHEN_BUSY)


class NewContext(Body):
    name = required(NAME)
    system_prompt = required(PROMPT)
    provider = optional(PROVIDER)
    model = optional(MODEL)
    collection = optional(COLLECTION)
    window = defaulting(WINDOW, 20)


class ContextChange(Body):
    name = changing(NAME)
    system_prompt = changing(PROMPT)
    provider = clearing(PROVIDER)
    model = clearing(MODEL)
    collection = clearing(COLLECTION)
    window = changing(WINDOW)


class Session(Struct):
    id: int
    uuid: str
    created_at: datetime
    model: str
    provider: str
    initial_message: str


class TurnAnswer(Struct):
    id: int
    session: int
    prompt: str
    response_message: str | None


class Context(Struct):
    id: int
    name: str
    system_prompt: str
    provider: str | None
    model: str | None
    collection: str | None
    window: int | None
    created_at: datetime
    updated_at: datetime


@api.add("POST", "/api/chat/start", body=Start, answer=Session, status=201, raises=(RateLimited,))
async def start(call: Call) -> Session:
    body = call.read(Start)
    conversation, prompt = await start_from_context(
        call.chat,
        call.stored_user,
        call.reader,
        body.context_id,
        body.initial_message,
        model=body.model,
        provider=body.provider,
    )
    return _session(conversation, prompt)


@api.add("POST", "/api/chat/session/{id}/chat", body=Say, answer=TurnAnswer, status=201, starts_turn=True)
async def chat(call: Call) -> TurnAnswer:
    conversation = await _conversation(call)
    try:
        body = call.read(Say)
        check_length(call, "prompt", body.prompt)
        _check_length(call, body.prompt)
    except Invalid:
        await call.chat.store.conversations.access(call.reader, conversation)
        raise
    begun = await continue_chat(
        call.chat,
        call.reader,
        body.prompt,
        conversation=conversation,
        client_message_id=body.client_message_id,
        when_busy=body.when_busy,
        request_id=call.request_id,
        granted=call.granted,
    )
    turn = (await answered(call, begun)).turn
    return TurnAnswer(turn.prompt.id, turn.conversation.id, turn.prompt.content, turn.reply.content or None)


@api.add("GET", "/api/chat/contexts", answer=list[Context])
async def list_contexts(call: Call) -> list[Context]:
    return [_context(preset) for preset in await call.chat.store.presets.visible(call.reader)]


@api.add("POST", "/api/chat/contexts", who="admin", body=NewContext, answer=Context, status=201)
async def add_context(call: Call) -> Context:
    body = call.read(NewContext)
    await check_speaks(call.chat, provider=body.provider, model=body.model)
    new = NewPreset(
        name=body.name,
        prompt=body.system_prompt,
        speaking=Speaking(
            provider=body.provider,
            model=body.model,
            temperature=0,
            max_tokens=400,
            window=body.window,
            collection=body.collection,
        ),
        is_public=True,
    )
    try:
        return _context(await add_preset(call.chat, call.user, call.reader, new, refuse_taken_id=False))
    except Taken as error:
        raise InvalidValue("name", "taken") from error


@api.add("PATCH", "/api/chat/contexts/{id}", who="admin", body=ContextChange, answer=Context)
async def change_context(call: Call) -> Context:
    preset = await access_preset(call.chat, call.reader, _preset_id(call))
    body = call.read(ContextChange)
    await check_speaks(
        call.chat,
        provider=None if body.provider is UNSET else body.provider,
        model=None if body.model is UNSET else body.model,
    )
    change = PresetChange(
        name=body.name,
        prompt=body.system_prompt,
        provider=body.provider,
        model=body.model,
        collection=body.collection,
        window=body.window,
    )
    try:
        return _context(await change_preset(call.chat, call.user, preset, change))
    except Taken as error:
        raise InvalidValue("name", "taken") from error


@api.add("DELETE", "/api/chat/contexts/{id}", who="admin", status=204, also={400: Also("One of the server's own")})
async def delete_context(call: Call) -> Answer:
    await delete_preset(call.chat, await access_preset(call.chat, call.reader, _preset_id(call)))
    return Answer()


async def _conversation(call: Call) -> str:
    given = call.parameters["id"]
    if NUMBER.fullmatch(given):
        return await find_conversation(call.chat, call.reader, int(given))
    return given


def _check_length(call: Call, prompt: str) -> None:
    most = call.site.chat_flow_max_prompt
    if len(prompt) > most:
        raise Invalid([FieldProblem("prompt", "string_too_long", {"at_most": most})], "body")


def _preset_id(call: Call) -> PresetId:
    return PresetId(call.number("id"))


def _session(conversation: Conversation, prompt: str) -> Session:
    speaking = conversation.speaking
    assert speaking.model is not None
    assert speaking.provider is not None
    return Session(
        conversation.id, conversation.uuid, to_time(conversation.created_at), speaking.model, speaking.provider, prompt
    )


def _context(preset: Preset) -> Context:
    speaking = preset.speaking
    return Context(
        preset.id, preset.name, preset.prompt, speaking.provider, speaking.model, speaking.collection, speaking.window,
        to_time(preset.created_at), to_time(preset.updated_at),
    )  # fmt: skip
