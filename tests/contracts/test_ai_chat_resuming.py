"""Coming back to a conversation with the last cursor seen: exactly what was missed, or a word that it is not."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import pytest

from tests.contracts.talking import (
    CURSOR,
    FIRST_PIECE,
    STALLED,
    make,
    message_shown,
    read,
    say,
    session_shown,
    to_story,
)
from tests.journeys.client import Client, Shaped
from tests.journeys.socket import SECONDS, Event, Socket, enter, said_by
from tests.parts.llm import LLM
from tests.parts.palaver import Server

# Each test finds the model as nobody has told it anything.
pytestmark = pytest.mark.usefixtures("llm")

SLOW = "[[text=one two three four five six seven eight&pieces=8&delay=0.03]]"
# The same, of which each piece comes when a test lets it go.
HOLD = "pieces"
HELD = SLOW.replace("delay=0.03", f"hold={HOLD}")

# Of the events of a turn, the last one after which somebody is cut.
LAST_CUT = 8
FIRST_CHUNK = 3


@pytest.fixture(scope="module")
def server_environment(scaled: Mapping[str, str]) -> Mapping[str, str]:
    return {"PALAVER_REGISTRATION": "on", "PALAVER_LLM_TRIES": "1", **scaled}


@pytest.fixture
async def session(alice: Client) -> str:
    return await make(alice)


@pytest.fixture
async def socket(alice: Client, session: str) -> AsyncIterator[Socket]:
    """Alice's, in her session: it is never cut."""
    async with enter(alice, session) as socket:
        yield socket


class ComeBack(Protocol):
    """Comes back with a cursor: the socket, of which nothing is heard yet but whether that is recovered."""

    def __call__(
        self, person: Client, session: str, cursor: str, *, recovered: bool | Shaped = True
    ) -> AbstractAsyncContextManager[Socket]: ...


@asynccontextmanager
async def come_back_by_address(
    person: Client, session: str, cursor: str, *, recovered: bool | Shaped = True
) -> AsyncIterator[Socket]:
    async with enter(person, session, f"cursor={cursor}") as socket:
        assert await socket.next() == {"type": "resumed", "recovered": recovered, "cursor": CURSOR}
        socket.heard.clear()
        yield socket


@asynccontextmanager
async def come_back_by_message(
    person: Client, session: str, cursor: str, *, recovered: bool | Shaped = True
) -> AsyncIterator[Socket]:
    async with enter(person, session) as socket:
        await socket.send("resume", cursor=cursor)
        # What comes before it is to be dropped.
        assert await socket.until("resumed") == {"type": "resumed", "recovered": recovered, "cursor": CURSOR}
        socket.heard.clear()
        yield socket


either_way = pytest.mark.parametrize(
    "come_back", [come_back_by_address, come_back_by_message], ids=["address", "message"]
)


async def missed_since(come_back: ComeBack, person: Client, session: str, cursor: str, last: str) -> list[Event]:
    """What a socket is told that comes back when nothing happens any more. The last that has happened has the cursor
    `last`: another worker may hear of it a moment later."""
    async with come_back(person, session, cursor) as socket:
        while socket.cursor != last:
            await socket.next()
        missed = list(socket.heard)
        return missed + await socket.settle()


@either_way
async def test_who_comes_back_later_is_told_exactly_what_was_missed(
    alice: Client, session: str, socket: Socket, come_back: ComeBack
) -> None:
    connected = socket.cursor
    await socket.say(SLOW, client_message_id="k")
    await socket.turn()
    message_id = socket.heard[-1]["message_id"]
    await socket.send("read", message_id=message_id)
    await socket.until("message_read")
    await socket.say("hello")
    await socket.turn()
    whole = socket.heard[1:]
    for heard in range(len(whole) + 1):
        cursor = whole[heard - 1]["cursor"] if heard else connected
        missed = await missed_since(come_back, alice, session, cursor, socket.cursor)
        assert to_story(whole[:heard] + missed) == to_story(whole)
        assert (missed or [whole[-1]])[-1]["cursor"] == whole[-1]["cursor"]


@either_way
async def test_who_is_cut_anywhere_in_a_turn_hears_all_of_it(
    alice: Client, session: str, socket: Socket, llm: LLM, come_back: ComeBack
) -> None:
    async def hear_until_cut(events: int) -> list[Event]:
        """All that somebody hears of the turn who is cut after so many events."""
        async with enter(alice, session) as cut:
            for _ in range(events):
                waiting.release()
                await cut.next()
            cut.cut()
        async with come_back(alice, session, cut.cursor) as back:
            await back.until("ai_typing_stop", reason="complete")
            return cut.heard[1:] + back.heard

    async def all_wait_for(event: int) -> None:
        """Returns when whoever is to hear it has heard all before it: each piece is a chunk of its own for them."""
        for _ in range(event, LAST_CUT + 1):
            await waiting.acquire()

    waiting = asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as tasks:
        hearing = [tasks.create_task(hear_until_cut(events)) for events in range(1, LAST_CUT + 1)]
        await all_wait_for(1)
        await socket.say(HELD)
        await all_wait_for(2)
        for event in range(FIRST_CHUNK, LAST_CUT + 1):
            await all_wait_for(event)
            await llm.let_go(HOLD, pieces=1)
        await llm.let_go(HOLD)
        whole = to_story(await socket.turn())
    for told in hearing:
        assert to_story(told.result()) == whole


async def test_who_is_cut_before_what_was_missed_is_told_hears_it_the_next_time(
    alice: Client, session: str, socket: Socket
) -> None:
    connected = socket.cursor
    await socket.say("hello")
    await socket.turn()
    async with enter(alice, session, f"cursor={connected}") as cut:
        cut.cut()
    missed = await missed_since(come_back_by_address, alice, session, cut.cursor, socket.cursor)
    assert to_story(missed) == to_story(socket.heard[1:])


async def test_who_is_cut_before_the_snapshot_is_told_it_the_next_time(alice: Client, session: str) -> None:
    await say(alice, session)
    async with enter(alice, session, "cursor=nonsense") as cut:
        cut.cut()
    snapshot, after = await looked_anew(come_back_by_address, alice, session, cut.cursor)
    assert snapshot["session"] == await read(alice, session)
    assert after == []


async def test_who_is_cut_at_once_while_a_reply_runs_hears_it_while_it_runs(
    alice: Client, session: str, socket: Socket
) -> None:
    await socket.say(STALLED)
    chunk = await socket.until("ai_message_chunk")
    async with enter(alice, session) as cut:
        cut.cut()
    async with come_back_by_address(alice, session, cut.cursor) as back:
        assert (await back.until("ai_message_chunk"))["full_content"] == chunk["full_content"]
    await socket.send("stop")
    await socket.turn()


async def test_who_is_cut_again_and_again_hears_all_of_it(alice: Client, session: str, socket: Socket) -> None:
    told: list[Event] = []
    cursor = socket.cursor
    await socket.say(SLOW)
    while not told or told[-1]["type"] != "ai_typing_stop":
        async with come_back_by_address(alice, session, cursor) as back:
            told.append(await back.next())
            cursor = back.cursor
            back.cut()
    assert to_story(told) == to_story(await socket.turn())


@either_way
async def test_reply_that_runs_goes_on_for_who_comes_back(
    alice: Client, session: str, socket: Socket, come_back: ComeBack
) -> None:
    connected = socket.cursor
    await socket.say(STALLED)
    chunk = await socket.until("ai_message_chunk")
    async with come_back(alice, session, chunk["cursor"]) as back:
        assert to_story(await back.settle()) == []
    async with come_back(alice, session, connected) as back:
        # What another worker says may come a moment after what the store has.
        assert to_story(await back.events("ai_message_chunk")) == to_story(socket.heard[1:])
    async with come_back(alice, session, chunk["cursor"]) as back:
        await socket.send("stop")
        assert to_story(await back.turn()) == to_story(await socket.turn())


@either_way
async def test_typing_is_never_told_again_and_moves_no_cursor(
    alice: Client, session: str, socket: Socket, come_back: ComeBack
) -> None:
    cursor = socket.cursor
    await socket.send("typing")
    assert (await socket.expect("user_typing"))["cursor"] == cursor
    # Just told, it may still be on its way to another worker. There it arrives once.
    async with asyncio.timeout(SECONDS):
        while await missed_since(come_back, alice, session, cursor, cursor):
            pass


async def test_brief_chunks_are_told_briefly_to_who_comes_back(alice: Client, session: str, socket: Socket) -> None:
    connected = socket.cursor
    await socket.say("hello")
    await socket.turn()
    async with enter(alice, session, f"cursor={connected}&full_content=0") as back:
        await back.expect("resumed", recovered=True)
        chunk = await back.until("ai_message_chunk")
        assert chunk["content"] == "You said: hello"
        assert "full_content" not in chunk


async def test_failure_is_replayed_without_the_senders_error(
    alice: Client, session: str, socket: Socket, llm: LLM
) -> None:
    connected = socket.cursor
    await llm.control(fault="500")
    await socket.say("hello")
    whole = [event for event in await socket.turn() if event["type"] != "error"]
    missed = await missed_since(come_back_by_address, alice, session, connected, socket.cursor)
    assert to_story(missed) == to_story(whole)


async def test_what_follows_a_failure_is_shown_to_follow_what_failed_to_be_answered(
    alice: Client, session: str, socket: Socket, llm: LLM
) -> None:
    connected = socket.cursor
    await llm.control(fault="500")
    await socket.say("hello")
    [asked, *_] = await socket.turn()
    await llm.control()
    await socket.say("hello?")
    [asked_anew, *_] = told = await socket.turn()
    assert asked_anew["message"]["parent_id"] == asked["message"]["id"]
    missed = await missed_since(come_back_by_address, alice, session, connected, socket.cursor)
    assert to_story(missed)[-len(to_story(told)) :] == to_story(told)
    snapshot, _ = await looked_anew(come_back_by_address, alice, session, "x")
    for shown in (snapshot["session"], await read(alice, session)):
        assert shown["messages"][:2] == [asked["message"], asked_anew["message"]]


async def test_queued_prompts_are_replayed_in_their_order(alice: Client, session: str, socket: Socket) -> None:
    connected = socket.cursor
    await socket.say(STALLED)
    await socket.until("ai_message_chunk")
    for text in ("two", "three"):
        await socket.say(text)
        await socket.until("user_message")
    waiting = socket.cursor
    await socket.send("stop")
    for _ in range(3):
        await socket.until("ai_typing_stop")
    whole = socket.heard[1:]
    missed = await missed_since(come_back_by_address, alice, session, connected, socket.cursor)
    assert to_story(missed) == to_story(whole)
    seen = whole.index(next(event for event in whole if event["cursor"] == waiting)) + 1
    since = await missed_since(come_back_by_address, alice, session, waiting, socket.cursor)
    assert to_story(since) == to_story(whole[seen:])


async def test_cursor_is_good_after_a_restart(alice: Client, session: str, shared_server: Server) -> None:
    async with enter(alice, session) as socket:
        connected = socket.cursor
        await socket.say(SLOW)
        whole = await socket.turn()
    await shared_server.restart()
    for heard, cursor in enumerate([connected, *(event["cursor"] for event in whole)]):
        missed = await missed_since(come_back_by_address, alice, session, cursor, socket.cursor)
        assert to_story(whole[:heard] + missed) == to_story(whole)


# Where it is another story


async def looked_anew(come_back: ComeBack, person: Client, session: str, cursor: str) -> tuple[Event, list[Event]]:
    """The snapshot that somebody gets who comes back in vain, and what comes after it."""
    async with come_back(person, session, cursor, recovered=False) as socket:
        snapshot = await socket.expect("snapshot")
        return snapshot, await socket.settle()


async def looked_anew_in_time(come_back: ComeBack, person: Client, session: str, cursor: str) -> Event:
    """The same snapshot, where a worker that people have come back to before may hear a moment later that it is another
    story: until then it goes on with the old one."""
    async with asyncio.timeout(SECONDS):
        while True:
            async with come_back(person, session, cursor, recovered=Shaped(bool)) as socket:
                if (event := await socket.next())["type"] == "snapshot":
                    return event


@pytest.mark.parametrize(
    "cursor", ["", "x", "e1.40", "e1.42.10", "nope.nope", "%F0%9F%98%80", "x" * 200, "x" * 201, "1" * 5000, "%00"]
)
async def test_garbled_cursor_is_not_recovered(alice: Client, session: str, cursor: str) -> None:
    turn = await say(alice, session)
    snapshot, after = await looked_anew(come_back_by_address, alice, session, cursor)
    shown = await read(alice, session)
    assert snapshot == {
        "type": "snapshot",
        "session": session_shown(
            id=session,
            message_count=2,
            window=None,
            token_budget=None,
            messages=[
                message_shown(id=turn["user_message"]["id"], role="user", content="hello", parent_id=None),
                message_shown(
                    id=turn["ai_message"]["id"],
                    role="assistant",
                    content="You said: hello",
                    parent_id=turn["user_message"]["id"],
                ),
            ],
        ),
        "has_more": False,
        "reply": None,
        "cursor": CURSOR,
    }
    assert snapshot["session"] == shown
    assert after == []


@pytest.mark.parametrize("cursor", ["", "x", "x" * 200, "x" * 201, "\U0001f600"])
async def test_garbled_cursor_in_a_message_is_not_recovered(alice: Client, session: str, cursor: str) -> None:
    _, after = await looked_anew(come_back_by_message, alice, session, cursor)
    assert after == []


@either_way
async def test_foreign_or_future_cursor_is_not_recovered(
    alice: Client, session: str, socket: Socket, come_back: ComeBack
) -> None:
    elsewhere = await make(alice)
    async with enter(alice, elsewhere) as stranger:
        foreign = [stranger.cursor]
        await stranger.say("hello")
        foreign += [event["cursor"] for event in await stranger.turn()]
    await socket.say("hello")
    cursors = [event["cursor"] for event in await socket.turn()]
    future = [bigger for cursor in cursors for bigger in to_future(cursor)]
    for cursor in (*foreign, *future):
        snapshot, after = await looked_anew(come_back, alice, session, cursor)
        assert len(snapshot["session"]["messages"]) == 2
        assert after == []


def to_future(cursor: str) -> list[str]:
    """The same with a number that is far from coming: that of the event, and of the story that it belongs to."""
    conversation, revision, event, *more = cursor.split(".")
    return [
        ".".join((conversation, str(int(revision) + 7), event, *more)),
        ".".join((conversation, revision, str(int(event) + 1000), *more)),
        ".".join((conversation, revision, "9" * 15, *more)),
    ]


async def test_no_number_in_a_cursor_harms_the_server(alice: Client, session: str, socket: Socket) -> None:
    """Whatever one makes of a cursor: the socket either recovers or looks anew."""
    await socket.say(STALLED)
    cursor = (await socket.until("ai_message_chunk"))["cursor"]
    numbers = [found.span() for found in re.finditer(r"(?<=\.)\d+", cursor)]
    for start, end in numbers:
        for number in ("0", "1", "2", "3", "99", "9" * 15, "9" * 16, "-1", ""):
            async with enter(alice, session, f"cursor={cursor[:start]}{number}{cursor[end:]}") as back:
                await back.expect("resumed")
                assert "error" not in [event["type"] for event in await back.settle()]
    await socket.send("stop")
    await socket.turn()


@either_way
async def test_edit_and_another_reply_make_it_another_story(
    alice: Client, session: str, socket: Socket, come_back: ComeBack
) -> None:
    await socket.say("one")
    first = await socket.turn()
    await socket.send("edit", message_id=first[0]["message"]["id"], message="uno")
    edited = await socket.turn()
    for event in first:
        snapshot, _ = await looked_anew(come_back, alice, session, event["cursor"])
        assert [message["content"] for message in snapshot["session"]["messages"]] == ["uno", "You said: uno"]
    missed = await missed_since(come_back, alice, session, edited[0]["cursor"], socket.cursor)
    assert to_story(missed) == to_story(edited[1:])
    await socket.send("regenerate")
    again = await socket.turn()
    for event in edited:
        snapshot = await looked_anew_in_time(come_back, alice, session, event["cursor"])
        assert snapshot["session"]["messages"][-1]["id"] == again[-1]["message_id"]
    missed = await missed_since(come_back, alice, session, again[0]["cursor"], socket.cursor)
    assert to_story(missed) == to_story(again[1:])


@either_way
async def test_snapshot_tells_the_reply_that_runs_and_it_goes_on_from_there(
    alice: Client, session: str, socket: Socket, come_back: ComeBack
) -> None:
    await socket.say(STALLED)
    chunk = await socket.until("ai_message_chunk")
    async with come_back(alice, session, "x", recovered=False) as back:
        snapshot = await back.expect("snapshot")
        assert snapshot["reply"]["message_id"] == chunk["message_id"]
        heard = snapshot["reply"]["content"]
        assert snapshot["reply"]["position"] == len(heard)
        # A worker that has not made it may hear of it a moment later.
        while heard != FIRST_PIECE:
            heard += (await back.expect("ai_message_chunk"))["content"]
        assert [message["role"] for message in snapshot["session"]["messages"]] == ["user"]
        assert await back.settle() == []
        await back.send("stop")
        assert to_story(await back.turn()) == to_story(await socket.turn())


async def test_text_from_a_snapshot_on_joins_to_the_whole(
    alice: Client, session: str, socket: Socket, llm: LLM
) -> None:
    await socket.say(HELD)
    await llm.let_go(HOLD, pieces=1)
    await socket.until("ai_message_chunk")
    async with come_back_by_address(alice, session, "x", recovered=False) as back:
        reply = (await back.expect("snapshot"))["reply"]
        await llm.let_go(HOLD)
        events = await back.turn()
        assert reply["content"] + said_by(events) == events[-2]["message"]["content"]


async def test_snapshot_has_the_newest_hundred_messages(alice: Client, session: str) -> None:
    for number in range(51):
        await say(alice, session, str(number))
    snapshot, _ = await looked_anew(come_back_by_address, alice, session, "x")
    shown = await read(alice, session)
    assert snapshot["has_more"] is True
    assert snapshot["session"]["message_count"] == 102
    assert snapshot["session"]["messages"] == shown["messages"][2:]


async def test_cursor_of_a_snapshot_is_good(alice: Client, session: str, socket: Socket) -> None:
    await socket.say("hello")
    await socket.turn()
    snapshot, _ = await looked_anew(come_back_by_address, alice, session, "x")
    await socket.say("again")
    whole = await socket.turn()
    missed = await missed_since(come_back_by_address, alice, session, snapshot["cursor"], socket.cursor)
    assert to_story(missed) == to_story(whole)


async def test_resume_without_a_cursor_is_invalid(socket: Socket) -> None:
    for fields in ({}, {"cursor": None}, {"cursor": 7}):
        await socket.send("resume", **fields)
        await socket.refused("invalid")


async def test_resuming_later_on_is_told_again_too(socket: Socket) -> None:
    connected = socket.cursor
    await socket.say("hello")
    whole = await socket.turn()
    await socket.send("resume", cursor=connected)
    await socket.expect("resumed", recovered=True)
    assert to_story(await socket.settle()) == to_story(whole)
