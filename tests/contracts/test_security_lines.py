"""What the log tells of those who come in, of those who are refused, and of what becomes of accounts and tokens."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import WSServerHandshakeError

from tests.contracts.talking import make
from tests.journeys.client import PASSWORD, Client, new_name, open_client
from tests.journeys.socket import LIST, enter
from tests.parts.palaver import Server, StoreKind
from tests.parts.process import wait_until

pytestmark = pytest.mark.usefixtures("llm")

ATTEMPTS = 3
ADDRESS = "127.0.0.1"
TYPED = "a-password-in-the-wrong-field"


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "sqlite"


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {
        "PALAVER_REGISTRATION": "on",
        "PALAVER_LOG_FORMAT": "json",
        "PALAVER_SIGN_IN_ATTEMPTS": str(ATTEMPTS),
    }


class Person:
    """Somebody with a password, and the log of the server."""

    def __init__(self, nobody: Client, server: Server, name: str, token: str, uuid: str) -> None:
        self.nobody = nobody
        self.server = server
        self.name = name
        self.token = token
        self.uuid = uuid
        self.who = {"user": uuid, "name": name}

    @property
    def client(self) -> Client:
        return self.nobody.bearing(self.token)

    async def sign_in(self, asking: str, password: str = PASSWORD) -> Client:
        """A browser."""
        answer = await self.nobody.having(X_Request_Id=asking).post("/sign-in", username=self.name, password=password)
        browser = self.nobody.carrying(**answer.cookies)
        return browser.sending({"X-CSRFToken": answer.cookies.get("csrftoken", "")})

    def told(self, asking: str) -> list[dict[str, Any]]:
        return told(self.server, asking)


def told(server: Server, asking: str) -> list[dict[str, Any]]:
    """What the log tells of that request, but for when and by whom it was written."""
    lines = [json.loads(line) for line in server.log_text().splitlines() if line.startswith("{")]
    mine = [line for line in lines if line["logger"] == "palaver.security" and line.get("request_id") == asking]
    assert all(line["message"].startswith(f"request {asking}: {line['event']} ") for line in mine)
    assert all(line.pop("address") == ADDRESS for line in mine)
    left_out = ("time", "logger", "message", "worker", "process", "request_id")
    return [{name: value for name, value in line.items() if name not in left_out} for line in mine]


async def new_person(nobody: Client, server: Server) -> Person:
    name = new_name()
    made = await nobody.post("/auth/register/", username=name, password=PASSWORD)
    token = made.body["token"]
    account = await nobody.bearing(token).get("/api/account")
    return Person(nobody, server, name, token, account.body["user_id"])


@pytest.fixture
async def nobody(shared_server: Server) -> AsyncIterator[Client]:
    async with open_client(shared_server) as client:
        yield client


@pytest.fixture
async def alice(nobody: Client, shared_server: Server) -> Person:
    return await new_person(nobody, shared_server)


@pytest.fixture(scope="module")
async def admin_token(shared_server: Server) -> str:
    return await shared_server.token("admin")


async def test_whoever_signs_in_or_out_is_named(alice: Person) -> None:
    browser = await alice.sign_in("in")
    signed_in = {"level": "info", "event": "signed_in", "how": "password", **alice.who}
    assert alice.told("in") == [{**signed_in, "made": "session"}]
    answer = await alice.nobody.having(X_Request_Id="api").post("/auth/login/", username=alice.name, password=PASSWORD)
    assert answer.status == 200
    assert alice.told("api") == [{**signed_in, "made": "token"}]
    code = (await alice.server.cli("user", "link", alice.name)).split("/sign-in/")[1].strip()
    link = alice.nobody.having(X_Request_Id="link")
    assert [(await link.get(f"/sign-in/{code}")).status for _ in range(2)] == [303, 410]
    assert alice.told("link") == [
        {**signed_in, "how": "link", "made": "session"},
        {"level": "warning", "event": "sign_in_refused", "how": "link", "why": "unknown"},
    ]
    await browser.having(X_Request_Id="out").post("/sign-out")
    await alice.client.having(X_Request_Id="out").post("/sign-out", everywhere=True)
    signed_out = {"level": "info", "event": "signed_out", **alice.who}
    assert alice.told("out") == [{**signed_out, "how": "session"}, {**signed_out, "how": "everywhere"}]


async def test_refused_sign_in_names_nobody_but_accounts_that_there_are(alice: Person) -> None:
    refused = {"level": "warning", "event": "sign_in_refused"}
    for _ in range(ATTEMPTS):
        await alice.sign_in("guess", "not this one")
    assert alice.told("guess") == [{**refused, **alice.who, "how": "password", "why": "wrong_password"}] * ATTEMPTS
    await alice.sign_in("limited")
    assert alice.told("limited") == [{**refused, **alice.who, "why": "limited", "limit": "account"}]
    for path in ("/sign-in", "/api/users/token"):
        await alice.nobody.having(X_Request_Id="typed").post(path, username=TYPED, password=PASSWORD)
    assert alice.told("typed") == [{**refused, "how": "password", "why": "no_such_account"}] * 2
    assert TYPED not in alice.server.log_text()


async def test_what_becomes_of_an_account_is_told_with_who_did_it(alice: Person, admin_token: str) -> None:
    admin = alice.nobody.bearing(admin_token)
    by = {"by": (await admin.get("/api/account")).body["user_id"]}
    added = await admin.having(X_Request_Id="add").post("/api/admin/users", name=new_name(), is_admin=True)
    user = added.body["user"]
    bob = {"level": "info", "user": user["user_id"], "name": user["name"], **by}
    [made, is_admin, link] = alice.told("add")
    assert [made, is_admin] == [{"event": "account_made", "kind": "person", **bob}, {"event": "admin_made", **bob}]
    assert (link["event"], link["user"], link["by"]) == ("link_made", user["user_id"], by["by"])
    path = f"/api/admin/users/{user['user_id']}"
    changing = admin.having(X_Request_Id="change")
    for change in ({"is_admin": False}, {"disabled": True}, {"disabled": True}, {"disabled": False}):
        assert (await changing.patch(path, **change)).status == 200
    await changing.post(f"{path}/sign-out")
    await changing.delete(path)
    events = [line.pop("event") for line in alice.told("change")]
    assert events == ["admin_unmade", "account_disabled", "account_enabled", "signed_out", "account_erased"]
    assert all(bob.items() <= line.items() for line in alice.told("change"))


async def test_what_people_do_to_their_own_account_is_told(alice: Person) -> None:
    own = alice.client.having(X_Request_Id="own")
    await own.patch("/api/account", email=f"{alice.name}@example.org", full_name="Somebody Else")
    made = await own.post("/api/account/tokens", name="a label of alice", days=1)
    await own.delete(f"/api/account/tokens/{made.body['id']}")
    await own.post("/api/account/password", old_password="not this one", new_password="another one of mine")
    await own.post("/api/account/password", old_password=PASSWORD, new_password="another one of mine")
    assert alice.told("own") == [
        {"level": "info", "event": "email_changed", **alice.who},
        {"level": "info", "event": "token_made", "token": made.body["id"], **alice.who},
        {"level": "info", "event": "token_revoked", "token": made.body["id"], **alice.who},
        {"level": "warning", "event": "password_refused", "why": "wrong_password", **alice.who},
        {"level": "info", "event": "password_changed", **alice.who},
    ]
    log = alice.server.log_text()
    assert [word for word in ("a label of alice", "Somebody Else", "one of mine", "not this one") if word in log] == []


async def test_applications_are_told_of_like_accounts(alice: Person, admin_token: str) -> None:
    admin = alice.nobody.bearing(admin_token).having(X_Request_Id="app")
    app = (await admin.post("/api/admin/apps", name=new_name())).body
    path = f"/api/admin/apps/{app['app_id']}"
    token = (await admin.post(f"{path}/tokens", label="a label of the app")).body
    await admin.delete(f"{path}/tokens/{token['id']}")
    await admin.patch(path, disabled=True)
    await admin.delete(path)
    lines = alice.told("app")
    events = ["account_made", "token_made", "token_revoked", "account_disabled", "account_erased"]
    assert [line["event"] for line in lines] == events
    assert {(line["user"], line["name"]) for line in lines} == {(app["app_id"], app["name"])}
    assert "a label of the app" not in alice.server.log_text()


async def test_what_somebody_may_not_do_is_told_with_who_it_was(alice: Person) -> None:
    browser = await alice.sign_in("browser")
    await alice.client.having(X_Request_Id="may-not").get("/api/admin/users")
    await browser.sending({"X-CSRFToken": "wrong", "X-Request-Id": "may-not"}).post("/sign-out")
    await browser.having(X_Request_Id="may-not", Origin="https://evil.example").post("/sign-out")
    with pytest.raises(WSServerHandshakeError):
        async with browser.having(X_Request_Id="may-not", Origin="https://evil.example").connect(LIST):
            pass
    not_allowed = {"level": "warning", "event": "not_allowed", **alice.who}
    assert alice.told("may-not") == [
        {**not_allowed, "why": "forbidden", "method": "GET", "route": "/api/admin/users"},
        {**not_allowed, "why": "csrf", "method": "POST", "route": "/sign-out"},
        {**not_allowed, "why": "cross_site", "method": "POST", "route": "/sign-out"},
        {**not_allowed, "why": "cross_site", "method": "WEBSOCKET", "route": LIST},
    ]


async def test_credentials_that_open_nothing_are_told_with_whose_they_were(alice: Person) -> None:
    browser = await alice.sign_in("open")
    session = browser.having(X_Request_Id="session")
    await browser.post("/sign-out")
    await session.get("/api/account")
    refused = {"level": "warning", "event": "credential_refused"}
    assert alice.told("session") == [{**refused, "kind": "session", "why": "revoked", **alice.who}]
    wrong = alice.nobody.having(X_Request_Id="wrong")
    await wrong.bearing("a-token-of-nobody").get("/api/account")
    async with wrong.bearing("a-token-of-nobody").connect(LIST) as socket:
        await socket.receive()
    await wrong.get("/api/account")
    assert alice.told("wrong") == [{**refused, "kind": "token", "why": "unknown"}] * 2


async def test_turn_tells_nothing_but_who_asked(alice: Person) -> None:
    client = alice.client.having(X_Request_Id="turn")
    async with enter(alice.client.having(X_Request_Id="turn"), await make(client), "") as socket:
        await socket.say("hello")
        await socket.turn()
    assert (await client.post("/api/chat", message="hello")).status == 200
    assert await wait_until(lambda: f"POST /api/chat 200 of {alice.uuid}" in alice.server.log_text(), seconds=10)
    assert alice.told("turn") == []
    lines = [json.loads(line) for line in alice.server.log_text().splitlines() if '"turn"' in line]
    assert [line["user"] for line in lines if line.get("route") == "/api/chat"] == [alice.uuid]
