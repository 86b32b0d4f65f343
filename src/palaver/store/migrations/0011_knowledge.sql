-- Knowledge: collections of documents, the passages they are cut into, and what these are found by.
-- `owner_id` is NULL where the owner was erased, and the collection is only there to be cleared.
CREATE TABLE collections (
  id {identity},
  uuid TEXT NOT NULL UNIQUE,
  owner_id BIGINT REFERENCES users (id),
  name TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  is_public BOOLEAN NOT NULL DEFAULT FALSE,
  is_deleted BOOLEAN NOT NULL DEFAULT FALSE,
  document_count BIGINT NOT NULL DEFAULT 0,
  size BIGINT NOT NULL DEFAULT 0,
  arriving_size BIGINT NOT NULL DEFAULT 0,
  text_size BIGINT NOT NULL DEFAULT 0,
  passage_count BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX collections_by_owner ON collections (owner_id, name) WHERE NOT is_deleted;
CREATE INDEX collections_by_name ON collections (name);
CREATE INDEX collections_deleted ON collections (id) WHERE is_deleted;

-- People who may search and read a collection that is somebody else's.
CREATE TABLE collection_shares (
  collection_id BIGINT NOT NULL REFERENCES collections (id),
  user_id BIGINT NOT NULL REFERENCES users (id),
  PRIMARY KEY (collection_id, user_id)
);
CREATE INDEX collection_shares_by_user ON collection_shares (user_id);

-- `status` is arriving, waiting, reading, ready, failed, or deleted: then nobody finds it, and it is taken away bit by
-- bit. `attempt` counts the workers that have claimed it. `embedding_id` is that of which all its passages have vectors.
-- `text_size` are the bytes of its passages, `most_kept` those that its owner might keep in all when it arrived.
-- `sizes` is NULL where its passages are as long as the server usually makes them.
CREATE TABLE documents (
  id {identity},
  uuid TEXT NOT NULL UNIQUE,
  collection_id BIGINT NOT NULL REFERENCES collections (id),
  name TEXT NOT NULL,
  media_type TEXT NOT NULL,
  digest {bytes},
  size BIGINT NOT NULL DEFAULT 0,
  text_size BIGINT NOT NULL DEFAULT 0,
  most_kept BIGINT,
  status TEXT NOT NULL DEFAULT 'arriving',
  problem TEXT,
  passage_count BIGINT NOT NULL DEFAULT 0,
  attempt BIGINT NOT NULL DEFAULT 0,
  lease_until BIGINT,
  embedding_id BIGINT,
  sizes TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX documents_by_collection ON documents (collection_id, name, id);
CREATE INDEX documents_by_status ON documents (status, updated_at, id);
-- Of which there can be passages that nobody is to find.
CREATE INDEX documents_unsettled ON documents (collection_id, id) WHERE status IN ('reading', 'deleted');
CREATE INDEX documents_by_embedding ON documents (embedding_id, id) WHERE status = 'ready';

-- When the last document of theirs was claimed: those who have waited longest for their turn are next.
ALTER TABLE users ADD COLUMN documents_read_at BIGINT NOT NULL DEFAULT 0;

-- The bytes of a document as they came, in parts of up to 1 MiB.
CREATE TABLE document_parts (
  document_id BIGINT NOT NULL REFERENCES documents (id),
  number BIGINT NOT NULL,
  data {bytes} NOT NULL,
  PRIMARY KEY (document_id, number)
);

-- `digest` is that of the text. The ids of a document's passages begin at its own id times 16,777,216 and follow each
-- other: so what is not searched is left out by where it lies (store/knowledge/passages.py).
CREATE TABLE passages (
  id {number},
  document_id BIGINT NOT NULL REFERENCES documents (id),
  number BIGINT NOT NULL,
  begins BIGINT NOT NULL,
  ends BIGINT NOT NULL,
  page BIGINT,
  heading TEXT NOT NULL,
  digest {bytes} NOT NULL,
  text TEXT NOT NULL
);
CREATE UNIQUE INDEX passages_in_order ON passages (document_id, number);
CREATE INDEX passages_by_digest ON passages (digest);

-- The words of each passage, each behind the number of its collection and an @. On SQLite the index is written in small
-- pages, as FTS5 reckons by them how much of it it brings in order with a commit.
-- sqlite: CREATE VIRTUAL TABLE passage_words USING fts5(words, tokenize="ascii tokenchars '@'");
-- sqlite: INSERT INTO passage_words (passage_words, rank) VALUES ('pgsz', 1000);
-- postgres: CREATE TABLE passage_words (rowid BIGINT PRIMARY KEY, words TSVECTOR NOT NULL);
-- postgres: CREATE INDEX passage_words_by_word ON passage_words USING gin (words);

-- Vectors are kept in tables of their own, made when an embedding is first used: store/knowledge/vectors.py.
-- `wanted_at` is when a server that is set to it last said so, or when another one took its place.
CREATE TABLE embeddings (
  id {identity},
  model TEXT NOT NULL,
  dimensions BIGINT NOT NULL,
  is_current BOOLEAN NOT NULL DEFAULT FALSE,
  is_dropped BOOLEAN NOT NULL DEFAULT FALSE,
  lease_until BIGINT,
  wanted_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX embeddings_by_model ON embeddings (model, dimensions) WHERE NOT is_dropped;
CREATE UNIQUE INDEX one_current_embedding ON embeddings (is_current) WHERE is_current;

-- What could not be taken out of one of these, because sqlite-vec was not there.
CREATE TABLE bits_left (
  embedding_id BIGINT NOT NULL,
  passage_id BIGINT NOT NULL,
  PRIMARY KEY (embedding_id, passage_id)
);

-- The passages that a reply was given, as JSON.
ALTER TABLE messages ADD COLUMN sources TEXT;
