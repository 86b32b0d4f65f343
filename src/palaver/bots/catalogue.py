"""Which models there are: what all LLM servers offer together, and which of them is the default."""

import asyncio
from collections.abc import Mapping, Sequence

from palaver.bots.pool import Pool
from palaver.bots.upstream import UpstreamFailed
from palaver.chat.model import OfferedModel

# A server's list may hold models that do something else; none of them may become the default.
_NOT_FOR_CHAT = (
    "audio", "babbage", "codex", "computer-use", "dall-e", "davinci", "deep-research", "embed", "image",
    "moderation", "realtime", "rerank", "sora", "transcribe", "tts", "whisper",
)  # fmt: skip


class Catalogue:
    """The models of all servers in `pool`, as they last told them.

    The default is the first that is offered: of `preferred`, the operator's own choice; the one that people prefer; of
    `usual`. As long as no server has told anything, the first of these names is assumed to be there.
    """

    def __init__(self, pool: Pool, preferred: Sequence[str], usual: Sequence[str] = ()) -> None:
        self._pool = pool
        self._operators = tuple(preferred)
        self._usual = tuple(usual)
        self._peoples: str | None = None
        self._models: tuple[OfferedModel, ...] | None = None
        self._names: frozenset[str] = frozenset()
        self._by_name: dict[str, OfferedModel] = {}
        self._seen: frozenset[str] = frozenset()
        self._own_lengths: Mapping[str, int] = {}
        self._default = self._choose_default(())
        pool.on_change(self._read)

    def models(self) -> Sequence[OfferedModel] | None:
        """By name; None as long as no server has told anything."""
        return self._models

    def is_whole(self) -> bool:
        """Every server has told its models at least once: what is not among them is offered nowhere."""
        return all(server.listing.models is not None for server in self._pool.servers)

    def default_model(self) -> str:
        return self._default

    def knows_model(self, name: str) -> bool:
        """A server offers it or did so earlier."""
        return name in self._seen or name == self._default

    def model_for_turn(self, wanted: str | None) -> str:
        """The wanted model where it is offered, or where nobody knows what is; else the default."""
        if wanted is None or (self._names and wanted not in self._names):
            return self._default
        return wanted

    def context_length(self, name: str | None, usual: int) -> int:
        """How many tokens the server takes for that model, or what an admin says of it; `usual` where nobody tells."""
        own = None if name is None else self._own_lengths.get(name)
        if own is not None:
            return own
        model = None if name is None else self._by_name.get(name)
        if model is None or model.context_length is None:
            return usual
        return min(model.context_length, usual) if model.only_trained else model.context_length

    def prefer(self, name: str | None) -> None:
        """What people have chosen as the default."""
        if name != self._peoples:
            self._peoples = name
            self._default = self._choose_default(self._models or ())

    def use_lengths(self, lengths: Mapping[str, int]) -> None:
        """The contexts, by the names of their models, that admins have set."""
        self._own_lengths = lengths

    async def refresh(self) -> Sequence[OfferedModel]:
        """Asks all servers now, all at once. Raises `UpstreamFailed` where none of them tells.

        Of a server that does not tell nothing changes.
        """
        told = await asyncio.gather(*(server.listing.refresh() for server in self._pool.servers))
        if told and not any(told):
            raise UpstreamFailed("tells no models, and no other one does")
        return self._models or ()

    def _read(self) -> None:
        """What is offered has changed."""
        listings = [server.listing for server in self._pool.servers]
        told = [listing.models for listing in listings if listing.models is not None]
        if not told and self._models is None:
            return
        by_name: dict[str, OfferedModel] = {}
        for models in told:
            for model in models:
                known = by_name.get(model.name)
                by_name[model.name] = model if known is None else _merge(known, model)
        self._models = tuple(by_name[name] for name in sorted(by_name))
        self._by_name = by_name
        self._names = frozenset(by_name)
        self._seen = self._seen.union(self._names, *(listing.seen for listing in listings))
        self._default = self._choose_default(self._models)

    def _choose_default(self, models: Sequence[OfferedModel]) -> str:
        chosen = [] if self._peoples is None else [self._peoples]
        named = [*self._operators, *chosen, *self._usual]
        names = [model.name for model in models]
        for_chat = [name for name in names if not any(part in name.lower() for part in _NOT_FOR_CHAT)]
        wanted = [name for name in named if name in names]
        return next(iter([*wanted, *for_chat, *names, *named]))


def _merge(one: OfferedModel, other: OfferedModel) -> OfferedModel:
    """One model as two servers tell of it. Either may answer, so no more fits than in the smaller context."""
    lengths = [length for length in (one.context_length, other.context_length) if length is not None]
    return OfferedModel(
        name=one.name,
        context_length=min(lengths, default=None),
        size=one.size if one.size is not None else other.size,
        parameter_count=one.parameter_count or other.parameter_count,
        only_trained=one.only_trained or other.only_trained,
    )
