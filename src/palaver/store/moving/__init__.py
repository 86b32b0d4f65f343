"""What is brought here from elsewhere, and what is taken there, in the database."""

from palaver.store.moving.arriving import SqlArriving
from palaver.store.moving.leaving import SqlLeaving
from palaver.store.moving.reading_in import SqlReadingIn
from palaver.store.moving.writing_out import SqlWritingOut

__all__ = ["SqlArriving", "SqlLeaving", "SqlReadingIn", "SqlWritingOut"]
