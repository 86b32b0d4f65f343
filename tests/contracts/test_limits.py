"""Limits over real servers: each holds within a tenth, with one worker as with two over Redis; and how they refuse."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from tests.contracts.knowing import COLLECTIONS
from tests.contracts.talking import SESSIONS, UNKNOWN, make
from tests.journeys.client import PASSWORD, Answer, Client, ask_until, new_name, open_beside, open_client, register
from tests.journeys.client import sign_in as follow_link
from tests.journeys.socket import LIST, Socket, enter, open_socket
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StoreKind
from tests.parts.process import wait_until
from tests.parts.run import Run

TURNS, APP_TURNS, CONVERSATION_TURNS = 20, 30, 10
# More than the tests ever use: whoever has less is refused as soon as the budget is heard of.
PLENTY = 7_000_000
REPLIES, APP_REPLIES, SOCKETS, ADDRESS_SOCKETS = 3, 4, 5, 12
ATTEMPTS = 4
LONGEST, LARGEST = 500, 4000

# Tokens and money, of which a turn here takes some thirtieth part; what a turn may take is held back.
A_DAY, APP_MONTH, IN_CONVERSATION, MONEY = 2000, 2500, 1500, 12_000
MODEL, PRICED, TOKEN_PRICE = "qwen3:8b", "gpt-4o-mini", 10
IDLE_SECONDS = 1.5

# More connections than one worker would get by chance.
AT_ONCE = 16

# What is waited for, where nothing is promised of how soon it comes; and where it would come by itself after a minute.
SECONDS = 60.0
HALF_A_MINUTE = 30.0

ENDLESS = "[[text=one two three&pieces=3&fault=stall&after=1]]"
SIMPLE = "/api/v1/chat/simple"
KEEPALIVE = "/ws/keepalive"
TOO_MANY = 4029
FOREIGN = {"Origin": "https://evil.example.org"}

Ask = Callable[[], Awaitable[Answer]]


@pytest.fixture(scope="module")
def server_environment(scaled: Mapping[str, str]) -> Mapping[str, str]:
    return {
        "PALAVER_REGISTRATION": "on",
        "PALAVER_TURNS_A_MINUTE": str(TURNS),
        "PALAVER_APP_TURNS_A_MINUTE": str(APP_TURNS),
        "PALAVER_CONVERSATION_TURNS_A_MINUTE": str(CONVERSATION_TURNS),
        "PALAVER_SIGN_IN_ATTEMPTS": str(ATTEMPTS),
        "PALAVER_MAX_MESSAGE": str(LONGEST),
        "PALAVER_MAX_BODY_BYTES": str(LARGEST),
        "PALAVER_TRUSTED_PROXIES": "127.0.0.1",
        "BACKEND_CORS_ORIGINS": "https://app.example.org",
        **scaled,
    }


@pytest.fixture(scope="module")
def workers(store_kind: StoreKind) -> int:
    return {"sqlite": 1, "postgres": 2}[store_kind]


@pytest.fixture
async def alice(nobody: Client) -> Client:
    return await register(nobody)


@pytest.fixture(scope="module")
def tired(nobody: Client) -> list[Client]:
    """Who has sent all that a minute takes, one after the other: at first nobody."""
    return [nobody]


@pytest.fixture
async def weary(nobody: Client, tired: list[Client]) -> Client:
    """Somebody who may send nothing more for half a minute and longer."""
    if await seconds_to_wait(tired[-1]) < 30:
        weary = await register(nobody)
        statuses = await flood(lambda: say(weary), times=TURNS + 1)
        assert statuses == {200: TURNS, 429: 1}
        tired.append(weary)
    return tired[-1]


async def seconds_to_wait(person: Client) -> int:
    """0 where the next is answered at once."""
    return int((await say(person)).headers.get("Retry-After", 0))


@pytest.fixture(scope="module")
async def at_once_server(run: Run, shared_server: Server) -> AsyncIterator[Server]:
    """A server that limits what is there at one moment, and how often it is asked not at all."""
    settings = {
        "PALAVER_TURNS_A_MINUTE": "0",
        "PALAVER_APP_TURNS_A_MINUTE": "0",
        "PALAVER_CONVERSATION_TURNS_A_MINUTE": "0",
        "PALAVER_REPLIES_AT_ONCE": str(REPLIES),
        "PALAVER_APP_REPLIES_AT_ONCE": str(APP_REPLIES),
        "PALAVER_SOCKETS_AT_ONCE": str(SOCKETS),
        "PALAVER_ADDRESS_SOCKETS_AT_ONCE": str(ADDRESS_SOCKETS),
    }
    async with open_beside(run, shared_server, **settings) as server:
        yield server


class Thrifty(NamedTuple):
    server: Server
    admin: Client
    app: Client


@pytest.fixture(scope="module")
async def thrifty(run: Run, shared_server: Server) -> AsyncIterator[Thrifty]:
    """A server that limits what is used, and how long nothing may be said."""
    settings = {
        "PALAVER_TURNS_A_MINUTE": "0",
        "PALAVER_APP_TURNS_A_MINUTE": "0",
        "PALAVER_CONVERSATION_TURNS_A_MINUTE": "0",
        "PALAVER_TOKENS_A_DAY": str(A_DAY),
        "PALAVER_APP_TOKENS_A_MONTH": str(APP_MONTH),
        "PALAVER_CONVERSATION_TOKENS": str(IN_CONVERSATION),
        "PALAVER_MONEY_A_MONTH": str(MONEY / 1_000_000),
        "PALAVER_SESSION_IDLE_MINUTES": str(IDLE_SECONDS / 60),
        "LLM_MAX_TOKENS": "20",
    }
    async with open_beside(run, shared_server, **settings) as server, open_client(server) as client:
        admin = client.bearing(await server.token("admin"))
        price = TOKEN_PRICE * 1_000_000
        assert (await admin.post("/api/admin/prices", model=PRICED, input=price, output=price)).status == 201
        yield Thrifty(server, admin, await open_app(server, client))


@pytest.fixture
async def bob(at_once_server: Server) -> AsyncIterator[Client]:
    async with open_client(at_once_server) as client:
        yield await register(client)


async def open_app(server: Server, client: Client) -> Client:
    name = new_name()
    await server.cli("app", "add", name)
    printed = await server.cli("token", "create", "--app", name)
    return client.bearing(next(line for line in printed.splitlines() if line and " " not in line))


async def say(person: Client, message: str = "hello") -> Answer:
    return await person.post(SIMPLE, message=message)


async def flood(ask: Ask, *, times: int) -> Counter[int]:
    """The statuses of so many requests, many of them at once."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one() -> int:
        async with free:
            return (await ask()).status

    return Counter(await asyncio.gather(*(one() for _ in range(times))))


async def check_answered_by(server: Server, workers: int, mark: str) -> None:
    """So many processes have answered the requests whose ids begin so."""

    def have_answered() -> bool:
        return len(set(re.findall(rf"(\d*) palaver\.api request {mark}", server.log_text()))) == workers

    assert await wait_until(have_answered, seconds=SECONDS)


# Each limit, measured


@pytest.mark.proof("money")
@pytest.mark.parametrize("of", ["user", "app", "conversation"])
async def test_turns_a_minute_are_as_many_as_the_setting_says(
    nobody: Client, shared_server: Server, workers: int, of: str
) -> None:
    mark = f"flood-{of}-"
    person = await register(nobody)
    app = await open_app(shared_server, nobody)
    began = await person.post("/api/chat", message="hello")
    session = began.body["sessionId"]
    cases: dict[str, tuple[Client, str, dict[str, str], int, int]] = {
        "user": (await register(nobody), SIMPLE, {}, TURNS, 3 * TURNS),
        "app": (app, SIMPLE, {}, APP_TURNS, 3 * APP_TURNS),
        # The first made the conversation.
        "conversation": (person, "/api/chat", {"sessionId": session}, CONVERSATION_TURNS - 1, TURNS - 1),
    }
    who, path, fields, most, times = cases[of]

    async def ask() -> Answer:
        return await who.having(X_Request_Id=mark + uuid4().hex).post(path, message="hello", **fields)

    statuses = await flood(ask, times=times)
    assert set(statuses) == {200, 429}
    assert statuses[200] == pytest.approx(most, rel=0.1)
    await check_answered_by(shared_server, workers, mark)


async def test_messages_to_people_count_as_well(nobody: Client) -> None:
    one, other = await register(nobody), await register(nobody)
    name = (await other.get("/api/people/me")).body["username"]
    pair = (await one.post("/api/people/conversations", members=[name])).body["id"]
    groups = [(await one.post("/api/people/conversations", members=[name], title="Us")).body["id"] for _ in range(2)]

    async def say(conversation: str) -> Answer:
        return await one.post(f"/api/people/conversations/{conversation}/messages", content="hello")

    statuses = await flood(lambda: say(pair), times=CONVERSATION_TURNS + 2)
    assert statuses == {200: CONVERSATION_TURNS, 429: 2}
    # What was refused for the conversation's sake has counted for who said it.
    statuses = await flood(lambda: say(groups[0]), times=TURNS)
    assert statuses[200] == TURNS - CONVERSATION_TURNS - 2

    def is_tired(answer: Answer) -> bool:
        policy, wait = (answer.headers.get(name, "0") for name in ("RateLimit-Policy", "Retry-After"))
        return (answer.status, policy) == (429, f'"turns";q={TURNS};w=60') and int(wait) > 10

    async def tire() -> None:
        """The minute of what was said first may be over already: as much is said as lasts for a while."""
        await ask_until(lambda: say(groups[1]), is_tired, seconds=SECONDS)

    await tire()
    # Nor does everybody look anew for it any more.
    [said] = (await one.get(f"/api/people/conversations/{groups[0]}/messages?limit=1")).body["messages"]
    path = f"/api/people/conversations/{groups[0]}"
    for method, where, body in (
        ("DELETE", f"{path}/messages/{said['id']}", None),
        ("PATCH", path, {"title": "Them"}),
        ("PATCH", path, {"preset_id": None}),
        ("POST", f"{path}/members", {"members": [name]}),
        ("PATCH", f"{path}/members/{name}", {"manages": True}),
        ("DELETE", f"{path}/members/{name}", None),
    ):
        await tire()
        assert (await one.send(method, where, body)).status == 429
    assert (await one.patch(path, muted=True)).body["title"] == "Us"
    await tire()
    async with enter(one, groups[1]) as socket:
        await socket.say("hello")
        assert (await socket.refused("rate_limited"))["retry_after"] >= 1
    long = await other.post(f"/api/people/conversations/{pair}/messages", content="x" * (LONGEST + 1))
    assert long.status == 422


async def test_user_of_an_application_has_the_limits_of_a_person(nobody: Client, shared_server: Server) -> None:
    app = await open_app(shared_server, nobody)
    made = [await app.post("/api/v1/connections", user1_id="u-1", user2_id=f"u-{n}") for n in (2, 3, 4)]
    paths = [f"/api/v1/connections/{one.body['connection_id']}/message" for one in made]

    async def say(path: str, sender: str) -> int:
        return (await app.post(path, content="hello", sender_id=sender)).status

    said = [await say(path, "u-1") for path in paths for _ in range(TURNS // 2 - 2)]
    assert said.count(200) == TURNS
    assert await say(paths[2], "u-4") == 200


@pytest.mark.parametrize(("of", "most"), [("user", REPLIES), ("app", APP_REPLIES)])
async def test_replies_at_once_are_as_many_as_the_setting_says(
    at_once_server: Server, bob: Client, of: str, most: int
) -> None:
    asker = {"user": bob, "app": await open_app(at_once_server, bob)}[of]
    sessions = [uuid4().hex for _ in range(3 * most)]
    asking = [
        asyncio.create_task(asker.post("/api/chat/", message=ENDLESS, session_id=session)) for session in sessions
    ]
    assert await wait_until(lambda: sum(one.done() for one in asking) >= 2 * most, seconds=SECONDS)
    refused = [one.result() for one in asking if one.done()]
    assert Counter(answer.status for answer in refused) == {429: 2 * most}
    assert refused[0].headers["RateLimit-Policy"].endswith(f';q={most};qu="concurrent-requests"')
    assert (await asker.post("/api/chat/", message="hello")).status == 429
    # The place of a reply is free once that has ended, however it did. A refusal is quicker than a turn begins.
    async with asyncio.timeout(SECONDS):
        while not all(one.done() for one in asking):
            for session in sessions:
                assert (await asker.post("/api/chat/stop/", session_id=session)).status == 200
    assert Counter([(await answer).status for answer in asking]) == {200: most, 429: 2 * most}
    answer = await ask_until(
        lambda: asker.post("/api/chat/", message="hello"), lambda answer: answer.status == 200, seconds=SECONDS
    )
    assert answer.body["success"]


async def test_reply_that_fails_and_message_that_is_invalid_hold_no_place(bob: Client) -> None:
    for _ in range(REPLIES + 1):
        assert (await bob.post("/api/chat", message="[[fault=cut]]")).status == 503
        assert (await bob.post("/api/chat", message=" ")).status == 422
        assert (await bob.post("/api/chat", message="hi", sessionId=UNKNOWN)).status == 404


async def test_too_many_replies_come_before_the_type_and_the_body_and_a_known_turn_is_given_all_the_same(
    bob: Client, llm: LLM
) -> None:
    known = {"message": "hello", "clientMessageId": "c-1"}
    said = await bob.post("/api/chat", **known)
    assert said.status == 200
    context = {"context_id": 1, "initial_message": "hi", "provider": "dummy"}
    session = (await bob.post("/api/chat/start", **context)).body["id"]
    sessions = [uuid4().hex for _ in range(REPLIES)]
    asking = [asyncio.create_task(bob.post("/api/chat/", message=ENDLESS, session_id=session)) for session in sessions]
    await llm.record(n=1 + REPLIES)
    plain, broken = {"Content-Type": "text/plain"}, {"Content-Type": "application/json"}
    refused = [
        await bob.sending(plain).send("POST", "/api/chat", b"hi"),
        await bob.sending(broken).send("POST", "/api/chat", b"{"),
        await bob.post("/api/chat", message=" "),
        await bob.post("/api/chat/", message=""),
        await bob.post(f"/api/chat/session/{session}/chat", prompt="x" * 501),
    ]
    assert [answer.status for answer in refused] == [429] * 5
    assert all(answer.headers["RateLimit"].startswith('"replies";r=0') for answer in refused)
    assert (await bob.post("/api/chat", **known)).body == said.body
    for name in sessions:
        assert (await bob.post("/api/chat/stop/", session_id=name)).status == 200
    assert [(await answer).status for answer in asking] == [200] * REPLIES


async def test_body_that_is_not_looked_at_for_too_many_replies_counts_for_no_other_limit(
    run: Run, shared_server: Server, llm: LLM
) -> None:
    async with open_beside(run, shared_server, PALAVER_REPLIES_AT_ONCE="1") as server, open_client(server) as client:
        carol = await register(client)
        asking = asyncio.create_task(carol.post("/api/chat/", message=ENDLESS, session_id="endless"))
        await llm.record(n=1)
        assert await flood(lambda: carol.post("/api/chat", message=" "), times=2 * TURNS) == {429: 2 * TURNS}
        assert (await carol.post("/api/chat/stop/", session_id="endless")).status == 200
        assert (await asking).status == 200
        answer = await ask_until(lambda: say(carol), lambda answer: answer.status == 200, seconds=SECONDS)
        assert f'"turns";r={TURNS - 2};' in answer.headers["RateLimit"]


async def test_message_that_waits_for_its_turn_holds_no_place_until_it_is_answered(bob: Client) -> None:
    session = (await bob.post("/api/chat", message="hello")).body["sessionId"]
    waiting = [
        asyncio.create_task(bob.post("/api/chat", message=f"[[text=ok&first={first}]]", sessionId=session))
        for first in (0.3, 0, 0)
    ]
    assert [(await answer).status for answer in waiting] == [200, 200, 200]
    assert (await bob.post("/api/chat", message="hello")).status == 200


async def open_many(stack: AsyncExitStack, who: Client, path: str, times: int) -> list[Socket]:
    return await asyncio.gather(*(stack.enter_async_context(open_socket(who, path)) for _ in range(times)))


async def is_open(socket: Socket) -> bool:
    return bool((await socket.next())["type"] != "error")


@pytest.mark.parametrize(("of", "most"), [("user", SOCKETS), ("address", ADDRESS_SOCKETS)])
async def test_sockets_at_once_are_as_many_as_the_setting_says(bob: Client, of: str, most: int) -> None:
    who = bob.having(X_Forwarded_For=f"10.0.0.{most}")
    path = {"user": LIST, "address": KEEPALIVE}[of]
    async with AsyncExitStack() as stack:
        sockets = await open_many(stack, who, path, 2 * most)
        opened = [socket for socket in sockets if await is_open(socket)]
        assert len(opened) == most
        refused = next(socket for socket in sockets if socket not in opened)
        assert refused.heard[0]["code"] == "rate_limited"
        assert refused.heard[0]["retry_after"] >= 1
        assert f"{most} connections" in refused.heard[0]["message"]
        assert await refused.closed() == TOO_MANY
        # Elsewhere, and of others, there may be more.
        elsewhere = (await register(bob)).having(X_Forwarded_For="10.0.1.1")
        assert await is_open((await open_many(stack, elsewhere, path, 1))[0])
        await opened[0].close()

        async def come_in() -> bool:
            return await is_open((await open_many(stack, who, path, 1))[0])

        async with asyncio.timeout(SECONDS):
            while not await come_in():
                pass


async def test_flood_of_sign_ins_is_tried_as_often_as_the_setting_says(nobody: Client) -> None:
    name = new_name()
    assert (await nobody.post("/auth/register/", username=name, password=PASSWORD)).status == 201
    somebody = nobody.having(X_Forwarded_For="10.0.2.1")
    statuses = await flood(lambda: somebody.post("/sign-in", username=name, password="wrong"), times=40)
    assert statuses == {401: ATTEMPTS, 429: 40 - ATTEMPTS}
    refused = await nobody.post("/sign-in", username=name, password=PASSWORD)
    assert refused.status == 429
    assert refused.headers["RateLimit-Policy"] == f'"sign-ins";q={ATTEMPTS};w=300'
    assert f"{ATTEMPTS} failed sign-ins" in refused.text


@pytest.mark.proof("money")
@pytest.mark.parametrize(
    ("limit", "counts", "most"),
    [
        ("tokens-day", "total_tokens", A_DAY),
        ("app-tokens-month", "total_tokens", APP_MONTH),
        ("conversation-tokens", "total_tokens", IN_CONVERSATION),
        ("money-month", "cost", MONEY),
    ],
)
async def test_no_more_is_used_than_the_setting_says_and_nearly_all_of_it(
    thrifty: Thrifty, workers: int, limit: str, counts: str, most: int
) -> None:
    mark = f"spend-{limit}-"
    person = await register(thrifty.admin)
    sessions = [await make(person, model_name=name) for name in (MODEL, PRICED)]
    for session in sessions:
        # Without a past each turn costs the same.
        assert (await person.patch(f"{SESSIONS}{session}/settings/", window=0)).status == 200
    cases = {
        "tokens-day": (person, "/api/chat"),
        "app-tokens-month": (thrifty.app, "/api/chat"),
        "conversation-tokens": (person, f"{SESSIONS}{sessions[0]}/send_message/"),
        "money-month": (person, f"{SESSIONS}{sessions[1]}/send_message/"),
    }
    who, path = cases[limit]

    async def ask() -> Answer:
        return await who.having(X_Request_Id=mark + uuid4().hex).post(path, message="word " * 30 + "[[text=Fine.]]")

    statuses = await flood(ask, times=50)
    assert set(statuses) == {200, 429}
    # Some were refused only because others were being made; now they come alone.
    refused = await ask_until(ask, lambda answer: answer.status == 429, seconds=SECONDS)
    assert f'"{limit}";q={most}' in refused.headers["RateLimit-Policy"]
    used = (await who.get("/api/usage")).body["this_month"][counts]
    assert 0.9 * most <= used <= most
    await check_answered_by(thrifty.server, workers, mark)


async def test_silent_session_ends_after_the_time_that_the_setting_says(thrifty: Thrifty) -> None:
    path = "/api/v1/chatbot/session"
    session = (await thrifty.admin.post(path, user_id="7")).body["session_id"]
    sweeps: list[datetime] = []

    async def sweep_and_look() -> Answer:
        sweeps.append(datetime.now(UTC))
        await thrifty.admin.post("/api/v1/chatbot/cleanup")
        return await thrifty.admin.get(f"{path}/{session}?include_ended=true")

    ended = (await ask_until(sweep_and_look, lambda told: told.body["status"] == "ended", seconds=SECONDS)).body
    due = datetime.fromisoformat(ended["created_at"]) + timedelta(seconds=IDLE_SECONDS)
    assert datetime.fromisoformat(ended["ended_at"]) >= due
    # It ends with the first sweep after that.
    assert all(sweep < due for sweep in sweeps[:-1])


async def test_body_may_be_as_large_as_the_setting_says(alice: Client, workers: int) -> None:
    exact = b'{"message": "hi"}'.ljust(LARGEST)
    person = alice.sending({"Content-Type": "application/json"})
    for _ in range(2 * workers):
        assert (await person.send("POST", "/api/chat", exact)).status == 200
        assert (await person.send("POST", "/api/chat", exact + b" ")).status == 413


# How it is refused


async def test_success_tells_the_limits_and_what_is_left(alice: Client) -> None:
    answer = await alice.having(Origin="https://app.example.org").post("/api/chat", message="hello")
    assert answer.status == 200
    assert answer.headers["RateLimit-Policy"] == (
        f'"turns";q={TURNS};w=60, "conversation-turns";q={CONVERSATION_TURNS};w=60'
    )
    told = re.fullmatch(r'"turns";r=(\d+);t=(\d+), "conversation-turns";r=(\d+);t=(\d+)', answer.headers["RateLimit"])
    assert told is not None, answer.headers["RateLimit"]
    assert (int(told[1]), int(told[3])) == (TURNS - 1, CONVERSATION_TURNS - 1)
    # What a page on another origin may read is fixed by the contracts.
    assert answer.headers["Access-Control-Expose-Headers"] == "X-Request-Id, Retry-After"
    # What begins no turn has nothing to do with it.
    assert "RateLimit" not in (await alice.get("/api/chat/sessions")).headers


async def test_search_of_documents_counts_as_a_turn(alice: Client, weary: Client) -> None:
    collection = (await alice.post(COLLECTIONS, name="Leaflets")).body
    search = f"{COLLECTIONS}{collection['id']}/search/?q=bread"
    found = await alice.get(search)
    assert (found.status, found.headers["RateLimit-Policy"]) == (200, f'"turns";q={TURNS};w=60')
    assert found.headers["RateLimit"].startswith(f'"turns";r={TURNS - 1};')
    refused = await weary.get(search)
    assert (refused.status, set(refused.body)) == (429, {"detail"})
    assert int(refused.headers["Retry-After"]) > 0


# Path, body, and where the words are.
TURNS_OF_EVERY_API: list[tuple[str, dict[str, Any], str]] = [
    ("/api/chat/session/1/chat", {"prompt": "hi"}, "detail"),
    ("/api/chat", {"message": "hi"}, "detail"),
    (f"/api/v1/chatbot/session/{UNKNOWN}/message", {"message": "hi"}, "detail"),
    ("/api/v1/chat/", {"message": "hi"}, "detail"),
    (SIMPLE, {"message": "hi"}, "detail"),
    ("/api/v1/chat/conversation", {"messages": [{"role": "user", "content": "hi"}]}, "detail"),
    ("/api/chat/", {"message": "hi"}, "error"),
    ("/api/chat/stream/", {"message": "hi"}, "error"),
    (f"/ai-chat/api/sessions/{UNKNOWN}/send_message/", {"message": "hi"}, "detail"),
]


@pytest.mark.parametrize(("path", "body", "where"), TURNS_OF_EVERY_API)
async def test_refusal_has_the_shape_of_its_api_and_says_which_limit_and_when_to_come_back(
    weary: Client, path: str, body: dict[str, Any], where: str
) -> None:
    answer = await weary.post(path, **body)
    assert answer.status == 429
    seconds = int(answer.headers["Retry-After"])
    assert 1 <= seconds <= 60
    words = f"You can send {TURNS} messages a minute. Try again in {seconds} second{'s'[: seconds != 1]}."
    assert answer.body == {where: words}
    assert answer.headers["RateLimit-Policy"] == f'"turns";q={TURNS};w=60'
    assert answer.headers["RateLimit"] == f'"turns";r=0;t={seconds}'


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("de", rf"Pro Minute: höchstens {TURNS} Nachrichten\. Bitte in \d+ Sekunden? erneut versuchen\."),
        ("it", rf"Puoi inviare {TURNS} messaggi al minuto\. Riprova tra \d+ second[oi]\."),
    ],
)
async def test_refusal_speaks_the_reader_s_language(weary: Client, language: str, words: str) -> None:
    answer = await weary.having(Accept_Language=language).post("/api/chat", message="hi")
    assert re.fullmatch(words, answer.body["detail"]), answer.text


async def test_too_many_come_after_the_size_and_the_caller_and_before_the_type_and_the_body(
    weary: Client, nobody: Client, shared_server: Server
) -> None:
    plain, broken = {"Content-Type": "text/plain"}, {"Content-Type": "application/json"}
    assert (await weary.sending(plain).send("POST", "/api/chat", b"hi")).status == 429
    assert (await weary.sending(broken).send("POST", "/api/chat", b"{")).status == 429
    assert (await weary.post("/api/chat", message=" ", sessionId=UNKNOWN)).status == 429
    assert (await weary.send("POST", "/api/chat", b"x" * 2_000_000)).status == 413
    assert (await nobody.post("/api/chat", message="hi")).status == 401
    assert (await weary.post("/api/chats", message="hi")).status == 404
    assert (await weary.get("/api/chat")).status == 405
    cookies = await follow_link(nobody, shared_server)
    browser = nobody.carrying(**cookies).sending({"X-CSRFToken": cookies["csrftoken"]})
    assert (await flood(lambda: say(browser), times=TURNS + 1))[429] == 1
    assert (await browser.sending(FOREIGN).post("/api/chat", message="hi")).status == 403
    assert (await browser.post("/api/chat", message="hi")).status == 429


async def test_refused_request_changes_nothing(weary: Client, nobody: Client) -> None:
    before = await weary.get("/api/chat/sessions")
    assert (await weary.post("/api/chat", message="hi")).status == 429
    assert (await weary.post("/api/chat/", message="hi", session_id="mine")).status == 429
    assert (await weary.get("/api/chat/sessions")).body == before.body
    # One that its conversation refuses is not stored either.
    carol = await register(nobody)
    session = (await carol.post("/api/chat", message="hello")).body["sessionId"]
    await flood(lambda: carol.post("/api/chat", message="hello", sessionId=session), times=CONVERSATION_TURNS)
    messages = (await carol.get(f"/api/chat/sessions/{session}/messages")).body
    assert len(messages) == 2 * CONVERSATION_TURNS
    refused = await carol.post("/api/chat", message="hello", sessionId=session)
    assert refused.status == 429
    assert refused.body["detail"].startswith(f"This conversation takes {CONVERSATION_TURNS} messages a minute.")


async def test_nobody_else_can_use_up_the_limit_of_a_conversation(alice: Client, nobody: Client) -> None:
    session = (await alice.post("/api/chat", message="hello")).body["sessionId"]
    mallory = await register(nobody)
    statuses = await flood(
        lambda: mallory.post("/api/chat", message="hi", sessionId=session), times=CONVERSATION_TURNS + 1
    )
    assert statuses == {404: CONVERSATION_TURNS + 1}
    assert (await alice.post("/api/chat", message="hello", sessionId=session)).status == 200


async def test_users_of_an_application_have_each_the_limit_of_a_user(nobody: Client, shared_server: Server) -> None:
    app = await open_app(shared_server, nobody)
    sessions = [(await app.post("/api/v1/chatbot/session", user_id=user)).body["session_id"] for user in "7" * 3 + "8"]

    async def ask(number: int) -> int:
        return (await app.post(f"/api/v1/chatbot/session/{sessions[number]}/message", message="hi")).status

    # Three conversations of one user; each would take ten.
    statuses = Counter([await ask(number % 3) for number in range(TURNS + 2)])
    assert statuses == {200: TURNS, 429: 2}
    assert await ask(3) == 200


async def test_user_of_an_application_has_the_limit_of_a_user_over_a_socket_of_its_own(
    at_once_server: Server, bob: Client
) -> None:
    app = await open_app(at_once_server, bob)

    async def begin() -> str:
        return str((await app.post("/api/v1/chatbot/session", user_id="7")).body["session_id"])

    # One more than the user may have, and no more than the application may.
    sessions = [await begin() for _ in range(APP_REPLIES)]
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(enter(app, session, "user_id=7")) for session in sessions]
        for socket in sockets[:REPLIES]:
            await socket.say(ENDLESS)
            await socket.until("ai_message_chunk")
        await sockets[-1].say("hello")
        assert f"{REPLIES} replies" in (await sockets[-1].refused("rate_limited"))["message"]
        for socket in sockets[:REPLIES]:
            await socket.send("stop")
            await socket.until("ai_message_stopped")


async def test_socket_is_told_which_limit_and_stays_open(weary: Client) -> None:
    session = await make(weary)
    async with enter(weary, session) as socket:
        await socket.say("hello", client_message_id="c1")
        error = await socket.refused("rate_limited")
        assert error["client_message_id"] == "c1"
        assert 1 <= error["retry_after"] <= 60
        assert error["message"].startswith(f"You can send {TURNS} messages a minute. Try again in ")
        await socket.send("regenerate")
        await socket.refused("rate_limited")
        await socket.send("ping")
        await socket.until("pong")
    assert (await weary.get(f"/ai-chat/api/sessions/{session}/messages/")).body["total_count"] == 0


async def test_one_limit_of_messages_holds_in_every_api(alice: Client) -> None:
    whole, long = "x" * LONGEST, "x" * (LONGEST + 1)
    assert (await alice.post("/api/chat", message=whole)).status == 200
    for path, body, _ in TURNS_OF_EVERY_API[1:-1]:
        text = json.dumps(body).replace("hi", long)
        session = (await alice.post("/api/v1/chatbot/session", user_id="7")).body["session_id"]
        answer = await alice.post(path.replace(UNKNOWN, session), **json.loads(text))
        assert answer.status in (400, 422), (path, answer.text)
        assert f"no more than {LONGEST} characters" in answer.text
    session = await make(alice)
    async with enter(alice, session) as socket:
        await socket.say(long)
        await socket.refused("invalid")


# What admins give


async def test_admin_gives_a_person_and_an_application_other_limits(
    nobody: Client, shared_server: Server, workers: int
) -> None:
    admin = nobody.bearing(await shared_server.token("admin"))
    name = new_name()
    token = (await nobody.post("/auth/register/", username=name, password=PASSWORD)).body["token"]
    person = nobody.bearing(token)
    assert (await flood(lambda: say(person), times=TURNS + 1))[429] == 1
    path = f"/api/admin/limits/{name}"
    given = await admin.send("PUT", path, {"turns_a_minute": 0, "tokens_a_day": PLENTY})
    assert given.status == 200
    assert (given.body["turns_a_minute"], given.body["replies_at_once"], given.body["tokens_a_day"]) == (
        0,
        None,
        PLENTY,
    )
    assert (await admin.get(f"/api/admin/limits/{given.body['user_id']}")).body == given.body
    # Every worker holds to it soon.
    for _ in range(10 * workers):
        await ask_until(lambda: say(person), lambda answer: answer.status == 200, seconds=HALF_A_MINUTE)
    assert (await admin.send("PUT", path, {})).body["turns_a_minute"] is None

    app = await open_app(shared_server, nobody)
    app_name = (await app.get("/api/auth/me")).body["user"]["fullName"]
    assert (await admin.send("PUT", f"/api/admin/limits/{app_name}", {"turns_a_minute": 2})).status == 200

    def is_held_to_two(answer: Answer) -> bool:
        return answer.status == 429 and answer.headers["RateLimit-Policy"].startswith('"app-turns";q=2;')

    await ask_until(lambda: say(app), is_held_to_two, seconds=SECONDS)

    assert (await admin.get("/api/admin/limits/nobody-of-that-name")).status == 404
    listed = {one["name"]: one["turns_a_minute"] for one in (await admin.get("/api/admin/limits")).body}
    assert listed[app_name] == 2
    assert name not in listed
    assert (await admin.send("PUT", path, {"turns_a_minute": -1})).status == 422
    assert (await admin.send("PUT", path, {"turns_a_minute": 100_001, "tokens_a_day": 100_001})).status == 422
    assert (await person.get(path)).status == 403


async def test_admin_reads_what_the_settings_say_for_all(nobody: Client, shared_server: Server) -> None:
    admin = nobody.bearing(await shared_server.token("admin"))
    usual = (await admin.get("/api/admin/usual-limits")).body
    assert (usual["person"]["turns_a_minute"], usual["app"]["turns_a_minute"]) == (TURNS, APP_TURNS)
    assert (usual["person"]["tokens_a_day"], usual["app"]["money_a_month"]) == (0, 0)


async def test_admin_reads_what_the_settings_say_of_tokens_and_money(thrifty: Thrifty) -> None:
    usual = (await thrifty.admin.get("/api/admin/usual-limits")).body
    assert (usual["person"]["tokens_a_day"], usual["person"]["money_a_month"]) == (A_DAY, MONEY)
    assert (usual["app"]["tokens_a_day"], usual["app"]["tokens_a_month"]) == (0, APP_MONTH)


async def test_guests_who_keep_no_cookies_are_counted_by_their_address(run: Run, shared_server: Server) -> None:
    settings = {"PALAVER_GUESTS": "on", "PALAVER_TURNS_A_MINUTE": "5"}
    async with open_beside(run, shared_server, **settings) as server, open_client(server) as client:
        guest = client.having(X_Forwarded_For="10.0.3.1")
        assert await flood(lambda: say(guest), times=8) == {200: 5, 429: 3}
        assert (await say(client.having(X_Forwarded_For="10.0.3.2"))).status == 200
        known = (await guest.get("/api/chat/sessions")).cookies
        assert (await say(guest.carrying(**known))).status == 200
