"""What a reader may know of the passages that replies were given.

Messages keep their places alone. What they are called is looked up when they are read, so that a right that was
withdrawn, or a document that was deleted, shows at once.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from palaver.chat.conversation import Message
from palaver.chat.ports import Passages
from palaver.chat.user import Reader


async def cite(passages: Passages, reader: Reader, messages: Sequence[Message]) -> Sequence[Message]:
    """The same messages, their sources as the reader sees them now; nothing is asked where none has any."""
    wanted = [source for message in messages for source in message.sources]
    if not wanted:
        return messages
    known = iter(await passages.cite(reader, wanted))
    return [
        replace(message, sources=tuple(next(known) for _ in message.sources)) if message.sources else message
        for message in messages
    ]
