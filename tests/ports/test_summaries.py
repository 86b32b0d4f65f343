"""A summary is made by one at a time, and stands for what left the bot's view as long as that is in view at all."""

import pytest
from msgspec.structs import replace

from palaver.chat.clock import SECOND, Micros
from palaver.chat.conversation import Conversation
from palaver.chat.ports import AnotherReply, Begun, Unsummarised
from palaver.chat.user import Reader, User
from palaver.store import SqlStore
from tests.ports.talking import HERE, LEASE, NOW, answer, ending, rows, said, seen

CUT = 5
UNTIL = Micros(NOW + 60 * SECOND)
AFTER = Micros(UNTIL + 1)
LATER = Micros(UNTIL + 60 * SECOND)


@pytest.fixture
async def turns(store: SqlStore, alice: User, conversation: Conversation) -> list[Begun]:
    """Four of them; the last has cut all before the fifth message."""
    begun = [await talk(store, alice, conversation, text) for text in ("one", "two", "three")]
    last = await store.turns.begin(said(alice, "four", conversation.uuid))
    await store.turns.finish(replace(ending(last, "FOUR"), context_from=CUT))
    return [*begun, last]


async def talk(store: SqlStore, who: User, where: Conversation, text: str) -> Begun:
    begun = await store.turns.begin(said(who, text, where.uuid))
    await answer(store, begun, text.upper())
    return begun


async def claim(store: SqlStore, where: Conversation, now: Micros = NOW, until: Micros = UNTIL) -> Unsummarised | None:
    return await store.summaries.claim(where.id, CUT, now, until)


async def claimed(store: SqlStore, where: Conversation) -> Unsummarised:
    cut = await claim(store, where)
    assert cut is not None
    return cut


@pytest.mark.usefixtures("turns")
async def test_what_was_cut_is_given_to_one_and_stands_before_the_history_once_it_is_kept(
    store: SqlStore, other_store: SqlStore, alice: User, conversation: Conversation
) -> None:
    cut = await claimed(store, conversation)
    assert [past.content for past in cut.past] == ["TWO", "two", "ONE", "one"]
    assert cut.summary == ""
    assert await claim(other_store, conversation, NOW, LATER) is None
    assert await store.summaries.keep(cut, "They count.")
    assert await claim(other_store, conversation, AFTER, LATER) is None
    begun = await other_store.turns.begin(said(alice, "five", conversation.uuid))
    assert begun.summary == "They count."
    assert [past.content for past in begun.history] == ["FOUR", "four", "THREE", "three"]
    assert begun.turn.conversation.summary_to == CUT
    # Whatever a turn changes, that stays.
    await answer(store, begun)
    assert (await seen(store, conversation)).summary_to == CUT


async def test_conversation_from_which_nothing_was_cut_has_nothing_to_summarise(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    begun = await talk(store, alice, conversation, "one")
    assert begun.summary == ""
    assert await claim(store, conversation) is None


@pytest.mark.usefixtures("turns")
async def test_next_one_begins_where_the_last_one_ended(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    await store.summaries.keep(await claimed(store, conversation), "They count.")
    begun = await store.turns.begin(said(alice, "five", conversation.uuid))
    await store.turns.finish(replace(ending(begun, "FIVE"), context_from=7))
    cut = await store.summaries.claim(conversation.id, 7, NOW, UNTIL)
    assert cut is not None
    assert (cut.summary, [past.content for past in cut.past]) == ("They count.", ["THREE", "three"])


@pytest.mark.usefixtures("turns")
async def test_whoever_took_too_long_keeps_nothing_and_the_next_one_does(
    store: SqlStore, other_store: SqlStore, conversation: Conversation
) -> None:
    slow = await claimed(store, conversation)
    cut = await claim(other_store, conversation, AFTER, LATER)
    assert cut is not None
    assert not await store.summaries.keep(slow, "Too late.")
    await store.summaries.give_up(slow)
    assert await other_store.summaries.keep(cut, "They count.")
    assert await rows(store, "SELECT summary FROM conversations") == [("They count.",)]


@pytest.mark.usefixtures("turns")
async def test_one_that_was_given_up_is_made_by_the_next_at_once(
    store: SqlStore, other_store: SqlStore, conversation: Conversation
) -> None:
    await store.summaries.give_up(await claimed(store, conversation))
    assert await claim(other_store, conversation, NOW, LATER) is not None


@pytest.mark.usefixtures("turns")
async def test_deleted_conversation_is_not_summarised(store: SqlStore, alice: User, conversation: Conversation) -> None:
    await store.conversations.delete(Reader(alice.id), conversation.uuid, NOW)
    assert await claim(store, conversation) is None


async def test_edit_of_what_it_tells_drops_it_and_what_is_under_way_of_it(
    store: SqlStore, alice: User, conversation: Conversation, turns: list[Begun]
) -> None:
    cut = await claimed(store, conversation)
    edit = replace(said(alice, "deux", conversation.uuid), edits=turns[1].turn.prompt.uuid)
    begun = await store.turns.begin(edit)
    assert (begun.summary, [past.content for past in begun.history]) == ("", ["ONE", "one"])
    assert not await store.summaries.keep(cut, "They count.")
    found = await seen(store, conversation)
    assert (found.summary_to, found.context_from) == (0, 0)


async def test_edit_behind_it_and_another_reply_leave_it_and_what_is_under_way(
    store: SqlStore, alice: User, conversation: Conversation, turns: list[Begun]
) -> None:
    cut = await claimed(store, conversation)
    another = AnotherReply(Reader(alice.id), conversation.uuid, None, NOW, HERE, LEASE, "queue")
    begun = await store.turns.begin_another(another)
    assert [past.content for past in begun.history] == ["THREE", "three"]
    await answer(store, begun, "IV")
    assert await store.summaries.keep(cut, "They count.")
    # The very first that is still seen.
    edit = replace(said(alice, "drei", conversation.uuid), edits=turns[2].turn.prompt.uuid)
    begun = await store.turns.begin(edit)
    assert (begun.summary, begun.history) == ("They count.", ())
    assert (await seen(store, conversation)).context_from == CUT


async def test_branch_that_comes_into_view_drops_it(
    store: SqlStore, alice: User, conversation: Conversation, turns: list[Begun]
) -> None:
    edit = replace(said(alice, "vier", conversation.uuid), edits=turns[3].turn.prompt.uuid)
    await answer(store, await store.turns.begin(edit), "VIER")
    await store.summaries.keep(await claimed(store, conversation), "They count.")
    await store.branches.show(Reader(alice.id), conversation.uuid, turns[3].turn.prompt.uuid, NOW)
    begun = await store.turns.begin(said(alice, "five", conversation.uuid))
    assert (begun.summary, len(begun.history)) == ("", 8)


async def test_reply_that_left_the_view_does_not_cut_what_came_into_it(
    store: SqlStore, alice: User, conversation: Conversation, turns: list[Begun]
) -> None:
    old = await store.turns.begin(said(alice, "five", conversation.uuid))
    edit = await store.turns.begin(replace(said(alice, "deux", conversation.uuid), edits=turns[1].turn.prompt.uuid))
    ended = await store.turns.finish(replace(ending(old, "FIVE", "stopped", promote=True), context_from=7))
    assert ended.next is not None
    assert ended.next.turn.reply.uuid == edit.turn.reply.uuid
    await answer(store, ended.next, "DEUX")
    begun = await store.turns.begin(said(alice, "trois", conversation.uuid))
    assert [past.content for past in begun.history] == ["DEUX", "deux", "ONE", "one"]


@pytest.mark.usefixtures("turns")
async def test_promoted_reply_sees_it_as_well(store: SqlStore, alice: User, conversation: Conversation) -> None:
    await store.summaries.keep(await claimed(store, conversation), "They count.")
    running = await store.turns.begin(said(alice, "five", conversation.uuid))
    await store.turns.begin(said(alice, "six", conversation.uuid))
    ended = await answer(store, running, promote=True)
    assert ended.next is not None
    assert ended.next.summary == "They count."
