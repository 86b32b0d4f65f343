"""`palaver token …`: what signs in scripts and applications."""

import math

import click

from palaver.chat.clock import Micros
from palaver.chat.user import Token, TokenId, User
from palaver.cli.faults import Refused
from palaver.cli.installation import Installation, in_installation
from palaver.cli.text import Line, to_columns, to_time

NAME = Line(250)
LABEL = Line(100)


class Days(click.FloatRange):
    """More than none, at most a century."""

    def __init__(self) -> None:
        super().__init__(0, 36_525, min_open=True)

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        days: float = super().convert(value, param, ctx)
        if math.isnan(days):
            # It is neither below nor above any bound.
            self.fail("It has to be a number of days.", param, ctx)
        return days


@click.group()
def command() -> None:
    """Tokens, which sign in scripts and applications."""


@command.command("create")
@click.option("--user", type=NAME, help="The user it signs in.")
@click.option("--app", type=NAME, help="The application it signs in.")
@click.option("--days", type=Days(), help="Days it lives; without it, until it is revoked.")
@click.option("--label", type=LABEL, default="", help="What it is for.")
@in_installation
async def create(installation: Installation, user: str | None, app: str | None, days: float | None, label: str) -> None:
    """Create a token and print it. It is not shown again."""
    owner = await _find_owner(installation, user, app)
    if owner.disabled:
        raise Refused(f"{owner.name} is disabled, and a token would not work.")
    secret = await installation.accounts.new_token(owner, label=label, days=days or 0)
    click.echo(f"A token for {owner.name}. Keep it safe: it is not shown again.", err=True)
    click.echo(secret)


@command.command("list")
@click.option("--user", type=NAME, help="The user whose tokens to list.")
@click.option("--app", type=NAME, help="The application whose tokens to list.")
@in_installation
async def list_tokens(installation: Installation, user: str | None, app: str | None) -> None:
    """List the tokens of a user or an application, without their secrets."""
    owner = await _find_owner(installation, user, app)
    tokens = await installation.store.accounts.list_tokens(owner.id)
    headings = ("ID", "LABEL", "IS", "MADE (UTC)", "EXPIRES", "LAST USED")
    now = installation.clock.now()
    click.echo(to_columns(headings, *(_to_row(token, now) for token in tokens)))


@command.command("revoke")
@click.argument("token_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))
@in_installation
async def revoke(installation: Installation, token_id: int) -> None:
    """Revoke a token: it signs nobody in after two seconds."""
    if not await installation.accounts.revoke(TokenId(token_id)):
        raise Refused(f"There is no token {token_id}, or it was revoked before.")
    click.echo(f"Token {token_id} is revoked.")


async def _find_owner(installation: Installation, user: str | None, app: str | None) -> User:
    """Raises `Refused`, and `UsageError` where it is not clear who is meant."""
    match user, app:
        case str(), None:
            return await installation.find_person(user)
        case None, str():
            return await installation.find_app(app)
        case _:
            raise click.UsageError("Say whose: --user NAME or --app NAME.")


def _to_row(token: Token, now: Micros) -> tuple[str, ...]:
    times = (token.created_at, token.expires_at, token.last_used_at)
    return (str(token.id), token.label or "-", _to_state(token, now), *(to_time(time) for time in times))


def _to_state(token: Token, now: Micros) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else "valid"
