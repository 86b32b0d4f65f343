"""Knowledge in the database: collections, documents, and finding passages in them."""

from palaver.store.knowledge.clearing import Clearing
from palaver.store.knowledge.collections import SqlCollections
from palaver.store.knowledge.documents import SqlDocuments
from palaver.store.knowledge.embeddings import Embeddings
from palaver.store.knowledge.passages import SqlPassages
from palaver.store.knowledge.postgres_vectors import PostgresVectors
from palaver.store.knowledge.reading import Reading
from palaver.store.knowledge.sqlite_vectors import SqliteVectors
from palaver.store.knowledge.vectors import Vectors
from palaver.store.knowledge.words import PostgresWords, SqliteWords, Words

__all__ = [
    "Clearing",
    "Embeddings",
    "PostgresVectors",
    "PostgresWords",
    "Reading",
    "SqlCollections",
    "SqlDocuments",
    "SqlPassages",
    "SqliteVectors",
    "SqliteWords",
    "Vectors",
    "Words",
]
