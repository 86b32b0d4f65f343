"""A bot's whole answer, for those who need it at once: what was asked without a conversation, and summaries."""

import asyncio
import logging
from contextlib import aclosing

from msgspec import Struct

from palaver.chat.context import count_tokens, reasoning_tokens
from palaver.chat.errors import BotTimeout, BotUnavailable
from palaver.chat.pieces import Bot, Finished, Prompt, Reasoning, Text

log = logging.getLogger("palaver.bots")


class Patience(Struct, frozen=True):
    """Seconds before the first piece, between pieces, and in all."""

    first: float
    between: float
    total: float


class Heard:
    """What a bot has said so far: of an answer that breaks off, all that there is to be paid."""

    __slots__ = ("said", "thought")

    def __init__(self) -> None:
        self.said: list[str] = []
        self.thought = 0
        """How many characters of reasoning there were."""

    @property
    def text(self) -> str:
        return "".join(self.said)

    @property
    def is_anything(self) -> bool:
        return bool(self.thought) or any(self.said)

    @property
    def tokens(self) -> int:
        """Estimated."""
        return count_tokens(self.text) + reasoning_tokens(self.thought)


async def hear_out(bot: Bot, prompt: Prompt, patience: Patience, heard: Heard) -> Finished:
    """What is said goes to `heard`, whatever becomes of it.

    Raises `BotUnavailable` or `BotTimeout` where the bot fails, breaks off or is silent for too long.
    """
    said = heard.said
    clock = asyncio.get_running_loop().time
    ends = clock() + patience.total
    try:
        async with (
            asyncio.timeout_at(min(clock() + patience.first, ends)) as silence,
            aclosing(bot.talk(prompt)) as pieces,  # type: ignore[type-var]
        ):
            async for piece in pieces:
                if isinstance(piece, Finished):
                    return piece
                if isinstance(piece, Text):
                    said.append(piece.text)
                elif isinstance(piece, Reasoning):
                    heard.thought += len(piece.text)
                allowed = patience.between if said else patience.first
                silence.reschedule(min(clock() + allowed, ends))
    except BotUnavailable as error:
        raise (BotUnavailable("interrupted") if said and error.cause != "timeout" else error) from error
    except Exception as error:
        if silence.expired():
            raise BotTimeout from error
        # A bot may be anybody's code; whatever it throws ends its own answer and nothing else.
        log.exception("request %s: the bot failed", prompt.request_id)
        raise BotUnavailable from error
    raise BotUnavailable("interrupted" if said else "unavailable")
