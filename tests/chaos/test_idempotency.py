"""A message that is sent again under its client id is the same message: kept once, answered once, asked for once."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

import aiohttp
import pytest

from tests.chaos.kept import Kept
from tests.chaos.person import APIS, ApiName, Person, Told, open_http
from tests.chaos.upstream import asked, heard_of
from tests.chaos.waiting import wait_while
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer
from tests.promises import Measured

pytestmark = pytest.mark.proof("words")

TIMES = 20
# By its id, until it is let go.
HELD = "hold={}"


@dataclass(frozen=True)
class Place:
    """Where something is said: in a conversation that is there, or in one that is made by it."""

    api: ApiName
    is_new: bool = False

    def __str__(self) -> str:
        return f"{self.api}-new" if self.is_new else self.api


PLACES = (*map(Place, APIS), Place("chat_domain", is_new=True))
every_place = pytest.mark.parametrize("place", PLACES, ids=str)


@pytest.fixture
def server(shared_server: Server) -> Server:
    return shared_server


@pytest.fixture
def alice(shared_alice: Person) -> Person:
    return shared_alice


@dataclass(frozen=True)
class Message:
    """A message that somebody sends as often as they like."""

    place: Place
    conversation: str | None
    text: str
    id: str

    async def by(self, person: Person, *, text: str | None = None) -> Told:
        return await person.say(
            text or self.text, self.conversation, api=self.place.api, client_message_id=self.id, request_id=self.id
        )


async def prepare(alice: Person, place: Place, *, script: str = "first=0.3") -> Message:
    mark = uuid4().hex
    conversation = None if place.is_new else await alice.open_conversation(place.api)
    return Message(place, conversation, f"{mark} [[{script.format(mark)}]]", mark)


async def check_said_once(alice: Person, kept: Kept, llm: LLM, message: Message, told: list[Told]) -> None:
    """It was answered alike each time, is kept once, and the model was asked once."""
    assert {answer.body for answer in told} == {told[0].body}
    turn = await kept.turn(message.id)
    assert told[0].text == turn.reply.content == f"You said: {message.text}"
    assert (turn.reply.status, turn.reply.attempt) == ("complete", 1)
    assert len(asked(await llm.record(), message.id)) == 1
    said = [("user", message.text), ("assistant", turn.reply.content)]
    assert await alice.list_messages(turn.prompt.conversation) == said
    # One that begins with it has it as its title.
    begun = await kept.query("SELECT uuid FROM conversations WHERE title LIKE $1", f"{message.id}%")
    assert len(begun) == message.place.is_new
    assert not await kept.miscounted()


async def hang_up_when(telling: Awaitable[Told], happened: Callable[[], Awaitable[object]]) -> None:
    """Closes the connection of somebody who waits for an answer, as soon as something has happened."""
    waiting = asyncio.ensure_future(telling)
    await happened()
    assert not waiting.done()
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting


def noting_what_is_sent() -> tuple[asyncio.Event, aiohttp.TraceConfig]:
    """For a client: set once the body of a request is on its way."""
    sent, tracing = asyncio.Event(), aiohttp.TraceConfig()

    async def note(*_: object) -> None:
        sent.set()

    tracing.on_request_chunk_sent.append(note)
    return sent, tracing


@every_place
async def test_message_sent_twenty_times_at_once_is_one_message(
    alice: Person, kept: Kept, llm: LLM, place: Place, measured: Measured
) -> None:
    measured("times", TIMES, "")
    message = await prepare(alice, place)
    told = await asyncio.gather(*(message.by(alice) for _ in range(TIMES)))
    await check_said_once(alice, kept, llm, message, told)


async def test_message_sent_again_after_a_restart_is_the_same_message(
    start_server: StartServer, http: aiohttp.ClientSession, llm: LLM
) -> None:
    server = await start_server()
    alice, kept = Person(http, server, await server.token("admin")), Kept(server)
    messages = [await prepare(alice, place, script="first=0") for place in PLACES]
    told = {message.id: [await message.by(alice)] for message in messages}

    async def say_all_again() -> None:
        for message in messages:
            told[message.id] += await asyncio.gather(*(message.by(alice) for _ in range(TIMES)))

    await server.restart()
    await say_all_again()
    server.kill()
    await server.start()
    await say_all_again()
    for message in messages:
        await check_said_once(alice, kept, llm, message, told[message.id])


@every_place
async def test_who_never_got_the_answer_gets_it_by_asking_again(
    alice: Person, kept: Kept, llm: LLM, place: Place
) -> None:
    message = await prepare(alice, place, script=HELD)
    await hang_up_when(message.by(alice), lambda: heard_of(llm, message.id))
    # It is on its way before the reply may go on, and once more when it has been answered.
    sent, tracing = noting_what_is_sent()
    async with open_http(tracing) as http:
        again = asyncio.ensure_future(message.by(alice.through(http)))
        await sent.wait()
        assert await kept.open_replies(to=message.id)
        await llm.let_go(message.id)
        told = [await again, await message.by(alice)]
    await check_said_once(alice, kept, llm, message, told)


@every_place
async def test_who_left_before_the_answer_finds_it_later(alice: Person, kept: Kept, llm: LLM, place: Place) -> None:
    message = await prepare(alice, place, script=HELD)
    await hang_up_when(message.by(alice), lambda: heard_of(llm, message.id))
    await llm.let_go(message.id)
    await wait_while(kept.open_replies, seconds=10, what="the reply of somebody who left")
    await check_said_once(alice, kept, llm, message, [await message.by(alice)])


@every_place
async def test_same_id_with_another_text_is_a_conflict_and_changes_nothing(
    alice: Person, kept: Kept, llm: LLM, place: Place
) -> None:
    message = await prepare(alice, place)
    waiting = asyncio.ensure_future(message.by(alice))
    await heard_of(llm, message.id)
    others = [f"{message.text} and number {number}" for number in range(TIMES)]
    while_it_runs = await asyncio.gather(*(message.by(alice, text=other) for other in others))
    told = [await waiting]
    afterwards = await message.by(alice, text="something else")
    assert {other.status for other in [*while_it_runs, afterwards]} == {409}
    assert len(await llm.record()) == 1
    await check_said_once(alice, kept, llm, message, told)


@every_place
async def test_of_different_texts_under_one_id_at_once_exactly_one_is_said(
    alice: Person, kept: Kept, llm: LLM, place: Place
) -> None:
    message = await prepare(alice, place)
    texts = [f"{message.text} number {number}" for number in range(TIMES)]
    told = await asyncio.gather(*(message.by(alice, text=text) for text in texts))
    assert sorted(answer.status for answer in told) == [told[0].api.answered] + [409] * (TIMES - 1)
    ((text, answer),) = [(text, one) for text, one in zip(texts, told, strict=True) if one.is_answer]
    turn = await kept.turn(message.id)
    assert (turn.prompt.content, turn.reply.content) == (text, answer.text)
    assert len(await llm.record()) == 1
    assert len(await kept.messages(turn.prompt.conversation)) == 2
