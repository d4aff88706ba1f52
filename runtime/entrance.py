"""What a process needs to let interactions in, opened the same way for every door."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import Client

from api.event_names import know_event_names
from domain.errors import FootfallError, TransientError
from domain.event_names import load_event_names
from intake.backlog import Backlog
from intake.carrier import Carrier
from intake.commit import GroupCommit
from intake.dispatch import Dispatcher
from intake.entrance import Entrance
from intake.late import LateEvents
from intake.ledger import LedgerDays, LedgerPartitions
from intake.log import IntakeLog
from intake.releases import Releases
from runtime.background import ended, in_background
from runtime.connections import lazy_client, open_block_reader, open_pool, postgres_url
from runtime.fan_outs_wanted import fan_outs_of
from runtime.process_metrics import keep_sampling
from runtime.settings import Settings
from runtime.tracing import Tracing
from store.blocks.protocol import BlockReader
from store.postgres import Pool

_log = logging.getLogger(__name__)

# Commits have connections of their own, so that slow reads never keep an interaction out.
_COMMIT_CONNECTIONS = 3
_LEDGER_EVERY_S = 3600.0
_AGAIN_AFTER_S = 1.0
_DRAIN_S = 3.0
_TEMPORAL_CHECK = timedelta(seconds=2)

Checks = dict[str, Callable[[], Awaitable[None]]]


@dataclass(frozen=True, slots=True)
class OpenEntrance:
    entrance: Entrance
    ledger_days: LedgerDays
    fan_outs: list[str]
    releases: Releases
    reads: Pool
    """For all that is not a commit."""
    blocks: BlockReader
    client: Client
    has_days: asyncio.Event
    """Whether the ledger has its days, without which nothing can be accepted."""
    checks: Checks
    """Dependency → a call that returns when it answers."""


@asynccontextmanager
async def open_entrance(settings: Settings, name: str, tracing: Tracing) -> AsyncIterator[OpenEntrance]:
    """`name` is the process's, for PostgreSQL's list of connections. What was submitted when this is closed gets its
    answer, and its batches their start, as far as that can be had within seconds.

    Raises:
        InvalidInputError: the names of event types are wrong in the settings.

    """
    know_event_names(load_event_names(settings.event_names, settings.event_names_file))
    async with AsyncExitStack() as stack:
        commits = await stack.enter_async_context(open_pool(settings, f"{name} commits", _COMMIT_CONNECTIONS))
        reads = await stack.enter_async_context(open_pool(settings, f"{name} reads"))
        client = await lazy_client(settings, name, tracing.temporal)
        releases = await stack.enter_async_context(Releases(postgres_url(settings), name=f"{name} releases"))
        fan_outs = fan_outs_of(settings)
        dispatcher = Dispatcher(
            Carrier(client, fan_outs).start,
            max_events=settings.batch_max_events,
            max_age_s=settings.batch_max_age_ms / 1000,
            pace_s=settings.batch_pace_ms / 1000,
            give_up_s=settings.sweep_after_s,
            traces=tracing.intake,
        )
        releases.add(dispatcher.released)
        blocks = await stack.enter_async_context(open_block_reader(settings, reads))
        log = IntakeLog(commits)
        late = LateEvents(commits, blocks, settings.dedup_window_days)  # asked by every commit, so not behind reads
        commit = GroupCommit(log, dispatcher, late, max_events=settings.commit_max_events, traces=tracing.intake)
        stack.push_async_callback(_drain, commit, dispatcher)
        backlog = Backlog(IntakeLog(reads), limit_events=settings.backlog_limit_events)
        has_days = asyncio.Event()
        in_background(
            stack,
            backlog.keep_sampling(),
            _keep_partitions(LedgerPartitions(reads, settings.dedup_window_days), has_days),
            keep_sampling({"commits": commits, "reads": reads}),
        )
        yield OpenEntrance(
            entrance=Entrance(commit, backlog),
            ledger_days=LedgerDays(settings.dedup_window_days),
            fan_outs=fan_outs,
            releases=releases,
            reads=reads,
            blocks=blocks,
            client=client,
            has_days=has_days,
            checks={
                "postgres": _postgres_check(log, has_days),
                "block_store": blocks.ping,
                "temporal": _temporal_check(client),
            },
        )


async def _drain(commit: GroupCommit, dispatcher: Dispatcher) -> None:
    """Answers what waits for its commit and starts its batches. What can't be done now is not lost: unanswered
    interactions are their clients' to send again, and batches in the intake log are the sweeper's.
    """

    async def drain() -> None:
        await commit.drain()
        await dispatcher.drain()

    if not await ended(asyncio.create_task(drain()), within_s=_DRAIN_S):
        _log.warning("ended with commits unanswered, or batches left to the sweeper")


async def _keep_partitions(partitions: LedgerPartitions, has_days: asyncio.Event) -> None:
    """Makes the ledger's days, without which nothing can be accepted, and then those ahead: the housekeeping does
    so too, this one keeps the door open should no worker run for days.
    """
    while True:
        try:
            await partitions.make()
        except FootfallError as error:
            _log.warning("the ledger's days could not be made: %s", error)
            await asyncio.sleep(_AGAIN_AFTER_S)
        else:
            has_days.set()
            await asyncio.sleep(_LEDGER_EVERY_S)


def _postgres_check(log: IntakeLog, has_days: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def check() -> None:
        await log.backlog()
        if not has_days.is_set():
            raise TransientError("the ledger's days are not made yet")

    return check


def _temporal_check(client: Client) -> Callable[[], Awaitable[None]]:
    async def check() -> None:
        if not await client.service_client.check_health(timeout=_TEMPORAL_CHECK):
            raise TransientError("Temporal says that it does not serve")

    return check
