"""Whoever has nothing to do with somebody walks the whole API, with every id that there is, and learns nothing of them.

Everything that belongs to somebody bears a word of its own (tests/contracts/canaries.py). No answer, header, event or
line of the log may hold one but the name of an account, and what is not yours is answered exactly as what is not there.
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest

from palaver.api.operation import Operation
from palaver.app import operations
from tests.contracts.canaries import ADMINS_SEE, Owned, done, plant
from tests.contracts.matrix import ROWS, Row
from tests.journeys.client import Answer, Client, register
from tests.journeys.socket import open_conversation, open_list
from tests.parts.palaver import Server, StoreKind
from tests.promises import Measured

pytestmark = [pytest.mark.proof("security"), pytest.mark.usefixtures("llm")]

OPERATIONS = {f"{operation.method} {operation.path}": operation for operation in operations()}

# They would end the walk: whoever is signed out sees nothing at all.
LEAVING = {"POST /api/auth/logout", "POST /sign-out"}
# People are found by who knows their name or id, and see each other's names from then on: docs/people.md.
MEETING = {
    "POST /api/people/conversations",
    "POST /api/v1/connections",
    "POST /api/people/blocks/{user}",
    "DELETE /api/people/blocks/{user}",
}

# What nobody is shown again, whoever they are, but for names that are asked for.
NEVER_SHOWN = {"endpoint", "chatifyuser", "otheruser"}


@pytest.fixture(scope="module")
def store_kind(prove: bool) -> StoreKind:
    # What may be seen is decided in statements that both engines read.
    return "postgres" if prove else "sqlite"


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_REGISTRATION": "on", "PALAVER_GUESTS": "on", "PALAVER_LOG_LEVEL": "debug"}


@pytest.fixture(scope="module")
async def owned(nobody: Client, shared_server: Server) -> Owned:
    return await plant(nobody, shared_server)


@pytest.fixture(scope="module")
async def strangers(nobody: Client, owned: Owned) -> dict[str, Client]:
    app = done(await owned.admin.post("/api/admin/apps", name="another")).body["app_id"]
    token = done(await owned.admin.post(f"/api/admin/apps/{app}/tokens", label="Another")).body["token"]
    guest = await nobody.get("/api/chat/sessions")
    return {
        "person": await register(nobody),
        "application": nobody.bearing(token),
        "guest": nobody.carrying(**guest.cookies).having(Origin=nobody.url),
        "admin": owned.admin,
    }


@dataclass(frozen=True)
class Request:
    """One request of the walk, and the one that asks in the same words for what is not there."""

    method: str
    path: str
    elsewhere: str
    body: object = None


@dataclass
class Walk:
    asked: int = 0
    leaks: list[str] = field(default_factory=list)
    told_apart: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)


def unknown(like: str) -> str:
    """An id of the same shape that nobody has."""
    return "/".join(_unknown_part(part) for part in like.split("/"))


def _unknown_part(part: str) -> str:
    if part == "messages" or part == "tokens":
        return part
    return "987654321" if part.isdigit() else str(uuid.uuid4())


def fill(path: str, made: str) -> str:
    first, _, last = made.partition("/")
    second = last.partition("/")[2] or made
    names = {
        **dict.fromkeys(("{id}", "{code}", "{name}", "{user}", "{app}"), quote(first)),
        "{message_id}": quote(second),
        "{number}": "1",
    }
    if "/tokens/{id}" in path:
        names["{id}"] = quote(second)
    for name, value in names.items():
        path = path.replace(name, value)
    return path


def requests(row: Row, owned: Owned, *, everything: bool) -> Iterator[Request]:
    """What a stranger asks of an operation: with every id, with words that are somebody's, and with wrong bodies."""
    operation = OPERATIONS[row.operation]
    ids = list(owned.ids.values())
    if "{" in operation.path:
        own = [made for kind, made in owned.ids.items() if kind == row.thing]
        # A number counts within its kind, and may be that of something that everybody has.
        others = [made for made in ids if made not in own and not made.isdigit()]
        for made in own + (others if everything else others[: not own]):
            yield from _with_id(row, operation, made)
    else:
        yield Request(operation.method, operation.path + row.query, operation.path + row.query, row.body)
    yield from _with_queries(operation, owned)


def _with_id(row: Row, operation: Operation, made: str) -> Iterator[Request]:
    path, elsewhere = fill(operation.path, made), fill(operation.path, unknown(made))
    yield Request(operation.method, path + row.query, elsewhere + row.query, row.body)
    if operation.method != "GET":
        yield Request(operation.method, path, elsewhere, {"no": "such field"})


def _with_queries(operation: Operation, owned: Owned) -> Iterator[Request]:
    """Each of its questions, asked with words and ids of somebody."""
    if operation.method != "GET" or operation.query is None or "{" in operation.path:
        return
    words, ids = owned.canaries.words, owned.ids
    for name, asked in operation.query.fields.items():
        for value in (words["seek"], words["otheruser"], ids["session"]):
            spelled = asked.names[0] if asked.names else name
            path = f"{operation.path}?{spelled}="
            yield Request("GET", path + value, path + uuid.uuid4().hex)


async def walk(stranger: Client, owned: Owned, rows: list[Row], *, everything: bool, compared: bool = True) -> Walk:
    done = Walk()
    for row in rows:
        for request in requests(row, owned, everything=everything):
            answer = await stranger.send(request.method, request.path, request.body)
            done.asked += 1
            told = f"{answer.headers} {answer.content.decode(errors='replace')}"
            found = owned.canaries.found_in(told, asked=request.path)
            done.seen |= found
            if found:
                done.leaks.append(f"{request.method} {request.path} -> {answer.status}: {sorted(found)}")
            if compared and request.path != request.elsewhere:
                other = await stranger.send(request.method, request.elsewhere, request.body)
                if alike(answer, request.path) != alike(other, request.elsewhere):
                    done.told_apart.append(f"{request.method} {request.path}: {answer.status} {answer.text[:200]}")
    return done


def alike(answer: Answer, path: str) -> tuple[int, str, list[str]]:
    """What of an answer may not depend on whose it is: all but the id that was asked for."""
    text = answer.content.decode(errors="replace")
    for part in path.replace("?", "/").replace("=", "/").split("/"):
        if len(part) > 7:
            text = text.replace(part, "…")
    return answer.status, text, sorted(answer.headers)


def rows_of(method: str = "") -> list[Row]:
    return [
        row
        for row in ROWS
        if row.operation.startswith(method) and row.operation not in LEAVING and row.operation not in MEETING
    ]


@pytest.mark.parametrize("who", ["person", "application", "guest"])
async def test_stranger_learns_nothing_of_anybody_by_any_operation(
    owned: Owned, strangers: dict[str, Client], who: str, prove: bool, measured: Measured
) -> None:
    walked = await walk(strangers[who], owned, rows_of(), everything=prove)
    assert walked.leaks == []
    assert walked.told_apart == [], "\n".join(walked.told_apart)
    assert walked.asked > len(OPERATIONS)
    measured(f"requests of a stranger ({who}) among things that are not theirs", walked.asked, "")


async def test_admin_reads_nothing_that_others_have_said_and_no_secret(
    owned: Owned, strangers: dict[str, Client], prove: bool
) -> None:
    walked = await walk(strangers["admin"], owned, rows_of("GET"), everything=prove, compared=False)
    assert walked.seen - ADMINS_SEE == {"servername", "admintitle"}


async def test_whoever_owns_it_finds_it_by_the_same_walk(owned: Owned) -> None:
    """That the walk above would have found what it looks for."""
    seen: set[str] = set()
    for person in (owned.alice, owned.carol, owned.shop, owned.admin):
        seen |= (await walk(person, owned, rows_of("GET"), everything=False, compared=False)).seen
    assert set(owned.canaries.words) - seen == NEVER_SHOWN
    assert not seen & set(owned.canaries.secrets)


@pytest.mark.parametrize("who", ["person", "application", "guest", "admin"])
@pytest.mark.parametrize("kind", ["session", "pair", "group", "app_session", "connection"])
async def test_socket_of_what_is_not_ones_own_is_that_of_nothing(
    owned: Owned, strangers: dict[str, Client], who: str, kind: str
) -> None:
    told = [await hear_all(strangers[who], id_) for id_ in (owned.ids[kind], str(uuid.uuid4()))]
    assert told[0] == told[1]


async def hear_all(person: Client, session: str) -> tuple[int | None, str]:
    async with open_conversation(person, session) as socket:
        code = await socket.closed()
        return code, str(socket.heard).replace(session, "…")


async def test_nobody_elses_list_is_told_of_what_is_said(owned: Owned, strangers: dict[str, Client]) -> None:
    async with AsyncExitStack() as opened:
        lists = [await opened.enter_async_context(open_list(person)) for person in strangers.values()]
        for socket in lists:
            await socket.settle()
        session, pair = owned.ids["session"], owned.ids["pair"]
        word = owned.canaries.new("heard")
        done(await owned.alice.post(f"/ai-chat/api/sessions/{session}/send_message/", message=word))
        done(await owned.alice.post(f"/api/people/conversations/{pair}/messages", content=word))
        for socket in lists:
            await socket.settle()
            assert owned.canaries.found_in(str(socket.heard)) <= {"admintitle"}


async def test_log_holds_no_word_of_anybody(owned: Owned, shared_server: Server) -> None:
    log = shared_server.log_text()
    assert "GET /ai-chat/api/sessions/{id}/" in log
    # Who came in, and what became of an account, is told with what it is called: nothing else is.
    lines: dict[bool, list[str]] = {True: [], False: []}
    for line in log.splitlines():
        lines[" palaver.security " in line].append(line)
    assert owned.canaries.found_in("\n".join(lines[True])) == {"alicename", "carolname", "appname"}
    assert owned.canaries.found_in("\n".join(lines[False])) == set()
