"""Presets and universal rules in the store."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from palaver.chat.clock import Micros
from palaver.chat.conversation import (
    PresetId,
)
from palaver.chat.preset import NewPreset, Preset, PresetChange, PresetVersion, Rules, RulesChange, VersionListed
from palaver.chat.user import Reader, User, UserId


class Presets(Protocol):
    async def visible(self, reader: Reader) -> Sequence[Preset]:
        """The public ones, the reader's own, and those that are shared with the reader; all for an admin."""
        ...

    async def access(self, reader: Reader, preset: PresetId | str) -> Preset:
        """By its number or its name id, if it is among the visible ones. Raises `NotFound`."""
        ...

    async def get(self, preset_id: PresetId) -> Preset | None: ...
    async def find(self, slug: str) -> Preset | None: ...
    async def add(self, owner: User, new: NewPreset, now: Micros, *, refuse_taken: Reader | None) -> Preset:
        """Raises `Taken("name")` where the maker has one of that name, and `Taken("id")` where `refuse_taken`
        is given and sees a preset with the same name id."""
        ...

    async def change(
        self, preset_id: PresetId, change: PresetChange, now: Micros, *, by: UserId | None = None
    ) -> Preset:
        """Keeps what it was as a version, where anything of it is another now. Raises `NotFound` or `Taken`."""
        ...

    async def delete(self, preset_id: PresetId, now: Micros) -> None: ...
    async def versions(self, preset_id: PresetId, *, limit: int | None, offset: int) -> Sequence[VersionListed]:
        """What it is and what it was, newest first."""
        ...

    async def version(self, preset_id: PresetId, number: int) -> PresetVersion:
        """Raises `NotFound`."""
        ...

    async def shared_with(self, preset_id: PresetId) -> Sequence[str]:
        """The names of those with whom it is shared, in their order."""
        ...

    async def count_shares(self) -> Mapping[PresetId, int]:
        """With how many people each is shared; those that are shared with nobody are left out."""
        ...

    async def share(self, preset_id: PresetId, names: Sequence[str]) -> Sequence[str]:
        """Shares it with these people and no others; gives the names as `shared_with` does. Raises `Invalid` where one
        is nobody's, and then nothing has changed; and `NotFound`."""
        ...

    async def rules(self) -> Rules: ...
    async def change_rules(self, change: RulesChange, now: Micros) -> Rules: ...
