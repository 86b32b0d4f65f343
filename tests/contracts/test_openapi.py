"""The OpenAPI document says what the server does: generated requests find no 5xx and no answer it does not describe."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from palaver.api.openapi import describe
from palaver.app import operations
from tests.contracts.matrix import ROWS, Row
from tests.parts.palaver import Server
from tests.parts.process import bare_environment
from tests.promises import Measured

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance"
)
CALLERS = ("none", "bad", "other", "owner", "admin", "guest")


TOLD = [operation for operation in operations() if operation.described]
TOLD_ROWS = [row for row in ROWS if row.operation in {f"{one.method} {one.path}" for one in TOLD}]


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_GUESTS": "on", "PALAVER_DEFAULT_PROVIDER": "dummy", "PALAVER_SIGN_IN_ATTEMPTS": "20"}


async def _document(server: Server, path: str = "/openapi.json") -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(server.url + path) as answer:
        assert answer.status == 200
        document: dict[str, Any] = await answer.json()
        return document


@pytest.fixture(scope="module")
async def document(shared_server: Server) -> dict[str, Any]:
    return await _document(shared_server)


async def test_the_document_is_the_same_at_its_three_places(shared_server: Server) -> None:
    first = await _document(shared_server)
    assert first["openapi"] == "3.1.0"
    assert await _document(shared_server, "/api/v1/openapi.json") == first
    assert await _document(shared_server, "/schema/") == first


def test_every_operation_is_described_with_its_name_and_its_security(document: dict[str, Any]) -> None:
    paths = document["paths"]
    names = [described["operationId"] for methods in paths.values() for described in methods.values()]
    assert len(names) == len(set(names))
    for operation in TOLD:
        described = paths[operation.path][operation.method.lower()]
        assert bool(described["security"]) == (operation.who != "open"), operation.path
        assert ("requestBody" in described) == (operation.body is not None or operation.takes_file), operation.path


def test_what_operators_and_the_web_app_ask_for_is_no_part_of_it(document: dict[str, Any]) -> None:
    """None of it is on a page of the contracts: who reads the document would take it for a hole in them."""
    untold = {operation.path for operation in operations()} - set(document["paths"])
    assert untold == {"/ready", "/metrics", "/assets/{name}", "/service-worker.js"}


def test_every_shape_has_a_name_of_its_own() -> None:
    """Two of one name would both be named by their modules."""
    shapes = json.loads(describe(operations(), "0"))["components"]["schemas"]
    assert [name for name in shapes if "." in name] == []


def test_all_that_admins_do_stands_together_and_says_what_it_does(document: dict[str, Any]) -> None:
    paths = document["paths"]
    described = [one for path, methods in paths.items() if path.startswith("/api/admin/") for one in methods.values()]
    assert len(described) >= 15
    assert [one["tags"] for one in described] == [["admin"]] * len(described)
    assert [one["summary"] for one in described if one["summary"].startswith("admin ")] == []


@pytest.mark.parametrize("row", TOLD_ROWS, ids=[row.operation for row in TOLD_ROWS])
def test_every_status_of_the_matrix_is_described(document: dict[str, Any], row: Row) -> None:
    method, _, path = row.operation.partition(" ")
    described = document["paths"][path][method.lower()]["responses"]
    assert {str(row.expected(caller)) for caller in CALLERS} <= set(described)


# What is generated asks for everything, which takes a while: each caller on one of the stores, and what lies at the
# bounds of every field for one of them.
@pytest.mark.proof("security")
@pytest.mark.parametrize(
    ("store_kind", "caller", "phases"),
    [("sqlite", "admin", "fuzzing"), ("sqlite", "guest", "fuzzing"), ("postgres", "person", "coverage,fuzzing")],
    indirect=["store_kind"],
)
async def test_generated_requests_are_answered_as_described(
    shared_server: Server, caller: str, phases: str, prove: bool, measured: Measured, tmp_path: Path
) -> None:
    arguments = ["--max-examples", "100"] if prove else ["--max-examples", "1", "--phases", phases]
    arguments += ["--seed", os.environ.get("PALAVER_SEED", "20261121")]
    if caller != "guest":
        # These would end the token that the rest of the run needs.
        for path in ("/api/auth/logout", "/sign-out", "/api/account/tokens/{id}"):
            arguments += ["--exclude-path", path]
        arguments += ["--header", f"Authorization: Bearer {await shared_server.token(caller)}"]
    command = Path(sys.executable).with_name("schemathesis")
    process = await asyncio.create_subprocess_exec(
        str(command), "run", f"{shared_server.url}/openapi.json", "--checks", CHECKS,
        "--generation-database", "none", "--no-color", *arguments,
        cwd=tmp_path, env=bare_environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    printed, _ = await process.communicate()
    text = printed.decode()
    assert process.returncode == 0, text[-6000:]
    cases = re.search(r"Test cases:\s+(\d+) generated", text)
    assert cases is not None
    measured("requests", int(cases[1]), "")
    assert "Traceback" not in shared_server.log_text()


def _content(document: dict[str, Any], operation: str, status: str) -> dict[str, Any]:
    method, path = operation.split()
    content: dict[str, Any] = document["paths"][path][method.lower()]["responses"][status].get("content", {})
    return content


@pytest.mark.parametrize("path", ["/health", "/api/v1/health", "/api/health/"])
def test_health_that_is_not_well_is_described_as_a_status(document: dict[str, Any], path: str) -> None:
    content = _content(document, f"GET {path}", "503")
    assert content == {"application/json": {"schema": {"$ref": "#/components/schemas/Status"}}}


@pytest.mark.parametrize(
    ("operation", "status", "types"),
    [
        ("GET /", "200", ["application/json", "text/html"]),
        ("GET /docs", "200", ["text/html"]),
        ("GET /docs/", "200", ["text/html"]),
        ("GET /sign-in/{code}", "303", []),
        ("GET /sign-in/{code}", "410", ["application/json", "text/html"]),
        ("POST /api/chat/stream/", "200", ["text/event-stream"]),
        ("GET /api/chat/stream/", "200", ["text/event-stream"]),
        ("GET /api/chat/stream/", "204", []),
        ("GET /ai-chat/api/documents/{id}/file/", "200", ["application/octet-stream"]),
        ("POST /ai-chat/api/collections/{id}/documents/", "200", ["application/json"]),
        ("POST /ai-chat/api/collections/{id}/documents/", "202", ["application/json"]),
    ],
)
def test_answers_that_are_not_json_are_described_by_their_types(
    document: dict[str, Any], operation: str, status: str, types: list[str]
) -> None:
    assert sorted(_content(document, operation, status)) == types


@pytest.mark.parametrize(
    ("operation", "possible", "impossible"),
    [
        ("GET /api/chat/sessions", {"401"}, {"404", "409", "429"}),
        ("GET /api/chat/sessions/{id}", {"404"}, {"409", "429"}),
        ("POST /api/chat/sessions/{id}", {"404", "422"}, {"409"}),
        ("PATCH /api/chat/sessions/{id}", {"404", "422"}, {"409"}),
        ("DELETE /api/chat/sessions/{id}", {"404"}, {"409"}),
        ("POST /api/chat", {"404", "409", "429", "503"}, set()),
        ("POST /api/chat/start", {"429"}, {"409"}),
        ("POST /api/v1/chatbot/session", {"429"}, {"404", "409"}),
        ("POST /api/v1/chatbot/session/{id}/message", {"400", "409", "429"}, {"404"}),
        ("POST /api/v1/chat/", {"400", "429", "503"}, {"404", "409"}),
        ("POST /api/v1/chat/simple", {"400", "429", "503"}, {"404", "409"}),
        ("POST /api/v1/chat/conversation", {"400", "429", "503"}, {"404", "409"}),
    ],
)
def test_only_refusals_that_can_happen_are_described(
    document: dict[str, Any], operation: str, possible: set[str], impossible: set[str]
) -> None:
    method, path = operation.split()
    described = set(document["paths"][path][method.lower()]["responses"])
    assert possible <= described
    assert not impossible & described
