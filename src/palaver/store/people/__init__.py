"""People who talk to each other, in the database."""
