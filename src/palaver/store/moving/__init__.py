"""What is brought here from elsewhere, and what is taken there, in the database."""

from palaver.store.moving.arriving import SqlArriving
from palaver.store.moving.leaving import SqlLeaving

__all__ = ["SqlArriving", "SqlLeaving"]
