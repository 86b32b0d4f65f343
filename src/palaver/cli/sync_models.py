"""`palaver sync-models`: the list of models as the LLM servers have it now."""

import click

from palaver.bots.installed import open_bots
from palaver.bots.upstream import BadBotOptions
from palaver.chat.errors import BotUnavailable, NotFound
from palaver.chat.models import Models
from palaver.cli.faults import CannotBeConfigured, Refused
from palaver.cli.installation import Installation, in_installation
from palaver.cli.text import Line, to_columns
from palaver.options import bot_options


@click.command()
@click.option("--set-default", "chosen", type=Line(200), default=None, help="Make this model the default.")
@in_installation
async def command(installation: Installation, chosen: str | None) -> None:
    """Ask the LLM servers which models they offer, and keep the list.

    A running server follows within seconds.
    """
    settings = installation.settings
    try:
        async with open_bots(bot_options(settings, settings.port)) as bots:
            models = Models(installation.store, bots, installation.clock)
            available = await models.sync(chosen=chosen)
    except BadBotOptions as error:
        raise CannotBeConfigured(str(error)) from error
    except BotUnavailable as error:
        raise Refused("No LLM server tells its models; nothing has changed. `palaver doctor` looks at them.") from error
    except NotFound as error:
        raise Refused(f"No LLM server offers a model {chosen!r}; nothing has changed.") from error
    rows = [(model.name, model.display_name, "default" if model.is_default else "") for model in available]
    click.echo(to_columns(("NAME", "SHOWN AS", ""), *rows))
