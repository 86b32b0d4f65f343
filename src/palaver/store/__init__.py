"""How it is kept: one set of transactions in the SQL that SQLite and PostgreSQL share, over two engines.

`open_store` is the way in. The transactions are written once (`turns.py`, `conversations.py`, …) against the small
`Transaction` of `database.py`; `sqlite.py` and `postgres.py` carry them out.
"""

from palaver.store.store import SqlStore, StoreOptions, open_store

__all__ = ["SqlStore", "StoreOptions", "open_store"]
