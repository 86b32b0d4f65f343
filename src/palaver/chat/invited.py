"""The bot that was invited into a conversation of people: it answers where it is mentioned, and never else."""

from msgspec.structs import replace

from palaver.chat.connections import tell_changed
from palaver.chat.conversation import PresetId
from palaver.chat.flow import Chat
from palaver.chat.limits import Limits
from palaver.chat.ports import NewBot, Seat, Spoken
from palaver.chat.presets import access_preset
from palaver.chat.user import Reader, User

# The bot sees so many messages of the people, the last ones.
WINDOW = 40


async def invite_bot(chat: Chat, seat: Seat, reader: Reader, conversation: str, preset: PresetId | None) -> None:
    """The bot of that preset, as it is now; None sends away the one that was there.

    Raises `NotFound`, also for a preset that the reader may not use, `NotManager` and `Ended`.
    """
    await chat.store.connections.check(seat.user_id, conversation)
    bot = None
    if preset is not None:
        found = await access_preset(chat, reader, preset)
        window = WINDOW if found.speaking.window is None else min(found.speaking.window, WINDOW)
        # What its maker keeps in a collection is not for everybody who is here.
        speaking = replace(found.speaking, window=window, slides=True, collection=None, caches_answers=False)
        bot = NewBot(found.id, found.slug, found.prompt, speaking)
    await tell_changed(chat, await chat.store.connections.invite_bot(seat, conversation, bot, chat.clock.now()))


async def answer_if_named(chat: Chat, spoken: Spoken, speaker: User, limits: Limits, request_id: str) -> None:
    """Has the bot answer a message in which it is named."""
