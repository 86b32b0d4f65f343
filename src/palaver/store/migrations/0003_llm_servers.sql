-- LLM servers that admins have added, beside those that the settings name.
CREATE TABLE llm_servers (
  id {identity},
  name TEXT NOT NULL UNIQUE,
  url TEXT NOT NULL,
  api_key TEXT,
  models TEXT NOT NULL DEFAULT '[]',
  weight DOUBLE PRECISION NOT NULL DEFAULT 1,
  most_at_once BIGINT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);

-- Counts every change of them: each worker looks at this one row once a second, and not at the table.
INSERT INTO server (name, value) VALUES ('llm_server_changes', '0');

-- What an admin says of a model; servers never change it.
ALTER TABLE models ADD COLUMN own_context_length BIGINT;
ALTER TABLE models ADD COLUMN capabilities TEXT NOT NULL DEFAULT '[]';
