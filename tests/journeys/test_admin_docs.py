"""docs/admin.md: its commands are run as they stand, and its tables are held against what a server says of itself."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from palaver.chat.ranges import LARGEST_WHOLE
from tests.journeys.client import open_client
from tests.journeys.pages import check_commands, quoted, read_page, rows, section
from tests.parts.palaver import Server, StoreKind

PAGE = read_page("admin.md")
# What the head of the page says of all of them, or every operation may answer.
OF_ALL = {"401", "403", "413", "415", "500", "503"}


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "sqlite"


@pytest.fixture(scope="module")
async def told(shared_server: Server) -> Any:
    """What the server says of itself."""
    async with open_client(shared_server) as client:
        return (await client.get("/openapi.json")).body


def operations() -> Iterator[tuple[str, str, list[str]]]:
    """Method, path, and the other cells of the row."""
    for cells in rows(PAGE):
        found = re.fullmatch(r"(GET|POST|PUT|PATCH|DELETE) `(.*)`", cells[0])
        if found is not None:
            yield found[1].lower(), found[2], cells[1:]


async def test_commands_print_what_the_page_says(server: Server) -> None:
    assert await check_commands(PAGE, server) >= 4


async def test_every_operation_for_admins_is_there_and_no_other(told: Any) -> None:
    there = {
        (method, path)
        for path, methods in told["paths"].items()
        if path.startswith("/api/admin/") or path == "/api/usage"
        for method in methods
    }
    assert {(method, path) for method, path, _ in operations()} == there


async def test_operations_take_and_answer_what_the_page_says(told: Any) -> None:
    for method, path, (request, success, errors) in operations():
        operation = told["paths"][path][method]
        taken = schemas(operation)
        assert set(quoted(request)) - {"[]"} == set(taken), (method, path)
        for name, schema in taken.items():
            about = request.partition(f"`{name}`")[2].partition(";")[0]
            for bounds in bounded(schema):
                assert bounds in about, (method, path, name)
        statuses = set(operation["responses"])
        assert {success[:3]} == {status for status in statuses if status < "300"}
        said = set(re.findall(r"\b4\d\d\b", errors))
        assert said == statuses - OF_ALL - {success[:3]}, (method, path)


def bounded(schema: Any) -> Iterator[str]:
    """The range of a number, as the page writes it; what no number in use can pass is none."""
    for part in schema.get("anyOf", [schema]):
        if part.get("maximum", LARGEST_WHOLE) < LARGEST_WHOLE:
            yield f"{part['minimum']}..{part['maximum']}"


def schemas(operation: Any) -> dict[str, Any]:
    """What it takes in its query or its body, by name."""
    body = operation.get("requestBody", {"content": {"application/json": {"schema": {"properties": {}}}}})
    in_body: dict[str, Any] = body["content"]["application/json"]["schema"]["properties"]
    return in_body | {one["name"]: one["schema"] for one in operation["parameters"] if one["in"] == "query"}


@pytest.mark.parametrize(
    ("title", "path", "inner"),
    [
        ("People", "/api/admin/users/{user}", ""),
        ("Applications", "/api/admin/apps/{app}", ""),
        ("LLM servers", "/api/admin/servers/{name}", ""),
        ("Models", "/api/admin/models/{id}", ""),
        ("What was used", "/api/admin/usage", "rows"),
        ("Limits", "/api/admin/limits/{user}", ""),
    ],
)
async def test_fields_of_an_answer_are_those_of_the_page(told: Any, title: str, path: str, inner: str) -> None:
    _, _, fields = section(PAGE, title).partition("| field | what it is |")
    named = {name for cells in rows(fields) for name in quoted(cells[0])}
    answer = told["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    properties = resolve(told, answer)["properties"]
    shown = resolve(told, properties[inner]["items"])["properties"] if inner else properties
    assert named == set(shown)


def resolve(told: Any, schema: Any) -> Any:
    return told["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
