"""The bot that was invited into a conversation of people: it answers where it is mentioned, and never else."""

import asyncio

from msgspec.structs import replace

from palaver.chat.connections import tell_changed
from palaver.chat.errors import ChatError, NotFound
from palaver.chat.flow import Chat, stop_reply
from palaver.chat.limits import Grant, Limits
from palaver.chat.ports import Begun, BotAsked, NewBot, Seat, Spoken
from palaver.chat.preset import Preset
from palaver.chat.user import User

# The bot sees so many messages of the people, the last ones.
WINDOW = 40


async def invite_bot(chat: Chat, seat: Seat, conversation: str, preset: Preset | None) -> None:
    """The bot of that preset, as it is now; None sends away the one that was there.

    Raises `NotFound`, `NotManager` and `Ended`, and `Invalid` for a pair: there each side is a person.
    """
    bot = None if preset is None else _to_bot(preset)
    await tell_changed(chat, await chat.store.connections.invite_bot(seat, conversation, bot, chat.clock.now()))


def _to_bot(preset: Preset) -> NewBot:
    asked = preset.speaking
    window = WINDOW if asked.window is None else min(asked.window, WINDOW)
    # What its maker keeps in a collection is not for everybody who is here.
    speaking = replace(asked, window=window, slides=True, collection=None, caches_answers=False)
    return NewBot(preset.id, preset.slug, preset.prompt, speaking)


async def answer_if_named(
    chat: Chat, spoken: Spoken, speaker: User, limits: Limits, request_id: str
) -> Begun | ChatError | None:
    """Has the bot answer a message in which it is named. The message stands whatever comes of it: where the one who
    said it may have no answer just now, an error tells why."""
    if not spoken.names_bot or chat.replies.draining:
        return None
    try:
        with await limits.allow_reply(speaker) as granted:
            return await asyncio.shield(chat.replies.beginning(_ask(chat, spoken, speaker, granted, request_id)))
    except NotFound:
        # It was sent away meanwhile, or has answered before.
        return None
    except ChatError as error:
        return error


async def _ask(chat: Chat, spoken: Spoken, speaker: User, granted: Grant, request_id: str) -> Begun:
    asked = BotAsked(
        conversation_id=spoken.conversation.id,
        message_id=spoken.written.message.id,
        user_id=speaker.id,
        now=chat.clock.now(),
        worker=chat.replies.worker,
        lease_until=chat.replies.lease_until(),
        budgets=chat.books.budgets,
        refusal=granted.refusal,
    )
    begun = await chat.store.connections.ask_bot(asked)
    if begun.state == "started":
        chat.replies.start(begun, request_id, granted)
    return begun


async def stop_bot(chat: Chat, seat: Seat, conversation: str) -> bool:
    """Whether there was a reply to stop. Raises `NotFound`."""
    found = await chat.store.connections.get(seat, conversation)
    return await stop_reply(chat, found.conversation.id) is not None
