import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from palaver.bots.openai import OpenAIBot
from palaver.bots.upstream import Upstream
from palaver.llm_server import Options, running
from palaver.llm_server.server import Running

from .asking import Naps, to_bot


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a server that answers takes for it, it is waited for."""
    monkeypatch.setattr("palaver.bots.discovery.LOOK_SECONDS", 60)
    monkeypatch.setattr("palaver.bots.servers.FIRST_LOOK_SECONDS", 60)
    monkeypatch.setattr("palaver.bots.servers.FIRST_MODELS_SECONDS", 60)


@pytest.fixture
async def llm() -> AsyncIterator[Running]:
    async with running(Options(port=0)) as running_llm:
        yield running_llm


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
async def upstream(llm: Running) -> AsyncIterator[Upstream]:
    async with Upstream(llm.url) as opened:
        yield opened


@pytest.fixture
def bot(upstream: Upstream, naps: Naps) -> OpenAIBot:
    return to_bot(upstream, naps.backoff())


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What our log says of failures; what others have to say meanwhile is no business of ours."""
    with caplog.at_level("WARNING", logger="palaver.bots"), caplog.filtering(logging.Filter("palaver")):
        yield caplog
