-- People who may see and use a preset that is nobody else's.
CREATE TABLE preset_shares (
  preset_id BIGINT NOT NULL REFERENCES presets (id),
  user_id BIGINT NOT NULL REFERENCES users (id),
  PRIMARY KEY (preset_id, user_id)
);
CREATE INDEX preset_shares_by_user ON preset_shares (user_id);

-- What a preset was before each of its changes: `content` is JSON. What it is now stands in its own row.
CREATE TABLE preset_versions (
  preset_id BIGINT NOT NULL REFERENCES presets (id),
  number BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  changed_by BIGINT,
  content TEXT NOT NULL,
  PRIMARY KEY (preset_id, number)
);
ALTER TABLE presets ADD COLUMN changed_by BIGINT;
-- Who has changed one that was changed is not known any more.
UPDATE presets SET changed_by = owner_id WHERE version = 1;

ALTER TABLE presets ADD COLUMN caches_answers BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE conversations ADD COLUMN caches_answers BOOLEAN NOT NULL DEFAULT FALSE;
-- A reply that was given before, to the same question.
ALTER TABLE messages ADD COLUMN cached BOOLEAN NOT NULL DEFAULT FALSE;

-- Answers that may be given again to the one who got them. The newest have the highest ids.
CREATE TABLE answers (
  id {identity},
  digest {bytes} NOT NULL UNIQUE,
  user_id BIGINT NOT NULL REFERENCES users (id),
  conversation_id BIGINT NOT NULL,
  text TEXT NOT NULL,
  reason TEXT NOT NULL,
  model TEXT,
  expires_at BIGINT NOT NULL
);
CREATE INDEX answers_by_user ON answers (user_id);
CREATE INDEX answers_by_conversation ON answers (conversation_id);
CREATE INDEX answers_by_end ON answers (expires_at);
