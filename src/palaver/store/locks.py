"""Locks are taken in one order everywhere, so that two workers never wait for each other: conversations by their UUIDs,
as `SqlTurns.begin` knows them, then messages that run by their ids, then spending by who pays, the ledger by its key,
and presets by their ids; of knowledge its owner, then the collection, then its documents by their ids, then the
embedding. Only PostgreSQL needs it.
"""

LOCK_CONVERSATION = "SELECT id FROM conversations WHERE id = $1 FOR UPDATE"
LOCK_CONVERSATIONS = 'SELECT id FROM conversations WHERE id = ANY ($1::bigint[]) ORDER BY uuid COLLATE "C" FOR UPDATE'
LOCK_RUNNING = (
    "SELECT id FROM messages WHERE conversation_id = ANY ($1::bigint[]) AND status = 'running' ORDER BY id FOR UPDATE"
)
