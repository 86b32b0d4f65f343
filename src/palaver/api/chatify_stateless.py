"""chatify's stateless chat: a question and its answer, of which nothing is kept but the usage."""

from msgspec import Struct

from palaver.api.call import Call
from palaver.api.chatify import bot_failed
from palaver.api.fields import Body, Choice, Inner, Listed, Text, defaulting, optional, required
from palaver.api.limited import limit_words
from palaver.api.operation import Api, Refusal, Style
from palaver.api.speaking import TEMPERATURE, to_whole
from palaver.api.turns import check_length
from palaver.chat import ranges
from palaver.chat.errors import BotUnavailable, OverBudget
from palaver.chat.stateless import Said, SaidRole, answer_once, find_models

api = Api("chatify", Style.FASTAPI)

# An answer of no conversation is bought: 402 says that there is no money, and Retry-After when there is some again.
NOT_ANSWERED = {BotUnavailable: bot_failed, OverBudget: Refusal(402, limit_words)}

MOST_MESSAGES = 200
USUAL_TEMPERATURE = 0.7

MESSAGE = Text(at_least=1, at_most=4000)
SYSTEM_PROMPT = Text(at_most=2000)
MAX_TOKENS = to_whole(ranges.MAX_TOKENS.within(1, 4000))
ROLE: Choice[SaidRole] = Choice("system", "user", "assistant")


class SaidMessage(Body):
    role = required(ROLE)
    content = required(MESSAGE)


class Ask(Body):
    message = required(MESSAGE)
    conversation_history = defaulting(Listed(Inner(SaidMessage), at_most=MOST_MESSAGES), ())
    system_prompt = optional(SYSTEM_PROMPT)
    temperature = defaulting(TEMPERATURE, USUAL_TEMPERATURE)
    max_tokens = optional(MAX_TOKENS)


class AskSimply(Body):
    message = required(MESSAGE)
    system_prompt = optional(SYSTEM_PROMPT)


class AskInConversation(Body):
    messages = required(Listed(Inner(SaidMessage), at_least=1, at_most=MOST_MESSAGES))
    temperature = defaulting(TEMPERATURE, USUAL_TEMPERATURE)
    max_tokens = optional(MAX_TOKENS)


class StatelessUsage(Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class StatelessAnswer(Struct):
    content: str
    usage: StatelessUsage
    model: str
    success: bool = True


class ModelList(Struct):
    current_model: str
    available_models: list[str]
    default_model: str


@api.add(
    "POST",
    "/api/v1/chat/",
    body=Ask,
    answer=StatelessAnswer,
    starts_turn=True,
    stateless=True,
    refusals=NOT_ANSWERED,
)
async def ask(call: Call) -> StatelessAnswer:
    body = call.read(Ask)
    check_length(call, "message", body.message)
    earlier = [Said(message.role, message.content) for message in body.conversation_history]
    return await _answer(
        call,
        [*earlier, Said("user", body.message)],
        system=body.system_prompt,
        temperature=body.temperature,
        max_tokens=body.max_tokens,
    )


@api.add(
    "POST",
    "/api/v1/chat/simple",
    body=AskSimply,
    answer=StatelessAnswer,
    starts_turn=True,
    stateless=True,
    refusals=NOT_ANSWERED,
)
async def ask_simply(call: Call) -> StatelessAnswer:
    body = call.read(AskSimply)
    check_length(call, "message", body.message)
    return await _answer(call, [Said("user", body.message)], system=body.system_prompt)


@api.add(
    "POST",
    "/api/v1/chat/conversation",
    body=AskInConversation,
    answer=StatelessAnswer,
    starts_turn=True,
    stateless=True,
    refusals=NOT_ANSWERED,
)
async def ask_in_conversation(call: Call) -> StatelessAnswer:
    body = call.read(AskInConversation)
    check_length(call, "messages", body.messages[-1].content)
    messages = [Said(message.role, message.content) for message in body.messages]
    # The caller has spelled the whole conversation; a prompt of ours would be a word put into it.
    return await _answer(call, messages, system="", temperature=body.temperature, max_tokens=body.max_tokens)


@api.add("GET", "/api/v1/chat/models", answer=ModelList)
async def list_models(call: Call) -> ModelList:
    models = await find_models(call.chat)
    return ModelList(models.default, list(models.offered), models.default)


async def _answer(
    call: Call,
    messages: list[Said],
    *,
    system: str | None,
    temperature: float = USUAL_TEMPERATURE,
    max_tokens: int | None = None,
) -> StatelessAnswer:
    answer = await answer_once(
        call.chat,
        call.stored_user,
        messages,
        system=system,
        temperature=temperature,
        max_tokens=max_tokens,
        request_id=call.request_id,
    )
    usage = answer.usage
    return StatelessAnswer(
        answer.text, StatelessUsage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), answer.model
    )
