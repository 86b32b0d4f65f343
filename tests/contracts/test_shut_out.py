"""Whose token is revoked, who is disabled or signs out, hears no more: sockets and streams end within two seconds.

How soon depends on what else the machine does: only `make prove` holds it against the two seconds, in one place.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import ClientResponse, ClientSession

from tests.contracts.talking import SESSIONS, make
from tests.journeys.client import Client, ask_until, new_name, open_client, sign_in
from tests.journeys.socket import Event, Socket, enter, open_list
from tests.parts.palaver import Server
from tests.promises import Measured

# Each test finds the model as nobody has told it anything.
pytestmark = pytest.mark.usefixtures("llm")

# A minute of pieces, none of which may come once nobody may hear it any more.
ENDLESS = "[[pieces=6000&delay=0.01]]"
SECONDS = 15.0
SECONDS_IN_FULL = 2.0

ShutOut = Callable[[Server, str, Client], Awaitable[object]]


@pytest.fixture(scope="module")
def server_environment(scaled: Mapping[str, str]) -> Mapping[str, str]:
    return {"PALAVER_LLM_TRIES": "1", **scaled}


@pytest.fixture
async def nobody(shared_server: Server) -> AsyncIterator[Client]:
    async with open_client(shared_server) as client:
        yield client


async def revoke(server: Server, name: str, _person: Client) -> None:
    listed = await server.cli("token", "list", "--user", name)
    await server.cli("token", "revoke", re.findall(r"^\d+", listed, re.MULTILINE)[0])


async def disable(server: Server, name: str, _person: Client) -> None:
    await server.cli("user", "disable", name)


async def disable_over_the_api(server: Server, name: str, person: Client) -> None:
    admin = person.bearing(await server.token("admin"))
    assert (await admin.patch(f"/api/admin/users/{name}", disabled=True)).status == 200


async def sign_out(_server: Server, _name: str, person: Client) -> None:
    assert (await person.post("/api/auth/logout")).status == 200


async def sign_out_everywhere(_server: Server, _name: str, person: Client) -> None:
    assert (await person.post("/sign-out", everywhere=True)).status == 200


async def revoke_ones_own(_server: Server, _name: str, person: Client) -> None:
    [token] = (await person.get("/api/account/tokens")).body
    assert (await person.delete(f"/api/account/tokens/{token['id']}")).status == 204


every_way = pytest.mark.parametrize(
    "shut_out",
    [revoke, disable, disable_over_the_api, sign_out, sign_out_everywhere, revoke_ones_own],
    ids=lambda way: way.__name__,
)


async def hear_to_the_end(socket: Socket) -> tuple[int | None, list[Event]]:
    """How it is closed, and all that it was told before."""
    code = await socket.closed()
    return code, socket.heard


async def read_to_the_end(response: ClientResponse) -> list[str]:
    """The events of a stream that the server ends, in its own time."""
    return (await response.content.read()).decode().split("\n\n")


@pytest.mark.proof("security", alone=True)
@every_way
async def test_sockets_and_streams_end_within_two_seconds(
    nobody: Client, shared_server: Server, shut_out: ShutOut, prove: bool, measured: Measured
) -> None:
    """And by then whatever else is asked is refused."""
    seconds = SECONDS_IN_FULL if prove else SECONDS
    name = new_name()
    person = nobody.bearing(await shared_server.token(name))
    session = await make(person)
    async with AsyncExitStack() as stack:
        response = await stack.enter_async_context(open_stream(person, session))
        socket = await stack.enter_async_context(enter(person, session))
        listing = await stack.enter_async_context(open_list(person))
        await socket.until("ai_message_chunk")
        hearing = asyncio.gather(hear_to_the_end(socket), hear_to_the_end(listing), read_to_the_end(response))
        await shut_out(shared_server, name, person)
        began = time.monotonic()
        async with asyncio.timeout(seconds):
            (code, told), (list_code, list_told), events = await hearing
            await ask_until(lambda: person.get(SESSIONS), lambda answer: answer.status == 401, seconds=seconds)
        measured("the last ended after", round(time.monotonic() - began, 2), "s")
    error = {"type": "error", "message": "Sign in first: no valid credentials were sent.", "code": "unauthenticated"}
    assert (code, told[-1]) == (list_code, list_told[-1]) == (4001, error)
    # It was in the middle of it, and nothing says that it came to an end.
    assert told[-2]["type"] == "ai_message_chunk"
    told_last = json.loads([event for event in events if event.startswith("data: {")][-1].removeprefix("data: "))
    assert told_last["type"] == "ai_chunk"


@asynccontextmanager
async def open_stream(person: Client, session: str) -> AsyncIterator[ClientResponse]:
    """A turn over HTTP whose events are read as they come."""
    async with (
        ClientSession() as http,
        http.post(
            f"{person.url}{SESSIONS}{session}/send_message/",
            json={"message": ENDLESS, "stream": True},
            headers=person._headers,
        ) as response,
    ):
        yield response


async def test_socket_that_a_cookie_opened_ends_with_the_session(nobody: Client, shared_server: Server) -> None:
    cookies = await sign_in(nobody, shared_server)
    browser = nobody.carrying(**cookies).having(Origin=nobody.url)
    other = nobody.carrying(**await sign_in(nobody, shared_server)).having(Origin=nobody.url)
    async with open_list(browser) as socket, open_list(other) as stays:
        await stays.until("chat_list_update")
        assert (await browser.having(X_CSRFToken=cookies["csrftoken"]).post("/sign-out")).status == 200
        assert await socket.closed() == 4001
        # Another session of the same person goes on.
        assert await stays.settle() is not None


async def test_application_that_is_disabled_is_shut_out(nobody: Client, shared_server: Server) -> None:
    name = new_name()
    await shared_server.cli("app", "add", name)
    app = nobody.bearing((await shared_server.cli("token", "create", "--app", name)).strip().splitlines()[-1])
    of_seven = (await app.post("/api/v1/chatbot/session", user_id="7")).body["session_id"]
    async with enter(app, of_seven) as socket, open_list(app, "user_id=7") as listing:
        await shared_server.cli("app", "disable", name)
        both = asyncio.gather(socket.closed(), listing.closed())
        assert set(await asyncio.wait_for(both, SECONDS)) == {4001}


async def test_who_is_erased_is_shut_out_of_what_is_no_more(nobody: Client, shared_server: Server) -> None:
    name = new_name()
    person = nobody.bearing(await shared_server.token(name))
    session = await make(person)
    async with enter(person, session) as socket, open_list(person) as listing:
        await socket.say(ENDLESS)
        await socket.until("ai_message_chunk")
        await shared_server.cli("user", "erase", name, "--yes")
        both = asyncio.gather(socket.closed(), listing.closed())
        assert set(await asyncio.wait_for(both, SECONDS)) == {4001}


async def test_others_stay(nobody: Client, shared_server: Server) -> None:
    gone, stays = new_name(), new_name()
    leaving, staying = [nobody.bearing(await shared_server.token(name)) for name in (gone, stays)]
    async with open_list(leaving) as socket, open_list(staying) as other:
        await disable(shared_server, gone, leaving)
        assert await socket.closed() == 4001
        await other.settle()
