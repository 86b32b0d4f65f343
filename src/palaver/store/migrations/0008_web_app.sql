-- How its owner has put it away in the list: nothing that is said in it changes that.
ALTER TABLE conversations ADD COLUMN pinned_at BIGINT;
ALTER TABLE conversations ADD COLUMN archived_at BIGINT;

-- The language a person reads; NULL: as the client says.
ALTER TABLE users ADD COLUMN language TEXT;

-- The words of messages, under their ids, and of titles, under those of their conversations below zero. A message costs
-- nothing for it: a conversation whose `event` or `title` is another one than here is read again when somebody searches.
ALTER TABLE conversations ADD COLUMN searched_event BIGINT NOT NULL DEFAULT -1;
ALTER TABLE conversations ADD COLUMN searched_title TEXT;
-- sqlite: CREATE VIRTUAL TABLE search USING fts5(words, content='', contentless_delete=1, detail=none, tokenize="ascii tokenchars '@'");
-- postgres: CREATE TABLE search (rowid BIGINT PRIMARY KEY, words TSVECTOR NOT NULL);
-- postgres: CREATE INDEX search_by_words ON search USING gin (words);
