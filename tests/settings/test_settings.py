"""Settings from an environment that is handed in: nothing here reads the one of this process."""

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.kinds import UNPRINTABLE
from palaver.options import account_rules, bot_options
from palaver.settings import (
    SETTINGS,
    BadSettings,
    Settings,
    list_given,
    list_unknown,
    load_settings,
    read_settings,
)

SECRET_NAMES = [setting.env for setting in SETTINGS.values() if setting.secret]


def read(**environment: str) -> Settings:
    return read_settings(environment)


def refuse(**environment: str) -> str:
    """What is said about settings that cannot work."""
    with pytest.raises(BadSettings) as refused:
        read_settings(environment)
    return str(refused.value)


def test_empty_environment_gives_the_defaults() -> None:
    assert read() == Settings()


@pytest.mark.parametrize("name", SETTINGS)
def test_default_is_what_its_own_text_would_give(name: str) -> None:
    setting, default = SETTINGS[name], getattr(Settings(), name)
    shown = setting.show(default)
    assert getattr(read(**{setting.env: shown}), name) == default


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: setting.env)
def test_every_setting_has_a_name_of_its_own_and_a_sentence(setting: Any) -> None:
    assert [other.env for other in SETTINGS.values()].count(setting.env) == 1
    assert setting.about.endswith(".")
    assert setting.kind.wants


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: setting.env)
def test_empty_is_unset(setting: Any) -> None:
    assert read(**{setting.env: ""}) == (Settings(discover_ports=()) if setting.empty_counts else Settings())


@pytest.mark.parametrize(
    ("env", "text", "name", "value"),
    [
        ("PALAVER_HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("PALAVER_PORT", " 0 ", "port", 0),
        ("PALAVER_DATA_DIR", "/srv/palaver", "data_dir", Path("/srv/palaver")),
        ("PALAVER_DATABASE_URL", "postgres://a:b@c,d:1/e?sslmode=require", "database_url", ...),
        ("PALAVER_DATABASE_URL", "postgresql:///palaver?host=/run/postgresql", "database_url", ...),
        ("PALAVER_DATABASE_CONNECTIONS", "3", "database_connections", 3),
        ("PALAVER_PUBLIC_URL", "https://chat.example.org/", "public_url", "https://chat.example.org"),
        ("PALAVER_GUESTS", "on", "guests", True),
        ("PALAVER_GUESTS", "False", "guests", False),
        ("PALAVER_REGISTRATION", "yes", "registration", True),
        ("PALAVER_DEFAULT_PROVIDER", "my_bot", "default_provider", "my_bot"),
        ("PALAVER_WHEN_BUSY", "Reject", "when_busy", "reject"),
        ("PALAVER_MAX_BODY_BYTES", "100", "max_body_bytes", 100),
        ("PALAVER_SESSION_IDLE_MINUTES", "0", "session_idle_minutes", 0),
        ("PALAVER_SESSION_IDLE_MINUTES", "0.01", "session_idle_minutes", 0.01),
        ("PALAVER_RETENTION_DAYS", ".5", "retention_days", 0.5),
        ("PALAVER_LANGUAGE", "de", "language", "de"),
        ("PALAVER_OUTGOING_ALLOW", "10.1.2.3/8, Hooks.Local", "outgoing_allow", ("10.0.0.0/8", "hooks.local")),
        ("PALAVER_PUSH_CONTACT", "admin@example.org", "push_contact", "mailto:admin@example.org"),
        ("PALAVER_PUSH_CONTACT", "https://example.org/", "push_contact", "https://example.org"),
        ("PALAVER_FCM_ACCOUNT", "/etc/fcm.json", "fcm_account", Path("/etc/fcm.json")),
        ("PALAVER_LEASE_SECONDS", "3", "lease_seconds", 3),
        ("PALAVER_TRUSTED_PROXIES", "10.0.0.0/8, ::1,10.0.0.7/8", "trusted_proxies", "10.0.0.0/8,::1,10.0.0.7/8"),
        ("PALAVER_TRUSTED_PROXIES", "*", "trusted_proxies", "*"),
        ("PALAVER_LOG_LEVEL", "WARNING", "log_level", "warning"),
        ("LLM_SERVER_URL", "http://localhost:8001/v1/", "llm_server_url", "http://localhost:8001/v1"),
        ("OPENAI_API_KEY", "sk-1\n", "openai_api_key", "sk-1"),
        ("OPENAI_TEMPERATURE", "2", "openai_temperature", 2),
        ("LLM_ENABLE_TOOLS", "false", "llm_enable_tools", False),
        ("LLM_TIMEOUT", "1.5", "llm_timeout", 1.5),
        ("PALAVER_DISCOVER_PORTS", "9000, 9001,9000", "discover_ports", (9000, 9001)),
        ("PALAVER_DISCOVER_PORTS", " ", "discover_ports", ()),
        ("PALAVER_REDIS_URL", "rediss://:secret@cache:6380/2", "redis_url", ...),
        ("PALAVER_REDIS_URL", "unix:///run/redis.sock?db=1", "redis_url", ...),
        ("PALAVER_REDIS_SECONDS", "0.5", "redis_seconds", 0.5),
        ("DB_PASSWORD", " with blanks ", "db_password", " with blanks "),
    ],
)
def test_setting_is_read(env: str, text: str, name: str, value: object) -> None:
    assert getattr(read(**{env: text}), name) == (text if value is ... else value)


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ("PALAVER_HOST", "two words"),
        ("PALAVER_HOST", "[::1]"),
        ("PALAVER_PORT", "65536"),
        ("PALAVER_PORT", "-1"),
        ("PALAVER_PORT", "80.0"),
        ("PALAVER_PORT", "1_000"),
        ("PALAVER_PORT", "٣"),
        ("PALAVER_PORT", "9" * 5000),
        ("PALAVER_DATABASE_CONNECTIONS", "0"),
        ("PALAVER_REDIS_SECONDS", "0"),
        ("PALAVER_REDIS_SECONDS", "61"),
        ("PALAVER_PUBLIC_URL", "chat.example.org"),
        ("PALAVER_OUTGOING_ALLOW", "10.0.0.0/99"),
        ("PALAVER_OUTGOING_ALLOW", "http://hooks.local"),
        ("PALAVER_PUSH_CONTACT", "http://example.org"),
        ("PALAVER_PUSH_CONTACT", "nobody"),
        ("PALAVER_MAIL_FROM", "Palaver <palaver@example.org>"),
        ("PALAVER_SMTP_SECURITY", "ssl"),
        ("PALAVER_PUBLIC_URL", "https://chat.example.org/?a=1"),
        ("PALAVER_PUBLIC_URL", "https://chat.example.org:99999"),
        ("PALAVER_GUESTS", "perhaps"),
        ("PALAVER_DEFAULT_PROVIDER", "my bot"),
        ("PALAVER_WHEN_BUSY", "wait"),
        ("PALAVER_MAX_BODY_BYTES", "0"),
        ("PALAVER_SESSION_IDLE_MINUTES", "-1"),
        ("PALAVER_RETENTION_DAYS", "inf"),
        ("PALAVER_RETENTION_DAYS", "nan"),
        ("PALAVER_RETENTION_DAYS", "1e3"),
        ("PALAVER_RETENTION_DAYS", "36526"),
        ("PALAVER_LANGUAGE", "fr"),
        ("PALAVER_LEASE_SECONDS", "2.9"),
        ("PALAVER_LLM_TRIES", "0"),
        ("PALAVER_SIGN_IN_WINDOW_SECONDS", "0"),
        ("PALAVER_TRUSTED_PROXIES", "proxy.example.org"),
        ("PALAVER_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("PALAVER_LOG_LEVEL", "loud"),
        ("PALAVER_DISCOVER_PORTS", "8001,0"),
        ("PALAVER_DISCOVER_PORTS", "8001 8002"),
        ("LLM_SERVER_URL", "localhost:8001"),
        ("LLM_SERVER_URL", "http://"),
        ("LLM_SERVER_URL", "ftp://localhost"),
        ("LLM_TIMEOUT", "0"),
        ("LLM_TEMPERATURE", "2.1"),
        ("LLM_DEFAULT_MODEL", "two\nlines"),
        ("LLM_DEFAULT_MODEL", "no \udcff UTF-8"),
        ("DB_PORT", "0"),
        ("BACKEND_CORS_ORIGINS", "chat.example.org"),
        ("BACKEND_CORS_ORIGINS", "https://chat.example.org/path"),
        ("BACKEND_CORS_ORIGINS", "https://*.example.org"),
        ("BACKEND_CORS_ORIGINS", '["https://chat.example.org"'),
        ("BACKEND_CORS_ORIGINS", "[1]"),
        ("ALLOWED_ORIGINS", "null"),
    ],
)
def test_setting_that_cannot_work_is_refused_with_what_was_given_and_what_would_do(env: str, text: str) -> None:
    wants = next(setting.kind.wants for setting in SETTINGS.values() if setting.env == env)
    assert refuse(**{env: text}) == f"{env} is {text!r}. It has to be {wants}."


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ("OPENAI_API_KEY", "sekret key"),
        ("DB_PASSWORD", "sekret\nline"),
        ("PALAVER_DATABASE_URL", "mysql://user:sekret@host/name"),
        ("PALAVER_DATABASE_URL", "postgresql+asyncpg://user:sekret@host/name"),
        ("PALAVER_DATABASE_URL", "postgresql://"),
        ("PALAVER_DATABASE_URL", "postgres://user:sek/ret@host/name"),
        ("PALAVER_DATABASE_URL", "postgres://user:12/sekret@host/name"),
        ("PALAVER_DATABASE_URL", "postgres://user:sek@ret@host/name"),
        ("PALAVER_DATABASE_URL", "postgres://user:12?sekret@host/name"),
        ("PALAVER_DATABASE_URL", "postgres://user:12#sekret@host/name"),
        ("PALAVER_DATABASE_URL", "postgres://user:sekret@host:port/name"),
        ("PALAVER_REDIS_URL", "http://:sekret@host"),
        ("PALAVER_REDIS_URL", "redis://:sekret@host:port"),
        ("PALAVER_REDIS_URL", "redis://:12/sekret@host"),
        ("PALAVER_REDIS_URL", "redis:///1"),
    ],
)
def test_secret_that_cannot_work_is_named_and_not_shown(env: str, text: str) -> None:
    said = refuse(**{env: text})
    assert said.startswith(f"{env} cannot be used")
    assert "sek" not in said
    assert "ret@" not in said


def test_all_that_cannot_work_are_named_at_once() -> None:
    said = refuse(PALAVER_PORT="x", PALAVER_GUESTS="x", OPENAI_API_KEY="s s", PALAVER_HOST="localhost")
    assert [line.split()[0] for line in said.splitlines()] == ["PALAVER_PORT", "PALAVER_GUESTS", "OPENAI_API_KEY"]


@pytest.mark.parametrize(
    ("environment", "contact", "sender"),
    [
        ({}, None, "palaver@127.0.0.1"),
        ({"PALAVER_PUBLIC_URL": "http://chat.example.org:81"}, None, "palaver@chat.example.org"),
        ({"PALAVER_PUBLIC_URL": "https://a.example/x"}, "https://a.example/x", "palaver@a.example"),
        (
            {"PALAVER_SMTP_USER": "u@b.example", "PALAVER_PUSH_CONTACT": "c@d.example"},
            "mailto:c@d.example",
            "u@b.example",
        ),
        ({"PALAVER_SMTP_USER": "u@b.example", "PALAVER_MAIL_FROM": "e@f.example"}, None, "e@f.example"),
        ({"PALAVER_SMTP_USER": "key"}, None, "palaver@127.0.0.1"),
    ],
)
def test_push_services_and_readers_of_mail_are_told_who_sends(
    environment: dict[str, str], contact: str | None, sender: str
) -> None:
    settings = read(**environment)
    assert (settings.contact, settings.mail_sender) == (contact, sender)


def test_nothing_that_is_printed_of_settings_holds_a_secret() -> None:
    environment = {
        "PALAVER_DATABASE_URL": "postgresql://user:sekret@host/name",
        "DB_PASSWORD": "sekret",
        "PALAVER_REDIS_URL": "redis://:sekret@host",
        "OPENAI_API_KEY": "sekret",
        "PALAVER_LLM_SERVER_KEY": "sekret",
        "PALAVER_LLM_SERVERS": '[{"name": "a", "url": "http://user:sekret@h", "key": "sekret"}]',
        "PALAVER_METRICS_TOKEN": "sekret",
        "LLM_SERVER_URL": "http://user:sekret@localhost:8001",
        "PALAVER_EMBEDDING_URL": "http://user:sekret@localhost:8001",
        "PALAVER_EMBEDDING_KEY": "sekret",
        "PALAVER_SMTP_PASSWORD": "sekret",
    }
    settings = read_settings(environment)
    assert set(SECRET_NAMES) < set(environment)
    assert settings.openai_api_key == "sekret"
    for said in (repr(settings), str(settings), f"{settings}", repr(settings.__rich_repr__())):
        assert "sekret" not in said
        assert "openai_api_key" in said
    assert "sekret" not in str(list_given(environment))


def test_password_in_parts_makes_an_address_that_is_not_shown_either() -> None:
    settings = read(DB_NAME="palaver", DB_PASSWORD="sekret")
    assert settings.database_url == "postgresql://:sekret@localhost:5432/palaver"
    assert "sekret" not in repr(settings)


def test_password_of_an_address_is_not_shown_when_the_address_is_refused() -> None:
    assert "sekret" not in refuse(LLM_SERVER_URL="http://user:sekret@localhost:99999")


@pytest.mark.proof("operating")
@given(
    password=st.text(min_size=1).filter(lambda text: bool(text.strip()) and not UNPRINTABLE.search(text)),
    user=st.text(min_size=1).filter(lambda text: bool(text.strip()) and not UNPRINTABLE.search(text)),
)
def test_any_user_and_password_survive_being_put_into_an_address(user: str, password: str) -> None:
    settings = read(DB_NAME="a/b", DB_HOST="db", DB_PORT="1", DB_USER=user, DB_PASSWORD=password)
    assert settings.database_url is not None
    parts = urlsplit(settings.database_url)
    assert (unquote(parts.username or ""), unquote(parts.password or "")) == (user.strip(), password)
    assert (parts.hostname, parts.port, unquote(parts.path)) == ("db", 1, "/a/b")
    # What is made of parts is an address that would be taken as a whole.
    assert read(PALAVER_DATABASE_URL=settings.database_url).database_url == settings.database_url


@pytest.mark.parametrize(
    ("host", "netloc"), [("db.example.org", "db.example.org"), ("::1", "[::1]"), ("/run/pg", "%2Frun%2Fpg")]
)
def test_database_is_at_its_host_or_in_the_folder_of_its_socket(host: str, netloc: str) -> None:
    assert read(DB_NAME="palaver", DB_HOST=host).database_url == f"postgresql://{netloc}:5432/palaver"


def test_parts_of_an_address_count_for_nothing_without_a_name() -> None:
    assert read(DB_HOST="db", DB_USER="u", DB_PASSWORD="p").database_url is None


def test_address_of_the_database_goes_before_its_parts() -> None:
    url = "postgresql://whole/one"
    assert read(PALAVER_DATABASE_URL=url, DB_NAME="other").database_url == url


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, None),
        ({"REDIS_HOST": "cache"}, "redis://cache:6379/0"),
        ({"REDIS_PORT": "6380"}, "redis://127.0.0.1:6380/0"),
        ({"PALAVER_REDIS_URL": "redis://a", "REDIS_HOST": "b"}, "redis://a"),
    ],
)
def test_redis_is_used_once_any_of_its_settings_is_there(environment: dict[str, str], url: str | None) -> None:
    assert read_settings(environment).redis_url == url


def test_origins_of_both_settings_are_joined() -> None:
    settings = read(
        BACKEND_CORS_ORIGINS='["http://localhost:3000/", "https://Chat.example.org"]',
        ALLOWED_ORIGINS="http://localhost:3000, http://[::1]:5173,",
    )
    assert settings.cors_origins == ("http://localhost:3000", "https://chat.example.org", "http://[::1]:5173")


def test_any_origin_can_be_allowed() -> None:
    assert read(ALLOWED_ORIGINS="*").cors_origins == ("*",)


@pytest.mark.parametrize(
    ("environment", "link"),
    [
        ({}, "http://127.0.0.1:8000/sign-in/abc"),
        ({"PALAVER_HOST": "0.0.0.0", "PALAVER_PORT": "9000"}, "http://127.0.0.1:9000/sign-in/abc"),
        ({"PALAVER_HOST": "::", "PALAVER_PORT": "0"}, "http://[::1]:8000/sign-in/abc"),
        ({"PALAVER_HOST": "chat.local"}, "http://chat.local:8000/sign-in/abc"),
        ({"PALAVER_PUBLIC_URL": "https://chat.example.org/palaver/"}, "https://chat.example.org/palaver/sign-in/abc"),
    ],
)
def test_sign_in_link_is_one_that_a_person_can_open(environment: dict[str, str], link: str) -> None:
    assert read_settings(environment).sign_in_link("abc") == link


def test_names_that_look_like_settings_and_are_none_are_found() -> None:
    assert list_unknown({"PALAVER_GUEST": "on", "PALAVER_GUESTS": "on", "PATH": "/bin"}) == ["PALAVER_GUEST"]


def test_process_is_configured_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_PORT", "9001")
    monkeypatch.setenv("PALAVER_HOST", "0.0.0.0")
    settings = load_settings(PALAVER_HOST="127.0.0.2")
    assert (settings.host, settings.port) == ("127.0.0.2", 9001)


def test_settings_stay_as_they_were_read() -> None:
    with pytest.raises(AttributeError):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ("gpu1", "it is no JSON list of objects"),
        ("{}", "it is no JSON list of objects"),
        ("[5]", "entry 1 cannot be used"),
        ('[{"name": "a"}]', "entry 1 lacks `url`"),
        ('[{"name": "a", "url": "sekret"}]', "`url` of entry 1 is no address"),
        ('[{"name": "b", "url": "http://h"}, {"name": "a", "url": "sekret"}]', "`url` of entry 2 is no address"),
        ('[{"name": "A sekret", "url": "http://h"}]', "`name` of entry 1 cannot be used"),
        (
            '[{"name": "a", "url": "http://h"}, {"name": "a", "url": "http://i"}]',
            "entry 2 has the `name` of one before it",
        ),
        ('[{"name": "a", "url": "http://h", "weight": 0}]', "`weight` of entry 1 cannot be used"),
        (
            '[{"name": "a", "url": "http://h"}, {"name": "b", "url": "http://i", "wieght": 3}]',
            "entry 2 has `wieght`, which is no field of a server",
        ),
        ('[{"name": "a", "url": "http://h", "sk-sekret": 3}]', "entry 1 cannot be used"),
        ('[{"name": "a", "url": "http://h", "key": "sekret key"}]', "`key` of entry 1 cannot be used"),
        ('[{"name": "a", "url": "http://h", "models": ["m", 5]}]', "`models` of entry 1 cannot be used"),
    ],
)
def test_servers_that_cannot_be_used_are_named_by_entry_and_field_without_their_values(said: str, part: str) -> None:
    with pytest.raises(BadSettings) as refused:
        read_settings({"PALAVER_LLM_SERVERS": said})
    assert str(refused.value).startswith(
        f"PALAVER_LLM_SERVERS cannot be used (it is secret, so it is not shown): {part}. It has to be "
    )
    assert "sekret" not in str(refused.value)


def test_servers_are_read_with_all_that_is_said_of_them_and_never_shown() -> None:
    said = (
        '[{"name": "a", "url": "http://h/v1/", "key": "sekret", "models": ["m"], "weight": 2, "most_at_once": 3},'
        '{"name": "b", "url": "http://i"}]'
    )
    settings = read_settings({"PALAVER_LLM_SERVERS": said})
    first, second = settings.llm_servers
    assert msgspec.structs.astuple(first) == ("a", "http://h/v1", "sekret", ("m",), 2.0, 3)
    assert msgspec.structs.astuple(second) == ("b", "http://i", None, (), 1.0, None)
    assert "sekret" not in repr(settings) + repr(first)
    assert "sekret" not in repr(bot_options(settings, 8000)) + repr(bot_options(settings, 8000).servers)


def test_what_is_set_about_sign_ins_is_what_they_go_by() -> None:
    rules = account_rules(read_settings({"PALAVER_SESSION_SILENT_DAYS": "0.5", "PALAVER_TOKEN_DAYS": "7"}))
    assert (rules.session_silent_days, rules.token_days) == (0.5, 7)
    assert account_rules(Settings()).session_silent_days == 0
