"""What tests of the running server rely on, over each of its stores."""

import signal

import asyncpg
import pytest

from tests.parts import PartFailed
from tests.parts.llm import LLM
from tests.parts.palaver import Database, Server, StartServer


async def test_server_that_restarts_keeps_its_address_and_its_users(server: Server) -> None:
    url = server.url
    await server.token("alice")
    await server.restart()
    assert server.url == url
    assert "alice" in await server.cli("user", "list")


async def test_server_that_was_killed_starts_again_at_its_address(server: Server) -> None:
    url = server.url
    server.kill()
    assert server.process.returncode == -signal.SIGKILL
    await server.start()
    assert server.url == url
    assert server.log_text().count("Palaver is ready") == 2


async def test_server_that_is_asked_to_stop_ends_well(server: Server) -> None:
    assert await server.stop() == 0


@pytest.mark.parametrize("name", ["alice", "bob"])
async def test_every_test_gets_a_server_that_knows_only_its_admin(server: Server, name: str) -> None:
    assert await server.token("admin")
    await server.token(name, admin=True)
    listed = (await server.cli("user", "list")).splitlines()
    assert [line.split()[0] for line in listed if " admin " in line] == ["admin", name]


async def test_second_token_of_a_user_is_another_one(server: Server) -> None:
    assert await server.token("alice") != await server.token("alice")


async def test_command_that_fails_says_why(server: Server) -> None:
    with pytest.raises(PartFailed, match="no-such-command"):
        await server.cli("no-such-command")


async def test_server_keeps_what_it_is_told_in_the_database_of_the_test(server: Server, database: Database) -> None:
    assert server.environment.items() >= database.environment.items()


async def test_frozen_server_does_not_hold_up_the_end_of_its_test(start_server: StartServer, llm: LLM) -> None:
    server = await start_server(PALAVER_DRAIN_SECONDS="0.5")
    assert server.environment["LLM_SERVER_URL"] == llm.url
    server.freeze()


async def test_file_shares_one_server(shared_server: Server) -> None:
    assert shared_server.is_running


async def test_migrated_database_has_tables_and_nobody_in_them(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    assert await connection.fetchval("SELECT count(*) FROM users") == 0
    await connection.close()
