"""chatify's personalities and universal rules: presets in camelCase, and what goes before each of their prompts."""

from datetime import datetime

from msgspec import UNSET, Struct

from palaver.api.call import Call, to_time
from palaver.api.fields import (
    Body,
    FieldProblem,
    Flag,
    Invalid,
    Listed,
    Text,
    changing,
    clearing,
    defaulting,
    optional,
    required,
)
from palaver.api.operation import Also, Api, Style, fixed, worded
from palaver.api.speaking import MODEL, TEMPERATURE, to_whole
from palaver.chat import ranges
from palaver.chat.conversation import Speaking
from palaver.chat.errors import Invalid as InvalidValue
from palaver.chat.errors import NotFound, Taken
from palaver.chat.preset import NewPreset, Preset, PresetChange, Rules, RulesChange, to_slug
from palaver.chat.presets import BuiltIn, access_own_preset, access_preset, add_preset, change_preset, delete_preset

api = Api("chatify", Style.FASTAPI, {NotFound: fixed(404, "Personality not found")})

# Presets made here see the past as `general` does.
WINDOW = 10

NAME = Text(at_least=1, at_most=ranges.NAME_LENGTH)
TITLE = Text(at_most=200)
DESCRIPTION = Text(at_most=500)
CATEGORY = Text(at_most=100)
PROMPT = Text(at_least=10, at_most=ranges.PROMPT_LENGTH)
WELCOME = Text(at_most=1000)
MAX_TOKENS = to_whole(ranges.MAX_TOKENS.within(10, 4000))
TAGS = Listed(Text(at_most=50), at_most=20)

PROMPT_NAMES = ("personalityPrompt", "personality_prompt", "systemPrompt")
WELCOME_NAMES = ("welcomeMessage", "welcome_message")
MAX_TOKENS_NAMES = ("maxTokens", "max_tokens")
PUBLIC_NAMES = ("isPublic", "is_public")
DEFAULT_NAMES = ("isDefault", "is_default")


class NewPersonality(Body):
    id = optional(Text())
    name = required(NAME)
    title = optional(TITLE)
    description = defaulting(DESCRIPTION, "")
    category = defaulting(CATEGORY, "general")
    prompt = required(PROMPT, *PROMPT_NAMES)
    welcome = defaulting(WELCOME, "", *WELCOME_NAMES)
    model = optional(MODEL)
    temperature = defaulting(TEMPERATURE, 0.9)
    max_tokens = defaulting(MAX_TOKENS, 150, *MAX_TOKENS_NAMES)
    tags = defaulting(TAGS, ())
    is_public = defaulting(Flag(), False, *PUBLIC_NAMES)
    is_default = defaulting(Flag(), False, *DEFAULT_NAMES)


class PersonalityChange(Body):
    name = changing(NAME)
    title = changing(TITLE)
    description = changing(DESCRIPTION)
    category = changing(CATEGORY)
    prompt = changing(PROMPT, *PROMPT_NAMES)
    welcome = changing(WELCOME, *WELCOME_NAMES)
    model = clearing(MODEL)
    temperature = changing(TEMPERATURE)
    max_tokens = changing(MAX_TOKENS, *MAX_TOKENS_NAMES)
    tags = changing(TAGS)
    is_public = changing(Flag(), *PUBLIC_NAMES)
    is_default = changing(Flag(), *DEFAULT_NAMES)


class NewRules(Body):
    rules = changing(PROMPT)
    version = changing(Text(at_least=1, at_most=20))
    enabled = changing(Flag())


class Personality(Struct, rename="camel"):
    id: str
    name: str
    title: str
    description: str
    category: str
    personality_prompt: str
    welcome_message: str
    model: str | None
    temperature: float | None
    max_tokens: int | None
    tags: tuple[str, ...]
    is_public: bool
    is_default: bool
    usage_count: int
    created_at: datetime
    updated_at: datetime


class UniversalRules(Struct, rename="camel"):
    rules: str
    version: str
    enabled: bool
    updated_at: datetime


class Deleted(Struct):
    success: bool = True
    message: str = "Personality deleted successfully"


@api.add("GET", "/api/v1/personalities/", answer=list[Personality])
async def list_personalities(call: Call) -> list[Personality]:
    presets = await call.chat.store.presets.visible(call.reader)
    return [_personality(preset) for preset in sorted(presets, key=lambda preset: (preset.name, preset.id))]


@api.add(
    "POST",
    "/api/v1/personalities/",
    body=NewPersonality,
    answer=Personality,
    also={400: Also("The id or name is taken")},
)
async def add_personality(call: Call) -> Personality:
    body = call.read(NewPersonality)
    slug = to_slug(body.id or body.name)
    if not slug:
        raise InvalidValue("id" if body.id else "name", "no_id_left")
    new = NewPreset(
        name=body.name,
        prompt=body.prompt,
        speaking=Speaking(
            model=body.model or None,
            temperature=body.temperature,
            max_tokens=body.max_tokens,
            window=WINDOW,
            slides=True,
        ),
        title=body.title or "",
        description=body.description,
        category=body.category,
        welcome=body.welcome,
        tags=body.tags,
        is_public=body.is_public,
        is_default=body.is_default,
        slug=slug,
    )
    maker = await call.stored_user()
    return _personality(await add_preset(call.chat, maker, call.reader, new, refuse_taken_id=True))


@api.add("GET", "/api/v1/personalities/{id}", answer=Personality)
async def get_personality(call: Call) -> Personality:
    return _personality(await access_preset(call.chat, call.reader, call.parameters["id"]))


@api.add("PUT", "/api/v1/personalities/{id}", body=PersonalityChange, answer=Personality)
async def change_personality(call: Call) -> Personality:
    body = call.read(PersonalityChange)
    preset = await access_own_preset(call.chat, call.reader, call.parameters["id"])
    change = PresetChange(
        name=body.name,
        prompt=body.prompt,
        title=body.title,
        description=body.description,
        category=body.category,
        welcome=body.welcome,
        tags=body.tags,
        is_public=body.is_public,
        is_default=body.is_default,
        model=body.model if body.model is UNSET else body.model or None,
        temperature=body.temperature,
        max_tokens=body.max_tokens,
    )
    try:
        return _personality(await change_preset(call.chat, call.user, preset, change))
    except Taken as error:
        raise InvalidValue("name", "taken") from error
    except InvalidValue as error:
        # The core's one other objection: a built-in stays as visible as it is.
        used = next(name for name in PUBLIC_NAMES if call.payload.get(name) is not None)
        raise Invalid([FieldProblem(used, error.reason, {})], "body") from error


@api.add(
    "DELETE",
    "/api/v1/personalities/{id}",
    answer=Deleted,
    refusals={BuiltIn: worded(400, "default_kept")},
    also={400: Also("A default one, or one of the server's own")},
)
async def delete_personality(call: Call) -> Deleted:
    await delete_preset(call.chat, await access_own_preset(call.chat, call.reader, call.parameters["id"]))
    return Deleted()


@api.add("GET", "/api/v1/settings/universal-rules", answer=UniversalRules)
async def get_rules(call: Call) -> UniversalRules:
    return _rules(await call.chat.store.presets.rules())


@api.add("PUT", "/api/v1/settings/universal-rules", who="admin", body=NewRules, answer=UniversalRules)
async def change_rules(call: Call) -> UniversalRules:
    body = call.read(NewRules)
    change = RulesChange(rules=body.rules, version=body.version, enabled=body.enabled)
    return _rules(await call.chat.store.presets.change_rules(change, call.chat.clock.now()))


def _personality(preset: Preset) -> Personality:
    speaking = preset.speaking
    return Personality(
        preset.slug, preset.name, preset.title, preset.description, preset.category, preset.prompt, preset.welcome,
        speaking.model, speaking.temperature, speaking.max_tokens, preset.tags, preset.is_public, preset.is_default,
        preset.usage_count, to_time(preset.created_at), to_time(preset.updated_at),
    )  # fmt: skip


def _rules(rules: Rules) -> UniversalRules:
    return UniversalRules(rules.rules, rules.version, rules.enabled, to_time(rules.updated_at))
