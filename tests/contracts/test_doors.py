"""The doors to an account over real HTTP, as the contracts' README says them."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp import ClientSession, WSServerHandshakeError

from tests.journeys.client import PASSWORD, TEXT, UUID, Answer, Client, new_name, open_beside, open_client, sign_in
from tests.parts.palaver import Server, StartServer
from tests.parts.run import Run

TOKEN = re.compile(r"[A-Za-z0-9_-]{20,128}")
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    # Wrong passwords of one test must not shut the next one out.
    return {"PALAVER_REGISTRATION": "on", "PALAVER_SIGN_IN_ATTEMPTS": "100000"}


@pytest.fixture(scope="module")
async def alice(nobody: Client) -> dict[str, str]:
    """Somebody with a name, an e-mail and a password."""
    email = f"{new_name()}@example.org"
    person = {"username": new_name(), "email": email}
    answer = await nobody.post("/auth/register/", **person, password=PASSWORD)
    assert answer.status == 201, answer.text
    return person


@pytest.fixture(scope="module")
async def strict_server(run: Run, shared_server: Server) -> AsyncIterator[Server]:
    """A server that lets nobody register and forgives one wrong password. To hash one costs it as much as it does
    people's servers."""
    settings = {
        "PALAVER_REGISTRATION": "off",
        "PALAVER_SIGN_IN_ATTEMPTS": "2",
        "PALAVER_PASSWORD_MEBIBYTES": "64",
    }
    async with open_beside(run, shared_server, **settings) as server:
        yield server


@pytest.fixture(scope="module")
async def strict(strict_server: Server) -> AsyncIterator[Client]:
    async with open_client(strict_server) as client:
        yield client


Door = tuple[str, str, int]

# Path, the field that names the account, and the status of a wrong pair.
DOORS: list[Door] = [
    ("/api/users/token", "username", 400),
    ("/auth/login/", "username", 403),
    ("/api/auth/login", "email", 401),
    ("/sign-in", "username", 401),
]


# Signing in


@pytest.mark.parametrize("by", ["username", "email"])
@pytest.mark.parametrize(("path", "field", "_wrong"), DOORS)
async def test_who_has_an_account_signs_in_by_name_or_email_in_any_case(
    nobody: Client, alice: dict[str, str], path: str, field: str, _wrong: int, by: str
) -> None:
    for spelled in (alice[by], alice[by].upper()):
        answer = await nobody.post(path, **{field: spelled, "password": PASSWORD})
        assert answer.status == 200, answer.text


@pytest.mark.parametrize("path", ["/api/users/token", "/auth/login/"])
async def test_doors_for_scripts_give_exactly_a_token(nobody: Client, alice: dict[str, str], path: str) -> None:
    answer = await nobody.post(path, username=alice["username"], password=PASSWORD)
    assert list(answer.body) == ["token"]
    assert TOKEN.fullmatch(answer.body["token"])
    assert (await nobody.bearing(answer.body["token"]).get("/api/auth/me")).body["email"] == alice["email"]


@pytest.mark.parametrize("path", ["/api/users/token", "/auth/login/"])
async def test_doors_for_scripts_take_a_form(nobody: Client, alice: dict[str, str], path: str) -> None:
    name, password = alice["username"], PASSWORD.replace(" ", "+")
    body = f"username={name}&password={password}".encode()
    plain = await nobody.sending(FORM).send("POST", path, body)
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in (("username", name), ("password", PASSWORD))
    )
    multipart = nobody.sending({"Content-Type": "multipart/form-data; boundary=x"})
    in_parts = await multipart.send("POST", path, f"{parts}--x--\r\n".encode())
    assert [plain.status, in_parts.status] == [200, 200]


async def test_sign_in_for_apps_gives_a_token_and_the_user(nobody: Client, alice: dict[str, str]) -> None:
    answer = await nobody.post("/api/auth/login", email=alice["email"], password=PASSWORD)
    user = {"userId": UUID, "email": alice["email"], "fullName": TEXT}
    assert answer.body == {"message": TEXT, "accessToken": answer.body["accessToken"], "user": user}
    assert TOKEN.fullmatch(answer.body["accessToken"])
    assert answer.cookies == {}


async def test_sign_in_for_browsers_gives_the_user_and_sets_both_cookies(nobody: Client, alice: dict[str, str]) -> None:
    answer = await nobody.post("/sign-in", username=alice["username"], password=PASSWORD)
    assert answer.body == {"user": {"userId": UUID, "email": alice["email"], "fullName": TEXT}}
    assert set(answer.cookies) == {"palaver_session", "csrftoken"}
    browser = nobody.carrying(**answer.cookies)
    assert (await browser.get("/api/auth/me")).body["user"] == answer.body["user"]


async def test_session_cookie_is_no_token_and_a_token_no_session_cookie(nobody: Client, alice: dict[str, str]) -> None:
    kept = (await nobody.post("/sign-in", username=alice["username"], password=PASSWORD)).cookies
    assert (await nobody.bearing(kept["palaver_session"]).get("/api/auth/me")).status == 401
    token = (await nobody.post("/api/users/token", username=alice["username"], password=PASSWORD)).body["token"]
    assert (await nobody.carrying(palaver_session=token).get("/api/auth/me")).status == 401


async def test_each_sign_in_makes_a_new_token_and_earlier_ones_live(nobody: Client, alice: dict[str, str]) -> None:
    answers = [await nobody.post("/api/users/token", username=alice["username"], password=PASSWORD) for _ in range(3)]
    tokens = [answer.body["token"] for answer in answers]
    assert len(set(tokens)) == 3
    assert [(await nobody.bearing(token).get("/api/auth/me")).status for token in tokens] == [200] * 3


@pytest.mark.parametrize("wrong", ["password", "name", "both"])
@pytest.mark.parametrize(("path", "field", "status"), DOORS)
async def test_wrong_pair_has_the_same_answer_whatever_was_wrong(
    nobody: Client, alice: dict[str, str], path: str, field: str, status: int, wrong: str
) -> None:
    name = alice["username"] if wrong == "password" else new_name()
    password = PASSWORD if wrong == "name" else "not the password"
    answer = await nobody.post(path, **{field: name, "password": password})
    bodies: dict[str, Any] = {
        "/api/users/token": {"non_field_errors": ["Unable to sign in with these credentials."]},
        "/auth/login/": {"detail": "Unable to sign in with these credentials."},
        "/api/auth/login": {"detail": "Invalid credentials"},
        "/sign-in": {"detail": "Unable to sign in with these credentials."},
    }
    assert (answer.status, answer.body, answer.cookies) == (status, bodies[path], {})


async def test_wrong_pairs_take_no_telling_time(nobody: Client, alice: dict[str, str]) -> None:
    known: list[float] = []
    unknown: list[float] = []
    # The quickest of each says what it costs; a busy machine may need some tries to show it.
    async with asyncio.timeout(60):
        while not known or not 0.5 < min(known) / min(unknown) < 2:
            known.append(await duration(lambda: sign_in_wrongly(nobody, alice["username"])))
            unknown.append(await duration(lambda: sign_in_wrongly(nobody, new_name())))


async def duration(ask: Callable[[], Awaitable[Answer]]) -> float:
    began = time.perf_counter()
    await ask()
    return time.perf_counter() - began


async def sign_in_wrongly(client: Client, name: str) -> Answer:
    return await client.post("/api/users/token", username=name, password="not the password")


@pytest.mark.parametrize(
    ("path", "fields", "wrong"),
    [
        ("/api/users/token", {}, {"username", "password"}),
        ("/api/users/token", {"username": "x", "password": ""}, {"password"}),
        ("/api/users/token", {"username": 5, "password": "x"}, {"username"}),
        ("/auth/login/", {"password": "x"}, {"username"}),
        ("/auth/login/", {"username": None, "password": "x"}, {"username"}),
        ("/auth/register/", {}, {"username", "password"}),
        ("/auth/register/", {"username": "", "password": PASSWORD}, {"username"}),
        ("/auth/register/", {"username": "a b", "password": PASSWORD}, {"username"}),
        ("/auth/register/", {"username": "zoë", "password": PASSWORD}, {"username"}),
        ("/auth/register/", {"username": "a@example.org", "password": PASSWORD}, {"username"}),
        ("/auth/register/", {"username": "x" * 51, "password": PASSWORD}, {"username"}),
        ("/auth/register/", {"username": "x", "password": "1234567"}, {"password"}),
        ("/auth/register/", {"username": "x", "password": "x" * 129}, {"password"}),
        ("/auth/register/", {"username": "x", "password": PASSWORD, "email": "nonsense"}, {"email"}),
    ],
)
async def test_door_in_drf_style_says_which_field(
    nobody: Client, path: str, fields: dict[str, Any], wrong: set[str]
) -> None:
    answer = await nobody.post(path, **fields)
    assert (answer.status, set(answer.body)) == (400, wrong)


@pytest.mark.parametrize(
    ("path", "fields", "wrong"),
    [
        ("/api/auth/login", {}, ["email", "password"]),
        ("/api/auth/login", {"email": "x", "password": 5}, ["password"]),
        ("/sign-in", {}, ["username", "password"]),
        ("/sign-in", {"username": "", "password": "x"}, ["username"]),
        ("/api/auth/register", {}, ["email", "password", "fullName"]),
        ("/api/auth/register", {"email": "nonsense", "password": PASSWORD, "fullName": "X"}, ["email"]),
        ("/api/auth/register", {"email": "a@b", "password": "1234567", "fullName": ""}, ["password", "fullName"]),
        ("/api/auth/register", {"email": "a@b", "password": PASSWORD, "fullName": "x" * 256}, ["fullName"]),
    ],
)
async def test_door_in_fastapi_style_says_which_field(
    nobody: Client, path: str, fields: dict[str, Any], wrong: list[str]
) -> None:
    answer = await nobody.post(path, **fields)
    assert (answer.status, [one["loc"] for one in answer.body["detail"]]) == (422, [["body", name] for name in wrong])
    assert PASSWORD not in answer.text


@pytest.mark.parametrize(("path", "status"), [("/sign-in", 415), ("/api/auth/login", 415), ("/auth/register/", 415)])
async def test_other_doors_take_no_form(nobody: Client, path: str, status: int) -> None:
    assert (await nobody.sending(FORM).send("POST", path, b"username=x&password=y")).status == status


# Registering


@pytest.mark.parametrize("name", ["a", "A.b_c+d-9", "x" * 30])
async def test_who_registers_by_name_gets_a_token(nobody: Client, name: str) -> None:
    name = f"{name}{new_name()}"[:50]
    answer = await nobody.post("/auth/register/", username=name, password="12345678")
    assert (answer.status, list(answer.body)) == (201, ["token"])
    me = (await nobody.bearing(answer.body["token"]).get("/api/auth/me")).body
    assert me["email"] == ""
    assert (await nobody.post("/sign-in", username=name, password="12345678")).status == 200


async def test_who_registers_by_email_has_it_as_name(nobody: Client) -> None:
    email = f"{new_name()}@example.org"
    answer = await nobody.post("/api/auth/register", email=email, password="x" * 128, fullName="Anna Maria Muster")
    user = {"userId": UUID, "email": email, "fullName": "Anna Maria Muster"}
    assert (answer.status, answer.body) == (
        201,
        {"message": TEXT, "accessToken": answer.body["accessToken"], "user": user},
    )
    me = await nobody.bearing(answer.body["accessToken"]).get("/api/auth/me")
    assert me.body == {**answer.body["user"], "user": answer.body["user"]}
    assert (await nobody.post("/api/users/token", username=email, password="x" * 128)).status == 200


async def test_who_has_given_no_full_name_is_known_by_the_name(nobody: Client, alice: dict[str, str]) -> None:
    answer = await nobody.post("/sign-in", username=alice["username"], password=PASSWORD)
    assert answer.body["user"]["fullName"] == alice["username"]


async def test_name_or_email_that_is_taken_is_refused_in_any_case(nobody: Client, alice: dict[str, str]) -> None:
    name = await nobody.post("/auth/register/", username=alice["username"].upper(), password=PASSWORD)
    assert (name.status, list(name.body)) == (400, ["username"])
    taken = {"email": alice["email"].upper(), "password": PASSWORD}
    mail = await nobody.post("/auth/register/", username=new_name(), **taken)
    assert (mail.status, list(mail.body)) == (400, ["email"])
    other = await nobody.post("/api/auth/register", **taken, fullName="Somebody Else")
    assert (other.status, other.body) == (409, {"detail": TEXT})


async def test_name_that_many_want_at_once_goes_to_one(nobody: Client) -> None:
    name = new_name()
    asked = (nobody.post("/auth/register/", username=name, password=PASSWORD) for _ in range(5))
    assert sorted(answer.status for answer in await asyncio.gather(*asked)) == [201, 400, 400, 400, 400]


async def test_registration_is_closed_by_default(start_server: StartServer) -> None:
    server = await start_server(PALAVER_REGISTRATION="")
    async with open_client(server) as client:
        by_name = await client.post("/auth/register/", username="alice", password=PASSWORD)
        by_mail = await client.post("/api/auth/register", email="a@b.c", password=PASSWORD, fullName="A")
        assert [(answer.status, answer.body) for answer in (by_name, by_mail)] == [(403, {"detail": TEXT})] * 2
        assert "alice" not in await server.cli("user", "list")


# Who is there, and leaving


async def test_me_needs_an_account(nobody: Client) -> None:
    answer = await nobody.get("/api/auth/me")
    assert (answer.status, answer.body, answer.headers["WWW-Authenticate"]) == (401, {"detail": TEXT}, "Bearer")


async def new_token(nobody: Client, alice: dict[str, str]) -> Client:
    answer = await nobody.post("/api/users/token", username=alice["username"], password=PASSWORD)
    return nobody.bearing(answer.body["token"])


async def new_browser(nobody: Client, alice: dict[str, str]) -> Client:
    kept = (await nobody.post("/sign-in", username=alice["username"], password=PASSWORD)).cookies
    return nobody.carrying(**kept).sending({"X-CSRFToken": kept["csrftoken"]})


@pytest.mark.parametrize("path", ["/api/auth/logout", "/sign-out"])
async def test_leaving_revokes_the_token_used_and_no_other(nobody: Client, alice: dict[str, str], path: str) -> None:
    used, other = await new_token(nobody, alice), await new_token(nobody, alice)
    answer = await used.send("POST", path)
    assert (answer.status, answer.body) == (200, {"message": TEXT})
    assert [(await client.get("/api/auth/me")).status for client in (used, other)] == [401, 200]
    assert (await used.send("POST", path)).status == 401


@pytest.mark.parametrize("path", ["/api/auth/logout", "/sign-out"])
async def test_leaving_revokes_the_cookies_session(nobody: Client, alice: dict[str, str], path: str) -> None:
    used, other = await new_browser(nobody, alice), await new_browser(nobody, alice)
    answer = await used.send("POST", path)
    assert (answer.status, answer.body) == (200, {"message": TEXT})
    assert [(await client.get("/api/auth/me")).status for client in (used, other)] == [401, 200]


async def test_sign_out_clears_the_cookies(nobody: Client, alice: dict[str, str]) -> None:
    answer = await (await new_browser(nobody, alice)).send("POST", "/sign-out")
    assert answer.cookies == {"palaver_session": "", "csrftoken": ""}
    assert [answer.cookie(name)["max-age"] for name in answer.cookies] == ["0", "0"]


async def test_sign_out_everywhere_ends_all_sessions_and_tokens_of_the_person(nobody: Client) -> None:
    person, other = ({"username": new_name()} for _ in range(2))
    for one in (person, other):
        await nobody.post("/auth/register/", **one, password=PASSWORD)
    token, browser, leaving = (
        await new_token(nobody, person), await new_browser(nobody, person), await new_browser(nobody, person),
    )  # fmt: skip
    bystander = await new_token(nobody, other)
    assert (await leaving.post("/sign-out", everywhere=True)).status == 200
    assert [(await one.get("/api/auth/me")).status for one in (token, browser, leaving)] == [401] * 3
    assert (await bystander.get("/api/auth/me")).status == 200
    assert (await nobody.post("/sign-in", **person, password=PASSWORD)).status == 200


@pytest.mark.parametrize("path", ["/api/auth/logout", "/sign-out"])
async def test_leaving_needs_somebody_and_a_csrf_token_with_the_cookie(
    nobody: Client, alice: dict[str, str], path: str
) -> None:
    assert (await nobody.send("POST", path)).status == 401
    browser = await new_browser(nobody, alice)
    assert (await browser.sending({"X-CSRFToken": "wrong"}).send("POST", path)).status == 403
    assert (await browser.get("/api/auth/me")).status == 200


# Sign-in links


async def make_link(server: Server, name: str = "admin") -> str:
    return "/sign-in/" + (await server.cli("user", "link", name)).split("/sign-in/")[1].strip()


async def test_link_signs_in_once(nobody: Client, shared_server: Server) -> None:
    link = await make_link(shared_server)
    answer = await nobody.get(link)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert set(answer.cookies) == {"palaver_session", "csrftoken"}
    assert (await nobody.carrying(**answer.cookies).get("/api/auth/me")).status == 200
    again = await nobody.get(link)
    assert (again.status, again.body, again.cookies) == (410, {"detail": TEXT}, {})


async def test_link_signs_in_once_however_many_follow_it_at_once(nobody: Client, shared_server: Server) -> None:
    link = await make_link(shared_server)
    answers = await asyncio.gather(*(nobody.get(link) for _ in range(10)))
    assert sorted(answer.status for answer in answers) == [303] + [410] * 9


async def test_looking_at_a_link_does_not_use_it_up(nobody: Client, shared_server: Server) -> None:
    link = await make_link(shared_server)
    for _ in range(2):
        looked = await nobody.send("HEAD", link)
        assert (looked.status, looked.content, looked.cookies) == (303, b"", {})
    assert (await nobody.get(link)).status == 303
    assert (await nobody.send("HEAD", link)).status == 410


@pytest.mark.parametrize("code", ["never-was", "x" * 43, "%00", "%F0%9F%98%80", "a%20b"])
async def test_unknown_link_is_gone_in_plain_words(nobody: Client, code: str) -> None:
    told = await nobody.having(Accept_Language="de").get(f"/sign-in/{code}")
    assert (told.status, told.body) == (410, {"detail": TEXT})
    assert "Anmelde-Link" in told.body["detail"]
    page = await nobody.having(Accept="text/html,*/*;q=0.8").get(f"/sign-in/{code}")
    assert (page.status, page.headers["Content-Type"].split(";")[0]) == (410, "text/html")
    assert "sign-in link" in page.text
    assert (await nobody.send("HEAD", f"/sign-in/{code}")).status == 410


async def test_link_is_no_token_and_no_session(nobody: Client, shared_server: Server) -> None:
    link = await make_link(shared_server)
    code = link.removeprefix("/sign-in/")
    for client in (nobody.bearing(code), nobody.carrying(palaver_session=code)):
        assert (await client.get("/api/auth/me")).status == 401
    assert (await nobody.get(link)).status == 303


async def test_link_of_the_first_start_signs_in_until_it_is_used(server: Server) -> None:
    [link] = re.findall(r"/sign-in/\S+", server.log_text())
    await server.restart()
    async with open_client(server) as client:
        assert (await client.get(link)).status == 303
        assert (await client.get(link)).status == 410


# Limits


@pytest.mark.parametrize(("path", "field", "wrong"), DOORS)
async def test_failed_sign_ins_are_limited_at_every_door_also_with_the_right_password(
    start_server: StartServer, path: str, field: str, wrong: int
) -> None:
    server = await start_server(PALAVER_SIGN_IN_ATTEMPTS="2", PALAVER_SIGN_IN_WINDOW_SECONDS="300")
    await server.cli("user", "add", "alice", "--password-stdin", stdin=f"{PASSWORD}\n")
    async with open_client(server) as client:
        statuses = [(await client.post(path, **{field: "alice", "password": "wrong"})).status for _ in range(3)]
        assert statuses == [wrong, wrong, 429]
        limited = await client.post(path, **{field: "alice", "password": PASSWORD})
        assert (limited.status, limited.body) == (429, {"detail": TEXT})
        assert 0 < int(limited.headers["Retry-After"]) <= 300
        for other, name, _ in DOORS:
            assert (await client.post(other, **{name: "alice", "password": PASSWORD})).status == 429


async def test_limit_on_sign_ins_passes_with_its_window(start_server: StartServer) -> None:
    server = await start_server(PALAVER_SIGN_IN_ATTEMPTS="1", PALAVER_SIGN_IN_WINDOW_SECONDS="4")
    await server.cli("user", "add", "alice", "--password-stdin", stdin=f"{PASSWORD}\n")
    async with open_client(server) as client:
        assert (await sign_in_wrongly(client, "alice")).status == 400
        async with asyncio.timeout(60):
            # Where a password takes long to hash, the window of the one before may be over.
            while (await sign_in_wrongly(client, "alice")).status != 429:
                continue
            while (await client.post("/sign-in", username="alice", password=PASSWORD)).status != 200:
                continue


async def test_limited_sign_in_hashes_no_password(strict: Client, strict_server: Server) -> None:
    """Counted in what it takes of a core, which is the same however many others want it."""
    name, times = new_name(), 10
    # What an unknown name is held against is hashed the first time.
    assert (await sign_in_wrongly(strict, new_name())).status == 400
    began = strict_server.cpu_seconds()
    assert (await sign_in_wrongly(strict, name)).status == 400
    hashed = strict_server.cpu_seconds() - began
    while (await sign_in_wrongly(strict, name)).status != 429:
        continue

    async def cost_of_a_refusal() -> float:
        began = strict_server.cpu_seconds()
        refused = [(await sign_in_wrongly(strict, name)).status for _ in range(times)]
        assert refused == [429] * times
        return (strict_server.cpu_seconds() - began) / times

    async with asyncio.timeout(60):
        # The quickest says what it costs: the hash may have had a core that is faster than the next one.
        while await cost_of_a_refusal() >= hashed / 3:
            continue


async def test_links_and_tokens_work_for_who_may_not_try_passwords(strict: Client, shared_server: Server) -> None:
    while (await sign_in_wrongly(strict, new_name())).status != 429:
        continue
    assert (await strict.get("/sign-in/never-was")).status == 410
    assert (await strict.bearing("x" * 43).get("/api/auth/me")).status == 401
    assert shared_server.is_running


# Secrets


async def test_no_secret_is_in_the_servers_log(start_server: StartServer) -> None:
    server = await start_server(PALAVER_LOG_LEVEL="debug", PALAVER_REGISTRATION="on", PALAVER_SIGN_IN_ATTEMPTS="3")
    first_link = re.findall(r"/sign-in/(\S+)", server.log_text())[0]
    async with open_client(server) as client:
        password, wrong = "my dearest password", "another password"
        token = (await client.post("/auth/register/", username="alice", password=password)).body["token"]
        link = (await make_link(server, "alice")).removeprefix("/sign-in/")
        kept = await sign_in(client, server)
        browser = client.carrying(**kept)
        asked = f"?token={token}"
        await client.get(f"/sign-in/{link}")
        await client.get(f"/sign-in/{link}")
        await client.bearing(token).post("/api/chat", message="hello")
        await client.bearing(f"{token}x").post("/api/chat", message="hello")
        await browser.post("/api/chat", message="hello")
        await client.get(f"/api/auth/me{asked}")
        async with ClientSession() as http:
            async with http.ws_connect(f"{server.url}/ws/keepalive{asked}") as socket:
                await socket.receive()
            with pytest.raises(WSServerHandshakeError):
                await http.ws_connect(f"{server.url}/ws/nowhere{asked}")
        for _ in range(4):
            await client.post("/sign-in", username="alice", password=wrong)
        await client.sending(JSON).send("POST", "/sign-in", f'{{"password": "{wrong}"'.encode())
    log = server.log_text()
    secrets = {token, link, kept["palaver_session"], kept["csrftoken"], password, wrong}
    assert [secret for secret in secrets if secret in log] == []
    # The first start prints its link for the operator, once.
    assert log.count(first_link) == 1
