"""How a conversation stands at one moment, for whoever cannot be told what was missed."""

from collections.abc import Sequence

from msgspec import Struct

from palaver.chat.conversation import Conversation, Message
from palaver.chat.cursor import Mark
from palaver.chat.flow import Chat
from palaver.chat.room import Room
from palaver.chat.user import Reader

MOST_MESSAGES = 100


class Snapshot(Struct, frozen=True):
    """The newest messages of the branch in view at `mark`, without the reply that runs; of that one what was said."""

    conversation: Conversation
    mark: Mark
    messages: Sequence[Message]
    has_more: bool
    reply: Message | None
    text: str


async def take_snapshot(chat: Chat, reader: Reader, room: Room) -> Snapshot:
    """Whoever goes on from its mark, and from the end of its text, misses nothing and hears nothing twice. Raises
    `NotFound`."""
    present = await chat.store.events.present(reader, room.uuid)
    newest, has_more = await chat.store.conversations.newest(present.conversation, MOST_MESSAGES)
    # What was told since the conversation was read is heard next.
    event = present.mark.event
    messages = [message for message in newest if message.event <= event and message.end_event <= event]
    if present.conversation.is_of_people:
        messages = list(await chat.store.connections.name_senders(present.conversation, messages))
    reply, telling, text = present.reply, room.telling, present.kept
    if reply is not None and telling is not None and (telling.id, telling.attempt) == (reply.id, reply.attempt):
        text = telling.log.text()
    return Snapshot(present.conversation, present.mark, messages, has_more, reply, text)
