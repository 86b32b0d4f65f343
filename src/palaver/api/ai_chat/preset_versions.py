"""What a preset was before each of its changes, and the way back. It is ours, in ai_chat's style."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import asdict

from palaver.api.ai_chat.contract import PREFIX, new_api
from palaver.api.ai_chat.presets import preset_id
from palaver.api.ai_chat.sessions import Page
from palaver.api.ai_chat.settings import SettingsShown, show_settings
from palaver.api.ai_chat.shapes import UserShown, show_user
from palaver.api.call import Call, to_time
from palaver.api.fields import Body, Whole, required
from palaver.chat.errors import Invalid, Taken
from palaver.chat.preset import PresetVersion, VersionListed
from palaver.chat.presets import access_own_preset, roll_back_preset
from palaver.chat.user import User, UserId

api = new_api()


class RollBack(Body):
    version = required(Whole(1))


class VersionShown(Struct):
    """`created_by` is null where nobody knows (any more)."""

    number: int
    created_at: datetime
    created_by: UserShown | None


class WholeVersion(VersionShown):
    name: str
    system_prompt: str
    title: str
    description: str
    category: str
    welcome_message: str
    tags: tuple[str, ...]
    provider: str | None
    collection: str | None
    settings: SettingsShown


@api.add("GET", f"{PREFIX}/presets/{{id}}/versions/", query=Page, answer=list[VersionShown])
async def list_versions(call: Call) -> list[VersionShown]:
    preset = await access_own_preset(call.chat, call.reader, preset_id(call))
    page = call.read_query(Page)
    versions = await call.chat.store.presets.versions(preset.id, limit=page.limit, offset=page.offset)
    makers = await call.chat.store.accounts.get_users({one.changed_by for one in versions if one.changed_by})
    return [_listed(version, makers) for version in versions]


@api.add("GET", f"{PREFIX}/presets/{{id}}/versions/{{number}}/", answer=WholeVersion)
async def get_version(call: Call) -> WholeVersion:
    preset = await access_own_preset(call.chat, call.reader, preset_id(call))
    return await _whole(call, await call.chat.store.presets.version(preset.id, call.number("number")))


@api.add("POST", f"{PREFIX}/presets/{{id}}/rollback/", body=RollBack, answer=WholeVersion)
async def roll_back(call: Call) -> WholeVersion:
    preset = await access_own_preset(call.chat, call.reader, preset_id(call))
    number = call.read(RollBack).version
    try:
        changed = await roll_back_preset(call.chat, call.user, preset, number)
    except Taken as error:
        raise Invalid("name", "taken") from error
    return await _whole(call, await call.chat.store.presets.version(preset.id, changed.version))


async def _whole(call: Call, version: PresetVersion) -> WholeVersion:
    makers = await call.chat.store.accounts.get_users({version.changed_by} if version.changed_by else ())
    content = version.content
    return WholeVersion(
        **asdict(_listed(version, makers)),
        name=content.name,
        system_prompt=content.prompt,
        title=content.title,
        description=content.description,
        category=content.category,
        welcome_message=content.welcome,
        tags=content.tags,
        provider=content.speaking.provider,
        collection=content.speaking.collection,
        settings=show_settings(content.speaking),
    )


def _listed(version: VersionListed, makers: Mapping[UserId, User]) -> VersionShown:
    maker = None if version.changed_by is None else makers.get(version.changed_by)
    shown = None if maker is None else show_user(maker)
    return VersionShown(version.number, to_time(version.changed_at), shown)
