"""Who answers."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from palaver.chat.model import OfferedModel
from palaver.chat.pieces import Bot
from palaver.chat.server import NamedServer, ServerState, ServerTrial


class Bots(Protocol):
    """Who can answer here, and with which models."""

    def known(self, provider: str) -> bool: ...
    async def default_provider(self) -> str: ...
    def bot(self, provider: str) -> Bot:
        """Raises `BotUnavailable` for one that is no longer installed."""
        ...

    def knows_model(self, name: str) -> bool: ...
    def model_for_turn(self, wanted: str | None) -> str | None:
        """The wanted model if it is offered just now, else the server's default."""
        ...

    def context_length(self, model: str | None, usual: int) -> int:
        """How many tokens the model takes, question and answer together; `usual` where neither an admin nor its server
        tells."""
        ...

    def default_model(self) -> str | None: ...
    def prefer_model(self, name: str | None) -> None:
        """From now on it is the default where the operator's own choice is not offered."""
        ...

    def use_lengths(self, lengths: Mapping[str, int]) -> None:
        """From now on these are what the models of these names take, whatever their servers tell."""
        ...

    def offered(self) -> Sequence[str]: ...
    def models(self) -> Sequence[OfferedModel] | None:
        """What the LLM servers offer together, by name; None where none has told yet."""
        ...

    def models_are_whole(self) -> bool:
        """Every LLM server has told: what is not among the models is offered nowhere."""
        ...

    async def refresh_models(self) -> Sequence[OfferedModel]:
        """Asks all servers now. Raises `BotUnavailable` where none tells, and then nothing has changed."""
        ...

    async def is_healthy(self) -> bool:
        """An LLM server answers, and within five seconds."""
        ...

    async def use_servers(self, servers: Sequence[NamedServer]) -> None:
        """From now on these are the ones that admins have added; replies that others make go on to their end."""
        ...

    def servers(self) -> Sequence[ServerState]:
        """All LLM servers, whoever has named them, as they are just now."""
        ...

    async def try_server(self, name: str) -> ServerTrial:
        """Asks the server of that name for its models, for some seconds. Raises `NotFound` where there is none."""
        ...

    @property
    def server_url(self) -> str | None:
        """Where the first LLM server is, without secrets."""
        ...
