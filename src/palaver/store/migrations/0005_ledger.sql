-- What tokens and money went where. Money is in millionths of the operator's currency; a day is counted from 1970 in UTC.

-- What a million tokens of a model cost from a moment on. Rows are added and never changed.
CREATE TABLE prices (
  model TEXT NOT NULL,
  since BIGINT NOT NULL,
  input BIGINT NOT NULL,
  cached_input BIGINT NOT NULL,
  output BIGINT NOT NULL,
  PRIMARY KEY (model, since)
);

-- What a reply has cost, by the price that held when it ended. What is held back for one that is open: whoever pays for
-- it has no more than that left until it ends.
ALTER TABLE messages ADD COLUMN cost BIGINT;
ALTER TABLE messages ADD COLUMN payer_id BIGINT;
ALTER TABLE messages ADD COLUMN payer_app_id BIGINT;
ALTER TABLE messages ADD COLUMN reserved_tokens BIGINT;
ALTER TABLE messages ADD COLUMN reserved_money BIGINT;
CREATE INDEX messages_reserved ON messages (payer_id)
  WHERE payer_id IS NOT NULL AND status IN ('queued', 'running');
CREATE INDEX messages_reserved_by_app ON messages (payer_app_id)
  WHERE payer_app_id IS NOT NULL AND status IN ('queued', 'running');

ALTER TABLE conversations ADD COLUMN cached_tokens BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN cost BIGINT NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN cost BIGINT NOT NULL DEFAULT 0;

-- The same for answers that are stored nowhere. Where their worker died, they are good for nothing after `until`.
CREATE TABLE reservations (
  id {identity},
  payer_id BIGINT NOT NULL,
  payer_app_id BIGINT,
  tokens BIGINT NOT NULL,
  money BIGINT NOT NULL,
  until BIGINT NOT NULL
);
CREATE INDEX reservations_by_payer ON reservations (payer_id);
CREATE INDEX reservations_by_app ON reservations (payer_app_id) WHERE payer_app_id IS NOT NULL;

-- Every token that was ever used, in sums. It refers to nothing: who and what it names may be gone. 0: no application,
-- no preset.
CREATE TABLE ledger (
  user_id BIGINT NOT NULL,
  day BIGINT NOT NULL,
  app_id BIGINT NOT NULL,
  model TEXT NOT NULL,
  preset_id BIGINT NOT NULL,
  turns BIGINT NOT NULL,
  prompt_tokens BIGINT NOT NULL,
  completion_tokens BIGINT NOT NULL,
  cached_tokens BIGINT NOT NULL,
  cost BIGINT NOT NULL,
  PRIMARY KEY (user_id, day, app_id, model, preset_id)
);
CREATE INDEX ledger_by_day ON ledger (day);
CREATE INDEX ledger_by_app ON ledger (app_id, day) WHERE app_id <> 0;

-- What those with a budget have spent, so that nobody adds up the ledger at each turn: `user:7`, or `app:3` with all its
-- users, in the last day and the last month (by its first day) in which there was something. A row that is not there is
-- made from the ledger.
CREATE TABLE spending (
  scope TEXT PRIMARY KEY,
  day BIGINT NOT NULL,
  month BIGINT NOT NULL,
  tokens_today BIGINT NOT NULL,
  tokens_this_month BIGINT NOT NULL,
  money_this_month BIGINT NOT NULL
);

INSERT INTO ledger (user_id, day, app_id, model, preset_id, turns, prompt_tokens, completion_tokens, cached_tokens, cost)
  SELECT c.owner_id, m.created_at / 86400000000, COALESCE(c.app_id, 0), COALESCE(m.model, c.model, ''),
    COALESCE(c.preset_id, 0), COUNT(*), SUM(m.prompt_tokens), SUM(m.completion_tokens),
    SUM(COALESCE(m.cached_tokens, 0)), 0
  FROM messages m JOIN conversations c ON c.id = m.conversation_id WHERE m.prompt_tokens IS NOT NULL
  GROUP BY 1, 2, 3, 4, 5;
INSERT INTO ledger (user_id, day, app_id, model, preset_id, turns, prompt_tokens, completion_tokens, cached_tokens, cost)
  SELECT g.user_id, g.at / 86400000000, COALESCE(u.app_id, 0), COALESCE(g.model, ''), 0, COUNT(*),
    SUM(g.prompt_tokens), SUM(g.completion_tokens), SUM(g.cached_tokens), 0
  FROM usage g LEFT JOIN users u ON u.id = g.user_id WHERE TRUE
  GROUP BY 1, 2, 3, 4, 5
  ON CONFLICT (user_id, day, app_id, model, preset_id) DO UPDATE SET turns = ledger.turns + excluded.turns,
    prompt_tokens = ledger.prompt_tokens + excluded.prompt_tokens,
    completion_tokens = ledger.completion_tokens + excluded.completion_tokens,
    cached_tokens = ledger.cached_tokens + excluded.cached_tokens;
UPDATE messages SET cost = 0 WHERE prompt_tokens IS NOT NULL;
