"""The composition root: settings in, ASGI app out. The only place that knows every part."""

import asyncio
import hashlib
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from urllib.parse import urlsplit

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
from palaver.bots.options import BotOptions
from palaver.bots.rag import SEARCH_SECONDS, Knowing
from palaver.bots.tokenizer import use_tokenizer
from palaver.bots.traced import traced
from palaver.bus import BusOptions, open_bus, open_counts
from palaver.chat.accounts import AccountRules, Accounts
from palaver.chat.aside import Asides
from palaver.chat.backoff import Backoff
from palaver.chat.books import Books, ModelSizes
from palaver.chat.clock import Clock, SystemClock
from palaver.chat.conversation import Speaking
from palaver.chat.errors import StoreUnavailable
from palaver.chat.flow import Chat, Rules
from palaver.chat.knowledge import Quota, Sizes
from palaver.chat.ledger import MILLION, Budget, Budgets
from palaver.chat.limits import LimitRules, Limits
from palaver.chat.models import Models
from palaver.chat.orphans import Orphans
from palaver.chat.pieces import Prompt
from palaver.chat.ports import Bots, Channels, Finding
from palaver.chat.presence import Presence
from palaver.chat.reaching import NoChannels
from palaver.chat.reply import Replies
from palaver.chat.rooms import Rooms
from palaver.chat.running import ReplyLimits
from palaver.chat.sender import BACKOFF, Sender, SendRules
from palaver.chat.server import NamedServer
from palaver.chat.servers import Servers
from palaver.chat.stays import Stays
from palaver.chat.sweep import sweep
from palaver.chat.tokens import Tokens
from palaver.chat.user import Reader
from palaver.chat.whole import Patience
from palaver.knowledge.asking import AskedVectors
from palaver.knowledge.embeddings import EmbeddingOptions, EmbeddingServer
from palaver.knowledge.search import Searcher
from palaver.knowledge.worker import Worker, WorkRules
from palaver.notify import BadNotifyOptions, MailOptions, NotifyOptions, new_vapid_key, open_channels
from palaver.settings import Settings
from palaver.store import SqlStore, StoreOptions, open_store
from palaver.store.migrate import migrate
from palaver.watching import spans
from palaver.watching.process import watch_process
from palaver.watching.spans import Tracing

log = logging.getLogger("palaver")

# A list of twenty numbers, and patience for no more than that.
RERANK_TOKENS = 100
RERANK_PATIENCE = Patience(first=5, between=5, total=5)

MEGABYTE = 1_000_000

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
        secret = await store.accounts.server_secret()
        bus_options, prefix = BusOptions(settings.redis_url), channel_prefix(secret)
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
        known = Models(store, bots, clock, settings.llm_default_model)
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


class CannotEmbed(Exception):
    """Vectors are wanted and cannot be had: a sentence for the operator."""


@asynccontextmanager
async def open_embeddings(settings: Settings) -> AsyncIterator[EmbeddingServer | None]:
    """The server that makes vectors, where they are wanted. Raises `CannotEmbed`."""
    options = embedding_options(settings)
    if options is None:
        yield None
        return
    async with EmbeddingServer(options) as server:
        yield server


def embedding_options(settings: Settings) -> EmbeddingOptions | None:
    """Raises `CannotEmbed`."""
    model, url, key = settings.embedding_model, settings.embedding_url, settings.embedding_key
    if model is None:
        return None
    if url is not None:
        return EmbeddingOptions(url=url, model=model, key=key)
    # The first LLM server, with the key that it has: no other server ever gets that.
    if settings.llm_server_url is not None:
        return EmbeddingOptions(url=settings.llm_server_url, model=model, key=key or settings.llm_server_key)
    if settings.openai_api_key is not None:
        return EmbeddingOptions(url=settings.openai_base_url, model=model, key=key or settings.openai_api_key)
    if settings.llm_servers:
        first = settings.llm_servers[0]
        return EmbeddingOptions(url=first.url, model=model, key=key or first.key)
    raise CannotEmbed(
        "PALAVER_EMBEDDING_MODEL is set, and no server is that could have it. "
        "Set PALAVER_EMBEDDING_URL, or unset PALAVER_EMBEDDING_MODEL."
    )


def work_rules(settings: Settings) -> WorkRules:
    return WorkRules(Sizes(settings.passage_tokens, settings.passage_overlap))


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


def store_options(settings: Settings) -> StoreOptions:
    return StoreOptions(settings.data_dir, settings.database_url, settings.database_connections)


def bot_options(settings: Settings, port: int) -> BotOptions:
    return BotOptions(
        llm_server_url=settings.llm_server_url,
        llm_server_key=settings.llm_server_key,
        openai_api_key=settings.openai_api_key,
        openai_base_url=settings.openai_base_url,
        servers=tuple(
            NamedServer(one.name, one.url, one.key, one.models, one.weight, one.most_at_once)
            for one in settings.llm_servers
        ),
        default_provider=settings.default_provider,
        default_model=settings.llm_default_model,
        discover_ports=settings.discover_ports,
        own_port=port,
        tries=settings.llm_tries,
        patience=settings.llm_patience_seconds or settings.llm_timeout / 2,
    )


def notify_options(settings: Settings, vapid_key: str) -> NotifyOptions:
    public_url = settings.public_url or ""
    return NotifyOptions(
        vapid_key=vapid_key,
        contact=settings.push_contact or (public_url if public_url.startswith("https://") else None),
        allow=settings.outgoing_allow,
        fcm_account=settings.fcm_account,
        fcm_url=settings.fcm_url,
        mail=mail_options(settings),
    )


def mail_options(settings: Settings) -> MailOptions | None:
    if settings.smtp_host is None:
        return None
    user = settings.smtp_user or ""
    host = urlsplit(settings.public_url or "").hostname or settings.smtp_host
    return MailOptions(
        host=settings.smtp_host,
        sender=settings.mail_from or (user if "@" in user else f"palaver@{host}"),
        port=settings.smtp_port,
        security=settings.smtp_security,
        user=settings.smtp_user,
        password=settings.smtp_password,
    )


def send_rules(settings: Settings) -> SendRules:
    return SendRules(
        delay_seconds=settings.notify_delay_seconds,
        mail_seconds=settings.notify_mail_seconds,
        backoff=Backoff(
            tries=settings.notify_tries, base=BACKOFF.base, cap=BACKOFF.cap, longest_told=BACKOFF.longest_told
        ),
        public_url=settings.public_url or "",
        language=settings.language,
    )


def account_rules(settings: Settings) -> AccountRules:
    return AccountRules(
        registration=settings.registration,
        guests=settings.guests,
        attempts=settings.sign_in_attempts,
        attempt_seconds=settings.sign_in_window_seconds,
        token_days=settings.token_days,
        password_mebibytes=settings.password_mebibytes,
    )


def reply_limits(settings: Settings) -> ReplyLimits:
    return ReplyLimits(
        first_seconds=2 * settings.llm_timeout,
        between_seconds=settings.llm_timeout,
        total_seconds=settings.reply_seconds,
        lease_seconds=settings.lease_seconds,
        context_tokens=settings.context_tokens,
        max_tokens=settings.llm_max_tokens,
        knowledge_tokens=settings.knowledge_tokens,
        cache_seconds=settings.cache_minutes * 60,
        cache_answers=settings.cache_answers,
        tell_seconds=settings.notify_reply_seconds,
        overload_seconds=settings.overload_seconds,
    )


def limit_rules(settings: Settings) -> LimitRules:
    return LimitRules(
        turns_a_minute=settings.turns_a_minute,
        app_turns_a_minute=settings.app_turns_a_minute,
        conversation_turns_a_minute=settings.conversation_turns_a_minute,
        replies_at_once=settings.replies_at_once,
        app_replies_at_once=settings.app_replies_at_once,
        sockets_at_once=settings.sockets_at_once,
        address_sockets_at_once=settings.address_sockets_at_once,
        uploads_at_once=settings.uploads_at_once,
    )


def rules(settings: Settings) -> Rules:
    return Rules(
        when_busy=settings.when_busy,
        guests=settings.guests,
        idle_seconds=settings.session_idle_minutes * 60,
        retention_seconds=settings.retention_days * 86_400,
        domain_model=settings.openai_model,
        domain_temperature=settings.openai_temperature,
        default_model=settings.llm_default_model,
        default_temperature=settings.llm_temperature,
        default_tools=settings.llm_enable_tools,
        quota=knowledge_quota(settings),
        document_bytes=settings.knowledge_document_megabytes * MEGABYTE,
        notices_kept_seconds=settings.notify_keep_days * 86_400,
    )


def knowledge_quota(settings: Settings) -> Quota:
    """What one person may keep of documents."""
    return Quota(
        collections=settings.knowledge_collections or None,
        documents=settings.knowledge_documents or None,
        bytes=settings.knowledge_megabytes * MEGABYTE or None,
    )


def budgets(settings: Settings) -> Budgets:
    return Budgets(
        person=Budget(settings.tokens_a_day, settings.tokens_a_month, _to_millionths(settings.money_a_month)),
        app=Budget(settings.app_tokens_a_day, settings.app_tokens_a_month, _to_millionths(settings.app_money_a_month)),
        conversation_tokens=settings.conversation_tokens,
        reply_tokens=settings.llm_max_tokens,
        knowledge_tokens=settings.knowledge_tokens,
        currency=settings.currency,
    )


def _to_millionths(money: float) -> int:
    """As little as it may be, it is a limit: 0 is none."""
    return max(1, round(money * MILLION)) if money else 0
