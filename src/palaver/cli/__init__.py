"""The `palaver` command. A command's module, with what it needs of the server, is imported when it is run."""

from importlib import import_module

import click

from palaver import __version__

COMMANDS = {
    "serve": "Run the server.",
    "migrate": "Bring the database to the schema of this version.",
    "user": "People with an account: add, link, disable, enable, erase, list.",
    "app": "Applications that act for users of their own: add, disable, enable, list.",
    "token": "Tokens that sign in scripts and applications: create, list, revoke.",
    "sync-models": "Ask the LLM server for its models; choose the default one.",
    "ingest": "Put files and folders into a collection of documents.",
    "backup": "Put all that is kept into a file, beside a running server.",
    "restore": "Bring a backup into an empty database of either kind.",
    "move": "From SQLite to PostgreSQL, or back, counted and compared.",
    "export": "Write everything of one user or of all, or of an application as Firebase would.",
    "import": "Bring in an export: of another Palaver, or of a Firebase database.",
    "settings": "Print the table of all settings.",
    "doctor": "Say what is configured, what can be reached and what is missing.",
    "llm-server": "Run a stand-in for an LLM server, for trying things out.",
}


class Commands(click.Group):
    """The commands by name. Their list is written without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's own signature)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (click's own)
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"palaver.cli.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 (click's own)
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands)
@click.version_option(__version__, prog_name="palaver")
def main() -> None:
    """Palaver, a chat backend that people run themselves.

    Settings come from the environment: docs/settings.md, or `palaver settings`. All commands work beside a running
    server, which obeys within two seconds.
    """
