"""What the doctor finds, and that it changes nothing."""

import json
from pathlib import Path

import pytest

from palaver.chat.clock import Micros
from palaver.chat.server import NamedServer
from palaver.store import StoreOptions, open_store
from tests.cli.conftest import Command, Done
from tests.parts.llm import LLM
from tests.parts.process import wait_until
from tests.parts.redis import Redis


def findings(done: Done, about: str) -> list[tuple[str, str]]:
    """State and text of what was found about something."""
    words = [line.split(maxsplit=2) for line in done.out.splitlines()]
    return [(word[0], word[2]) for word in words if len(word) == 3 and word[1] == about]


def test_doctor_before_the_first_start_finds_nothing_broken_and_makes_nothing(
    embedded: Command, data_dir: Path
) -> None:
    done = embedded("doctor")
    assert (done.code, done.err) == (0, "")
    assert [state for state, _ in findings(done, "folder") + findings(done, "database")] == ["note", "note"]
    assert findings(done, "models") == [("note", "No LLM server is configured or found: the bot dummy answers")]
    assert done.out.endswith("Nothing is broken.\n")
    assert not data_dir.exists()


def test_doctor_finds_a_database_that_works(palaver: Command) -> None:
    palaver("migrate")
    done = palaver("doctor")
    assert done.code == 0
    assert [state for state, _ in findings(done, "database")] == ["ok", "note"]
    palaver("user", "add", "root", "--admin")
    assert [state for state, _ in findings(palaver("doctor"), "database")] == ["ok"]


def test_doctor_says_what_an_empty_database_needs(embedded: Command, empty_postgres_url: str) -> None:
    done = embedded("doctor", PALAVER_DATABASE_URL=empty_postgres_url)
    text = "PostgreSQL is empty; the next start, or `palaver migrate`, changes that"
    assert findings(done, "database") == [("note", text)]


def test_doctor_names_all_bad_settings(embedded: Command) -> None:
    done = embedded("doctor", PALAVER_PORT="http", OPENAI_API_KEY="sekret key")
    assert done.code == 1
    assert [text.split()[0] for state, text in findings(done, "settings") if state == "broken"] == [
        "PALAVER_PORT",
        "OPENAI_API_KEY",
    ]
    assert "sekret" not in done.out + done.err


def test_doctor_shows_what_is_set_but_no_secret(embedded: Command, llm: LLM) -> None:
    done = embedded(
        "doctor",
        OPENAI_API_KEY="sekret",
        DB_PASSWORD="sekret",
        PALAVER_REDIS_URL="redis://:sekret@127.0.0.1:1",
        LLM_SERVER_URL=llm.url.replace("//", "//me:sekret@"),
        PALAVER_RETENTION_DAYS="7",
    )
    said = findings(done, "settings")
    assert {("ok", "OPENAI_API_KEY is set"), ("ok", "DB_PASSWORD is set"), ("ok", "PALAVER_RETENTION_DAYS is 7")} < set(
        said
    )
    assert "sekret" not in done.out + done.err


def test_doctor_asks_about_a_misspelt_setting(embedded: Command) -> None:
    done = embedded("doctor", PALAVER_GUEST="on")
    assert ("note", "PALAVER_GUEST is no setting of this version; is PALAVER_GUESTS meant?") in findings(
        done, "settings"
    )


def test_doctor_names_a_folder_that_cannot_be_made(embedded: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = embedded("doctor", PALAVER_DATA_DIR=str(tmp_path / "file" / "data"))
    assert done.code == 1
    assert [state for state, _ in findings(done, "folder")] == ["broken"]


def test_doctor_lists_the_models_of_the_llm_server(embedded: Command, llm: LLM) -> None:
    done = embedded("doctor", LLM_SERVER_URL=llm.url, LLM_DEFAULT_MODEL="gpt-5")
    offered = f"{llm.url} (LLM_SERVER_URL) answers; it offers gpt-4, gpt-4.1-mini, gpt-4o-mini, qwen3:8b"
    missing = "LLM_DEFAULT_MODEL, gpt-5, is not among them: another one is the default"
    assert findings(done, "models") == [("ok", offered), ("note", missing)]
    assert done.code == 0


async def test_doctor_finds_an_llm_server_on_this_machine(embedded: Command, llm: LLM) -> None:
    def names() -> list[str]:
        done = embedded("doctor", PALAVER_DISCOVER_PORTS=llm.url.rpartition(":")[2])
        return [text.split(" answers")[0] for _, text in findings(done, "models")]

    # It looks for a second, whatever else the machine does.
    assert await wait_until(lambda: names() == [f"{llm.url} (found)"], seconds=60), names()


@pytest.mark.parametrize(
    "settings",
    [
        {"LLM_SERVER_URL": "http://127.0.0.1:1"},
        {"OPENAI_API_KEY": "sekret", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"},
        {"PALAVER_DEFAULT_PROVIDER": "openai"},
        {"PALAVER_DEFAULT_PROVIDER": "parrot"},
    ],
)
def test_model_that_is_configured_and_cannot_be_asked_is_broken(embedded: Command, settings: dict[str, str]) -> None:
    done = embedded("doctor", **settings)
    assert done.code == 1
    assert [state for state, _ in findings(done, "models")] == ["broken"]
    assert done.out.endswith("1 broken.\n")
    assert "sekret" not in done.out


def test_doctor_finds_redis(embedded: Command, redis: Redis) -> None:
    address = redis.url.removeprefix("redis://").removesuffix("/0")
    assert findings(embedded("doctor", PALAVER_REDIS_URL=redis.url), "redis") == [("ok", f"Redis at {address} answers")]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://:sekret@127.0.0.1:1", "Redis at 127.0.0.1:1 cannot be used: "),
        ("redis://:sekret@127.0.0.1:1?colour=blue", "the address of Redis cannot be used: "),
    ],
)
def test_redis_that_is_configured_and_cannot_be_used_is_broken(embedded: Command, url: str, reason: str) -> None:
    done = embedded("doctor", PALAVER_REDIS_URL=url)
    assert done.code == 1
    assert [(state, text[: len(reason)]) for state, text in findings(done, "redis")] == [("broken", reason)]
    assert "sekret" not in done.out + done.err


def test_redis_that_does_not_let_us_in_is_broken(embedded: Command, redis: Redis) -> None:
    done = embedded("doctor", PALAVER_REDIS_URL=redis.url.replace("//", "//ana:sekret@"))
    assert [state for state, _ in findings(done, "redis")] == ["broken"]
    assert "sekret" not in done.out + done.err


def test_doctor_says_what_workers_need_and_what_they_take(embedded: Command, postgres_url: str) -> None:
    done = embedded("doctor", PALAVER_WORKERS="3", PALAVER_DATABASE_URL=postgres_url)
    assert done.code == 1
    [(state, text)] = findings(done, "workers")
    assert state == "broken"
    assert "set PALAVER_REDIS_URL (Redis or Valkey)" in text
    done = embedded("doctor", PALAVER_WORKERS="3", PALAVER_DATABASE_URL=postgres_url, REDIS_PORT="1")
    text = "3 workers serve; together they have up to 30 connections to PostgreSQL"
    assert findings(done, "workers") == [("ok", text)]
    assert findings(embedded("doctor"), "workers") == []


def test_doctor_says_how_each_of_several_servers_does(embedded: Command, llm: LLM) -> None:
    servers = [
        {"name": "one", "url": llm.url},
        {"name": "two", "url": "http://127.0.0.1:1", "key": "sekret"},
        {"name": "three", "url": llm.url, "models": ["gpt-4"]},
    ]
    done = embedded("doctor", PALAVER_LLM_SERVERS=json.dumps(servers), LLM_SERVER_URL=llm.url)
    found = findings(done, "models")
    assert [state for state, _ in found] == ["ok", "ok", "broken", "ok"]
    assert [text.partition("(")[2].partition(")")[0] for _, text in found] == [
        "LLM_SERVER_URL", "one, PALAVER_LLM_SERVERS", "two, PALAVER_LLM_SERVERS", "three, PALAVER_LLM_SERVERS",
    ]  # fmt: skip
    assert found[3][1].endswith("it offers gpt-4")
    assert (done.code, "sekret" in done.out + done.err) == (1, False)


async def test_doctor_asks_the_servers_that_admins_have_added(embedded: Command, data_dir: Path, llm: LLM) -> None:
    embedded("migrate")
    async with open_store(StoreOptions(data_dir)) as store:
        await store.servers.add(NamedServer("own", llm.url), Micros(1))
    [(state, text)] = findings(embedded("doctor"), "models")
    assert (state, text.partition(" answers")[0]) == ("ok", f"{llm.url} (own, added by an admin)")
    assert embedded("sync-models").rows[0][0] == "gpt-4"


async def test_doctor_asks_the_server_that_makes_vectors(embedded: Command, llm: LLM) -> None:
    settings = {"PALAVER_EMBEDDING_MODEL": "vectors-1", "PALAVER_EMBEDDING_URL": llm.url}
    done = embedded("doctor", **settings)
    assert findings(done, "vectors") == [("ok", "vectors-1 gives vectors of 384 numbers")]
    await llm.control(fault="500", on="embeddings")
    done = embedded("doctor", **settings, PALAVER_EMBEDDING_KEY="sekret")
    [(state, text)] = findings(done, "vectors")
    assert (done.code, state) == (1, "broken")
    assert "answers 500" in text
    assert "sekret" not in done.out


def test_doctor_says_that_vectors_need_a_server(embedded: Command) -> None:
    done = embedded("doctor", PALAVER_EMBEDDING_MODEL="vectors-1")
    [(state, text)] = findings(done, "vectors")
    assert (state, text.split(",")[0]) == ("broken", "PALAVER_EMBEDDING_MODEL is set")


def test_doctor_says_by_what_ways_people_are_reached_who_are_away(embedded: Command, tmp_path: Path) -> None:
    assert findings(embedded("doctor"), "notify") == []
    text = "People who are away are reached by mail, web_push, webhook"
    assert findings(embedded("doctor", PALAVER_SMTP_HOST="127.0.0.1"), "notify") == [("ok", text)]
    account = tmp_path / "account.json"
    account.write_text('{"private_key": "sekret"}')
    done = embedded("doctor", PALAVER_FCM_ACCOUNT=str(account))
    [(state, said)] = findings(done, "notify")
    assert (state, said.startswith("PALAVER_FCM_ACCOUNT names a file that "), done.code) == ("broken", True, 1)
    assert "sekret" not in done.out
