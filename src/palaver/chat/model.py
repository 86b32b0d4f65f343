"""A model: what a server tells of one that it offers, and what is kept of one that was ever offered here."""

from collections.abc import Sequence
from typing import NewType

from msgspec import Struct

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


class ModelSync(Struct, frozen=True):
    """A server's list on its way into the store. `chosen`: becomes the default, whatever it was before.

    `first_default` is that of a store which has known no model yet, `usual_default` what follows one that vanished.
    """

    offered: Sequence[OfferedModel]
    now: Micros
    first_default: str | None = None
    usual_default: str | None = None
    chosen: str | None = None


def choose_default(before: Sequence[KnownModel], sync: ModelSync) -> str | None:
    """The name of the model that is the default from now on: the one that was, as long as it is offered."""
    offered = {model.name for model in sync.offered}
    was = next((model.name for model in before if model.is_default), None)
    if not offered:
        # There is nothing to put in its place, and it may come back.
        return was
    wanted = (sync.chosen, was, sync.usual_default if before else sync.first_default)
    return next((name for name in wanted if name in offered), min(offered))
