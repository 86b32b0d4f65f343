"""ai_chat's presets: named ways to start a session."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import UNSET, Struct
from msgspec.structs import asdict, replace

from palaver.api.ai_chat.contract import PREFIX, new_api
from palaver.api.ai_chat.sessions import whole_session
from palaver.api.ai_chat.shapes import UserShown, WholeSession, show_user
from palaver.api.call import Answer, Call, to_time
from palaver.api.fields import Body, Flag, NoFields, QueryFlag, Text, changing, clearing, defaulting, optional, required
from palaver.api.operation import Also
from palaver.api.speaking import MAX_TOKENS, MODEL, NAME, PROMPT, TEMPERATURE
from palaver.chat.conversation import PresetId, Speaking
from palaver.chat.errors import Forbidden, Taken
from palaver.chat.errors import Invalid as InvalidValue
from palaver.chat.preset import NewPreset, Preset, PresetChange
from palaver.chat.presets import access_own_preset, access_preset, add_preset, change_preset, delete_preset
from palaver.chat.starting import start_from_preset
from palaver.chat.user import User, UserId

api = new_api()

DESCRIPTION = Text(at_most=500)


class ListWanted(Body):
    as_user = defaulting(QueryFlag(), False)


class NewPresetBody(Body):
    name = required(NAME)
    system_prompt = required(PROMPT)
    description = defaulting(DESCRIPTION, "")
    model_name = optional(MODEL)
    temperature = optional(TEMPERATURE)
    max_tokens = optional(MAX_TOKENS)
    enable_tools = optional(Flag())
    is_public = defaulting(Flag(), default=False)


class PresetChangeBody(Body):
    name = changing(NAME)
    system_prompt = changing(PROMPT)
    description = changing(DESCRIPTION)
    model_name = changing(MODEL)
    temperature = changing(TEMPERATURE)
    max_tokens = clearing(MAX_TOKENS)
    enable_tools = changing(Flag())
    is_public = changing(Flag())


class PresetListed(Struct):
    id: int
    name: str
    description: str
    model_name: str
    is_public: bool
    created_by: UserShown | None
    created_at: datetime
    updated_at: datetime


class PresetShown(PresetListed):
    system_prompt: str
    temperature: float | None
    max_tokens: int | None
    enable_tools: bool


@api.add("GET", f"{PREFIX}/presets/", query=ListWanted, answer=list[PresetListed])
async def list_presets(call: Call) -> list[PresetListed]:
    """`as_user`: an admin too gets their own, those shared with them and the public ones alone."""
    as_user = call.read_query(ListWanted).as_user
    reader = replace(call.reader, is_admin=False) if as_user else call.reader
    presets = sorted(await call.chat.store.presets.visible(reader), key=lambda preset: (preset.name, preset.id))
    makers = await call.chat.store.accounts.get_users(
        {preset.owner_id for preset in presets if preset.owner_id is not None}
    )
    return [_listed(call, preset, makers) for preset in presets]


@api.add("POST", f"{PREFIX}/presets/", body=NewPresetBody, answer=PresetShown, status=201)
async def create_preset(call: Call) -> PresetShown:
    body = call.read(NewPresetBody)
    rules = call.chat.rules
    new = NewPreset(
        name=body.name,
        prompt=body.system_prompt,
        description=body.description,
        speaking=Speaking(
            model=body.model_name or None,
            temperature=rules.default_temperature if body.temperature is None else body.temperature,
            max_tokens=body.max_tokens,
            enable_tools=rules.default_tools if body.enable_tools is None else body.enable_tools,
        ),
        is_public=body.is_public,
    )
    maker = await call.stored_user()
    try:
        return await _shown(call, await add_preset(call.chat, maker, call.reader, new, refuse_taken_id=False))
    except Taken as error:
        raise InvalidValue("name", "taken") from error


@api.add("GET", f"{PREFIX}/presets/{{id}}/", answer=PresetShown)
async def get_preset(call: Call) -> PresetShown:
    return await _shown(call, await access_preset(call.chat, call.reader, preset_id(call)))


@api.add("PATCH", f"{PREFIX}/presets/{{id}}/", body=PresetChangeBody, answer=PresetShown)
async def change_preset_fields(call: Call) -> PresetShown:
    return await _change(call)


@api.add("PUT", f"{PREFIX}/presets/{{id}}/", body=PresetChangeBody, answer=PresetShown)
async def put_preset(call: Call) -> PresetShown:
    return await _change(call)


@api.add(
    "DELETE",
    f"{PREFIX}/presets/{{id}}/",
    status=204,
    raises=(Forbidden,),
    also={400: Also("One of the server's own, or a default one")},
)
async def remove_preset(call: Call) -> Answer:
    await delete_preset(call.chat, await access_own_preset(call.chat, call.reader, preset_id(call)))
    return Answer()


@api.add(
    "POST",
    f"{PREFIX}/presets/{{id}}/create_session_from_preset/",
    body=NoFields,
    answer=WholeSession,
    status=201,
)
async def create_session_from_preset(call: Call) -> WholeSession:
    preset = await access_preset(call.chat, call.reader, preset_id(call))
    return await whole_session(call, await start_from_preset(call.chat, await call.stored_user(), preset))


async def _change(call: Call) -> PresetShown:
    preset = await access_own_preset(call.chat, call.reader, preset_id(call))
    body = call.read(PresetChangeBody)
    change = PresetChange(
        name=body.name,
        prompt=body.system_prompt,
        description=body.description,
        # Without a name of its own it follows the server's default.
        model=body.model_name if body.model_name is UNSET else body.model_name or None,
        temperature=body.temperature,
        max_tokens=body.max_tokens,
        enable_tools=body.enable_tools,
        is_public=body.is_public,
    )
    try:
        return await _shown(call, await change_preset(call.chat, call.user, preset, change))
    except Taken as error:
        raise InvalidValue("name", "taken") from error


def preset_id(call: Call) -> PresetId:
    return PresetId(call.number("id"))


async def _shown(call: Call, preset: Preset) -> PresetShown:
    makers = await call.chat.store.accounts.get_users([] if preset.owner_id is None else [preset.owner_id])
    speaking = preset.speaking
    return PresetShown(
        **asdict(_listed(call, preset, makers)),
        system_prompt=preset.prompt,
        temperature=speaking.temperature,
        max_tokens=speaking.max_tokens,
        enable_tools=speaking.enable_tools,
    )


def _listed(call: Call, preset: Preset, makers: Mapping[UserId, User]) -> PresetListed:
    maker = None if preset.owner_id is None else makers.get(preset.owner_id)
    return PresetListed(
        preset.id,
        preset.name,
        preset.description,
        preset.speaking.model or call.chat.rules.default_model,
        preset.is_public,
        None if maker is None else show_user(maker),
        to_time(preset.created_at),
        to_time(preset.updated_at),
    )
