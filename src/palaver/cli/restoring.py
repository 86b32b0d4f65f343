"""A backup into an empty database, with what can go wrong in sentences for the person at the terminal."""

from pathlib import Path

from palaver.cli.faults import Refused
from palaver.store import SqlStore
from palaver.store.backup import Damaged, NoArchive, NotEmpty, NotNew, Tally, copy_in, open_archive


async def restore_from(file: Path, store: SqlStore) -> Tally:
    """Raises `Refused`; then nothing has changed but the schema."""
    try:
        return await copy_in(store, lambda: open_archive(file))
    except NoArchive as error:
        raise Refused(f"{file} is no backup of Palaver's, or one of a newer version.") from error
    except Damaged as error:
        raise Refused(f"{file} is damaged or not whole; nothing was restored.") from error
    except NotEmpty as error:
        raise Refused(
            "Somebody has an account in that database already, and nothing is written over. "
            "Restore into an empty one: another PALAVER_DATA_DIR, or another database of PostgreSQL's."
        ) from error
    except NotNew as error:
        raise Refused(
            "That database was brought to a newer schema than the backup's. Restore into one that no Palaver "
            "has seen; its schema is made here."
        ) from error
