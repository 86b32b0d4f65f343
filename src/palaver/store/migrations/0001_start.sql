-- The first schema. {words in braces} differ between SQLite and PostgreSQL; see store/migrate.py.
-- Times are microseconds since 1970 in UTC. Texts that are JSON are written and read by the code alone.

CREATE TABLE schema_version (
  version BIGINT NOT NULL
);

CREATE TABLE server (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

CREATE TABLE users (
  id {identity},
  uuid TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  name_key TEXT NOT NULL,
  email TEXT NOT NULL DEFAULT '',
  email_key TEXT NOT NULL DEFAULT '',
  full_name TEXT NOT NULL DEFAULT '',
  password_hash TEXT,
  is_admin BOOLEAN NOT NULL DEFAULT FALSE,
  app_id BIGINT REFERENCES users (id),
  created_at BIGINT NOT NULL,
  disabled_at BIGINT
);
CREATE UNIQUE INDEX users_by_name ON users (kind, name_key) WHERE kind IN ('person', 'app');
CREATE UNIQUE INDEX users_by_email ON users (email_key) WHERE kind = 'person' AND email_key <> '';
CREATE UNIQUE INDEX users_by_app ON users (app_id, name) WHERE kind = 'app_user';

CREATE TABLE tokens (
  id {identity},
  user_id BIGINT NOT NULL REFERENCES users (id),
  kind TEXT NOT NULL,
  digest {bytes} NOT NULL UNIQUE,
  label TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  expires_at BIGINT,
  revoked_at BIGINT,
  last_used_at BIGINT
);
CREATE INDEX tokens_by_user ON tokens (user_id);

-- System prompts, each kept once however many conversations start with it, and never changed.
CREATE TABLE texts (
  id {identity},
  digest {bytes} NOT NULL UNIQUE,
  text TEXT NOT NULL
);

CREATE TABLE presets (
  id {identity},
  slug TEXT NOT NULL,
  owner_id BIGINT REFERENCES users (id),
  name TEXT NOT NULL,
  title TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  category TEXT NOT NULL DEFAULT 'general',
  prompt TEXT NOT NULL,
  welcome TEXT NOT NULL DEFAULT '',
  provider TEXT,
  model TEXT,
  temperature DOUBLE PRECISION,
  max_tokens BIGINT,
  presence_penalty DOUBLE PRECISION,
  frequency_penalty DOUBLE PRECISION,
  history_window BIGINT,
  slides BOOLEAN NOT NULL DEFAULT FALSE,
  token_budget BIGINT,
  enable_tools BOOLEAN NOT NULL DEFAULT FALSE,
  collection TEXT,
  tags TEXT NOT NULL DEFAULT '[]',
  visibility TEXT NOT NULL DEFAULT 'private',
  is_default BOOLEAN NOT NULL DEFAULT FALSE,
  usage_count BIGINT NOT NULL DEFAULT 0,
  version BIGINT NOT NULL DEFAULT 1,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  deleted_at BIGINT
);
CREATE UNIQUE INDEX presets_by_slug ON presets (slug) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX presets_by_name ON presets (owner_id, name) WHERE deleted_at IS NULL;

-- No index holds a column that a turn changes: a turn would pay for it, and PostgreSQL could not update in place.
CREATE TABLE conversations (
  id {identity},
  uuid TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL DEFAULT 'bot',
  owner_id BIGINT NOT NULL REFERENCES users (id),
  app_id BIGINT,
  origin TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'active',
  title TEXT NOT NULL,
  prompt_id BIGINT REFERENCES texts (id),
  preset_id BIGINT,
  preset_slug TEXT NOT NULL DEFAULT 'general',
  provider TEXT,
  model TEXT,
  temperature DOUBLE PRECISION,
  max_tokens BIGINT,
  presence_penalty DOUBLE PRECISION,
  frequency_penalty DOUBLE PRECISION,
  history_window BIGINT,
  slides BOOLEAN NOT NULL DEFAULT FALSE,
  token_budget BIGINT,
  enable_tools BOOLEAN NOT NULL DEFAULT FALSE,
  collection TEXT,
  label TEXT NOT NULL DEFAULT '',
  creation_key TEXT,
  client_name TEXT,
  open_by_id BOOLEAN NOT NULL DEFAULT FALSE,
  ends_when_idle BOOLEAN NOT NULL DEFAULT FALSE,
  revision BIGINT NOT NULL DEFAULT 1,
  context_from BIGINT NOT NULL DEFAULT 0,
  summary TEXT,
  last_number BIGINT NOT NULL DEFAULT 0,
  leaf_number BIGINT NOT NULL DEFAULT 0,
  message_count BIGINT NOT NULL DEFAULT 0,
  exchange_count BIGINT NOT NULL DEFAULT 0,
  open_replies BIGINT NOT NULL DEFAULT 0,
  prompt_tokens BIGINT NOT NULL DEFAULT 0,
  completion_tokens BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  last_message_at BIGINT,
  ended_at BIGINT,
  deleted_at BIGINT
);
CREATE INDEX conversations_by_owner ON conversations (owner_id);
CREATE INDEX conversations_by_prompt ON conversations (prompt_id) WHERE prompt_id IS NOT NULL;
CREATE UNIQUE INDEX conversations_by_creation ON conversations (owner_id, creation_key)
  WHERE creation_key IS NOT NULL AND deleted_at IS NULL;
CREATE UNIQUE INDEX conversations_by_client_name ON conversations (owner_id, client_name)
  WHERE client_name IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX conversations_idle ON conversations (id) WHERE ends_when_idle AND status = 'active';
CREATE INDEX conversations_deleted ON conversations (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE participants (
  conversation_id BIGINT NOT NULL REFERENCES conversations (id),
  user_id BIGINT NOT NULL REFERENCES users (id),
  joined_at BIGINT NOT NULL,
  left_at BIGINT,
  read_number BIGINT NOT NULL DEFAULT 0,
  muted BOOLEAN NOT NULL DEFAULT FALSE,
  PRIMARY KEY (conversation_id, user_id)
);
CREATE INDEX participants_by_user ON participants (user_id);

-- A message follows `parent_number` of its conversation: a tree. `in_view` marks the branch that is shown, so that
-- the usual straight conversation is read by its order alone. A reply that runs holds its worker's lease.
CREATE TABLE messages (
  id {identity},
  conversation_id BIGINT NOT NULL REFERENCES conversations (id),
  number BIGINT NOT NULL,
  parent_number BIGINT,
  uuid TEXT NOT NULL,
  in_view BOOLEAN NOT NULL DEFAULT TRUE,
  role TEXT NOT NULL,
  status TEXT NOT NULL,
  content TEXT NOT NULL,
  sender_id BIGINT,
  client_message_id TEXT,
  created_at BIGINT NOT NULL,
  token_count BIGINT,
  model TEXT,
  reason TEXT,
  prompt_tokens BIGINT,
  completion_tokens BIGINT,
  cached_tokens BIGINT,
  usage_estimated BOOLEAN NOT NULL DEFAULT FALSE,
  exchange BIGINT,
  details TEXT,
  attempt BIGINT NOT NULL DEFAULT 1,
  worker TEXT,
  lease_until BIGINT,
  stop_asked BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE UNIQUE INDEX messages_in_order ON messages (conversation_id, number);
CREATE UNIQUE INDEX messages_by_client_id ON messages (conversation_id, sender_id, client_message_id)
  WHERE client_message_id IS NOT NULL;
CREATE UNIQUE INDEX one_running_reply ON messages (conversation_id) WHERE status = 'running';
CREATE INDEX messages_queued ON messages (conversation_id, number) WHERE status = 'queued';

-- What a running reply has said so far, a row for each checkpoint; gone once the reply has ended.
CREATE TABLE reply_log (
  message_id BIGINT NOT NULL,
  attempt BIGINT NOT NULL,
  position BIGINT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (message_id, attempt, position)
);

-- What answers have used whose messages are not here: never stored, or purged. The others carry it themselves.
CREATE TABLE usage (
  id {number},
  at BIGINT NOT NULL,
  user_id BIGINT NOT NULL,
  message_id BIGINT,
  model TEXT,
  prompt_tokens BIGINT NOT NULL,
  completion_tokens BIGINT NOT NULL,
  cached_tokens BIGINT NOT NULL
);

-- What has to reach somebody outside, written in the transaction that gave the reason.
CREATE TABLE outbox (
  id {identity},
  user_id BIGINT NOT NULL REFERENCES users (id),
  conversation_id BIGINT,
  message_id BIGINT,
  kind TEXT NOT NULL,
  payload TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  attempts BIGINT NOT NULL DEFAULT 0,
  lease_until BIGINT,
  done_at BIGINT
);
CREATE INDEX outbox_due ON outbox (due_at) WHERE done_at IS NULL;

INSERT INTO presets (id, slug, name, title, description, prompt, model, temperature, max_tokens,
  presence_penalty, frequency_penalty, history_window, slides, visibility, created_at, updated_at) VALUES
 (1, 'general', 'general', 'General assistant', 'A friendly assistant for everyday questions.',
  'You are a friendly, helpful assistant. Answer briefly and clearly.',
  'gpt-4o-mini', 0.9, 50, 0.6, 0.6, 10, TRUE, 'public', {now}, {now}),
 (2, 'domain', 'domain', 'Domain', 'What chat_domain starts with.',
  'You are a helpful assistant. Give concise, friendly answers.',
  'gpt-4', 0.7, NULL, NULL, NULL, 20, FALSE, 'internal', {now}, {now}),
 (3, 'streaming', 'streaming', 'Streaming', 'What streaming_chat starts with.',
  'You are a kind and helpful assistant.',
  'gpt-4.1-nano', NULL, 150, NULL, NULL, 20, FALSE, 'internal', {now}, {now});
-- postgres: SELECT setval(pg_get_serial_sequence('presets', 'id'), 3);
