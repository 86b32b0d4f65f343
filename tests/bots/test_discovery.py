import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager

import pytest

from palaver.bots import discovery
from palaver.bots.discovery import USUAL_PORTS, find_servers
from palaver.llm_server import Options, running
from palaver.settings import Settings
from tests.parts.process import free_port

from .asking import HandTimeouts, small_server, to_response


@asynccontextmanager
async def silent_port() -> AsyncIterator[int]:
    """A port that takes connections and never says anything."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        yield listening.getsockname()[1]


@pytest.mark.parametrize(
    ("name", "port"),
    [("palaver llm-server", 8001), ("Ollama", 11434), ("LM Studio", 1234), ("llama.cpp", 8080), ("vLLM", 8000)],
)
def test_looks_at_the_port_where_each_usual_server_is_by_itself(name: str, port: int) -> None:
    assert port in Settings().discover_ports, name
    assert Settings().discover_ports == USUAL_PORTS


async def test_finds_all_that_offer_models_in_the_order_of_their_ports() -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running(Options(port=0, prefix="v1")))
        second = await stack.enter_async_context(running(Options(port=0, prefix="none")))
        assert await find_servers([free_port(), first.port, second.port]) == [first.port, second.port]
        assert await find_servers([second.port, first.port]) == [second.port, first.port]


async def test_finds_nothing_where_nothing_is() -> None:
    assert await find_servers([free_port(), free_port()]) == []
    assert await find_servers([]) == []


@pytest.mark.parametrize(
    "answer",
    [
        to_response(404, b"{}"),
        to_response(401, b'{"detail":"Who are you?"}'),
        to_response(200, b"<!doctype html>", "text/html"),
        to_response(200, b'{"data":[]}'),
        to_response(200, b'{"message":"Welcome"}'),
        b"220 this is no web server\r\n",
    ],
)
async def test_what_offers_no_models_is_no_llm_server(answer: bytes) -> None:
    async with small_server(lambda _: [answer]) as server:
        assert await find_servers([int(server.url.rpartition(":")[2])]) == []


async def test_silent_port_holds_up_nothing_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    timeouts = HandTimeouts()
    timeouts.stand_in(discovery, monkeypatch)
    async with silent_port() as silent, running(Options(port=0)) as llm:
        finding = asyncio.create_task(find_servers([silent, llm.port]))
        # That of the first port alone: the other has all the time that it needs.
        await timeouts.run_out(1)
        assert await finding == [llm.port]
    assert timeouts.seconds == [discovery.LOOK_SECONDS] * 2
