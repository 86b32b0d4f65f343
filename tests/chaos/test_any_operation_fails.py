"""Whichever operation of the database fails, carried out or not: who tries again gets what they asked for, once."""

import itertools
import random
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, get_args

import httpx2
import msgspec
import pytest

from palaver.app import Palaver, running
from palaver.settings import read_settings
from palaver.store import store as stores
from palaver.store.database import Database
from tests.chaos.faulty import Faults, FaultyDatabase, Moment, asking
from tests.parts.palaver import StoreKind
from tests.promises import Measured

pytestmark = pytest.mark.proof("faults")

TRIES = 4
SAMPLE = 4
# So many operations a client's day takes at least.
MOST: Mapping[Moment, int] = {"before": 15, "after": 8}

# All of it in words that an operator would not want a stranger to read.
NEVER_TOLD = ("traceback", "select ", "insert ", "update ", "palaver.sqlite3", "postgres", "asyncpg", "apsw")

MISCOUNTED = (
    "SELECT c.id FROM conversations c WHERE c.open_replies <> 0 "
    "OR c.message_count <> (SELECT COUNT(*) FROM messages m WHERE m.conversation_id = c.id AND m.in_view "
    "AND m.status NOT IN ('queued', 'running') AND (m.content <> '' OR m.role <> 'assistant'))"
)
TURNS = (
    "SELECT p.client_message_id, p.content, r.status, r.content FROM messages p LEFT JOIN messages r "
    "ON r.conversation_id = p.conversation_id AND r.parent_number = p.number AND r.role = 'assistant' "
    "WHERE p.role = 'user' AND p.client_message_id LIKE $1 ORDER BY p.client_message_id"
)


class Client:
    """Somebody who asks again where the server says that it cannot just now."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http
        self.refused = 0

    async def ask(self, method: str, path: str, body: object = None, *, already: int = 0) -> Any:
        """`already`: what is answered where it was done by a try that failed."""
        for number in range(TRIES):
            answer = await self._http.request(method, path, json=body)
            if answer.is_success or (number and answer.status_code == already):
                return msgspec.json.decode(answer.content) if answer.content else None
            self._check_refusal(answer)
        raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")

    async def stream(self, path: str, body: object) -> str:
        """The text of a reply that comes in pieces."""
        for _ in range(TRIES):
            answer = await self._http.request("POST", path, json=body)
            if not answer.is_success:
                self._check_refusal(answer)
                continue
            lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line]
            assert lines[-1] == "[DONE]"
            last = msgspec.json.decode(lines[-2])
            if last["type"] == "ai_complete":
                text: str = last["data"]["content"]
                return text
            assert last["type"] == "error"
            self._check_words(answer.text)
            self.refused += 1
        raise AssertionError(f"{path}: {answer.text}")

    def _check_refusal(self, answer: httpx2.Response) -> None:
        # As chatify tells of a reply that could not be made.
        is_chatify = answer.text.startswith('{"detail":"AI service error: ')
        assert answer.status_code == (400 if is_chatify else 503), f"{answer.status_code} {answer.text}"
        self._check_words(answer.text)
        self.refused += 1

    def _check_words(self, text: str) -> None:
        assert not [word for word in NEVER_TOLD if word in text.lower()]


@asynccontextmanager
async def serving(folder: Path, database_url: str | None) -> AsyncIterator[tuple[Palaver, Client]]:
    environment = {
        "PALAVER_DATA_DIR": str(folder),
        "PALAVER_DISCOVER_PORTS": "",
        "PALAVER_EXACT_TOKENS": "off",
        "PALAVER_LEASE_SECONDS": "3",
    }
    if database_url is not None:
        environment["PALAVER_DATABASE_URL"] = database_url
    async with running(read_settings(environment), port=0) as palaver:
        ana = await palaver.accounts.add_person("ana", None)
        token = await palaver.accounts.new_token(ana)
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(palaver.app),
            base_url="http://palaver",
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        ) as http:
            yield palaver, Client(http)


async def carry_on(client: Client, mark: str) -> None:
    """A day in the life of a client, over several of the APIs; `mark` begins the ids of its messages."""
    session = (await client.ask("POST", "/api/v1/chatbot/session", {"user_id": "ana"}))["session_id"]
    said = {"message": "hello", "client_message_id": f"{mark}-first"}
    answered = await client.ask("POST", f"/api/v1/chatbot/session/{session}/message", said)
    assert (answered["response"], answered["message_count"]) == ("HELLO", 1)
    path = f"/ai-chat/api/sessions/{session}/"
    streamed = {"message": "again", "stream": True, "client_message_id": f"{mark}-second"}
    assert await client.stream(f"{path}send_message/", streamed) == "AGAIN"
    await client.ask("PATCH", path, {"title": "A day"})
    shown = await client.ask("GET", path)
    assert shown["title"] == "A day"
    assert [one["content"] for one in shown["messages"] if one["role"] != "system"] == [
        "hello", "HELLO", "again", "AGAIN",
    ]  # fmt: skip
    listed = await client.ask("GET", "/ai-chat/api/sessions/")
    assert session in [one["id"] for one in listed]
    await client.ask("DELETE", f"/api/v1/chatbot/session/{session}", already=400)
    await client.ask("DELETE", path, already=404)


async def check_kept(palaver: Palaver, mark: str) -> None:
    turns = await palaver.store.database.read(lambda tx: tx.all(TURNS, f"{mark}-%"))
    assert [tuple(turn) for turn in turns] == [
        (f"{mark}-first", "hello", "complete", "HELLO"), (f"{mark}-second", "again", "complete", "AGAIN"),
    ]  # fmt: skip
    assert not await palaver.store.database.read(lambda tx: tx.all(MISCOUNTED))


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """Of every database that is opened from now on."""
    faults, opened = Faults(), stores._open

    async def open_faulty(options: stores.StoreOptions) -> Database:
        return FaultyDatabase(await opened(options), faults)

    monkeypatch.setattr(stores, "_open", open_faulty)
    return faults


@pytest.mark.parametrize("moment", get_args(Moment))
async def test_whoever_tries_again_gets_what_they_asked_for_once(
    request: pytest.FixtureRequest,
    store_kind: StoreKind,
    tmp_path: Path,
    faults: Faults,
    moment: Moment,
    dice: random.Random,
    prove: bool,
    measured: Measured,
) -> None:
    """One after the other on the same server: what a failure leaves behind is there for the next."""
    numbers: Iterable[int] = itertools.count(1) if prove else sorted(dice.sample(range(1, MOST[moment] + 1), SAMPLE))
    url: str | None = request.getfixturevalue("postgres_url") if store_kind == "postgres" else None
    failed = 0
    async with serving(tmp_path, url) as (palaver, client):
        for number in numbers:
            faults.fail(number, moment)
            with asking():
                await carry_on(client, f"{number}")
            if not faults.has_failed:
                break
            failed += 1
            faults.fail(0, moment)
            await check_kept(palaver, f"{number}")
    measured("operations that failed", failed, "")
    measured("requests refused and sent again", client.refused, "")
    assert failed >= SAMPLE
    assert client.refused
