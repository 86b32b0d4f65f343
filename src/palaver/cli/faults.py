"""What went wrong, in sentences for the person at the terminal. No expected fault ends in a traceback.

No sentence names a database's address: it may hold a password.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import apsw
import asyncpg
import click

from palaver.chat.errors import Invalid, StoreUnavailable, Taken
from palaver.settings import BadSettings
from palaver.store.migrate import SchemaTooNew

INVALID = {
    "username": "A user name has 1 to 50 letters, digits or characters of . _ + -",
    "email": "That is no e-mail address.",
}
TAKEN = {"name": "That name is taken.", "email": "That e-mail belongs to somebody else already."}


class Refused(click.ClickException):
    """The command cannot do it, and says why."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file, err=file is None)


class CannotBeConfigured(Refused):
    """The settings cannot work."""

    exit_code = 2


@contextmanager
def in_plain_words() -> Iterator[None]:
    """Turns expected faults into `Refused`."""
    try:
        yield
    except BadSettings as error:
        raise CannotBeConfigured(str(error)) from error
    except StoreUnavailable as error:
        raise Refused(to_sentence(error)) from error
    except SchemaTooNew as error:
        raise Refused(str(error)) from error
    except (apsw.Error, asyncpg.PostgresError) as error:
        raise Refused(f"The database refused: {error}") from error
    except Taken as error:
        raise Refused(TAKEN[error.field]) from error
    except Invalid as error:
        raise Refused(INVALID[error.field]) from error


def to_sentence(error: StoreUnavailable) -> str:
    said = str(error)
    why = "" if str(error.__cause__) in said else _why(error.__cause__)
    return f"{said[:1].upper()}{said[1:]}{why and f': {why}'}."


def _why(cause: BaseException | None) -> str:
    match cause:
        case asyncpg.InvalidAuthorizationSpecificationError():
            return "it refuses the user or the password"
        case asyncpg.InvalidCatalogNameError():
            return "its server has no database of that name"
        case asyncpg.TooManyConnectionsError():
            return "it has too many connections"
        case ConnectionRefusedError():
            return "nothing listens at its address"
        case socket.gaierror():
            return "its host name is not known"
        case FileNotFoundError():
            return "its socket is not there"
        case TimeoutError():
            return "it says nothing within some seconds"
        case apsw.Error():
            return str(cause)
        case _:
            return ""
