"""Who may see, use and change a preset, whatever an API calls it."""

from msgspec import UNSET
from msgspec.structs import replace

from palaver.chat.conversation import PresetId
from palaver.chat.errors import Forbidden, Invalid, NotFound
from palaver.chat.flow import Chat
from palaver.chat.preset import NewPreset, Preset, PresetChange
from palaver.chat.user import Reader, User


class BuiltIn(Forbidden):
    """A preset the server brings, or a default one: it is changed, never deleted."""

    code = "built_in"


def may_use(preset: Preset, reader: Reader) -> bool:
    """`internal` ones are the admins' to see and the server's to use."""
    return preset.is_public or reader.is_admin or (preset.owner_id == reader.user_id and preset.owner_id is not None)


async def access_preset(chat: Chat, reader: Reader, preset: PresetId | str) -> Preset:
    """By its number or its name id. Raises `NotFound`."""
    presets = chat.store.presets
    found = await (presets.find(preset) if isinstance(preset, str) else presets.get(preset))
    if found is None or not may_use(found, reader):
        raise NotFound
    return found


async def access_own_preset(chat: Chat, reader: Reader, preset: PresetId | str) -> Preset:
    """One the caller may change. Raises `NotFound`, and `Forbidden` for a public one of somebody else."""
    found = await access_preset(chat, reader, preset)
    if not reader.is_admin and found.owner_id != reader.user_id:
        raise Forbidden
    return found


async def add_preset(chat: Chat, maker: User, reader: Reader, new: NewPreset, *, refuse_taken_id: bool) -> Preset:
    """A guest's stays private, and only an admin's is a default. Raises `Taken` or `Invalid`."""
    allowed = replace(
        new,
        is_public=new.is_public and maker.kind != "guest",
        is_default=new.is_default and maker.is_admin,
    )
    return await chat.store.presets.add(
        maker, allowed, chat.clock.now(), refuse_taken=reader if refuse_taken_id else None
    )


async def change_preset(chat: Chat, caller: User, preset: Preset, change: PresetChange) -> Preset:
    """Raises `Taken`."""
    allowed = change
    if not caller.is_admin:
        allowed = replace(allowed, is_default=UNSET)
    if caller.kind == "guest" and allowed.is_public is True:
        allowed = replace(allowed, is_public=UNSET)
    if preset.is_builtin and allowed.is_public is not UNSET:
        if allowed.is_public != preset.is_public:
            raise Invalid("is_public", "visibility_kept")
        # An internal one shows as not public, and would become private.
        allowed = replace(allowed, is_public=UNSET)
    return await chat.store.presets.change(preset.id, allowed, chat.clock.now())


async def delete_preset(chat: Chat, preset: Preset) -> None:
    """Conversations that began with it stay as they are. Raises `BuiltIn`."""
    if preset.is_builtin or preset.is_default:
        raise BuiltIn
    await chat.store.presets.delete(preset.id, chat.clock.now())
