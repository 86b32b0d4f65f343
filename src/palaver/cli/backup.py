"""`palaver backup FILE`."""

from pathlib import Path

import click

from palaver.cli.faults import Refused
from palaver.cli.installation import Installation, in_installation
from palaver.store.backup import copy_out, write_archive


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@in_installation
async def command(installation: Installation, file: Path) -> None:
    """Put all that is kept into FILE.

    Beside a running server, which is not held up: the file has all that was acknowledged before this began. It holds
    what people have said and what signs them in, and only its owner can read it.
    """
    try:
        with write_archive(file) as put:
            tally = await copy_out(installation.store, put, installation.clock.now())
    except OSError as error:
        raise Refused(f"The backup cannot be written: {error.strerror or type(error).__name__}.") from error
    click.echo(f"{tally.rows} rows of {len(tally.tables)} tables are in {file}.")
