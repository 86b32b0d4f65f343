-- What is held back for answers that are stored nowhere, by whom and in order: see store/postgres_spending.py.
DROP INDEX reservations_by_payer;
DROP INDEX reservations_by_app;
CREATE INDEX reservations_by_payer ON reservations (payer_id, until);
CREATE INDEX reservations_by_app ON reservations (payer_app_id, until) WHERE payer_app_id IS NOT NULL;
