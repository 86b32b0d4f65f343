"""`palaver import …`: what was said elsewhere, or in another Palaver, brought here."""  # noqa: N999 (as all modules here it is called as its command)

from pathlib import Path

import click

from palaver.cli.faults import Refused
from palaver.cli.files import OF_PALAVER, READABLE, FileOrFirebase, open_to_read
from palaver.cli.installation import Installation, in_installation
from palaver.cli.progress import showing_progress
from palaver.cli.text import Line
from palaver.moving.firebase_in import KINDS, FirebaseImport
from palaver.moving.json_stream import Unreadable
from palaver.moving.lines import LinesImport, NotOurs
from palaver.moving.report import Report


@click.group(cls=FileOrFirebase)
def command() -> None:
    """Bring in what was said elsewhere.

    \b
    palaver import FILE             what `palaver export FILE` has written
    palaver import firebase FILE    the export of a Firebase Realtime Database
    """


@command.command("firebase")
@click.argument("file", type=READABLE)
@click.option("--app", default="firebase", show_default=True, type=Line(50), help="Whose users they become.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@in_installation
async def firebase(installation: Installation, file: Path, app: str, dry_run: bool) -> None:
    """Bring in the JSON that the export of a Firebase Realtime Database has written; - reads standard input.

    What is there already is left as it is, so it can be run again at any time: after it was ended in the middle, or
    with a newer export.
    """
    report = Report(KINDS, click.echo)
    bringing = FirebaseImport(installation.store.arriving, installation.clock, app, report, dry=dry_run)
    with open_to_read(file) as opened, showing_progress(opened) as shown:
        try:
            await bringing.run(shown)
        except Unreadable as error:
            raise Refused(f"{file} is no readable JSON object: {error}. Nothing is imported.") from error
    for line in report.lines():
        click.echo(line)
    if dry_run:
        click.echo("This was a dry run: nothing has changed.")


@command.command(OF_PALAVER, hidden=True)
@click.argument("file", type=READABLE)
@in_installation
async def palaver(installation: Installation, file: Path) -> None:
    """Bring in what `palaver export FILE` has written; - reads standard input.

    What is there already is left as it is, so it can be run again after it was ended in the middle.
    """
    report = Report((), click.echo)
    bringing = LinesImport(installation.store.reading_in, installation.clock, report)
    with open_to_read(file) as opened, showing_progress(opened) as shown:
        try:
            await bringing.run(shown)
        except NotOurs as error:
            raise Refused(f"{file} cannot be brought in: {error}. Nothing is imported.") from error
    for line in report.lines():
        click.echo(line)
