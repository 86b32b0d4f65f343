"""Prices, what was used, and budgets, over the wire."""

import asyncio
import csv
import io
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from palaver.llm_server import Options, running
from palaver.store import StoreOptions, open_store
from tests.contracts.talking import make
from tests.journeys.client import TIME, WHOLE, Answer, Client, ask_until, new_name, open_beside, open_client, register
from tests.journeys.socket import enter
from tests.parts.llm import LLM
from tests.parts.palaver import Server
from tests.parts.run import Run

PRICES = "/api/admin/prices"
USAGE = "/api/admin/usage"
LIMITS = "/api/admin/limits"
A_DAY = 2000
MODEL = "qwen3:8b"
SECONDS = 60.0

pytestmark = pytest.mark.usefixtures("llm")


@pytest.fixture(scope="module")
def server_environment(scaled: Mapping[str, str]) -> Mapping[str, str]:
    return {
        **scaled, "PALAVER_REGISTRATION": "on", "PALAVER_TOKENS_A_DAY": str(A_DAY), "LLM_MAX_TOKENS": "400",
        "PALAVER_CURRENCY": "EUR",
    }  # fmt: skip


async def say(person: Client, message: str = "hello", **fields: Any) -> Answer:
    return await person.post("/api/chat", message=message, **fields)


async def exhaust(person: Client) -> None:
    """Has the day's tokens used up, but for fewer than any reply may take."""
    answer = await say(person, "word " * 775)
    assert answer.status == 200, answer.text


async def usage(admin: Client, query: str) -> Any:
    answer = await admin.get(f"{USAGE}?{query}")
    assert answer.status == 200, answer.text
    return answer.body


def day_now() -> date:
    """What a test does may fall on two days: the one on which it begins, and the one on which it looks."""
    return datetime.now(UTC).date()


def seconds_left() -> float:
    """Of the day."""
    now = datetime.now(UTC)
    return (now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1) - now).total_seconds()


# Prices


async def test_prices_are_added_and_told_with_their_currency(admin: Client) -> None:
    model = new_name()
    added = await admin.post(PRICES, model=model, input=2_500_000, output=10_000_000)
    told = {"model": model, "since": TIME, "input": 2_500_000, "cached_input": 2_500_000, "output": 10_000_000}
    assert (added.status, added.body) == (201, told)
    later = await admin.post(PRICES, model=model, input=1, cached_input=0, output=2, since="2099-01-01T00:00:00Z")
    assert (later.status, later.body["since"], later.body["cached_input"]) == (201, "2099-01-01T00:00:00Z", 0)
    listed = (await admin.get(PRICES)).body
    assert listed["currency"] == "EUR"
    assert [price for price in listed["prices"] if price["model"] == model] == [added.body, later.body]


async def test_price_that_would_change_what_was_is_refused(admin: Client) -> None:
    model, price = new_name(), {"input": 1, "output": 2, "since": "2099-01-01T00:00:00Z"}
    assert (await admin.post(PRICES, model=model, **price)).status == 201
    assert (await admin.post(PRICES, model=model, **{**price, "input": 5})).status == 409
    passed = await admin.post(PRICES, model=model, **{**price, "since": "2020-01-01T00:00:00Z"})
    assert (passed.status, passed.body["detail"][0]["loc"]) == (422, ["body", "since"])
    nowhere = {"since": "9999-12-31T23:59:59-23:00"}
    for wrong in ({"input": -1}, {"output": 10**10}, {"since": "soon"}, {"since": 5}, nowhere, {"model": " "}):
        refused = await admin.post(PRICES, **{"model": model, **price, **wrong})
        assert (refused.status, refused.body["detail"][0]["loc"][1]) == (422, *wrong)
    assert (await admin.get(PRICES)).status == 200


async def test_price_that_has_not_begun_is_taken_back_and_no_other(admin: Client) -> None:
    model, price = new_name(), {"input": 1, "output": 2}
    begun = (await admin.post(PRICES, model=f" {model} ", **price)).body
    assert begun["model"] == model
    to_come = (await admin.post(PRICES, model=model, **price, since="2099-01-01T01:00:00.5+01:00")).body
    assert (await admin.delete(f"{PRICES}?model={model}&since={to_come['since']}")).status == 204
    again = await admin.delete(f"{PRICES}?model={model}&since={to_come['since']}")
    assert again.status == 404
    refused = await admin.delete(f"{PRICES}?model={model}&since={begun['since']}")
    problem = refused.body["detail"][0]
    assert (refused.status, problem["loc"], problem["type"]) == (422, ["query", "since"], "price_begun")
    assert [one for one in (await admin.get(PRICES)).body["prices"] if one["model"] == model] == [begun]


# What was used


async def test_every_cut_through_the_sums_agrees_with_the_bill(admin: Client, newcomer: Client, llm: LLM) -> None:
    began = day_now()
    assert (await admin.post(PRICES, model=MODEL, input=2_000_000, output=4_000_000)).status == 201
    before = {by: await usage(admin, f"by={by}") for by in ("day", "user", "model", "app", "preset")}
    assert (await say(newcomer)).status == 200
    assert (await newcomer.post("/api/v1/chat/", message="once")).status == 200
    bill = await llm.bill()
    assert bill["answers"] == 2
    used = {"prompt_tokens": bill["prompt_tokens"], "completion_tokens": bill["completion_tokens"], "turns": 2}
    for by, earlier in before.items():
        now = await usage(admin, f"by={by}")
        assert {name: now["total"][name] - earlier["total"][name] for name in used} == used
        assert {name: sum(row[name] for row in now["rows"]) for name in now["total"]} == now["total"]
    own = (await newcomer.get("/api/usage")).body
    tokens = bill["prompt_tokens"] + bill["completion_tokens"]
    assert own["this_month"] == {
        **used, "cached_tokens": 0, "total_tokens": tokens, "cost": WHOLE,
    }  # fmt: skip
    assert own["today"] == own["this_month"] or day_now() != began
    assert own["currency"] == "EUR"
    assert own["budget"] == [{"limit": "tokens_a_day", "most": A_DAY, "left": A_DAY - tokens, "renewed_at": TIME}]


async def test_everybody_sees_their_own_days_by_model(admin: Client, newcomer: Client) -> None:
    began = day_now()
    assert (await admin.get("/api/usage/days?from=2020-01-01&to=2020-01-02")).status == 200
    session = await make(newcomer, model_name=MODEL)
    assert (await newcomer.post(f"/ai-chat/api/sessions/{session}/send_message/", message="hi")).status == 200
    assert (await say(newcomer)).status == 200
    own, told = (await newcomer.get("/api/usage")).body, (await newcomer.get("/api/usage/days")).body
    days = [began, day_now()]
    assert told["from"] in [str(day.replace(day=1)) for day in days]
    assert told["currency"] == "EUR"
    assert told["total"] == own["this_month"]
    assert sorted((row["model"], row["turns"]) for row in told["rows"]) == [("gpt-4", 1), (MODEL, 1)]
    assert {row["day"] for row in told["rows"]} <= set(map(str, days))
    yesterday = began - timedelta(days=1)
    assert (await newcomer.get(f"/api/usage/days?from=2020-01-01&to={yesterday}")).body["rows"] == []
    for query, field in (("from=soon", "from"), (f"from={began}&to={yesterday}", "to")):
        refused = await newcomer.get(f"/api/usage/days?{query}")
        assert (refused.status, refused.body["detail"][0]["loc"]) == (422, ["query", field])


async def test_session_tells_what_all_its_replies_have_used_and_cost(admin: Client, newcomer: Client) -> None:
    session, empty = await make(newcomer, model_name=MODEL), await make(newcomer)
    for words in ("hi", "and again"):
        sent = await newcomer.post(f"/ai-chat/api/sessions/{session}/send_message/", message=words)
        assert sent.status == 200
    today = (await newcomer.get("/api/usage")).body["today"]
    used = (await newcomer.get(f"/ai-chat/api/sessions/{session}/usage/")).body
    assert used == {"currency": "EUR", **{name: today[name] for name in used if name != "currency"}}
    assert used["total_tokens"] > 0
    nothing = (await newcomer.get(f"/ai-chat/api/sessions/{empty}/usage/")).body
    assert nothing == {"currency": "EUR", **dict.fromkeys([name for name in used if name != "currency"], 0)}
    assert (await admin.get(f"/ai-chat/api/sessions/{session}/usage/")).status == 404


async def test_usage_is_told_for_the_days_that_are_asked_for(admin: Client, newcomer: Client) -> None:
    began = day_now()
    assert (await say(newcomer)).status == 200
    ended = day_now()
    user = (await newcomer.get("/api/auth/me")).body["userId"]
    told = await usage(admin, f"from={began}&to={ended}&by=day&user={user}")
    assert (told["from"], told["to"], told["by"]) == (str(began), str(ended), "day")
    [row] = told["rows"]
    assert row["key"] in (str(began), str(ended))
    assert row["name"] is None
    yesterday = began - timedelta(days=1)
    assert (await usage(admin, f"from=2020-01-01&to={yesterday}&user={user}"))["rows"] == []
    for wrong, field in (("from=2026-13-01", "from"), ("to=tomorrow", "to"), ("by=hour", "by")):
        refused = await admin.get(f"{USAGE}?{wrong}")
        assert (refused.status, refused.body["detail"][0]["loc"]) == (422, ["query", field])
    refused = await admin.get(f"{USAGE}?from=2026-02-02&to=2026-02-01")
    assert (refused.status, refused.body["detail"][0]["loc"]) == (422, ["query", "to"])
    january = await usage(admin, "to=2026-01-31")
    assert (january["from"], january["to"]) == ("2026-01-01", "2026-01-31")


async def test_who_used_it_is_told_by_what_limits_are_given_to(
    nobody: Client, admin: Client, shared_server: Server
) -> None:
    name = new_name()
    await shared_server.cli("app", "add", name)
    printed = await shared_server.cli("token", "create", "--app", name)
    app = nobody.bearing(next(line for line in printed.splitlines() if line and " " not in line))
    session = (await app.post("/api/v1/chatbot/session", user_id="customer-7")).body["session_id"]

    async def ask() -> Answer:
        return await app.post(f"/api/v1/chatbot/session/{session}/message", message="hi")

    assert (await ask()).status == 200
    [row] = (await usage(admin, f"by=user&user={name}"))["rows"]
    assert (row["name"], row["app"], row["turns"]) == ("customer-7", name, 1)
    [of_app] = (await usage(admin, f"by=app&user={row['key']}"))["rows"]
    assert (of_app["name"], of_app["total_tokens"]) == (name, row["total_tokens"])
    assert (await usage(admin, f"by=model&user={of_app['key']}"))["total"]["turns"] == 1
    assert (await admin.get(f"{USAGE}?user=nobody-of-that-name")).status == 404

    given = await admin.send("PUT", f"{LIMITS}/{row['key']}", {"tokens_a_day": 7})
    assert (given.status, given.body["kind"], given.body["app"]) == (200, "app_user", name)
    refused = await ask_until(ask, lambda answer: " 7 tokens " in answer.text, seconds=SECONDS)
    assert refused.status == 429
    assert refused.body["detail"] == "You can use 7 tokens a day, and that is less than a reply may take."
    assert given.body in (await admin.get(LIMITS)).body
    await admin.send("PUT", f"{LIMITS}/{row['key']}", {})
    assert given.body["user_id"] not in [one["user_id"] for one in (await admin.get(LIMITS)).body]

    # A person of that name makes it say too little.
    person = await nobody.post("/auth/register/", username=name, password="long enough to be good")
    assert person.status == 201
    for path in (f"{LIMITS}/{name}", f"{USAGE}?user={name}", f"{USAGE}.csv?user={name}"):
        refused = await admin.get(path)
        assert (refused.status, refused.body["detail"]) == (
            409, "A person and an application have this name. Give the UUID.",
        )  # fmt: skip
    assert (await admin.get(f"{LIMITS}/{of_app['key']}")).body["kind"] == "app"


async def test_bot_that_is_no_model_costs_nothing_by_a_models_price(admin: Client, newcomer: Client) -> None:
    assert (await admin.post(PRICES, model=MODEL, input=2_000_000, output=4_000_000)).status in (201, 409)
    started = await newcomer.post("/api/chat/start", context_id=1, initial_message="hi", provider="dummy", model=MODEL)
    assert (await newcomer.post(f"/api/chat/session/{started.body['id']}/chat", prompt="hi")).status == 201
    user = (await newcomer.get("/api/auth/me")).body["userId"]
    [row] = (await usage(admin, f"by=model&user={user}"))["rows"]
    assert (row["key"], row["cost"]) == ("dummy", 0)
    assert row["total_tokens"] > 0


async def test_table_is_the_same_and_no_name_in_it_is_a_formula(nobody: Client, admin: Client) -> None:
    name = f"+1-{new_name()[:20]}"
    made = await nobody.post("/auth/register/", username=name, password="long enough to be good")
    assert made.status == 201, made.text
    assert (await say(nobody.bearing(made.body["token"]))).status == 200
    answer = await admin.get(f"{USAGE}.csv?by=user")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    header, *rows = csv.reader(io.StringIO(answer.text))
    assert header == [
        "user", "name", "app", "turns", "prompt_tokens", "cached_tokens", "completion_tokens", "total_tokens", "cost",
    ]  # fmt: skip
    told = await usage(admin, "by=user")
    assert [[int(cell) for cell in row[3:]] for row in rows] == [
        [row[column] for column in header[3:]] for row in told["rows"]
    ]
    assert f"'{name}" in [row[1] for row in rows]
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


# Over budget


async def test_who_has_nothing_left_is_refused_by_every_api_and_told_when_to_come_back(
    newcomer: Client, llm: LLM
) -> None:
    session = await make(newcomer)
    started = await newcomer.post("/api/chat/start", context_id=1, initial_message="hi")
    chatify = await newcomer.post("/api/v1/chatbot/session", user_id="u")
    await exhaust(newcomer)
    asked = len(await llm.record())
    german = newcomer.having(Accept_Language="de")
    most = seconds_left()
    refused = {
        "chat_domain": await say(german),
        "chat_flow": await german.post(f"/api/chat/session/{started.body['id']}/chat", prompt="hi"),
        "chatify": await german.post(f"/api/v1/chatbot/session/{chatify.body['session_id']}/message", message="hi"),
        "ai_chat": await german.post(f"/ai-chat/api/sessions/{session}/send_message/", message="hi"),
        "streaming_chat": await german.post("/api/chat/", message="hi"),
        "stateless": await german.post("/api/v1/chat/", message="hi"),
    }
    least = seconds_left()
    for name, answer in refused.items():
        words = answer.body["error" if name == "streaming_chat" else "detail"]
        assert answer.status == (402 if name == "stateless" else 429), name
        assert words.startswith(
            f"Höchstens {A_DAY} Token pro Tag; was übrig ist, ist weniger, als eine Antwort brauchen kann. Bitte in "
        )
        [budget] = (await newcomer.get("/api/usage")).body["budget"]
        assert answer.headers["RateLimit"].startswith(f'"tokens-day";r={budget["left"]};t=')
        assert least <= int(answer.headers["Retry-After"]) < most + 1
    async with enter(newcomer, session) as socket:
        await socket.say("hi")
        told = await socket.refused("rate_limited")
        assert seconds_left() <= told["retry_after"] < least + 1
    assert len(await llm.record()) == asked
    # Nothing of it is there.
    listed = (await newcomer.get("/api/chat/sessions")).body
    assert len(listed) == 4


async def test_who_only_waits_for_replies_that_run_is_told_to_come_back_soon(newcomer: Client, llm: LLM) -> None:
    # Each may take four hundred and some.
    running = [asyncio.ensure_future(say(newcomer, "hi [[hold=running]]")) for _ in range(4)]
    await llm.record(n=4)
    refused = await say(newcomer)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
    assert refused.body["detail"] == (
        f"You can use {A_DAY} tokens a day, and replies that are being written may take what is left. "
        "Try again in 5 seconds."
    )
    assert refused.headers["RateLimit"].startswith(f'"tokens-day";r={A_DAY};t=')
    await llm.let_go("running")
    assert [answer.status for answer in await asyncio.gather(*running)] == [200] * 4
    assert (await say(newcomer)).status == 200


async def test_budget_holds_for_a_model_that_takes_more_than_is_usual(run: Run, shared_server: Server) -> None:
    past = [{"role": role, "content": "word " * 790} for role in ("user", "assistant") * 35]
    slow = "hi [[text=ok&first=0.5]]"
    async with (
        running(Options(port=0, context_length=131_072)) as llm,
        open_beside(run, shared_server, LLM_SERVER_URL=llm.url, PALAVER_TOKENS_A_DAY="100000") as server,
        open_client(server) as nobody,
    ):
        person = await register(nobody)
        answers = await asyncio.gather(
            *(person.post("/api/v1/chat/", message=slow, conversation_history=past) for _ in range(3))
        )
        assert sorted(answer.status for answer in answers) == [200, 402, 402]
        [asked] = llm.stand_in.record.entries
        body = msgspec.json.decode(asked.raw_body)
        # All of the past was sent, and the answer was held to what was held back for it.
        assert len(body["messages"]) == len(past) + 2
        assert body["max_tokens"] == 400


async def test_budget_of_one_is_nobody_elses(nobody: Client, newcomer: Client) -> None:
    await exhaust(newcomer)
    assert (await say(newcomer)).status == 429
    assert (await say(await register(nobody))).status == 200


async def test_budget_of_ones_own_holds_on_every_worker_soon_after_it_is_set(
    shared_server: Server, newcomer: Client
) -> None:
    name = (await newcomer.get("/api/auth/me")).body["userId"]
    environment = shared_server.environment
    options = StoreOptions(Path(environment["PALAVER_DATA_DIR"]), environment.get("PALAVER_DATABASE_URL"))
    add = "INSERT INTO limits (user_id, tokens_a_day) SELECT id, 100 FROM users WHERE uuid = $1"
    async with open_store(options) as store:
        await store.database.write(lambda tx: tx.run(add, name))
    for _ in range(4):
        await ask_until(lambda: say(newcomer), lambda answer: answer.status == 429, seconds=SECONDS)
    [budget] = (await newcomer.get("/api/usage")).body["budget"]
    assert (budget["limit"], budget["most"]) == ("tokens_a_day", 100)


async def test_message_that_was_answered_is_told_again_when_nothing_is_left(newcomer: Client) -> None:
    first = await say(newcomer, "hello", clientMessageId="k-1")
    await exhaust(newcomer)
    again = await say(newcomer, "hello", clientMessageId="k-1")
    assert (again.status, again.body["messageId"]) == (200, first.body["messageId"])


async def test_stateless_answer_that_failed_costs_nothing(newcomer: Client) -> None:
    for _ in range(6):
        failed = await newcomer.post("/api/v1/chat/", message="hi [[fault=empty]]")
        assert failed.status == 400
    assert (await newcomer.get("/api/usage")).body["budget"][0]["left"] == A_DAY
