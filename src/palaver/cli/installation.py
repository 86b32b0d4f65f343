"""What the commands about people and tokens work on: the same database as the server's, opened beside it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from typing import Concatenate, ParamSpec

from msgspec import Struct

from palaver.chat.accounts import AccountRules, Accounts
from palaver.chat.clock import Clock, SystemClock
from palaver.chat.errors import NotFound
from palaver.chat.user import User
from palaver.cli.faults import Refused, in_plain_words
from palaver.serve.output import log_security
from palaver.settings import Settings, load_settings
from palaver.store import SqlStore, StoreOptions, open_store
from palaver.store.migrate import check_schema, migrate

P = ParamSpec("P")


class Installation(Struct, frozen=True):
    settings: Settings
    store: SqlStore
    accounts: Accounts
    clock: Clock

    async def find_person(self, name: str) -> User:
        """By name or e-mail. Raises `Refused`."""
        try:
            return await self.accounts.must_find(name)
        except NotFound:
            raise Refused(f"There is no user {name!r}. `palaver user list` shows all.") from None

    async def find_app(self, name: str) -> User:
        """Raises `Refused`."""
        found = await self.store.accounts.find_app(name)
        if found is None:
            raise Refused(f"There is no application {name!r}. `palaver app list` shows all.")
        return found


@asynccontextmanager
async def open_installation(settings: Settings) -> AsyncIterator[Installation]:
    """With a schema that is up to date. Raises `StoreUnavailable` or `SchemaTooNew`."""
    async with open_store(to_store_options(settings)) as store:
        if not await check_schema(store.database, store.engine):
            await migrate(store.database, store.engine)
        secret = await store.accounts.server_secret()
        clock = SystemClock()
        yield Installation(settings, store, Accounts(store, clock, AccountRules(), secret), clock)


def to_store_options(settings: Settings) -> StoreOptions:
    # A command needs one connection, and leaves the server all the others.
    return StoreOptions(data_dir=settings.data_dir, database_url=settings.database_url, connections=1)


def in_installation(work: Callable[Concatenate[Installation, P], Awaitable[None]]) -> Callable[P, None]:
    """Makes a command of a coroutine that works on the installation which the settings name."""

    @wraps(work)
    def command(*arguments: P.args, **options: P.kwargs) -> None:
        with in_plain_words():
            settings = load_settings()
            if not sys.stderr.isatty():
                # Whoever sits at a terminal is told in a sentence.
                log_security(settings)
            asyncio.run(_open_and_work(settings, *arguments, **options))

    async def _open_and_work(settings: Settings, *arguments: P.args, **options: P.kwargs) -> None:
        async with open_installation(settings) as installation:
            await work(installation, *arguments, **options)

    return command
