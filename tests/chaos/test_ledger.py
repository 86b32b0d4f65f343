"""Every token is accounted for, whatever becomes of the replies, and no budget is passed.

The moments are random; their seed is printed and can be given again by PALAVER_SEED.
"""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from palaver.chat.conversation import Usage
from palaver.chat.ledger import Price, to_cost
from tests.chaos.kept import Kept
from tests.chaos.person import Person
from tests.chaos.upstream import asked
from tests.chaos.waiting import wait_while
from tests.journeys.client import Client, open_client
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer, StoreKind
from tests.promises import Measured
from tests.serve.crew import Crew

pytestmark = pytest.mark.proof("money")

PRICE = Price(3_000_000, 300_000, 15_000_000)
REPLY_TOKENS = 100
MOST_HELD_FOR_ONE = 250
SECONDS_TO_TIDY_UP = 30.0
SECONDS_TO_REFUSE = 40.0

SUMS = (
    "CAST(COALESCE(SUM(prompt_tokens), 0) AS BIGINT), CAST(COALESCE(SUM(completion_tokens), 0) AS BIGINT), "
    "CAST(COALESCE(SUM(cached_tokens), 0) AS BIGINT), CAST(COALESCE(SUM(cost), 0) AS BIGINT)"
)
ALL = "(SELECT prompt_tokens, completion_tokens, cached_tokens, cost FROM messages UNION ALL "
ALL += "SELECT prompt_tokens, completion_tokens, cached_tokens, cost FROM usage) AS everything"

# What may become of a reply: it is whole, slow, breaks off, fails, or fails first.
SCRIPTS = (
    "pieces=3", "pieces=8&delay=0.02", "pieces=20&delay=0.05", "pieces=5&fault=cut&after=2", "fault=500",
    "fault=empty", "pieces=6&delay=0.02&fault=reset&after=3", "pieces=30&delay=0.05",
)  # fmt: skip


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "postgres"


@pytest.fixture
def sends(prove: bool) -> int:
    return 1000 if prove else 60


@pytest.fixture
def budget(prove: bool) -> int:
    """Less than the half of so many replies hold back at once: some are refused, as those before them are held."""
    return 25_000 if prove else 3000


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_LEASE_SECONDS": "3", "PALAVER_LLM_TRIES": "2", "LLM_MAX_TOKENS": str(REPLY_TOKENS)}


@pytest.fixture
async def server(start_server: StartServer, redis_url: str, budget: int) -> Server:
    return await start_server("--workers", "2", PALAVER_REDIS_URL=redis_url, PALAVER_TOKENS_A_DAY=str(budget))


async def set_prices(client: Client) -> None:
    for model in (await client.get("/ai-chat/api/models/")).body:
        added = await client.post(
            "/api/admin/prices", model=model["name"], input=PRICE.input, cached_input=PRICE.cached_input,
            output=PRICE.output,
        )  # fmt: skip
        assert added.status == 201, added.text


class Sends:
    """What is said to the same server, where nobody is answered with text before somebody was refused."""

    def __init__(self, person: Person) -> None:
        self.hold = uuid4().hex
        self.refused = asyncio.Event()
        self._person = person

    async def say(self, conversation: str, mark: str, script: str) -> int:
        """The status."""
        text = f"{mark} [[{script}&hold={self.hold}]]"
        status = (await self._person.say(text, conversation, client_message_id=mark)).status
        if status == 429:
            self.refused.set()
        return status


async def say_and_perhaps_stop(
    sends: Sends, client: Client, conversation: str, mark: str, dice: random.Random, seconds: float
) -> int:
    """The status, and 0 where the worker died."""
    saying = asyncio.create_task(sends.say(conversation, mark, dice.choice(SCRIPTS)))
    try:
        await sends.refused.wait()
        await asyncio.wait((saying,), timeout=dice.uniform(0.0, seconds))
        await stop(client, conversation, really=not saying.done() and dice.random() < 0.3)
        return await saying
    except (aiohttp.ClientError, OSError):
        await asyncio.gather(saying, return_exceptions=True)
        return 0


async def stop(client: Client, conversation: str, *, really: bool) -> None:
    for _ in range(really):
        await client.post("/api/chat/stop/", session_id=conversation)


async def kill_a_worker(server: Server, dice: random.Random) -> None:
    pids = list(Crew(server).pids().values())
    os.kill(dice.choice(pids), signal.SIGKILL)


async def test_ledger_balances_after_stops_failures_and_kills(
    server: Server,
    kept: Kept,
    alice: Person,
    llm: LLM,
    dice: random.Random,
    sends: int,
    budget: int,
    measured: Measured,
) -> None:
    async with open_client(server) as nobody:
        client = nobody.bearing(await server.token("admin"))
        await set_prices(client)
        talks = [await alice.open_conversation() for _ in range(sends)]
        all_sends = Sends(alice)
        saying = [
            asyncio.create_task(
                say_and_perhaps_stop(
                    all_sends, client, talk, f"mark-{number}-", random.Random(dice.random()), 1 + sends / 250
                )
            )
            for number, talk in enumerate(talks)
        ]
        async with asyncio.timeout(SECONDS_TO_REFUSE):
            await all_sends.refused.wait()
        await llm.let_go(all_sends.hold)
        await asyncio.wait(saying, timeout=dice.uniform(0.3, 1.0))
        await kill_a_worker(server, dice)
        statuses = Counter(await asyncio.gather(*saying))
    await wait_while(kept.open_replies, seconds=SECONDS_TO_TIDY_UP, what="replies that ran when a worker died")
    ends = await kept.query("SELECT status, COUNT(*) FROM messages WHERE role = 'assistant' GROUP BY status")
    measured("sent at once", sends, "")
    measured("their answers (0: the worker died)", to_words(statuses), "")
    measured("ends of replies", to_words({row[0]: row[1] for row in ends}), "")
    assert {200, 429} <= set(statuses) <= {0, 200, 429, 503}

    [ledger] = await kept.query(f"SELECT {SUMS} FROM ledger")
    # Nothing is held back, and all sums are the same.
    [still_held] = await kept.query("SELECT COUNT(*) FROM reservations")
    assert still_held[0] == 0
    [of_messages] = await kept.query(f"SELECT {SUMS} FROM {ALL}")
    [of_conversations] = await kept.query(f"SELECT {SUMS} FROM conversations")
    assert tuple(ledger) == tuple(of_messages) == tuple(of_conversations)
    [spent] = await kept.query("SELECT tokens_this_month, money_this_month FROM spending")
    assert tuple(spent) == (ledger[0] + ledger[1], ledger[3])
    assert ledger[0] + ledger[1] <= budget + MOST_HELD_FOR_ONE
    assert ledger[3] > 0
    assert not await kept.miscounted()
    await check_bill(kept, llm)


def to_words(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{count} × {what}" for what, count in sorted(counts.items()))


async def check_bill(kept: Kept, llm: LLM) -> None:
    """To the last token as the stand-in has it, where it has told."""
    heard = await llm.record()
    replies = await kept.query(
        "SELECT p.client_message_id, m.status, m.prompt_tokens, m.completion_tokens, m.cached_tokens, m.cost, "
        "m.usage_estimated, m.content FROM messages m JOIN messages p ON p.conversation_id = m.conversation_id "
        "AND p.number = m.parent_number WHERE m.role = 'assistant' AND p.client_message_id IS NOT NULL"
    )
    told = [row for row in replies if row[2] is not None and not row[6]]
    # Whatever became of it: a reply that failed may have been told to the end, and to have said nothing.
    assert any(row[1] == "complete" for row in told)
    for mark, _, prompt, completion, *_ in told:
        [billed] = [request.billed for request in asked(heard, mark) if request.billed is not None]
        assert (prompt, completion) == (billed.prompt_tokens, billed.completion_tokens)
    # What is whole was told, each one.
    assert not [row for row in replies if row[1] == "complete" and row not in told]
    for _, status, prompt, completion, cached, cost, estimated, content in replies:
        used = None if prompt is None else Usage(prompt, completion, cached or 0)
        # What broke off is counted by what was heard, what was never heard is free.
        assert (used is None) <= (not content), status
        assert bool(estimated) <= (status in ("stopped", "interrupted"))
        assert cost == (None if used is None else to_cost(used, PRICE))
