"""Spans by OpenTelemetry, sent by OTLP over HTTP. The names are those of its conventions for generative AI.

The names stand here as text: its own packages call theirs unstable, and have moved them before. Headers for the
receiver, the name of the service and how many are sampled are told by OpenTelemetry's own variables (`OTEL_…`), which
its SDK reads.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.context import attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract, inject
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from palaver.watching.spans import Headers

# While its receiver is away, a server that ends does not wait for it for long.
SEND_SECONDS = 3.0


class OpenTelemetry:
    def __init__(self, endpoint: str, *, version: str, worker: str, content: bool) -> None:
        own = {"service.name": "palaver", "service.version": version, "service.instance.id": worker}
        self._provider = TracerProvider(
            resource=Resource(own).merge(OTELResourceDetector().detect()), shutdown_on_exit=False
        )
        exporter = OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=SEND_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("palaver", version)
        self.talks_content = content

    def close(self) -> None:
        """Sends what is left."""
        self._provider.shutdown()

    def request(self, method: str, route: str, request_id: str, headers: Headers) -> "Request":
        span = self._begin(f"{method} {route}", route, request_id, headers)
        span.set_attribute("http.request.method", method)
        # The task is the request's own, and ends with it.
        attach(set_span_in_context(span))
        return Request(span)

    @contextmanager
    def message(self, route: str, kind: str, request_id: str, headers: Headers) -> Iterator[None]:
        span = self._begin(f"{kind} {route}", route, request_id, headers)
        token = attach(set_span_in_context(span))
        try:
            yield
        finally:
            detach(token)
            span.end()

    def talk(self, provider: str, model: str | None, settings: Mapping[str, float | None], said: str) -> "Talk":
        span = self._tracer.start_span(f"chat {model or provider}", kind=SpanKind.CLIENT)
        span.set_attribute("gen_ai.operation.name", "chat")
        span.set_attribute("gen_ai.provider.name", provider)
        if model is not None:
            span.set_attribute("gen_ai.request.model", model)
        for name, value in settings.items():
            if value is not None:
                span.set_attribute(f"gen_ai.request.{name}", value)
        if self.talks_content:
            span.set_attribute("gen_ai.input.messages", said)
        # As with a request: the task is this reply's.
        attach(set_span_in_context(span))
        return Talk(span, content=self.talks_content)

    def outgoing(self) -> Mapping[str, str]:
        headers: dict[str, str] = {}
        inject(headers)
        return headers

    def _begin(self, name: str, route: str, request_id: str, headers: Headers) -> Span:
        carried = {key.decode("latin-1"): value.decode("latin-1") for key, value in headers}
        attributes = {"http.route": route, "palaver.request_id": request_id}
        return self._tracer.start_span(name, extract(carried), SpanKind.SERVER, attributes)


class Request:
    def __init__(self, span: Span) -> None:
        self._span = span

    def end(self, status: int | None) -> None:
        if status is not None:
            self._span.set_attribute("http.response.status_code", status)
            if status >= 500:
                self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class Talk:
    def __init__(self, span: Span, *, content: bool) -> None:
        self._span = span
        self._began = time.perf_counter()
        self._first = True
        self._said: list[str] | None = [] if content else None
        self._reason = ""

    def piece(self, text: str) -> None:
        if self._first:
            self._first = False
            self._span.set_attribute("gen_ai.response.time_to_first_chunk", time.perf_counter() - self._began)
        if self._said is not None:
            self._said.append(text)

    def finished(self, model: str | None, reason: str, tokens: tuple[int, int, int] | None) -> None:
        span, self._reason = self._span, reason
        span.set_attribute("gen_ai.response.finish_reasons", [reason])
        if model is not None:
            span.set_attribute("gen_ai.response.model", model)
        if tokens is not None:
            read, cached, written = tokens
            span.set_attribute("gen_ai.usage.input_tokens", read)
            span.set_attribute("gen_ai.usage.output_tokens", written)
            span.set_attribute("gen_ai.usage.cache_read.input_tokens", cached)

    def end(self, failure: str | None) -> None:
        if self._said is not None:
            part = {"type": "text", "content": "".join(self._said)}
            said = {"role": "assistant", "parts": [part], "finish_reason": self._reason}
            self._span.set_attribute("gen_ai.output.messages", json.dumps([said]))
        if failure is not None:
            self._span.set_attribute("error.type", failure)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()
