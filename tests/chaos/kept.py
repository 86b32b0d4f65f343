"""What a server's database holds, read past the server."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from palaver.chat.conversation import Role, Status
from palaver.store import StoreOptions, open_store
from palaver.store.database import Row
from tests.parts.palaver import Server

_MESSAGES = (
    "SELECT m.id, c.uuid, m.number, m.parent_number, m.role, m.status, m.content, m.client_message_id, m.reason, "
    "m.attempt, m.worker, m.created_at FROM messages m JOIN conversations c ON c.id = m.conversation_id "
)
_ORDER = " ORDER BY c.id, m.number"


class Message(msgspec.Struct, frozen=True):
    id: int
    conversation: str
    number: int
    parent_number: int | None
    role: Role
    status: Status
    content: str
    client_message_id: str | None
    reason: str | None
    attempt: int
    worker: str | None
    created_at: int


class Turn(msgspec.Struct, frozen=True):
    """One message of a person, and the one reply to it."""

    prompt: Message
    reply: Message


class Kept:
    """A server's database. It is opened for each look, so that nothing of ours is there when the server dies."""

    def __init__(self, server: Server) -> None:
        environment = server.environment
        folder = Path(environment["PALAVER_DATA_DIR"])
        self.url = environment.get("PALAVER_DATABASE_URL")
        self._options = StoreOptions(folder, self.url, connections=2)

    async def query(self, sql: str, *values: object) -> Sequence[Row]:
        async with open_store(self._options) as store:
            return await store.database.read(lambda tx: tx.all(sql, *values))

    async def messages(self, conversation: str | None = None) -> list[Message]:
        """All messages, or those of one conversation, in order."""
        where = "" if conversation is None else "WHERE c.uuid = $1"
        rows = await self.query(_MESSAGES + where + _ORDER, *([] if conversation is None else [conversation]))
        return [Message(*row) for row in rows]

    async def turn(self, client_message_id: str) -> Turn:
        """The one turn with this client id. `AssertionError` where there is none, or more than one."""
        return turn_in(await self.messages(), client_message_id)

    async def open_replies(self, *, to: str = "") -> list[Message]:
        """Replies that run or wait for their turn; only those to prompts whose client ids begin so."""
        rows = await self.query(
            f"{_MESSAGES} JOIN messages p ON p.conversation_id = m.conversation_id AND p.number = m.parent_number "
            f"WHERE m.status IN ('running', 'queued') AND p.client_message_id LIKE $1 {_ORDER}",
            f"{to}%",
        )
        return [Message(*row) for row in rows]

    async def log_rows(self) -> int:
        """Rows in the log of running replies."""
        count: int = (await self.query("SELECT count(*) FROM reply_log"))[0][0]
        return count

    async def miscounted(self) -> Sequence[Row]:
        """Conversations whose counters do not say what is in them."""
        return await self.query(
            "SELECT * FROM (SELECT c.uuid, c.message_count AS said, c.exchange_count AS exchanged, "
            "c.open_replies AS open, "
            "(SELECT count(*) FROM messages m WHERE m.conversation_id = c.id AND (m.role = 'user' OR m.content <> '')"
            ") AS messages, "
            "(SELECT count(*) FROM messages m WHERE m.conversation_id = c.id AND m.role = 'assistant' "
            "AND m.content <> '' AND m.status IN ('complete', 'stopped')) AS exchanges, "
            "(SELECT count(*) FROM messages m WHERE m.conversation_id = c.id AND m.status IN ('running', 'queued')"
            ") AS running FROM conversations c) AS counted "
            "WHERE said <> messages OR exchanged <> exchanges OR open <> running"
        )


def turn_in(messages: Sequence[Message], client_message_id: str) -> Turn:
    """The one turn with this client id. `AssertionError` where there is none, or more than one."""
    prompts = [message for message in messages if message.client_message_id == client_message_id]
    assert len(prompts) == 1, f"{client_message_id} is there {len(prompts)} times: {prompts}"
    (prompt,) = prompts
    replies = [
        message
        for message in messages
        if message.conversation == prompt.conversation and message.parent_number == prompt.number
    ]
    replies = [message for message in replies if message.role == "assistant"]
    assert len(replies) == 1, f"{client_message_id} has {len(replies)} replies: {replies}"
    return Turn(prompt, replies[0])
