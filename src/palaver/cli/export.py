"""`palaver export …`: what was said here, to be kept or taken elsewhere."""

from pathlib import Path

import click

from palaver.cli.files import OF_PALAVER, WRITABLE, FileOrFirebase, open_to_write
from palaver.cli.installation import Installation, in_installation
from palaver.cli.progress import showing_count, showing_lines
from palaver.cli.text import Line
from palaver.moving.firebase_out import FirebaseExport
from palaver.moving.lines import write_lines


@click.group(cls=FileOrFirebase)
def command() -> None:
    """Write what was said here to a file.

    \b
    palaver export FILE [--user NAME] [--with-secrets]    everything of this server, or of one user
    palaver export firebase FILE [--app NAME]             of an application's users, as Firebase would
    """


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


@command.command(OF_PALAVER, hidden=True)
@click.argument("file", type=WRITABLE)
@click.option("--user", "name", default=None, type=Line(250), help="Only what is theirs.")
@click.option("--with-secrets", is_flag=True, help="With hashes of passwords and tokens, so that these go on working.")
@in_installation
async def palaver(installation: Installation, file: Path, name: str | None, with_secrets: bool) -> None:
    """Write everything of this server, or of one user, as lines of JSON; - writes to standard output.

    `palaver import` takes it back. docs/moving.md says what stands in it.
    """
    whose = None if name is None else (await installation.find_person(name)).id
    with open_to_write(file) as opened, showing_lines() as written:
        out = installation.store.writing_out
        count = await write_lines(out, opened, whose, with_secrets=with_secrets, written=written)
    click.echo(f"{count} lines are written.", err=True)
