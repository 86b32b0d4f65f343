-- How often somebody's row was looked at to hold something back. Who has waited for it while another one looked finds
-- another number in it than there was before, and adds up again what is held.
ALTER TABLE spending ADD COLUMN looks BIGINT NOT NULL DEFAULT 0;
