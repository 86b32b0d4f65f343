-- What was brought here from a Firebase export, known by the digest of its key in that file: so it is brought once. Who
-- deletes it here has changed it, and it stays away: its row outlives it. `exchanges` is how many exchanges the files
-- have told of so far; what was said here up to the number `remembered_to` stands in moved_messages.
CREATE TABLE moved (
  app_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  digest {bytes} NOT NULL,
  conversation_id BIGINT REFERENCES conversations (id) ON DELETE SET NULL,
  preset_id BIGINT REFERENCES presets (id) ON DELETE SET NULL,
  exchanges BIGINT NOT NULL DEFAULT 0,
  remembered_to BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (app_id, kind, digest)
);
CREATE INDEX moved_conversations ON moved (conversation_id);
CREATE INDEX moved_presets ON moved (preset_id);

-- Of a session's entry the digest of its role, text, time and how many alike came before; of a connection's message that
-- of its id. Whatever was made of it here, it does not come again.
-- sqlite: CREATE TABLE moved_messages (conversation_id BIGINT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE, digest BLOB NOT NULL, PRIMARY KEY (conversation_id, digest)) WITHOUT ROWID;
-- postgres: CREATE TABLE moved_messages (conversation_id BIGINT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE, digest BYTEA NOT NULL, PRIMARY KEY (conversation_id, digest));
