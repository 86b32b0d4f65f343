"""`palaver export …`: what was said here, to be kept or taken elsewhere."""

from pathlib import Path

import click

from palaver.cli.files import WRITABLE, FileOrFirebase, open_to_write
from palaver.cli.installation import Installation, in_installation
from palaver.cli.progress import showing_count
from palaver.cli.text import Line
from palaver.moving.firebase_out import FirebaseExport


@click.group(cls=FileOrFirebase)
def command() -> None:
    """Write everything of this server or of one user to a file, or (`palaver export firebase`) what an application's
    users have said, in the shapes of a Firebase export."""


@command.command("firebase")
@click.argument("file", type=WRITABLE)
@click.option("--app", default="firebase", show_default=True, type=Line(50), help="Whose users' it is.")
@in_installation
async def firebase(installation: Installation, file: Path, app: str) -> None:
    """Write an application's templates, sessions and connections as the export of a Firebase Realtime Database has
    them; - writes to standard output. `palaver import firebase` takes it back."""
    found = await installation.find_app(app)
    leaving = installation.store.leaving
    count = await leaving.count(found.id)
    with open_to_write(file) as opened, showing_count(count) as written:
        await FirebaseExport(leaving, found.id, opened, written).run()
    click.echo(f"{count} sessions and connections are written.", err=True)
