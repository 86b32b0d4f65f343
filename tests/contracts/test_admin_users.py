"""What admins do about people, applications and their tokens, on a server and on several workers."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.contracts.talking import make
from tests.journeys.client import PASSWORD, TEXT, TIME, UUID, WHOLE, Client, ask_until, new_name, open_client
from tests.journeys.socket import enter, open_list
from tests.parts.palaver import Server

USERS = "/api/admin/users"
APPS = "/api/admin/apps"
ENDLESS = "[[pieces=6000&delay=0.01]]"
# As long as a busy machine may take; tests/contracts/test_shut_out.py says how soon it is.
SECONDS = 15.0

# Each test finds the model as nobody has told it anything.
pytestmark = pytest.mark.usefixtures("llm")


@pytest.fixture(scope="module")
def server_environment(scaled: Mapping[str, str]) -> Mapping[str, str]:
    return {"PALAVER_REGISTRATION": "on", **scaled}


@pytest.fixture(scope="module")
async def token(shared_server: Server) -> str:
    return await shared_server.token("admin")


@pytest.fixture
async def nobody(shared_server: Server) -> AsyncIterator[Client]:
    async with open_client(shared_server) as client:
        yield client


@pytest.fixture
def admin(nobody: Client, token: str) -> Client:
    return nobody.bearing(token)


async def add(admin: Client, **fields: Any) -> Any:
    """Somebody new, and the link that signs them in."""
    added = await admin.post(USERS, **{"name": new_name(), **fields})
    assert added.status == 201, added.text
    return added.body


async def enter_by(nobody: Client, link: Any) -> Client:
    """A browser that has followed the link."""
    opened = await nobody.get(link["url"].removeprefix(nobody.url))
    assert opened.status == 303, opened.text
    return nobody.carrying(**opened.cookies).having(Origin=nobody.url, X_CSRFToken=opened.cookies["csrftoken"])


async def status_of(client: Client) -> int:
    return (await client.get("/api/auth/me")).status


# People


async def test_person_is_added_with_a_link_that_signs_in_once(nobody: Client, admin: Client) -> None:
    name = new_name()
    added = await add(admin, name=name, email=f"{name}@example.org", full_name=" Mira Lindt ")
    assert added == {
        "user": {
            "user_id": UUID, "name": name, "email": f"{name}@example.org", "full_name": "Mira Lindt",
            "is_admin": False, "disabled": False, "created_at": TIME,
        },
        "sign_in_link": {"url": TEXT, "expires_at": TIME},
    }  # fmt: skip
    mira = await enter_by(nobody, added["sign_in_link"])
    assert (await mira.get("/api/auth/me")).body["fullName"] == "Mira Lindt"
    assert (await nobody.get(added["sign_in_link"]["url"].removeprefix(nobody.url))).status == 410
    for named in (name, added["user"]["user_id"]):
        assert (await admin.get(f"{USERS}/{named}")).body == added["user"]
    again = await admin.post(f"{USERS}/{name}/sign-in-link")
    assert (again.status, await status_of(await enter_by(nobody, again.body))) == (201, 200)


async def test_email_may_be_the_name(admin: Client) -> None:
    email = f"{new_name()}@example.org"
    user = (await add(admin, name=email))["user"]
    assert (user["name"], user["email"]) == (email, email)


async def test_email_that_anybody_may_claim_leads_to_nobody(admin: Client) -> None:
    email = f"{new_name()}@example.org"
    claimed = (await add(admin, email=email))["user"]
    for refused in (
        await admin.get(f"{USERS}/{email}"),
        await admin.patch(f"{USERS}/{email}", is_admin=True),
        await admin.post(f"{USERS}/{email}/sign-in-link"),
        await admin.post(f"{USERS}/{email}/sign-out"),
        await admin.delete(f"{USERS}/{email}"),
        await admin.get(f"/api/admin/limits/{email}"),
        await admin.get(f"/api/admin/usage?user={email}"),
    ):
        assert refused.status == 404
    assert (await admin.get(f"{USERS}/{claimed['name']}")).body == claimed


async def test_what_cannot_be_a_person_is_refused_at_its_field(admin: Client) -> None:
    first = (await add(admin, email=f"{new_name()}@example.org"))["user"]
    refused: list[tuple[dict[str, Any], str]] = [
        ({"name": "two words"}, "name"),
        ({"name": "<b>"}, "name"),
        ({"name": " "}, "name"),
        ({"email": "nowhere"}, "email"),
        ({"full_name": "x" * 256}, "full_name"),
        ({"is_admin": "perhaps"}, "is_admin"),
    ]
    for fields, field in refused:
        answer = await admin.post(USERS, **{"name": new_name(), **fields})
        assert (answer.status, [problem["loc"] for problem in answer.body["detail"]]) == (422, [["body", field]])
    taken = await admin.having(Accept_Language="de").post(USERS, name=first["name"].upper())
    assert (taken.status, taken.body["detail"]) == (409, "Das ist schon vergeben.")
    taken = await admin.having(Accept_Language="it").post(USERS, name=new_name(), email=first["email"])
    assert (taken.status, taken.body["detail"]) == (409, "Questa e-mail appartiene già a qualcun altro.")


async def test_people_are_listed_by_name_page_by_page_and_found(admin: Client) -> None:
    mark = new_name()
    names = [f"{mark}-{letter}" for letter in "abc"]
    for name in reversed(names):
        await add(admin, name=name, full_name=f"100% {name[-1].upper()}")
    listed = await admin.get(f"{USERS}?search={mark}&limit=2")
    assert ([user["name"] for user in listed.body["users"]], listed.body["total"]) == (names[:2], 3)
    rest = await admin.get(f"{USERS}?search={mark}&limit=2&after={names[1]}")
    assert ([user["name"] for user in rest.body["users"]], rest.body["total"]) == (names[2:], 3)
    assert (await admin.get(f"{USERS}?search=100%25%20b")).body["users"][0]["name"] == names[1]
    everybody = (await admin.get(USERS)).body
    assert everybody["total"] >= 4
    assert (await admin.get(f"{USERS}?limit=0")).status == 422
    # Applications are none.
    assert (await admin.post(APPS, name=f"{mark}-app")).status == 201
    assert (await admin.get(f"{USERS}?search={mark}")).body["total"] == 3
    assert (await admin.get(f"{USERS}/{mark}-app")).status == 404


async def test_person_becomes_an_admin_and_is_one_no_more(nobody: Client, admin: Client) -> None:
    added = await add(admin)
    path = f"{USERS}/{added['user']['name']}"
    person = await enter_by(nobody, added["sign_in_link"])
    assert (await person.get(USERS)).status == 403
    assert (await admin.patch(path, is_admin=True)).body == {**added["user"], "is_admin": True}
    found = await ask_until(lambda: person.get(USERS), lambda answer: answer.status == 200, seconds=SECONDS)
    assert found.body["total"] >= 2
    assert (await admin.patch(path, is_admin=False, full_name="No boss")).body == {
        **added["user"], "full_name": "No boss",
    }  # fmt: skip
    await ask_until(lambda: person.get(USERS), lambda answer: answer.status == 403, seconds=SECONDS)


async def test_last_admin_cannot_be_shut_out(admin: Client) -> None:
    words = "Sonst könnte sich hier niemand mehr anmelden, der verwalten darf."
    german = admin.having(Accept_Language="de")
    before = (await admin.get(f"{USERS}/admin")).body
    for refused in (
        await german.patch(f"{USERS}/admin", disabled=True),
        await german.patch(f"{USERS}/admin", is_admin=False),
        await german.delete(f"{USERS}/{before['user_id']}"),
    ):
        assert (refused.status, refused.body["detail"].startswith(words)) == (409, True)
    assert (await admin.get(f"{USERS}/admin")).body == before
    # Where there is another one, the first may go.
    other = (await add(admin, is_admin=True))["user"]["name"]
    assert (await admin.patch(f"{USERS}/{other}", disabled=True)).status == 200
    assert (await admin.patch(f"{USERS}/admin", is_admin=False)).status == 409
    assert (await admin.delete(f"{USERS}/{other}")).status == 204


async def test_who_is_disabled_hears_no_more(nobody: Client, admin: Client) -> None:
    added = await add(admin)
    name = added["user"]["name"]
    person = await enter_by(nobody, added["sign_in_link"])
    session = await make(person)
    async with enter(person, session) as socket, open_list(person) as listing:
        await socket.say(ENDLESS)
        await socket.until("ai_message_chunk")
        assert (await admin.patch(f"{USERS}/{name}", disabled=True)).body["disabled"] is True
        both = asyncio.gather(socket.closed(), listing.closed())
        assert set(await asyncio.wait_for(both, SECONDS)) == {4001}
    await ask_until(lambda: person.get("/api/auth/me"), lambda answer: answer.status == 401, seconds=SECONDS)
    refused = await admin.having(Accept_Language="it").post(f"{USERS}/{name}/sign-in-link")
    assert (refused.status, refused.body["detail"][:27]) == (409, "Questo account è disattivat")
    assert (await admin.patch(f"{USERS}/{name}", disabled=False)).body["disabled"] is False
    await ask_until(lambda: person.get("/api/auth/me"), lambda answer: answer.status == 200, seconds=SECONDS)


async def test_person_is_signed_out_everywhere_and_may_sign_in_again(nobody: Client, admin: Client) -> None:
    name = new_name()
    registered = await nobody.post("/auth/register/", username=name, password=PASSWORD)
    script = nobody.bearing(registered.body["token"])
    browser = await enter_by(nobody, (await admin.post(f"{USERS}/{name}/sign-in-link")).body)
    async with open_list(browser) as listing:
        assert (await admin.post(f"{USERS}/{name}/sign-out")).status == 204
        assert await listing.closed() == 4001
    for client in (script, browser):
        await ask_until(
            lambda client=client: client.get("/api/auth/me"),  # type: ignore[misc]
            lambda answer: answer.status == 401,
            seconds=SECONDS,
        )
    again = await nobody.post("/sign-in", username=name, password=PASSWORD)
    assert again.status == 200


async def test_person_is_erased_with_all_that_is_theirs(nobody: Client, admin: Client) -> None:
    added = await add(admin)
    name = added["user"]["name"]
    person = await enter_by(nobody, added["sign_in_link"])
    session = await make(person)
    async with enter(person, session) as socket:
        await socket.say(ENDLESS)
        await socket.until("ai_message_chunk")
        assert (await admin.delete(f"{USERS}/{name}")).status == 204
        assert await socket.closed() == 4001
    assert (await admin.get(f"{USERS}/{name}")).status == 404
    assert (await admin.delete(f"{USERS}/{added['user']['user_id']}")).status == 404
    await ask_until(lambda: person.get("/api/auth/me"), lambda answer: answer.status == 401, seconds=SECONDS)
    assert (await add(admin, name=name))["user"]["user_id"] != added["user"]["user_id"]


# Presets


async def test_admin_sees_every_preset_whose_it_is_and_how_far_it_goes(nobody: Client, admin: Client) -> None:
    added = await add(admin)
    owner = await enter_by(nobody, added["sign_in_link"])
    name = new_name()
    body = {"name": name, "system_prompt": "Be brief.", "description": "Brief.", "model_name": "gpt-4"}
    preset = (await owner.post("/ai-chat/api/presets/", **body)).body["id"]
    shared = await owner.send("PUT", f"/ai-chat/api/presets/{preset}/shares/", {"usernames": ["admin"]})
    assert shared.status == 200
    assert (await owner.post(f"/ai-chat/api/presets/{preset}/create_session_from_preset/")).status == 201
    listed = {one["id"]: one for one in (await admin.get("/api/admin/presets")).body}
    assert listed[preset] == {
        "id": preset, "name": name, "description": "Brief.", "owner": added["user"]["name"], "model_name": "gpt-4",
        "is_public": False, "shared_with": 1, "used": 1, "updated_at": TIME,
    }  # fmt: skip
    assert (listed[1]["name"], listed[1]["owner"], listed[1]["is_public"]) == ("general", None, True)


# Applications


async def test_application_gets_a_token_that_is_told_once_and_can_be_revoked(nobody: Client, admin: Client) -> None:
    name = new_name()
    added = await admin.post(APPS, name=name)
    assert (added.status, added.body) == (
        201, {"app_id": UUID, "name": name, "disabled": False, "created_at": TIME},
    )  # fmt: skip
    assert (await admin.get(f"{APPS}/{name}")).body == (await admin.get(f"{APPS}/{added.body['app_id']}")).body
    assert added.body in (await admin.get(APPS)).body
    tokens = f"{APPS}/{name}/tokens"
    made = await admin.post(tokens, label="Shop", days=30)
    assert (made.status, made.body) == (
        201,
        {"id": WHOLE, "label": "Shop", "created_at": TIME, "expires_at": TIME, "last_used_at": None, "token": TEXT},
    )
    secret = made.body.pop("token")
    forever = await admin.post(tokens)
    assert (forever.body["label"], forever.body["expires_at"]) == ("", None)
    listed = await admin.get(tokens)
    assert [one["id"] for one in listed.body] == [made.body["id"], forever.body["id"]]
    assert secret not in listed.text
    app = nobody.bearing(secret)
    assert (await app.get("/ai-chat/api/sessions/")).status == 200
    assert (await admin.delete(f"{tokens}/{made.body['id']}")).status == 204
    await ask_until(
        lambda: app.get("/ai-chat/api/sessions/"), lambda answer: answer.status == 401, seconds=SECONDS
    )  # fmt: skip
    assert [one["id"] for one in (await admin.get(tokens)).body] == [forever.body["id"]]
    assert (await admin.delete(f"{tokens}/{made.body['id']}")).status == 404


async def test_token_is_revoked_by_way_of_its_own_application_alone(admin: Client) -> None:
    first, second = [(await admin.post(APPS, name=new_name())).body["app_id"] for _ in range(2)]
    token_id = (await admin.post(f"{APPS}/{first}/tokens")).body["id"]
    for path in (f"{APPS}/{second}/tokens/{token_id}", f"{APPS}/{first}/tokens/x", f"{APPS}/nobody/tokens/{token_id}"):
        assert (await admin.delete(path)).status == 404
    assert [one["id"] for one in (await admin.get(f"{APPS}/{first}/tokens")).body] == [token_id]


async def test_application_is_disabled_enabled_and_erased(nobody: Client, admin: Client) -> None:
    app_id = (await admin.post(APPS, name=new_name())).body["app_id"]
    app = nobody.bearing((await admin.post(f"{APPS}/{app_id}/tokens")).body["token"])
    of_seven = (await app.post("/api/v1/chatbot/session", user_id="7")).body["session_id"]
    async with enter(app, of_seven) as socket, open_list(app, "user_id=7") as listing:
        assert (await admin.patch(f"{APPS}/{app_id}", disabled=True)).body["disabled"] is True
        both = asyncio.gather(socket.closed(), listing.closed())
        assert set(await asyncio.wait_for(both, SECONDS)) == {4001}
    assert (await admin.post(f"{APPS}/{app_id}/tokens")).status == 409
    assert (await admin.patch(f"{APPS}/{app_id}")).body["disabled"] is True
    assert (await admin.patch(f"{APPS}/{app_id}", disabled=False)).body["disabled"] is False
    await ask_until(
        lambda: app.get("/ai-chat/api/sessions/"), lambda answer: answer.status == 200, seconds=SECONDS
    )  # fmt: skip
    assert (await admin.delete(f"{APPS}/{app_id}")).status == 204
    assert [(await admin.get(f"{APPS}/{app_id}{rest}")).status for rest in ("", "/tokens")] == [404, 404]


async def test_what_cannot_be_an_application_or_a_token_is_refused(admin: Client) -> None:
    name = new_name()
    assert (await admin.post(APPS, name=name)).status == 201
    assert (await admin.post(APPS, name=name.upper())).status == 409
    answer = await admin.post(APPS, name="no name")
    assert (answer.status, answer.body["detail"][0]["loc"]) == (422, ["body", "name"])
    for fields in ({"days": -1}, {"days": 40_000}, {"label": "x" * 101}):
        answer = await admin.post(f"{APPS}/{name}/tokens", **fields)
        assert (answer.status, answer.body["detail"][0]["loc"]) == (422, ["body", *fields])


async def test_no_secret_is_in_the_log(shared_server: Server, admin: Client) -> None:
    link = (await add(admin))["sign_in_link"]["url"]
    app_id = (await admin.post(APPS, name=new_name())).body["app_id"]
    secret = (await admin.post(f"{APPS}/{app_id}/tokens")).body["token"]
    code = re.sub(".*/", "", link)
    assert not {code, secret} & set(re.split(r"[\s/\"']", shared_server.log_text()))
