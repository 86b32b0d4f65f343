"""A question and its answer without a conversation: nothing is kept but what it cost."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from palaver.chat.context import TOKENS_AROUND, count_tokens, history_budget, reply_share, within_budget
from palaver.chat.conversation import Past, Speaking, Usage
from palaver.chat.counting import count_usage, counted
from palaver.chat.errors import BotUnavailable
from palaver.chat.flow import Chat
from palaver.chat.ledger import pays_by, to_billed_as
from palaver.chat.pieces import Finished, Prompt
from palaver.chat.tokens import to_key
from palaver.chat.told import to_name, to_sound
from palaver.chat.user import User
from palaver.chat.whole import Heard, Patience, hear_out

# What was held back for an answer whose worker died counts no longer than the answer could have taken, and this.
REFUND_SECONDS = 60

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
    nothing, `OverBudget`, and `Draining` where this server goes away; then nothing is kept but what was
    heard until it broke off.
    """
    provider = await chat.bots.default_provider()
    prompt = Prompt(
        message=messages[-1].text,
        role=messages[-1].role,
        system=SYSTEM_PROMPT if system is None else system,
        speaking=Speaking(provider=provider, temperature=temperature, max_tokens=max_tokens),
        model=chat.bots.model_for_turn(None),
        request_id=request_id,
    )
    prompt = await _with_history(chat, prompt, messages[:-1])
    held = await _reserve(chat, stored_user, prompt)
    if held is not None and max_tokens is None:
        prompt = await _within_reserved(chat, prompt, messages[:-1])
    heard = Heard()

    async def bill(usage: Usage, told: str) -> None:
        count_usage(usage)
        model = told or prompt.model or provider
        user = await stored_user()
        billed_as = to_billed_as(provider, prompt.model or chat.bots.default_model() or model)
        await chat.store.ledger.add_usage(
            user.id, pays_by(user), model, usage, chat.clock.now(), billed_as=billed_as, reservation=held
        )

    async def settle() -> None:
        if heard.is_anything:
            await bill(_estimate(prompt, heard), "")
        elif held is not None:
            await chat.store.ledger.refund_answer(held)

    try:
        with counted():
            finished = await _listen_until_drained(chat, provider, prompt, heard)
            if not heard.text:
                raise BotUnavailable("empty")
    except BaseException:
        # A caller that goes away pays for what was said, too, or gets back what was held.
        await asyncio.shield(settle())
        raise
    told = to_name(finished.model or "")
    usage = to_sound(finished.usage) or _estimate(prompt, heard)
    await asyncio.shield(bill(usage, told))
    if not usage.estimated:
        await _learn(chat, prompt, usage)
    return Answer(heard.text, usage, told or prompt.model or provider)


async def _reserve(chat: Chat, stored_user: Callable[[], Awaitable[User]], prompt: Prompt) -> int | None:
    """Raises `OverBudget`."""
    if chat.books.budgets is None:
        return None
    speaking = replace(prompt.speaking, model=prompt.model or chat.bots.default_model())
    seconds = chat.replies.limits.total_seconds + REFUND_SECONDS
    user = await stored_user()
    return await chat.books.reserve(user.id, pays_by(user), speaking, _prompt_tokens(prompt), seconds)


async def _within_reserved(chat: Chat, prompt: Prompt, earlier: Sequence[Said]) -> Prompt:
    """The same, and its answer takes no more than was held back for one that nothing bounds."""
    limits = chat.replies.limits
    most = reply_share(chat.bots.context_length(prompt.model, limits.context_tokens), limits.max_tokens)
    return await _with_history(chat, replace(prompt, speaking=replace(prompt.speaking, max_tokens=most)), earlier)


async def find_models(chat: Chat) -> Models:
    """What can answer here. Where there is no model at all, the bot's own name stands for one."""
    default = chat.bots.default_model() or await chat.bots.default_provider()
    return Models(default, chat.bots.offered() or (default,))


async def _with_history(chat: Chat, prompt: Prompt, earlier: Sequence[Said]) -> Prompt:
    limits, tokens = chat.replies.limits, chat.replies.tokens
    context = chat.bots.context_length(prompt.model, limits.context_tokens)
    budget = history_budget(
        context,
        reply=reply_share(context, prompt.speaking.max_tokens or limits.reserved_tokens),
        besides=await _besides(chat, prompt),
        factor=tokens.factor(_key(prompt)),
    )
    newest_first = [
        Past(number, said.role, said.text, await tokens.count(said.text))
        for number, said in reversed(list(enumerate(earlier, 1)))
    ]
    return replace(prompt, history=tuple(reversed(within_budget(newest_first, budget))))


def _key(prompt: Prompt) -> str:
    return to_key(prompt.speaking.provider, prompt.model)


async def _besides(chat: Chat, prompt: Prompt) -> int:
    """The tokens of what is sent beside the history."""
    tokens = chat.replies.tokens
    return await tokens.count(prompt.message) + tokens.count_standing(prompt.system) + 2 * TOKENS_AROUND


async def _learn(chat: Chat, prompt: Prompt, usage: Usage) -> None:
    """From what the server reported: how far off the counts were."""
    history = sum(past.token_count + TOKENS_AROUND for past in prompt.history)
    counted = await _besides(chat, prompt) + history
    chat.replies.tokens.learn(_key(prompt), counted, usage.prompt_tokens)


async def _listen_until_drained(chat: Chat, provider: str, prompt: Prompt, heard: Heard) -> Finished:
    chat.replies.check_stays()
    limits = chat.replies.limits
    patience = Patience(limits.first_seconds, limits.between_seconds, limits.total_seconds)
    answer = chat.replies.answering(hear_out(chat.bots.bot(provider), prompt, patience, heard))
    try:
        return await answer
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BotUnavailable("draining" if chat.replies.draining else "unavailable") from None


def _estimate(prompt: Prompt, heard: Heard) -> Usage:
    return Usage(_prompt_tokens(prompt), heard.tokens, estimated=True)


def _prompt_tokens(prompt: Prompt) -> int:
    seen = [past.content for past in prompt.history] + [prompt.system, prompt.message]
    return sum(count_tokens(said) + TOKENS_AROUND for said in seen if said)
