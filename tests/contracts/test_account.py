"""A person's own account over HTTP: name, e-mail, language, password, tokens."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.journeys.client import (
    PASSWORD,
    TEXT,
    TIME,
    UUID,
    WHOLE,
    Client,
    new_name,
    open_beside,
    open_client,
    register,
    sign_in,
)
from tests.parts.palaver import Server
from tests.parts.run import Run

ACCOUNT = "/api/account"
TOKENS = "/api/account/tokens"
NEW_PASSWORD = "another horse altogether"


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_REGISTRATION": "on", "PALAVER_SIGN_IN_ATTEMPTS": "100000"}


@pytest.fixture(scope="module")
async def nobody(shared_server: Server) -> AsyncIterator[Client]:
    async with open_client(shared_server) as client:
        yield client


@pytest.fixture
async def alice(nobody: Client) -> Client:
    return await register(nobody)


async def name_of(person: Client) -> str:
    name: str = (await person.get(ACCOUNT)).body["username"]
    return name


async def open_browser(nobody: Client, name: str, password: str = PASSWORD) -> Client:
    answer = await nobody.post("/sign-in", username=name, password=password)
    assert answer.status == 200, answer.text
    return nobody.carrying(**answer.cookies).sending({"X-CSRFToken": answer.cookies["csrftoken"]})


async def statuses(*clients: Client) -> list[int]:
    return [(await client.get("/api/auth/me")).status for client in clients]


async def test_account_is_told_and_changed(alice: Client) -> None:
    told = {
        "user_id": UUID, "username": TEXT, "email": "", "full_name": "", "language": None, "is_admin": False,
        "has_password": True, "created_at": TIME,
    }  # fmt: skip
    assert (await alice.get(ACCOUNT)).body == told
    email = f"{new_name()}@example.org"
    changed = {"full_name": "Ann Lee", "email": email, "language": "it"}
    answer = await alice.patch(ACCOUNT, **{**changed, "full_name": " Ann Lee "})
    assert (answer.status, answer.body) == (200, {**told, **changed})
    assert (await alice.get(ACCOUNT)).body == {**told, **changed}
    assert (await alice.get("/api/auth/me")).body["fullName"] == "Ann Lee"
    assert (await alice.patch(ACCOUNT)).body == {**told, **changed}
    cleared = await alice.patch(ACCOUNT, language=None, email="", full_name="")
    assert cleared.body == told


async def test_account_signs_in_by_its_new_email(nobody: Client) -> None:
    old, new = (f"{new_name()}@example.org" for _ in range(2))
    made = await nobody.post("/api/auth/register", email=old, password=PASSWORD, fullName="Ann")
    ann = nobody.bearing(made.body["accessToken"])
    changed = await ann.patch(ACCOUNT, email=new)
    # Who registered by e-mail is called by it.
    assert (changed.body["username"], changed.body["email"]) == (new, new)
    assert (await nobody.post("/sign-in", username=new, password=PASSWORD)).status == 200
    assert (await nobody.post("/sign-in", username=old, password=PASSWORD)).status == 401
    # And the old one is free.
    assert (await nobody.post("/api/auth/register", email=old, password=PASSWORD, fullName="Bea")).status == 201


async def test_account_takes_nothing_that_is_anothers_or_cannot_be(nobody: Client, alice: Client) -> None:
    taken = f"{new_name()}@example.org"
    await register(nobody, email=taken)
    before = (await alice.get(ACCOUNT)).body
    refused = await alice.having(Accept_Language="de").patch(ACCOUNT, email=taken.upper())
    assert (refused.status, refused.body["detail"]) == (409, "Diese E-Mail-Adresse gehört schon jemandem.")
    for wrong in ({"email": "no address"}, {"language": "xx"}, {"full_name": "x" * 256}, {"full_name": 5}):
        refused = await alice.patch(ACCOUNT, **wrong)
        assert (refused.status, refused.body["detail"][0]["loc"]) == (422, ["body", *wrong])
    assert (await alice.get(ACCOUNT)).body == before


async def test_new_password_ends_all_that_signed_in_before_but_the_caller(nobody: Client, alice: Client) -> None:
    name = await name_of(alice)
    here, there = await open_browser(nobody, name), await open_browser(nobody, name)
    script = nobody.bearing((await here.post(TOKENS, name="script")).body["token"])
    assert await statuses(alice, here, there, script) == [200] * 4
    changed = await here.post(f"{ACCOUNT}/password", old_password=PASSWORD, new_password=NEW_PASSWORD)
    assert (changed.status, changed.body) == (200, {"message": TEXT})
    # A token that was made by name is listed, and stays until it is revoked.
    assert await statuses(alice, here, there, script) == [401, 200, 401, 200]
    assert (await nobody.post("/sign-in", username=name, password=PASSWORD)).status == 401
    await open_browser(nobody, name, NEW_PASSWORD)


async def test_password_is_changed_only_with_the_old_one(nobody: Client, alice: Client) -> None:
    for old in ({}, {"old_password": "wrong"}):
        refused = await alice.having(Accept_Language="it").post(f"{ACCOUNT}/password", **old, new_password=NEW_PASSWORD)
        assert (refused.status, refused.body["detail"][0]["loc"]) == (422, ["body", "old_password"])
    short = await alice.post(f"{ACCOUNT}/password", old_password=PASSWORD, new_password="short")
    assert (short.status, short.body["detail"][0]["loc"]) == (422, ["body", "new_password"])
    await open_browser(nobody, await name_of(alice))


async def test_old_passwords_cannot_be_tried_without_end(run: Run, shared_server: Server) -> None:
    async with (
        open_beside(run, shared_server, PALAVER_SIGN_IN_ATTEMPTS="2") as server,
        open_client(server) as nobody,
    ):
        eve = await register(nobody)
        tried = [
            (await eve.post(f"{ACCOUNT}/password", old_password="wrong", new_password=NEW_PASSWORD)).status
            for _ in range(3)
        ]
        assert tried == [422, 422, 429]


async def test_who_came_by_a_link_gets_a_first_password(nobody: Client, shared_server: Server) -> None:
    name = new_name()
    await shared_server.cli("user", "add", name)
    cookies = await sign_in(nobody, shared_server, name)
    browser = nobody.carrying(**cookies).sending({"X-CSRFToken": cookies["csrftoken"]})
    assert not (await browser.get(ACCOUNT)).body["has_password"]
    assert (await browser.post(f"{ACCOUNT}/password", new_password=NEW_PASSWORD)).status == 200
    assert (await browser.get(ACCOUNT)).body["has_password"]
    await open_browser(nobody, name, NEW_PASSWORD)


async def make_token(person: Client, **fields: Any) -> dict[str, Any]:
    answer = await person.post(TOKENS, **fields)
    assert answer.status == 201, answer.text
    made: dict[str, Any] = answer.body
    return made


async def test_tokens_are_made_listed_without_their_secret_and_revoked(nobody: Client, alice: Client) -> None:
    made = await make_token(alice, name=" laptop ", days=2)
    secret = made.pop("token")
    shown = {
        "id": WHOLE, "name": "laptop", "created_at": TIME, "last_used_at": None, "expires_at": TIME, "current": False,
    }  # fmt: skip
    assert made == shown
    browser = await open_browser(nobody, await name_of(alice))
    forever = await make_token(browser, name="server")
    assert forever["expires_at"] is None
    listed = await alice.get(TOKENS)
    assert [(one["name"], one["current"]) for one in listed.body] == [("server", False), ("laptop", False), ("", True)]
    assert secret not in listed.text
    laptop = nobody.bearing(secret)
    [own] = [one for one in (await laptop.get(TOKENS)).body if one["current"]]
    assert own["id"] == made["id"]
    assert (await alice.delete(f"{TOKENS}/{made['id']}")).status == 204
    assert await statuses(laptop, alice) == [401, 200]
    assert (await alice.delete(f"{TOKENS}/{made['id']}")).status == 404
    assert [one["name"] for one in (await alice.get(TOKENS)).body] == ["server", ""]


async def test_tokens_are_ones_own(nobody: Client, alice: Client) -> None:
    bob = await register(nobody)
    made = await make_token(alice, name="hers", days=1)
    for path in (f"{TOKENS}/{made['id']}", f"{TOKENS}/0", f"{TOKENS}/x", f"{TOKENS}/{10**17}"):
        assert (await bob.delete(path)).status == 404
    # A session is none of them.
    browser = await open_browser(nobody, await name_of(alice))
    assert len((await browser.get(TOKENS)).body) == 2
    assert await statuses(nobody.bearing(made["token"]), browser) == [200, 200]
    for wrong in ({"name": " "}, {}, {"name": "x", "days": 0}, {"name": "x" * 101}, {"name": "x", "days": "soon"}):
        assert (await alice.post(TOKENS, **wrong)).status == 422


async def test_token_makes_none_that_outlives_it(nobody: Client, alice: Client) -> None:
    short = nobody.bearing((await make_token(alice, name="leaked", days=2))["token"])
    italian = short.having(Accept_Language="it")
    for longer in ({"days": 2.01}, {}, {"days": None}):
        refused = await italian.post(TOKENS, name="mine for ever", **longer)
        assert (refused.status, refused.body["detail"][0]["loc"]) == (422, ["body", "days"])
        assert "browser" in refused.body["detail"][0]["msg"]
    assert (await make_token(short, name="shorter", days=1.9))["expires_at"] is not None


async def test_token_gives_nobody_a_first_password(nobody: Client, shared_server: Server) -> None:
    name = new_name()
    leaked = nobody.bearing(await shared_server.token(name))
    refused = await leaked.having(Accept_Language="de").post(f"{ACCOUNT}/password", new_password=NEW_PASSWORD)
    assert (refused.status, "Browser" in refused.body["detail"]) == (403, True)
    assert not (await leaked.get(ACCOUNT)).body["has_password"]
    assert (await nobody.post("/sign-in", username=name, password=NEW_PASSWORD)).status == 401


async def test_nobody_makes_tokens_without_end(alice: Client) -> None:
    made = [await make_token(alice, name=f"script {number}", days=1) for number in range(100)]
    refused = await alice.having(Accept_Language="de").post(TOKENS, name="one more", days=1)
    assert (refused.status, refused.body["detail"]) == (
        409, "Es gibt schon 100 Tokens mit Namen. Bitte zuerst eines widerrufen.",
    )  # fmt: skip
    assert (await alice.delete(f"{TOKENS}/{made[0]['id']}")).status == 204
    await make_token(alice, name="one more", days=1)
