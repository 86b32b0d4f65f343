"""The OpenAPI 3.1 document, drawn from the same table that the server answers by."""

import re
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import msgspec

from palaver.api.operation import Also, Operation, Style
from palaver.api.refusals import EVERYWHERE
from palaver.chat.accounts import WrongCredentials
from palaver.chat.errors import (
    BotUnavailable,
    Busy,
    ChatError,
    Conflict,
    Draining,
    Ended,
    Forbidden,
    NotFound,
    Overloaded,
    RateLimited,
)

DETAIL = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
FIELDS = {
    "type": "object",
    "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
}
ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "details": {"type": "object"}},
    "required": ["error"],
}
PROBLEMS = {
    "type": "object",
    "properties": {
        "detail": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
                    "msg": {"type": "string"},
                    "type": {"type": "string"},
                },
                "required": ["loc", "msg", "type"],
            },
        }
    },
    "required": ["detail"],
}
SCHEMAS = {"Detail": DETAIL, "Fields": FIELDS, "Error": ERROR, "Problems": PROBLEMS}

WORDS = {
    400: "Invalid, or refused for a reason it tells",
    401: "No valid credentials",
    402: "Over budget; Retry-After says when there is some again",
    403: "Not allowed",
    404: "Not there, or not yours",
    408: "It did not come any further",
    409: "In conflict with what is there",
    413: "Too large",
    415: "Not JSON",
    422: "Invalid",
    429: "Too many; Retry-After says when to come back",
    500: "An error of the server's own",
    503: "Not just now",
}

SECURITY = {
    "token": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer …` or `Token …`"},
    "session": {"type": "apiKey", "in": "cookie", "name": "palaver_session"},
    "guest": {"type": "apiKey", "in": "cookie", "name": "palaver_guest"},
}


# The schemas of answers, by the id of the answer.
Schemas = Mapping[int, Mapping[str, Any]]


def describe(operations: Iterable[Operation], version: str) -> bytes:
    operations = [operation for operation in operations if operation.described]
    told = [[operation.answer, *(also.answer for also in operation.also.values())] for operation in operations]
    answers = [answer for answer in chain.from_iterable(told) if answer is not None]
    schemas, components = msgspec.json.schema_components(answers, ref_template="#/components/schemas/{name}")
    by_answer = {id(answer): schema for answer, schema in zip(answers, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        described = _operation(operation, by_answer)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Palaver", "version": version, "description": "A chat backend that people run themselves."},
        "paths": paths,
        "components": {"schemas": {**components, **SCHEMAS}, "securitySchemes": SECURITY},
    }
    return msgspec.json.encode(document)


def _operation(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.api],
        "summary": operation.summary or operation.name.replace("_", " "),
        "parameters": _parameters(operation),
        "responses": _responses(operation, schemas),
        "security": _security(operation),
    }
    if operation.body is not None:
        media = {"application/json": {"schema": operation.body.schema()}}
        if operation.takes_form:
            media["application/x-www-form-urlencoded"] = {"schema": operation.body.schema()}
        described["requestBody"] = {"required": not operation.body.all_optional(), "content": media}
    if operation.takes_file:
        described["requestBody"] = {"required": True, "content": {"application/octet-stream": {}}}
    return described


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    if operation.who == "open":
        return []
    known: list[dict[str, list[str]]] = [{"token": []}, {"session": []}]
    return [*known, {"guest": []}, {}] if operation.who in ("caller", "anyone") else known


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]
    if operation.query is None:
        return in_path
    in_query = [
        {"name": field.names[0], "in": "query", "required": field.required, "schema": field.kind.schema()}
        for field in operation.query.fields.values()
    ]
    return in_path + in_query


def _responses(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    success = Also("Done", operation.answer, operation.content_types)
    responses: dict[str, Any] = {str(operation.status): _response(success, schemas.get(id(operation.answer)))}
    for status in sorted(_statuses(operation) | set(operation.also)):
        also = operation.also.get(status, Also(WORDS.get(status, "Refused")))
        if also.answer is None:
            described = _refused(operation, status, also)
        else:
            described = _response(also, schemas[id(also.answer)])
        responses.setdefault(str(status), described)
    return responses


def _response(also: Also, json: Mapping[str, Any] | None) -> dict[str, Any]:
    """`json` is the schema where it is JSON. All else has none: the schema of a stream would be an event's."""
    content: dict[str, Any] = {kind: {} for kind in also.content_types if kind != "application/json"}
    if json is not None and "application/json" in also.content_types:
        content["application/json"] = {"schema": json}
    return {"description": also.words} | ({"content": content} if content else {})


def _refused(operation: Operation, status: int, also: Also) -> dict[str, Any]:
    style = operation.style
    if style is Style.STREAMING or status in operation.says_error:
        name = "Error"
    elif status == 422:
        name = "Problems"
    else:
        name = "Fields" if status == 400 and style is Style.DRF else "Detail"
    refused = _response(also, {"$ref": f"#/components/schemas/{name}"})
    if status in (402, 429, 503):
        refused["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    if status in (402, 429):
        refused["headers"] |= {name: {"schema": {"type": "string"}} for name in ("RateLimit-Policy", "RateLimit")}
    return refused


def _statuses(operation: Operation) -> set[int]:
    """Every status a refusal of this operation can have."""
    invalid = 422 if operation.style is Style.FASTAPI else 400
    statuses = {500, 503}
    for kind in _possible(operation):
        statuses.add((operation.refusals.get(kind) or EVERYWHERE[kind]).status)
    if operation.body is not None:
        statuses |= {413, 415, invalid}
    if operation.takes_file:
        statuses.add(413)
    if operation.query is not None:
        statuses.add(invalid)
    return statuses


def _possible(operation: Operation) -> list[type[ChatError]]:
    possible = list(operation.raises)
    if operation.who == "open":
        if operation.body is not None:
            possible += [RateLimited]
        return possible
    possible += [WrongCredentials, Forbidden]
    in_conversation = operation.starts_turn and not operation.stateless
    if "{" in operation.path or in_conversation:
        possible.append(NotFound)
    if in_conversation:
        possible += [Busy, Conflict, Ended]
    if operation.starts_turn:
        possible += [BotUnavailable, Draining, Overloaded]
    if operation.to_people:
        possible += [Conflict, Ended, Draining, Overloaded]
    if operation.starts_turn or operation.counts_as_turn or operation.to_people:
        possible.append(RateLimited)
    return possible
