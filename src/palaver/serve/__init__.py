"""`palaver serve`: one process by itself (`alone`), or a supervisor and its workers, which drain and are replaced.

The supervisor stays small: nothing that it imports may bring the app along (docs/decisions/0006-own-supervisor.md).
"""

from palaver.settings import Settings


class CannotStart(Exception):
    """Why the server does not start, and what would help: a sentence for the operator."""


def check_can_share(settings: Settings) -> None:
    """Raises `CannotStart` where so many workers have nothing through which they could know of each other."""
    needed = {
        "PALAVER_DATABASE_URL (PostgreSQL)": settings.database_url,
        "PALAVER_REDIS_URL (Redis or Valkey)": settings.redis_url,
    }
    missing = " and ".join(name for name, value in needed.items() if value is None)
    if settings.workers > 1 and missing:
        raise CannotStart(
            f"{settings.workers} workers need PostgreSQL and Redis to work together: set {missing}, "
            "or serve with one worker (PALAVER_WORKERS or --workers)."
        )
