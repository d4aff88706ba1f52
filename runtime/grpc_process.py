"""The gRPC process: the door of BharatML's clients."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import grpc
import uvloop
from grpc_health.v1.health import SERVICE_NAME as HEALTH
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha.reflection import SERVICE_NAME as REFLECTION
from grpc_reflection.v1alpha.reflection import enable_server_reflection

from api.admission import Room
from api.metrics import BACKLOG_AGE_SECONDS, BACKLOG_EVENTS
from domain.errors import InvalidInputError
from doors.bharatml.health import Health
from doors.bharatml.service import SERVICE, InteractionStore, Services
from intake.backlog import Backlog
from runtime.access import begin, insist_on_keys, open_gate, with_keys
from runtime.background import in_background
from runtime.entrance import open_entrance
from runtime.limits import allow_open_files, leave_garbage_longer
from runtime.logs import set_up_logging
from runtime.metrics_port import serve_metrics
from runtime.process_metrics import tell_build
from runtime.settings import Settings
from runtime.signals import end_within, stop_event
from runtime.tracing import Tracing, start_tracing

_log = logging.getLogger(__name__)

_NAME = "footfall grpc"

MOST_BYTES = 4 * 1024 * 1024
"""Of a request: what clients send at the most by default."""
_BESIDE = 100  # calls of health and reflection

# What asks a process to end kills it after 30 s: 5 s at the most to leave, so much for the calls under way, and less
# than 8 s for all that follows.
_SHUTDOWN_S = 15.0
_CLOSING_S = 0.3
_END_S = 8.0

_PING_MS = 60_000
_PING_TIMEOUT_MS = 20_000
_CLIENTS_PING_MS = 10_000


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; calls under way get their answers.

    Raises:
        InvalidInputError: there is no port to listen on, or others can reach it and nothing says who of them may.

    """
    set_up_logging(settings.log_level, settings.log_format)
    if not settings.grpc_port:
        raise InvalidInputError("FOOTFALL_GRPC_PORT: 0 stands for no gRPC; set the port to listen on")
    allow_open_files()
    asyncio.run(insist_on_keys(settings))
    uvloop.run(serve(settings, start_tracing("grpc", settings)))


async def serve(settings: Settings, tracing: Tracing) -> None:
    stop = stop_event()
    async with AsyncExitStack() as stack:
        tell_build("grpc")
        opened = await stack.enter_async_context(open_entrance(settings, _NAME, tracing))
        guarded = open_gate(settings, opened.reads)
        checks = {**opened.checks, "postgres": with_keys(opened.checks["postgres"], guarded.keys)}
        health = Health(SERVICE, lambda: opened.has_days.is_set() and guarded.keys.is_read, checks)
        in_background(stack, *guarded.works, *_told(settings, opened.entrance.backlog))
        stack.callback(end_within, _END_S)
        await begin(opened.has_days, guarded.keys)
        await health.look()
        in_background(stack, health.keep_looking())
        room = (settings.requests_at_once, max(settings.bytes_at_once, MOST_BYTES))
        store = InteractionStore(
            Services(
                gate=guarded.gate,
                entrance=opened.entrance,
                ledger_days=opened.ledger_days,
                blocks=opened.blocks,
                shard=settings.shard,
                writes=Room(*room),
                reads=Room(*room),
            )
        )
        server = _server(settings, store, health)
        leave_garbage_longer()
        await server.start()
        _log.info("gRPC is served at %s", address(settings))
        try:
            await stop.wait()
            await health.leave()
            await asyncio.sleep(settings.leave_s)
            store.closing = True
            await asyncio.sleep(_CLOSING_S)
        finally:
            await server.stop(_SHUTDOWN_S)


def address(settings: Settings) -> str:
    """Where it listens, as gRPC has it."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{host}:{settings.grpc_port}"


def _server(settings: Settings, store: InteractionStore, health: Health) -> grpc.aio.Server:
    at_once = 2 * settings.requests_at_once + _BESIDE
    server = grpc.aio.server(
        options=[
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", MOST_BYTES),
            (
                "grpc.max_send_message_length",
                -1,
            ),  # an answer of 2,000 events may be larger; its client says how large
            ("grpc.max_metadata_size", settings.max_header_bytes),
            ("grpc.max_concurrent_streams", at_once),
            ("grpc.keepalive_time_ms", _PING_MS),
            ("grpc.keepalive_timeout_ms", _PING_TIMEOUT_MS),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", _CLIENTS_PING_MS),
        ],
        # Beyond it gRPC refuses by itself, before it reads: so memory has a bound. Ours say when to come again too.
        maximum_concurrent_rpcs=at_once,
    )
    server.add_generic_rpc_handlers([store.handler()])
    add_HealthServicer_to_server(health.servicer, server)
    enable_server_reflection((SERVICE, HEALTH, REFLECTION), server)
    try:
        server.add_insecure_port(address(settings))
    except RuntimeError as error:
        raise InvalidInputError(f"FOOTFALL_GRPC_PORT: {address(settings)} can't be listened on") from error
    return server


def _told(settings: Settings, backlog: Backlog) -> list[Coroutine[Any, Any, None]]:
    """What runs for those who look on."""
    if not settings.grpc_metrics_port:
        return []
    BACKLOG_EVENTS.set_function(lambda: backlog.events)
    BACKLOG_AGE_SECONDS.set_function(backlog.oldest_age_s)
    return [serve_metrics(settings.grpc_metrics_host, settings.grpc_metrics_port)]
