"""A model: what a server tells of one that it offers, and what is kept of one that was ever offered here."""

from collections.abc import Mapping, Sequence
from typing import NewType

from msgspec import UNSET, Struct, UnsetType

from palaver.chat.clock import Micros

ModelId = NewType("ModelId", int)


class OfferedModel(Struct, frozen=True):
    """A name for certain, the rest where the server happens to tell."""

    name: str
    context_length: int | None = None
    size: int | None = None
    parameter_count: str = ""
    only_trained: bool = False
    """`context_length` is what the model was trained for; how much its server takes was not told."""


class KnownModel(Struct, frozen=True):
    """One that is offered now, or was once and is not available any more."""

    id: ModelId
    name: str
    display_name: str
    description: str
    size: int | None
    parameter_count: str
    context_length: int | None
    is_available: bool
    is_default: bool
    created_at: Micros
    updated_at: Micros
    capabilities: tuple[str, ...] = ()
    is_hidden: bool = False

    @property
    def is_listed(self) -> bool:
        """Whether people are to choose it: it is offered just now, and not hidden. The default answers where nothing
        was chosen, and is always listed."""
        return self.is_available and (self.is_default or not self.is_hidden)


class ModelChange(Struct, frozen=True):
    """What people say of a model; `UNSET` stays as it is. It goes before what servers tell, whatever they tell later.
    A `context_length` of None is what they tell."""

    display_name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    context_length: int | UnsetType | None = UNSET
    capabilities: tuple[str, ...] | UnsetType = UNSET
    is_default: bool | UnsetType = UNSET
    is_hidden: bool | UnsetType = UNSET


class ModelNews(Struct, frozen=True):
    """What another process may have changed. `servers`: another word whenever an admin has changed a server. `lengths`:
    the contexts of models, by name, that an admin has set whatever the servers tell."""

    default: str | None
    servers: str
    lengths: Mapping[str, int] = {}


class ModelSync(Struct, frozen=True):
    """The list of all servers on its way into the store. `chosen`: becomes the default, whatever it was before.

    `whole`: every server has told, and what is not listed is offered no more; else it may be that of a server which is
    down just now. `first_default` is that of a store which has known no model yet.
    """

    offered: Sequence[OfferedModel]
    now: Micros
    first_default: str | None = None
    chosen: str | None = None
    whole: bool = True


def choose_default(before: Sequence[KnownModel], sync: ModelSync) -> str | None:
    """The name of the model that is the default from now on: the one that was, as long as it is offered; then the first
    by name."""
    offered = {model.name for model in sync.offered}
    if not sync.whole:
        offered |= {model.name for model in before if model.is_available}
    was = next((model.name for model in before if model.is_default), None)
    if not offered:
        # There is nothing to put in its place, and it may come back.
        return was
    wanted = (sync.chosen, was, None if before else sync.first_default)
    return next((name for name in wanted if name in offered), min(offered))
