"""The passages that a reply was given, kept with it by their places alone."""

from msgspec.structs import replace

from palaver.chat.conversation import Conversation
from palaver.chat.knowledge import Source
from palaver.chat.user import User
from palaver.store import SqlStore
from tests.ports.talking import ending, said

GIVEN = (
    Source(1, "5c1f0000-0000-4000-8000-000000000001", 14, "leaflet.pdf", 3, "Rates"),
    Source(2, "5c1f0000-0000-4000-8000-000000000002", 0, "other.md"),
)
KEPT = tuple(Source(source.number, source.document, source.passage) for source in GIVEN)


async def sources(store: SqlStore, conversation: Conversation) -> list[tuple[Source, ...]]:
    return [message.sources for message in await store.conversations.messages(conversation, limit=None, offset=0)]


async def test_sources_come_with_the_end_of_the_reply_and_name_nothing(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    begun = await store.turns.begin(said(alice, "How?", conversation.uuid))
    assert (await store.turns.finish(replace(ending(begun), sources=GIVEN))).done
    assert await sources(store, conversation) == [(), KEPT]
    known = await store.turns.get(begun.turn.reply.id)
    assert known is not None
    assert known.turn.reply.sources == KEPT


async def test_of_several_that_end_at_once_each_keeps_its_own(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    begun = await store.turns.begin(said(alice, "How?", conversation.uuid))
    await store.turns.finish(ending(begun))
    again = await store.turns.begin(said(alice, "And how?", conversation.uuid))
    await store.turns.finish(replace(ending(again), sources=GIVEN[:1]))
    assert await sources(store, conversation) == [(), (), (), KEPT[:1]]


async def test_who_lost_the_reply_keeps_none(store: SqlStore, alice: User, conversation: Conversation) -> None:
    begun = await store.turns.begin(said(alice, "How?", conversation.uuid))
    late = replace(ending(begun, worker="somebody-else"), sources=GIVEN)
    assert not (await store.turns.finish(late)).done
    await store.turns.finish(ending(begun))
    assert await sources(store, conversation) == [(), ()]


async def test_reply_that_is_asked_for_again_begins_without_them(
    store: SqlStore, alice: User, conversation: Conversation
) -> None:
    turn = said(alice, "How?", conversation.uuid, client_id="k-1")
    begun = await store.turns.begin(turn)
    await store.turns.finish(replace(ending(begun, end="interrupted"), sources=GIVEN))
    again = await store.turns.begin(turn)
    assert (again.turn.reply.attempt, again.turn.reply.sources) == (2, ())
    await store.turns.finish(ending(again))
    assert await sources(store, conversation) == [(), ()]
