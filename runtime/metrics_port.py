"""The worker's GET /metrics: its own, and those of Temporal's SDK, on one port."""

import asyncio
import logging
from collections.abc import Iterator
from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client import REGISTRY, Metric, start_http_server
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from temporalio.runtime import LogForwardingConfig, LoggingConfig, PrometheusConfig, Runtime, TelemetryConfig

from runtime.ports import free_port

_log = logging.getLogger(__name__)
_LOOPBACK = "127.0.0.1"
_AGAIN_AFTER_S = 5.0
_SDK_S = 2.0


def temporal_runtime(*, metrics: bool, json_lines: bool) -> Runtime:
    """A runtime for Temporal's clients whose `metrics` are among ours, and whose log lines are where ours are JSON.

    The SDK's core is not Python and tells its metrics on a port of its own: one that is free, on this machine alone.
    """
    address = f"{_LOOPBACK}:{free_port(_LOOPBACK, 0)}"
    told = PrometheusConfig(address, counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True)
    forwarding = LogForwardingConfig(logging.getLogger("temporal")) if json_lines else None
    lines = LoggingConfig(LoggingConfig.default.filter, forwarding)
    runtime = Runtime(telemetry=TelemetryConfig(logging=lines, metrics=told if metrics else None))
    if metrics:
        REGISTRY.register(_TemporalMetrics(f"http://{address}/metrics"))
    return runtime


async def serve_metrics(host: str, port: int) -> None:
    """Serves from a thread until the process ends.

    A port that is taken, as by the worker that this one replaces, is waited for: a worker without metrics works.
    """
    warned = False
    while True:
        try:
            start_http_server(port, host)
        except OSError as error:
            if not warned:
                _log.warning("no metrics yet: %s:%d can't be listened on: %s", host, port, error)
                warned = True
            await asyncio.sleep(_AGAIN_AFTER_S)
        else:
            return


class _TemporalMetrics(Collector):
    def __init__(self, url: str) -> None:
        self._url = url

    def describe(self) -> list[Metric]:
        """Nothing: else the registry would ask what there is before there is anything."""
        return []

    def collect(self) -> Iterator[Metric]:
        try:
            with urlopen(self._url, timeout=_SDK_S) as answer:  # noqa: S310  (our own address)
                text = answer.read().decode()
        except (URLError, OSError) as error:
            _log.warning("Temporal's SDK did not tell its metrics: %s", error)
            return
        yield from text_string_to_metric_families(text)
