"""What admins have settled: limits of single users, LLM servers."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from palaver.chat.clock import Micros
from palaver.chat.limit import OwnLimits
from palaver.chat.server import NamedServer, ServerChange
from palaver.chat.user import UserId


class UsersLimits(Protocol):
    """What persons and applications may do in place of what the settings say for all."""

    async def changes(self) -> str:
        """Another word whenever one of them was changed, by whatever process."""
        ...

    async def all(self) -> Mapping[UserId, OwnLimits]: ...
    async def get(self, user_id: UserId) -> OwnLimits: ...
    async def put(self, user_id: UserId, limits: OwnLimits) -> None: ...


class KeptServers(Protocol):
    """The LLM servers that admins have added, by name. Every change of them is `ModelNews`."""

    async def list(self) -> Sequence[NamedServer]: ...
    async def add(self, server: NamedServer, now: Micros) -> None:
        """Raises `Taken`."""
        ...

    async def change(self, name: str, change: ServerChange, now: Micros) -> None:
        """Raises `NotFound`."""
        ...

    async def remove(self, name: str) -> None:
        """Raises `NotFound`."""
        ...
