"""A room: when those in it are woken."""

from palaver.chat.conversation import Conversation
from palaver.chat.flow import Chat, continue_chat
from palaver.chat.user import Reader, User
from tests.chat.talking import HandBot


async def test_first_piece_leaves_at_once_and_those_after_it_are_gathered(
    chat: Chat, bot: HandBot, alice: User, conversation: Conversation
) -> None:
    reader = Reader(alice.id)
    room, _ = await chat.rooms.enter(reader, conversation.uuid)
    woken: list[int] = []
    listener = await chat.rooms.listen(room, lambda: woken.append(1))
    await continue_chat(chat, reader, "Hello", conversation=conversation.uuid)
    await bot.asked()
    telling = room.telling
    assert telling is not None
    woken.clear()
    # That it has begun was told a moment ago; nothing waits for that.
    telling.say("One ")
    assert len(woken) == 1
    # However long it takes to say the next ones.
    chat.rooms.pace.seconds = 60
    telling.say("two ")
    telling.say("three")
    assert len(woken) == 1
    chat.rooms.leave(listener)
