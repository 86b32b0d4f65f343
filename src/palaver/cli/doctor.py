"""`palaver doctor`: what is configured, what can be reached, what is missing. It changes nothing."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

import click
from msgspec import Struct

from palaver.bots.discovery import find_servers, to_local_url, to_name
from palaver.bots.installed import BUILT_IN
from palaver.bots.plugins import Plugins
from palaver.bots.servers import named_servers, ports_to_look_at
from palaver.bots.upstream import BadBotOptions, Upstream, UpstreamFailed
from palaver.chat.errors import StoreUnavailable
from palaver.chat.server import NamedServer
from palaver.cli.faults import Refused, in_plain_words
from palaver.cli.installation import to_store_options
from palaver.kinds import hide_passwords
from palaver.knowledge.embeddings import EmbeddingServer, EmbeddingsFailed
from palaver.notify import BadNotifyOptions, new_vapid_key, open_channels
from palaver.options import CannotEmbed, bot_options, embedding_options, notify_options
from palaver.serve import CannotStart, check_can_share
from palaver.settings import (
    SETTINGS,
    BadSettings,
    Settings,
    environment,
    list_given,
    list_unknown,
    load_settings,
)
from palaver.store import open_store
from palaver.store.migrate import SchemaTooNew, newest_version, schema_version

MODELS_SHOWN = 8

# Looked for before the store is opened, which would make it.
SQLITE_FILE = "palaver.sqlite3"


class Finding(Struct, frozen=True):
    """`note` is worth knowing; `broken` is needed and does not work."""

    state: Literal["ok", "note", "broken"]
    about: str
    text: str


@click.command()
def command() -> None:
    """Say what is configured, what can be reached and what is missing.

    Exits with 1 where something that is needed does not work.
    """
    findings = asyncio.run(_examine())
    for finding in findings:
        click.echo(f"{finding.state:<8}{finding.about:<10}{finding.text}")
    broken = sum(finding.state == "broken" for finding in findings)
    click.echo(f"\n{broken} broken." if broken else "\nNothing is broken.")
    sys.exit(1 if broken else 0)


async def _examine() -> list[Finding]:
    try:
        settings = load_settings()
    except BadSettings as error:
        bad = {fault.env for fault in error.faults}
        return [*check_names(bad), *(Finding("broken", "settings", str(fault)) for fault in error.faults)]
    findings = check_names()
    findings += check_workers(settings)
    findings += check_folder(settings)
    findings += await check_database(settings)
    findings += await check_models(settings)
    findings += await check_vectors(settings)
    findings += await check_redis(settings)
    findings += await check_notify(settings)
    return findings


def check_names(bad: Collection[str] = ()) -> list[Finding]:
    """What is set, but for what is `bad`, and what looks like a setting and is none."""
    found = environment()
    given = [
        Finding("ok", "settings", f"{name} is {value or 'empty'}")
        for name, value in list_given(found)
        if name not in bad
    ]
    unknown = [Finding("note", "settings", _about_unknown(name)) for name in list_unknown(found)]
    return [*given, *unknown] or [Finding("ok", "settings", "none is set: all have their defaults")]


def _about_unknown(name: str) -> str:
    alike = get_close_matches(name, [setting.env for setting in SETTINGS.values()], n=1)
    return f"{name} is no setting of this version{f'; is {alike[0]} meant?' if alike else ''}"


def check_workers(settings: Settings) -> list[Finding]:
    if settings.workers == 1:
        return []
    try:
        check_can_share(settings)
    except CannotStart as error:
        return [Finding("broken", "workers", str(error))]
    connections = settings.workers * settings.database_connections
    text = f"{settings.workers} workers serve; together they have up to {connections} connections to PostgreSQL"
    return [Finding("ok", "workers", text)]


def check_folder(settings: Settings) -> list[Finding]:
    if settings.database_url is not None:
        return []
    folder = settings.data_dir.absolute()
    if not folder.exists():
        return [_check_can_be_made(folder)]
    try:
        with tempfile.TemporaryFile(dir=folder):
            return [Finding("ok", "folder", f"{folder} can be written")]
    except OSError as error:
        return [Finding("broken", "folder", f"{folder} cannot be written: {error.strerror}. It is PALAVER_DATA_DIR.")]


def _check_can_be_made(folder: Path) -> Finding:
    above = next(parent for parent in folder.parents if parent.exists())
    if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
        return Finding("note", "folder", f"{folder} is not there yet; the first start makes it")
    return Finding("broken", "folder", f"{folder} cannot be made: {above} cannot be written. It is PALAVER_DATA_DIR.")


async def check_database(settings: Settings) -> list[Finding]:
    if settings.database_url is None and not (settings.data_dir / SQLITE_FILE).exists():
        return [Finding("note", "database", "SQLite's file is not there yet; the first start makes it")]
    try:
        with in_plain_words():
            return await _look_into_database(settings)
    except Refused as error:
        return [Finding("broken", "database", error.message)]


async def _look_into_database(settings: Settings) -> list[Finding]:
    async with open_store(to_store_options(settings)) as store:
        version, newest = await schema_version(store.database, store.engine), newest_version()
        if version > newest:
            raise SchemaTooNew(version, newest)
        name = "SQLite" if store.engine == "sqlite" else "PostgreSQL"
        if version < newest:
            found = "is empty" if version == 0 else f"has schema version {version} of {newest}"
            return [Finding("note", "database", f"{name} {found}; the next start, or `palaver migrate`, changes that")]
        users = await store.accounts.list_users()
        lacks_vectors = settings.embedding_model is not None and not await store.passages.can_embed()
    findings = [Finding("ok", "database", f"{name} answers and has schema version {version}, the newest")]
    if lacks_vectors:
        missing = "pgvector" if name == "PostgreSQL" else "sqlite-vec"
        text = f"PALAVER_EMBEDDING_MODEL is set, and {missing} is not there: passages are found by words alone"
        findings.append(Finding("note", "database", text))
    if not any(user.is_admin and not user.disabled for user in users):
        findings.append(Finding("note", "database", "There is no admin yet; the next start makes one"))
    return findings


async def check_models(settings: Settings) -> list[Finding]:
    """All servers that the bots would use, each asked once, all at once."""
    provider = settings.default_provider
    if provider not in ("auto", *BUILT_IN) and not Plugins(taken=BUILT_IN).known(provider):
        text = f"PALAVER_DEFAULT_PROVIDER is {provider}, and no bot of that name is installed"
        return [Finding("broken", "models", text)]
    options = bot_options(settings, settings.port)
    try:
        named = [(_to_origin(server, settings), server) for server in named_servers(options)]
    except BadBotOptions as error:
        return [Finding("broken", "models", str(error))]
    found = await find_servers(ports_to_look_at(options))
    named += [("found", NamedServer(to_name(port), to_local_url(port))) for port in found]
    named += [(f"{server.name}, added by an admin", server) for server in await _kept_servers(settings)]
    if named:
        asked = await asyncio.gather(*(_ask_models(origin, server) for origin, server in named))
        return [*(finding for finding, _ in asked), *_check_default(settings, [names for _, names in asked])]
    if provider.startswith("openai"):
        text = f"PALAVER_DEFAULT_PROVIDER is {provider}, and no LLM server is configured or found"
        return [Finding("broken", "models", text)]
    answers = "dummy" if provider == "auto" else provider
    return [Finding("note", "models", f"No LLM server is configured or found: the bot {answers} answers")]


def _to_origin(server: NamedServer, settings: Settings) -> str:
    if any(server.name == one.name for one in settings.llm_servers):
        return f"{server.name}, PALAVER_LLM_SERVERS"
    return "LLM_SERVER_URL" if settings.llm_server_url else "OPENAI_API_KEY"


async def _kept_servers(settings: Settings) -> Sequence[NamedServer]:
    """Those of a database that is there, and well; what is wrong with it is said elsewhere."""
    if settings.database_url is None and not (settings.data_dir / SQLITE_FILE).exists():
        return []
    try:
        async with open_store(to_store_options(settings)) as store:
            is_newest = await schema_version(store.database, store.engine) == newest_version()
            return await store.servers.list() if is_newest else []
    except StoreUnavailable:
        return []


async def _ask_models(origin: str, server: NamedServer) -> tuple[Finding, Sequence[str] | None]:
    """What is to be said of a server, and the names of its models, if it tells them."""
    upstream = Upstream(server.url, api_key=server.key)
    try:
        async with upstream:
            names = [model.name for model in await upstream.fetch_models()]
    except UpstreamFailed as error:
        said = hide_passwords(str(error)).replace(server.key or "\n", "(secret)")
        text = f"The LLM server at {upstream.shown_url} ({origin}) {said}"
        return Finding("broken", "models", text), server.models or None
    text = f"{upstream.shown_url} ({origin}) answers; it offers {_to_list(server.models or names)}"
    return Finding("ok", "models", text), server.models or names


def _check_default(settings: Settings, told: Sequence[Sequence[str] | None]) -> list[Finding]:
    names = {name for some in told for name in some or ()}
    if settings.llm_default_model in names or not any(some is not None for some in told):
        return []
    text = f"LLM_DEFAULT_MODEL, {settings.llm_default_model}, is not among them: another one is the default"
    return [Finding("note", "models", text)]


def _to_list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MODELS_SHOWN])
    more = len(names) - MODELS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown or "no model"


async def check_vectors(settings: Settings) -> list[Finding]:
    """The server that makes vectors of passages, where they are wanted."""
    try:
        options = embedding_options(settings)
    except CannotEmbed as error:
        return [Finding("broken", "vectors", str(error))]
    if options is None:
        return []
    try:
        async with EmbeddingServer(options) as server:
            [vector] = await server.embed(options.model, ["palaver"])
    except EmbeddingsFailed as error:
        text = f"The server that makes vectors (PALAVER_EMBEDDING_MODEL) {error}. Passages are found by words alone."
        return [Finding("broken", "vectors", text)]
    return [Finding("ok", "vectors", f"{options.model} gives vectors of {len(vector)} numbers")]


async def check_notify(settings: Settings) -> list[Finding]:
    """The ways to reach people who are away that need more than a browser; nobody is called."""
    if settings.fcm_account is None and settings.smtp_host is None:
        return []
    try:
        async with open_channels(notify_options(settings, new_vapid_key())) as channels:
            ways = ", ".join(sorted(channels.kinds))
    except BadNotifyOptions as error:
        return [Finding("broken", "notify", str(error))]
    return [Finding("ok", "notify", f"People who are away are reached by {ways}")]


async def check_redis(settings: Settings) -> list[Finding]:
    if settings.redis_url is None:
        return []
    # Only now, as the server does.
    from palaver.bus.redis import check_redis

    try:
        shown = await check_redis(settings.redis_url, settings.redis_seconds)
        return [Finding("ok", "redis", f"Redis at {shown} answers")]
    except (OSError, ValueError) as error:
        return [Finding("broken", "redis", str(error))]
