"""Writes `web/src/api/schema.ts`: the types of what the web app gets, from our own OpenAPI document.

`--check` only says whether it is current.
"""

import json
import sys
from pathlib import Path
from typing import Any

from palaver.api.openapi import describe
from palaver.app import operations

TARGET = Path(__file__).parent.parent / "web" / "src" / "api" / "schema.ts"
# What the app asks for; what these are made of comes with them.
WANTED = (
    "SessionShown",
    "WholeSession",
    "MessagePage",
    "Branches",
    "UsedInSession",
    "TakenBack",
    "ModelShown",
    "PresetListed",
    "PresetShown",
    "SettingsShown",
    "Shares",
    "WholeVersion",
    "VersionShown",
    "OwnUsage",
    "DaysOfUsage",
    "ModelHealth",
    "MySessions",
    "Found",
    "LlmHealth",
    "AccountShown",
    "TokenShown",
    "TokenMade",
    "Me",
    "Synced",
    "PeoplePage",
    "PersonAdded",
    "AppShown",
    "AppTokenShown",
    "AppTokenAdded",
    "ServerShown",
    "TrialShown",
    "AdminModel",
    "PresetOverview",
    "PriceList",
    "LimitsShown",
    "LimitsOfAll",
    "UsageReport",
    "CollectionList",
    "DocumentList",
    "PassageList",
    "MyConversations",
    "PersonMessages",
    "WishesShown",
    "TargetList",
    "DeliveryPage",
)
REF = "#/components/schemas/"
PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def spell_all() -> str:
    schemas = json.loads(describe(operations(), "0"))["components"]["schemas"]
    waiting, named = list(WANTED), set(WANTED)
    written = {}
    while waiting:
        name = waiting.pop()
        written[name] = _interface(name, schemas[name])
        found = {ref for ref in _refs(schemas[name]) if ref not in named}
        named |= found
        waiting += sorted(found)
    head = "// Made by scripts/api_types.py from the OpenAPI document. Do not edit it.\n"
    return head + "".join(f"\n{written[name]}" for name in sorted(written))


def _interface(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    lines = [
        f"  {field}{'' if field in required else '?'}: {_spell(value)};\n"
        for field, value in schema["properties"].items()
    ]
    return f"export interface {name} {{\n{''.join(lines)}}}\n"


def _spell(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].removeprefix(REF))
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_spell(one) for one in schema["anyOf"])
    if schema["type"] == "array":
        return f"Array<{_spell(schema['items'])}>"
    return PLAIN.get(schema["type"], "Record<string, unknown>")


def _refs(schema: Any) -> set[str]:
    match schema:
        case {"$ref": str() as ref}:
            return {ref.removeprefix(REF)}
        case dict():
            return {ref for value in schema.values() for ref in _refs(value)}
        case list():
            return {ref for value in schema for ref in _refs(value)}
        case _:
            return set()


if __name__ == "__main__":
    spelled = spell_all()
    if sys.argv[1:] != ["--check"]:
        TARGET.parent.mkdir(parents=True, exist_ok=True)
        TARGET.write_text(spelled)
    elif TARGET.read_text() != spelled:
        raise SystemExit(f"{TARGET.name} is not current: run `python scripts/api_types.py`.")
