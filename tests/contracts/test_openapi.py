"""The OpenAPI document says what the server does: generated requests find no 5xx and no answer it does not describe."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from palaver.app import operations
from tests.contracts.matrix import ROWS, Row
from tests.parts.palaver import Server
from tests.parts.process import bare_environment

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance"
)
CALLERS = ("none", "bad", "other", "owner", "admin", "guest")


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_GUESTS": "on", "PALAVER_DEFAULT_PROVIDER": "dummy", "PALAVER_SIGN_IN_ATTEMPTS": "20"}


async def _document(server: Server, path: str = "/openapi.json") -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(server.url + path) as answer:
        assert answer.status == 200
        document: dict[str, Any] = await answer.json()
        return document


async def test_the_document_is_the_same_at_its_three_places(shared_server: Server) -> None:
    first = await _document(shared_server)
    assert first["openapi"] == "3.1.0"
    assert await _document(shared_server, "/api/v1/openapi.json") == first
    assert await _document(shared_server, "/schema/") == first


async def test_every_operation_is_described_with_its_name_and_its_security(shared_server: Server) -> None:
    paths = (await _document(shared_server))["paths"]
    names = [described["operationId"] for methods in paths.values() for described in methods.values()]
    assert len(names) == len(set(names))
    for operation in operations():
        described = paths[operation.path][operation.method.lower()]
        assert bool(described["security"]) == (operation.who != "open"), operation.path
        assert ("requestBody" in described) == (operation.body is not None), operation.path


@pytest.mark.parametrize("row", ROWS, ids=[row.operation for row in ROWS])
async def test_every_status_of_the_matrix_is_described(shared_server: Server, row: Row) -> None:
    method, _, path = row.operation.partition(" ")
    described = (await _document(shared_server))["paths"][path][method.lower()]["responses"]
    assert {str(row.expected(caller)) for caller in CALLERS} <= set(described)


@pytest.mark.parametrize("caller", ["admin", "person", "guest"])
async def test_generated_requests_are_answered_as_described(
    shared_server: Server, caller: str, prove: bool, tmp_path: Path
) -> None:
    arguments = ["--max-examples", "100" if prove else "8"]
    if caller != "guest":
        # Signing out would end the token that the rest of the run needs.
        arguments += ["--exclude-path", "/api/auth/logout", "--exclude-path", "/sign-out"]
        arguments += ["--header", f"Authorization: Bearer {await shared_server.token(caller)}"]
    command = Path(sys.executable).with_name("schemathesis")
    process = await asyncio.create_subprocess_exec(
        str(command), "run", f"{shared_server.url}/openapi.json", "--checks", CHECKS, "--seed", "20261121",
        "--generation-database", "none", "--no-color", *arguments,
        cwd=tmp_path, env=bare_environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    printed, _ = await process.communicate()
    text = printed.decode()
    assert process.returncode == 0, text[-6000:]
    assert "Test cases:" in text
    assert "Traceback" not in shared_server.log_text()
