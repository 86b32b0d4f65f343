-- Where somebody who is away is reached. `web_push` and `fcm` are devices; `mail` says that the person wants word at the
-- address of the account; a `webhook` is an application's, for all of its users, and `events` (JSON) are what it wants.
-- A device is told of by its `digest`: it is one person's, whoever came last. `secret` is what is needed to write there.
-- `token_id` is the person's sign-in that added a device, which goes with it; NULL where an application did.
CREATE TABLE targets (
  id {identity},
  user_id BIGINT NOT NULL REFERENCES users (id),
  token_id BIGINT,
  kind TEXT NOT NULL,
  address TEXT NOT NULL,
  secret TEXT NOT NULL DEFAULT '',
  digest {bytes} UNIQUE,
  host TEXT NOT NULL,
  events TEXT NOT NULL DEFAULT '[]',
  label TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  last_sent_at BIGINT
);
CREATE INDEX targets_by_user ON targets (user_id);
CREATE INDEX targets_by_token ON targets (token_id) WHERE token_id IS NOT NULL;
CREATE UNIQUE INDEX targets_of_a_kind ON targets (user_id, kind) WHERE kind IN ('mail', 'webhook');

-- Whether what was written may stand in what reaches them.
ALTER TABLE users ADD COLUMN shows_text BOOLEAN NOT NULL DEFAULT FALSE;

-- A row without a target is a notice: somebody is to hear of something. It becomes a row for each target of theirs, a
-- delivery, or is `not_needed`. `state` is waiting, sent, dead or not_needed; `problem` says why, in a word of ours.
-- Whoever sends holds it until `lease_until`, which is when it is due again. `attempts` counts who has held it, and fences:
-- what an earlier holder says of it is not taken. `failures` counts the tries that are known to have failed.
ALTER TABLE outbox ADD COLUMN state TEXT NOT NULL DEFAULT 'waiting';
ALTER TABLE outbox ADD COLUMN target_id BIGINT;
ALTER TABLE outbox ADD COLUMN channel TEXT;
ALTER TABLE outbox ADD COLUMN host TEXT;
ALTER TABLE outbox ADD COLUMN worker TEXT;
ALTER TABLE outbox ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN problem TEXT;
UPDATE outbox SET state = 'sent' WHERE done_at IS NOT NULL;
DROP INDEX outbox_due;
CREATE INDEX outbox_notices ON outbox (due_at) WHERE done_at IS NULL AND target_id IS NULL;
CREATE INDEX outbox_deliveries ON outbox (due_at) WHERE done_at IS NULL AND target_id IS NOT NULL;
CREATE INDEX outbox_by_target ON outbox (target_id, conversation_id) WHERE done_at IS NULL AND target_id IS NOT NULL;
CREATE INDEX outbox_by_state ON outbox (state, id);
CREATE INDEX outbox_done ON outbox (done_at) WHERE done_at IS NOT NULL;
CREATE INDEX outbox_by_user ON outbox (user_id);
