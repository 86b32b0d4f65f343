"""For admins: every preset there is, whose it is, and how far it goes. It is read and changed as ai_chat does."""

from datetime import datetime

from msgspec import Struct

from palaver.api.call import Call, to_time
from palaver.api.operation import Api, Style

api = Api("admin", Style.FASTAPI)


class PresetOverview(Struct):
    """`owner`: null for those that come with the server. `shared_with`: how many people, beside `is_public`.
    `model_name`: null where it follows the default. `used`: how many conversations have begun with it."""

    id: int
    name: str
    description: str
    owner: str | None
    model_name: str | None
    is_public: bool
    shared_with: int
    used: int
    updated_at: datetime


@api.add(
    "GET",
    "/api/admin/presets",
    who="admin",
    answer=list[PresetOverview],
    summary="List every preset, whose it is and with how many it is shared",
)
async def list_all_presets(call: Call) -> list[PresetOverview]:
    store = call.chat.store
    presets = sorted(await store.presets.visible(call.reader), key=lambda preset: (preset.name.casefold(), preset.id))
    shares = await store.presets.count_shares()
    owners = await store.accounts.get_users({preset.owner_id for preset in presets if preset.owner_id is not None})
    return [
        PresetOverview(
            preset.id,
            preset.name,
            preset.description,
            None if preset.owner_id is None else owners[preset.owner_id].name,
            preset.speaking.model,
            preset.is_public,
            shares.get(preset.id, 0),
            preset.usage_count,
            to_time(preset.updated_at),
        )
        for preset in presets
    ]
