-- What is held back for somebody's replies is summed up for each turn of theirs: the index alone tells.
DROP INDEX messages_reserved;
DROP INDEX messages_reserved_by_app;
CREATE INDEX messages_reserved ON messages (payer_id, reserved_tokens, reserved_money)
  WHERE payer_id IS NOT NULL AND status IN ('queued', 'running');
CREATE INDEX messages_reserved_by_app ON messages (payer_app_id, reserved_tokens, reserved_money)
  WHERE payer_app_id IS NOT NULL AND status IN ('queued', 'running');
