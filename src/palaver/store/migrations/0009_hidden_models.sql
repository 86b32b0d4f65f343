-- Models that an admin does not want to be chosen. Who names one gets it all the same.
ALTER TABLE models ADD COLUMN is_hidden BOOLEAN NOT NULL DEFAULT FALSE;
