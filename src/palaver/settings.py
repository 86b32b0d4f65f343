"""Every setting: its name in the environment, its default, one sentence, what it may be, and whether it is secret.

This is the only reader of the environment. All settings are read and checked before anything starts, and all that are
wrong are named at once. A secret never stands in a `repr`, an error or a log.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from msgspec import Struct
from msgspec.structs import fields, replace

from palaver import kinds
from palaver.kinds import Kind, LlmServer, WrongPart, hide_passwords, is_mail_address

# What a link names while the system is to choose the port.
USUAL_PORT = 8000

DAY_SECONDS = 86_400
YEAR_MINUTES = 366 * 24 * 60
CENTURY_DAYS = 36_525


class Setting(Struct, frozen=True):
    """One name in the environment. Set to nothing is not set, but where `empty_counts`."""

    env: str
    about: str
    kind: Kind
    secret: bool = False
    empty_counts: bool = False

    def show(self, value: object) -> str:
        """The value for people to read: a secret only as being set."""
        if value in (None, "", ()):
            return ""
        return "set" if self.secret else hide_passwords(self.kind.show(value))


class BadSetting(Struct, frozen=True):
    """One that cannot work. `given` is None where it is secret; `part`: which part of it, where that is known."""

    env: str
    given: str | None
    wants: str
    part: str = ""

    def __str__(self) -> str:
        given = "cannot be used (it is secret, so it is not shown)" if self.given is None else f"is {self.given!r}"
        part = f": {self.part}" if self.part else ""
        return f"{self.env} {given}{part}. It has to be {self.wants}."


class BadSettings(Exception):
    """All settings that cannot work, a sentence for each."""

    def __init__(self, faults: Sequence[BadSetting]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class Settings(Struct, frozen=True, kw_only=True):
    """What the operator has settled. `read_settings` makes one; a default one is what an empty environment gives."""

    host: Annotated[str, Setting("PALAVER_HOST", "Address to listen on.", kinds.HOST)] = "127.0.0.1"
    port: Annotated[int, Setting("PALAVER_PORT", "Port to listen on; 0 takes a free one.", kinds.whole(0, 65535))] = (
        USUAL_PORT
    )
    workers: Annotated[
        int,
        Setting(
            "PALAVER_WORKERS",
            "How many processes serve. More than one need PostgreSQL and Redis.",
            kinds.whole(1, 256),
        ),
    ] = 1
    public_url: Annotated[
        str | None,
        Setting("PALAVER_PUBLIC_URL", "What links to this server begin with; unset, its host and port.", kinds.WEB),
    ] = None
    hsts_days: Annotated[
        int,
        Setting(
            "PALAVER_HSTS_DAYS",
            "Where the public URL is https: for so many days browsers come back by https alone; 0: not said.",
            kinds.whole(0, 3650),
        ),
    ] = 365
    trusted_proxies: Annotated[
        str,
        Setting(
            "PALAVER_TRUSTED_PROXIES", "Proxies whose word on the caller's address and scheme is taken.", kinds.PROXIES
        ),
    ] = ""
    cors_origins: Annotated[
        tuple[str, ...],
        Setting("BACKEND_CORS_ORIGINS", "Origins whose pages may call this server; none: CORS is off.", kinds.ORIGINS),
    ] = ()
    allowed_origins: Annotated[
        tuple[str, ...], Setting("ALLOWED_ORIGINS", "Further ones, added to BACKEND_CORS_ORIGINS.", kinds.ORIGINS)
    ] = ()
    max_body_bytes: Annotated[
        int, Setting("PALAVER_MAX_BODY_BYTES", "The longest request body that is taken.", kinds.whole(1, 2**30))
    ] = 1_048_576
    client_seconds: Annotated[
        float,
        Setting(
            "PALAVER_CLIENT_SECONDS",
            "How long a client may take to send a request, beyond what 500 bytes of it a second take, "
            "or to read on in an answer, before it is shown out.",
            kinds.number(0, 3600, above=True),
        ),
    ] = 60
    connections: Annotated[
        int,
        Setting(
            "PALAVER_CONNECTIONS",
            "How many connections each process has at most; 0: as many as it may open files, but for 128.",
            kinds.whole(0),
        ),
    ] = 0
    heartbeat_seconds: Annotated[
        float,
        Setting(
            "PALAVER_HEARTBEAT_SECONDS",
            "After how much silence a stream of events says that it lives; a proxy in front has to wait longer.",
            kinds.number(0, 3600, above=True),
        ),
    ] = 15
    ping_seconds: Annotated[
        float,
        Setting(
            "PALAVER_PING_SECONDS",
            "How often a WebSocket is pinged; a proxy in front has to wait longer.",
            kinds.number(0, 3600, above=True),
        ),
    ] = 25
    drain_seconds: Annotated[
        float,
        Setting(
            "PALAVER_DRAIN_SECONDS", "How long running replies may go on after SIGTERM.", kinds.number(0, DAY_SECONDS)
        ),
    ] = 30
    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"],
        Setting(
            "PALAVER_LOG_LEVEL",
            "The least that is logged.",
            kinds.one_of("debug", "info", "warning", "error", "critical"),
        ),
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"],
        Setting("PALAVER_LOG_FORMAT", "Lines of text, or a JSON object a line.", kinds.one_of("text", "json")),
    ] = "text"
    metrics: Annotated[
        Literal["off", "local", "on"],
        Setting(
            "PALAVER_METRICS",
            "Who may read /metrics: nobody, only this machine itself and not by way of a proxy, or everybody.",
            kinds.one_of("off", "local", "on"),
        ),
    ] = "local"
    metrics_token: Annotated[
        str | None,
        Setting(
            "PALAVER_METRICS_TOKEN",
            "Whoever shows this as a Bearer token may read /metrics too; with `on`, nobody else may.",
            kinds.KEY,
            secret=True,
        ),
    ] = None
    otlp_endpoint: Annotated[
        str | None,
        Setting(
            "PALAVER_OTLP_ENDPOINT",
            "Where spans of turns go by OTLP over HTTP; unset, there are none. It needs palaver[otel].",
            kinds.WEB,
        ),
    ] = None
    otlp_content: Annotated[
        bool, Setting("PALAVER_OTLP_CONTENT", "Whether what people and bots say goes into spans.", kinds.OFF_ON)
    ] = False
    language: Annotated[
        Literal["en", "de", "it"],
        Setting(
            "PALAVER_LANGUAGE",
            "The language of texts for those who ask for none we have.",
            kinds.one_of("en", "de", "it"),
        ),
    ] = "en"

    data_dir: Annotated[
        Path, Setting("PALAVER_DATA_DIR", "Folder for what is kept here; SQLite's file is in it.", kinds.FOLDER)
    ] = Path("data")
    database_url: Annotated[
        str | None,
        Setting("PALAVER_DATABASE_URL", "A PostgreSQL database to use instead of SQLite.", kinds.DATABASE, secret=True),
    ] = None
    db_name: Annotated[
        str | None,
        Setting(
            "DB_NAME",
            "Name of a PostgreSQL database, for who has its address in parts. PALAVER_DATABASE_URL goes before.",
            kinds.TEXT,
        ),
    ] = None
    db_host: Annotated[str, Setting("DB_HOST", "Host of the database, or the folder of its socket.", kinds.HOST)] = (
        "localhost"
    )
    db_port: Annotated[int, Setting("DB_PORT", "Port of the database.", kinds.PORT)] = 5432
    db_user: Annotated[
        str | None, Setting("DB_USER", "User of the database; unset, the system's user.", kinds.TEXT)
    ] = None
    db_password: Annotated[
        str | None, Setting("DB_PASSWORD", "Password of that user.", kinds.PASSWORD, secret=True)
    ] = None
    database_connections: Annotated[
        int,
        Setting(
            "PALAVER_DATABASE_CONNECTIONS", "The most connections of one worker to PostgreSQL.", kinds.whole(1, 1000)
        ),
    ] = 10
    retention_days: Annotated[
        float,
        Setting("PALAVER_RETENTION_DAYS", "How long what was deleted is kept, hidden.", kinds.number(0, CENTURY_DAYS)),
    ] = 30
    redis_url: Annotated[
        str | None,
        Setting(
            "PALAVER_REDIS_URL",
            "A Redis or Valkey server, by which workers hear of each other.",
            kinds.REDIS,
            secret=True,
        ),
    ] = None
    redis_host: Annotated[
        str | None,
        Setting(
            "REDIS_HOST",
            "Host of Redis, for who has its address in parts; 127.0.0.1 where only the port is set.",
            kinds.HOST,
        ),
    ] = None
    redis_port: Annotated[
        int | None, Setting("REDIS_PORT", "Port of Redis; 6379 where only the host is set.", kinds.PORT)
    ] = None
    redis_seconds: Annotated[
        float,
        Setting(
            "PALAVER_REDIS_SECONDS",
            "How long Redis may take to answer before it counts as away; who sends waits a quarter of it for a limit.",
            kinds.number(0, 60, above=True),
        ),
    ] = 1

    guests: Annotated[bool, Setting("PALAVER_GUESTS", "Whether people without an account may talk.", kinds.OFF_ON)] = (
        False
    )
    registration: Annotated[
        bool, Setting("PALAVER_REGISTRATION", "Whether people may make themselves an account.", kinds.OFF_ON)
    ] = False
    password_mebibytes: Annotated[
        int,
        Setting(
            "PALAVER_PASSWORD_MEBIBYTES",
            "Memory that hashing a password takes, once it is set anew: the more, the harder to guess, the slower.",
            kinds.whole(8, 4096),
        ),
    ] = 64
    sign_in_attempts: Annotated[
        int,
        Setting(
            "PALAVER_SIGN_IN_ATTEMPTS",
            "Failed sign-ins of an account before it must wait; an address has ten times as many.",
            kinds.whole(1),
        ),
    ] = 10
    sign_in_window_seconds: Annotated[
        float,
        Setting(
            "PALAVER_SIGN_IN_WINDOW_SECONDS",
            "The time in which they are counted, and then waited for.",
            kinds.number(0, DAY_SECONDS, above=True),
        ),
    ] = 300
    turns_a_minute: Annotated[
        int,
        Setting("PALAVER_TURNS_A_MINUTE", "Messages that one user may send a minute; 0: no limit.", kinds.LIMIT),
    ] = 0
    app_turns_a_minute: Annotated[
        int,
        Setting(
            "PALAVER_APP_TURNS_A_MINUTE",
            "Messages that one application may send a minute for all its users together; 0: no limit.",
            kinds.LIMIT,
        ),
    ] = 0
    conversation_turns_a_minute: Annotated[
        int,
        Setting(
            "PALAVER_CONVERSATION_TURNS_A_MINUTE",
            "Messages that one conversation takes a minute, whoever sends them; 0: no limit.",
            kinds.LIMIT,
        ),
    ] = 0
    replies_at_once: Annotated[
        int,
        Setting("PALAVER_REPLIES_AT_ONCE", "Replies that are written for one user at once; 0: no limit.", kinds.LIMIT),
    ] = 0
    app_replies_at_once: Annotated[
        int,
        Setting(
            "PALAVER_APP_REPLIES_AT_ONCE",
            "Replies that are written for one application at once; 0: no limit.",
            kinds.LIMIT,
        ),
    ] = 0
    sockets_at_once: Annotated[
        int,
        Setting("PALAVER_SOCKETS_AT_ONCE", "WebSockets that one user may have open; 0: no limit.", kinds.LIMIT),
    ] = 0
    address_sockets_at_once: Annotated[
        int,
        Setting(
            "PALAVER_ADDRESS_SOCKETS_AT_ONCE",
            "WebSockets that may be open from one address; 0: no limit.",
            kinds.LIMIT,
        ),
    ] = 0
    uploads_at_once: Annotated[
        int,
        Setting("PALAVER_UPLOADS_AT_ONCE", "Documents that one user may send at once; 0: no limit.", kinds.LIMIT),
    ] = 8
    overload_seconds: Annotated[
        float,
        Setting(
            "PALAVER_OVERLOAD_SECONDS",
            "Once many messages have waited longer to be written down, more are refused (503) for a while; 0: never.",
            kinds.number(0, 3600),
        ),
    ] = 0.15
    max_message: Annotated[
        int,
        Setting(
            "PALAVER_MAX_MESSAGE",
            "The longest message of every API, in characters, where its own limit is not less; 0: no further limit.",
            kinds.whole(0),
        ),
    ] = 0
    token_days: Annotated[
        float,
        Setting(
            "PALAVER_TOKEN_DAYS",
            "How long a token that a sign-in gave is good; 0: until it is revoked.",
            kinds.number(0, CENTURY_DAYS),
        ),
    ] = 365
    session_silent_days: Annotated[
        float,
        Setting(
            "PALAVER_SESSION_SILENT_DAYS",
            "After so many days without a request a browser has to sign in again; 0: only after its 30 days.",
            kinds.number(0, CENTURY_DAYS),
        ),
    ] = 0

    currency: Annotated[
        str,
        Setting(
            "PALAVER_CURRENCY",
            "What money is counted in: a code of three letters.",
            kinds.matching(r"[A-Z]{3}", "a code of three capital letters, like USD or EUR"),
        ),
    ] = "USD"
    tokens_a_day: Annotated[
        int,
        Setting(
            "PALAVER_TOKENS_A_DAY",
            "The most tokens that one user may use in a day (UTC); 0: no limit.",
            kinds.BUDGET,
        ),
    ] = 0
    tokens_a_month: Annotated[
        int,
        Setting(
            "PALAVER_TOKENS_A_MONTH",
            "The most tokens that one user may use in a month; 0: no limit.",
            kinds.BUDGET,
        ),
    ] = 0
    money_a_month: Annotated[
        float,
        Setting(
            "PALAVER_MONEY_A_MONTH",
            "The most money that one user may use in a month, by the prices that are set; 0: no limit.",
            kinds.MONEY,
        ),
    ] = 0
    app_tokens_a_day: Annotated[
        int,
        Setting(
            "PALAVER_APP_TOKENS_A_DAY",
            "The most tokens that an application with all its users may use in a day; 0: no limit.",
            kinds.BUDGET,
        ),
    ] = 0
    app_tokens_a_month: Annotated[
        int,
        Setting(
            "PALAVER_APP_TOKENS_A_MONTH",
            "The most tokens that an application with all its users may use in a month; 0: no limit.",
            kinds.BUDGET,
        ),
    ] = 0
    app_money_a_month: Annotated[
        float,
        Setting(
            "PALAVER_APP_MONEY_A_MONTH",
            "The most money that an application with all its users may use in a month; 0: no limit.",
            kinds.MONEY,
        ),
    ] = 0
    conversation_tokens: Annotated[
        int,
        Setting(
            "PALAVER_CONVERSATION_TOKENS",
            "The most tokens that one conversation may use in all; 0: no limit.",
            kinds.BUDGET,
        ),
    ] = 0

    default_provider: Annotated[
        str,
        Setting(
            "PALAVER_DEFAULT_PROVIDER",
            "Who answers where nothing names a bot. auto: openai where a model is configured or found, else dummy.",
            kinds.matching(r"\S+", "auto, dummy, openai or the name of an installed bot"),
        ),
    ] = "auto"
    when_busy: Annotated[
        Literal["queue", "reject", "interrupt"],
        Setting(
            "PALAVER_WHEN_BUSY",
            "What becomes of a message while the bot still answers another in its conversation.",
            kinds.one_of("queue", "reject", "interrupt"),
        ),
    ] = "queue"
    session_idle_minutes: Annotated[
        float,
        Setting(
            "PALAVER_SESSION_IDLE_MINUTES",
            "Silence after which a chatify session ends; 0: never.",
            kinds.number(0, YEAR_MINUTES),
        ),
    ] = 30
    streaming_chat_max_message: Annotated[
        int,
        Setting(
            "PALAVER_STREAMING_CHAT_MAX_MESSAGE",
            "The longest message of streaming_chat, in characters.",
            kinds.whole(1),
        ),
    ] = 1000
    chat_flow_max_prompt: Annotated[
        int, Setting("PALAVER_CHAT_FLOW_MAX_PROMPT", "The longest prompt of chat_flow, in characters.", kinds.whole(1))
    ] = 100_000
    context_tokens: Annotated[
        int,
        Setting(
            "PALAVER_CONTEXT_TOKENS", "The most tokens that a bot sees where its model says nothing.", kinds.whole(1)
        ),
    ] = 16_384
    exact_tokens: Annotated[
        bool,
        Setting(
            "PALAVER_EXACT_TOKENS",
            "Whether tokens are counted exactly where `palaver[tokens]` is installed; it takes 150 MB in each worker.",
            kinds.OFF_ON,
        ),
    ] = True
    summaries: Annotated[
        bool,
        Setting(
            "PALAVER_SUMMARIES",
            "Whether the bot summarises what is cut from its view, after the turn and at the price of one more.",
            kinds.OFF_ON,
        ),
    ] = False
    reply_seconds: Annotated[
        float,
        Setting(
            "PALAVER_REPLY_SECONDS", "The longest that one reply may take.", kinds.number(0, DAY_SECONDS, above=True)
        ),
    ] = 600
    lease_seconds: Annotated[
        float,
        Setting(
            "PALAVER_LEASE_SECONDS", "How soon the replies of a worker that died are given up.", kinds.number(3, 3600)
        ),
    ] = 10

    cache_minutes: Annotated[
        float,
        Setting(
            "PALAVER_CACHE_MINUTES",
            "How long an answer may be given again to the same question, where a preset asks for that; 0: never.",
            kinds.number(0, YEAR_MINUTES),
        ),
    ] = 60
    cache_answers: Annotated[
        int, Setting("PALAVER_CACHE_ANSWERS", "The most answers that are kept for that.", kinds.whole(1))
    ] = 10_000

    llm_server_url: Annotated[
        str | None,
        Setting("LLM_SERVER_URL", "A server that speaks the OpenAI protocol; tried with and without /v1.", kinds.WEB),
    ] = None
    llm_server_key: Annotated[
        str | None,
        Setting(
            "PALAVER_LLM_SERVER_KEY", "The key that server wants, where it wants one.", kinds.PASSWORD, secret=True
        ),
    ] = None
    llm_servers: Annotated[
        tuple[LlmServer, ...],
        Setting(
            "PALAVER_LLM_SERVERS", "Further servers, used beside that one or OpenAI.", kinds.LLM_SERVERS, secret=True
        ),
    ] = ()
    discover_ports: Annotated[
        tuple[int, ...],
        Setting(
            "PALAVER_DISCOVER_PORTS",
            "Ports of this machine on which LLM servers are looked for where none is configured.",
            kinds.PORTS,
            empty_counts=True,
        ),
    ] = (8001, 11434, 1234, 8080, 8000)
    llm_default_model: Annotated[
        str, Setting("LLM_DEFAULT_MODEL", "The model that answers where nothing names one.", kinds.TEXT)
    ] = "qwen3:8b"
    llm_timeout: Annotated[
        float,
        Setting(
            "LLM_TIMEOUT",
            "Seconds of silence allowed between two pieces of a reply; twice that before the first.",
            kinds.number(0, DAY_SECONDS, above=True),
        ),
    ] = 30
    llm_max_tokens: Annotated[int, Setting("LLM_MAX_TOKENS", "The longest reply, in tokens.", kinds.whole(1))] = 2000
    llm_temperature: Annotated[
        float, Setting("LLM_TEMPERATURE", "The temperature where nothing else sets it.", kinds.TEMPERATURE)
    ] = 0.7
    llm_enable_tools: Annotated[
        bool, Setting("LLM_ENABLE_TOOLS", "Whether new sessions may use tools.", kinds.switch("false", "true"))
    ] = True
    llm_tries: Annotated[
        int, Setting("PALAVER_LLM_TRIES", "How often a server is asked before a turn fails.", kinds.whole(1, 20))
    ] = 3
    llm_patience_seconds: Annotated[
        float | None,
        Setting(
            "PALAVER_LLM_PATIENCE_SECONDS",
            "Silence before the first piece after which another server with the model is asked; unset, half of "
            "LLM_TIMEOUT.",
            kinds.number(0, DAY_SECONDS, above=True),
        ),
    ] = None
    openai_api_key: Annotated[str | None, Setting("OPENAI_API_KEY", "The key for OpenAI.", kinds.KEY, secret=True)] = (
        None
    )
    openai_base_url: Annotated[str, Setting("OPENAI_BASE_URL", "Where OpenAI is.", kinds.WEB)] = (
        "https://api.openai.com/v1"
    )
    openai_model: Annotated[
        str | None,
        Setting("OPENAI_MODEL", "The model of chat_domain until an admin gives its preset another.", kinds.TEXT),
    ] = None
    openai_temperature: Annotated[
        float | None,
        Setting(
            "OPENAI_TEMPERATURE",
            "The temperature of chat_domain until an admin gives its preset another.",
            kinds.TEMPERATURE,
        ),
    ] = None

    embedding_model: Annotated[
        str | None,
        Setting(
            "PALAVER_EMBEDDING_MODEL",
            "The model whose vectors passages of documents are found by, beside their words; unset, by words alone.",
            kinds.TEXT,
        ),
    ] = None
    embedding_url: Annotated[
        str | None,
        Setting(
            "PALAVER_EMBEDDING_URL",
            "The server that has this model, tried with and without /v1; unset, the first LLM server that is set.",
            kinds.WEB,
        ),
    ] = None
    embedding_key: Annotated[
        str | None,
        Setting("PALAVER_EMBEDDING_KEY", "The key that server wants, where it wants one.", kinds.KEY, secret=True),
    ] = None
    rerank: Annotated[
        bool,
        Setting(
            "PALAVER_RERANK",
            "Whether the default model puts the passages that were found in order: one short answer more for each.",
            kinds.OFF_ON,
        ),
    ] = False
    passage_tokens: Annotated[
        int,
        Setting(
            "PALAVER_PASSAGE_TOKENS",
            "The longest passage that a document is cut into, in tokens.",
            kinds.whole(50, 4000),
        ),
    ] = 400
    passage_overlap: Annotated[
        int,
        Setting(
            "PALAVER_PASSAGE_OVERLAP",
            "How much of the passage before it one begins with, in tokens; at most half of a passage.",
            kinds.whole(0, 2000),
        ),
    ] = 60
    knowledge_tokens: Annotated[
        int,
        Setting(
            "PALAVER_KNOWLEDGE_TOKENS",
            "The most tokens of passages that a bot is given for a turn; never more than a quarter of its context.",
            kinds.whole(0),
        ),
    ] = 2000
    knowledge_collections: Annotated[
        int,
        Setting("PALAVER_KNOWLEDGE_COLLECTIONS", "Collections that one user may have; 0: no limit.", kinds.whole(0)),
    ] = 100
    knowledge_documents: Annotated[
        int,
        Setting("PALAVER_KNOWLEDGE_DOCUMENTS", "Documents that one user may have in all; 0: no limit.", kinds.whole(0)),
    ] = 5000
    knowledge_megabytes: Annotated[
        int,
        Setting(
            "PALAVER_KNOWLEDGE_MEGABYTES",
            "How large all documents of one user and their text may be together, in megabytes; 0: no limit.",
            kinds.whole(0, 1_000_000_000),
        ),
    ] = 2000
    knowledge_document_megabytes: Annotated[
        int,
        Setting("PALAVER_KNOWLEDGE_DOCUMENT_MEGABYTES", "The largest document, in megabytes.", kinds.whole(1, 1024)),
    ] = 50

    notify_delay_seconds: Annotated[
        float,
        Setting(
            "PALAVER_NOTIFY_DELAY_SECONDS",
            "How long somebody may take to read by themselves what they are notified of else.",
            kinds.number(0, DAY_SECONDS),
        ),
    ] = 3
    notify_mail_seconds: Annotated[
        float,
        Setting(
            "PALAVER_NOTIFY_MAIL_SECONDS",
            "How much longer mail waits: there is one for all that is written in a conversation within that time.",
            kinds.number(0, DAY_SECONDS),
        ),
    ] = 300
    notify_reply_seconds: Annotated[
        float,
        Setting(
            "PALAVER_NOTIFY_REPLY_SECONDS",
            "Whoever waits longer for a reply, and leaves, is notified of its end; 0: nobody is.",
            kinds.number(0, DAY_SECONDS),
        ),
    ] = 20
    notify_tries: Annotated[
        int,
        Setting(
            "PALAVER_NOTIFY_TRIES",
            "How often a notification is tried, later each time, before it is given up; 15 take about half a day.",
            kinds.whole(1, 100),
        ),
    ] = 15
    notify_keep_days: Annotated[
        float,
        Setting(
            "PALAVER_NOTIFY_KEEP_DAYS",
            "How long it can be seen what became of a notification.",
            kinds.number(0, CENTURY_DAYS),
        ),
    ] = 7
    outgoing_allow: Annotated[
        tuple[str, ...],
        Setting(
            "PALAVER_OUTGOING_ALLOW",
            "Hosts and networks that notifications may go to although they are no public addresses, by http too.",
            kinds.ALLOWED,
        ),
    ] = ()
    push_contact: Annotated[
        str | None,
        Setting(
            "PALAVER_PUSH_CONTACT",
            "Whom push services may turn to (Apple's wants to know); unset, PALAVER_PUBLIC_URL where that is https.",
            kinds.CONTACT,
        ),
    ] = None
    fcm_account: Annotated[
        Path | None,
        Setting(
            "PALAVER_FCM_ACCOUNT",
            "The service account's key of a Firebase project, as Google gives it; unset, FCM is off.",
            kinds.FILE,
        ),
    ] = None
    fcm_url: Annotated[str, Setting("PALAVER_FCM_URL", "Where FCM is.", kinds.WEB)] = "https://fcm.googleapis.com"
    smtp_host: Annotated[
        str | None, Setting("PALAVER_SMTP_HOST", "The server that mail goes out by; unset, there is none.", kinds.HOST)
    ] = None
    smtp_port: Annotated[int, Setting("PALAVER_SMTP_PORT", "Port of that server.", kinds.PORT)] = 587
    smtp_security: Annotated[
        Literal["starttls", "tls", "none"],
        Setting(
            "PALAVER_SMTP_SECURITY",
            "Whether TLS begins after a greeting (port 587), at once (port 465), or not at all.",
            kinds.one_of("starttls", "tls", "none"),
        ),
    ] = "starttls"
    smtp_user: Annotated[
        str | None, Setting("PALAVER_SMTP_USER", "User of that server, where it wants one.", kinds.TEXT)
    ] = None
    smtp_password: Annotated[
        str | None, Setting("PALAVER_SMTP_PASSWORD", "Password of that user.", kinds.PASSWORD, secret=True)
    ] = None
    mail_from: Annotated[
        str | None,
        Setting(
            "PALAVER_MAIL_FROM",
            "Whom mail comes from; unset, PALAVER_SMTP_USER where that is an address, else palaver@ and the host of "
            "PALAVER_PUBLIC_URL.",
            kinds.MAIL,
        ),
    ] = None

    @property
    def base_url(self) -> str:
        """What links to this server begin with."""
        if self.public_url is not None:
            return self.public_url
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port or USUAL_PORT}"

    @property
    def contact(self) -> str | None:
        """Whom push services may turn to: `mailto:` or `https:`."""
        if self.push_contact is not None:
            return self.push_contact
        return self.public_url if self.public_url and self.public_url.startswith("https://") else None

    @property
    def mail_sender(self) -> str:
        """Whom mail comes from."""
        if self.mail_from is not None:
            return self.mail_from
        if self.smtp_user is not None and is_mail_address(self.smtp_user):
            return self.smtp_user
        sender = f"palaver@{urlsplit(self.base_url).hostname}"
        return sender if is_mail_address(sender) else "palaver@localhost"

    def sign_in_link(self, code: str) -> str:
        return f"{self.base_url}/sign-in/{code}"

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, setting.show(getattr(self, name)) or "-") for name, setting in SETTINGS.items()]


SETTINGS: Mapping[str, Setting] = {
    field.name: next(said for said in field.type.__metadata__ if isinstance(said, Setting))
    for field in fields(Settings)
}


def load_settings(**instead: str) -> Settings:
    """The settings of this process, with these names `instead` of the environment's. Raises `BadSettings`."""
    return read_settings({**environment(), **instead})


def environment() -> Mapping[str, str]:
    """What the settings of this process are read from."""
    return os.environ


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings, checked and complete. Raises `BadSettings`, which names all that cannot work."""
    values: dict[str, Any] = {}
    faults: list[BadSetting] = []
    for name, setting in SETTINGS.items():
        if not is_given(setting, environment):
            continue
        given = environment[setting.env]
        try:
            # A blank at the end of a password belongs to it.
            values[name] = setting.kind.parse(given if setting.kind is kinds.PASSWORD else given.strip())
        except ValueError as error:
            shown = None if setting.secret else hide_passwords(given)
            part = str(error) if isinstance(error, WrongPart) else ""
            faults.append(BadSetting(setting.env, shown, setting.kind.wants, part))
    if faults:
        raise BadSettings(faults)
    return _complete(Settings(**values))


def is_given(setting: Setting, environment: Mapping[str, str]) -> bool:
    given = environment.get(setting.env)
    return given is not None and (setting.empty_counts or bool(given.strip()))


def _complete(settings: Settings) -> Settings:
    """With what comes in parts put together."""
    return replace(
        settings,
        database_url=settings.database_url or _database_url(settings),
        redis_url=settings.redis_url or _redis_url(settings),
        cors_origins=tuple(dict.fromkeys(settings.cors_origins + settings.allowed_origins)),
    )


def _database_url(settings: Settings) -> str | None:
    if settings.db_name is None:
        return None
    user = quote(settings.db_user or "", safe="")
    password = "" if settings.db_password is None else f":{quote(settings.db_password, safe='')}"
    who = f"{user}{password}@" if user or password else ""
    return f"postgresql://{who}{_to_netloc(settings.db_host)}:{settings.db_port}/{quote(settings.db_name, safe='')}"


def _redis_url(settings: Settings) -> str | None:
    if settings.redis_host is None and settings.redis_port is None:
        return None
    return f"redis://{_to_netloc(settings.redis_host or '127.0.0.1')}:{settings.redis_port or 6379}/0"


def _to_netloc(host: str) -> str:
    return f"[{host.strip('[]')}]" if ":" in host else quote(host, safe="")


def list_given(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is set in the environment, with its value; a secret only as being set."""
    return [
        (setting.env, "set" if setting.secret else hide_passwords(environment[setting.env]))
        for setting in SETTINGS.values()
        if is_given(setting, environment)
    ]


def list_unknown(environment: Mapping[str, str]) -> list[str]:
    """Names that look like a setting of ours and are none: misspelt, or of another version."""
    known = {setting.env for setting in SETTINGS.values()}
    return sorted(name for name in environment if name.startswith("PALAVER_") and name not in known)


def to_table() -> str:
    """The table of docs/settings.md."""
    default = Settings()
    rows = ["| name | default | what it is | it may be |", "| --- | --- | --- | --- |"]
    for name, setting in SETTINGS.items():
        shown = setting.show(getattr(default, name))
        about = f"{setting.about} Secret." if setting.secret else setting.about
        rows.append(f"| `{setting.env}` | {f'`{shown}`' if shown else ''} | {about} | {setting.kind.wants} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(to_table())
