"""Which server makes the vectors: the one that is named, else the first LLM server, each with its own key alone."""

import pytest

from palaver.options import CannotEmbed, embedding_options
from palaver.settings import read_settings

LLM = {"LLM_SERVER_URL": "http://llm", "PALAVER_LLM_SERVER_KEY": "llm-key"}
OPENAI = {"OPENAI_API_KEY": "openai-key"}
FURTHER = {"PALAVER_LLM_SERVERS": '[{"name": "gpu1", "url": "http://gpu1", "key": "gpu-key"}]'}
OWN = {"PALAVER_EMBEDDING_URL": "http://own", "PALAVER_EMBEDDING_KEY": "own-key"}


@pytest.mark.parametrize(
    ("environment", "url", "key"),
    [
        ({**OWN, **LLM, **OPENAI}, "http://own", "own-key"),
        ({"PALAVER_EMBEDDING_URL": "http://own", **LLM, **OPENAI}, "http://own", None),
        ({**LLM, **OPENAI, **FURTHER}, "http://llm", "llm-key"),
        ({"LLM_SERVER_URL": "http://llm", **OPENAI}, "http://llm", None),
        ({**OPENAI, **FURTHER}, "https://api.openai.com/v1", "openai-key"),
        (FURTHER, "http://gpu1", "gpu-key"),
        ({"PALAVER_EMBEDDING_KEY": "own-key", **LLM}, "http://llm", "own-key"),
    ],
)
def test_a_server_gets_its_own_key_and_no_other(environment: dict[str, str], url: str, key: str | None) -> None:
    options = embedding_options(read_settings({"PALAVER_EMBEDDING_MODEL": "vectors-1", **environment}))
    assert options is not None
    assert (options.url, options.key, options.model) == (url, key, "vectors-1")


def test_without_a_model_nothing_is_embedded() -> None:
    assert embedding_options(read_settings({**OWN, **LLM})) is None


def test_a_model_without_a_server_stops_the_start() -> None:
    with pytest.raises(CannotEmbed, match="PALAVER_EMBEDDING_URL"):
        embedding_options(read_settings({"PALAVER_EMBEDDING_MODEL": "vectors-1"}))
