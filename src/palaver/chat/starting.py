"""How a conversation starts, for each way of starting one: which preset, prompt, model and settings it gets."""

import uuid
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from palaver.chat.clock import to_datetime
from palaver.chat.conversation import Conversation, NewConversation, Origin, PresetId, Speaking, to_title
from palaver.chat.errors import Invalid, NotFound
from palaver.chat.flow import Chat, create_conversation
from palaver.chat.preset import DOMAIN, GENERAL, STREAMING, Preset
from palaver.chat.presets import access_preset
from palaver.chat.ranges import check_ranges
from palaver.chat.user import Reader, User

# What a chat_flow session shows as its model on a server that has no model at all.
MODEL_OF_NONE = "gpt-4.1-mini"

# Who is to own it, asked only once nothing can be refused any more: a guest gets a row with the first thing it makes.
Owner = Callable[[], Awaitable[User]]


async def start_from_context(
    chat: Chat,
    owner: Owner,
    reader: Reader,
    context_id: int,
    message: str,
    *,
    model: str | None,
    provider: str | None,
) -> tuple[Conversation, str]:
    """A conversation in a context, and its system prompt: the context's, a newline, the caller's text.

    Raises `Invalid` for a context the caller may not use, and for an unknown provider or model.
    """
    try:
        preset = await access_preset(chat, reader, PresetId(context_id))
    except NotFound as error:
        raise Invalid("context_id", "context_not_found") from error
    await check_speaks(chat, provider=provider, model=model)
    speaking = replace(
        preset.speaking,
        provider=provider or preset.speaking.provider or await chat.bots.default_provider(),
        model=model or await _model_of(chat, preset),
    )
    prompt = f"{preset.prompt}\n{message}"
    new = _new(await owner(), "chat_flow", prompt, speaking, preset, title=to_title(message))
    return await create_conversation(chat, new), prompt


async def start_session(chat: Chat, user: User, reader: Reader, template: str, label: str) -> Conversation:
    """chatify's way: a template that is unknown or not the caller's is `general`; the universal rules go first."""
    try:
        preset = await access_preset(chat, reader, template)
    except NotFound:
        preset = await access_preset(chat, reader, GENERAL)
    rules = await chat.store.presets.rules()
    new = _new(user, "chatify", rules.before(preset.prompt), preset.speaking, preset, label=label)
    return await create_conversation(chat, replace(new, ends_when_idle=True))


async def new_domain_conversation(chat: Chat, user: User, message: str, client_id: str | None) -> NewConversation:
    """chat_domain's way: a conversation that its first message makes."""
    preset = await chat.store.presets.find(DOMAIN)
    assert preset is not None, "the built-in preset cannot be deleted"
    new = _new(user, "chat_domain", preset.prompt, preset.speaking, preset, title=to_title(message))
    return replace(new, client_id=client_id)


async def new_streaming_conversation(
    chat: Chat, user: User, message: str, *, name: str | None, client_id: str | None
) -> NewConversation:
    """streaming_chat's way: a conversation that its first message makes, under the client's own name for it, if any."""
    preset = await chat.store.presets.find(STREAMING)
    assert preset is not None, "the built-in preset cannot be deleted"
    new = _new(user, "streaming_chat", preset.prompt, preset.speaking, preset, title=to_title(message))
    # Under a name the client id is looked for in the conversation of that name.
    return replace(new, client_name=name, client_id=client_id if name is None else None)


async def start_with_settings(
    chat: Chat,
    user: User,
    *,
    title: str | None,
    model: str | None,
    temperature: float | None,
    max_tokens: int | None,
    enable_tools: bool | None,
    system_prompt: str,
) -> Conversation:
    """ai_chat's way: what the caller wants, and the server's defaults for the rest. The system prompt is listed."""
    now, rules = chat.clock.now(), chat.rules
    speaking = Speaking(
        model=rules.default_model if model is None else model,
        temperature=rules.default_temperature if temperature is None else temperature,
        max_tokens=max_tokens,
        enable_tools=rules.default_tools if enable_tools is None else enable_tools,
    )
    check_ranges(speaking)
    shown = to_datetime(now).strftime("Chat %Y-%m-%d %H:%M") if title is None else title
    new = replace(_new(user, "ai_chat", system_prompt, speaking, None, title=shown), lists_prompt=True)
    return await create_conversation(chat, new, now=now)


async def start_from_preset(chat: Chat, user: User, preset: Preset) -> Conversation:
    """ai_chat's way with a preset: all that it settles is taken over, and its prompt is listed."""
    speaking = replace(preset.speaking, model=preset.speaking.model or chat.rules.default_model)
    new = _new(user, "ai_chat", preset.prompt, speaking, preset, title=f"Chat from {preset.name}")
    return await create_conversation(chat, replace(new, lists_prompt=True))


async def check_speaks(chat: Chat, *, provider: str | None, model: str | None) -> None:
    """Raises `Invalid` for a provider or model that nobody here knows."""
    if provider is not None and not chat.bots.known(provider):
        raise Invalid("provider", "provider_unknown")
    if model is not None and not await _knows_model(chat, model):
        raise Invalid("model", "model_unknown")


async def _knows_model(chat: Chat, name: str) -> bool:
    """The bots know what servers have told this process, the store what they ever told any."""
    return chat.bots.knows_model(name) or await chat.store.models.has(name)


async def _model_of(chat: Chat, preset: Preset) -> str:
    """What a session in this context shows as its model where its maker names none."""
    default, own = chat.bots.default_model(), preset.speaking.model
    if own is not None and (default is not None or await _knows_model(chat, own)):
        return own
    return default or MODEL_OF_NONE


def _new(
    user: User,
    origin: Origin,
    prompt: str,
    speaking: Speaking,
    preset: Preset | None,
    *,
    title: str = "New Chat",
    label: str = "",
) -> NewConversation:
    return NewConversation(
        uuid=str(uuid.uuid4()),
        owner_id=user.id,
        app_id=user.app_id or (user.id if user.kind == "app" else None),
        origin=origin,
        title=title,
        system_prompt=prompt,
        speaking=speaking,
        preset_id=None if preset is None else preset.id,
        preset_slug=GENERAL if preset is None else preset.slug,
        label=label,
        open_by_id=user.kind == "guest",
    )
