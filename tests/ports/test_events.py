"""Every event of a conversation has its number, and what was missed since one is read from the messages."""

import pytest
from msgspec.structs import replace

from palaver.chat.clock import Micros
from palaver.chat.conversation import Conversation, End
from palaver.chat.cursor import Mark
from palaver.chat.errors import NotFound
from palaver.chat.events import MessageRead, MessageSaid, ReplyEnded, ReplyStarted
from palaver.chat.ports import AnotherReply, Begun, Checkpoint, Since
from palaver.chat.room import to_events
from palaver.chat.user import Reader, User
from palaver.store import SqlStore
from tests.ports.talking import HERE, LATER, LEASE, NOW, THERE, answer, ending, said, seen

Told = list[tuple[str, int, str]]


def told(found: Since, after: Mark) -> Told:
    """What is told again: what it is, its number, and of which message."""
    assert found.known
    names = {MessageSaid: "said", ReplyStarted: "started", ReplyEnded: "ended", MessageRead: "read"}
    return [
        (
            names[type(event)],
            event.mark.event,
            event.message_uuid if isinstance(event, MessageRead) else event.message.uuid,  # type: ignore[union-attr]
        )
        for event in to_events(found, after)
    ]


async def story(store: SqlStore, conversation: Conversation, after: Mark) -> Told:
    return told(await store.events.since(None, conversation.uuid, after), after)


BEGINNING = Mark(1, 0, 0)


async def test_turn_is_told_under_four_numbers(store: SqlStore, alice: User, conversation: Conversation) -> None:
    begun = await store.turns.begin(said(alice, "hello", conversation.uuid))
    prompt, reply = begun.turn.prompt, begun.turn.reply
    assert (prompt.event, reply.event, begun.mark) == (1, 2, Mark(1, 2, 2))
    assert await story(store, conversation, BEGINNING) == [("said", 1, prompt.uuid), ("started", 2, reply.uuid)]
    ended = await answer(store, begun)
    assert ended.mark == Mark(1, 4, 3)
    whole = [("said", 1, prompt.uuid), ("started", 2, reply.uuid), ("ended", 4, reply.uuid)]
    for event in range(5):
        after = Mark(1, event, 2 if event else 1)
        assert await story(store, conversation, after) == [one for one in whole if one[1] > event]


async def test_queued_turns_are_told_in_the_order_in_which_they_came(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    first = await store.turns.begin(said(alice, "one", conversation.uuid))
    second = await store.turns.begin(said(alice, "two", conversation.uuid))
    assert (second.state, second.mark) == ("queued", Mark(1, 3, 2))
    ended = await answer(store, first, promote=True)
    assert ended.mark == Mark(1, 5, 4)
    assert ended.next is not None
    assert ended.next.mark == Mark(1, 6, 4)
    await answer(store, ended.next)
    whole = [
        ("said", 1, first.turn.prompt.uuid),
        ("started", 2, first.turn.reply.uuid),
        ("said", 3, second.turn.prompt.uuid),
        ("ended", 5, first.turn.reply.uuid),
        ("started", 6, second.turn.reply.uuid),
        ("ended", 8, second.turn.reply.uuid),
    ]
    lowest = {0: 1, 1: 2, 2: 2, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 8: 5}
    for event, number in lowest.items():
        assert await story(store, conversation, Mark(1, event, number)) == [one for one in whole if one[1] > event]


async def test_message_carries_the_one_it_follows(store: SqlStore, alice: User, conversation: Conversation) -> None:
    first = await store.turns.begin(said(alice, "one", conversation.uuid))
    await answer(store, first)
    second = await store.turns.begin(said(alice, "two", conversation.uuid))
    assert first.turn.prompt.parent_uuid is None
    assert second.turn.prompt.parent_uuid == first.turn.reply.uuid
    found = await store.events.since(None, conversation.uuid, BEGINNING)
    assert [message.parent_uuid for message in found.messages] == [
        None, first.turn.prompt.uuid, first.turn.reply.uuid, second.turn.prompt.uuid
    ]  # fmt: skip


async def parents(store: SqlStore, conversation: Conversation) -> dict[str, str | None]:
    """What each message follows by what is said of it, the same wherever it is shown: in the list and each page of it,
    among the newest, beside its siblings, and told again."""
    found = await seen(store, conversation)
    listed = await store.conversations.messages(found, limit=None, offset=0)
    told = (await store.events.since(None, found.uuid, Mark(found.revision, 0, 1))).messages
    shown = {message.uuid: message.parent_uuid for message in listed}
    pages = [await store.conversations.messages(found, limit=1, offset=place) for place in range(len(listed))]
    newest = [(await store.conversations.newest(found, most))[0] for most in range(1, len(listed) + 2)]
    reader = Reader(found.owner_id)
    beside = [await store.branches.siblings(reader, found.uuid, message.uuid) for message in listed]
    for some in (told, *pages, *newest, *beside):
        assert {one.uuid: one.parent_uuid for one in some if one.uuid in shown}.items() <= shown.items()
    return shown


@pytest.mark.parametrize("end", ["failed", "stopped"])
async def test_whoever_follows_a_reply_without_a_word_is_shown_to_follow_what_that_was_to_answer(
    store: SqlStore, alice: User, conversation: Conversation, end: End
) -> None:
    first = await store.turns.begin(said(alice, "one", conversation.uuid))
    waiting = await store.turns.begin(said(alice, "two", conversation.uuid, client_id="k"))
    one, two = first.turn.prompt.uuid, waiting.turn.prompt.uuid
    # As long as it may have something to say it is what is followed.
    assert waiting.turn.prompt.parent_uuid == first.turn.reply.uuid
    assert await parents(store, conversation) == {one: None, two: first.turn.reply.uuid}
    ended = await answer(store, first, "", end, promote=True)
    assert await parents(store, conversation) == {one: None, two: one}
    known = await store.turns.begin(said(alice, "two", conversation.uuid, client_id="k"))
    assert (known.state, known.turn.prompt.parent_uuid) == ("known", one)
    assert ended.next is not None
    await answer(store, ended.next, "", end)
    third = await store.turns.begin(said(alice, "three", conversation.uuid))
    assert third.turn.prompt.parent_uuid == two
    three = third.turn.prompt.uuid
    assert await parents(store, conversation) == {one: None, two: one, three: two}
    edited = await store.turns.begin(replace(said(alice, "drei", conversation.uuid), edits=three))
    assert edited.turn.prompt.parent_uuid == two


async def test_reply_that_is_asked_for_again_is_followed_until_it_is_known_to_have_nothing_to_say(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    failed = await store.turns.begin(said(alice, "one", conversation.uuid, client_id="k"))
    await answer(store, failed, "", "failed")
    again = await store.turns.begin(said(alice, "one", conversation.uuid, client_id="k"))
    waiting = await store.turns.begin(said(alice, "two", conversation.uuid, client_id="l"))
    one, reply, two = again.turn.prompt.uuid, again.turn.reply.uuid, waiting.turn.prompt.uuid
    assert waiting.turn.prompt.parent_uuid == reply
    assert await parents(store, conversation) == {one: None, two: reply}
    ended = await answer(store, again, "ONE", promote=True)
    assert await parents(store, conversation) == {one: None, reply: one, two: reply}
    assert ended.next is not None
    await answer(store, ended.next, "", "failed")
    # Asked for again behind another one, and then not any more.
    await store.turns.begin_another(AnotherReply(Reader(alice.id), conversation.uuid, reply, NOW, HERE, LEASE, "queue"))
    another = AnotherReply(Reader(alice.id), conversation.uuid, None, NOW, HERE, LEASE, "queue")
    waits = await store.turns.begin_another(another)
    await store.turns.take_back(Reader(alice.id), conversation.uuid, waits.turn.reply.uuid, NOW)
    after = await store.turns.begin(said(alice, "three", conversation.uuid))
    assert after.turn.prompt.parent_uuid == one
    assert await parents(store, conversation) == {one: None, after.turn.prompt.uuid: one}


async def test_asking_again_begins_another_story(store: SqlStore, alice: User, conversation: Conversation) -> None:
    begun = await store.turns.begin(said(alice, "hello", conversation.uuid, client_id="k"))
    failed = await answer(store, begun, "", "failed")
    again = await store.turns.begin(said(alice, "hello", conversation.uuid, client_id="k"))
    assert (again.state, again.mark) == ("started", Mark(2, 5, 2))
    assert not (await store.events.since(None, conversation.uuid, failed.mark)).known
    assert await story(store, conversation, Mark(2, 4, 2)) == [("started", 5, again.turn.reply.uuid)]


@pytest.mark.parametrize("mark", [Mark(1, 3, 2), Mark(2, 1, 2), Mark(0, 1, 2)])
async def test_moment_that_never_was_is_none_of_the_story(
    store: SqlStore, alice: User, conversation: Conversation, mark: Mark
) -> None:
    await store.turns.begin(said(alice, "hello", conversation.uuid))
    found = await store.events.since(None, conversation.uuid, mark)
    assert (found.known, found.messages, found.present.mark) == (False, (), Mark(1, 2, 2))


async def test_whoever_comes_in_finds_the_reply_that_runs_and_what_is_kept_of_it(
    store: SqlStore, alice: User, bob: User, conversation: Conversation
) -> None:
    begun = await store.turns.begin(said(alice, "hello", conversation.uuid, worker=THERE))
    reply = begun.turn.reply
    await store.turns.checkpoint(THERE, LEASE, [(reply.id, 1)], [Checkpoint(reply.id, 1, 0, "so ")])
    await store.turns.checkpoint(THERE, LEASE, [(reply.id, 1)], [Checkpoint(reply.id, 1, 3, "far")])
    present = await store.events.present(Reader(alice.id), conversation.uuid)
    assert (present.mark, present.worker, present.kept) == (Mark(1, 2, 2), THERE, "so far")
    assert present.reply is not None
    assert (present.reply.uuid, present.reply.parent_uuid) == (reply.uuid, begun.turn.prompt.uuid)
    with pytest.raises(NotFound):
        await store.events.present(Reader(bob.id), conversation.uuid)
    await answer(store, begun, worker=THERE)
    present = await store.events.present(None, conversation.uuid)
    assert (present.mark, present.reply, present.kept) == (Mark(1, 4, 3), None, "")


async def test_deleted_conversation_has_no_story(store: SqlStore, alice: User, conversation: Conversation) -> None:
    await store.conversations.delete(Reader(alice.id), conversation.uuid, NOW)
    with pytest.raises(NotFound):
        await store.events.since(None, conversation.uuid, BEGINNING)
    with pytest.raises(NotFound):
        await store.events.present(None, conversation.uuid)


async def test_nobody_hears_the_story_of_what_is_not_theirs(
    store: SqlStore, alice: User, bob: User, conversation: Conversation
) -> None:
    assert (await store.events.since(Reader(alice.id), conversation.uuid, BEGINNING)).known
    with pytest.raises(NotFound):
        await store.events.since(Reader(bob.id), conversation.uuid, BEGINNING)


async def test_reading_moves_forward_alone_and_is_told(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    begun = await store.turns.begin(said(alice, "hello", conversation.uuid))
    await answer(store, begun)
    prompt, reply = begun.turn.prompt.uuid, begun.turn.reply.uuid
    reader = Reader(alice.id)
    assert await store.events.unread(reader, conversation.uuid) == 1
    assert await store.events.read_up_to(reader, conversation.uuid, prompt, NOW) == Mark(1, 5, 3)
    assert await store.events.read_up_to(reader, conversation.uuid, reply, NOW) == Mark(1, 6, 3)
    assert await store.events.read_up_to(reader, conversation.uuid, prompt, NOW) is None
    assert await store.events.unread(reader, conversation.uuid) == 0
    assert await story(store, conversation, Mark(1, 4, 3)) == [("read", 6, reply)]
    with pytest.raises(NotFound):
        await store.events.read_up_to(reader, conversation.uuid, prompt[:-1] + "f", NOW)


async def test_reply_that_was_left_behind_is_told_like_any_other(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    begun = await store.turns.begin(said(alice, "hello", conversation.uuid, worker=THERE))
    [left] = await store.turns.abandoned(LATER, Micros(1 << 62))
    assert left.conversation == conversation.uuid
    ended = await store.turns.finish(replace(left, promote_to=HERE, lease_until=LEASE))
    assert (ended.done, ended.mark) == (True, Mark(1, 4, 3))
    assert [kind for kind, _, _ in await story(store, conversation, begun.mark)] == ["ended"]


async def test_worker_that_is_asked_to_stop_is_named(store: SqlStore, alice: User, conversation: Conversation) -> None:
    begun: Begun = await store.turns.begin(said(alice, "hello", conversation.uuid, worker=THERE))
    assert await store.turns.ask_to_stop(begun.turn.reply.id) == THERE
    await store.turns.finish(ending(begun, worker=THERE))
    assert await store.turns.ask_to_stop(begun.turn.reply.id) is None
