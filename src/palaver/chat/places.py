"""Where a stream of single replies goes on for a client that comes back with a cursor."""

from msgspec import Struct

from palaver.chat.conversation import Conversation
from palaver.chat.cursor import Cursor, Mark
from palaver.chat.events import ReplyEnded, ReplyStarted
from palaver.chat.flow import Chat
from palaver.chat.ports import Begun
from palaver.chat.room import to_events


class Place(Struct, frozen=True):
    """A reply, and from where on it is to be heard; None: from its very start. `mark` is for its cursors."""

    begun: Begun
    mark: Mark
    position: int | None = None


async def find_place(chat: Chat, conversation: Conversation, cursor: Cursor | None) -> Place | None:
    """What the client has to hear next. None where there is nothing.

    A reply that runs: the rest of it where the cursor points into it, else all of it. Else the rest of the reply that
    the cursor points into, or the first one that was missed since.
    """
    if cursor is not None and not conversation.uuid.startswith(cursor.conversation):
        cursor = None
    running = await chat.store.turns.open_reply(conversation.id)
    if running is not None:
        into = cursor is not None and cursor.reply == running.turn.reply.number
        place = await _rest(chat, conversation, cursor) if into and cursor is not None else None
        if place is not None and not await chat.rooms.is_said(conversation.uuid, place.begun, place.position or 0):
            place = None
        return place or Place(running, running.mark)
    if cursor is None:
        return None
    return await (_missed if cursor.reply is None else _rest)(chat, conversation, cursor)


async def _rest(chat: Chat, conversation: Conversation, cursor: Cursor) -> Place | None:
    if cursor.reply is None or cursor.position is None:
        # It was heard to its end.
        return None
    found = await chat.store.turns.reply_at(conversation.id, cursor.reply)
    if found is None:
        return None
    reply = found.turn.reply
    # A reply that was asked for again says something else; one that was never can be gone on with at any time.
    if cursor.mark.revision != conversation.revision and reply.attempt > 1:
        return None
    return Place(found, cursor.mark, cursor.position)


async def _missed(chat: Chat, conversation: Conversation, cursor: Cursor) -> Place | None:
    """The first reply that has both begun and ended since."""
    if cursor.mark.event == conversation.event:
        return None
    found = await chat.store.events.since(None, conversation.uuid, cursor.mark)
    if not found.known:
        return None
    events = to_events(found, cursor.mark)
    begun = {event.message.number for event in events if isinstance(event, ReplyStarted)}
    for event in events:
        if isinstance(event, ReplyEnded) and event.message.number in begun and event.message.content:
            missed = await chat.store.turns.reply_at(conversation.id, event.message.number)
            if missed is not None:
                return Place(missed, Mark(cursor.mark.revision, event.message.event, event.message.number))
    return None
