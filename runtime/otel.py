"""Traces by OpenTelemetry's SDK: requests, group commits, batches, activities and statements, sent by OTLP.

The instrumentations that there are for asyncpg, Redis and aiohttp pin one version of OpenTelemetry's API to the last
digit, which FastAPI asks for as well; and a request's path, which that of ASGI names its spans by, holds an account.
"""

import functools
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from os import environ
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from temporalio.client import Interceptor
from temporalio.contrib.opentelemetry import TracingInterceptor

from api.app import HOT_PATHS
from intake.traces import Span, TracedCommit, Traces
from runtime.settings import Settings

_MOST_LINKS = 32
"""Of one batch to the requests in it: a trace is an example, not an account of everything."""
_LONGEST_QUERY = 1_000
_QUIET_PATHS = ("/health/", "/metrics")
_SERVER_ERROR = 500
_W3C = TraceContextTextMapPropagator()

# A parent that is not sampled, for all that nobody asked for: samplings, sweeps, schedules.
_NOBODY = SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(TraceFlags.DEFAULT))


class OpenTelemetry:
    """Started once a process, in the thread whose event loop will do the work."""

    def __init__(self, process: str, settings: Settings) -> None:
        told = {"service.name": environ.get("OTEL_SERVICE_NAME") or f"footfall-{process}"}
        provider = TracerProvider(resource=Resource.create({**told, "service.version": version("footfall")}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        # Not the provider for everybody: libraries that trace by themselves would tell paths, and so accounts.
        self._tracer = provider.get_tracer("footfall", version("footfall"))
        contexts.attach(_under(_NOBODY))
        self.intake: Traces = _IntakeTraces(self._tracer)
        self.temporal: Sequence[Interceptor] = (TracingInterceptor(self._tracer),)
        self.http: Sequence[aiohttp.TraceConfig] = (_telling_the_trace(),)
        _trace_statements(self._tracer, settings)
        _put_trace_ids_into_log_lines()

    def app(self, app: ASGIApp) -> ASGIApp:
        return _TracedRequests(app, self._tracer)


class _TracedRequests:
    """A span for each request, by its method and route; below the caller's where it says so (`traceparent`)."""

    def __init__(self, app: ASGIApp, tracer: trace.Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_QUIET_PATHS):
            await self._app(scope, receive, send)
            return
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        caller = _W3C.extract(carrier, Context())
        method = scope["method"]
        attributes = {"http.request.method": method}
        with self._tracer.start_as_current_span(method, caller, SpanKind.SERVER, attributes) as span:

            async def send_and_note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= _SERVER_ERROR:
                        span.set_status(Status(StatusCode.ERROR))
                await send(message)

            await self._app(scope, receive, send_and_note)
            route = scope["path"] if scope["path"] in HOT_PATHS else getattr(scope.get("route"), "path_format", None)
            if route is not None:
                span.update_name(f"{method} {route}")
                span.set_attribute("http.route", route)


class _IntakeTraces:
    """A commit, and then a batch, belongs to the trace of the first traced request in it, and links to the others."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def request(self) -> Span | None:
        span = trace.get_current_span()
        return span if span.is_recording() else None

    @contextmanager
    def commit(self, requests: Sequence[Span], batch_id: UUID) -> Iterator[TracedCommit | None]:
        spans = [one for one in requests if isinstance(one, trace.Span)]
        if not spans:
            with _within(_NOBODY):
                yield None
            return
        for one in spans:
            if one.is_recording():  # else its client has hung up
                one.set_attribute("footfall.batch_id", str(batch_id))
        first, *others = (one.get_span_context() for one in spans)
        attributes = {"footfall.batch_id": str(batch_id)}
        links = [Link(one) for one in others[:_MOST_LINKS]]
        with self._tracer.start_as_current_span("commit", _under(first), attributes=attributes, links=links) as span:
            yield TracedCommit(span.get_span_context(), [first, *others])

    @contextmanager
    def start(self, commits: Sequence[TracedCommit], batch_id: UUID) -> Iterator[None]:
        if not commits:
            with _within(_NOBODY):
                yield
            return
        parent = commits[0].span
        requests = [one for commit in commits for one in commit.requests if isinstance(one, SpanContext)]
        links = [Link(one) for one in requests[:_MOST_LINKS]]
        attributes: dict[str, str | int] = {
            "footfall.batch_id": str(batch_id),
            "footfall.traced_requests": len(requests),
        }
        assert isinstance(parent, SpanContext)  # noqa: S101  (ours, from `commit`)
        with self._tracer.start_as_current_span(
            "start batch", _under(parent), SpanKind.PRODUCER, attributes, links=links
        ):
            yield


def _under(span: SpanContext) -> Context:
    return trace.set_span_in_context(NonRecordingSpan(span), Context())


@contextmanager
def _within(span: SpanContext) -> Iterator[None]:
    token = contexts.attach(_under(span))
    try:
        yield
    finally:
        contexts.detach(token)


def _telling_the_trace() -> aiohttp.TraceConfig:
    """Has requests to the recommender carry the `traceparent` of what they are made for."""

    async def tell(_session: object, _context: object, request: aiohttp.TraceRequestStartParams) -> None:
        _W3C.inject(request.headers)

    config = aiohttp.TraceConfig()
    config.on_request_start.append(tell)
    return config


def _trace_statements(tracer: trace.Tracer, settings: Settings) -> None:
    """A span around each statement, whoever runs it. Its text has no values: these are parameters."""
    for name in ("execute", "executemany", "fetch", "fetchrow", "fetchval"):
        _wrap(asyncpg.Connection, name, tracer, "postgresql", str)
    if settings.redis_url is not None:
        from redis.asyncio import Redis  # noqa: PLC0415  (as in runtime/connections.py: for those who have it)

        _wrap(Redis, "execute_command", tracer, "redis", str)  # its first argument: keys hold accounts
    if settings.scylla_enabled:
        from store.cql import CqlSession  # noqa: PLC0415

        _wrap(CqlSession, "execute", tracer, "cassandra", _cql)


def _cql(statement: Any) -> str:
    return str(getattr(statement, "query_string", None) or type(statement).__name__)


def _wrap(owner: Any, name: str, tracer: trace.Tracer, system: str, text_of: Callable[[Any], str]) -> None:
    method: Callable[..., Awaitable[Any]] = getattr(owner, name)

    @functools.wraps(method)
    async def traced(self: Any, statement: Any, *arguments: Any, **options: Any) -> Any:
        if not trace.get_current_span().is_recording():
            return await method(self, statement, *arguments, **options)
        text = text_of(statement)
        attributes = {"db.system.name": system, "db.query.text": text[:_LONGEST_QUERY]}
        kind = f"{system} {text.split(None, 1)[0]}"
        with tracer.start_as_current_span(kind, kind=SpanKind.CLIENT, attributes=attributes):
            return await method(self, statement, *arguments, **options)

    setattr(owner, name, traced)


def _put_trace_ids_into_log_lines() -> None:
    made = logging.getLogRecordFactory()

    def with_trace_id(*arguments: Any, **options: Any) -> logging.LogRecord:
        record = made(*arguments, **options)
        span = trace.get_current_span()
        if span.is_recording():
            record.trace_id = trace.format_trace_id(span.get_span_context().trace_id)
        return record

    logging.setLogRecordFactory(with_trace_id)
