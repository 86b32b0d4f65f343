"""What becomes of a conversation between its turns: it is changed, or put away."""

from palaver.chat.conversation import Conversation, ConversationChange
from palaver.chat.flow import Chat, close
from palaver.chat.user import Reader


async def change_conversation(
    chat: Chat, reader: Reader, conversation: str, change: ConversationChange
) -> Conversation:
    """The turns to come follow it; one that runs goes on as it began. Raises `NotFound`."""
    changed = await chat.store.conversations.change(reader, conversation, change, chat.clock.now())
    chat.rooms.lists.changed(changed.owner_id)
    return changed


async def deactivate_conversation(chat: Chat, reader: Reader, conversation: str) -> None:
    """Hides it like a deleted one, in every API, and keeps it for good; a reply that runs is stopped. Raises
    `NotFound`."""
    hidden = await chat.store.conversations.delete(reader, conversation, chat.clock.now(), keep=True)
    await close(chat, hidden, conversation)
