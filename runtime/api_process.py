"""The API process: the front door and the reads."""

import asyncio
import logging
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from api.app import Bounds, create_app
from api.assignments import Assignments, Exposures
from api.leaving import Leaving
from api.limits import LongestBodies
from api.services import Services, State
from api.shared_reads import SharedReads
from domain.event_names import load_event_names
from intake.carrier import start_erasure
from intake.erasures import Erasures
from intake.export import Exporter
from intake.receipts import Receipts
from runtime.access import begin, insist_on_keys, open_gate, with_keys
from runtime.background import ended, in_background
from runtime.children import die_with_parent
from runtime.commands import connected_settings
from runtime.connections import open_signal_store
from runtime.entrance import open_entrance
from runtime.guarded_http import SECURITY_HEADERS, GuardedHttp, RequestBounds, cut_off_readers
from runtime.leaving import Processes, leave_on_sigterm, leaving_one_of
from runtime.limits import allow_open_files, leave_garbage_longer
from runtime.logs import set_up_logging
from runtime.process_metrics import tell_build
from runtime.rules import load_rules
from runtime.settings import Settings
from runtime.signals import end_within
from runtime.tracing import Tracing, start_tracing
from serving.client import open_recommender
from serving.ladder import RECOMMENDER_S, Ladder
from serving.popular import Popular
from store.catalog import CatalogStore
from store.erasure import ErasureStore
from store.experiments import ExperimentStore
from store.popular_items import PopularItems
from store.popularity import PopularityStore
from store.precomputed import PrecomputedStore

_log = logging.getLogger(__name__)

_NAME = "footfall api"
_ACCEPTED_AT_A_TURN = 16

# What asks a process to end kills it after 30 s: so much is for the requests under way once it has left, and all that
# follows takes less than 10 s.
_SHUTDOWN_S = 15
# Longer than proxies keep theirs, so that none sends into a connection that is being closed here.
_KEEP_ALIVE_S = 75
_START_S = 30  # of one of several processes; also how long one may hang before it is replaced
_DRAIN_S = 3.0
_END_S = 8.0


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; requests under way get their answers."""
    set_up_logging(settings.log_level, settings.log_format)
    allow_open_files()
    load_rules(settings.rules_file)  # what is wrong in it ends us here, in a sentence
    load_event_names(settings.event_names, settings.event_names_file)  # likewise
    asyncio.run(insist_on_keys(settings))
    if settings.api_processes == 1:
        config = uvicorn.Config(_app(settings, None), **_serving(settings))
        uvicorn.Server(config).run(_listening(config, settings))
        return
    with tempfile.TemporaryDirectory(prefix="footfall-metrics-") as folder:
        # Read by prometheus_client where it is imported, that is in the processes started now: they count together.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        config = uvicorn.Config("runtime.api_process:one_of_many", factory=True, **_serving(settings))
        Processes(config, _listening(config, settings), folder=Path(folder)).run()


def _listening(config: uvicorn.Config, settings: Settings) -> list[socket.socket]:
    """One listening socket, several times: the loop accepts one connection of each at every turn (libuv 1.45), and
    at a turn a busy process works off many requests.
    """
    one = config.bind_socket()
    cut_off_readers(one, settings.request_timeout_s)
    return [one, *(one.dup() for _ in range(_ACCEPTED_AT_A_TURN - 1))]


def one_of_many() -> ASGIApp:
    """The application of one of several processes that uvicorn runs on one socket."""
    die_with_parent(signal.SIGKILL)
    settings = connected_settings()
    set_up_logging(settings.log_level, settings.log_format)
    return _app(settings, Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))


def _app(settings: Settings, shared: Path | None) -> ASGIApp:
    """Of a process alone on its port, or of one of several that share this folder."""
    leaving, tracing = leaving_one_of(shared), start_tracing("api", settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[State]:
        leave_on_sigterm(leaving, settings.leave_s)
        async with open_services(settings, leaving, tracing) as state:
            yield state

    app = create_app(
        lifespan,
        version=version("footfall"),
        bounds=Bounds(
            LongestBodies(settings.max_body_bytes, settings.max_ndjson_bytes),
            settings.requests_at_once,
            settings.bytes_at_once,
            settings.ndjson_bytes_at_once,
        ),
        leaving=leaving,
        cors_origins=settings.cors_origins,
    )
    leave_garbage_longer()
    return tracing.app(app)


def _serving(settings: Settings) -> dict[str, Any]:
    return {
        "host": settings.host,
        "port": settings.port,
        "workers": settings.api_processes,
        "loop": "uvloop",
        "http": partial(GuardedHttp, bounds=_bounds(settings)),
        "ws": "none",
        "lifespan": "on",
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "headers": SECURITY_HEADERS,
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": [str(network) for network in settings.trusted_proxies],
        "timeout_keep_alive": _KEEP_ALIVE_S,
        "timeout_graceful_shutdown": _SHUTDOWN_S,
        "timeout_worker_healthcheck": _START_S,
    }


def _bounds(settings: Settings) -> RequestBounds:
    return RequestBounds(
        settings.max_header_bytes,
        max(settings.max_body_bytes, settings.max_ndjson_bytes),
        settings.header_timeout_s,
        settings.request_timeout_s,
    )


@asynccontextmanager
async def open_services(settings: Settings, leaving: Leaving, tracing: Tracing) -> AsyncIterator[State]:
    """Opens everything that the routes work with, and closes it in the reverse order."""
    rules = load_rules(settings.rules_file)
    tell_build("api")
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(open_entrance(settings, _NAME, tracing))
        reads = opened.reads
        exposures = Exposures(opened.entrance, opened.ledger_days)
        stack.push_async_callback(_drain, exposures)
        experiments = ExperimentStore(reads)
        assignments = Assignments(experiments)
        signals = await stack.enter_async_context(open_signal_store(settings, reads, f"{_NAME} reads"))
        recommender = await stack.enter_async_context(
            open_recommender(settings.recommender_url, RECOMMENDER_S, settings.recommender_secret, tracing.http)
        )
        popular = Popular(PopularItems(reads, rules.blocked, rules.blocked_categories))
        ladder = Ladder(recommender.recommend, PrecomputedStore(reads), signals, popular)
        guarded = open_gate(settings, reads)
        in_background(
            stack,
            *guarded.works,
            popular.keep_refreshing(),
            assignments.keep_fresh(),
        )
        stack.callback(end_within, _END_S)
        await begin(opened.has_days, guarded.keys)
        yield {
            "services": Services(
                gate=guarded.gate,
                entrance=opened.entrance,
                ledger_days=opened.ledger_days,
                receipts=Receipts(reads),
                releases=opened.releases,
                popularity=PopularityStore(reads),
                tops=SharedReads(),
                catalog=CatalogStore(reads),
                blocks=opened.blocks,
                signals=signals,
                recommendations=ladder,
                experiments=experiments,
                assignments=assignments,
                exposures=exposures,
                erasures=Erasures(ErasureStore(reads), partial(start_erasure, opened.client)),
                exporter=Exporter(reads, opened.blocks, signals),
                fan_outs=opened.fan_outs,
                shard=settings.shard,
                leaving=leaving,
                has_begun=lambda: opened.has_days.is_set() and guarded.keys.is_read,
                checks={**opened.checks, "postgres": with_keys(opened.checks["postgres"], guarded.keys)},
            )
        }


async def _drain(exposures: Exposures) -> None:
    if not await ended(asyncio.create_task(exposures.drain()), within_s=_DRAIN_S):
        _log.warning("ended with exposures unrecorded")
