"""Backups are made beside a running server, and moving to PostgreSQL takes everything along."""

import asyncio
from http import HTTPStatus
from pathlib import Path

import aiohttp
import pytest

from palaver.store import StoreOptions, open_store
from tests.cli.conftest import Command
from tests.parts.palaver import Server
from tests.ports.talking import rows

TALKERS = 4


async def say(server: Server, token: str, text: str) -> str:
    """Returns once it is acknowledged."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as client,
        client.post(f"{server.url}/api/chat", json={"message": text}) as response,
    ):
        assert response.status == HTTPStatus.OK
        return text


async def go_on_talking(server: Server, token: str) -> None:
    number = 0
    while True:
        await say(server, token, f"meanwhile {number}")
        number += 1


@pytest.mark.proof("operating")
async def test_backup_has_all_that_was_acknowledged_before_it_began_and_whole_turns_alone(
    server: Server, tmp_path: Path
) -> None:
    tokens = [await server.token(f"talker{number}") for number in range(TALKERS)]
    before = set(await asyncio.gather(*(say(server, token, f"before {n}") for n, token in enumerate(tokens * 5))))
    talking = [asyncio.create_task(go_on_talking(server, token)) for token in tokens]
    file = tmp_path / "backup"
    printed = await server.cli("backup", str(file))
    for one in talking:
        one.cancel()
    ends = await asyncio.gather(*talking, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)
    assert printed.endswith(f"tables are in {file}.\n")
    restored = Command({"PALAVER_DATA_DIR": str(tmp_path / "restored")})
    done = await asyncio.to_thread(restored, "restore", str(file))
    assert (done.code, done.err) == (0, "")
    async with open_store(StoreOptions(tmp_path / "restored")) as store:
        kept = {row[0] for row in await rows(store, "SELECT content FROM messages WHERE role = 'user'")}
        wrong = await rows(
            store,
            "SELECT c.id FROM conversations c WHERE c.kind = 'bot' AND c.last_number <> "
            "(SELECT COUNT(*) FROM messages m WHERE m.conversation_id = c.id)",
        )
    assert before <= kept
    assert not wrong


def test_nothing_is_restored_over_what_is_there(embedded: Command, tmp_path: Path) -> None:
    embedded("user", "add", "ana")
    file = tmp_path / "backup"
    assert embedded("backup", str(file)).code == 0
    done = embedded("restore", str(file))
    assert done.code == 1
    assert done.err.startswith("Somebody has an account in that database already")
    assert [row[0] for row in embedded("user", "list").rows] == ["ana"]


@pytest.mark.parametrize(
    ("data", "said"), [(b"palaver backup 1\nxyz", "is damaged"), (b"SQLite format 3", "is no backup of Palaver's")]
)
def test_what_cannot_be_restored_is_said_in_a_sentence(
    embedded: Command, tmp_path: Path, data: bytes, said: str
) -> None:
    file = tmp_path / "other"
    file.write_bytes(data)
    done = embedded("restore", str(file))
    assert done.code == 1
    assert said in done.err
    assert embedded("restore", str(tmp_path / "none")).code == 2


def test_backup_where_there_is_no_room_is_said_in_a_sentence(embedded: Command, tmp_path: Path) -> None:
    embedded("user", "add", "ana")
    done = embedded("backup", str(tmp_path / "nowhere" / "backup"))
    assert (done.code, done.err) == (1, "The backup cannot be written: No such file or directory.\n")


@pytest.mark.proof("operating")
def test_all_is_moved_to_postgres_and_back(embedded: Command, empty_postgres_url: str, tmp_path: Path) -> None:
    embedded("user", "add", "ana", "--admin", "--email", "ana@example.com")
    embedded("app", "add", "shop")
    token = embedded("token", "create", "--user", "ana").out.splitlines()[-1]
    scaled = {"PALAVER_DATABASE_URL": empty_postgres_url}
    moved = embedded("move", **scaled)
    assert (moved.code, moved.err) == (0, "")
    assert "are the same in both databases" in moved.out
    assert embedded("user", "list", **scaled).out == embedded("user", "list").out
    assert embedded("token", "list", "--user", "ana", **scaled).out == embedded("token", "list", "--user", "ana").out
    assert token not in moved.out
    assert embedded("move", **scaled).code == 1
    elsewhere = {"PALAVER_DATA_DIR": str(tmp_path / "elsewhere"), **scaled}
    assert embedded("move", "--back", **elsewhere).code == 0
    listed = embedded("user", "list", PALAVER_DATA_DIR=elsewhere["PALAVER_DATA_DIR"])
    assert listed.out == embedded("user", "list").out


def test_moving_needs_to_know_where_to(embedded: Command) -> None:
    done = embedded("move")
    assert done.code == 2
    assert "PALAVER_DATABASE_URL" in done.err
