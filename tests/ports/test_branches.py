"""Another reply beside one, another wording of a message, and the branch that is in view."""

import pytest
from msgspec.structs import replace

from palaver.chat.conversation import Conversation, WhenBusy
from palaver.chat.cursor import Mark
from palaver.chat.errors import Busy, Ended, NotFound
from palaver.chat.ports import AnotherReply, Begun, Branching, NewTurn, OpenReply, Overview, Silent
from palaver.chat.user import Reader, User
from palaver.store import SqlStore
from tests.ports.talking import HERE, LEASE, NOW, answer, rows, said, seen


def another(who: User, where: Conversation, reply: str | None = None, when_busy: WhenBusy = "queue") -> AnotherReply:
    return AnotherReply(Reader(who.id), where.uuid, reply, NOW, HERE, LEASE, when_busy)


def editing(turn: NewTurn, uuid: str) -> NewTurn:
    return replace(turn, edits=uuid)


async def talk(store: SqlStore, who: User, where: Conversation, *texts: str) -> list[Begun]:
    """Turns, each answered with its own words in capitals."""
    turns = []
    for text in texts:
        begun = await store.turns.begin(said(who, text, where.uuid))
        await answer(store, begun, text.upper())
        turns.append(begun)
    return turns


async def shown(store: SqlStore, where: Conversation) -> list[str]:
    """What is listed; and the conversation counts just that."""
    messages = await store.conversations.messages(where, limit=None, offset=0)
    assert (await seen(store, where)).message_count == len(messages)
    return [message.content for message in messages]


async def test_another_reply_takes_the_place_of_the_last_one(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    [one, two] = await talk(store, alice, conversation, "one", "two")
    begun = await store.turns.begin_another(another(alice, conversation))
    assert (begun.state, begun.replaces, begun.turn.prompt.uuid) == (
        "started", two.turn.reply.uuid, two.turn.prompt.uuid,
    )  # fmt: skip
    assert begun.mark == Mark(2, 9, 5)
    assert [past.content for past in begun.history] == ["ONE", "one"]
    assert await shown(store, conversation) == ["one", "ONE", "two"]
    await answer(store, begun, "too")
    assert await shown(store, conversation) == ["one", "ONE", "two", "too"]
    assert one.turn.reply.uuid != begun.turn.reply.uuid


async def test_another_reply_in_the_middle_takes_what_followed_out_of_view(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    [one, *_] = await talk(store, alice, conversation, "one", "two", "three")
    begun = await store.turns.begin_another(another(alice, conversation, one.turn.reply.uuid))
    await answer(store, begun, "uno")
    assert await shown(store, conversation) == ["one", "uno"]
    [further] = await talk(store, alice, conversation, "on")
    assert await shown(store, conversation) == ["one", "uno", "on", "ON"]
    assert further.turn.prompt.parent_uuid == begun.turn.reply.uuid
    assert [past.content for past in further.history] == ["uno", "one"]


async def test_edit_makes_a_branch_of_its_own(store: SqlStore, alice: User, conversation: Conversation) -> None:
    [one, two] = await talk(store, alice, conversation, "one", "two")
    turn = said(alice, "deux", conversation.uuid, client_id="k")
    edited = await store.turns.begin(editing(turn, two.turn.prompt.uuid))
    assert (edited.state, edited.replaces) == ("started", two.turn.prompt.uuid)
    assert edited.turn.prompt.parent_uuid == one.turn.reply.uuid
    assert [past.content for past in edited.history] == ["ONE", "one"]
    await answer(store, edited, "DEUX")
    assert await shown(store, conversation) == ["one", "ONE", "deux", "DEUX"]
    again = await store.turns.begin(editing(turn, two.turn.prompt.uuid))
    assert (again.state, again.turn.reply.uuid) == ("known", edited.turn.reply.uuid)


async def test_first_message_can_be_edited(store: SqlStore, alice: User, conversation: Conversation) -> None:
    [one, _] = await talk(store, alice, conversation, "one", "two")
    edited = await store.turns.begin(editing(said(alice, "uno", conversation.uuid), one.turn.prompt.uuid))
    await answer(store, edited, "UNO")
    assert (edited.turn.prompt.parent_uuid, edited.history) == (None, ())
    assert await shown(store, conversation) == ["uno", "UNO"]


async def test_only_ones_own_message_in_view_is_edited(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    [one, two] = await talk(store, alice, conversation, "one", "two")
    await store.turns.begin_another(another(alice, conversation, one.turn.reply.uuid))
    out_of_view, a_reply = two.turn.prompt.uuid, one.turn.reply.uuid
    for uuid in (out_of_view, a_reply, a_reply[:-1] + "0", "no id"):
        with pytest.raises(NotFound):
            await store.turns.begin(editing(said(alice, "x", conversation.uuid), uuid))
    with pytest.raises(NotFound):
        await store.turns.begin_another(another(alice, conversation, out_of_view))


async def test_nothing_is_asked_for_again_where_nothing_was_answered_or_all_has_ended(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    with pytest.raises(NotFound):
        await store.turns.begin_another(another(alice, conversation))
    await talk(store, alice, conversation, "one")
    await store.conversations.end(Reader(alice.id), conversation.uuid, NOW)
    with pytest.raises(Ended):
        await store.turns.begin_another(another(alice, conversation))


async def test_reply_that_leaves_the_view_is_stopped_and_what_waited_is_not_answered(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    [one] = await talk(store, alice, conversation, "one")
    running = await store.turns.begin(said(alice, "two", conversation.uuid))
    waiting = await store.turns.begin(said(alice, "three", conversation.uuid))
    with pytest.raises(Busy):
        await store.turns.begin_another(another(alice, conversation, one.turn.reply.uuid, "reject"))
    begun = await store.turns.begin_another(another(alice, conversation, one.turn.reply.uuid))
    assert (begun.state, begun.interrupts, begun.dropped) == (
        "queued", running.turn.reply.id, (waiting.turn.reply.id,),
    )  # fmt: skip
    ended = await answer(store, running, "TW", "stopped", promote=True)
    assert ended.next is not None
    assert (ended.next.turn.reply.uuid, ended.next.replaces) == (begun.turn.reply.uuid, one.turn.reply.uuid)
    await answer(store, ended.next, "uno")
    assert await shown(store, conversation) == ["one", "uno"]
    assert (await seen(store, conversation)).open_replies == 0


async def test_branch_that_is_shown_is_the_one_that_goes_on(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    [one, two] = await talk(store, alice, conversation, "one", "two")
    beside = await store.turns.begin_another(another(alice, conversation, one.turn.reply.uuid))
    await answer(store, beside, "uno")
    before = await seen(store, conversation)
    reader = Reader(alice.id)
    turned = await store.branches.show(reader, conversation.uuid, one.turn.reply.uuid, NOW)
    assert turned == (alice.id, Mark(before.revision + 1, before.event + 1, before.last_number + 1))
    assert await shown(store, conversation) == ["one", "ONE", "two", "TWO"]
    [further] = await talk(store, alice, conversation, "on")
    assert further.turn.prompt.parent_uuid == two.turn.reply.uuid
    assert [past.content for past in further.history] == ["TWO", "two", "ONE", "one"]
    await store.branches.show(reader, conversation.uuid, beside.turn.reply.uuid, NOW)
    assert await shown(store, conversation) == ["one", "uno"]
    unchanged = await seen(store, conversation)
    assert await store.branches.show(reader, conversation.uuid, beside.turn.reply.uuid, NOW) is None
    assert (await seen(store, conversation)).revision == unchanged.revision


async def test_siblings_are_what_follows_the_same_message(
    store: SqlStore, alice: User, bob: User, conversation: Conversation
) -> None:
    [one] = await talk(store, alice, conversation, "one")
    beside = await store.turns.begin_another(another(alice, conversation))
    await answer(store, beside, "uno")
    found = await store.branches.siblings(Reader(alice.id), conversation.uuid, one.turn.reply.uuid)
    assert [(message.content, message.in_view) for message in found] == [("ONE", False), ("uno", True)]
    with pytest.raises(NotFound):
        await store.branches.siblings(Reader(bob.id), conversation.uuid, one.turn.reply.uuid)
    with pytest.raises(NotFound):
        await store.branches.show(Reader(bob.id), conversation.uuid, one.turn.reply.uuid, NOW)


async def test_view_does_not_turn_while_a_reply_runs(store: SqlStore, alice: User, conversation: Conversation) -> None:
    [one] = await talk(store, alice, conversation, "one")
    await store.turns.begin_another(another(alice, conversation))
    with pytest.raises(Busy):
        await store.branches.show(Reader(alice.id), conversation.uuid, one.turn.reply.uuid, NOW)
    assert len(await rows(store, "SELECT 1 FROM messages WHERE in_view")) == 2


async def test_overview_shows_where_there_are_others_and_what_is_to_come(
    store: SqlStore, alice: User, bob: User, conversation: Conversation
) -> None:
    reader = Reader(alice.id)
    [one, two] = await talk(store, alice, conversation, "one", "two")
    assert await store.branches.overview(reader, conversation.uuid) == Overview([], [], [])
    edited = await store.turns.begin(editing(said(alice, "deux", conversation.uuid), two.turn.prompt.uuid))
    waiting = await store.turns.begin(said(alice, "three", conversation.uuid))
    beside = Branching(one.turn.reply.uuid, edited.turn.prompt.uuid, [two.turn.prompt.uuid, edited.turn.prompt.uuid])
    assert await store.branches.overview(reader, conversation.uuid) == Overview(
        [beside],
        [
            OpenReply(edited.turn.reply.uuid, edited.turn.prompt.uuid, running=True),
            OpenReply(waiting.turn.reply.uuid, waiting.turn.prompt.uuid, running=False),
        ],
        [],
    )
    # A reply that runs is one of them; what stands in a branch out of view is none of the page's.
    await answer(store, edited, "DEUX", promote=True)
    third = await store.turns.get(waiting.turn.reply.id)
    assert third is not None
    await answer(store, third, "THREE")
    again = await store.turns.begin_another(another(alice, conversation, one.turn.reply.uuid))
    overview = await store.branches.overview(reader, conversation.uuid)
    assert overview.branchings == [
        Branching(one.turn.prompt.uuid, again.turn.reply.uuid, [one.turn.reply.uuid, again.turn.reply.uuid])
    ]
    assert overview.open_replies == [OpenReply(again.turn.reply.uuid, one.turn.prompt.uuid, running=True)]
    with pytest.raises(NotFound):
        await store.branches.overview(Reader(bob.id), conversation.uuid)


async def test_overview_tells_of_replies_in_view_that_ended_without_a_word(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    reader = Reader(alice.id)
    [one] = await talk(store, alice, conversation, "one")
    stopped = await store.turns.begin(said(alice, "two", conversation.uuid))
    await answer(store, stopped, "", "stopped")
    failed = await store.turns.begin(said(alice, "three", conversation.uuid))
    await answer(store, failed, "", "failed")
    assert await store.branches.overview(reader, conversation.uuid) == Overview(
        [],
        [],
        [
            Silent(stopped.turn.reply.uuid, stopped.turn.prompt.uuid, stopped=True),
            Silent(failed.turn.reply.uuid, failed.turn.prompt.uuid, stopped=False),
        ],
    )
    # What has left the view, or is asked for again, is none of them any more.
    again = await store.turns.begin_another(another(alice, conversation, one.turn.reply.uuid))
    assert (await store.branches.overview(reader, conversation.uuid)).silent == []
    await answer(store, again, "", "stopped")
    [silent] = (await store.branches.overview(reader, conversation.uuid)).silent
    assert silent == Silent(again.turn.reply.uuid, one.turn.prompt.uuid, stopped=True)
