"""All the settings of a preset or a session in one place, with those for which ai_chat's own shapes have no room.

They are ours, in ai_chat's style. What a preset settles is taken over by the sessions that begin with it, and from then
on each has its own.
"""

from msgspec import Struct
from msgspec.structs import replace

from palaver.api.ai_chat.contract import PREFIX, new_api
from palaver.api.ai_chat.presets import preset_id
from palaver.api.ai_chat.sessions import SettingsChange, to_change
from palaver.api.call import Call
from palaver.api.fields import Body, Flag, changing, clearing
from palaver.api.speaking import MAX_TOKENS, MODEL, PENALTY, TEMPERATURE, TOKEN_BUDGET, WINDOW
from palaver.chat.conversation import Speaking
from palaver.chat.conversations import change_conversation
from palaver.chat.preset import PresetChange
from palaver.chat.presets import access_own_preset, access_preset, change_preset

api = new_api()


class PresetSettingsChange(Body):
    """Null is the server's default, or none."""

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
    presence_penalty = clearing(PENALTY)
    frequency_penalty = clearing(PENALTY)
    caches_answers = changing(Flag())


class SettingsShown(Struct):
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
    change = PresetChange(
        # Without a name of its own it follows the server's default.
        model=body.model_name or None if isinstance(body.model_name, str) else body.model_name,
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
    change = replace(
        to_change(body),
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        caches_answers=body.caches_answers,
    )
    changed = await change_conversation(call.chat, call.reader, conversation.uuid, change)
    return show_settings(changed.speaking)


def show_settings(speaking: Speaking) -> SettingsShown:
    return SettingsShown(
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
