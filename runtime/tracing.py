"""Traces, where OTEL_EXPORTER_OTLP_ENDPOINT names a collector. Elsewhere no SDK of OpenTelemetry is even loaded."""

import os
from collections.abc import Sequence
from typing import Protocol

import aiohttp
from starlette.types import ASGIApp
from temporalio.client import Interceptor

from domain.errors import InvalidInputError
from intake.traces import NO_TRACES, Traces
from runtime.settings import Settings

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Tracing(Protocol):
    """How a process takes part in traces."""

    @property
    def intake(self) -> Traces: ...
    @property
    def temporal(self) -> Sequence[Interceptor]: ...
    @property
    def http(self) -> Sequence[aiohttp.TraceConfig]:
        """For clients that ask other processes of ours."""

    def app(self, app: ASGIApp) -> ASGIApp:
        """The application, with a span around each request."""


class Untraced:
    intake: Traces = NO_TRACES
    temporal: Sequence[Interceptor] = ()
    http: Sequence[aiohttp.TraceConfig] = ()

    def app(self, app: ASGIApp) -> ASGIApp:
        return app


def start_tracing(process: str, settings: Settings) -> Tracing:
    """Call it before anything is opened: connections that are made from now on tell of their statements.

    Raises:
        InvalidInputError: traces are asked for and can't be made.

    """
    asked = any(os.environ.get(name) for name in _ENDPOINTS)
    if not asked or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Untraced()
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    if protocol != "http/protobuf":
        raise InvalidInputError(f"OTEL_EXPORTER_OTLP_PROTOCOL: {protocol!r}: traces are sent by http/protobuf only")
    try:
        from runtime.otel import OpenTelemetry  # noqa: PLC0415  (its SDK is an extra, and 10 MB of a process)
    except ImportError as error:
        raise InvalidInputError(f"OTEL_EXPORTER_OTLP_ENDPOINT is set, which needs footfall[otel]: {error}") from error
    return OpenTelemetry(process, settings)
