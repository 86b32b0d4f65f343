"""What a bot sees of people: their last messages, each with who said it."""

from collections.abc import Sequence

from msgspec.structs import replace

from palaver.chat.context import count_tokens, history_limit, tokens_of
from palaver.chat.conversation import Conversation, Message, Past, Turn
from palaver.chat.ports import Begun
from palaver.store.database import Transaction

# As for any other bot (`store/summaries.py`), with names.
SAID = (
    "SELECT m.number, m.role, m.content, m.token_count, CASE WHEN m.role = 'user' THEN s.name END FROM messages m "
    "LEFT JOIN users s ON s.id = m.sender_id WHERE m.conversation_id = $1 AND m.number < $2 AND m.in_view "
    "AND m.role IN ('user', 'assistant') AND m.content <> '' AND m.status IN ('complete', 'stopped', 'interrupted') "
    "ORDER BY m.number DESC LIMIT $3"
)
NAME = "SELECT name FROM users WHERE id = $1"


async def read_people(tx: Transaction, conversation: Conversation, before: int) -> Sequence[Past]:
    """Newest first."""
    rows = await tx.all(SAID, conversation.id, before, history_limit(conversation.speaking))
    return [
        Past(number, role, _spoken(name, content), (tokens or 0) + _extra(name))
        for number, role, content, tokens, name in rows
    ]


async def among_people(tx: Transaction, begun: Begun, prompt: Message) -> Begun:
    """With what its bot is to see, and the `prompt` as it is to see it."""
    turn = begun.turn
    history = await read_people(tx, turn.conversation, turn.prompt.number)
    return replace(begun, turn=replace(turn, prompt=prompt), history=history, history_tokens=tokens_of(history))


def paid_by(turn: Turn) -> Turn:
    """Who asked the bot pays for what it says: towards the ledger the conversation is theirs."""
    asker = turn.reply.sender_id
    if not turn.conversation.is_of_people or asker is None:
        return turn
    return replace(turn, conversation=replace(turn.conversation, owner_id=asker))


async def with_name(tx: Transaction, prompt: Message) -> Message:
    """What is said to a bot, with who says it."""
    row = None if prompt.sender_id is None else await tx.one(NAME, prompt.sender_id)
    name = None if row is None else row[0]
    tokens = (prompt.token_count or 0) + _extra(name)
    return replace(prompt, content=_spoken(name, prompt.content), token_count=tokens)


def _spoken(name: str | None, content: str) -> str:
    return content if name is None else f"{name}: {content}"


def _extra(name: str | None) -> int:
    return 0 if name is None else count_tokens(f"{name}: ")
