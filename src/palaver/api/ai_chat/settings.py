"""All the settings of a preset or a session in one place, with those for which ai_chat's own shapes have no room.

They are ours, in ai_chat's style. What a preset settles is taken over by the sessions that begin with it, and from then
on each has its own.
"""

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from palaver.api.ai_chat.contract import PREFIX, new_api
from palaver.api.ai_chat.presets import preset_id
from palaver.api.ai_chat.sessions import SettingsChange, to_change
from palaver.api.call import Call
from palaver.api.fields import Body, Flag, changing, clearing
from palaver.api.speaking import COLLECTION, MAX_TOKENS, MODEL, PENALTY, PROVIDER, TEMPERATURE, TOKEN_BUDGET, WINDOW
from palaver.chat.conversation import Speaking
from palaver.chat.conversations import change_conversation
from palaver.chat.preset import PresetChange
from palaver.chat.presets import access_own_preset, access_preset, change_preset
from palaver.chat.starting import check_speaks

api = new_api()


class PresetSettingsChange(Body):
    """Null is the server's default, or none."""

    provider = clearing(PROVIDER)
    collection = clearing(COLLECTION)
    model_name = clearing(MODEL)
    temperature = clearing(TEMPERATURE)
    max_tokens = clearing(MAX_TOKENS)
    presence_penalty = clearing(PENALTY)
    frequency_penalty = clearing(PENALTY)
    enable_tools = changing(Flag())
    window = clearing(WINDOW)
    token_budget = clearing(TOKEN_BUDGET)
    caches_answers = changing(Flag())


class SessionSettingsChange(SettingsChange):
    provider = clearing(PROVIDER)
    collection = clearing(COLLECTION)
    presence_penalty = clearing(PENALTY)
    frequency_penalty = clearing(PENALTY)
    caches_answers = changing(Flag())


class SettingsShown(Struct):
    provider: str | None
    collection: str | None
    model_name: str | None
    temperature: float | None
    max_tokens: int | None
    presence_penalty: float | None
    frequency_penalty: float | None
    enable_tools: bool
    window: int | None
    token_budget: int | None
    caches_answers: bool


@api.add("GET", f"{PREFIX}/presets/{{id}}/settings/", answer=SettingsShown)
async def get_preset_settings(call: Call) -> SettingsShown:
    return show_settings((await access_preset(call.chat, call.reader, preset_id(call))).speaking)


@api.add("PATCH", f"{PREFIX}/presets/{{id}}/settings/", body=PresetSettingsChange, answer=SettingsShown)
async def change_preset_settings(call: Call) -> SettingsShown:
    preset = await access_own_preset(call.chat, call.reader, preset_id(call))
    body = call.read(PresetSettingsChange)
    provider, collection = _or_none(body.provider), _or_none(body.collection)
    await _check_provider(call, provider)
    change = PresetChange(
        provider=provider,
        collection=collection,
        # Without a name of its own it follows the server's default.
        model=_or_none(body.model_name),
        temperature=body.temperature,
        max_tokens=body.max_tokens,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        enable_tools=body.enable_tools,
        window=body.window,
        token_budget=body.token_budget,
        caches_answers=body.caches_answers,
    )
    return show_settings((await change_preset(call.chat, call.user, preset, change)).speaking)


@api.add("GET", f"{PREFIX}/sessions/{{id}}/settings/", answer=SettingsShown)
async def get_session_settings(call: Call) -> SettingsShown:
    conversation = await call.chat.store.conversations.access(call.reader, call.parameters["id"])
    return show_settings(conversation.speaking)


@api.add("PATCH", f"{PREFIX}/sessions/{{id}}/settings/", body=SessionSettingsChange, answer=SettingsShown)
async def change_session_settings(call: Call) -> SettingsShown:
    conversation = await call.chat.store.conversations.access(call.reader, call.parameters["id"])
    body = call.read(SessionSettingsChange)
    provider = _or_none(body.provider)
    await _check_provider(call, provider)
    change = replace(
        to_change(body),
        provider=provider,
        collection=_or_none(body.collection),
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        caches_answers=body.caches_answers,
    )
    changed = await change_conversation(call.chat, call.reader, conversation.uuid, change)
    return show_settings(changed.speaking)


def show_settings(speaking: Speaking) -> SettingsShown:
    return SettingsShown(
        provider=speaking.provider,
        collection=speaking.collection,
        model_name=speaking.model,
        temperature=speaking.temperature,
        max_tokens=speaking.max_tokens,
        presence_penalty=speaking.presence_penalty,
        frequency_penalty=speaking.frequency_penalty,
        enable_tools=speaking.enable_tools,
        window=speaking.window,
        token_budget=speaking.token_budget,
        caches_answers=speaking.caches_answers,
    )


def _or_none(name: str | UnsetType | None) -> str | UnsetType | None:
    """A name of nothing is none."""
    return name if name is UNSET else name or None


async def _check_provider(call: Call, provider: str | UnsetType | None) -> None:
    """Raises `Invalid`."""
    await check_speaks(call.chat, provider=provider if isinstance(provider, str) else None, model=None)
