"""What a turn with a collection sets aside for passages, and what it knows of those that its bot was given."""

from msgspec.structs import replace

from palaver.chat.conversation import Conversation, Speaking
from palaver.chat.cursor import decode_cursor
from palaver.chat.flow import Chat, continue_chat, wait_for_answer
from palaver.chat.knowledge import Source
from palaver.chat.ledger import Budgets, ModelSize, to_reserve
from palaver.chat.pieces import Knowledge, Sources
from palaver.chat.user import NOT_STORED, Reader, User
from palaver.store import SqlStore
from tests.chat.conftest import StartChat
from tests.chat.hearing import Ear
from tests.chat.talking import HandBot
from tests.chat.test_seen import longest, turn
from tests.ports.knowing import collect, keep
from tests.ports.talking import NOW, new_conversation

KNOWING = Speaking(model="gpt-4", provider="openai_rag", collection="leaflets")


async def start(store: SqlStore, owner: User, speaking: Speaking) -> Conversation:
    return await store.conversations.create(new_conversation(owner, speaking=speaking), NOW)


async def test_bot_may_look_as_the_owner_and_as_no_admin(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User
) -> None:
    chat = await start_chat(context_tokens=4000, knowledge_tokens=700)
    knowing = await turn(chat, bot, alice, await start(store, alice, KNOWING))
    assert knowing.knowledge == Knowledge(Reader(alice.id), "leaflets", 700)
    in_front = replace(new_conversation(alice, speaking=KNOWING), origin="chat_flow")
    first = await turn(chat, bot, alice, await store.conversations.create(in_front, NOW))
    assert first.knowledge == Knowledge(Reader(alice.id), "leaflets", 700, most=3, in_front=True)


async def test_it_is_never_more_than_a_quarter_of_what_the_model_takes(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User
) -> None:
    chat = await start_chat(context_tokens=2000)
    prompt = await turn(chat, bot, alice, await start(store, alice, KNOWING))
    assert prompt.knowledge is not None
    assert prompt.knowledge.tokens == 500


async def test_nothing_is_looked_up_where_nothing_is_wanted(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User
) -> None:
    for speaking, knowledge_tokens in (
        (replace(KNOWING, collection=None), 700),
        (replace(KNOWING, collection=""), 700),
        (replace(KNOWING, provider="openai"), 700),
        (replace(KNOWING, provider="hand"), 700),
        (KNOWING, 0),
    ):
        chat = await start_chat(knowledge_tokens=knowledge_tokens)
        assert (await turn(chat, bot, alice, await start(store, alice, speaking))).knowledge is None


async def test_room_for_passages_is_taken_from_the_history(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User
) -> None:
    chat = await start_chat(context_tokens=4000)
    plain = await longest(chat, bot, alice, await start(store, alice, replace(KNOWING, provider="openai")))
    knowing = await longest(chat, bot, alice, await start(store, alice, KNOWING))
    # A factor of 1.2 is assumed between what is counted and what the model makes of it.
    assert 500 < plain - knowing < 1300


async def test_what_was_given_is_kept_with_the_reply_and_counted_as_sent(
    chat: Chat, bot: HandBot, store: SqlStore, alice: User
) -> None:
    conversation = await start(store, alice, KNOWING)
    used = []
    for given in (Sources(()), Sources((Source(1, "doc-1", 3, "leaflet.pdf"),), 600)):
        begun = await continue_chat(chat, Reader(alice.id), "How?", conversation=conversation.uuid)
        talk = await bot.asked()
        await talk.give(given)
        await talk.say("So.")
        talk.finish()
        reply = (await wait_for_answer(chat, begun)).turn.reply
        assert reply.usage is not None
        used.append(reply.usage.prompt_tokens)
    assert reply.sources == (Source(1, "doc-1", 3, "leaflet.pdf"),)
    assert 600 < used[1] - used[0] < 640
    [*_, kept] = await store.conversations.messages(conversation, limit=None, offset=0)
    assert kept.sources == (Source(1, "doc-1", 3),)


async def test_who_comes_back_is_told_the_names_that_may_be_seen(
    chat: Chat, start_chat: StartChat, bot: HandBot, store: SqlStore, alice: User
) -> None:
    document = await keep(store, await collect(store, alice), "leaflet.pdf", "Bread.")
    new = replace(new_conversation(alice, speaking=KNOWING), open_by_id=True)
    conversation = await store.conversations.create(new, NOW)
    owner, guest = Reader(alice.id), Reader(NOT_STORED, guests_allowed=True)
    ear = Ear(owner, conversation.uuid)
    await ear.come(chat.rooms)
    assert ear.cursor is not None
    begun = await continue_chat(chat, owner, "How?", conversation=conversation.uuid)
    talk = await bot.asked()
    await talk.give(Sources((Source(1, document.uuid, 0, "leaflet.pdf"),), 600))
    await talk.say("So.")
    talk.finish()
    await wait_for_answer(chat, begun)
    for reader, name in ((owner, "leaflet.pdf"), (guest, "")):
        elsewhere = await start_chat(f"worker-of-{name}")
        _, missed = await elsewhere.rooms.enter(reader, conversation.uuid, decode_cursor(ear.cursor))
        assert missed is not None
        assert [source.name for message in missed.messages for source in message.sources] == [name]


def test_budget_holds_back_what_passages_may_take() -> None:
    budgets, size = Budgets(knowledge_tokens=1000), ModelSize(16_000, 1.0)
    plain = to_reserve(0, 10, replace(KNOWING, collection=None), size, budgets)
    knowing = to_reserve(0, 10, KNOWING, size, budgets)
    assert 1000 <= knowing.prompt_tokens - plain.prompt_tokens <= 1500
