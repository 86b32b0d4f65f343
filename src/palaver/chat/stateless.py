"""A question and its answer without a conversation: nothing is kept but what it cost."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from palaver.chat.context import TOKENS_AROUND, count_tokens, within_budget
from palaver.chat.conversation import Past, Speaking, Usage
from palaver.chat.counting import count_usage, counted
from palaver.chat.errors import BotTimeout, BotUnavailable, Draining
from palaver.chat.flow import Chat
from palaver.chat.pieces import Bot, Finished, Prompt, Text
from palaver.chat.reply import ReplyLimits
from palaver.chat.user import User

log = logging.getLogger("palaver.stateless")

SYSTEM_PROMPT = "You are a helpful assistant."

SaidRole = Literal["system", "user", "assistant"]


class Said(Struct, frozen=True):
    role: SaidRole
    text: str


class Answer(Struct, frozen=True):
    text: str
    usage: Usage
    model: str


class Models(Struct, frozen=True):
    default: str
    offered: Sequence[str]


async def answer_once(
    chat: Chat,
    stored_user: Callable[[], Awaitable[User]],
    messages: Sequence[Said],
    *,
    system: str | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    request_id: str = "",
) -> Answer:
    """What the server's own bot says to `messages`, the last of which is the new one; the oldest go where the token
    budget is passed.

    Without `system` it gets a short prompt of ours, with an empty one none. Only the usage is kept, for
    `stored_user`, who is asked for once there is some. Raises `BotUnavailable` where the bot fails, breaks off or says
    nothing, and `Draining` where this server goes away; then nothing is.
    """
    provider = await chat.bots.default_provider()
    prompt = Prompt(
        message=messages[-1].text,
        role=messages[-1].role,
        system=SYSTEM_PROMPT if system is None else system,
        speaking=Speaking(temperature=temperature, max_tokens=max_tokens),
        model=chat.bots.model_for_turn(None),
        request_id=request_id,
    )
    prompt = _with_history(prompt, messages[:-1], chat.replies.limits)
    with counted():
        text, finished = await _listen_until_drained(chat, provider, prompt)
        if not text:
            raise BotUnavailable("empty")
    usage = finished.usage or _estimate(prompt, text)
    count_usage(usage)
    model = finished.model or prompt.model or provider
    await chat.store.add_usage((await stored_user()).id, model, usage, chat.clock.now())
    return Answer(text, usage, model)


async def find_models(chat: Chat) -> Models:
    """What can answer here. Where there is no model at all, the bot's own name stands for one."""
    default = chat.bots.default_model() or await chat.bots.default_provider()
    return Models(default, chat.bots.offered() or (default,))


def _with_history(prompt: Prompt, earlier: Sequence[Said], limits: ReplyLimits) -> Prompt:
    budget = limits.context_tokens - (prompt.speaking.max_tokens or limits.reserved_tokens)
    budget -= count_tokens(prompt.message) + count_tokens(prompt.system)
    newest_first = [
        Past(number, said.role, said.text, count_tokens(said.text))
        for number, said in reversed(list(enumerate(earlier, 1)))
    ]
    return replace(prompt, history=tuple(reversed(within_budget(newest_first, max(budget, 0)))))


async def _listen_until_drained(chat: Chat, provider: str, prompt: Prompt) -> tuple[str, Finished]:
    if chat.replies.draining:
        raise Draining
    answer = chat.replies.answering(_listen(chat.bots.bot(provider), prompt, chat.replies.limits))
    try:
        return await answer
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BotUnavailable("draining" if chat.replies.draining else "unavailable") from None


async def _listen(bot: Bot, prompt: Prompt, limits: ReplyLimits) -> tuple[str, Finished]:
    said: list[str] = []
    clock = asyncio.get_running_loop().time
    ends = clock() + limits.total_seconds
    try:
        async with (
            asyncio.timeout_at(min(clock() + limits.first_seconds, ends)) as silence,
            aclosing(bot.talk(prompt)) as pieces,  # type: ignore[type-var]
        ):
            async for piece in pieces:
                if isinstance(piece, Finished):
                    return "".join(said), piece
                if isinstance(piece, Text):
                    said.append(piece.text)
                allowed = limits.between_seconds if said else limits.first_seconds
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


def _estimate(prompt: Prompt, text: str) -> Usage:
    seen = [past.content for past in prompt.history] + [prompt.system, prompt.message]
    return Usage(sum(count_tokens(said) + TOKENS_AROUND for said in seen if said), count_tokens(text))
