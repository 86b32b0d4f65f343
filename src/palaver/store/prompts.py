"""The system prompt as a message: listed before all others, and replaced where it stands."""

from palaver.chat.clock import Micros
from palaver.chat.context import count_tokens
from palaver.chat.conversation import Conversation
from palaver.chat.turn import make_message_uuid
from palaver.store.database import Transaction
from palaver.store.texts import Texts

# Before the first: whatever was said has a number of its own already.
NUMBER = 0

ADD = (
    "INSERT INTO messages (conversation_id, number, uuid, role, status, content, created_at, token_count) "
    f"VALUES ($1, {NUMBER}, $2, 'system', 'complete', $3, $4, $5)"
)
FIND = f"SELECT uuid FROM messages WHERE conversation_id = $1 AND number = {NUMBER}"
REWORD = f"UPDATE messages SET content = $2, token_count = $3 WHERE conversation_id = $1 AND number = {NUMBER}"
REMOVE = f"DELETE FROM messages WHERE conversation_id = $1 AND number = {NUMBER}"


async def list_prompt(tx: Transaction, conversation: Conversation, prompt: str) -> str:
    """Makes it the first message, as old as the conversation. Gives its UUID."""
    uuid = make_message_uuid(conversation.created_at, NUMBER)
    await tx.run(ADD, conversation.id, uuid, prompt, conversation.created_at, count_tokens(prompt))
    return uuid


async def change_prompt(
    tx: Transaction, texts: Texts, conversation: Conversation, prompt: str, now: Micros
) -> dict[str, object]:
    """Makes it the first message in place of the one that is there; an empty one takes that away. Gives the columns of
    the conversation that change with it."""
    text_id = await texts.add(tx, prompt) if prompt else None
    listed = await tx.one(FIND, conversation.id)
    if text_id == conversation.prompt_id and (listed is not None) == bool(prompt):
        return {}
    if conversation.prompt_id is not None and conversation.prompt_id != text_id:
        await texts.leave(tx, conversation.prompt_id, now)
    # What was seen before has changed: who has seen it needs a fresh look.
    changed: dict[str, object] = {
        "prompt_id": text_id,
        "revision": conversation.revision + 1,
        "event": conversation.event + 1,
    }
    if listed is None:
        if prompt:
            uuid = await list_prompt(tx, conversation, prompt)
            changed["message_count"] = conversation.message_count + 1
            changed["leaf_uuid"] = conversation.leaf_uuid or uuid
    elif prompt:
        await tx.run(REWORD, conversation.id, prompt, count_tokens(prompt))
    else:
        await tx.run(REMOVE, conversation.id)
        changed["message_count"] = conversation.message_count - 1
        changed["leaf_uuid"] = None if conversation.leaf_uuid == listed[0] else conversation.leaf_uuid
    return changed
