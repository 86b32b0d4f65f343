"""A bot, the core's list of bots, and a clock, all of them moved by hand."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

from palaver.chat.clock import SECOND, Micros
from palaver.chat.errors import BotUnavailable, NotFound
from palaver.chat.flow import Chat
from palaver.chat.model import OfferedModel
from palaver.chat.pieces import Bot, Finished, Piece, Prompt, Reasoning, Sources, Text
from palaver.chat.server import NamedServer, ServerState, ServerTrial
from tests.ports.talking import NOW


class HandClock:
    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> Micros:
        return self.time

    def move(self, seconds: float) -> None:
        self.time = Micros(self.time + int(seconds * SECOND))


class Talk:
    """One answer while it is given."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self.left = asyncio.Event()
        """Set once nobody listens to the bot any more."""
        self._pieces: asyncio.Queue[Piece | BaseException | None] = asyncio.Queue()

    async def say(self, *texts: str) -> None:
        """Returns when they have been heard."""
        for text in texts:
            self._pieces.put_nowait(Text(text))
        await self._pieces.join()

    async def give(self, given: Sources) -> None:
        self._pieces.put_nowait(given)
        await self._pieces.join()

    async def think(self, *texts: str) -> None:
        for text in texts:
            self._pieces.put_nowait(Reasoning(text))
        await self._pieces.join()

    def finish(self, finished: Finished | None = None) -> None:
        self._pieces.put_nowait(finished or Finished())

    def fail(self, error: BaseException) -> None:
        self._pieces.put_nowait(error)

    def end(self, finished: Finished | None) -> None:
        """With the bot's own word that it has said all, or without."""
        self._pieces.put_nowait(finished)

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        try:
            while (piece := await self._pieces.get()) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
                self._pieces.task_done()
        finally:
            self.left.set()


class HandBot:
    """Gives the answers that a test hands to it."""

    def __init__(self) -> None:
        self._talks: asyncio.Queue[Talk] = asyncio.Queue()

    def talk(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        talk = Talk(prompt)
        self._talks.put_nowait(talk)
        return talk.pieces()

    @property
    def is_asked(self) -> bool:
        return not self._talks.empty()

    async def asked(self) -> Talk:
        """The next answer that somebody waits for."""
        async with asyncio.timeout(10):
            return await self._talks.get()


class HandBots:
    """One bot, by any name."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self.lengths: dict[str, int] = {}

    def known(self, provider: str) -> bool:
        return bool(provider)

    async def default_provider(self) -> str:
        return "hand"

    def bot(self, provider: str) -> Bot:
        assert provider
        return self._bot

    def knows_model(self, name: str) -> bool:
        return bool(name)

    def model_for_turn(self, wanted: str | None) -> str | None:
        return wanted

    def context_length(self, model: str | None, usual: int) -> int:
        return usual if model is None else self.lengths.get(model, usual)

    def default_model(self) -> str | None:
        return None

    def prefer_model(self, name: str | None) -> None:
        assert name is None

    def use_lengths(self, lengths: Mapping[str, int]) -> None:
        self.lengths = dict(lengths)

    def offered(self) -> Sequence[str]:
        return ()

    def models(self) -> Sequence[OfferedModel] | None:
        return None

    def models_are_whole(self) -> bool:
        return True

    async def refresh_models(self) -> Sequence[OfferedModel]:
        raise BotUnavailable

    async def is_healthy(self) -> bool:
        return True

    async def use_servers(self, servers: Sequence[NamedServer]) -> None:
        assert not servers

    def servers(self) -> Sequence[ServerState]:
        return ()

    async def try_server(self, name: str) -> ServerTrial:
        raise NotFound(name)

    @property
    def server_url(self) -> str | None:
        return None


def let_talk(chat: Chat, bots: HandBots) -> None:
    """From now on these bots make the replies."""
    chat.replies._bots = chat.replies._prompting._bots = bots
