-- Every event of a conversation has a number, and a cursor says which of them were heard. A person's message has the
-- number under which it was told; a reply that of its start (`event`) and of its end (`end_event`).
ALTER TABLE conversations ADD COLUMN event BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN leaf_uuid TEXT;
ALTER TABLE messages ADD COLUMN event BIGINT NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN end_event BIGINT NOT NULL DEFAULT 0;
ALTER TABLE participants ADD COLUMN read_event BIGINT NOT NULL DEFAULT 0;
UPDATE conversations SET leaf_uuid = (SELECT m.uuid FROM messages m
  WHERE m.conversation_id = conversations.id AND m.number = conversations.leaf_number);

-- Hidden like a deleted one, and never purged.
ALTER TABLE conversations ADD COLUMN kept BOOLEAN NOT NULL DEFAULT FALSE;

-- A system prompt that a conversation no longer has; where no other has it, it is removed after a day.
ALTER TABLE texts ADD COLUMN left_at BIGINT;
CREATE INDEX texts_left ON texts (left_at) WHERE left_at IS NOT NULL;

-- What the LLM server has ever offered. A name that vanished stays, as not available.
CREATE TABLE models (
  id {identity},
  name TEXT NOT NULL UNIQUE,
  display_name TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  size BIGINT,
  parameter_count TEXT NOT NULL DEFAULT '',
  context_length BIGINT,
  is_available BOOLEAN NOT NULL DEFAULT TRUE,
  is_default BOOLEAN NOT NULL DEFAULT FALSE,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX one_default_model ON models (is_default) WHERE is_default;

-- Counts every change of who may hear: whoever holds open streams looks at this one row, and not at each token.
INSERT INTO server (name, value) VALUES ('access_changes', '0');
