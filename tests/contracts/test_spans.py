"""Spans of turns, as a collector receives them from a real server."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from tests.contracts.talking import BROKEN, STALLED, make
from tests.journeys.client import Client, open_client
from tests.journeys.socket import enter
from tests.parts.collector import Collector, Span, named, open_collector
from tests.parts.llm import LLM
from tests.parts.palaver import Server, StartServer, StoreKind
from tests.parts.process import bare_environment

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"


@pytest.fixture(scope="module")
def store_kind() -> StoreKind:
    return "sqlite"


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with open_collector() as collector:
        yield collector


@pytest.fixture
async def server(start_server: StartServer, collector: Collector) -> Server:
    return await start_server(PALAVER_OTLP_ENDPOINT=collector.url, PALAVER_LLM_TRIES="1", OTEL_BSP_SCHEDULE_DELAY="50")


@pytest.fixture
async def alice(server: Server) -> AsyncIterator[Client]:
    token = await server.token("alice")
    async with open_client(server) as client:
        yield client.bearing(token)


def is_talk(span: Span) -> bool:
    return span.kind == "client"


async def test_turn_is_a_span_of_the_caller_s_trace_and_the_model_s_call_is_one_of_it(
    alice: Client, collector: Collector, llm: LLM
) -> None:
    await llm.control(text="SPOKEN words", pieces=2)
    asking = alice.having(traceparent=f"00-{TRACE}-{CALLER}-01", X_Request_Id="mine")
    assert (await asking.post("/api/chat", message="WRITTEN")).status == 200
    request, talk = await collector.wait_for(named("POST /api/chat"), is_talk)
    [heard] = await llm.record(n=1)
    assert (request.kind, request.trace_id, request.parent_id) == ("server", TRACE, CALLER)
    assert (talk.trace_id, talk.parent_id) == (TRACE, request.span_id)
    assert heard.headers["traceparent"] == f"00-{TRACE}-{talk.span_id}-01"
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/api/chat",
        "http.response.status_code": 200,
        "palaver.request_id": "mine",
    }
    model = heard.body["model"]
    assert talk.name == f"chat {model}"
    told = talk.attributes
    assert told.pop("gen_ai.response.time_to_first_chunk") > 0
    assert told.pop("gen_ai.usage.input_tokens") > 0
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
        "gen_ai.request.temperature": heard.body["temperature"],
        "gen_ai.response.model": model,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.output_tokens": told["gen_ai.usage.output_tokens"],
        "gen_ai.usage.cache_read.input_tokens": 0,
    }
    assert request.resource["service.name"] == "palaver"
    assert "SPOKEN" not in str(collector.spans)
    assert "WRITTEN" not in str(collector.spans)


async def test_turn_on_a_socket_is_a_span_and_what_waited_behind_it_is_none_of_it(
    alice: Client, collector: Collector
) -> None:
    session = await make(alice)
    async with enter(alice, session) as socket:
        await socket.say(STALLED)
        await socket.until("ai_message_chunk")
        await socket.say("and then?")
        await socket.send("stop")
        first, second = await collector.wait_for(is_talk, lambda span: is_talk(span) and not span.parent_id)
    [asked] = await collector.wait_for(named("send_message /ws/ai-chat/session/{id}/"))
    assert (first.trace_id, first.parent_id) == (asked.trace_id, asked.span_id)
    assert first.failed is False
    assert second.trace_id != first.trace_id


@pytest.mark.parametrize(("message", "failure"), [(BROKEN, "cut"), ("[[fault=500]]", "unavailable")])
async def test_call_that_failed_says_why_in_our_words(
    alice: Client, collector: Collector, message: str, failure: str
) -> None:
    assert (await alice.post("/api/chat", message=message)).status == 503
    request, talk = await collector.wait_for(named("POST /api/chat"), is_talk)
    assert (talk.failed, talk.attributes["error.type"]) == (True, failure)
    assert (request.failed, request.attributes["http.response.status_code"]) == (True, 503)
    assert "VENDORSECRET" not in str(collector.spans)


async def test_what_was_said_is_told_where_that_is_wanted(
    start_server: StartServer, collector: Collector, llm: LLM
) -> None:
    await llm.control(text="SPOKEN words", pieces=2)
    server = await start_server(
        PALAVER_OTLP_ENDPOINT=collector.url,
        PALAVER_OTLP_CONTENT="on",
        OTEL_BSP_SCHEDULE_DELAY="50",
        OTEL_SERVICE_NAME="our-chat",
        OTEL_EXPORTER_OTLP_HEADERS="api-key=of-the-receiver",
    )
    async with open_client(server) as client:
        await client.bearing(await server.token("alice")).post("/api/chat", message="WRITTEN")
    [talk] = await collector.wait_for(is_talk)
    asked = json.loads(talk.attributes["gen_ai.input.messages"])
    assert asked[-1] == {"role": "user", "parts": [{"type": "text", "content": "WRITTEN"}]}
    [said] = json.loads(talk.attributes["gen_ai.output.messages"])
    assert said["parts"] == [{"type": "text", "content": "SPOKEN words"}]
    # OpenTelemetry's own variables.
    assert talk.resource["service.name"] == "our-chat"
    assert collector.headers["api-key"] == "of-the-receiver"


def test_what_is_not_wanted_is_not_imported_and_what_is_missing_is_named() -> None:
    unset = "import sys, palaver.app; print('opentelemetry' in sys.modules)"
    assert run_python(unset).stdout == "False\n"
    missing = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from palaver.cli import main\n"
        "sys.argv = ['palaver', 'serve', '--port', '0']; main()"
    )
    done = run_python(missing, PALAVER_OTLP_ENDPOINT="http://127.0.0.1:9", PALAVER_DISCOVER_PORTS="")
    assert done.returncode == 1
    assert "PALAVER_OTLP_ENDPOINT is set, and OpenTelemetry is not installed" in done.stderr
    assert "Traceback" not in done.stderr


def run_python(code: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**bare_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
