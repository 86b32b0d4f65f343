"""People on several workers: whoever is present hears what was said elsewhere, and it is known who is looking."""

import uuid

import pytest

from palaver.bus import Hub, MemoryBus
from palaver.chat import connections, invited
from palaver.chat.conversation import Conversation
from palaver.chat.errors import Draining, NotFound
from palaver.chat.flow import Chat
from palaver.chat.limits import Limits
from palaver.chat.lists import Lists
from palaver.chat.orphans import Orphans
from palaver.chat.ports import Begun, Seat
from palaver.chat.presence import PRESENT_SECONDS, WRITE_SECONDS, Presence
from palaver.chat.preset import GENERAL_ID
from palaver.chat.user import Reader, User
from palaver.store import SqlStore
from tests.chat.conftest import StartChat
from tests.chat.hearing import Ear, LossyBus, settle
from tests.chat.talking import HandBot, HandClock
from tests.ports.talking import NOW, new_user


@pytest.fixture
async def bob(store: SqlStore) -> User:
    return await store.accounts.add_user(new_user("bob"))


@pytest.fixture
async def carl(store: SqlStore) -> User:
    return await store.accounts.add_user(new_user("carl"))


@pytest.fixture
async def group(store: SqlStore, alice: User, bob: User, carl: User) -> str:
    made = await store.connections.make_group(alice, [bob, carl], "Us", str(uuid.uuid4()), NOW)
    return made.conversation.uuid


def ear(who: User, where: str) -> Ear:
    return Ear(Reader(who.id), where)


async def test_member_elsewhere_hears_what_was_said_here(
    start_chat: StartChat, hub: Hub, alice: User, bob: User, group: str
) -> None:
    here, elsewhere = await start_chat("here"), await start_chat("elsewhere", bus=LossyBus(hub))
    there = ear(bob, group)
    await there.come(elsewhere.rooms)
    await connections.say(here, Seat(alice.id), group, "hello")
    await there.hear_until(lambda: there.told == [("said", 1)])


async def test_what_the_bus_lost_is_read_from_the_store(
    start_chat: StartChat, hub: Hub, alice: User, bob: User, group: str
) -> None:
    bus = LossyBus(hub)
    here, elsewhere = await start_chat("here"), await start_chat("elsewhere", bus=bus)
    there = ear(bob, group)
    await there.come(elsewhere.rooms)
    bus.loses = lambda: True
    await connections.say(here, Seat(alice.id), group, "lost")
    await settle()
    bus.loses = lambda: False
    await connections.say(here, Seat(bob.id), group, "heard")
    await there.hear_until(lambda: there.told == [("said", 1), ("said", 2)])


async def test_removed_member_is_told_nothing_elsewhere(
    start_chat: StartChat, hub: Hub, alice: User, bob: User, group: str
) -> None:
    here, elsewhere = await start_chat("here"), await start_chat("elsewhere", bus=MemoryBus(hub))
    there = ear(bob, group)
    await there.come(elsewhere.rooms)
    await connections.leave(here, Seat(alice.id), group, bob)
    await connections.say(here, Seat(alice.id), group, "secret")
    await settle()
    with pytest.raises(NotFound):
        await there.hear()
    with pytest.raises(NotFound):
        await ear(bob, group).come(elsewhere.rooms)
    # Whoever has the room open lets nobody in by it.
    with pytest.raises(NotFound):
        await ear(bob, group).come(here.rooms)


async def test_removed_is_the_one_who_was_named_and_nobody_who_is_called_alike(
    chat: Chat, store: SqlStore, alice: User
) -> None:
    app = await store.accounts.add_user(new_user("shop", "app"))
    boss, *others = [
        await store.accounts.app_user(app, name, str(uuid.uuid4()), NOW) for name in ("boss", "Bob", "bob", "BOB")
    ]
    # Of people, an id goes before a name that is the same.
    posing = await store.accounts.add_user(new_user(alice.uuid))
    chief = await store.accounts.add_user(new_user("chief"))
    for manager, members, named, left in (
        (boss, others, "bob", ["boss", "Bob", "BOB"]),
        (chief, [posing, alice], alice.uuid, ["chief", posing.name]),
    ):
        group = await connections.begin_group(chat, manager, members, "Us")
        seat, where = Seat(manager.id), group.conversation.uuid
        await connections.remove_member(chat, seat, where, named)
        there = (await store.connections.get(seat, where)).members
        assert [member.user.name for member in there] == left
    with pytest.raises(NotFound):
        await connections.remove_member(chat, seat, where, "nobody")


async def test_whoever_is_removed_while_coming_in_does_not_come_in(
    chat: Chat, alice: User, bob: User, group: str
) -> None:
    first = ear(alice, group)
    await first.come(chat.rooms)
    room, _ = await chat.rooms.enter(Reader(bob.id), group)
    await connections.leave(chat, Seat(alice.id), group, bob)
    with pytest.raises(NotFound):
        await chat.rooms.listen(room, lambda: None, bob.id)
    assert not await chat.rooms.is_looking(group, bob.id)
    assert room.sockets == 1


async def test_what_was_removed_is_on_no_tape(start_chat: StartChat, alice: User, bob: User, group: str) -> None:
    chat = await start_chat()
    slow = ear(bob, group)
    await slow.come(chat.rooms)
    spoken = await connections.say(chat, Seat(alice.id), group, "unspeakable")
    await connections.remove(chat, Seat(alice.id), group, spoken.written.message.uuid)
    room, _ = await chat.rooms.enter(Reader(bob.id), group)
    assert "unspeakable" not in str([entry.event for entry in room._tape])
    await slow.hear()
    assert (slow.told, slow.recovered[-1]) == ([], False)


async def test_it_is_known_on_every_worker_who_is_looking(
    start_chat: StartChat, hub: Hub, alice: User, bob: User, group: str, conversation: Conversation
) -> None:
    here, elsewhere = await start_chat("here"), await start_chat("elsewhere", bus=MemoryBus(hub))

    async def looking(who: User, where: str = group) -> tuple[bool, bool]:
        return (
            await here.rooms.is_looking(where, who.id),
            await elsewhere.rooms.is_looking(where, who.id),
        )

    rooms = elsewhere.rooms
    assert await looking(bob) == (False, False)
    room, _ = await rooms.enter(Reader(bob.id), group)
    first, second = [await rooms.listen(room, lambda: None, bob.id) for _ in range(2)]
    assert await looking(bob) == (True, True)
    assert await looking(alice) == (False, False)
    rooms.leave(first)
    assert await looking(bob) == (True, True)
    rooms.leave(second)
    assert await looking(bob) == (False, False)
    # A conversation with a bot only its owner has open.
    room, _ = await rooms.enter(Reader(alice.id), conversation.uuid)
    listener = await rooms.listen(room, lambda: None, alice.id)
    assert await looking(alice, conversation.uuid) == (True, True)
    rooms.leave(listener)
    assert await looking(alice, conversation.uuid) == (False, False)


async def test_server_that_goes_away_takes_no_more_messages(chat: Chat, alice: User, group: str) -> None:
    spoken = await connections.say(chat, Seat(alice.id), group, "before")
    chat.replies.draining = True
    with pytest.raises(Draining):
        await connections.say(chat, Seat(alice.id), group, "after")
    with pytest.raises(Draining):
        await connections.edit(chat, Seat(alice.id), group, spoken.written.message.uuid, "after")


async def test_bot_of_a_worker_that_died_is_taken_over_and_its_asker_pays(
    start_chat: StartChat, store: SqlStore, bot: HandBot, clock: HandClock, alice: User, bob: User, group: str, hub: Hub
) -> None:
    dying = await start_chat("dying", watched=False)
    await invited.invite_bot(dying, Seat(alice.id), group, await store.presets.get(GENERAL_ID))
    spoken = await connections.say(dying, Seat(bob.id), group, "@general one")
    assert isinstance(await invited.answer_if_named(dying, spoken, bob, Limits(), ""), Begun)
    waiting = await connections.say(dying, Seat(alice.id), group, "@general two")
    assert isinstance(await invited.answer_if_named(dying, waiting, alice, Limits(), ""), Begun)
    # It stands still: its lease runs out.
    assert (await bot.asked()).prompt.message == "bob: @general one"
    clock.move(60)
    other = await start_chat("other", bus=MemoryBus(hub))
    await Orphans(other).take_over(everything=False)
    talk = await bot.asked()
    assert talk.prompt.message == "alice: @general two"
    assert [past.content for past in talk.prompt.history] == ["bob: @general one"]
    talk.finish()
    # It wakes, and can write nothing any more.
    await dying.replies.drain(0)


async def test_presence_is_written_once_a_minute_and_fades(
    store: SqlStore, clock: HandClock, hub: Hub, alice: User, bob: User, group: str
) -> None:
    presence = Presence(store.connections, clock, Lists(MemoryBus(hub)))

    async def present() -> bool | None:
        members = (await store.connections.get(Seat(alice.id), group)).members
        return {member.user.id: presence.is_present(member) for member in members}[bob.id]

    assert await present() is False
    presence.seen(bob)
    await presence.keep()
    assert await present() is True
    seen = [member.seen_at for member in (await store.connections.get(Seat(alice.id), group)).members][1]
    clock.move(WRITE_SECONDS - 1)
    presence.seen(bob)
    await presence.keep()
    again = [member.seen_at for member in (await store.connections.get(Seat(alice.id), group)).members][1]
    assert again == seen
    clock.move(PRESENT_SECONDS)
    assert await present() is False
