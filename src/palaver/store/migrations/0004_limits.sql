-- What one person or application may do where that is other than what the settings say for all. NULL: as they say; 0: no
-- limit. `money_a_month` is in millionths.
CREATE TABLE limits (
  user_id BIGINT PRIMARY KEY REFERENCES users (id),
  turns_a_minute BIGINT,
  replies_at_once BIGINT,
  sockets_at_once BIGINT,
  tokens_a_day BIGINT,
  tokens_a_month BIGINT,
  money_a_month BIGINT
);

-- Counts every change of them: workers look at this one row now and then, and at the table when it is another.
INSERT INTO server (name, value) VALUES ('limits_changes', '0');
