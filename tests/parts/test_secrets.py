"""That the search at the end of each server would find what it looks for."""

import uuid
from pathlib import Path

import pytest

from tests.journeys.client import PASSWORD, open_client
from tests.parts import secrets
from tests.parts.palaver import Server, StartServer, StoreKind

URL = "http://nowhere"


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "sqlite"


@pytest.mark.parametrize("log", ["said {}", "GET /sockets?token={}&x=1", "Authorization: Bearer {}\n", "key='{}'"])
def test_secret_in_a_log_is_found(tmp_path: Path, log: str) -> None:
    secret = uuid.uuid4().hex
    secrets.note(secret, "a token", url=URL, hashed=True)
    with pytest.raises(secrets.Leaked, match="a token in the log"):
        secrets.check_nothing_leaked(log.format(secret), tmp_path, url=URL)


def test_password_with_spaces_in_a_log_is_found(tmp_path: Path) -> None:
    secrets.note_sent({"password": PASSWORD}, url=URL)
    with pytest.raises(secrets.Leaked, match="password"):
        secrets.check_nothing_leaked(f"tried {PASSWORD!r}", tmp_path, url=URL)


def test_secret_in_a_file_is_found_where_it_should_be_hashed(tmp_path: Path) -> None:
    secret, key = uuid.uuid4().hex, uuid.uuid4().hex
    secrets.note_answered(f'{{"token":"{secret}"}}'.encode(), [], url=URL)
    secrets.note_sent({"key": key}, url=URL)
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "file").write_text(f"x{secret}x{key}")
    with pytest.raises(secrets.Leaked, match=r"`token` of an answer in file$"):
        secrets.check_nothing_leaked("", tmp_path, url=URL)


async def test_what_tests_use_is_noted_and_what_a_server_keeps_for_itself_is_known(start_server: StartServer) -> None:
    server: Server = await start_server(PALAVER_REGISTRATION="on", OPENAI_API_KEY=uuid.uuid4().hex)
    token = await server.token("admin")
    async with open_client(server) as client:
        made = await client.post("/auth/register/", username="ana", password="a long password")
        cookie = (await client.post("/sign-in", username="ana", password="a long password")).cookies["palaver_session"]
    link = (await server.cli("user", "link", "ana")).rpartition("/")[2].strip()
    used = (token, made.body["token"], cookie, link, "a long password", server.environment["OPENAI_API_KEY"])
    data = Path(server.environment["PALAVER_DATA_DIR"])
    for secret in used:
        with pytest.raises(secrets.Leaked):
            secrets.check_nothing_leaked(f"oh: {secret}", data, url=server.url)
    kept = secrets._kept_by(data)
    assert len(kept) >= 2
    with pytest.raises(secrets.Leaked, match="keeps for itself"):
        secrets.check_nothing_leaked(f"oh: {kept[0]}", data, url=server.url)
