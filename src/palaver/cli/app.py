"""`palaver app …`: applications, which sign in by a token and act for users of their own."""

import click

from palaver.chat.user import User
from palaver.cli.installation import Installation, in_installation
from palaver.cli.text import Line, to_columns, to_time

NAME = Line(50)


@click.group()
def command() -> None:
    """Applications, which act for users of their own."""


@command.command("add")
@click.argument("name", type=NAME)
@in_installation
async def add(installation: Installation, name: str) -> None:
    """Add an application."""
    await installation.accounts.add_app(name)
    click.echo(f"The application {name} is added. `palaver token create --app {name}` makes a token for it.")


@command.command("disable")
@click.argument("name", type=NAME)
@in_installation
async def disable(installation: Installation, name: str) -> None:
    """Shut an application and its users out: no token signs in after two seconds."""
    app = await installation.find_app(name)
    await installation.accounts.set_disabled(app, disabled=True)
    click.echo(f"The application {app.name} is disabled.")


@command.command("enable")
@click.argument("name", type=NAME)
@in_installation
async def enable(installation: Installation, name: str) -> None:
    """Let a disabled application in again; tokens that have not expired work as before."""
    app = await installation.find_app(name)
    await installation.accounts.set_disabled(app, disabled=False)
    click.echo(f"The application {app.name} is enabled.")


@command.command("list")
@in_installation
async def list_apps(installation: Installation) -> None:
    """List all applications."""
    apps = await installation.store.accounts.list_apps()
    click.echo(to_columns(("NAME", "IS", "SINCE (UTC)", "UUID"), *(_to_row(app) for app in apps)))


def _to_row(app: User) -> tuple[str, ...]:
    return (app.name, "disabled" if app.disabled else "enabled", to_time(app.created_at), app.uuid)
