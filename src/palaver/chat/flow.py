"""The one path of every turn, whatever API it came in by. Who asks "where does a message go?" starts reading here."""

import asyncio

from msgspec import Struct

from palaver.chat.clock import Clock
from palaver.chat.context import count_tokens
from palaver.chat.conversation import Conversation, ConversationId, NewConversation, Turn, WhenBusy
from palaver.chat.errors import BotTimeout, BotUnavailable, Draining, Ended, NotFound
from palaver.chat.ports import Begun, Bots, NewTurn, Store
from palaver.chat.reply import Outcome, Replies
from palaver.chat.user import Reader, User


class Rules(Struct, frozen=True):
    """What the operator has settled for every turn and every conversation."""

    when_busy: WhenBusy = "queue"
    guests: bool = False
    idle_seconds: float = 1800
    retention_seconds: float = 30 * 86_400
    domain_model: str | None = None
    domain_temperature: float | None = None
    default_model: str = "qwen3:8b"
    default_temperature: float = 0.7
    default_tools: bool = True


class Chat(Struct, frozen=True):
    """What the core works with; made once by the composition root."""

    store: Store
    bots: Bots
    replies: Replies
    clock: Clock
    rules: Rules


async def continue_chat(
    chat: Chat,
    reader: Reader,
    text: str,
    *,
    conversation: str | None = None,
    new: NewConversation | None = None,
    client_message_id: str | None = None,
    when_busy: WhenBusy | None = None,
    request_id: str = "",
) -> Begun:
    """The person's message, committed, with the bot's reply on its way.

    It goes on in `conversation`, or in `new`, which is made with it. The same `client_message_id` with the same text is
    the same turn. Raises `NotFound`, `Ended`, `Busy`, `Conflict` or `Draining`; then nothing has changed.
    """
    if chat.replies.draining:
        raise Draining
    turn = NewTurn(
        reader=reader,
        text=text,
        token_count=count_tokens(text),
        now=chat.clock.now(),
        worker=chat.replies.worker,
        lease_until=chat.replies.lease_until(),
        when_busy=when_busy or chat.rules.when_busy,
        conversation=conversation,
        new=new,
        client_message_id=client_message_id,
    )
    # A caller that goes away while its message is being committed would leave a reply that nobody makes.
    return await asyncio.shield(_begin(chat, turn, request_id))


async def _begin(chat: Chat, turn: NewTurn, request_id: str) -> Begun:
    begun = await chat.store.turns.begin(turn)
    if begun.state == "started":
        chat.replies.start(begun, request_id)
    if begun.interrupts is not None:
        chat.replies.stop_here(begun.interrupts)
    return begun


async def wait_for_answer(chat: Chat, begun: Begun) -> Outcome:
    """The turn once the bot has answered. A reply that somebody stopped is an answer, with the text so far.

    Raises `BotUnavailable` where the bot failed, broke off or said nothing, and `Ended` or `NotFound` where the
    conversation ended or went away while the message waited. The message is kept in every case.
    """
    outcome = await chat.replies.wait_end(begun)
    check_answered(outcome.turn)
    return outcome


def check_answered(turn: Turn) -> None:
    reply = turn.reply
    match reply.status, reply.reason:
        case (("complete" | "stopped"), _):
            return
        case _, "ended":
            raise Ended(while_waiting=True)
        case _, "deleted":
            raise NotFound
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
    for reply_id in await chat.store.conversations.delete(reader, conversation, chat.clock.now()):
        chat.replies.stop_here(reply_id)


async def end_conversation(chat: Chat, reader: Reader, conversation: str) -> Conversation:
    """It takes no more messages; what waits for its turn is not answered. Raises `NotFound` or `Ended`."""
    ended, waiting = await chat.store.conversations.end(reader, conversation, chat.clock.now())
    for reply_id in waiting:
        chat.replies.stop_here(reply_id)
    return ended


async def owner(chat: Chat, caller: User, conversation: Conversation) -> User:
    """Whose conversation it is: usually the caller's, else somebody's on whose behalf the caller acts."""
    if caller.id == conversation.owner_id:
        return caller
    found = await chat.store.accounts.get_user(conversation.owner_id)
    if found is None:
        raise NotFound
    return found
