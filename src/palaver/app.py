"""The composition root: settings in, ASGI app out. The only place that knows every part; what each takes of the
settings says options.py."""

import asyncio
import hashlib
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from msgspec import Struct
from msgspec.structs import replace

from palaver import __version__
from palaver.api import (
    account,
    admin_apps,
    admin_deliveries,
    admin_limits,
    admin_models,
    admin_money,
    admin_presets,
    admin_servers,
    admin_users,
    chat_domain,
    chat_flow,
    chatify,
    chatify_connections,
    chatify_presets,
    chatify_stateless,
    doors,
    keepalive,
    money,
    notifications,
    outside,
    streaming_chat,
    watching,
)
from palaver.api.ai_chat import (
    branches,
    collections,
    documents,
    health,
    marks,
    models,
    preset_shares,
    preset_versions,
    presets,
    search,
    sending,
    sessions,
    sockets,
    taking_back,
    usage,
)
from palaver.api.ai_chat import settings as ai_chat_settings
from palaver.api.call import Answer, Call, Site
from palaver.api.dispatch import Dispatcher
from palaver.api.openapi import describe
from palaver.api.operation import Operation
from palaver.api.people import conversations as people_conversations
from palaver.api.people import me as people_me
from palaver.api.people import messages as people_messages
from palaver.bots.installed import open_bots
from palaver.bots.rag import SEARCH_SECONDS, Knowing
from palaver.bots.tokenizer import use_tokenizer
from palaver.bots.traced import traced
from palaver.bus import BusOptions, open_bus, open_counts
from palaver.chat.accounts import Accounts
from palaver.chat.aside import Asides
from palaver.chat.books import Books, ModelSizes
from palaver.chat.clock import Clock, SystemClock
from palaver.chat.conversation import Speaking
from palaver.chat.errors import StoreUnavailable
from palaver.chat.flow import Chat
from palaver.chat.limits import Limits
from palaver.chat.models import Models
from palaver.chat.orphans import Orphans
from palaver.chat.pieces import Prompt
from palaver.chat.ports import Bots, Channels, Finding
from palaver.chat.presence import Presence
from palaver.chat.reaching import NoChannels
from palaver.chat.reply import Replies
from palaver.chat.rooms import Rooms
from palaver.chat.sender import Sender
from palaver.chat.servers import Servers
from palaver.chat.stays import Stays
from palaver.chat.sweep import sweep
from palaver.chat.tokens import Tokens
from palaver.chat.user import Reader
from palaver.chat.whole import Patience
from palaver.knowledge.asking import AskedVectors
from palaver.knowledge.embeddings import EmbeddingServer
from palaver.knowledge.search import Searcher
from palaver.knowledge.worker import Worker
from palaver.notify import BadNotifyOptions, new_vapid_key, open_channels
from palaver.options import (
    account_rules,
    bot_options,
    budgets,
    domain_settings,
    embedding_options,
    limit_rules,
    notify_options,
    reply_limits,
    rules,
    send_rules,
    store_options,
    work_rules,
)
from palaver.settings import Settings
from palaver.store import SqlStore, open_store
from palaver.store.migrate import migrate
from palaver.watching import spans
from palaver.watching.process import watch_process
from palaver.watching.spans import Tracing

log = logging.getLogger("palaver")

# A list of twenty numbers, and patience for no more than that.
RERANK_TOKENS = 100
RERANK_PATIENCE = Patience(first=5, between=5, total=5)

# What a worker that died held of a limit is free again after so many leases of its replies.
HELD_LEASES = 2

APIS = (
    outside.api,
    doors.drf,
    doors.fastapi,
    chat_flow.api,
    chat_domain.api,
    chatify.api,
    chatify_presets.api,
    chatify_stateless.api,
    chatify_connections.api,
    people_conversations.api,
    people_messages.api,
    people_me.api,
    streaming_chat.api,
    sessions.api,
    sending.api,
    marks.api,
    search.api,
    branches.api,
    taking_back.api,
    collections.api,
    documents.api,
    models.api,
    presets.api,
    preset_shares.api,
    preset_versions.api,
    ai_chat_settings.api,
    health.api,
    admin_servers.api,
    admin_models.api,
    admin_limits.api,
    admin_money.api,
    admin_users.api,
    admin_apps.api,
    admin_presets.api,
    admin_deliveries.api,
    money.api,
    usage.api,
    account.api,
    notifications.api,
    watching.api,
)

SOCKETS = {
    "/ws/keepalive": keepalive.keepalive,
    "/ws/ai-chat/session/{id}/": sockets.session,
    "/ws/ai-chat/sessions/": sockets.sessions,
}


class Palaver(Struct, frozen=True):
    """A running server: the app, and what stands behind it."""

    app: Dispatcher
    chat: Chat
    accounts: Accounts
    store: SqlStore


@asynccontextmanager
async def running(settings: Settings, *, port: int) -> AsyncIterator[Palaver]:
    """Everything opened, in order; closed again in reverse. Raises `StoreUnavailable` or `SchemaTooNew`."""
    async with AsyncExitStack() as opened:
        store = await opened.enter_async_context(open_store(store_options(settings)))
        embeddings = await opened.enter_async_context(open_embeddings(settings))
        # Asked to put passages in order, once there are any bots.
        finding = to_searcher(settings, store, lambda: bots, lambda: asides, embeddings)
        # Where a model puts them in order, that takes its time beside the search.
        seconds = SEARCH_SECONDS + (RERANK_PATIENCE.total if settings.rerank else 0)
        knowing = Knowing(finding, store.collections, seconds)
        installed = await opened.enter_async_context(open_bots(bot_options(settings, port), knowing))
        await migrate(store.database, store.engine)
        await store.presets.follow_settings(domain_settings(settings))
        secret = await store.accounts.server_secret()
        bus_options, prefix = BusOptions(settings.redis_url, settings.redis_seconds), channel_prefix(secret)
        bus = await opened.enter_async_context(open_bus(bus_options, prefix))
        held = HELD_LEASES * settings.lease_seconds
        counts = await opened.enter_async_context(open_counts(bus_options, prefix, held))
        clock = SystemClock()
        worker = uuid.uuid4().hex[:12]
        tracing = await opened.enter_async_context(open_tracing(settings, worker))
        bots: Bots = installed if tracing is None else traced(installed, tracing)
        tokens = Tokens()
        accounts = Accounts(store, clock, account_rules(settings), secret, counts=counts)
        limits = Limits(limit_rules(settings), counts, store)
        await limits.follow()
        stays = Stays(store=store, accounts=accounts, bus=bus, clock=clock)
        polls = store.engine == "postgres" and settings.redis_url is None
        rooms = Rooms(store=store, bus=bus, worker=worker, polls=polls)
        sizes = ModelSizes(bots, tokens, settings.context_tokens)
        books = Books(store, clock, replace(budgets(settings), size_of=sizes.of))
        asides = Asides(store, bots, clock, tokens, books)
        replies = Replies(
            store=store,
            bots=bots,
            clock=clock,
            limits=reply_limits(settings),
            worker=worker,
            rooms=rooms,
            tokens=tokens,
            summarises=settings.summaries,
            books=books,
        )
        channels = await opened.enter_async_context(open_notify(settings, store, clock))
        sender = Sender(store.outbox, channels, rooms, clock, worker, send_rules(settings))
        reader = Worker(store.documents, store.passages, clock, work_rules(settings), embeddings)
        presence = Presence(store.connections, clock, rooms.lists)
        chat = Chat(
            store, bots, replies, rooms, clock, rules(settings), books, reader.wake, sender.wake, presence=presence
        )
        await rooms.start()
        await stays.start()
        # SQLite has one process; whatever its last one left running can be ended at once.
        orphans = Orphans(chat)
        await orphans.take_over(everything=store.engine == "sqlite")
        if store.engine == "sqlite":
            await store.outbox.release_all(clock.now())
        known = Models(store, bots, clock)
        await known.follow()
        counting = [use_tokenizer(tokens)] if settings.exact_tokens else []
        await books.follow(bots.default_model())
        working = [
            asyncio.create_task(work)
            for work in (
                replies.watch(),
                rooms.watch(),
                stays.watch(),
                limits.watch(),
                presence.watch(),
                watch_process(),
                sweep(chat, accounts, known, orphans),
                reader.work(),
                sender.work(),
                *counting,
            )
        ]
        try:
            app = make_app(settings, chat, accounts, stays, known, finding, limits, channels)
            yield Palaver(app, chat, accounts, store)
        finally:
            await replies.drain(0)
            for task in working:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await _note_last_use(accounts)


async def _note_last_use(accounts: Accounts) -> None:
    """The server ends, whether the database answers or not."""
    try:
        await accounts.keep_last_used()
    except StoreUnavailable as error:
        log.warning("when tokens were last used is not noted: %s", error)


class CannotTrace(Exception):
    """Spans are wanted and cannot be made: a sentence for the operator."""


@asynccontextmanager
async def open_tracing(settings: Settings, worker: str) -> AsyncIterator[Tracing | None]:
    """Spans, where they are wanted. Raises `CannotTrace`."""
    if settings.otlp_endpoint is None:
        yield None
        return
    try:
        from palaver.watching.otel import OpenTelemetry
    except ImportError as error:
        raise CannotTrace(
            "PALAVER_OTLP_ENDPOINT is set, and OpenTelemetry is not installed. "
            "Install palaver[otel], or unset PALAVER_OTLP_ENDPOINT."
        ) from error
    tracing = OpenTelemetry(settings.otlp_endpoint, version=__version__, worker=worker, content=settings.otlp_content)
    spans.tracing = tracing
    try:
        yield tracing
    finally:
        spans.tracing = None
        await asyncio.to_thread(tracing.close)


class CannotNotify(Exception):
    """A way to reach people is set up that cannot work: a sentence for the operator."""


@asynccontextmanager
async def open_notify(settings: Settings, store: SqlStore, clock: Clock) -> AsyncIterator[Channels]:
    """Every way to reach people. Raises `CannotNotify`."""
    options = notify_options(settings, await store.targets.vapid_key(new_vapid_key()))
    async with AsyncExitStack() as opened:
        try:
            channels = await opened.enter_async_context(open_channels(options, clock=clock))
        except BadNotifyOptions as error:
            raise CannotNotify(str(error)) from error
        yield channels


@asynccontextmanager
async def open_embeddings(settings: Settings) -> AsyncIterator[EmbeddingServer | None]:
    """The server that makes vectors, where they are wanted. Raises `CannotEmbed`."""
    options = embedding_options(settings)
    if options is None:
        yield None
        return
    async with EmbeddingServer(options) as server:
        yield server


def to_searcher(
    settings: Settings,
    store: SqlStore,
    bots: Callable[[], Bots],
    asides: Callable[[], Asides],
    embeddings: EmbeddingServer | None,
) -> Searcher:
    vectors = None if embeddings is None else AskedVectors(store.passages, embeddings)

    async def ask(reader: Reader, task: str) -> str:
        speaking = Speaking(temperature=0.0, max_tokens=RERANK_TOKENS)
        prompt = Prompt(task, speaking=speaking, model=bots().default_model())
        provider = await bots().default_provider()
        return await asides().ask(reader.user_id, reader.app_id, provider, prompt, RERANK_PATIENCE)

    return Searcher(store.passages, vectors, ask if settings.rerank else None)


def make_app(
    settings: Settings,
    chat: Chat,
    accounts: Accounts,
    stays: Stays,
    known: Models,
    finding: Finding,
    limits: Limits | None = None,
    channels: Channels | None = None,
) -> Dispatcher:
    site = Site(
        chat=chat,
        accounts=accounts,
        stays=stays,
        models=known,
        servers=Servers(chat.store, chat.bots, chat.clock, known),
        finding=finding,
        version=__version__,
        language=settings.language,
        max_body_bytes=settings.max_body_bytes,
        public_url=settings.public_url,
        heartbeat_seconds=settings.heartbeat_seconds,
        cors_origins=frozenset(settings.cors_origins),
        chat_flow_max_prompt=settings.chat_flow_max_prompt,
        streaming_chat_max_message=settings.streaming_chat_max_message,
        max_message=settings.max_message,
        limits=limits or Limits(),
        metrics=settings.metrics,
        metrics_token=settings.metrics_token,
        behind_proxy=bool(settings.trusted_proxies or settings.public_url),
        channels=channels or NoChannels(),
        hsts_days=settings.hsts_days,
    )
    return Dispatcher(site, operations(), SOCKETS)


def operations() -> list[Operation]:
    """Every operation of every API, with the three paths of the document that describes them."""
    document: list[bytes] = []

    async def openapi(_call: Call) -> Answer:
        return Answer(document[0])

    described = [operation for api in APIS for operation in api.operations]
    described += [
        Operation(
            method="GET",
            path=path,
            handler=openapi,
            api="palaver",
            style=outside.api.style,
            who="open",
            name=f"palaver_openapi_{number}",
        )
        for number, path in enumerate(("/openapi.json", "/api/v1/openapi.json", "/schema/"), 1)
    ]
    document.append(describe(described, __version__))
    return described


def channel_prefix(secret: bytes) -> str:
    """One Redis may serve several installations; each hears its own."""
    return f"palaver:{hashlib.sha256(b'channels' + secret).hexdigest()[:12]}"
