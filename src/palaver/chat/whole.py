"""A bot's whole answer, for those who need it at once: what was asked without a conversation, and summaries."""

import asyncio
import logging
from contextlib import aclosing

from msgspec import Struct

from palaver.chat.errors import BotTimeout, BotUnavailable
from palaver.chat.pieces import Bot, Finished, Prompt, Text

log = logging.getLogger("palaver.bots")


class Patience(Struct, frozen=True):
    """Seconds before the first piece, between pieces, and in all."""

    first: float
    between: float
    total: float


async def hear_out(bot: Bot, prompt: Prompt, patience: Patience) -> tuple[str, Finished]:
    """Raises `BotUnavailable` or `BotTimeout` where the bot fails, breaks off or is silent for too long."""
    said: list[str] = []
    clock = asyncio.get_running_loop().time
    ends = clock() + patience.total
    try:
        async with (
            asyncio.timeout_at(min(clock() + patience.first, ends)) as silence,
            aclosing(bot.talk(prompt)) as pieces,  # type: ignore[type-var]
        ):
            async for piece in pieces:
                if isinstance(piece, Finished):
                    return "".join(said), piece
                if isinstance(piece, Text):
                    said.append(piece.text)
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
