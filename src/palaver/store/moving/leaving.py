"""What an application's users have said, read page by page to be taken elsewhere."""

from collections.abc import Sequence

from palaver.chat.conversation import ConversationId
from palaver.chat.moved import MovedConnection, MovedMessage, MovedSession, Page
from palaver.chat.preset import Preset
from palaver.chat.user import UserId
from palaver.store.database import Database
from palaver.store.rows import PRESET, to_preset

# Of the application, of its users, and those that their sessions began with. What every server has stays.
TEMPLATES = (
    f"SELECT {PRESET} FROM presets p WHERE p.deleted_at IS NULL AND p.owner_id IS NOT NULL AND (p.owner_id IN "
    "(SELECT u.id FROM users u WHERE u.id = $1 OR u.app_id = $1) OR p.id IN "
    "(SELECT c.preset_id FROM conversations c WHERE c.app_id = $1 AND c.deleted_at IS NULL)) ORDER BY p.id"
)
OF_ITS_USERS = (
    "FROM conversations c JOIN users u ON u.id = c.owner_id WHERE c.app_id = $1 AND c.kind = '{kind}' "
    "AND c.deleted_at IS NULL AND u.kind = 'app_user'"
)
COUNT = (
    f"SELECT (SELECT COUNT(*) {OF_ITS_USERS.format(kind='bot')}) + (SELECT COUNT(*) {OF_ITS_USERS.format(kind='pair')})"
)
SESSIONS = (
    "SELECT c.id, c.uuid, u.name, c.preset_slug, (SELECT t.text FROM texts t WHERE t.id = c.prompt_id), c.status, "
    f"c.created_at, c.last_message_at, c.ended_at, c.exchange_count {OF_ITS_USERS.format(kind='bot')} "
    "AND c.id > $2 ORDER BY c.id LIMIT $3"
)
PAIRS = (
    "SELECT c.id, c.uuid, u.name, (SELECT o.name FROM participants p JOIN users o ON o.id = p.user_id "
    "WHERE p.conversation_id = c.id AND p.user_id <> c.owner_id ORDER BY p.joined_at, p.user_id LIMIT 1), c.status, "
    f"c.created_at {OF_ITS_USERS.format(kind='pair')} AND c.id > $2 ORDER BY c.id LIMIT $3"
)
# The system prompt stands with the session; a reply that is open has said nothing yet that stays.
SAID = (
    "SELECT m.number, m.role, m.content, m.created_at, m.uuid, u.name FROM messages m "
    "LEFT JOIN users u ON u.id = m.sender_id WHERE m.conversation_id = $1 AND m.number > $2 AND m.number > 0 "
    "AND m.in_view AND m.role IN ('user', 'assistant', 'system') AND m.status NOT IN ('queued', 'running') "
    "AND (m.content <> '' OR m.role <> 'assistant') AND m.removed_at IS NULL ORDER BY m.number LIMIT $3"
)
CONVERSATIONS_AT_ONCE = 100
MESSAGES_AT_ONCE = 1000


class SqlLeaving:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, app_id: UserId) -> int:
        row = await self._database.read(lambda tx: tx.one(COUNT, app_id))
        return 0 if row is None else int(row[0])

    async def templates(self, app_id: UserId) -> Sequence[Preset]:
        return [to_preset(row) for row in await self._database.read(lambda tx: tx.all(TEMPLATES, app_id))]

    async def sessions(self, app_id: UserId, after: ConversationId) -> Page[MovedSession]:
        rows = await self._database.read(lambda tx: tx.all(SESSIONS, app_id, after, CONVERSATIONS_AT_ONCE))
        return [
            (
                id_,
                MovedSession(
                    key=uuid, uuid=uuid, user=user, template=template, prompt=prompt or "", ended=status == "ended",
                    created_at=created, last_activity=last, ended_at=ended, exchanges=exchanges,
                ),
            )
            for id_, uuid, user, template, prompt, status, created, last, ended, exchanges in rows
        ]  # fmt: skip

    async def connections(self, app_id: UserId, after: ConversationId) -> Page[MovedConnection]:
        rows = await self._database.read(lambda tx: tx.all(PAIRS, app_id, after, CONVERSATIONS_AT_ONCE))
        return [
            (id_, MovedConnection(uuid, uuid, user1, user2 or "", status == "ended", created))
            for id_, uuid, user1, user2, status, created in rows
        ]

    async def messages(self, conversation_id: ConversationId, after: int) -> Sequence[tuple[int, MovedMessage]]:
        rows = await self._database.read(lambda tx: tx.all(SAID, conversation_id, after, MESSAGES_AT_ONCE))
        return [
            (number, MovedMessage(b"", role, content, at, sender, uuid))
            for number, role, content, at, uuid, sender in rows
        ]
