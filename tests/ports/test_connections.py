"""People who talk to each other, in the store: who finds what, counts that are true, and one story for all."""

import asyncio
import uuid
from collections.abc import Sequence

import pytest

from palaver.chat.clock import SECOND, Micros
from palaver.chat.context import count_tokens, tokens_of
from palaver.chat.conversation import PresetId, Speaking
from palaver.chat.cursor import Mark
from palaver.chat.errors import Conflict, Ended, Invalid, NotFound, NotManager, Unreachable
from palaver.chat.events import MessageSaid
from palaver.chat.ledger import Budget, Budgets, to_reserve
from palaver.chat.ports import Begun, BotAsked, Connection, NewBot, NewSaid, Seat, Spoken
from palaver.chat.ports.notify import FcmTarget
from palaver.chat.room import to_events
from palaver.chat.user import Reader, User
from palaver.store import SqlStore
from tests.ports.talking import HERE, LATER, LEASE, NOW, answer, dump, new_user, rows

LATEST = Micros(NOW + 60 * SECOND)
PLENTY = Budgets(Budget(tokens_a_day=10**9))


@pytest.fixture
async def carl(store: SqlStore) -> User:
    return await store.accounts.add_user(new_user("carl"))


@pytest.fixture
async def pair(store: SqlStore, alice: User, bob: User) -> str:
    made, _ = await store.connections.find_or_make_pair(alice, bob, alice.id, str(uuid.uuid4()), NOW)
    return made.conversation.uuid


@pytest.fixture
async def group(store: SqlStore, alice: User, bob: User, carl: User) -> str:
    """Alice manages it."""
    made = await store.connections.make_group(alice, [bob, carl], "Walkers", str(uuid.uuid4()), NOW)
    return made.conversation.uuid


async def say(
    store: SqlStore, who: User, where: str, text: str, *, client_id: str | None = None, now: Micros = NOW
) -> Spoken:
    return await store.connections.say(NewSaid(Seat(who.id), where, text, 3, now, client_id))


async def see(store: SqlStore, who: User, where: str) -> Connection:
    return await store.connections.get(Seat(who.id), where)


async def recount(store: SqlStore, *where: str) -> list[tuple[object, ...]]:
    """Members whose counter is not what a count of the messages says, in these conversations, or in all."""
    places = ", ".join(f"${place}" for place in range(1, len(where) + 1))
    found = await rows(
        store,
        "SELECT c.uuid, p.user_id, p.unread, COUNT(m.id) FROM participants p "
        "JOIN conversations c ON c.id = p.conversation_id LEFT JOIN messages m "
        "ON m.conversation_id = p.conversation_id AND m.number > p.read_number AND m.role = 'user' "
        "AND m.sender_id <> p.user_id AND m.removed_at IS NULL WHERE p.left_at IS NULL "
        + (f"AND c.uuid IN ({places}) " if where else "")
        + "GROUP BY c.uuid, p.user_id, p.unread HAVING p.unread <> COUNT(m.id)",
        *where,
    )
    return [tuple(row) for row in found]


async def test_pair_is_made_once_whatever_the_order_and_the_store(
    store: SqlStore, other_store: SqlStore, alice: User, bob: User
) -> None:
    made = await asyncio.gather(
        *(
            one.connections.find_or_make_pair(first, second, first.id, str(uuid.uuid4()), NOW)
            for one in (store, other_store)
            for first, second in [(alice, bob), (bob, alice)] * 12
        )
    )
    assert len({connection.conversation.uuid for connection, _ in made}) == 1
    assert [is_new for _, is_new in made].count(True) == 1
    [connection] = {connection.conversation.uuid for connection, _ in made}
    assert {member.user.id for member in (await see(store, alice, connection)).members} == {alice.id, bob.id}


async def test_nobody_else_finds_it_in_any_way(store: SqlStore, alice: User, carl: User, pair: str) -> None:
    spoken = await say(store, alice, pair, "secret")
    message, seat, connections = spoken.written.message.uuid, Seat(carl.id), store.connections
    before = await dump(store)
    for attempt in (
        connections.get(seat, pair),
        connections.check(carl.id, pair),
        connections.messages(seat, pair, before=None, limit=10),
        connections.say(NewSaid(seat, pair, "let me in", 3, NOW)),
        connections.edit(seat, pair, message, "mine", 1, NOW),
        connections.remove(seat, pair, message, NOW),
        connections.read_up_to(seat, pair, message, NOW),
        connections.end(seat, pair, NOW),
        connections.leave(seat, pair, carl.id, NOW),
        connections.invite(seat, pair, [carl], NOW, 100),
        connections.mute(seat, pair, muted=True),
        connections.invite_bot(seat, pair, None, NOW),
        store.events.present(Reader(carl.id), pair),
        store.events.since(Reader(carl.id), pair, Mark(1, 0, 0)),
        store.conversations.access(Reader(alice.id), pair),
        store.conversations.access(Reader(alice.id), spoken.conversation.id),
        store.conversations.end(Reader(alice.id), pair, NOW),
        store.conversations.delete(Reader(alice.id), pair, NOW),
        store.events.read_up_to(Reader(alice.id), pair, message, NOW),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await dump(store) == before
    assert (await connections.list(seat, "all", limit=10, offset=0))[0] == []
    assert await store.conversations.list(Reader(alice.id), limit=None, offset=0) == []
    assert (await store.search.find(Reader(alice.id), "secret", limit=10, offset=0)).messages == []


async def test_message_is_told_under_its_number_to_who_comes_back(
    store: SqlStore, alice: User, bob: User, pair: str
) -> None:
    first = await say(store, alice, pair, "one")
    second = await say(store, bob, pair, "two")
    assert (first.mark, second.mark) == (Mark(1, 1, 2), Mark(1, 2, 3))
    found = await store.events.since(Reader(bob.id), pair, first.mark)
    [event] = to_events(found, first.mark)
    assert isinstance(event, MessageSaid)
    assert (event.message.uuid, event.message.sender) == (second.written.message.uuid, bob.uuid)


async def test_same_client_id_is_the_same_message_in_both_stores(
    store: SqlStore, other_store: SqlStore, alice: User, bob: User, pair: str
) -> None:
    spoken = await asyncio.gather(*(say(one, alice, pair, "once", client_id="k") for one in (store, other_store) * 4))
    assert len({one.written.message.uuid for one in spoken}) == 1
    assert [one.known for one in spoken].count(False) == 1
    with pytest.raises(Conflict):
        await say(store, alice, pair, "another", client_id="k")
    assert (await see(store, bob, pair)).unread == 1


async def test_numbers_have_no_gap_however_many_speak_at_once(
    store: SqlStore, other_store: SqlStore, alice: User, bob: User, carl: User, group: str
) -> None:
    people = (alice, bob, carl)
    await asyncio.gather(
        *(say(one, who, group, f"{n}") for n in range(6) for who in people for one in (store, other_store))
    )
    messages, _ = await store.connections.messages(Seat(alice.id), group, before=None, limit=100)
    assert [one.message.number for one in messages] == list(range(1, 37))
    assert [one.message.event for one in messages] == list(range(1, 37))
    assert await recount(store) == []


async def notices(store: SqlStore) -> list[tuple[int, str]]:
    return [(row[0], row[1]) for row in await rows(store, "SELECT user_id, kind FROM outbox ORDER BY id")]


async def test_notices_are_for_all_who_are_to_hear_of_it(
    store: SqlStore, alice: User, bob: User, carl: User, group: str
) -> None:
    for one in (alice, bob, carl):
        await store.targets.add(one.id, FcmTarget(one.name), "fcm", "", NOW, 20, None)
    await say(store, alice, group, "Hello @carl.", client_id="k")
    await say(store, alice, group, "Hello @carl.", client_id="k")
    assert await notices(store) == [(bob.id, "message"), (carl.id, "mention")]
    await store.connections.mute(Seat(bob.id), group, muted=True)
    await store.connections.block(carl.id, alice.id, NOW)
    await say(store, alice, group, "Hello @carl and @bob")
    assert len(await notices(store)) == 2
    await say(store, bob, group, "me@carl.example is no mention")
    assert (await notices(store))[2:] == [(alice.id, "message"), (carl.id, "message")]


async def test_no_notice_without_its_message(store: SqlStore, alice: User, bob: User, pair: str) -> None:
    await store.targets.add(bob.id, FcmTarget("phone"), "fcm", "", NOW, 20, None)
    await store.connections.block(bob.id, alice.id, NOW)
    with pytest.raises(Unreachable):
        await say(store, alice, pair, "hello?")
    await store.connections.unblock(bob.id, alice.id)
    await store.connections.end(Seat(bob.id), pair, NOW)
    with pytest.raises(Ended):
        await say(store, alice, pair, "hello?")
    assert await notices(store) == []


async def test_removed_message_keeps_no_word(store: SqlStore, alice: User, bob: User, pair: str) -> None:
    spoken = await say(store, alice, pair, "unspeakable", client_id="k")
    before = (await see(store, bob, pair)).conversation.revision
    written, changed = await store.connections.remove(Seat(alice.id), pair, spoken.written.message.uuid, LATER)
    assert (written.message.content, written.removed_at) == ("", LATER)
    assert changed.mark == Mark(before + 1, 2, 2)
    assert "unspeakable" not in str(await dump(store))
    assert not (await store.events.since(Reader(bob.id), pair, spoken.mark)).known
    # Sent once more it is what it is by now.
    again = await say(store, alice, pair, "unspeakable", client_id="k")
    assert (again.known, again.written.message.content) == (True, "")
    assert "unspeakable" not in str(await dump(store))


async def test_manager_is_always_there(store: SqlStore, alice: User, bob: User, carl: User, group: str) -> None:
    with pytest.raises(NotManager):
        await store.connections.leave(Seat(bob.id), group, carl.id, NOW)
    await store.connections.leave(Seat(alice.id), group, alice.id, NOW)
    assert [(one.user.id, one.manages) for one in (await see(store, bob, group)).members] == [
        (bob.id, True),
        (carl.id, False),
    ]
    assert (await see(store, bob, group)).conversation.owner_id == bob.id
    await store.connections.leave(Seat(bob.id), group, carl.id, NOW)
    await store.connections.leave(Seat(bob.id), group, bob.id, NOW)
    with pytest.raises(NotFound):
        await see(store, bob, group)
    assert await store.conversations.purge(LATER) == 1
    assert [tuple(row) for row in await rows(store, "SELECT * FROM participants")] == []


async def test_group_has_room_for_so_many(store: SqlStore, alice: User, carl: User) -> None:
    made = await store.connections.make_group(alice, [], "Small", str(uuid.uuid4()), NOW)
    with pytest.raises(Invalid):
        await store.connections.invite(Seat(alice.id), made.conversation.uuid, [carl], NOW, 1)


SPEAKING = Speaking(model="gpt-4", window=3, slides=True)


async def invite_bot(store: SqlStore, who: User, where: str, speaking: Speaking = SPEAKING) -> None:
    bot = NewBot(PresetId(1), "general", "You help.", speaking)
    await store.connections.invite_bot(Seat(who.id), where, bot, NOW)


async def ask(store: SqlStore, spoken: Spoken, who: User) -> Begun:
    asked = BotAsked(spoken.conversation.id, spoken.written.message.id, who.id, NOW, HERE, LEASE, budgets=PLENTY)
    return await store.connections.ask_bot(asked)


def history(begun: Begun) -> Sequence[str]:
    return [f"{past.role} {past.content}" for past in reversed(begun.history)]


async def test_bot_sees_who_said_what_up_to_its_window(
    store: SqlStore, alice: User, bob: User, carl: User, group: str
) -> None:
    await invite_bot(store, alice, group)
    for number in range(3):
        await say(store, alice, group, f"{number}")
    gone = await say(store, bob, group, "unspeakable")
    await store.connections.remove(Seat(bob.id), group, gone.written.message.uuid, NOW)
    spoken = await say(store, carl, group, "@general what now?")
    assert spoken.names_bot
    begun = await ask(store, spoken, carl)
    assert (begun.state, begun.system_prompt) == ("started", "You help.")
    assert history(begun) == ["user alice: 0", "user alice: 1", "user alice: 2"]
    assert begun.turn.prompt.content == "carl: @general what now?"
    # Who mentions it pays, wherever it is looked up.
    assert begun.turn.conversation.owner_id == carl.id
    kept = await store.turns.get(begun.turn.reply.id)
    assert kept is not None
    assert kept.turn.conversation.owner_id == carl.id
    [left] = await store.turns.abandoned(LATEST, LATEST)
    assert left.owner_id == carl.id
    with pytest.raises(NotFound):
        await ask(store, spoken, carl)


@pytest.mark.parametrize("name", ["a" * 150, "\u4f60" * 60], ids=["latin", "chinese"])
async def test_names_that_the_bot_reads_are_held_back_too(store: SqlStore, alice: User, name: str) -> None:
    wordy = await store.accounts.add_user(new_user(name))
    made = await store.connections.make_group(alice, [wordy], "Walkers", str(uuid.uuid4()), NOW)
    where = made.conversation.uuid
    await invite_bot(store, alice, where, Speaking(window=20, slides=True, max_tokens=50))
    for _ in range(15):
        await say(store, wordy, where, "ok")
    first = await ask(store, await say(store, wordy, where, "@general one"), wordy)
    waiting = await ask(store, await say(store, wordy, where, "@general two"), wordy)
    assert await is_held_back(store, first)
    ended = await answer(store, first, "Yes.", promote=True)
    assert ended.next is not None
    assert ended.next.turn.reply.id == waiting.turn.reply.id
    assert await is_held_back(store, ended.next)


async def is_held_back(store: SqlStore, begun: Begun) -> bool:
    """All that the bot is sent, and its answer."""
    turn = begun.turn
    besides = (turn.prompt.token_count or 0) + count_tokens(begun.system_prompt or "")
    speaking = turn.conversation.speaking
    most = to_reserve(tokens_of(begun.history), besides, speaking, PLENTY.size_of(speaking), PLENTY)
    [[held]] = await rows(store, "SELECT reserved_tokens FROM messages WHERE id = $1", turn.reply.id)
    return bool(held >= most.total_tokens)


async def test_bot_that_is_busy_answers_the_next_when_it_is_done(
    store: SqlStore, alice: User, bob: User, group: str
) -> None:
    await invite_bot(store, alice, group)
    first = await ask(store, await say(store, alice, group, "@general one"), alice)
    between = await say(store, bob, group, "between")
    assert between.mark == Mark(2, 4, first.turn.reply.number)
    second = await ask(store, await say(store, bob, group, "@general two"), bob)
    assert second.state == "queued"
    ended = await answer(store, first, "Yes.", promote=True)
    assert ended.next is not None
    assert (ended.next.turn.reply.uuid, ended.next.turn.conversation.owner_id) == (second.turn.reply.uuid, bob.id)
    assert history(ended.next) == ["user alice: @general one", "assistant Yes.", "user bob: between"]
    assert ended.next.turn.prompt.content == "bob: @general two"


async def test_what_was_taken_back_is_answered_no_more(store: SqlStore, alice: User, bob: User, group: str) -> None:
    await invite_bot(store, alice, group)
    one, two = await say(store, alice, group, "@general one"), await say(store, bob, group, "@general two")
    running, waiting = await ask(store, one, alice), await ask(store, two, bob)
    for who, spoken, begun in ((bob, two, waiting), (alice, one, running)):
        _, changed = await store.connections.remove(Seat(who.id), group, spoken.written.message.uuid, LATER)
        assert changed.stopped == [begun.turn.reply.id]
    # The reply that was dropped is in no list: who speaks next is not shown to follow it.
    following = (await say(store, bob, group, "Never mind.")).written.message
    assert following.parent_uuid == two.written.message.uuid
    ended = await answer(store, running, "", "stopped", promote=True)
    assert (ended.done, ended.next) == (True, None)
    assert (await see(store, bob, group)).conversation.open_replies == 0


async def test_what_is_sent_once_more_names_the_bot_if_it_does_so_by_now(
    store: SqlStore, alice: User, group: str
) -> None:
    await invite_bot(store, alice, group)
    spoken = await say(store, alice, group, "never mind", client_id="k")
    message = spoken.written.message.uuid
    await store.connections.edit(Seat(alice.id), group, message, "never again", 2, NOW)
    assert not (await say(store, alice, group, "@general?", client_id="k")).names_bot
    await store.connections.edit(Seat(alice.id), group, message, "@general!", 2, NOW)
    assert (await say(store, alice, group, "never mind", client_id="k")).names_bot
    await store.connections.remove(Seat(alice.id), group, message, NOW)
    assert not (await say(store, alice, group, "@general?", client_id="k")).names_bot


async def test_bot_that_was_sent_away_is_asked_nothing(store: SqlStore, alice: User, group: str) -> None:
    await invite_bot(store, alice, group)
    spoken = await say(store, alice, group, "@general?")
    begun = await ask(store, spoken, alice)
    changed = await store.connections.invite_bot(Seat(alice.id), group, None, NOW)
    assert changed.stopped == [begun.turn.reply.id]
    with pytest.raises(NotFound):
        await ask(store, spoken, alice)
    assert not (await say(store, alice, group, "@general?")).names_bot


async def test_erasing_somebody_leaves_no_word_of_theirs(
    store: SqlStore, alice: User, bob: User, carl: User, group: str, pair: str
) -> None:
    await invite_bot(store, alice, group)
    for where in (group, pair):
        await ask_if(store, await say(store, alice, where, "@general wordofalice"), alice)
    await say(store, bob, group, "wordofbob")
    await say(store, bob, pair, "toalicealone")
    await store.connections.block(alice.id, carl.id, NOW)
    await store.connections.block(carl.id, alice.id, NOW)
    left = await store.connections.make_group(alice, [bob], "Left", str(uuid.uuid4()), NOW)
    await say(store, bob, left.conversation.uuid, "x")
    await store.connections.leave(Seat(bob.id), left.conversation.uuid, bob.id, NOW)
    await store.accounts.erase_user(alice.id, LATER)
    kept = str(await dump(store))
    for word in ("wordofalice", "toalicealone", "alice", "Left"):
        assert word not in kept
    with pytest.raises(NotFound):
        await see(store, bob, pair)
    shown = await see(store, bob, group)
    assert [(one.user.id, one.manages) for one in shown.members] == [(bob.id, True), (carl.id, False)]
    assert shown.conversation.owner_id == bob.id
    messages, _ = await store.connections.messages(Seat(bob.id), group, before=None, limit=10)
    assert [(one.message.content, one.sender and one.sender.name) for one in messages] == [
        ("", None),
        ("wordofbob", "bob"),
    ]
    assert await recount(store) == []


async def ask_if(store: SqlStore, spoken: Spoken, who: User) -> None:
    assert spoken.names_bot is (spoken.conversation.kind == "group")
    [await ask(store, spoken, who) for _ in range(spoken.names_bot)]


async def test_erasing_an_application_takes_all_of_its_users_talk(store: SqlStore, alice: User) -> None:
    app = await store.accounts.add_user(new_user("shop", "app"))
    one, two = [await store.accounts.app_user(app, name, str(uuid.uuid4()), NOW) for name in ("u-1", "u-2")]
    pair, _ = await store.connections.find_or_make_pair(one, two, one.id, str(uuid.uuid4()), NOW)
    group = await store.connections.make_group(one, [two], "Us", str(uuid.uuid4()), NOW)
    for made in (pair, group):
        await say(store, two, made.conversation.uuid, "words")
    await store.accounts.erase_user(app.id, LATER)
    for table in ("conversations", "participants", "messages", "outbox", "blocks"):
        assert [tuple(row) for row in await rows(store, f"SELECT * FROM {table}")] == []
    assert await store.accounts.get_user(alice.id) is not None


async def test_presence_is_kept_for_many_at_once(store: SqlStore, alice: User, bob: User, pair: str) -> None:
    await store.connections.keep_seen([(bob.id, LATER), (alice.id, NOW)])
    assert [one.seen_at for one in (await see(store, alice, pair)).members] == [NOW, LATER]
    await store.connections.show_presence(bob.id, shown=False)
    assert [(one.seen_at, one.shows_presence) for one in (await see(store, alice, pair)).members] == [
        (NOW, True),
        (None, False),
    ]
