"""Who may see, use and change a preset, whatever an API calls it."""

from collections.abc import Sequence

from msgspec import UNSET
from msgspec.structs import replace

from palaver.chat.conversation import PresetId
from palaver.chat.errors import Forbidden, Invalid, NotFound
from palaver.chat.flow import Chat
from palaver.chat.preset import NewPreset, Preset, PresetChange, to_change
from palaver.chat.ranges import check_ranges
from palaver.chat.user import Reader, User


class BuiltIn(Forbidden):
    """A preset the server brings, or a default one: it is changed, never deleted."""

    code = "built_in"


async def access_preset(chat: Chat, reader: Reader, preset: PresetId | str) -> Preset:
    """By its number or its name id: a public one, one's own, one that is shared with the reader, or any for an admin.
    Raises `NotFound`."""
    return await chat.store.presets.access(reader, preset)


async def access_own_preset(chat: Chat, reader: Reader, preset: PresetId | str) -> Preset:
    """One the caller may change. Raises `NotFound`, and `Forbidden` for another's that the caller may use."""
    found = await access_preset(chat, reader, preset)
    if not reader.is_admin and found.owner_id != reader.user_id:
        raise Forbidden
    return found


async def add_preset(chat: Chat, maker: User, reader: Reader, new: NewPreset, *, refuse_taken_id: bool) -> Preset:
    """A guest's stays private, and only an admin's is a default. Raises `Taken` or `Invalid`."""
    check_ranges(new.speaking)
    allowed = replace(
        new,
        is_public=new.is_public and maker.kind != "guest",
        is_default=new.is_default and maker.is_admin,
    )
    return await chat.store.presets.add(
        maker, allowed, chat.clock.now(), refuse_taken=reader if refuse_taken_id else None
    )


async def change_preset(chat: Chat, caller: User, preset: Preset, change: PresetChange) -> Preset:
    """Raises `Taken` or `Invalid`."""
    check_ranges(change)
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
    return await chat.store.presets.change(preset.id, allowed, chat.clock.now(), by=caller.id)


async def roll_back_preset(chat: Chat, caller: User, preset: Preset, number: int) -> Preset:
    """Makes it say again what it said in that version, which is a change like any other. Who may use it stays as it is.
    Raises `Invalid` where there is no such version, and `Taken` where its name is another one's by now."""
    try:
        version = await chat.store.presets.version(preset.id, number)
    except NotFound as error:
        raise Invalid("version", "version_unknown") from error
    return await change_preset(chat, caller, preset, to_change(version.content))


async def share_preset(chat: Chat, preset: Preset, names: Sequence[str]) -> Sequence[str]:
    """With these people and no others. Raises `Invalid`."""
    if preset.is_builtin:
        raise Invalid("usernames", "visibility_kept")
    return await chat.store.presets.share(preset.id, names)


async def delete_preset(chat: Chat, preset: Preset) -> None:
    """Conversations that began with it stay as they are. Raises `BuiltIn`."""
    if preset.is_builtin or preset.is_default:
        raise BuiltIn
    await chat.store.presets.delete(preset.id, chat.clock.now())
