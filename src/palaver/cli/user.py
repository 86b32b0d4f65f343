"""`palaver user …`: people with an account."""

import sys

import click

from palaver.chat.accounts import LINK_MINUTES, email_in
from palaver.chat.user import User
from palaver.cli.faults import Refused
from palaver.cli.installation import Installation, in_installation
from palaver.cli.text import Line, to_columns, to_time

NAME = Line(250)

PASSWORD_LENGTHS = range(8, 128 + 1)


@click.group()
def command() -> None:
    """People with an account. NAME is a user's name or e-mail."""


@command.command("add")
@click.argument("name", type=NAME)
@click.option("--admin", is_flag=True, help="Let them do what admins may.")
@click.option("--email", type=NAME, default=None, help="Their e-mail, which signs in too.")
@click.option("--full-name", type=Line(255), default="", help="What they are called.")
@click.option("--password-stdin", is_flag=True, help="Read a password from standard input.")
@in_installation
async def add(
    installation: Installation, name: str, admin: bool, email: str | None, full_name: str, password_stdin: bool
) -> None:
    """Add a user; without a password, print a link that signs in once."""
    password = _read_password() if password_stdin else None
    if email is None:
        email = email_in(name)
    user = await installation.accounts.add_person(name, password, email=email, full_name=full_name, is_admin=admin)
    click.echo(f"The {'admin' if admin else 'user'} {name} is added.")
    if password is None:
        await _print_link(installation, user)


@command.command("link")
@click.argument("name", type=NAME)
@in_installation
async def link(installation: Installation, name: str) -> None:
    """Print a link that signs a user in once."""
    user = await installation.find_person(name)
    if user.disabled:
        raise Refused(f"{user.name} is disabled, and a link would not work. `palaver user enable {user.name}` first.")
    await _print_link(installation, user)


@command.command("disable")
@click.argument("name", type=NAME)
@in_installation
async def disable(installation: Installation, name: str) -> None:
    """Shut a user out: nothing signs them in after two seconds."""
    user = await installation.find_person(name)
    await installation.accounts.set_disabled(user, disabled=True)
    click.echo(f"{user.name} is disabled.")


@command.command("enable")
@click.argument("name", type=NAME)
@in_installation
async def enable(installation: Installation, name: str) -> None:
    """Let a disabled user in again; tokens that have not expired work as before."""
    user = await installation.find_person(name)
    await installation.accounts.set_disabled(user, disabled=False)
    click.echo(f"{user.name} is enabled.")


@command.command("erase")
@click.argument("name", type=NAME)
@click.option("--yes", is_flag=True, help="Do not ask. It asks at a terminal alone.")
@in_installation
async def erase(installation: Installation, name: str, yes: bool) -> None:
    """Remove a user for good, with their conversations, presets and tokens."""
    user = await installation.find_person(name)
    if sys.stdin.isatty() and not yes:
        click.confirm(f"Erase {user.name} and all that is theirs? It cannot be brought back.", abort=True)
    await installation.accounts.erase(user)
    # No server may be there to do it.
    await installation.store.clearing.clear()
    click.echo(f"{user.name} is erased, with all that was theirs.")


@command.command("list")
@in_installation
async def list_users(installation: Installation) -> None:
    """List all users."""
    users = await installation.store.accounts.list_users()
    headings = ("NAME", "E-MAIL", "FULL NAME", "IS", "SINCE (UTC)", "UUID")
    click.echo(to_columns(headings, *(_to_row(user) for user in users)))


def _to_row(user: User) -> tuple[str, ...]:
    is_what = ("admin" if user.is_admin else "user") + (", disabled" if user.disabled else "")
    return (user.name, user.email or "-", user.full_name or "-", is_what, to_time(user.created_at), user.uuid)


async def _print_link(installation: Installation, user: User) -> None:
    code = await installation.accounts.new_link(user)
    click.echo(f"This link signs {user.name} in, once and within {LINK_MINUTES} minutes:")
    click.echo(installation.settings.sign_in_link(code))


def _read_password() -> str:
    """The first line of standard input. Raises `Refused`."""
    try:
        password = sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        raise Refused("The password is no UTF-8.") from None
    if len(password) not in PASSWORD_LENGTHS:
        raise Refused(f"A password has {PASSWORD_LENGTHS[0]} to {PASSWORD_LENGTHS[-1]} characters.")
    return password
