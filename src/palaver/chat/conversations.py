"""What becomes of a conversation between its turns: it is changed, or put away."""

from msgspec import UNSET

from palaver.chat.conversation import Conversation, ConversationChange, Marks
from palaver.chat.cursor import Mark
from palaver.chat.events import Turned
from palaver.chat.flow import Chat, close
from palaver.chat.ranges import check_ranges
from palaver.chat.user import Reader


async def change_conversation(
    chat: Chat, reader: Reader, conversation: str, change: ConversationChange
) -> Conversation:
    """The turns to come follow it; one that runs goes on as it began. Raises `NotFound` or `Invalid`."""
    check_ranges(change)
    changed = await chat.store.conversations.change(reader, conversation, change, chat.clock.now())
    if change.system_prompt is not UNSET:
        # Its first message is another one. Looking for news from the very beginning on is never wrong.
        lowest = 0 if changed.open_replies else changed.last_number + 1
        chat.rooms.tell(conversation, Turned(Mark(changed.revision, changed.event, lowest)))
    chat.rooms.lists.changed(changed.owner_id)
    return changed


async def mark_conversation(chat: Chat, reader: Reader, conversation: str, marks: Marks) -> Conversation:
    """Whoever looks at the owner's list sees it. Raises `NotFound`."""
    marked = await chat.store.conversations.mark(reader, conversation, marks, chat.clock.now())
    chat.rooms.lists.changed(marked.owner_id)
    return marked


async def deactivate_conversation(chat: Chat, reader: Reader, conversation: str) -> None:
    """Hides it like a deleted one, in every API, and keeps it for good; a reply that runs is stopped. Raises
    `NotFound`."""
    hidden = await chat.store.conversations.delete(reader, conversation, chat.clock.now(), keep=True)
    await close(chat, hidden, conversation)
