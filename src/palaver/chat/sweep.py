"""What has to be done now and then: replies left behind, idle sessions, what retention has released, closed
tokens, the list of models."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from msgspec import Struct

from palaver.chat.accounts import Accounts
from palaver.chat.clock import DAY, SECOND, Micros
from palaver.chat.flow import Chat
from palaver.chat.models import Models
from palaver.chat.orphans import Orphans

log = logging.getLogger("palaver.sweep")

TAKE_OVER_SECONDS = 1.0
CLEAN_SECONDS = 60.0

# How late a server hears of the default model that was chosen beside it.
FOLLOW_SECONDS = 1.0


class Cleaned(Struct, frozen=True):
    ended: int
    purged: int


async def clean(chat: Chat) -> Cleaned:
    """Ends idle sessions, purges what was deleted long enough ago, and removes tokens that closed a day ago, guests
    that own nothing, system prompts that were replaced, answers that are not to be given again, and what has long been
    told to whom it concerned. What is in use is never touched."""
    now = chat.clock.now()
    ended = 0
    if chat.rules.idle_seconds:
        idle_since = Micros(now - int(chat.rules.idle_seconds * SECOND))
        owners = await chat.store.conversations.end_idle(idle_since, now)
        ended = len(owners)
        for owner in set(owners):
            chat.rooms.lists.changed(owner)
    purged = await chat.store.conversations.purge(Micros(now - int(chat.rules.retention_seconds * SECOND)))
    yesterday = Micros(now - DAY)
    await chat.store.accounts.remove_closed_tokens(yesterday)
    await chat.store.accounts.remove_empty_guests(yesterday)
    await chat.store.conversations.remove_left_texts(yesterday)
    await chat.store.answers.remove_expired(now)
    await chat.store.ledger.remove_expired(now)
    await chat.store.outbox.remove_done(Micros(now - int(chat.rules.notices_kept_seconds * SECOND)))
    return Cleaned(ended, purged)


async def sweep(chat: Chat, accounts: Accounts, models: Models, orphans: Orphans) -> None:
    """Does all of it for as long as the server lives. Runs until cancelled."""
    clean_every = (
        min(CLEAN_SECONDS, max(chat.rules.idle_seconds / 10, 1.0)) if chat.rules.idle_seconds else CLEAN_SECONDS
    )
    await asyncio.gather(
        _every(TAKE_OVER_SECONDS, "taking over", lambda: _take_over(chat, orphans)),
        _every(clean_every, "cleaning", lambda: clean(chat)),
        _every(TAKE_OVER_SECONDS, "noting last use", accounts.keep_last_used),
        _every(FOLLOW_SECONDS, "following the models", models.follow),
        _every(FOLLOW_SECONDS, "following the budgets", lambda: _follow_budgets(chat)),
    )


async def _take_over(chat: Chat, orphans: Orphans) -> None:
    if not chat.replies.draining:
        await orphans.take_over(everything=False)


async def _follow_budgets(chat: Chat) -> None:
    await chat.books.follow(chat.bots.default_model(), await chat.bots.default_provider())


async def _every(seconds: float, what: str, do: Callable[[], Awaitable[object]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await do()
        except OSError as error:
            log.warning("%s has to wait: %s", what, error)
        except Exception:
            # A fault in one round must not end all the rounds to come.
            log.exception("%s failed", what)
