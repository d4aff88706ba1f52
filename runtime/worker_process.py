"""The worker process: workflows, activities, the sweeper and the housekeeping's schedule."""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any

import uvloop
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities import FAN_OUTS
from activities.batches import BatchReader
from activities.compaction import Compaction
from activities.erasure import Erasing
from activities.fan_out import Resources, fan_out_activity
from activities.maintenance import Maintenance
from activities.precompute import Precompute
from activities.publish import Publish
from activities.rebuild import Rebuilding
from activities.recount import Recounting
from activities.release import BatchEnd
from activities.training import Training
from domain.batch import TASK_QUEUE
from domain.errors import TransientError
from domain.event_types import load_event_weights
from intake.carrier import Carrier, start_erasure
from intake.erasures import keep_starting
from intake.ledger import LedgerPartitions
from intake.log import IntakeLog
from intake.sweeper import Sweeper
from runtime.connections import (
    connected_client,
    open_block_store,
    open_pool,
    open_signal_store,
    open_topic,
    register_search_attributes,
)
from runtime.fan_outs_wanted import fan_outs_of
from runtime.housekeeping import Nightly, keep_house, schedule_housekeeping
from runtime.logs import set_up_logging
from runtime.metrics_port import serve_metrics, temporal_runtime
from runtime.process_metrics import keep_sampling, tell_build
from runtime.settings import Settings, models_url
from runtime.signals import end_within, stop_event, unless_stopped
from runtime.tracing import Tracing, start_tracing
from runtime.watch import Watch
from serving.client import open_recommender
from store.blocks.protocol import BlockStore
from store.erasure import ErasureStore
from store.experiments import ExperimentStore
from store.models import ModelRegistry
from store.popularity import PopularityStore
from store.postgres import Pool
from store.precomputed import PrecomputedStore
from store.signals import SignalStore
from workflows import WORKFLOWS

_log = logging.getLogger(__name__)

# Fan-outs share one interpreter: more at once would only take memory.
_ACTIVITIES_AT_ONCE = 16
_HOUSE_EVERY_S = 10.0
_ERASURES_EVERY_S = 60.0
# For an answer that nobody waits for.
_RECOMMENDER_S = 10.0
_AGAIN_AFTER_S = 1.0

# What asks a process to end kills it after 30 s.
_DRAIN = timedelta(seconds=20)
_CUT_OFF_S = 22.0
_CANCEL_S = 1.0
_END_S = 28.0


def run(settings: Settings) -> None:
    """Works until SIGTERM or SIGINT, then finishes what is under way."""
    set_up_logging(settings.log_level, settings.log_format)
    uvloop.run(work(settings, start_tracing("worker", settings)))


async def work(settings: Settings, tracing: Tracing) -> None:
    stop = stop_event()
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(settings, "footfall worker"))
        opened = await unless_stopped(stop, _open(settings, pool, stack, tracing))
        if opened is None:
            end_within(_END_S)
            return
        worker, beside = opened
        async with worker:
            tasks = [asyncio.create_task(one) for one in (*beside, *_told(settings, pool))]
            _log.info("the worker is ready")
            await stop.wait()
            end_within(_END_S)
            # An activity that is cancelled in the middle of a statement waits until PostgreSQL has heard of that.
            asyncio.get_running_loop().call_later(_CUT_OFF_S, pool.terminate)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_CANCEL_S)


async def _open(
    settings: Settings, pool: Pool, stack: AsyncExitStack, tracing: Tracing
) -> tuple[Worker, list[Coroutine[Any, Any, None]]]:
    """The worker, and what runs beside it; waits for what they need as long as it takes, saying so."""
    runtime = temporal_runtime(metrics=settings.worker_metrics_port != 0, json_lines=settings.log_format == "json")
    client = await connected_client(settings, runtime, tracing.temporal)
    log = IntakeLog(pool)
    weights = load_event_weights(settings.event_types_file)
    blocks = await stack.enter_async_context(open_block_store(settings, pool))
    signals = await stack.enter_async_context(open_signal_store(settings, pool, "footfall worker"))
    topic = await stack.enter_async_context(open_topic(settings))
    maintenance = _maintenance(settings, pool, blocks, signals)
    await _make_room(maintenance)
    await register_search_attributes(client)
    nightly = Nightly(settings.train_at, settings.precompute_at)
    await schedule_housekeeping(client, nightly)
    carrier = Carrier(client, fan_outs_of(settings))
    sweeper = _sweeper(settings, pool, log, carrier)
    compaction = Compaction(
        blocks, busy_blocks=settings.compact_busy_blocks, events_a_second=settings.compact_events_per_s
    )
    rebuilding = Rebuilding(pool, blocks, weights, window_days=settings.dedup_window_days)
    recommender = await stack.enter_async_context(
        open_recommender(settings.recommender_url, _RECOMMENDER_S, settings.recommender_secret)
    )
    precompute = Precompute(
        blocks,
        recommender.recommend,
        PrecomputedStore(pool),
        ModelRegistry(pool),
        accounts_a_second=settings.precompute_accounts_per_s,
    )
    erasing = Erasing(pool, blocks, signals, weights, carrier.end, settle_s=settings.erasure_settle_s)
    worker = _worker(
        client,
        Resources(pool, log, blocks, signals, weights, topic),
        [
            maintenance.maintain,
            compaction.plan,
            compaction.compact,
            *rebuilding.activities(),
            Recounting(pool, blocks).recount,
            *_training(settings, pool).activities(),
            *precompute.activities(),
            *erasing.activities(),
        ],
    )
    keep_erasing = keep_starting(ErasureStore(pool), partial(start_erasure, client), _ERASURES_EVERY_S)
    return worker, [sweeper.keep_sweeping(), keep_house(client, nightly, _HOUSE_EVERY_S), keep_erasing]


def _told(settings: Settings, pool: Pool) -> list[Coroutine[Any, Any, None]]:
    """What runs for those who look on."""
    if not settings.worker_metrics_port:
        return []
    tell_build("worker")
    return [
        serve_metrics(settings.worker_metrics_host, settings.worker_metrics_port),
        keep_sampling({"worker": pool}),
        Watch(pool, fan_outs_of(settings), settings.dedup_window_days).keep_sampling(),
    ]


async def _make_room(maintenance: Maintenance) -> None:
    while True:
        try:
            await maintenance.make_room()
        except TransientError as error:
            _log.warning("the stores can't be made ready yet: %s", error)
            await asyncio.sleep(_AGAIN_AFTER_S)
        else:
            return


def _worker(client: Client, resources: Resources, others: Sequence[Callable[..., Any]]) -> Worker:
    """With the activities of batches, and these others."""
    batches = BatchReader(resources.log)
    fan_outs = [fan_out_activity(fan_out(resources), batches, resources.log) for fan_out in FAN_OUTS]
    end = BatchEnd(resources.log, batches, [] if resources.topic is None else [Publish.name])
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=WORKFLOWS,
        activities=[*fan_outs, end.release, end.park, end.discard, *others],
        workflow_runner=UnsandboxedWorkflowRunner(),  # the tests hold workflows to the sandbox: decision 14
        max_concurrent_activities=_ACTIVITIES_AT_ONCE,
        graceful_shutdown_timeout=_DRAIN,
    )


def _maintenance(settings: Settings, pool: Pool, blocks: BlockStore, signals: SignalStore) -> Maintenance:
    ledger = LedgerPartitions(pool, settings.dedup_window_days)
    return Maintenance(
        ledger,
        blocks,
        PopularityStore(pool),
        signals,
        ExperimentStore(pool),
        ErasureStore(pool),
        window_days=settings.dedup_window_days,
    )


def _training(settings: Settings, pool: Pool) -> Training:
    command = [sys.executable, "-m", "runtime.training_step"]
    return Training(ModelRegistry(pool), command, models_url(settings))


def _sweeper(settings: Settings, pool: Pool, log: IntakeLog, carrier: Carrier) -> Sweeper:
    return Sweeper(
        pool,
        log,
        is_open=carrier.is_open,
        start=carrier.start,
        older_than_s=settings.sweep_after_s,
        interval_s=settings.sweep_interval_s,
        max_events=settings.batch_max_events,
    )
