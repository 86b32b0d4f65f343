-- A summary stands for all messages in view before the number `summary_to`. Until `summary_lease` somebody makes the next.
ALTER TABLE conversations ADD COLUMN summary_to BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN summary_lease BIGINT NOT NULL DEFAULT 0;
