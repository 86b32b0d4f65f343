-- People who talk to each other: conversations of the kinds 'pair' and 'group'. Whoever began one is its owner; who is
-- in it stands in `participants`, the owner too. A pair has a key while nobody has ended it: there is one at a time.
ALTER TABLE conversations ADD COLUMN pair_key TEXT;
CREATE UNIQUE INDEX one_active_pair ON conversations (pair_key) WHERE pair_key IS NOT NULL;

-- How many messages of others stand behind `read_number`, counted in the transactions that change it. A group has
-- at least one manager, who invites, renames and removes.
ALTER TABLE participants ADD COLUMN unread BIGINT NOT NULL DEFAULT 0;
ALTER TABLE participants ADD COLUMN manages BOOLEAN NOT NULL DEFAULT FALSE;

-- What its author has worded anew, or taken away for all: then no word of it is kept.
ALTER TABLE messages ADD COLUMN edited_at BIGINT;
ALTER TABLE messages ADD COLUMN removed_at BIGINT;

-- Of two people, whatever they have talked in, and however that ended.
CREATE TABLE blocks (
  blocker_id BIGINT NOT NULL REFERENCES users (id),
  blocked_id BIGINT NOT NULL REFERENCES users (id),
  created_at BIGINT NOT NULL,
  PRIMARY KEY (blocker_id, blocked_id)
);
CREATE INDEX blocks_of_blocked ON blocks (blocked_id);

-- When somebody was last seen, to the minute; who does not want that to be known is not shown to others.
ALTER TABLE users ADD COLUMN seen_at BIGINT;
ALTER TABLE users ADD COLUMN shows_presence BOOLEAN NOT NULL DEFAULT TRUE;
