"""A preset: a named way to start. APIs call it context, template, personality or preset; it is one thing."""

import re
from typing import Literal

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict

from palaver.chat.clock import Micros
from palaver.chat.conversation import PresetId, Speaking
from palaver.chat.user import UserId

# Every preset can be named where an API wants its id.
SLUG_LENGTH = 100
SLUG = re.compile(rf"[A-Za-z0-9_-]{{1,{SLUG_LENGTH}}}")

GENERAL_ID = PresetId(1)
GENERAL = "general"

# Built-in settings that only admins see; the ids follow `general`.
DOMAIN = "domain"
STREAMING = "streaming"

Visibility = Literal["public", "private", "internal"]


class Preset(Struct, frozen=True):
    id: PresetId
    slug: str
    owner_id: UserId | None
    name: str
    title: str
    description: str
    category: str
    prompt: str
    welcome: str
    speaking: Speaking
    tags: tuple[str, ...]
    visibility: Visibility
    is_default: bool
    usage_count: int
    created_at: Micros
    updated_at: Micros
    version: int = 1
    changed_by: UserId | None = None

    @property
    def is_builtin(self) -> bool:
        return self.owner_id is None

    @property
    def is_changed(self) -> bool:
        """Somebody has changed it since it was made."""
        return self.updated_at != self.created_at

    @property
    def is_public(self) -> bool:
        return self.visibility == "public"


class DomainSettings(Struct, frozen=True):
    """What the operator's settings make of `domain`, each until an admin says otherwise; unset, what is built in."""

    model: str = "gpt-4"
    temperature: float = 0.7


class NewPreset(Struct, frozen=True):
    name: str
    prompt: str
    speaking: Speaking
    title: str = ""
    description: str = ""
    category: str = "general"
    welcome: str = ""
    tags: tuple[str, ...] = ()
    is_public: bool = False
    is_default: bool = False
    slug: str = ""
    """The name id that is wanted; empty: made of the name."""


class PresetChange(Struct, frozen=True):
    """What to change; `UNSET` stays as it is, `None` is a value."""

    name: str | UnsetType = UNSET
    prompt: str | UnsetType = UNSET
    title: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    category: str | UnsetType = UNSET
    welcome: str | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    is_public: bool | UnsetType = UNSET
    is_default: bool | UnsetType = UNSET
    provider: str | UnsetType | None = UNSET
    model: str | UnsetType | None = UNSET
    temperature: float | UnsetType | None = UNSET
    max_tokens: int | UnsetType | None = UNSET
    window: int | UnsetType | None = UNSET
    collection: str | UnsetType | None = UNSET
    enable_tools: bool | UnsetType = UNSET
    presence_penalty: float | UnsetType | None = UNSET
    frequency_penalty: float | UnsetType | None = UNSET
    slides: bool | UnsetType = UNSET
    token_budget: int | UnsetType | None = UNSET
    caches_answers: bool | UnsetType = UNSET


class PresetContent(Struct, frozen=True):
    """What a preset says and how it has bots asked: all that a version holds. Who may use it is none of it."""

    name: str
    prompt: str
    speaking: Speaking
    title: str
    description: str
    category: str
    welcome: str
    tags: tuple[str, ...]


class VersionListed(Struct, frozen=True):
    """Since when a preset is or was what it is or was, and by whom; None where that is not known (any more)."""

    number: int
    changed_at: Micros
    changed_by: UserId | None


class PresetVersion(VersionListed, frozen=True):
    content: PresetContent


def to_content(preset: Preset) -> PresetContent:
    return PresetContent(**{name: getattr(preset, name) for name in PresetContent.__struct_fields__})


def to_change(content: PresetContent) -> PresetChange:
    """What makes any preset say this."""
    named = asdict(content)
    del named["speaking"]
    return PresetChange(**named, **asdict(content.speaking))


class Rules(Struct, frozen=True):
    """The universal rules that go before the prompt of every session chatify starts."""

    rules: str
    version: str
    enabled: bool
    updated_at: Micros

    def before(self, prompt: str) -> str:
        return f"{self.rules}\n\n{prompt}" if self.enabled and self.rules else prompt


class RulesChange(Struct, frozen=True):
    """What to change; `UNSET` stays as it is."""

    rules: str | UnsetType = UNSET
    version: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


def to_slug(name: str) -> str:
    """The name id made of a name; empty where nothing usable is left."""
    return re.sub(r"[^a-z0-9_-]", "", re.sub(r"\s", "-", name.lower()))[:SLUG_LENGTH]


def keep_slug(key: str) -> str:
    """The name id of what has a key already: that, where it can be one; what is made here has small letters alone."""
    return key if SLUG.fullmatch(key) else to_slug(key)


def to_numbered(slug: str, number: int) -> str:
    """The same name id with a number after it, no longer than name ids may be."""
    suffix = f"-{number}"
    return slug[: SLUG_LENGTH - len(suffix)] + suffix
