"""The authorization matrix: every operation × every kind of caller, and nothing changed where it was refused."""

import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import pytest

from palaver.app import operations
from palaver.store import SqlStore, StoreOptions, open_store
from palaver.store.database import Transaction
from tests.contracts.matrix import ROWS, Row
from tests.journeys.client import new_connector
from tests.parts.palaver import Server

# What nobody changes but who calls.
STILL = {
    "users": (
        "id, uuid, kind, name, email, full_name, password_hash, is_admin, app_id, created_at, disabled_at, language",
        "TRUE",
    ),
    "collections": ("id, uuid, owner_id, name, description, is_public", "NOT is_deleted"),
    "documents": ("id, uuid, collection_id, name, media_type, digest, size", "status <> 'deleted'"),
    # What is to be told, and not how far that is.
    "outbox": ("user_id, conversation_id, message_id, kind", "target_id IS NULL"),
}
TABLES = (
    "tokens", "texts", "presets", "conversations", "participants", "messages", "reply_log", "usage",
    "targets", "models", "server", "preset_shares", "preset_versions", "answers", "limits", "llm_servers",
    "blocks", "prices", "ledger", "spending", "reservations", "collection_shares",
)  # fmt: skip

Dump: TypeAlias = Mapping[str, Counter[tuple[Any, ...]]]

SIGNED_IN = ("owner", "other", "admin", "other_app")


@dataclass(frozen=True)
class World:
    """A server, its store, and the tokens of those who call."""

    server: Server
    store: SqlStore
    session: aiohttp.ClientSession
    tokens: Mapping[str, str]
    guests: bool
    names: str

    async def call(self, operation: str, path: str, caller: str, body: object = None) -> tuple[int, Any]:
        headers = {}
        if caller in self.tokens:
            headers["Authorization"] = f"Bearer {self.tokens[caller]}"
        method = operation.partition(" ")[0]
        async with self.session.request(
            method, self.server.url + path, json=body, headers=headers, allow_redirects=False
        ) as answer:
            text = await answer.text()
            is_json = answer.content_type == "application/json" and text
            return answer.status, json.loads(text) if is_json else text

    async def make(self, thing: str) -> str:
        """What the path of a row names, made by `owner` (a context by the admin)."""
        name = f"n{uuid.uuid4().hex}"
        match thing:
            case "session":
                body = {"user_id": "u-1"}
                return str((await self._made("POST /api/v1/chatbot/session", "owner", body))["session_id"])
            case "number":
                start = {"context_id": 1, "initial_message": "hi"}
                return str((await self._made("POST /api/chat/start", "owner", start))["id"])
            case "personality":
                body = {"name": name, "personalityPrompt": "You are a secret."}
                return str((await self._made("POST /api/v1/personalities/", "owner", body))["id"])
            case "preset":
                body = {"name": name, "system_prompt": "You are a secret."}
                return str((await self._made("POST /ai-chat/api/presets/", "owner", body))["id"])
            case "collection":
                return str((await self._made("POST /ai-chat/api/collections/", "owner", {"name": name}))["id"])
            case "document":
                place = f"/ai-chat/api/collections/{await self.make('collection')}/documents/?name=a.txt"
                status, made = await self.call(f"POST {place}", place, "owner", {"any": "file"})
                assert status == 202, made
                return str(made["id"])
            case "message":
                session = await self._made("POST /ai-chat/api/sessions/", "owner", {"system_prompt": "You advise."})
                return f"{session['id']}/messages/{session['messages'][0]['id']}"
            case "model":
                _, models = await self.call("GET", "/ai-chat/api/models/", "owner")
                return str(models[0]["id"])
            case "server":
                server = {"name": name, "url": "http://127.0.0.1:1"}
                return str((await self._made("POST /api/admin/servers", "admin", server))["name"])
            case "person":
                made = await self._made("POST /api/admin/users", "admin", {"name": name})
                return str(made["user"]["user_id"])
            case "pair":
                other = await self.make("person")
                people: dict[str, object] = {"members": [other]}
                return str((await self._made("POST /api/people/conversations", "owner", people))["id"])
            case "group":
                people = {"members": ["admin"], "title": name}
                return str((await self._made("POST /api/people/conversations", "owner", people))["id"])
            case "person_message":
                pair = await self.make("pair")
                said = await self._made(f"POST /api/people/conversations/{pair}/messages", "owner", {"content": "hi"})
                return f"{pair}/messages/{said['id']}"
            case "app":
                return str((await self._made("POST /api/admin/apps", "admin", {"name": name}))["app_id"])
            case "app_token":
                app = await self.make("app")
                status, made = await self.call("POST /api/admin/apps", f"/api/admin/apps/{app}/tokens", "admin", {})
                assert status == 201, made
                return f"{app}/tokens/{made['id']}"
            case "context":
                body = {"name": name, "system_prompt": "You advise."}
                return str((await self._made("POST /api/chat/contexts", "admin", body))["id"])
            case _:
                return name

    async def _made(self, operation: str, caller: str, body: object) -> dict[str, Any]:
        status, answer = await self.call(operation, operation.partition(" ")[2], caller, body)
        assert status in (200, 201), answer
        assert isinstance(answer, dict)
        return answer

    async def renew(self, caller: str) -> None:
        """Another token, where the last call has signed the caller out."""
        tokens = dict(self.tokens)
        tokens[caller] = await _token(self.server, caller, self.names)
        object.__setattr__(self, "tokens", tokens)

    async def dump(self) -> Dump:
        """All that is kept, each table's rows in any order."""

        async def work(tx: Transaction) -> Dump:
            rows = {table: [tuple(row) for row in await tx.all(f"SELECT * FROM {table}")] for table in TABLES}
            # When a token was last used is no change that anybody made.
            rows["tokens"] = [row[:-1] for row in rows["tokens"]]
            # Documents are read, by turns, and what was deleted is taken away, while others call.
            for table, (columns, where) in STILL.items():
                rows[table] = [tuple(row) for row in await tx.all(f"SELECT {columns} FROM {table} WHERE {where}")]
            return {table: Counter(found) for table, found in rows.items()}

        return await self.store.database.read(work)


@pytest.fixture(scope="module", params=["guests off", "guests on"])
def server_environment(request: pytest.FixtureRequest) -> Mapping[str, str]:
    # A hundred wrong passwords come from one address here.
    on = "on" if request.param == "guests on" else "off"
    return {"PALAVER_GUESTS": on, "PALAVER_SIGN_IN_ATTEMPTS": "100000", "PALAVER_DEFAULT_PROVIDER": "dummy"}


@pytest.fixture(scope="module")
async def world(shared_server: Server, server_environment: Mapping[str, str]) -> AsyncIterator[World]:
    environment = shared_server.environment
    options = StoreOptions(Path(environment["PALAVER_DATA_DIR"]), environment.get("PALAVER_DATABASE_URL"))
    # Both halves of the matrix use one database.
    names = uuid.uuid4().hex[:8]
    tokens = {caller: await _token(shared_server, caller, names) for caller in SIGNED_IN}
    tokens["bad"] = "x" * 43
    tokens["revoked"] = await shared_server.token(f"revoked-{names}")
    async with (
        open_store(options) as store,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), connector=new_connector()) as session,
    ):
        guests = server_environment["PALAVER_GUESTS"] == "on"
        world = World(shared_server, store, session, tokens, guests, names)
        status, _ = await world.call("POST /api/auth/logout", "/api/auth/logout", "revoked", {})
        assert status == 200
        yield world


async def _token(server: Server, caller: str, names: str) -> str:
    if caller == "admin":
        return await server.token("admin")
    if caller != "other_app":
        return await server.token(f"{caller}-{names}")
    if f"app-{names}" not in await server.cli("app", "list"):
        await server.cli("app", "add", f"app-{names}")
    printed = await server.cli("token", "create", "--app", f"app-{names}")
    return next(line for line in printed.splitlines() if line and " " not in line)


def test_every_operation_of_the_server_has_its_row() -> None:
    served = {f"{operation.method} {operation.path}" for operation in operations()}
    assert served == {row.operation for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=[row.operation for row in ROWS])
async def test_each_caller_gets_what_is_theirs_and_a_refusal_changes_nothing(world: World, row: Row) -> None:
    callers = ["guest", "bad"] if world.guests else ["none", "bad", "revoked", *SIGNED_IN]
    got = {}
    changed = []
    for caller in callers:
        path = await _path(world, row)
        before = await world.dump()
        status, answer = await world.call(row.operation, path + row.query, caller, row.body)
        got[caller] = status
        if status >= 400 and await world.dump() != before:
            changed.append(caller)
        assert status < 500, answer
        if status < 400 and row.operation in ("POST /api/auth/logout", "POST /sign-out"):
            await world.renew(caller)
        if status in (200, 201) and row.operation in ("POST /api/v1/personalities/", "POST /api/chat/contexts"):
            await _remove(world, caller, answer)
    assert got == {caller: row.expected(caller) for caller in callers}
    assert not changed


async def _path(world: World, row: Row) -> str:
    path = row.operation.partition(" ")[2]
    if "{" not in path:
        return path
    made = await world.make(row.thing)
    path = path.replace("{id}/messages/{message_id}", made).replace("{app}/tokens/{id}", made)
    user = made if row.thing == "person" else "admin"
    names = {"{id}": made, "{code}": made, "{name}": made, "{number}": "1", "{user}": user, "{app}": made}
    for name, value in names.items():
        path = path.replace(name, value)
    return path


async def _remove(world: World, caller: str, made: dict[str, Any]) -> None:
    """So that the next caller finds the name free."""
    contexts = isinstance(made["id"], int)
    operation = "DELETE /api/chat/contexts/{id}" if contexts else "DELETE /api/v1/personalities/{id}"
    path = operation.partition(" ")[2].replace("{id}", str(made["id"]))
    await world.call(operation, path, "admin" if caller == "guest" or contexts else caller)
