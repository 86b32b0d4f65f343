"""`palaver llm-server`."""

import click

from palaver.llm_server.__main__ import main


@click.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Run the stand-in for an LLM server. Its own parser reads its options."""
    main(arguments)
