"""What every answer tells browsers: each operation, each kind of error, files, streams, and requests that are none."""

import re
import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from palaver.guards import GUARDS
from tests.contracts.matrix import ROWS, Row
from tests.contracts.raw import UPGRADE, connect, request
from tests.journeys.client import Answer, Client
from tests.parts.palaver import Server, StoreKind

OURS = "https://chat.example.org"
FRIEND = "https://friend.example.org"
EVIL = "https://evil.example.org"
HTML = {"Accept": "text/html"}
JSON = {"Content-Type": "application/json"}
UPLOAD = {"Content-Type": "text/plain"}

# The contracts fix what it says of caching.
STREAM = "POST /api/chat/stream/"

EVERYWHERE = {name.decode(): value.decode() for name, value in GUARDS}

pytestmark = pytest.mark.usefixtures("llm")


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "sqlite"


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_PUBLIC_URL": OURS, "BACKEND_CORS_ORIGINS": FRIEND}


def check_guarded(headers: Mapping[str, str], *, api: bool = True) -> None:
    """`api`: it is no page and no file of ours, and one person's."""
    told = {name.lower(): value for name, value in headers.items()}
    assert told["x-content-type-options"] == "nosniff"
    assert told["referrer-policy"] == "same-origin"
    policy = told["content-security-policy"]
    assert {"default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert "unsafe" not in policy
    assert {"server", "x-powered-by"}.isdisjoint(told)
    if api:
        assert {name: told[name] for name in EVERYWHERE} == EVERYWHERE


def path_of(row: Row) -> str:
    """Of something that is not there: what is done to nothing may be done to everything."""
    path = row.operation.partition(" ")[2]
    for name in ("{id}", "{message_id}", "{user}", "{app}", "{name}", "{code}"):
        path = path.replace(name, str(uuid.uuid4()))
    return path.replace("{number}", "1") + row.query


def is_kept(row: Row) -> bool:
    """Pages and files: they are shown, and kept for a while. And a stream."""
    return row.operation in {"GET /docs", "GET /docs/", "GET /service-worker.js", "GET /assets/{name}", STREAM}


@pytest.mark.parametrize("row", [row for row in ROWS if not is_kept(row)], ids=lambda row: row.operation)
async def test_every_operation_guards_its_answers(admin: Client, nobody: Client, row: Row) -> None:
    method = row.operation.partition(" ")[0]
    # Whoever asks for nothing signs nobody out.
    asking = nobody if row.operation in ("POST /api/auth/logout", "POST /sign-out") else admin
    answer = await asking.having(Origin=EVIL).send(method, path_of(row), row.body)
    check_guarded(answer.headers)
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


ODD: dict[str, tuple[int, str, str, dict[str, str], bytes | None]] = {
    "no such path": (404, "GET", "/nowhere", {}, None),
    "no such file": (404, "GET", "/assets/nothing.js", {}, None),
    "a way out of the files": (404, "GET", "/assets/..%2findex.html", {}, None),
    "no such method": (405, "TRACE", "/api/chat", {}, None),
    "no method at all": (400, "FROB", "/api/chat", {}, None),
    "a head": (200, "HEAD", "/api/usage", {}, None),
    "no preflight": (405, "OPTIONS", "/api/chat", {}, None),
    "a preflight of somebody else": (400, "OPTIONS", "/api/chat", {"Access-Control-Request-Method": "POST"}, None),
    "too large": (413, "POST", "/api/chat", JSON, b" " * 1_048_577),
    "no JSON": (422, "POST", "/api/chat", JSON, b"{"),
    "another type": (415, "POST", "/api/chat", UPLOAD, b"hi"),
    "a link that is gone": (410, "GET", "/sign-in/nothing", HTML, None),
}


@pytest.mark.parametrize("name", ODD)
async def test_every_error_guards_itself(admin: Client, name: str) -> None:
    status, method, path, headers, body = ODD[name]
    answer = await admin.sending({**headers, "Origin": EVIL}).send(method, path, body)
    assert answer.status == status
    check_guarded(answer.headers)


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/"])
async def test_pages_run_nothing_but_what_is_ours(nobody: Client, path: str) -> None:
    answer = await nobody.sending(HTML).get(path)
    assert answer.headers["Content-Type"].startswith("text/html")
    check_guarded(answer.headers, api=False)


async def test_files_of_the_web_app_are_kept_and_guarded(nobody: Client) -> None:
    page = (await nobody.sending(HTML).get("/")).text
    files = re.findall(r'"\./assets/([\w.-]+)"', page)
    assert files
    for path in ["/service-worker.js", *(f"/assets/{name}" for name in files)]:
        answer = await nobody.get(path)
        assert answer.status == 200
        check_guarded(answer.headers, api=False)
        assert "no-store" not in answer.headers["Cache-Control"]


async def test_streams_and_downloads_are_guarded(admin: Client) -> None:
    stream = await admin.post("/api/chat/stream/", message="hello")
    check_guarded(stream.headers, api=False)
    collection = (await admin.post("/ai-chat/api/collections/", name="Mine")).body["id"]
    place = f"/ai-chat/api/collections/{collection}/documents/?name=a.html"
    made = await admin.sending(UPLOAD).send("POST", place, b"<script>alert(1)</script>")
    file = await admin.get(f"/ai-chat/api/documents/{made.body['id']}/file/")
    check_guarded(file.headers, api=False)
    assert "sandbox" in file.headers["Content-Security-Policy"]
    assert file.headers["Content-Disposition"].startswith("attachment")
    assert "no-store" in file.headers["Cache-Control"]


BROKEN = {
    "a request that is none": b"GET / HTTP/9.9\r\n\r\n",
    "a head without an end": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Long: " + b"x" * 200_000,
    "a handshake that is none": request("/ws/ai-chat/sessions/", {**UPGRADE, "Sec-WebSocket-Key": "short"}),
    "a handshake without a version": request("/ws/keepalive", {**UPGRADE, "Sec-WebSocket-Version": "1"}),
    "a socket that nobody has": request("/ws/nothing", UPGRADE),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_the_app_never_hears_of_is_guarded_too(shared_server: Server, name: str) -> None:
    async with connect(shared_server.url) as raw:
        await raw.send(BROKEN[name])
        status, headers = await raw.head()
    assert status >= 400
    check_guarded(headers)


async def test_pages_of_an_allowed_origin_read_errors_too_and_no_other_reads_anything(admin: Client) -> None:
    friend, evil = admin.having(Origin=FRIEND), admin.having(Origin=EVIL)
    for path in ("/api/usage", "/nowhere", "/api/chat/sessions/nothing"):
        assert _allowed(await friend.get(path)) == FRIEND
        assert _allowed(await evil.get(path)) is None


def _allowed(answer: Answer) -> Any:
    return answer.headers.get("Access-Control-Allow-Origin")
