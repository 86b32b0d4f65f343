"""Bots whose talking is a span each. Only there while spans are on: every piece passes through here."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

from palaver.chat.errors import BotUnavailable
from palaver.chat.ledger import BILLED_BY_MODEL
from palaver.chat.pieces import Bot, Finished, Piece, Prompt, Text
from palaver.chat.ports import Bots
from palaver.watching.spans import TalkSpan, Tracing


def traced(bots: Bots, tracing: Tracing) -> Bots:
    """The same bots, each of which tells of its talking."""
    return cast(Bots, _TracedBots(bots, tracing))


class _TracedBots:
    def __init__(self, bots: Bots, tracing: Tracing) -> None:
        self._bots = bots
        self._tracing = tracing

    def bot(self, provider: str) -> Bot:
        return _TracedBot(self._bots.bot(provider), provider, self._tracing, self._bots.default_model())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bots, name)


class _TracedBot:
    def __init__(self, bot: Bot, provider: str, tracing: Tracing, default_model: str | None) -> None:
        self._bot = bot
        self._provider = provider
        self._tracing = tracing
        self._default_model = default_model if provider in BILLED_BY_MODEL else None

    async def talk(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        speaking = prompt.speaking
        settings = {
            "temperature": speaking.temperature,
            "max_tokens": speaking.max_tokens,
            "presence_penalty": speaking.presence_penalty,
            "frequency_penalty": speaking.frequency_penalty,
        }
        said = _to_messages(prompt) if self._tracing.talks_content else ""
        span = self._tracing.talk(self._provider, prompt.model or self._default_model, settings, said)
        failure: str | None = "cut"
        try:
            async with aclosing(self._bot.talk(prompt)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    if isinstance(piece, Finished):
                        failure = None
                    _tell(span, piece)
                    yield piece
        except (asyncio.CancelledError, GeneratorExit):
            # Somebody stopped it, or it was silent for too long: how the reply ended is told elsewhere.
            failure = None
            raise
        except BotUnavailable as error:
            failure = error.cause
            raise
        except Exception as error:
            failure = type(error).__name__
            raise
        finally:
            span.end(failure)


def _tell(span: TalkSpan, piece: Piece) -> None:
    match piece:
        case Text():
            span.piece(piece.text)
        case Finished():
            usage = piece.usage
            tokens = None if usage is None else (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)
            span.finished(piece.model, piece.reason, tokens)


def _to_messages(prompt: Prompt) -> str:
    said = [("system", prompt.system)] if prompt.system else []
    said += [(past.role, past.content) for past in prompt.history]
    said.append((prompt.role, prompt.message))
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]} for role, text in said])
