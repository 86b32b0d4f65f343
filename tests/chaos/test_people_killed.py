"""`kill -9` while people talk to each other: what was acknowledged is there, once, and counts as unread."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from tests.contracts.persons import PEOPLE, Person, new_person
from tests.journeys.client import open_client
from tests.parts.palaver import Server
from tests.promises import Measured

pytestmark = pytest.mark.proof("people")

MESSAGES = 60
# What is said at once is committed at once: the kill would find all of it acknowledged.
AT_ONCE = 6
ACKNOWLEDGED = 15


@pytest.fixture(scope="module")
def server_environment() -> Mapping[str, str]:
    return {"PALAVER_REGISTRATION": "on"}


async def test_acknowledged_messages_are_there_once_after_a_kill(server: Server, measured: Measured) -> None:
    acknowledged: dict[str, str] = {}
    enough = asyncio.Event()

    async def say(person: Person, number: int) -> None:
        client_id = f"{person.name}-{number}"
        acknowledged[client_id] = await person.tell(pair, client_id, client_message_id=client_id)
        if len(acknowledged) >= ACKNOWLEDGED:
            enough.set()

    async def say_in_turn(ones: Iterable[tuple[Person, int]]) -> None:
        for one in ones:
            await say(*one)

    async with open_client(server) as nobody:
        ana, ben = await new_person(nobody), await new_person(nobody)
        pair = await ana.make(ben)
        everything = [(person, number) for number in range(MESSAGES // 2) for person in (ana, ben)]
        saying = [asyncio.create_task(say_in_turn(everything[lane::AT_ONCE])) for lane in range(AT_ONCE)]
        await enough.wait()
        server.kill()
        await asyncio.gather(*saying, return_exceptions=True)
        before = dict(acknowledged)
        measured("messages sent", MESSAGES, "")
        measured("acknowledged before the kill", len(before), "")
        assert len(before) < MESSAGES
        await server.restart()
        kept = {message["client_message_id"]: message["id"] for message in await _all(ben, pair)}
        assert before.items() <= kept.items()
        # In doubt all of it is said again.
        await say_in_turn(everything)
        assert before.items() <= acknowledged.items()
        messages = await _all(ana, pair)
        assert [message["number"] for message in messages] == list(range(1, MESSAGES + 1))
        assert {message["client_message_id"]: message["id"] for message in messages} == acknowledged
        assert [(await person.see(pair))["unread_count"] for person in (ana, ben)] == [MESSAGES // 2] * 2


async def _all(person: Person, conversation: str) -> list[dict[str, Any]]:
    answer = await person.client.get(f"{PEOPLE}/{conversation}/messages?limit=100")
    assert answer.status == 200, answer.text
    messages: list[dict[str, Any]] = answer.body["messages"]
    return messages
