"""All that is kept, out of one database and into another, of whichever engine."""

from palaver.store.backup.archive import Damaged, NoArchive, open_archive, write_archive
from palaver.store.backup.copying import NotEmpty, NotNew, Tally, copy_in, copy_out

__all__ = [
    "Damaged",
    "NoArchive",
    "NotEmpty",
    "NotNew",
    "Tally",
    "copy_in",
    "copy_out",
    "open_archive",
    "write_archive",
]
