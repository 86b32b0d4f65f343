"""streaming_chat where something else happens just while it is asked: at moments that no client can choose."""

import asyncio
from typing import Any, cast

import pytest
from msgspec.structs import replace

from palaver.api import streaming_chat
from palaver.api.call import Call, Site
from palaver.api.streaming_chat import ChatAnswer, Stopped
from palaver.chat.accounts import AccountRules, Accounts, Caller
from palaver.chat.conversation import Conversation
from palaver.chat.flow import Chat, continue_chat
from palaver.chat.user import Reader, User
from palaver.store import SqlStore
from palaver.store.conversations import SqlConversations
from palaver.store.texts import Texts
from tests.chat.conftest import StartChat
from tests.chat.talking import HandBot
from tests.ports.talking import NOW


def call_of(chat: Chat, who: User, **payload: str | None) -> Call:
    nothing = cast(Any, None)
    accounts = Accounts(chat.store, chat.clock, AccountRules(), b"secret")
    site = Site(chat, accounts, nothing, nothing, "1", nothing, nothing)
    call = Call(site, {"type": "http", "headers": []}, "mine-1", "en")
    call.caller = Caller(who)
    call.payload = {name: value for name, value in payload.items() if value is not None}
    return call


class Vanishing(SqlConversations):
    """The first one that is found by its name is deleted right then."""

    gone: Conversation | None = None

    async def by_name(self, reader: Reader, name: str) -> Conversation | None:
        found = await super().by_name(reader, name)
        if self.gone is None and found is not None:
            self.gone = found
            await self.delete(reader, found.uuid, NOW)
        return found


def vanishing(store: SqlStore) -> SqlStore:
    over = SqlStore(store.database, store.engine)
    over.conversations = Vanishing(store.database, Texts(store.database))
    return over


async def say_yes(bot: HandBot) -> None:
    talk = await bot.asked()
    await talk.say("Yes.")
    talk.finish()


async def ask(chat: Chat, bot: HandBot, who: User, message: str, session_id: str | None) -> ChatAnswer:
    call = call_of(chat, who, message=message, session_id=session_id)
    answer: ChatAnswer
    answer, _ = await asyncio.gather(streaming_chat.chat(call), say_yes(bot))
    return answer


@pytest.mark.parametrize("name", ["page-1", None], ids=["a string", "the UUID made here"])
async def test_session_that_is_deleted_just_while_a_message_comes_begins_anew(
    chat: Chat, store: SqlStore, bot: HandBot, alice: User, name: str | None
) -> None:
    session = (await ask(chat, bot, alice, "one", name)).session_id
    answer = await ask(replace(chat, store=vanishing(store)), bot, alice, "two", session)
    assert (answer.response, answer.session_id, answer.success) == ("Yes.", session, True)
    anew = await store.conversations.by_name(Reader(alice.id), session)
    assert anew is not None
    assert [turn.prompt for turn in await store.conversations.recent_turns(Reader(alice.id), anew, 5)] == ["two"]


async def begin_elsewhere(elsewhere: Chat, bot: HandBot, who: User, conversation: Conversation) -> None:
    """A reply that has said one word, and runs on another worker than the one that is asked."""
    await continue_chat(elsewhere, Reader(who.id), "count", conversation=conversation.uuid)
    await (await bot.asked()).say("one")


async def test_reply_of_another_worker_is_stopped_by_one_that_goes_away(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    here, elsewhere = await start_chat("here"), await start_chat("elsewhere")
    await begin_elsewhere(elsewhere, bot, alice, conversation)
    here.replies.draining = True
    stopped = await streaming_chat.stop(call_of(here, alice, session_id=conversation.uuid))
    assert stopped == Stopped(success=True, stopped=True)
    [turn] = await store.conversations.recent_turns(Reader(alice.id), conversation, 5)
    assert turn.answer == "one"


async def test_nothing_is_stopped_where_the_session_is_deleted_just_then(
    start_chat: StartChat, store: SqlStore, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    here, elsewhere = await start_chat("here"), await start_chat("elsewhere")
    await begin_elsewhere(elsewhere, bot, alice, conversation)
    call = call_of(replace(here, store=vanishing(store)), alice, session_id=conversation.uuid)
    assert await streaming_chat.stop(call) == Stopped(success=True, stopped=False)
