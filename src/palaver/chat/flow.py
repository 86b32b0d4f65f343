"""The one path of every turn, whatever API it came in by. Who asks "where does a message go?" starts reading here."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from palaver.chat.books import Books
from palaver.chat.clock import Clock, Micros
from palaver.chat.conversation import Conversation, ConversationId, Message, MessageId, NewConversation, WhenBusy
from palaver.chat.cursor import Mark
from palaver.chat.errors import (
    BotTimeout,
    BotUnavailable,
    Ended,
    NotFound,
    RateLimited,
    StoreUnavailable,
    Withdrawn,
)
from palaver.chat.events import Dropped, Gone, MessageRead, MessageSaid, Turned
from palaver.chat.knowledge import Quota
from palaver.chat.limits import Grant
from palaver.chat.ports import AnotherReply, Begun, Bots, Hidden, NewTurn, Store
from palaver.chat.presence import Presence
from palaver.chat.reply import Replies
from palaver.chat.rooms import Rooms
from palaver.chat.running import Outcome
from palaver.chat.uploads import Uploads
from palaver.chat.user import Reader, User

log = logging.getLogger("palaver.flow")


class Rules(Struct, frozen=True):
    """What the operator has settled for every turn and every conversation."""

    when_busy: WhenBusy = "queue"
    guests: bool = False
    idle_seconds: float = 1800
    retention_seconds: float = 30 * 86_400
    default_model: str = "qwen3:8b"
    default_temperature: float = 0.7
    default_tools: bool = True
    quota: Quota = Quota()
    document_bytes: int = 50 * 1024 * 1024
    part_seconds: float = 60.0
    """How long 256 KiB of an upload may take to come."""
    notices_kept_seconds: float = 7 * 86_400
    """How long it can be seen what became of what was to reach somebody."""


def _nobody_hears() -> None:
    """Where nobody is at it here, others look by themselves."""


class Chat(Struct, frozen=True):
    """What the core works with; made once by the composition root."""

    store: Store
    bots: Bots
    replies: Replies
    rooms: Rooms
    clock: Clock
    rules: Rules
    books: Books
    document_came: Callable[[], None] = _nobody_hears
    """Tells whoever reads documents that there is one to be read."""
    notices_came: Callable[[], None] = _nobody_hears
    """Tells whoever reaches people that there is something to tell them; called once that is committed."""
    uploads: Uploads = field(default_factory=Uploads)
    presence: Presence | None = None
    """Who was here a moment ago, where that is kept."""


async def continue_chat(
    chat: Chat,
    reader: Reader,
    text: str,
    *,
    conversation: str | None = None,
    new: NewConversation | None = None,
    client_message_id: str | None = None,
    when_busy: WhenBusy | None = None,
    edits: str | None = None,
    request_id: str = "",
    granted: Grant | None = None,
) -> Begun:
    """The person's message, committed, with the bot's reply on its way.

    It goes on in `conversation`, or in `new`, which is made with it. The same `client_message_id` with the same text is
    the same turn. `granted`: what the caller's limits have granted; the reply holds it until it ends. Raises
    `NotFound`, `Ended`, `Busy`, `Conflict`, `RateLimited`, `OverBudget` or `Draining`; then nothing
    has changed.
    """
    chat.replies.check_stays()
    if granted is not None:
        await granted.ask_conversation(reader, conversation, new)
    turn = NewTurn(
        reader=reader,
        text=text,
        token_count=await chat.replies.tokens.count(text),
        now=chat.clock.now(),
        worker=chat.replies.worker,
        lease_until=chat.replies.lease_until(),
        when_busy=when_busy or chat.rules.when_busy,
        conversation=conversation,
        new=new,
        client_message_id=client_message_id,
        edits=edits,
        budgets=chat.books.budgets,
        refusal=None if granted is None else granted.refusal,
    )
    # A caller that goes away while its message is being committed would leave a reply that nobody makes.
    return await asyncio.shield(chat.replies.beginning(_begin(chat, turn, request_id, granted)))


async def _begin(chat: Chat, turn: NewTurn, request_id: str, granted: Grant | None) -> Begun:
    begun = await _counting(chat.store.turns.begin(turn), granted)
    conversation, prompt = begun.turn.conversation, begun.turn.prompt
    if begun.state != "known" and prompt.event > conversation.event:
        mark = Mark(begun.mark.revision, prompt.event, begun.mark.lowest)
        chat.rooms.tell(conversation.uuid, MessageSaid(mark, prompt, begun.replaces))
        # That was the message's. The reply to it stands beside no other.
        begun = replace(begun, replaces=None)
    await _go_on(chat, begun, request_id, granted)
    return begun


async def _counting(begin: Awaitable[Begun], granted: Grant | None) -> Begun:
    """A turn that is refused because there are too many replies at once counts for no other limit."""
    try:
        return await begin
    except RateLimited as error:
        if granted is not None and error is granted.refusal:
            granted.undo()
        raise


async def _go_on(chat: Chat, begun: Begun, request_id: str, granted: Grant | None) -> None:
    """What has been begun in the store is carried out, and told to those who see lists."""
    conversation = begun.turn.conversation
    if begun.state == "started":
        chat.replies.start(begun, request_id, granted)
    elif granted is not None:
        # A reply that waits is none at once: when it begins, it takes over what the one before it held.
        granted.release()
    if begun.dropped:
        _drop(chat, conversation.uuid, begun.dropped, ended=False)
    if begun.state != "known":
        chat.rooms.lists.changed(conversation.owner_id)
    if begun.interrupts is not None:
        await _stop_if_possible(chat, begun.interrupts)


async def _stop_if_possible(chat: Chat, reply_id: MessageId) -> None:
    """That it is to stop was committed together with its reason: this is only the quicker word."""
    try:
        await chat.replies.stop(reply_id)
    except StoreUnavailable as error:
        log.warning("reply %s is stopped by its worker's next look: %s", reply_id, error)


def _drop(chat: Chat, uuid: str, replies: Sequence[MessageId], *, ended: bool) -> None:
    """Those who wait for replies that were dropped look again, on every worker."""
    for reply_id in replies:
        chat.replies.stop_here(reply_id)
    chat.rooms.pass_on(uuid, Dropped(tuple(replies), ended))


async def ask_for_another(
    chat: Chat,
    reader: Reader,
    conversation: str,
    reply: str | None,
    *,
    when_busy: WhenBusy | None,
    request_id: str,
    granted: Grant | None = None,
) -> Begun:
    """Another reply beside one that is there (by default the last one), committed and on its way.

    Raises `NotFound`, `Ended`, `Busy`, `RateLimited`, `OverBudget` or `Draining`; then nothing has
    changed.
    """
    chat.replies.check_stays()
    if granted is not None:
        await granted.ask_conversation(reader, conversation, None)
    asked = AnotherReply(
        reader=reader,
        conversation=conversation,
        reply=reply,
        now=chat.clock.now(),
        worker=chat.replies.worker,
        lease_until=chat.replies.lease_until(),
        when_busy=when_busy or chat.rules.when_busy,
        budgets=chat.books.budgets,
        refusal=None if granted is None else granted.refusal,
    )
    return await asyncio.shield(chat.replies.beginning(_begin_another(chat, asked, request_id, granted)))


async def _begin_another(chat: Chat, asked: AnotherReply, request_id: str, granted: Grant | None) -> Begun:
    begun = await _counting(chat.store.turns.begin_another(asked), granted)
    await _go_on(chat, begun, request_id, granted)
    return begun


async def stop_reply(chat: Chat, conversation: ConversationId, reply: str | None = None) -> Begun | None:
    """Has the reply end that runs there, wherever it does; the one named `reply` alone, where that is given.

    Gives the turn, which `Replies.wait_end` waits for; None where none runs.
    """
    running = await chat.store.turns.open_reply(conversation)
    if running is None or running.turn.reply.status != "running":
        return None
    if reply is not None and running.turn.reply.uuid != reply:
        return None
    await chat.replies.stop(running.turn.reply.id)
    return running


async def take_back(chat: Chat, reader: Reader, conversation: str, message: str) -> Message:
    """The prompt that waited for its turn, or whose reply did: it is gone for all who are present. Raises
    `NotFound`, and `NotWaiting` for one that is answered or just being answered."""
    taken = await chat.store.turns.take_back(reader, conversation, message, chat.clock.now())
    chat.replies.stop_here(taken.reply_id)
    chat.rooms.pass_on(conversation, Dropped((taken.reply_id,), ended=False, taken_back=True))
    chat.rooms.tell(conversation, Turned(taken.mark))
    chat.rooms.lists.changed(taken.owner_id)
    return taken.prompt


async def show_branch(chat: Chat, reader: Reader, conversation: str, message: str) -> None:
    """Brings the branch into view in which the message stands; everybody present sees it. Raises `NotFound`, and `Busy`
    while a reply runs."""
    turned = await chat.store.branches.show(reader, conversation, message, chat.clock.now())
    if turned is not None:
        owner, mark = turned
        chat.rooms.tell(conversation, Turned(mark))
        chat.rooms.lists.changed(owner)


async def read_up_to(chat: Chat, reader: Reader, conversation: str, message: str, user: str) -> None:
    """Everybody present sees how far `user` has read. It never moves back. Raises `NotFound`."""
    mark = await chat.store.events.read_up_to(reader, conversation, message, chat.clock.now())
    if mark is not None:
        chat.rooms.tell(conversation, MessageRead(mark, message, user))


async def wait_for_answer(chat: Chat, begun: Begun) -> Outcome:
    """The turn once the bot has answered. A reply that somebody stopped is an answer, with the text so far.

    Raises `BotUnavailable` where the bot failed, broke off or said nothing, and `Ended` or `NotFound` where the
    conversation ended or went away while the message waited. The message is kept in every case.
    """
    outcome = await chat.replies.wait_end(begun)
    check_answered(outcome.turn.reply)
    return outcome


def check_answered(reply: Message) -> None:
    """Raises as `wait_for_answer` does."""
    match reply.status, reply.reason:
        case (("complete" | "stopped"), _):
            return
        case _, "ended":
            raise Ended(while_waiting=True)
        case _, "deleted":
            raise NotFound
        case _, "taken_back":
            raise Withdrawn
        case _, "timeout":
            raise BotTimeout
        case _, "empty":
            raise BotUnavailable("empty")
        case "interrupted", _:
            raise BotUnavailable("interrupted")
        case _:
            raise BotUnavailable


async def find_conversation(chat: Chat, reader: Reader, number: int) -> str:
    """The UUID of the conversation that one API shows as an integer. Raises `NotFound`."""
    return (await chat.store.conversations.access(reader, ConversationId(number))).uuid


async def delete_conversation(chat: Chat, reader: Reader, conversation: str) -> None:
    """Hides it at once, in every API, and stops the reply that runs in it. Raises `NotFound`."""
    deleted = await chat.store.conversations.delete(reader, conversation, chat.clock.now())
    await close(chat, deleted, conversation)


async def close(chat: Chat, hidden: Hidden, conversation: str) -> None:
    """What was hidden in the store is left by all who are present, and what ran or waited in it stops."""
    chat.rooms.pass_on(conversation, Gone())
    chat.rooms.lists.changed(hidden.owner_id)
    for reply_id in hidden.replies:
        await _stop_if_possible(chat, reply_id)


async def create_conversation(chat: Chat, new: NewConversation, *, now: Micros | None = None) -> Conversation:
    """`now`, where the caller has looked at the clock already."""
    created = await chat.store.conversations.create(new, chat.clock.now() if now is None else now)
    chat.rooms.lists.changed(created.owner_id)
    return created


async def end_conversation(chat: Chat, reader: Reader, conversation: str) -> Conversation:
    """It takes no more messages; what waits for its turn is not answered. Raises `NotFound` or `Ended`."""
    ended, waiting = await chat.store.conversations.end(reader, conversation, chat.clock.now())
    _drop(chat, conversation, waiting, ended=True)
    chat.rooms.lists.changed(ended.owner_id)
    return ended


async def owner(chat: Chat, caller: User, conversation: Conversation) -> User:
    """Whose conversation it is: usually the caller's, else somebody's on whose behalf the caller acts."""
    if caller.id == conversation.owner_id:
        return caller
    found = await chat.store.accounts.get_user(conversation.owner_id)
    if found is None:
        raise NotFound
    return found
