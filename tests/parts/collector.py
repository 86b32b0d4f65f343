"""A receiver of spans by OTLP over HTTP, as anybody's collector is one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

SECONDS = 15


@dataclass(frozen=True)
class Span:
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    failed: bool
    resource: dict[str, Any]


class Collector:
    def __init__(self) -> None:
        self.url = ""
        self.spans: list[Span] = []
        self.headers: dict[str, str] = {}
        """With which the last ones came, their names in small letters."""
        self._more = asyncio.Condition()

    async def wait_for(self, *matches: Callable[[Span], bool]) -> list[Span]:
        """The first span for each of these, once all have come."""
        async with asyncio.timeout(SECONDS), self._more:
            await self._more.wait_for(lambda: all(any(map(match, self.spans)) for match in matches))
        return [next(filter(match, self.spans)) for match in matches]

    async def _receive(self, request: web.Request) -> web.Response:
        sent = ExportTraceServiceRequest.FromString(await request.read())
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        async with self._more:
            for whole in sent.resource_spans:
                resource = {one.key: _to_value(one.value) for one in whole.resource.attributes}
                self.spans += [_to_span(span, resource) for scope in whole.scope_spans for span in scope.spans]
            self._more.notify_all()
        return web.Response()


def named(name: str) -> Callable[[Span], bool]:
    return lambda span: span.name == name


@asynccontextmanager
async def open_collector() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector._receive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield collector
    await runner.cleanup()


def _to_span(span: Any, resource: dict[str, Any]) -> Span:
    kinds = {2: "server", 3: "client"}
    return Span(
        name=span.name,
        kind=kinds[span.kind],
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes={one.key: _to_value(one.value) for one in span.attributes},
        failed=span.status.code == 2,
        resource=resource,
    )


def _to_value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    assert kind is not None
    found = getattr(value, kind)
    return [_to_value(one) for one in found.values] if kind == "array_value" else found
