"""A store to bring things into, on SQLite and on PostgreSQL, and exports to bring."""

from tests.cli.conftest import data_dir, embedded, palaver
from tests.ports.conftest import other_store, store, store_options

__all__ = ["data_dir", "embedded", "other_store", "palaver", "store", "store_options"]
