"""`palaver sync-models`, on each of the stores."""

import json

from tests.cli.conftest import Command
from tests.parts.llm import LLM


async def test_models_are_listed_with_their_default(palaver: Command, llm: LLM) -> None:
    done = palaver("sync-models", LLM_SERVER_URL=llm.url, LLM_DEFAULT_MODEL="gpt-4")
    assert (done.code, done.err) == (0, "")
    assert done.rows == [
        ["gpt-4", "gpt-4", "default"],
        ["gpt-4.1-mini", "gpt-4.1-mini"],
        ["gpt-4o-mini", "gpt-4o-mini"],
        ["qwen3:8b", "qwen3:8b"],
    ]


async def test_default_that_was_chosen_stays(palaver: Command, llm: LLM) -> None:
    palaver("sync-models", "--set-default", "qwen3:8b", LLM_SERVER_URL=llm.url, LLM_DEFAULT_MODEL="gpt-4")
    done = palaver("sync-models", LLM_SERVER_URL=llm.url, LLM_DEFAULT_MODEL="gpt-4")
    assert done.rows[-1] == ["qwen3:8b", "qwen3:8b", "default"]


def offering(*models: str) -> str:
    """A server that need not be asked for its models."""
    return json.dumps([{"name": "one", "url": "http://127.0.0.1:9", "models": models}])


async def test_first_by_name_becomes_the_default_where_the_one_that_was_is_offered_no_more(palaver: Command) -> None:
    preferred = {"LLM_DEFAULT_MODEL": "b"}
    palaver("sync-models", "--set-default", "c", PALAVER_LLM_SERVERS=offering("b", "c"), **preferred)
    done = palaver("sync-models", PALAVER_LLM_SERVERS=offering("a", "b"), **preferred)
    assert (done.code, done.rows) == (0, [["a", "a", "default"], ["b", "b"]])


async def test_model_that_is_not_offered_cannot_be_the_default(palaver: Command, llm: LLM) -> None:
    done = palaver("sync-models", "--set-default", "nobody's", LLM_SERVER_URL=llm.url)
    assert (done.code, done.out) == (1, "")
    assert done.err == 'No LLM server offers a model "nobody\'s"; nothing has changed.\n'


async def test_server_that_is_away_or_unknown_changes_nothing(palaver: Command, llm: LLM) -> None:
    llm.process.kill()
    for settings, failures in (({"LLM_SERVER_URL": llm.url}, 1), ({}, 0)):
        done = palaver("sync-models", **settings)
        assert (done.code, done.out) == (1, "")
        assert done.err.count("tells no models:") == failures
        assert done.err.splitlines()[-1] == (
            "No LLM server tells its models; nothing has changed. `palaver doctor` looks at them."
        )
