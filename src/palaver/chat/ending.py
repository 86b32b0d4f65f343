"""The end of a reply on its way into the store: what it has used, by which model that is billed, and how it is kept."""

import asyncio
import logging

from msgspec.structs import replace

from palaver.chat.context import reasoning_tokens
from palaver.chat.conversation import Conversation, Turn, Usage
from palaver.chat.crowd import Crowd
from palaver.chat.cursor import Mark
from palaver.chat.errors import ChatError, NotFound, Withdrawn
from palaver.chat.ledger import to_billed_as
from palaver.chat.ports import Begun, Bots, EndedReply, Ending, Store
from palaver.chat.running import Outcome, RunningReply
from palaver.chat.told import to_name, to_sound

log = logging.getLogger("palaver.reply")

# Whoever waits for the end of a reply that cannot be kept is told so after this long; it goes on being tried.
PATIENCE_SECONDS = 5.0

# How often the end of a reply is tried again while the store does not answer.
RETRY_SECONDS = 0.5


async def keep_end(store: Store, crowd: Crowd, reply: RunningReply, ending: Ending) -> tuple[Outcome, EndedReply]:
    """How it ended as far as the store knows, once it does; and what is to be answered next."""
    turn = reply.begun.turn
    nothing = EndedReply(done=False)
    loop = asyncio.get_running_loop()
    began = loop.time()
    unkept = Outcome(ended_turn(turn, replace(ending, end="failed", reason="unavailable", text="")), 0)
    while True:
        try:
            with crowd.around(reply):
                ended = await store.turns.finish(ending)
            if ended.done:
                return Outcome(ended_turn(turn, ending, ended), ended.exchanges), ended
            latest = await store.turns.get(reply.id)
            if latest is not None and _is_kept(latest, ending):
                # It was, and the database's answer was lost. What follows is found by `Orphans.take_over`.
                return Outcome(latest.turn, latest.exchanges), _to_ended(latest)
            log.warning("reply %s is no longer this worker's; what it said is not kept", reply.id)
            if latest is not None:
                return Outcome(latest.turn, latest.exchanges), nothing
            await _bill_gone(store, turn.conversation, ending)
            return Outcome(ended_turn(turn, ending), ended.exchanges), nothing
        except OSError as error:
            log.warning("the end of reply %s cannot be kept yet: %s", reply.id, error)
            await asyncio.sleep(RETRY_SECONDS)
            if loop.time() - began > PATIENCE_SECONDS:
                reply.has_ended(unkept)
        except Exception:
            log.exception("the end of reply %s cannot be kept", reply.id)
            if ending.details is None and ending.model is None and ending.usage is None and not ending.sources:
                # Nobody renews its lease from here on: the sweep ends it with what was kept.
                return unkept, nothing
            # The text is what matters: once more without what came beside it, the bill last.
            beside = ending.details is not None or ending.model is not None or bool(ending.sources)
            usage = ending.usage if beside else None
            ending = replace(ending, details=None, model=None, sources=(), usage=usage)


def _is_kept(latest: Begun, ending: Ending) -> bool:
    reply = latest.turn.reply
    return (reply.attempt, reply.status, reply.content) == (ending.attempt, ending.end, ending.text)


def _to_ended(latest: Begun) -> EndedReply:
    reply = latest.turn.reply
    mark = Mark(latest.mark.revision, reply.end_event, latest.mark.lowest)
    return EndedReply(done=True, exchanges=latest.exchanges, exchange=reply.exchange, mark=mark)


async def _bill_gone(store: Store, conversation: Conversation, ending: Ending) -> None:
    """Whoever it was made for was erased meanwhile: what it has used is counted all the same."""
    if ending.usage is not None:
        await store.ledger.add_usage(
            ending.owner_id, conversation.app_id, ending.model, ending.usage, ending.now, billed_as=ending.billed_as
        )


def to_usage(reply: RunningReply, token_count: int) -> Usage | None:
    """What the bot says it has used, as far as that can be; else, where it has talked or thought, what we count."""
    if reply.finished is not None and reply.finished.cached:
        return None
    reported = to_sound(reply.finished.usage if reply.finished else None)
    if reported is not None:
        return reported
    if not reply.log.length and not reply.thought:
        return None
    return Usage(reply.counted(), token_count + reasoning_tokens(reply.thought), estimated=True)


def to_abandoned_usage(ending: Ending) -> Usage | None:
    """Nothing where nothing was heard: then nobody knows whether the bot was ever asked."""
    if ending.usage is None or not ending.text:
        return None
    return replace(ending.usage, completion_tokens=ending.token_count)


def billed_as(bots: Bots, reply: RunningReply) -> str:
    """The model by the name that the operator knows it by: servers may tell a longer one."""
    speaking = reply.begun.turn.conversation.speaking
    asked = bots.model_for_turn(speaking.model) or bots.default_model()
    told = reply.finished.model if reply.finished and reply.finished.model else None
    return to_billed_as(reply.provider, asked or to_name(told or ""))


async def abandoned_as(bots: Bots, ending: Ending) -> str:
    """As one that ends here is billed: by the model that answers where this one was asked for."""
    provider = ending.provider or await bots.default_provider()
    model = bots.model_for_turn(ending.billed_as or None) or bots.default_model()
    return to_billed_as(provider, model)


def ended_turn(turn: Turn, ending: Ending, kept: EndedReply | None = None) -> Turn:
    reply = replace(
        turn.reply,
        status=ending.end,
        content=ending.text,
        created_at=ending.at,
        reason=ending.reason,
        token_count=ending.token_count,
        model=ending.model,
        usage=ending.usage,
        cached=ending.cached,
        details=ending.details,
        sources=ending.sources,
        exchange=kept.exchange if kept else None,
        end_event=kept.mark.event if kept else 0,
    )
    return Turn(turn.conversation, turn.prompt, reply)


async def why_gone(store: Store, conversation: str) -> ChatError:
    """What to tell who waits for a reply that is there no more."""
    try:
        await store.events.present(None, conversation)
    except NotFound as error:
        return error
    return Withdrawn()
