"""What the contracts promise of every API alike, over real HTTP, as their README says it."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import ClientSession, WSServerHandshakeError
from yarl import URL

from tests.journeys.client import (
    PASSWORD,
    TEXT,
    TIME,
    UUID4,
    Answer,
    Client,
    ask_until,
    new_name,
    open_beside,
    open_client,
    register,
    sign_in,
)
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer
from tests.parts.run import Run

UNKNOWN = "0d2b8a54-6f0f-4c55-9e0a-5a3c1d2f7b10"
JSON = {"Content-Type": "application/json"}
FOREIGN = {"Origin": "https://evil.example.org"}
LARGE = b'{"message": "' + b"x" * 1_048_576 + b'"}'
ALLOWED = "https://app.example.org"
# As long as a busy machine may take for what comes at once.
SECONDS = 15.0
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}

# A safe operation of each API that asks who is there, and one that changes something.
READ = ("/api/chat/contexts", "/api/chat/sessions", "/api/v1/personalities/", "/api/auth/me")
SAY = (("/api/chat", {"message": "hi"}), ("/api/chat/start", {"context_id": 1, "initial_message": "hi"}))
OPEN = (
    "/", "/health", "/api/v1/health", "/api/health/", "/api/v1/", "/openapi.json", "/api/v1/openapi.json", "/schema/",
    "/docs", "/docs/",
)  # fmt: skip
# They stand on no page, and the document does not tell of them.
OF_OPERATORS = ("/ready", "/metrics")


# Each test finds the model as nobody has told it anything.
pytestmark = pytest.mark.usefixtures("llm")


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_REGISTRATION": "on", "PALAVER_LLM_TRIES": "1"}


@pytest.fixture(scope="module")
async def cookies(nobody: Client, shared_server: Server) -> dict[str, str]:
    """Of a browser in which the admin is signed in."""
    return await sign_in(nobody, shared_server)


@pytest.fixture(scope="module")
def browser_of_admin(nobody: Client, cookies: dict[str, str]) -> Client:
    return nobody.carrying(**cookies)


@pytest.fixture(scope="module")
def token_of_csrf(cookies: dict[str, str]) -> dict[str, str]:
    return {"X-CSRFToken": cookies["csrftoken"]}


@pytest.fixture(scope="module")
async def guest_server(run: Run, shared_server: Server) -> AsyncIterator[Server]:
    async with open_beside(run, shared_server, PALAVER_GUESTS="on") as server:
        yield server


@pytest.fixture(scope="module")
async def guest(guest_server: Server) -> AsyncIterator[Client]:
    """Somebody without credentials, where guests are let in."""
    async with open_client(guest_server) as client:
        yield client


@pytest.fixture(scope="module")
async def cors_server(run: Run, shared_server: Server) -> AsyncIterator[Server]:
    origins = {"BACKEND_CORS_ORIGINS": f'["{ALLOWED}"]', "ALLOWED_ORIGINS": "https://b.example.org,http://localhost:3"}
    async with open_beside(run, shared_server, **origins) as server:
        yield server


@pytest.fixture(scope="module")
async def visitor(cors_server: Server) -> AsyncIterator[Client]:
    """Somebody without credentials, where pages of other sites are let in."""
    async with open_client(cors_server) as client:
        yield client


async def begin(person: Client, message: str = "hello", **fields: Any) -> str:
    answer = await person.post("/api/chat", message=message, **fields)
    assert answer.status == 200, answer.text
    session: str = answer.body["sessionId"]
    return session


async def contents(person: Client, session: str) -> list[str]:
    answer = await person.get(f"/api/chat/sessions/{session}/messages")
    assert answer.status == 200, answer.text
    return [message["content"] for message in answer.body]


def seen(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.text


# Paths and methods


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere", "/api/chat/start/", "/api/chat/session/1/chat/", "/api/chat/contexts/", "/api/chat/contexts/1/",
        "/api/chat/sessions/", "/api/v1/personalities", "/api/v1/chatbot/session/", "/api/v1/chat", "/api/v1",
        "/api/health", "/health/", "/api/v1/health/", "/schema", "/openapi.json/", "/auth/login", "/auth/register",
        "/api/users/token/", "/api/auth/login/", "/sign-in/", "/sign-out/", "//", "/API/CHAT", "/api//chat", "/docs//",
        "/api/chat/sessions/a/b", "/ws/keepalive", "/%00", "/api/chat%2F", "/api/chat%2f", "/api%2Fchat",
        "/api%2fhealth/", "/%2Fapi/chat", "/health%2F", "/api/chat%2Fcontexts", "/api/chat/sessions/a%2Fb",
        "/api/chat/sessions/%2f",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_path_that_nobody_has_is_404_and_never_a_redirect(alice: Client, method: str, path: str) -> None:
    answer = await alice.send(method, path, {})
    assert seen(answer) == (404, '{"detail":"Not Found"}')


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/chat", ["POST"]),
        ("PUT", "/api/chat", ["POST"]),
        ("POST", "/api/chat/sessions", ["GET", "HEAD"]),
        ("DELETE", "/health", ["GET", "HEAD"]),
        ("OPTIONS", "/api/chat", ["POST"]),
        ("OPTIONS", "/", ["GET", "HEAD"]),
        ("HEAD", "/api/chat", ["POST"]),
        ("TRACE", "/api/chat/start", ["POST"]),
        ("POST", "/sign-in/some-code", ["GET", "HEAD"]),
        ("GET", "/sign-out", ["POST"]),
    ],
)
async def test_other_method_is_405_and_says_what_is_allowed(
    nobody: Client, method: str, path: str, allowed: list[str]
) -> None:
    answer = await nobody.send(method, path)
    assert answer.status == 405
    assert sorted(answer.headers["Allow"].split(", ")) == allowed
    assert answer.content in (b"", b'{"detail":"Method Not Allowed"}')
    assert (answer.content == b"") == (method == "HEAD")


async def answer_of(client: Client, method: str, path: str) -> Answer:
    """A database that takes its time has /ready say 503, for a moment."""
    return await ask_until(lambda: client.send(method, path), lambda answer: answer.status != 503, seconds=SECONDS)


@pytest.mark.parametrize("path", [*OPEN, "/ready", *READ, "/api/v1/chat/models", "/api/v1/settings/universal-rules"])
async def test_head_works_wherever_get_does(alice: Client, path: str) -> None:
    got, head = await answer_of(alice, "GET", path), await answer_of(alice, "HEAD", path)
    assert (head.status, head.content) == (got.status, b"") == (200, b"")
    for name in ("Content-Type", "Content-Length"):
        assert head.headers[name] == got.headers[name]


async def test_head_works_on_numbers_that_change(nobody: Client) -> None:
    got, head = await nobody.get("/metrics"), await nobody.send("HEAD", "/metrics")
    assert (head.status, head.content) == (got.status, b"") == (200, b"")
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    assert int(head.headers["Content-Length"]) > 0


async def test_head_works_on_a_thing_and_on_none(alice: Client, nobody: Client) -> None:
    session = await begin(alice)
    for place in (f"/api/chat/sessions/{session}", f"/api/chat/sessions/{session}/messages"):
        assert (await alice.send("HEAD", place)).status == 200
    missing = await alice.send("HEAD", f"/api/chat/sessions/{UNKNOWN}")
    assert (missing.status, missing.content) == (404, b"")
    refused = await nobody.send("HEAD", "/api/chat/sessions")
    assert (refused.status, refused.content, refused.headers["WWW-Authenticate"]) == (401, b"", "Bearer")


@pytest.mark.parametrize(
    "path",
    ["/ws/nowhere", "/ws/keepalive/", "/", "/api/chat", "/ws/ai-chat/x", "/ws%2Fkeepalive", "/ws/ai-chat/sessions%2f"],
)
async def test_socket_that_nobody_has_is_refused_with_404(shared_server: Server, path: str) -> None:
    async with ClientSession(headers={"X-Request-Id": "socket-1"}) as http:
        with pytest.raises(WSServerHandshakeError) as refused:
            await http.ws_connect(URL(f"{shared_server.url}{path}", encoded=True))
    assert refused.value.status == 404
    assert refused.value.headers is not None
    assert refused.value.headers["X-Request-Id"] == "socket-1"


async def test_handshake_carries_the_request_id(shared_server: Server) -> None:
    async with (
        ClientSession(headers={"X-Request-Id": "socket-2"}) as http,
        http.ws_connect(f"{shared_server.url}/ws/keepalive") as socket,
    ):
        assert socket._response.headers["X-Request-Id"] == "socket-2"


# CORS


async def test_cors_is_off_by_default(nobody: Client, alice: Client) -> None:
    preflight = await nobody.sending({"Origin": ALLOWED, **PREFLIGHT}).send("OPTIONS", "/api/chat")
    assert preflight.status == 400
    answer = await alice.sending({"Origin": ALLOWED}).get("/api/chat/sessions")
    assert answer.status == 200
    for one in (preflight, answer):
        assert not [name for name in one.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("origin", [ALLOWED, "https://b.example.org", "http://localhost:3"])
async def test_allowed_preflight_is_200(visitor: Client, origin: str) -> None:
    answer = await visitor.sending({"Origin": origin, **PREFLIGHT}).send("OPTIONS", "/api/chat")
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    assert {"authorization", "content-type"} <= set(re.split(r"\s*,\s*", allowed))


@pytest.mark.parametrize(
    "origin", ["https://evil.example.org", "http://app.example.org", "https://app.example.org:8443", "null"]
)
async def test_other_preflight_is_400_without_cors_headers(visitor: Client, origin: str) -> None:
    answer = await visitor.sending({"Origin": origin, **PREFLIGHT}).send("OPTIONS", "/api/chat")
    assert answer.status == 400
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


async def test_answers_to_allowed_origins_can_be_read_errors_too(visitor: Client) -> None:
    page = visitor.sending({"Origin": ALLOWED})
    for answer in (await page.get("/health"), await page.get("/api/chat/sessions"), await page.get("/nowhere")):
        assert answer.headers["Access-Control-Allow-Origin"] == ALLOWED
        exposed = re.split(r"\s*,\s*", answer.headers["Access-Control-Expose-Headers"])
        assert sorted(exposed) == ["Retry-After", "X-Request-Id"]
        assert "Origin" in answer.headers["Vary"]
    refused = await visitor.sending(FOREIGN).get("/health")
    assert not [name for name in refused.headers if name.lower().startswith("access-control")]


async def test_star_never_comes_with_credentials(start_server: StartServer) -> None:
    server = await start_server(BACKEND_CORS_ORIGINS="*")
    async with open_client(server) as client:
        page = client.sending(FOREIGN)
        for answer in (
            await page.get("/health"),
            await page.sending(PREFLIGHT).send("OPTIONS", "/api/chat"),
        ):
            assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
            assert "Access-Control-Allow-Credentials" not in answer.headers
        signed_in = client.carrying(**(kept := await sign_in(client, server)))
        with_csrf = signed_in.sending({"X-CSRFToken": kept["csrftoken"], **FOREIGN})
        assert (await with_csrf.post("/api/chat", message="hi")).status == 403


async def test_options_that_is_no_preflight_is_405(visitor: Client, nobody: Client) -> None:
    for client in (visitor.sending({"Origin": ALLOWED}), visitor.sending(PREFLIGHT), visitor, nobody):
        assert (await client.send("OPTIONS", "/api/chat")).status == 405


# Order of checks: each request breaks two rules at once, and the earlier one is told.


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/nowhere", 404), ("PUT", "/api/chat", 405), ("POST", "/api/chat/start", 413)],
)
async def test_path_and_method_come_before_size_and_size_before_credentials(
    nobody: Client, method: str, path: str, status: int
) -> None:
    assert (await nobody.sending(JSON).send(method, path, LARGE)).status == status


async def test_credentials_come_before_the_type_and_the_body(nobody: Client) -> None:
    for client in (nobody, nobody.bearing("x" * 43)):
        assert (await client.sending({"Content-Type": "text/plain"}).send("POST", "/api/chat", b"hi")).status == 401
        assert (await client.sending(JSON).send("POST", "/api/chat", b"{")).status == 401
        assert (await client.post("/api/chat")).status == 401


async def test_credentials_come_before_cross_site(nobody: Client) -> None:
    revoked = nobody.carrying(palaver_session="x" * 43, csrftoken="c").sending(FOREIGN)
    assert (await revoked.post("/api/chat", message="hi")).status == 401


async def test_cross_site_comes_before_the_type_the_body_and_the_conversation(
    browser_of_admin: Client, token_of_csrf: dict[str, str]
) -> None:
    foreign = browser_of_admin.sending({**token_of_csrf, **FOREIGN})
    assert (await foreign.sending({"Content-Type": "text/plain"}).send("POST", "/api/chat", b"hi")).status == 403
    assert (await foreign.sending(JSON).send("POST", "/api/chat", b"{")).status == 403
    assert (await foreign.post("/api/chat", message=" ", sessionId=UNKNOWN)).status == 403


async def test_too_many_attempts_come_before_the_type_and_the_body(start_server: StartServer) -> None:
    server = await start_server(PALAVER_SIGN_IN_ATTEMPTS="1")
    async with open_client(server) as client:
        for number in range(10):
            assert (await client.post("/sign-in", username=f"nobody{number}", password="wrong")).status == 401
        assert (await client.sending({"Content-Type": "text/plain"}).send("POST", "/sign-in", b"hi")).status == 429
        assert (await client.sending(JSON).send("POST", "/api/users/token", b"{")).status == 429
        assert (await client.post("/api/auth/login")).status == 429
        assert (await client.post("/auth/login/", username="other")).status == 429


@pytest.mark.parametrize(
    ("path", "fields"),
    [(f"/api/chat/session/{UNKNOWN}/chat", {"prompt": "hi"}), ("/api/chat", {"message": "hi", "sessionId": UNKNOWN})],
)
async def test_type_and_malformed_json_come_before_the_conversation(
    alice: Client, path: str, fields: dict[str, str]
) -> None:
    assert (await alice.sending({"Content-Type": "text/plain"}).send("POST", path, b"hi")).status == 415
    assert (await alice.sending(JSON).send("POST", path, b"{")).status in (400, 422)
    assert (await alice.post(path, **fields)).status == 404


async def test_conversation_comes_before_fields_in_drf_style_and_after_them_in_fastapi_style(alice: Client) -> None:
    assert (await alice.post(f"/api/chat/session/{UNKNOWN}/chat", prompt=" ")).status == 404
    assert (await alice.post("/api/chat", message=" ", sessionId=UNKNOWN)).status == 422


async def test_fields_come_before_a_conflict_and_an_end(alice: Client) -> None:
    session = await begin(alice, "hello", clientMessageId="c1")
    assert (await alice.delete(f"/api/v1/chatbot/session/{session}")).status == 200
    for answer in (
        await alice.post("/api/chat", message=" ", sessionId=session, clientMessageId="c1"),
        await alice.post(f"/api/chat/session/{session}/chat", prompt=" ", client_message_id="c1"),
    ):
        assert answer.status in (400, 422)


async def test_refused_request_changes_nothing(alice: Client, nobody: Client, llm: LLM) -> None:
    session = await begin(alice)
    before = (await alice.get(f"/api/chat/sessions/{session}")).body
    said = {"message": "more", "sessionId": session}
    for answer in (
        await nobody.post("/api/chat", **said),
        await alice.sending({"Content-Type": "text/plain"}).send("POST", "/api/chat", b"hi"),
        await alice.post("/api/chat", **{**said, "message": ""}),
        await alice.post("/api/chat", **{**said, "whenBusy": "?"}),
        await nobody.delete(f"/api/chat/sessions/{session}"),
        await nobody.patch(f"/api/chat/sessions/{session}", title="Mine"),
    ):
        assert answer.status >= 400
    assert (await alice.get(f"/api/chat/sessions/{session}")).body == before
    assert len(await llm.record()) == 1


# Who asks


async def token_of(nobody: Client) -> str:
    answer = await nobody.post("/auth/register/", username=new_name(), password=PASSWORD)
    token: str = answer.body["token"]
    return token


@pytest.mark.parametrize("scheme", ["Token", "Bearer", "token", "BEARER", "tOkEn"])
async def test_header_token_is_accepted_on_every_api_in_either_scheme(nobody: Client, scheme: str) -> None:
    person = nobody.sending({"Authorization": f"{scheme} {await token_of(nobody)}"})
    assert {(await person.get(path)).status for path in READ} == {200}
    assert (await person.post("/api/chat", message="hi")).status == 200
    assert (await person.post("/api/chat/start", context_id=1, initial_message="hi")).status == 201


@pytest.mark.parametrize("header", ["Token", "Bearer ", "Bearer x", "Token " + "x" * 43, "Bearer a b c", "Bearer é"])
async def test_bad_header_token_is_401_everywhere_and_with_a_good_cookie(
    nobody: Client, browser_of_admin: Client, guest: Client, header: str
) -> None:
    assert (await browser_of_admin.get("/api/auth/me")).status == 200
    for client in (nobody, browser_of_admin, guest):
        answers = [await client.sending({"Authorization": header}).get(path) for path in READ]
        assert {answer.status for answer in answers} == {401}
        assert {answer.headers["WWW-Authenticate"] for answer in answers} == {"Token", "Bearer"}
        assert not any(answer.cookies for answer in answers)


async def test_other_scheme_is_ignored(nobody: Client, browser_of_admin: Client, guest: Client) -> None:
    basic = {"Authorization": "Basic YWRtaW46YWRtaW4="}
    assert (await nobody.sending(basic).get("/api/chat/sessions")).status == 401
    assert (await browser_of_admin.sending(basic).get("/api/auth/me")).status == 200
    assert (await guest.sending(basic).get("/api/chat/sessions")).status == 200


async def test_token_in_the_query_is_ignored_over_http(nobody: Client) -> None:
    token = await token_of(nobody)
    for path in READ:
        assert (await nobody.get(f"{path}?token={token}")).status == 401
    wrong = nobody.bearing(token)
    assert (await wrong.get("/api/auth/me?token=wrong")).status == 200


async def test_header_goes_before_the_session_cookie(nobody: Client, browser_of_admin: Client, admin: Client) -> None:
    token = await token_of(nobody)
    me = (await nobody.bearing(token).get("/api/auth/me")).body["userId"]
    assert (await browser_of_admin.bearing(token).get("/api/auth/me")).body["userId"] == me
    assert (await browser_of_admin.get("/api/auth/me")).body == (await admin.get("/api/auth/me")).body


async def test_session_cookie_goes_before_the_guest_cookie(guest: Client, guest_server: Server) -> None:
    guest_cookie = (await guest.get("/api/chat/sessions")).cookies["palaver_guest"]
    kept = await sign_in(guest, guest_server)
    both = guest.carrying(palaver_guest=guest_cookie, **kept)
    assert (await both.get("/api/auth/me")).status == 200
    assert (await guest.carrying(palaver_guest=guest_cookie).get("/api/auth/me")).status == 401


async def test_revoked_token_closes_every_api(nobody: Client, shared_server: Server) -> None:
    name = new_name()
    person = nobody.bearing(await shared_server.token(name))
    assert {(await person.get(path)).status for path in READ} == {200}
    listed = await shared_server.cli("token", "list", "--user", name)
    token_id = re.findall(r"^\d+", listed, re.MULTILINE)[0]
    await shared_server.cli("token", "revoke", token_id)
    await ask_until(lambda: person.get(READ[0]), lambda answer: answer.status == 401, seconds=SECONDS)
    assert {(await person.get(path)).status for path in READ} == {401}


async def test_disabled_user_is_shut_out(nobody: Client, shared_server: Server) -> None:
    name = new_name()
    person = nobody.bearing(await shared_server.token(name))
    assert (await person.get("/api/auth/me")).status == 200
    await shared_server.cli("user", "disable", name)
    await ask_until(lambda: person.get(READ[0]), lambda answer: answer.status == 401, seconds=SECONDS)
    assert {(await person.get(path)).status for path in READ} == {401}


# Cookies


async def test_session_cookie_is_accepted_on_every_api(browser_of_admin: Client, token_of_csrf: dict[str, str]) -> None:
    assert {(await browser_of_admin.get(path)).status for path in READ} == {200}
    page = browser_of_admin.sending(token_of_csrf)
    assert [(await page.post(path, **body)).status for path, body in SAY] == [200, 201]


@pytest.mark.parametrize("sent", [{}, {"X-CSRFToken": ""}, {"X-CSRFToken": "null"}, {"X-CSRFToken": "x" * 32}])
async def test_session_cookie_changes_nothing_without_its_csrf_token(
    browser_of_admin: Client, sent: dict[str, str]
) -> None:
    for path, body in SAY:
        answer = await browser_of_admin.sending(sent).send("POST", path, body)
        assert (answer.status, list(answer.body)) == (403, ["detail"])
    assert (await browser_of_admin.sending(sent).get("/api/chat/sessions")).status == 200


async def test_csrf_token_needs_its_cookie(nobody: Client, cookies: dict[str, str]) -> None:
    for kept in ({}, {"csrftoken": ""}):
        page = nobody.carrying(palaver_session=cookies["palaver_session"], **kept)
        assert (await page.sending({"X-CSRFToken": ""}).post("/api/chat", message="hi")).status == 403
        assert (await page.sending({"X-CSRFToken": "x"}).post("/api/chat", message="hi")).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.org"},
        {"Origin": "null"},
        {"Referer": "https://evil.example.org/page"},
        {"Origin": "https://evil.example.org", "Referer": "SELF/"},
        {"Origin": "SELF.evil.example.org"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://["},
        {"Referer": "http://["},
    ],
)
async def test_cookie_and_a_foreign_origin_are_403_for_what_changes_something(
    browser_of_admin: Client, token_of_csrf: dict[str, str], guest: Client, headers: dict[str, str]
) -> None:
    foreign = {name: value.replace("SELF", guest.url) for name, value in headers.items()}
    kept = (await guest.get("/api/chat/sessions")).cookies
    for client in (browser_of_admin.sending(token_of_csrf), guest.carrying(**kept)):
        for path, body in SAY:
            answer = await client.sending(foreign).send("POST", path, body)
            assert (answer.status, list(answer.body)) == (403, ["detail"])
        assert (await client.sending(foreign).get("/api/chat/sessions")).status == 200
        assert (await client.sending(foreign).delete(f"/api/chat/sessions/{UNKNOWN}")).status == 403


async def test_cookie_and_our_own_origin_pass(browser_of_admin: Client, token_of_csrf: dict[str, str]) -> None:
    page = browser_of_admin.sending(token_of_csrf)
    for headers in (
        {},
        {"Origin": page.url},
        {"Referer": f"{page.url}/chat?x=1"},
        {"Origin": page.url, "Referer": "https://evil.example.org/"},
    ):
        assert (await page.sending(headers).post("/api/chat", message="hi")).status == 200


async def test_cookie_and_an_allowed_origin_pass(visitor: Client, cors_server: Server) -> None:
    kept = await sign_in(visitor, cors_server)
    page = visitor.carrying(**kept).sending({"X-CSRFToken": kept["csrftoken"], "Origin": ALLOWED})
    answer = await page.post("/api/chat", message="hi")
    assert (answer.status, answer.headers["Access-Control-Allow-Credentials"]) == (200, "true")
    assert (await page.sending(FOREIGN).post("/api/chat", message="hi")).status == 403


@pytest.mark.parametrize("csrf", ["null", "undefined", "", "x" * 5000])
async def test_csrf_token_is_ignored_without_the_session_cookie(alice: Client, guest: Client, csrf: str) -> None:
    sent = {"X-CSRFToken": csrf}
    kept = (await guest.get("/api/chat/sessions")).cookies
    for client in (alice, alice.sending(FOREIGN), guest, guest.carrying(**kept)):
        assert (await client.sending(sent).post("/api/chat", message="hi")).status == 200


async def test_odd_cookies_of_others_beside_ours_do_no_harm(nobody: Client, cookies: dict[str, str]) -> None:
    ours = f"palaver_session={cookies['palaver_session']}"
    for others in ('settings={"a": [1, "b"]}', "a b=c", "=", "é=ü", "x=y=z", '"', "palaver_guest=x", "a;;b"):
        for line in (f"{others}; {ours}", f"{ours}; {others}"):
            assert (await nobody.sending({"Cookie": line}).get("/api/auth/me")).status == 200, line


async def test_cookies_have_the_attributes_that_keep_them_safe(nobody: Client, shared_server: Server) -> None:
    code = (await shared_server.cli("user", "link", "admin")).split("/sign-in/")[1].strip()
    answer = await nobody.get(f"/sign-in/{code}")
    session, csrf = answer.cookie("palaver_session"), answer.cookie("csrftoken")
    assert session["httponly"] is True
    assert "httponly" not in csrf
    for attributes in (session, csrf):
        assert (attributes["samesite"], attributes["path"]) == ("Lax", "/")
        assert "secure" not in attributes
        assert "domain" not in attributes


async def test_cookies_are_secure_under_https(start_server: StartServer) -> None:
    server = await start_server(PALAVER_PUBLIC_URL="https://chat.example.org", PALAVER_GUESTS="on")
    async with open_client(server) as client:
        code = (await server.cli("user", "link", "admin")).split("https://chat.example.org/sign-in/")[1].strip()
        signed_in = await client.get(f"/sign-in/{code}")
        assert [signed_in.cookie(name)["secure"] for name in ("palaver_session", "csrftoken")] == [True, True]
        guest_cookie = (await client.get("/api/chat/sessions")).cookie("palaver_guest")
        assert guest_cookie["secure"] is True
        page = client.carrying(**signed_in.cookies).sending({"X-CSRFToken": signed_in.cookies["csrftoken"]})
        assert (await page.having(Origin="https://chat.example.org").post("/api/chat", message="hi")).status == 200


# Guests


async def test_without_guests_no_credentials_are_401_in_each_style(nobody: Client) -> None:
    drf, fastapi = await nobody.get("/api/chat/contexts"), await nobody.get("/api/chat/sessions")
    assert [answer.headers["WWW-Authenticate"] for answer in (drf, fastapi)] == ["Token", "Bearer"]
    for answer in (drf, fastapi):
        assert (answer.status, answer.body, answer.cookies) == (401, {"detail": TEXT}, {})


@pytest.mark.parametrize("path", ["/api/chat/contexts", "/api/chat/sessions", "/api/v1/personalities/"])
async def test_guests_first_answer_sets_the_cookie_and_later_ones_do_not(guest: Client, path: str) -> None:
    first = await guest.get(path)
    assert (first.status, list(first.cookies)) == (200, ["palaver_guest"])
    attributes = first.cookie("palaver_guest")
    assert (attributes["httponly"], attributes["samesite"], attributes["path"]) == (True, "Lax", "/")
    again = await guest.carrying(**first.cookies).get(path)
    assert (again.status, again.cookies) == (200, {})


async def test_nobody_is_taken_for_a_proxy_who_is_not_named_as_one(guest: Client) -> None:
    claims = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1;proto=https"}
    answer = await guest.sending(claims).get("/api/chat/sessions")
    assert "secure" not in answer.cookie("palaver_guest")


async def test_guest_cookie_is_the_same_guest_on_every_api(guest: Client) -> None:
    first = await guest.post("/api/chat", message="hello")
    kept = guest.carrying(**first.cookies)
    started = (await kept.post("/api/chat/start", context_id=1, initial_message="hi", provider="dummy")).body
    listed = [session["sessionId"] for session in (await kept.get("/api/chat/sessions")).body]
    assert listed == [started["uuid"], first.body["sessionId"]]
    by_number = await kept.post(f"/api/chat/session/{started['id']}/chat", prompt="hello")
    assert (by_number.status, by_number.body["response_message"]) == (201, "HELLO")


@pytest.mark.parametrize("forged", ["x", UNKNOWN, f"{UNKNOWN}.", f"{UNKNOWN}.{'0' * 64}", "é.é"])
async def test_guest_cookie_that_is_not_ours_makes_a_new_guest(guest: Client, forged: str) -> None:
    answer = await guest.carrying(palaver_guest=forged).get("/api/chat/sessions")
    assert (answer.status, answer.content) == (200, b"[]")
    assert answer.cookies["palaver_guest"] != forged


async def test_wrong_credentials_are_401_never_a_guest(guest: Client) -> None:
    for client in (guest.bearing("x" * 43), guest.carrying(palaver_session="x" * 43)):
        for path in READ:
            answer = await client.get(path)
            assert (answer.status, answer.cookies) == (401, {})


async def test_guest_is_nobody_where_an_account_is_needed(guest: Client) -> None:
    for method, path in (
        ("GET", "/api/auth/me"),
        ("POST", "/api/auth/logout"),
        ("POST", "/sign-out"),
        ("POST", "/api/chat/contexts"),
    ):
        assert (await guest.send(method, path)).status == 401


async def test_conversation_of_a_guest_is_open_to_who_holds_its_uuid(guest: Client) -> None:
    session = await begin(guest)
    number = (await guest.post(f"/api/chat/session/{session}/chat", prompt="again")).body["session"]
    assert isinstance(number, int)
    assert await begin(guest, "more", sessionId=session) == session
    person = await register(guest)
    for other in (guest, person):
        assert len(await contents(other, session)) >= 6
        assert (await other.post(f"/api/v1/chatbot/session/{session}/message", message="hi")).status == 200


async def test_guessed_integer_opens_nothing(guest: Client) -> None:
    started = (await guest.post("/api/chat/start", context_id=1, initial_message="hi", provider="dummy")).body
    person = await register(guest)
    for other in (guest, person):
        refused = await other.post(f"/api/chat/session/{started['id']}/chat", prompt="hello")
        assert refused.status == 404
    assert (await guest.post(f"/api/chat/session/{started['uuid']}/chat", prompt="hello")).status == 201


async def test_conversation_of_a_person_is_not_open_by_its_uuid(guest: Client) -> None:
    session = await begin(await register(guest))
    assert (await guest.get(f"/api/chat/sessions/{session}")).status == 404
    assert (await guest.post(f"/api/chat/session/{session}/chat", prompt="hello")).status == 404


# Applications


async def make_app(server: Server, name: str) -> str:
    await server.cli("app", "add", name)
    return (await server.cli("token", "create", "--app", name)).strip().splitlines()[-1]


async def test_app_token_opens_its_users_conversations_by_id_and_lists_its_own(
    nobody: Client, shared_server: Server, alice: Client
) -> None:
    shop = nobody.bearing(await make_app(shared_server, new_name()))
    bank = nobody.bearing(await make_app(shared_server, new_name()))
    asked = {"user_id": "7", "template_id": "general"}
    [of_shop, of_bank] = [
        (await app.post("/api/v1/chatbot/session", **asked)).body["session_id"] for app in (shop, bank)
    ]
    assert (await shop.get(f"/api/chat/sessions/{of_shop}")).body["userId"] == "7"
    assert await begin(shop, "hello", sessionId=of_shop) == of_shop
    turn = await shop.post(f"/api/chat/session/{of_shop}/chat", prompt="again")
    assert turn.status == 201
    assert (await shop.post(f"/api/chat/session/{turn.body['session']}/chat", prompt="more")).status == 201
    own = await begin(shop)
    assert [session["sessionId"] for session in (await shop.get("/api/chat/sessions")).body] == [own]
    for stranger in (bank, alice):
        for place in (of_shop, own):
            assert (await stranger.get(f"/api/chat/sessions/{place}")).status == 404
            assert (await stranger.post(f"/api/chat/session/{place}/chat", prompt="hi")).status == 404
    assert (await shop.get(f"/api/chat/sessions/{of_bank}")).status == 404
    assert (await shop.get("/api/chat/contexts")).status == 200


# Not yours is not found


async def test_not_yours_is_not_found_with_the_same_body_in_each_api(alice: Client, bob: Client) -> None:
    session = await begin(alice)
    number = (await alice.post(f"/api/chat/session/{session}/chat", prompt="hi")).body["session"]
    foreign, unknown = [
        [
            seen(await bob.post(f"/api/chat/session/{place}/chat", prompt="hi")),
            seen(await bob.get(f"/api/chat/sessions/{place}")),
            seen(await bob.get(f"/api/v1/chatbot/session/{place}")),
            seen(await bob.post(f"/api/v1/chatbot/session/{place}/message", message="hi")),
            seen(await bob.delete(f"/api/v1/chatbot/session/{place}")),
        ]
        for place in (session, UNKNOWN)
    ]
    assert foreign == unknown
    assert foreign == [
        (404, '{"detail":"Not found."}'),
        (404, '{"detail":"Session not found"}'),
        (404, '{"detail":"Session not found"}'),
        (400, '{"detail":"Session not found or expired"}'),
        (400, '{"detail":"Session not found"}'),
    ]
    assert (await bob.post(f"/api/chat/session/{number}/chat", prompt="hi")).status == 404


@pytest.mark.parametrize("api", ["chat_flow", "chatify", "chat_domain"])
async def test_conversation_is_read_and_continued_through_every_api(
    alice: Client, bob: Client, llm: LLM, api: str
) -> None:
    await llm.control(text="So it is.")
    match api:
        case "chat_flow":
            made = await alice.post("/api/chat/start", context_id=1, initial_message="hi")
            session = made.body["uuid"]
        case "chatify":
            session = (await alice.post("/api/v1/chatbot/session", user_id="u-1")).body["session_id"]
        case _:
            session = await begin(alice, "zero")
    assert session == UUID4
    before = await contents(alice, session)
    turn = await alice.post(f"/api/chat/session/{session}/chat", prompt="one")
    assert (turn.status, turn.body["response_message"]) == (201, "So it is.")
    said = await alice.post(f"/api/v1/chatbot/session/{session}/message", message="two")
    assert (said.status, said.body["response"]) == (200, "So it is.")
    assert await begin(alice, "three", sessionId=session) == session
    assert (await contents(alice, session))[len(before) :] == [
        "one", "So it is.", "two", "So it is.", "three", "So it is.",
    ]  # fmt: skip
    sent = [message["content"] for message in (await llm.record())[-1].body["messages"]]
    assert sent[-5:] == ["one", "So it is.", "two", "So it is.", "three"]
    assert session in (await alice.get("/api/chat/sessions")).text
    assert session not in (await bob.get("/api/chat/sessions")).text


# Bodies


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON;charset=UTF-8;x=y"]
)
async def test_json_is_taken_with_any_parameter(alice: Client, content_type: str) -> None:
    body = '{"message": "grüezi 🥐"}'.encode()
    answer = await alice.sending({"Content-Type": content_type}).send("POST", "/api/chat", body)
    assert answer.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": "json"},
        {"Content-Type": "multipart/form-data; boundary=x"},
    ],
)
async def test_other_types_are_415_in_the_shape_of_each_api(alice: Client, headers: dict[str, str]) -> None:
    for path, body in (("/api/chat", b'{"message": "hi"}'), ("/api/chat/start", b"a=b")):
        answer = await alice.sending(headers).send("POST", path, body)
        assert (answer.status, answer.body) == (415, {"detail": TEXT})


async def test_empty_body_without_a_type_is_an_empty_object_where_all_is_optional(nobody: Client) -> None:
    for path in ("/api/auth/logout", "/sign-out"):
        person = await register(nobody)
        assert (await person.send("POST", path)).status == 200
    person = await register(nobody)
    assert (await person.send("POST", "/api/chat")).status == 415


async def test_body_over_the_limit_is_413_in_the_shape_of_each_api(alice: Client) -> None:
    for path in ("/api/chat", "/api/chat/start", "/api/users/token", "/sign-in", "/api/v1/chat/"):
        answer = await alice.sending(JSON).send("POST", path, LARGE)
        assert (answer.status, answer.body) == (413, {"detail": TEXT})


async def test_limit_on_bodies_is_exact_and_a_setting(start_server: StartServer) -> None:
    server = await start_server(PALAVER_MAX_BODY_BYTES="1000")
    async with open_client(server) as client:
        person = client.bearing(await server.token("admin")).sending(JSON)
        exact = b'{"message": "' + b"x" * 985 + b'"}'
        assert len(exact) == 1000
        assert (await person.send("POST", "/api/chat", exact)).status == 200
        assert (await person.send("POST", "/api/chat", exact + b" ")).status == 413


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b"7", b"null", b'{"message": "\xff"}', b"[" * 100_000, b"{'a': 1}"])
async def test_malformed_json_has_the_shape_of_each_style(alice: Client, body: bytes) -> None:
    typed = alice.sending(JSON)
    drf = await typed.send("POST", "/api/chat/start", body)
    assert (drf.status, drf.body) == (400, {"detail": TEXT})
    fastapi = await typed.send("POST", "/api/chat", body)
    assert (fastapi.status, fastapi.body["detail"][0]["loc"]) == (422, ["body"])


async def test_unknown_fields_are_ignored_and_null_is_as_if_absent(alice: Client) -> None:
    said = {"message": "hi", "mood": "good", "sessionId": None, "clientMessageId": None, "whenBusy": None}
    assert (await alice.post("/api/chat", **said)).status == 200


@pytest.mark.parametrize("value", ["\u0000", "a\u0000b", "\ud800", "a\udfffb", "\ude00\ud83d"])
async def test_string_with_a_nul_or_a_lone_surrogate_is_invalid(alice: Client, value: str) -> None:
    domain = await alice.post("/api/chat", message=value)
    assert (domain.status, domain.body["detail"][0]["loc"]) == (422, ["body", "message"])
    flow = await alice.post("/api/chat/start", context_id=1, initial_message=value)
    assert (flow.status, list(flow.body)) == (400, ["initial_message"])
    sign_in_answer = await alice.post("/api/users/token", username=value, password=value)
    assert (sign_in_answer.status, set(sign_in_answer.body)) == (400, {"username", "password"})


async def test_pair_of_surrogates_is_a_character(alice: Client) -> None:
    body = rb'{"message": "\ud83e\udd50"}'
    session = (await alice.sending(JSON).send("POST", "/api/chat", body)).body["sessionId"]
    assert (await contents(alice, session))[0] == "🥐"


@pytest.mark.parametrize("value", [True, False])
async def test_boolean_is_no_number(admin: Client, value: bool) -> None:
    answer = await admin.post("/api/chat/contexts", name=new_name(), system_prompt="You advise.", window=value)
    assert (answer.status, list(answer.body)) == (400, ["window"])


@pytest.mark.parametrize("value", ["true", "false", "1", 1, 0])
async def test_string_or_number_is_no_boolean(alice: Client, value: object) -> None:
    answer = await alice.post("/sign-out", everywhere=value)
    assert (answer.status, answer.body["detail"][0]["loc"]) == (422, ["body", "everywhere"])
    assert (await alice.get("/api/auth/me")).status == 200


@pytest.mark.parametrize("value", ["7", "007", "+7", 7, 7.0])
async def test_string_that_is_a_decimal_number_passes_for_one(admin: Client, value: object) -> None:
    answer = await admin.post("/api/chat/contexts", name=new_name(), system_prompt="You advise.", window=value)
    assert (answer.status, answer.body["window"]) == (201, 7)


@pytest.mark.parametrize("value", ["", "7x", "0x7", "7e0", " 7", "٧", "1e400", [7], {"n": 7}])
async def test_string_that_is_no_decimal_number_does_not(admin: Client, value: object) -> None:
    answer = await admin.post("/api/chat/contexts", name=new_name(), system_prompt="You advise.", window=value)
    assert (answer.status, list(answer.body)) == (400, ["window"])


@pytest.mark.parametrize("value", [0, 1.5, True, [], {}, ["hi"]])
async def test_what_is_no_string_is_invalid_for_one(alice: Client, value: object) -> None:
    assert (await alice.post("/api/chat", message=value)).status == 422
    assert (await alice.post("/api/chat/start", context_id=1, initial_message=value)).status == 400


# Answers


@pytest.mark.parametrize("request_id", ["a", "x" * 64, "Az09._-", "req-2026.11_21"])
async def test_request_id_of_the_client_is_on_every_answer(alice: Client, nobody: Client, request_id: str) -> None:
    for client in (alice, nobody):
        mine = client.having(X_Request_Id=request_id)
        for answer in (
            await mine.get("/health"),
            await mine.get("/api/chat/sessions"),
            await mine.get("/nowhere"),
            await mine.send("PUT", "/api/chat"),
            await mine.post("/api/chat", message=""),
            await mine.send("OPTIONS", "/api/chat"),
            await mine.sending(JSON).send("POST", "/api/chat", LARGE),
            await mine.get("/sign-in/never-was"),
        ):
            assert answer.headers.getall("X-Request-Id") == [request_id]


@pytest.mark.parametrize("request_id", ["", "x" * 65, "a b", "é", "a/b", "a:b", "<script>"])
async def test_request_id_that_will_not_do_is_replaced_by_a_new_one(nobody: Client, request_id: str) -> None:
    answers = [await nobody.having(X_Request_Id=request_id).get("/health") for _ in range(2)]
    new = [answer.headers["X-Request-Id"] for answer in answers]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,64}", one) for one in new)
    assert len({*new, request_id}) == 3


async def test_request_id_of_a_failure_is_in_the_log_with_its_cause(
    alice: Client, shared_server: Server, llm: LLM
) -> None:
    await llm.control(fault="500")
    request_id = new_name()
    answer = await alice.having(X_Request_Id=request_id).post("/api/chat", message="hello")
    assert (answer.status, answer.headers["X-Request-Id"]) == (503, request_id)
    told = [line for line in shared_server.log_text().splitlines() if request_id in line]
    assert any("VENDORSECRET" in line for line in told)
    [heard] = await llm.record(n=1)
    assert heard.headers["x-request-id"] == request_id


async def test_times_are_utc_with_z(alice: Client) -> None:
    session = await begin(alice)
    shown = (await alice.get(f"/api/chat/sessions/{session}")).body
    [message, *_] = (await alice.get(f"/api/chat/sessions/{session}/messages")).body
    started = (await alice.post("/api/chat/start", context_id=1, initial_message="hi")).body
    [context, *_] = (await alice.get("/api/chat/contexts")).body
    state = (await alice.get(f"/api/v1/chatbot/session/{session}")).body
    times = [
        shown["createdAt"], shown["updatedAt"], message["createdAt"], started["created_at"], context["created_at"],
        context["updated_at"], state["created_at"], state["last_activity"],
    ]  # fmt: skip
    assert times == [TIME] * len(times)


async def test_answers_are_json_in_utf_8(alice: Client, llm: LLM) -> None:
    await llm.control(text="Grüezi 🥐")
    answer = await alice.post("/api/chat", message="hi")
    assert answer.headers["Content-Type"].split(";")[0] == "application/json"
    assert "Grüezi 🥐".encode() in answer.content
    assert "Server" not in answer.headers


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("en", "Sign in first"),
        ("de", "Bitte zuerst anmelden"),
        ("it", "Accedi prima"),
        ("de-CH, en;q=0.5", "Bitte zuerst anmelden"),
        ("DE", "Bitte zuerst anmelden"),
        ("fr, it;q=0.4, de;q=0.9", "Bitte zuerst anmelden"),
        ("en;q=0, it", "Accedi prima"),
        ("it;q=x, de", "Bitte zuerst anmelden"),
        ("fr", "Sign in first"),
        ("*", "Sign in first"),
        ("", "Sign in first"),
        (";;,,q=1", "Sign in first"),
    ],
)
async def test_text_follows_accept_language(nobody: Client, header: str, words: str) -> None:
    for path in READ:
        answer = await nobody.having(Accept_Language=header).get(path)
        assert answer.body["detail"].startswith(words)


async def test_language_of_the_server_speaks_to_those_who_ask_for_none_we_have(start_server: StartServer) -> None:
    server = await start_server(PALAVER_LANGUAGE="it")
    async with open_client(server) as client:
        for asked in (client, client.having(Accept_Language="fr")):
            assert (await asked.get("/api/chat/contexts")).body["detail"].startswith("Accedi prima")
        german = await client.having(Accept_Language="de").get("/api/chat/contexts")
        assert german.body["detail"].startswith("Bitte zuerst anmelden")


async def test_fixed_strings_are_never_translated(alice: Client, nobody: Client) -> None:
    german = {"Accept-Language": "de"}
    assert (await alice.sending(german).get("/nowhere")).body == {"detail": "Not Found"}
    assert (await alice.sending(german).send("PUT", "/health")).body == {"detail": "Method Not Allowed"}
    assert (await alice.sending(german).get(f"/api/chat/sessions/{UNKNOWN}")).body == {"detail": "Session not found"}
    wrong = await nobody.sending(german).post("/api/auth/login", email=new_name(), password="wrong wrong")
    assert wrong.body == {"detail": "Invalid credentials"}


# Outside the five


@pytest.mark.parametrize("path", [*OPEN, *OF_OPERATORS])
async def test_open_route_looks_at_no_credentials_and_sets_no_cookie(nobody: Client, guest: Client, path: str) -> None:
    for client in (
        nobody,
        guest,
        nobody.bearing("wrong"),
        nobody.carrying(palaver_session="wrong", palaver_guest="wrong"),
        guest.sending(FOREIGN),
    ):
        answer = await answer_of(client, "GET", path)
        assert (answer.status, answer.cookies) == (200, {})


async def test_health_of_each_api_has_its_shape(nobody: Client) -> None:
    assert (await nobody.get("/health")).body == {"status": "healthy", "service": "palaver"}
    assert (await nobody.get("/api/v1/health")).body == {"status": "healthy"}
    assert (await nobody.get("/api/health/")).body == {"status": "ok", "message": "API is running"}
    assert (await nobody.get("/api/v1/")).body == {"message": TEXT}


async def test_root_is_a_page_for_browsers_and_json_for_others(nobody: Client) -> None:
    page = await nobody.having(Accept="text/html,application/xhtml+xml,*/*;q=0.8").get("/")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "Accept" in page.headers["Vary"]
    for accept in ("application/json", "*/*", ""):
        other = await nobody.having(Accept=accept).get("/")
        assert other.body == {"message": TEXT, "version": TEXT, "docs": "/docs"}
        assert "Accept" in other.headers["Vary"]


async def test_openapi_document_is_the_same_in_its_three_places(nobody: Client) -> None:
    documents = [await nobody.get(path) for path in ("/openapi.json", "/api/v1/openapi.json", "/schema/")]
    assert len({document.content for document in documents}) == 1
    assert documents[0].body["openapi"].startswith("3.1")


@pytest.mark.parametrize(
    ("path", "method", "statuses"),
    [
        ("/api/chat", "post", "200 401 403 404 409 413 415 422 429 500 503"),
        ("/api/chat/sessions", "get", "200 401 422 500"),
        ("/api/chat/sessions/{id}", "get", "200 401 404 500"),
        ("/api/chat/sessions/{id}/messages", "get", "200 401 404 422 500"),
        ("/api/chat/sessions/{id}", "post", "200 401 403 404 413 415 422 500"),
        ("/api/chat/sessions/{id}", "patch", "200 401 403 404 413 415 422 500"),
        ("/api/chat/sessions/{id}", "delete", "200 401 403 404 500"),
        ("/api/chat/start", "post", "201 400 401 403 413 415 500"),
        ("/api/chat/session/{id}/chat", "post", "201 400 401 403 404 409 413 415 429 500 503"),
        ("/api/chat/contexts", "get", "200 401 500"),
        ("/api/chat/contexts", "post", "201 400 401 403 413 415 500"),
        ("/api/chat/contexts/{id}", "patch", "200 400 401 403 404 413 415 500"),
        ("/api/chat/contexts/{id}", "delete", "204 400 401 403 404 500"),
        ("/api/users/token", "post", "200 400 413 415 429 500"),
        ("/auth/login/", "post", "200 400 403 413 415 429 500"),
        ("/auth/register/", "post", "201 400 403 413 415 500"),
        ("/api/auth/register", "post", "201 403 409 413 415 422 500"),
        ("/api/auth/login", "post", "200 401 413 415 422 429 500"),
        ("/api/auth/me", "get", "200 401 500"),
        ("/api/auth/logout", "post", "200 401 403 500"),
        ("/sign-in", "post", "200 401 413 415 422 429 500"),
        ("/sign-in/{code}", "get", "303 410 500"),
        ("/sign-out", "post", "200 401 403 500"),
        ("/", "get", "200"),
        ("/health", "get", "200 503"),
        ("/api/v1/health", "get", "200 503"),
        ("/api/health/", "get", "200 503"),
        ("/api/v1/", "get", "200"),
        ("/openapi.json", "get", "200"),
        ("/schema/", "get", "200"),
        ("/docs", "get", "200"),
        ("/docs/", "get", "200"),
    ],
)
async def test_openapi_document_tells_each_operation_with_its_errors(
    nobody: Client, path: str, method: str, statuses: str
) -> None:
    document = (await nobody.get("/openapi.json")).body
    assert set(statuses.split()) <= set(document["paths"][path][method]["responses"])


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
async def test_docs_page_reads_the_document_and_loads_nothing_from_elsewhere(nobody: Client, path: str) -> None:
    page = await nobody.get(path)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "openapi.json" in page.text
    assert re.findall(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", page.text) == []


async def test_everything_else_is_401_without_credentials(nobody: Client) -> None:
    document = (await nobody.get("/openapi.json")).body
    doors = {
        "/api/users/token", "/auth/login/", "/auth/register/", "/api/auth/register", "/api/auth/login", "/sign-in",
        "/sign-in/{code}",
    }  # fmt: skip
    anyone = {"/ai-chat/api/health/llm_server/"}
    closed = [
        (method.upper(), path.replace("{id}", UNKNOWN).replace("{message_id}", UNKNOWN))
        for path, methods in document["paths"].items()
        for method in methods
        if path not in {*OPEN, *doors, *anyone}
    ]
    assert len(closed) > 20
    assert [(place, (await nobody.send(*place)).status) for place in closed] == [(place, 401) for place in closed]


# Client ids


@pytest.mark.proof("words")
async def test_same_client_id_twenty_times_at_once_is_one_message_and_one_reply(alice: Client, llm: LLM) -> None:
    await llm.control(first=0.3, text="Once.")
    said = {"message": "hello", "clientMessageId": new_name()}
    answers = await asyncio.gather(*(alice.post("/api/chat", **said) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert await contents(alice, answers[0].body["sessionId"]) == ["hello", "Once."]
    assert len(await llm.record()) == 1


async def test_same_client_id_at_once_with_two_texts_is_one_turn_and_a_conflict(alice: Client) -> None:
    session = await begin(alice)
    client_id = new_name()
    answers = await asyncio.gather(
        *(alice.post("/api/chat", message=text, sessionId=session, clientMessageId=client_id) for text in ("a", "b"))
    )
    assert sorted(answer.status for answer in answers) == [200, 409]
    assert len(await contents(alice, session)) == 4


async def test_same_client_id_in_another_conversation_is_another_turn(alice: Client) -> None:
    first, second = await begin(alice), await begin(alice)
    turns = [
        await alice.post(f"/api/chat/session/{session}/chat", prompt="hi", client_message_id="c1")
        for session in (first, second)
    ]
    assert turns[0].body["id"] != turns[1].body["id"]


async def test_same_client_id_through_another_api_is_the_same_turn(alice: Client, llm: LLM) -> None:
    session = await begin(alice)
    client_id = new_name()
    await alice.post(f"/api/chat/session/{session}/chat", prompt="more", client_message_id=client_id)
    again = await alice.post("/api/chat", message="more", sessionId=session, clientMessageId=client_id)
    assert again.status == 200
    chatify = await alice.post(
        f"/api/v1/chatbot/session/{session}/message", message="more", client_message_id=client_id
    )
    assert chatify.status == 200
    assert len(await llm.record()) == 2


async def test_client_that_lost_the_first_answer_gets_it_again_after_a_restart(server: Server, llm: LLM) -> None:
    await llm.control(first=0.3, text="Once.")
    async with open_client(server) as client:
        person = client.bearing(await server.token("admin"))
        said = {"message": "hello", "clientMessageId": "c1"}
        lost = asyncio.create_task(person.post("/api/chat", **said))
        await llm.record(n=1)
        lost.cancel()
        waited = await person.post("/api/chat", **said)
        assert (waited.status, waited.body["message"]) == (200, "Once.")
        await server.restart()
        again = await person.post("/api/chat", **said)
        assert (again.status, again.body) == (200, waited.body)
        conflict = await person.post("/api/chat", message="other", clientMessageId="c1")
        assert conflict.status == 409
        assert await contents(person, waited.body["sessionId"]) == ["hello", "Once."]
    assert len(await llm.record()) == 1


# One reply at a time


async def test_queued_prompt_is_listed_at_once_and_its_bot_sees_what_came_before(alice: Client, llm: LLM) -> None:
    session = await begin(alice, "zero")
    await llm.control(hold="first", text="So it is.")
    first = asyncio.create_task(begin(alice, "one", sessionId=session))
    await llm.record(n=2)
    second = asyncio.create_task(begin(alice, "two", sessionId=session))
    await ask_until(
        lambda: alice.get(f"/api/chat/sessions/{session}/messages"),
        lambda answer: [message["content"] for message in answer.body][-2:] == ["one", "two"],
        seconds=SECONDS,
    )
    await llm.let_go("first")
    await asyncio.gather(first, second)
    assert (await contents(alice, session))[2:] == ["one", "So it is.", "two", "So it is."]
    last = (await llm.record(n=3))[-1].body["messages"]
    assert [message["content"] for message in last][-3:] == ["one", "So it is.", "two"]


@pytest.mark.parametrize(("policy", "status", "first_text"), [("reject", 409, "Done."), ("interrupt", 200, "")])
async def test_policy_for_a_busy_conversation_is_a_setting(
    start_server: StartServer, llm: LLM, policy: str, status: int, first_text: str
) -> None:
    server = await start_server(PALAVER_WHEN_BUSY=policy)
    async with open_client(server) as client:
        person = client.bearing(await server.token("admin"))
        session = await begin(person)
        await llm.control(text="Done.")
        first = asyncio.create_task(person.post("/api/chat", message="one [[hold=first]]", sessionId=session))
        await llm.record(n=2)
        assert (await person.post("/api/chat", message="two", sessionId=session)).status == status
        await llm.let_go("first")
        answered = await first
        assert (answered.status, answered.body["message"]) == (200, first_text)


@pytest.mark.parametrize("policy", ["reject", "interrupt"])
async def test_request_overrules_the_setting_and_may_wait(start_server: StartServer, llm: LLM, policy: str) -> None:
    server = await start_server(PALAVER_WHEN_BUSY=policy)
    async with open_client(server) as client:
        person = client.bearing(await server.token("admin"))
        session = await begin(person)
        await llm.control(first=0.3, text="Done.")
        first = asyncio.create_task(begin(person, "one", sessionId=session))
        await llm.record(n=2)
        queued = await person.post(f"/api/chat/session/{session}/chat", prompt="two", when_busy="queue")
        assert (queued.status, queued.body["response_message"]) == (201, "Done.")
        await first
        assert (await contents(person, session))[2:] == ["one", "Done.", "two", "Done."]


async def test_policy_that_is_none_is_invalid_in_every_api(alice: Client) -> None:
    session = await begin(alice)
    assert (await alice.post(f"/api/chat/session/{session}/chat", prompt="hi", when_busy="later")).status == 400
    assert (await alice.post("/api/chat", message="hi", whenBusy="later")).status == 422
    chatify = await alice.post(f"/api/v1/chatbot/session/{session}/message", message="hi", when_busy="later")
    assert chatify.status == 422
    assert len(await contents(alice, session)) == 2


# Draining


async def test_server_that_is_told_to_go_answers_what_runs_and_starts_no_turn(
    start_server: StartServer, llm: LLM
) -> None:
    server = await start_server(PALAVER_DRAIN_SECONDS="60")
    async with open_client(server) as client:
        person = client.bearing(await server.token("admin"))
        session = await begin(person)
        await llm.control(hold="first", text="The last word.")
        running = asyncio.create_task(person.post("/api/chat", message="one", sessionId=session))
        try:
            await llm.record(n=2)
            queued = asyncio.create_task(person.post("/api/chat", message="two", sessionId=session))
            await ask_until(
                lambda: person.get(f"/api/chat/sessions/{session}/messages"),
                lambda answer: len(answer.body) == 4,
                seconds=SECONDS,
            )
            server.process.send(signal.SIGTERM)
            await ask_until(lambda: client.get("/health"), lambda answer: answer.status == 503, seconds=SECONDS)
            for path in ("/health", "/api/v1/health", "/api/health/"):
                health = await client.get(path)
                assert (health.status, health.body) == (503, {"status": "draining"})
            for caller in (person, client):
                for path, body in (
                    ("/api/chat", {"message": "hi"}),
                    (f"/api/chat/session/{session}/chat", {"prompt": "hi"}),
                    (f"/api/v1/chatbot/session/{session}/message", {"message": "hi"}),
                ):
                    refused = await caller.send("POST", path, body)
                    assert (refused.status, refused.body) == (503, {"detail": TEXT})
                    assert int(refused.headers["Retry-After"]) > 0
            for caller in (person, client, client.bearing("x" * 43)):
                refused = await caller.get("/ai-chat/api/health/llm_server/")
                assert (refused.status, refused.body) == (503, {"detail": TEXT})
                assert int(refused.headers["Retry-After"]) > 0
            assert (await client.sending(JSON).send("POST", "/api/chat", LARGE)).status == 413
            assert (await person.get("/api/chat/sessions")).status == 200
            waited = await queued
            assert (waited.status, "Retry-After" in waited.headers) == (503, True)
        finally:
            # Whatever has failed, the server does not wait for it when it is ended.
            await llm.let_go("first")
        last = await running
        assert (last.status, last.body["message"]) == (200, "The last word.")
        assert await server.process.wait_for_end(seconds=20) == 0
        await server.start()
        # What waited was said and kept; the next start answers it.
        await ask_until(
            lambda: person.get(f"/api/chat/sessions/{session}/messages"),
            lambda answer: (
                [one["content"] for one in answer.body][2:] == ["one", "The last word.", "two", "The last word."]
            ),
            seconds=SECONDS,
        )


async def test_reply_longer_than_the_drain_is_broken_off_and_kept(start_server: StartServer, llm: LLM) -> None:
    server = await start_server(PALAVER_DRAIN_SECONDS="0.3")
    async with open_client(server) as client:
        person = client.bearing(await server.token("admin"))
        session = await begin(person)
        said = {"message": "[[text=one two three&fault=stall&after=2]]", "sessionId": session}
        running = asyncio.create_task(person.post("/api/chat", **said))
        async with asyncio.timeout(SECONDS):
            while (await llm.record(n=2))[-1].pieces_sent < 2:
                continue
        server.process.send(signal.SIGTERM)
        broken = await running
        assert (broken.status, broken.body) == (503, {"detail": "AI service unavailable"})
        assert await server.process.wait_for_end(seconds=20) == 0
        await server.start()
        assert (await contents(person, session))[-1].strip() == "one two"


# Values at the edge


async def test_number_of_four_hundred_digits_is_invalid_and_not_an_error_of_ours(alice: Client) -> None:
    body = b'{"message": "hi", "temperature": 1' + b"0" * 400 + b"}"
    assert (await alice.sending(JSON).send("POST", "/api/v1/chat/", body)).status == 422


@pytest.mark.parametrize("path", ["/api/auth/logout", "/sign-out"])
@pytest.mark.parametrize("headers", [{}, JSON, {"Content-Type": "application/json; charset=utf-8"}])
async def test_empty_body_is_an_empty_object_where_no_field_is_needed(
    nobody: Client, path: str, headers: dict[str, str]
) -> None:
    person = await register(nobody)
    assert (await person.sending(headers).send("POST", path, b"")).status == 200
    assert (await person.get("/api/auth/me")).status == 401


async def test_empty_json_body_is_invalid_where_a_field_is_needed(alice: Client) -> None:
    assert (await alice.sending(JSON).send("POST", "/api/chat", b"")).status == 422


async def test_presets_of_one_long_name_have_ids_that_sessions_can_start_with(alice: Client, bob: Client) -> None:
    name = f"{new_name()}-".ljust(100, "x")
    fields = {"name": name, "description": "Brief.", "systemPrompt": "Be brief, please."}
    made = [await person.post("/api/v1/personalities/", **fields) for person in (alice, bob)]
    assert [answer.status for answer in made] == [200, 200], [answer.text for answer in made]
    ids = [answer.body["id"] for answer in made]
    assert len(set(ids)) == 2
    for person, id_ in zip((alice, bob), ids, strict=True):
        started = await person.post("/api/v1/chatbot/session", user_id="u", template_id=id_)
        assert started.status == 200, started.text
        session = await person.get(f"/api/v1/chatbot/session/{started.body['session_id']}")
        assert session.body["template_id"] == id_


async def test_change_that_changes_nothing_leaves_a_preset_as_it_was(admin: Client) -> None:
    fields = {"name": new_name(), "system_prompt": "Be brief.", "window": 3}
    made = (await admin.post("/api/chat/contexts", **fields)).body
    path = f"/api/chat/contexts/{made['id']}"
    assert (await admin.patch(path)).body == made
    assert (await admin.patch(path, **fields)).body == made
    assert (await admin.patch(path, window=4)).body["updated_at"] > made["updated_at"]


async def test_empty_change_of_the_domain_preset_leaves_the_model_of_the_operator(
    start_server: StartServer, llm: LLM
) -> None:
    server = await start_server(OPENAI_MODEL="gpt-4.1-mini")
    async with open_client(server) as client:
        admin = client.bearing(await server.token("admin"))
        contexts = (await admin.get("/api/chat/contexts")).body
        domain = next(context for context in contexts if context["name"].lower().startswith("domain"))
        assert (await admin.patch(f"/api/chat/contexts/{domain['id']}")).status == 200
        await begin(admin)
    (heard,) = await llm.record()
    assert heard.body["model"] == "gpt-4.1-mini"
