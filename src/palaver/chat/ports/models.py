"""The models that are known, in the store."""

from collections.abc import Sequence
from typing import Protocol

from palaver.chat.clock import Micros
from palaver.chat.model import KnownModel, ModelChange, ModelId, ModelNews, ModelSync


class KnownModels(Protocol):
    """The models that were ever offered here."""

    async def list(self) -> Sequence[KnownModel]: ...
    async def get(self, model_id: ModelId) -> KnownModel | None: ...
    async def has(self, name: str) -> bool:
        """Whether one of that name is or was offered."""
        ...

    async def news(self) -> ModelNews:
        """The name of the default, while it is available, the lengths that were set, and whether servers were changed:
        in one cheap look."""
        ...

    async def change(self, model_id: ModelId, change: ModelChange, now: Micros) -> KnownModel:
        """Raises `NotFound`."""
        ...

    async def sync(self, sync: ModelSync) -> None:
        """Adds what is new, marks what is gone, and leaves what people have said of the models as it is."""
        ...
