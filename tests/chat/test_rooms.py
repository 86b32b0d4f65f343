"""Rooms: whoever is in one hears everything once, whenever they came in, wherever the reply is made, and whatever the
bus has lost."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import combinations_with_replacement

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.bus import Hub, MemoryBus
from palaver.chat import last_words
from palaver.chat import reply as replying
from palaver.chat import rooms as waiting
from palaver.chat.conversation import Conversation, ConversationId, Message, MessageId
from palaver.chat.cursor import Mark, encode_cursor
from palaver.chat.errors import NotFound
from palaver.chat.flow import Chat, continue_chat, delete_conversation, stop_reply
from palaver.chat.listening import Over, TextSaid, listen
from palaver.chat.ports import Begun
from palaver.chat.room import TAPE_EVENTS
from palaver.chat.rooms import Rooms
from palaver.chat.telling import Telling, Waker
from palaver.chat.user import Reader, User
from palaver.store import SqlStore
from tests.chat.conftest import StartChat
from tests.chat.hearing import Ear, LossyBus, PausingBus, PausingStore, check_heard_everything, settle
from tests.chat.talking import HandBot, Talk
from tests.ports.talking import NOW, new_conversation
from tests.promises import Measured

Step = Callable[[], Awaitable[None]]


class Talker:
    """Takes turns in a conversation, one step after the other, at one worker."""

    def __init__(self, chat: Chat, bot: HandBot, who: User, conversation: Conversation) -> None:
        self.chat = chat
        self.begun: Begun | None = None
        self._bot = bot
        self._reader = Reader(who.id)
        self._uuid = conversation.uuid
        self._talk: Talk | None = None

    async def ask(self, text: str = "and now?") -> None:
        self.begun = await continue_chat(self.chat, self._reader, text, conversation=self._uuid)
        await settle()

    async def say(self, text: str) -> None:
        if self._talk is None:
            self._talk = await self._bot.asked()
        await self._talk.say(text)
        await settle()

    async def finish(self) -> None:
        assert self._talk is not None
        assert self.begun is not None
        self._talk.finish()
        self._talk = None
        await self.chat.replies.wait_end(self.begun)
        await settle()

    async def turn(self, *texts: str) -> None:
        await self.ask()
        for text in texts:
            await self.say(text)
        await self.finish()

    def story(self) -> list[Step]:
        """Two turns, of which the second begins where the first ends."""
        return [
            self.ask,
            lambda: self.say("one "),
            lambda: self.say("two "),
            self.finish,
            self._ask_and_say,
        ]

    async def _ask_and_say(self) -> None:
        await self.ask()
        await self.say("three")

    async def messages(self) -> Sequence[Message]:
        found = await self.chat.store.conversations.access(self._reader, self._uuid)
        return await self.chat.store.conversations.messages(found, limit=None, offset=0)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(last_words, "ANYBODY_SECONDS", 0.2)


@pytest.fixture
def ear(alice: User, conversation: Conversation) -> Ear:
    return Ear(Reader(alice.id), conversation.uuid)


@pytest.fixture
def dice(seed: str) -> random.Random:
    return random.Random(seed)


async def heard_at_another(ear: Ear, talker: Talker) -> None:
    """All that was ever said, checked at the end of a reply."""
    await talker.say("!")
    await talker.finish()
    messages = await talker.messages()
    await ear.hear_until(lambda: ("quiet", messages[-1].number) in ear.told)
    check_heard_everything(ear, messages)
    ear.leave()


# Coming in while it goes on: every point at which something can happen

COMING_IN = (
    "before",
    "subscribing to conversation",
    "subscribed to conversation",
    "reading",
    "read",
    "subscribing to sockets",
    "subscribed to sockets",
    "after",
)
COMING_BACK = ("before", "subscribed to conversation", "read", "looking back", "looked back", "after")


class Schedule:
    """Carries out at each point the steps that are due by then: some points are not come by."""

    def __init__(self, steps: Sequence[Step] = (), due: Sequence[str] = (), points: Sequence[str] = ()) -> None:
        self._steps = deque(zip(steps, map(points.index, due), strict=True))
        self._points = points

    async def at(self, point: str) -> None:
        while point in self._points and self._steps and self._steps[0][1] <= self._points.index(point):
            step, _ = self._steps.popleft()
            await step()


def spread(steps: int, points: Sequence[str], most: int, dice: random.Random) -> Iterator[tuple[str, ...]]:
    """All the ways in which so many steps can happen at these points, in order; a sample where `most` is less."""
    ways = list(combinations_with_replacement(points, steps))
    yield from ways if len(ways) <= most else dice.sample(ways, most)


@pytest.mark.proof("streams")
@pytest.mark.parametrize("maker", ["here", "there"])
async def test_whoever_comes_in_hears_everything_from_then_on_whenever_it_happens(
    start_chat: StartChat,
    store: SqlStore,
    hub: Hub,
    bot: HandBot,
    alice: User,
    dice: random.Random,
    prove: bool,
    measured: Measured,
    maker: str,
) -> None:
    schedule = Schedule()
    at = lambda point: schedule.at(point)  # noqa: E731 (of whichever schedule is carried out)
    here = await start_chat("here", bus=PausingBus(hub, at), over=PausingStore(store, at))
    there = await start_chat("there")
    orders = list(spread(5, COMING_IN, 1_000 if prove else 200, dice))
    measured("orders of what happens", len(orders), "")
    for due in orders:
        conversation = await store.conversations.create(new_conversation(alice), here.clock.now())
        talker = Talker(here if maker == "here" else there, bot, alice, conversation)
        schedule = Schedule(talker.story(), due, COMING_IN)
        ear = Ear(Reader(alice.id), conversation.uuid)
        await schedule.at("before")
        await ear.come(here.rooms)
        await schedule.at("after")
        await heard_at_another(ear, talker)


@pytest.mark.proof("streams")
@pytest.mark.parametrize("maker", ["here", "there", "elsewhere"])
async def test_whoever_comes_back_hears_what_was_missed_whenever_it_happens(
    start_chat: StartChat,
    store: SqlStore,
    hub: Hub,
    bot: HandBot,
    alice: User,
    dice: random.Random,
    prove: bool,
    measured: Measured,
    maker: str,
) -> None:
    """From one worker to another that has not seen the conversation."""
    schedule = Schedule()
    at = lambda point: schedule.at(point)  # noqa: E731
    there = await start_chat("there")
    here = await start_chat("here", bus=PausingBus(hub, at), over=PausingStore(store, at))
    makers = {"here": here, "there": there, "elsewhere": await start_chat("elsewhere")}
    tried = 0
    for heard in range(5):
        for due in spread(5 - heard, COMING_BACK, 1_000 if prove else 40, dice):
            tried += 1
            conversation = await store.conversations.create(new_conversation(alice), here.clock.now())
            talker = Talker(makers[maker], bot, alice, conversation)
            story = talker.story()
            ear = Ear(Reader(alice.id), conversation.uuid)
            schedule = Schedule()
            await ear.come(there.rooms)
            for step in story[:heard]:
                await step()
            await ear.hear()
            ear.leave()
            schedule = Schedule(story[heard:], due, COMING_BACK)
            await schedule.at("before")
            await ear.come(here.rooms)
            await schedule.at("after")
            await heard_at_another(ear, talker)
            assert ear.recovered == [True]
    measured("orders of what happens", tried, "")


async def test_two_who_come_in_at_once_are_both_in(start_chat: StartChat, hub: Hub, ear: Ear) -> None:
    gate = asyncio.Event()

    async def at(point: str) -> None:
        if point == "subscribing to sockets":
            await gate.wait()

    here = await start_chat("here", bus=PausingBus(hub, at))
    await start_chat("there")
    other = Ear(ear.reader, ear.uuid)
    coming = asyncio.gather(ear.come(here.rooms), other.come(here.rooms))
    await settle()
    gate.set()
    await coming
    assert await here.rooms.is_open(ear.uuid)
    ear.leave()
    other.leave()


async def test_gap_of_the_bus_while_somebody_comes_in_leaves_them_in(
    start_chat: StartChat, hub: Hub, bot: HandBot, alice: User, conversation: Conversation, ear: Ear
) -> None:
    """The room was empty until then, and one that is may be forgotten."""

    async def at(point: str) -> None:
        if point == "subscribed to sockets":
            bus._listeners.tell_of_a_gap()

    bus = PausingBus(hub, at)
    here = await start_chat("here", bus=bus)
    talker = Talker(await start_chat("there"), bot, alice, conversation)
    await ear.come(here.rooms)
    await talker.ask()
    await talker.say("one")
    await heard_at_another(ear, talker)


async def test_conversation_deleted_while_somebody_comes_in_lets_nobody_in(
    start_chat: StartChat, store: SqlStore, hub: Hub, alice: User, conversation: Conversation, ear: Ear
) -> None:
    there = await start_chat("there")

    async def at(point: str) -> None:
        if point == "read":
            await delete_conversation(there, Reader(alice.id), conversation.uuid)
            await settle()

    here = await start_chat("here", bus=MemoryBus(hub), over=PausingStore(store, at))
    with pytest.raises(NotFound):
        await ear.come(here.rooms)


# What the bus has lost


async def test_lost_start_of_a_reply_is_made_up_by_its_end(
    start_chat: StartChat, hub: Hub, bot: HandBot, alice: User, conversation: Conversation, ear: Ear
) -> None:
    bus = LossyBus(hub)
    here = await start_chat("here", bus=bus)
    talker = Talker(await start_chat("there"), bot, alice, conversation)
    await ear.come(here.rooms)
    bus.loses = lambda: True
    await talker.ask()
    await talker.say("one")
    await ear.hear()
    assert ear.told == []
    bus.loses = lambda: False
    await heard_at_another(ear, talker)


async def test_lost_end_of_a_reply_is_made_up_once_the_bus_says_so(
    start_chat: StartChat, hub: Hub, bot: HandBot, alice: User, conversation: Conversation, ear: Ear
) -> None:
    bus = LossyBus(hub)
    here = await start_chat("here", bus=bus)
    talker = Talker(await start_chat("there"), bot, alice, conversation)
    await ear.come(here.rooms)
    await talker.ask()
    await talker.say("one")
    bus.loses = lambda: True
    await talker.say(" two")
    await talker.finish()
    bus.tell_of_a_gap()
    messages = await talker.messages()
    await ear.hear_until(lambda: len(ear.told) == 4)
    check_heard_everything(ear, messages)


async def test_lost_text_is_asked_for_again(
    start_chat: StartChat, hub: Hub, bot: HandBot, alice: User, conversation: Conversation, ear: Ear
) -> None:
    bus = LossyBus(hub)
    here = await start_chat("here", bus=bus)
    talker = Talker(await start_chat("there"), bot, alice, conversation)
    await ear.come(here.rooms)
    await talker.ask()
    await talker.say("one ")
    bus.loses = lambda: True
    await talker.say("two ")
    # What was gathered behind the first piece.
    await asyncio.wait_for(_published(talker.chat), 10)
    bus.loses = lambda: False
    await talker.say("three")
    assert talker.begun is not None
    uuid = talker.begun.turn.reply.uuid
    await ear.hear_until(lambda: ear.texts.get(uuid) == "one two three")


async def _published(chat: Chat) -> None:
    """Every relay has sent what there is."""
    while any(relay._position < relay.telling.log.length for relay in chat.rooms._relays.values()):  # noqa: ASYNC110
        await asyncio.sleep(0)


async def test_whoever_comes_back_to_a_worker_that_hears_nothing_goes_on_once_a_checkpoint_has_it(
    start_chat: StartChat, hub: Hub, bot: HandBot, alice: User, conversation: Conversation, ear: Ear,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(waiting, "ASKED_TIMES", 10_000)
    monkeypatch.setattr(waiting, "ANSWER_SECONDS", 0.01)
    bus = LossyBus(hub)
    here, there = await start_chat("here", bus=bus), await start_chat("there", watched=False)
    talker = Talker(there, bot, alice, conversation)
    await ear.come(there.rooms)
    await talker.ask()
    await talker.say("one")
    await ear.hear()
    ear.leave()
    bus.loses = lambda: True
    coming = asyncio.create_task(ear.come(here.rooms))
    await settle()
    await there.store.check()
    assert not coming.done()
    await there.replies._checkpoint()
    await asyncio.wait_for(coming, 10)
    assert ear.recovered == [True]
    bus.loses = lambda: False
    await heard_at_another(ear, talker)


@pytest.mark.proof("streams")
async def test_joined_text_is_the_kept_text_whatever_is_lost_late_or_out_of_order(
    start_chat: StartChat,
    store: SqlStore,
    hub: Hub,
    bot: HandBot,
    alice: User,
    dice: random.Random,
    prove: bool,
    measured: Measured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And whoever listens goes away and comes back, to either worker, at any moment."""
    # All of them have heard what they say they have: however long a checkpoint takes, in the end they are believed.
    monkeypatch.setattr(waiting, "ASKED_TIMES", 10_000)
    buses = [LossyBus(hub), LossyBus(hub)]
    chats = [await start_chat(f"worker-{index}", bus=bus) for index, bus in enumerate(buses)]
    conversations = 1_000 if prove else 30
    measured("conversations", conversations, "")
    for _ in range(conversations):
        conversation = await store.conversations.create(new_conversation(alice), chats[0].clock.now())
        await talk_over_a_lossy_bus(buses, chats, bot, alice, conversation, dice)


async def talk_over_a_lossy_bus(
    buses: Sequence[LossyBus], chats: Sequence[Chat], bot: HandBot, alice: User, conversation: Conversation,
    dice: random.Random,
) -> None:  # fmt: skip
    for bus in buses:
        bus.loses = lambda: dice.random() < 0.3
        bus.is_late = lambda: dice.random() < 0.2
    ears = [Ear(Reader(alice.id), conversation.uuid) for _ in range(3)]
    for ear in ears:
        await ear.come(dice.choice(chats).rooms)

    async def happen() -> None:
        for bus in buses:
            if dice.random() < 0.3:
                dice.shuffle(bus.late)
                bus.hear_late()
            if dice.random() < 0.1:
                bus.tell_of_a_gap()
        for ear in ears:
            if dice.random() < 0.7:
                await ear.hear()
            if dice.random() < 0.3:
                ear.leave()
                await ear.come(dice.choice(chats).rooms)

    for _ in range(4):
        talker = Talker(dice.choice(chats), bot, alice, conversation)
        await talker.ask()
        await happen()
        for piece in range(dice.randrange(1, 6)):
            await talker.say(f"{piece}, ")
            await happen()
        await talker.finish()
        await happen()
    for bus in buses:
        bus.loses = bus.is_late = lambda: False
        bus.late.clear()
        bus.tell_of_a_gap()
    messages = await talker.messages()
    for ear in ears:
        await ear.hear_until(lambda ear=ear: ear.event == messages[-1].end_event)  # type: ignore[misc]
        check_heard_everything(ear, messages)
        assert all(ear.recovered)


@pytest.mark.parametrize("number", range(10))
async def test_stream_of_one_reply_is_whole_over_any_number_of_returns_to_any_worker(
    start_chat: StartChat, hub: Hub, bot: HandBot, alice: User, conversation: Conversation, dice: random.Random,
    number: int,
) -> None:  # fmt: skip
    bus = LossyBus(hub)
    chats = [await start_chat("there"), await start_chat("here", bus=bus)]
    bus.loses = lambda: dice.random() < 0.3
    talker = Talker(chats[0], bot, alice, conversation)
    await talker.ask()
    assert talker.begun is not None
    asked = await talker.chat.store.turns.get(talker.begun.turn.reply.id)
    assert asked is not None
    text = ""
    for piece in range(12):
        await talker.say(f"{number} {piece}, ")
        begun = await chats[1].store.turns.get(asked.turn.reply.id)
        assert begun is not None
        stream = listen(dice.choice(chats), begun, len(text), Waker())
        heard = await asyncio.wait_for(anext(aiter(stream)), 10)
        assert isinstance(heard, TextSaid | None)
        text += heard.text if heard is not None else ""
        await stream.aclose()
    talker_text = "".join(f"{number} {piece}, " for piece in range(12))
    assert talker_text.startswith(text)
    streams = asyncio.gather(*(read_to_end(chat, asked, len(text)) for chat in chats))
    await settle()
    bus.loses = lambda: True
    await talker.finish()
    bus.tell_of_a_gap()
    assert await asyncio.wait_for(streams, 10) == [(talker_text[len(text) :], "complete")] * 2


async def read_to_end(chat: Chat, begun: Begun, position: int) -> tuple[str, str]:
    """What a stream tells from there on, and how it ends."""
    text = ""
    async for heard in listen(chat, begun, position, Waker()):
        if isinstance(heard, TextSaid):
            text += heard.text
        elif isinstance(heard, Over):
            return text, heard.reply.status
    raise AssertionError(f"it ended without an end after {text!r}")


async def test_stream_of_another_workers_reply_ends_with_it(
    start_chat: StartChat, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    here = await start_chat("here")
    talker = Talker(await start_chat("there"), bot, alice, conversation)
    await talker.ask()
    await talker.say("one ")
    assert talker.begun is not None
    stream = asyncio.create_task(read_to_end(here, talker.begun, 0))
    await settle()
    await talker.say("two")
    await talker.finish()
    assert await asyncio.wait_for(stream, 10) == ("one two", "complete")


async def test_stream_of_another_workers_reply_ends_when_the_conversation_is_deleted(
    start_chat: StartChat, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    here = await start_chat("here")
    talker = Talker(await start_chat("there"), bot, alice, conversation)
    await talker.ask()
    await talker.say("one ")
    assert talker.begun is not None
    stream = asyncio.create_task(read_to_end(here, talker.begun, 0))
    await settle()
    await delete_conversation(talker.chat, Reader(alice.id), conversation.uuid)
    with pytest.raises(NotFound):
        await asyncio.wait_for(stream, 10)


# The tape


async def test_whoever_is_behind_the_tape_hears_the_rest_from_the_store(
    start_chat: StartChat, bot: HandBot, alice: User, conversation: Conversation, ear: Ear
) -> None:
    chat = await start_chat()
    talker = Talker(chat, bot, alice, conversation)
    back = Ear(ear.reader, ear.uuid)
    for one in (ear, back):
        await one.come(chat.rooms)
    back.leave()
    # Each is three events on the tape.
    for number in range(TAPE_EVENTS // 3 + 2):
        await talker.turn(f"answer {number}")
    await back.come(chat.rooms)
    messages = await talker.messages()
    for one in (ear, back):
        await one.hear_until(lambda one=one: ("quiet", messages[-1].number) in one.told)  # type: ignore[misc]
        check_heard_everything(one, messages)
        assert one.recovered == [True]


async def test_slow_listener_gets_all_the_text_in_one_piece(
    start_chat: StartChat, bot: HandBot, alice: User, conversation: Conversation, ear: Ear
) -> None:
    chat = await start_chat()
    talker = Talker(chat, bot, alice, conversation)
    await ear.come(chat.rooms)
    await talker.turn(*(f"{number} " for number in range(500)))
    await ear.hear()
    check_heard_everything(ear, await talker.messages())
    assert ear.parts == 1


# Coming late, and stopping from afar


async def test_worker_that_never_saw_the_start_tells_the_reply_from_its_first_character(
    start_chat: StartChat, bot: HandBot, alice: User, conversation: Conversation, ear: Ear
) -> None:
    talker = Talker(await start_chat("there"), bot, alice, conversation)
    await talker.ask()
    for text in ("one ", "two ", "three "):
        await talker.say(text)
    here = await start_chat("here")
    await ear.come(here.rooms)
    assert talker.begun is not None
    uuid = talker.begun.turn.reply.uuid
    await ear.hear_until(lambda: ear.texts[uuid] == "one two three ")
    await heard_at_another(ear, talker)


async def test_stop_at_one_worker_ends_the_reply_of_the_other_for_all(
    start_chat: StartChat, bot: HandBot, alice: User, conversation: Conversation, ear: Ear
) -> None:
    here = await start_chat("here")
    talker = Talker(await start_chat("there"), bot, alice, conversation)
    await ear.come(here.rooms)
    await talker.ask()
    await talker.say("one ")
    assert await stop_reply(here, conversation.id) is not None
    await ear.hear_until(lambda: len(ear.told) == 4)
    messages = await talker.messages()
    assert [message.status for message in messages] == ["complete", "stopped"]
    check_heard_everything(ear, messages)


# What a dead worker had said


async def say_and_die(talker: Talker, ear: Ear, hub: Hub, dies: LossyBus) -> MessageId:
    """The reply of which `ear` has heard "one ", and nothing is kept."""
    await talker.ask()
    await talker.say("one ")
    assert talker.begun is not None
    reply = talker.begun.turn.reply
    await ear.hear_until(lambda: ear.texts.get(reply.uuid) == "one ")
    hub.leave(dies)
    return reply.id


async def test_whoever_ends_the_reply_of_a_dead_worker_waits_until_all_have_told_what_they_heard(
    start_chat: StartChat,
    hub: Hub,
    bot: HandBot,
    alice: User,
    conversation: Conversation,
    ear: Ear,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replying, "CHECKPOINT_SECONDS", 60.0)
    # Within the time that is given to all anyway, it would be heard without being waited for.
    monkeypatch.setattr(last_words, "ANYBODY_SECONDS", 0.0)
    monkeypatch.setattr(last_words, "EVERYBODY_SECONDS", 60.0)
    dies, slow = LossyBus(hub), LossyBus(hub)
    talker = Talker(await start_chat("dead", bus=dies), bot, alice, conversation)
    there = await start_chat("there", bus=slow)
    quick, here = await start_chat("quick"), await start_chat("here")
    await ear.come(there.rooms)
    reply = await say_and_die(talker, ear, hub, dies)
    # This one knows no more than is kept, and answers at once.
    await Ear(ear.reader, ear.uuid).come(quick.rooms)

    asked = asyncio.Event()

    def is_late() -> bool:
        asked.set()
        return True

    slow.is_late = is_late
    ending = asyncio.create_task(here.rooms.heard_elsewhere(conversation.uuid, reply))
    await asyncio.wait_for(asked.wait(), 10)
    await settle()
    slow.is_late = lambda: False
    slow.hear_late()
    assert await asyncio.wait_for(ending, 10) == "one "


async def test_whoever_cannot_be_counted_is_given_the_time_to_tell_what_a_dead_worker_had_said(
    start_chat: StartChat,
    hub: Hub,
    bot: HandBot,
    alice: User,
    conversation: Conversation,
    ear: Ear,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replying, "CHECKPOINT_SECONDS", 60.0)
    dies, alone = LossyBus(hub), LossyBus(hub)

    async def count_nobody(_channel: str) -> int:
        return 1

    monkeypatch.setattr(alone, "count", count_nobody)
    talker = Talker(await start_chat("dead", bus=dies), bot, alice, conversation)
    there, here = await start_chat("there"), await start_chat("here", bus=alone)
    await ear.come(there.rooms)
    reply = await say_and_die(talker, ear, hub, dies)
    assert await asyncio.wait_for(here.rooms.heard_elsewhere(conversation.uuid, reply), 10) == "one "


# Cursors that are wrong


@pytest.fixture
async def in_a_reply(chat: Chat, bot: HandBot, alice: User, conversation: Conversation) -> Talker:
    """A turn, and another one in whose reply so much was said: `0123456789`."""
    talker = Talker(chat, bot, alice, conversation)
    await talker.turn("one")
    await talker.ask()
    await talker.say("0123456789")
    return talker


async def resumes(ear: Ear, rooms: Rooms, cursor: str) -> bool:
    """Whether the cursor is taken for one of this story."""
    ear.cursor = cursor
    await ear.come(rooms)
    await ear.hear()
    ear.leave()
    return ear.recovered[-1]


@pytest.mark.parametrize("lingers", [True, False])
async def test_cursor_that_is_not_of_this_story_is_told_so(
    chat: Chat, ear: Ear, conversation: Conversation, in_a_reply: Talker, start_chat: StartChat, lingers: bool
) -> None:
    assert in_a_reply.begun is not None
    uuid, (revision, event, lowest) = conversation.uuid, astuple(in_a_reply.begun.mark)
    rooms = chat.rooms if lingers else (await start_chat("there")).rooms
    number = in_a_reply.begun.turn.reply.number
    good = encode_cursor(uuid, in_a_reply.begun.mark, number, 4)
    ear.texts = {in_a_reply.begun.turn.reply.uuid: "0123"}
    assert await resumes(ear, rooms, good)
    assert ear.texts == {in_a_reply.begun.turn.reply.uuid: "0123456789"}
    wrong = {
        "another conversation": encode_cursor("00000000", in_a_reply.begun.mark, number, 4),
        "the future": encode_cursor(uuid, Mark(revision, event + 1, lowest), number, 4),
        "an older revision": encode_cursor(uuid, Mark(revision - 1, event, lowest)),
        "a later revision": encode_cursor(uuid, Mark(revision + 1, event, lowest)),
        "text that was not said": encode_cursor(uuid, in_a_reply.begun.mark, number, 11),
        "garbage": "e1.40",
        "nothing": "",
    }
    for what, cursor in wrong.items():
        assert not await resumes(ear, rooms, cursor), what
        # And a snapshot tells how it stands.
        assert ear.texts == {in_a_reply.begun.turn.reply.uuid: "0123456789"}, what


def astuple(mark: Mark) -> tuple[int, int, int]:
    return mark.revision, mark.event, mark.lowest


async def test_cursor_beyond_what_could_be_kept_is_told_so(
    chat: Chat, ear: Ear, conversation: Conversation, bot: HandBot, alice: User
) -> None:
    """As after the death of a worker that had said more than was saved."""
    talker = Talker(chat, bot, alice, conversation)
    await talker.turn("0123456789")
    assert talker.begun is not None
    number = talker.begun.turn.reply.number
    for position, goes_on in ((10, True), (11, False)):
        cursor = encode_cursor(conversation.uuid, talker.begun.mark, number, position)
        ear.texts = {talker.begun.turn.reply.uuid: "0123456789"}
        ear.recovered.clear()
        assert await resumes(ear, chat.rooms, cursor) == goes_on
        assert len(ear.recovered) == 1


# From a stream of one reply to a place among all that happens


@pytest.mark.parametrize("knows", [True, False])
async def test_whoever_heard_the_end_by_a_stream_hears_only_what_follows(
    start_chat: StartChat, hub: Hub, bot: HandBot, alice: User, conversation: Conversation, ear: Ear, knows: bool
) -> None:
    """Also at a worker that has not heard of the end yet, and also when going away and coming back there."""
    bus = LossyBus(hub)
    here = await start_chat("here", bus=bus)
    talker = Talker(await start_chat("there"), bot, alice, conversation)
    other = Ear(ear.reader, ear.uuid)
    await other.come(here.rooms)
    await talker.ask()
    await talker.say("one")
    bus.loses = lambda: not knows
    await talker.finish()
    assert talker.begun is not None
    ear.cursor = encode_cursor(conversation.uuid, talker.begun.mark, talker.begun.turn.reply.number, None)
    ear.since = Mark(talker.begun.mark.revision, talker.begun.mark.event + 2, 0)
    for _ in range(2):
        await ear.come(here.rooms)
        await ear.hear()
        assert (ear.told, ear.texts) == ([], {})
        ear.leave()
    bus.loses = lambda: False
    await ear.come(here.rooms)
    await talker.ask()
    await heard_at_another(ear, talker)


# A reply as another worker hears it


@pytest.mark.proof("streams")
@given(st.text(max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.booleans()), max_size=20))
def test_text_heard_in_any_cut_is_the_text_that_was_said(said: str, heard: list[tuple[int, int, bool]]) -> None:
    """Parts come again, overlap, are lost, and come in any order; what is missing before one is noticed."""
    message = Message(MessageId(1), "u", ConversationId(1), 2, 1, "assistant", "running", "", NOW)
    telling = Telling(message, "there")
    for start, length, is_lost in heard:
        before = telling.log.length
        if is_lost:
            continue
        assert telling.hear(start, said[start : start + length]) == (start <= before)
        assert telling.log.text() == said[: telling.log.length]
        assert telling.log.length >= before
    telling.hear(0, said)
    assert telling.log.text() == said
