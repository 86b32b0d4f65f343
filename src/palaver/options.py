"""What each part takes of the settings."""

from urllib.parse import urlsplit

from palaver.bots.options import BotOptions
from palaver.chat.accounts import AccountRules
from palaver.chat.backoff import Backoff
from palaver.chat.flow import Rules
from palaver.chat.knowledge import Quota, Sizes
from palaver.chat.ledger import MILLION, Budget, Budgets
from palaver.chat.limits import LimitRules
from palaver.chat.preset import DomainSettings
from palaver.chat.running import ReplyLimits
from palaver.chat.sender import BACKOFF, SendRules
from palaver.chat.server import NamedServer
from palaver.knowledge.embeddings import EmbeddingOptions
from palaver.knowledge.worker import WorkRules
from palaver.notify import MailOptions, NotifyOptions
from palaver.settings import Settings
from palaver.store import StoreOptions

MEGABYTE = 1_000_000


class CannotEmbed(Exception):
    """Vectors are wanted and cannot be had: a sentence for the operator."""


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
        session_silent_days=settings.session_silent_days,
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
        default_model=settings.llm_default_model,
        default_temperature=settings.llm_temperature,
        default_tools=settings.llm_enable_tools,
        quota=knowledge_quota(settings),
        document_bytes=settings.knowledge_document_megabytes * MEGABYTE,
        notices_kept_seconds=settings.notify_keep_days * 86_400,
    )


def domain_settings(settings: Settings) -> DomainSettings:
    built_in, temperature = DomainSettings(), settings.openai_temperature
    return DomainSettings(
        model=settings.openai_model or built_in.model,
        temperature=built_in.temperature if temperature is None else temperature,
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
