"""What a command does, a running server obeys.

That it does within two seconds tests/chat/test_accounts.py promises, whose clock is moved by hand.
"""

import asyncio
from http import HTTPStatus

import aiohttp

from tests.parts import PartFailed
from tests.parts.palaver import Server

SECONDS_TO_OBEY = 30


async def ask(server: Server, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as client, client.get(f"{server.url}/api/auth/me", headers=headers) as response:
        return response.status


async def wait_for(server: Server, token: str, status: int) -> None:
    """Returns once this is the answer; `TimeoutError` where it never comes to be."""
    async with asyncio.timeout(SECONDS_TO_OBEY):
        while await ask(server, token) != status:
            pass


async def test_user_is_shut_out_while_disabled(shared_server: Server) -> None:
    token = await shared_server.token("dora")
    assert await ask(shared_server, token) == HTTPStatus.OK
    await shared_server.cli("user", "disable", "dora")
    await wait_for(shared_server, token, HTTPStatus.UNAUTHORIZED)
    await shared_server.cli("user", "enable", "dora")
    await wait_for(shared_server, token, HTTPStatus.OK)


async def test_user_is_shut_out_once_erased(shared_server: Server) -> None:
    token = await shared_server.token("emil")
    assert await ask(shared_server, token) == HTTPStatus.OK
    await shared_server.cli("user", "erase", "emil")
    await wait_for(shared_server, token, HTTPStatus.UNAUTHORIZED)


async def test_token_that_is_revoked_opens_nothing_and_the_others_go_on(shared_server: Server) -> None:
    revoked, kept = await shared_server.token("frida"), await shared_server.token("frida")
    assert await ask(shared_server, revoked) == HTTPStatus.OK
    listed = await shared_server.cli("token", "list", "--user", "frida")
    await shared_server.cli("token", "revoke", listed.splitlines()[1].split()[0])
    await wait_for(shared_server, revoked, HTTPStatus.UNAUTHORIZED)
    assert await ask(shared_server, kept) == HTTPStatus.OK


async def test_link_signs_in_once(shared_server: Server) -> None:
    await shared_server.cli("user", "add", "gus")
    printed = await shared_server.cli("user", "link", "gus")
    link = shared_server.url + printed.splitlines()[-1].partition(":8000")[2]
    async with aiohttp.ClientSession() as browser:
        async with browser.get(link, allow_redirects=False) as response:
            assert response.status == HTTPStatus.SEE_OTHER
        async with browser.get(link, allow_redirects=False) as response:
            assert response.status == HTTPStatus.GONE


async def test_password_from_standard_input_signs_in(shared_server: Server) -> None:
    await shared_server.cli("user", "add", "hana", "--password-stdin", stdin="correct horse\n")
    body = {"username": "hana", "password": "correct horse"}
    async with aiohttp.ClientSession() as client, client.post(f"{shared_server.url}/sign-in", json=body) as response:
        assert response.status == HTTPStatus.OK


async def test_users_can_be_added_at_the_same_time(shared_server: Server) -> None:
    names = [f"ines{number}" for number in range(4)]
    await asyncio.gather(*(shared_server.cli("user", "add", name) for name in names))
    listed = await shared_server.cli("user", "list")
    assert {line.split()[0] for line in listed.splitlines()} >= {"admin", *names}


async def test_name_can_be_taken_only_once_at_the_same_time(shared_server: Server) -> None:
    adding = (shared_server.cli("user", "add", "jon") for _ in range(3))
    done = await asyncio.gather(*adding, return_exceptions=True)
    refused = [str(result) for result in done if isinstance(result, PartFailed)]
    assert ["That name is taken." in said for said in refused] == [True, True]
