"""What Temporal has to have beside workflows: the search attributes of batches, and the housekeeping's schedules.

Operators see the schedules in Temporal, pause them there and start them by hand.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)
from temporalio.service import RPCError, RPCStatusCode

from domain.batch import MAINTAIN_STORES, TASK_QUEUE
from domain.compaction import COMPACT_BLOCKS, CompactionInput
from domain.precompute import PRECOMPUTE_RECOMMENDATIONS, PrecomputeInput
from domain.training import TRAIN_NIGHTLY, TrainInput
from domain.week import WEEKS_KEPT
from runtime.connections import register_search_attributes

_log = logging.getLogger(__name__)


_LATE = timedelta(hours=6)
"""What was due while Temporal was down is started when it is back, unless it was down for longer than this."""


@dataclass(frozen=True, slots=True)
class Nightly:
    """When the recommender's work is done every day, as hh:mm in UTC, or `off`."""

    train_at: str
    precompute_at: str


async def keep_house(client: Client, nightly: Nightly, every_s: float) -> None:
    """Looks again and again until cancelled. A Temporal that lost its database has neither, and without the search
    attributes no batch comes to its end.
    """
    while True:
        await asyncio.sleep(every_s)
        try:
            await register_search_attributes(client)
            await schedule_housekeeping(client, nightly)
        except RPCError as error:
            _log.warning("Temporal could not be asked for its schedules and search attributes: %s", error)


async def schedule_housekeeping(client: Client, nightly: Nightly) -> None:
    """Makes the schedules that are missing; those that are there stay as their operator has them, but for those that
    are off now.
    """
    await _schedule(client, "footfall-maintain-stores", _every(timedelta(hours=6)), MAINTAIN_STORES)
    # Busy accounts of this week, and what the last week got since; once a day whatever came late to older ones.
    recent = CompactionInput(weeks_back=1)
    await _schedule(
        client,
        "footfall-compact-recent",
        _every(timedelta(hours=1)),
        COMPACT_BLOCKS,
        recent,
        f"{COMPACT_BLOCKS}-recent",
    )
    every = CompactionInput(weeks_back=WEEKS_KEPT)
    await _schedule(
        client, "footfall-compact-all", _every(timedelta(days=1)), COMPACT_BLOCKS, every, f"{COMPACT_BLOCKS}-all"
    )
    # What is made ahead is of the new model, and still good when it is made anew.
    await _schedule_daily(client, "footfall-train-model", nightly.train_at, TRAIN_NIGHTLY, TrainInput())
    await _schedule_daily(
        client, "footfall-precompute", nightly.precompute_at, PRECOMPUTE_RECOMMENDATIONS, PrecomputeInput()
    )


async def _schedule_daily(client: Client, name: str, at: str, workflow: str, argument: object) -> None:
    if at == "off":
        try:
            await client.get_schedule_handle(name).delete()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
        return
    hours, minutes = map(int, at.split(":"))
    offset = timedelta(hours=hours, minutes=minutes)
    await _schedule(client, name, ScheduleIntervalSpec(timedelta(days=1), offset), workflow, argument)


def _every(interval: timedelta) -> ScheduleIntervalSpec:
    return ScheduleIntervalSpec(every=interval)


async def _schedule(
    client: Client,
    name: str,
    interval: ScheduleIntervalSpec,
    workflow: str,
    argument: object = None,
    workflow_id: str | None = None,
) -> None:
    """A run that is still under way when the next one is due goes on, and the next one is left out."""
    action = ScheduleActionStartWorkflow(
        workflow, args=[] if argument is None else [argument], id=workflow_id or workflow, task_queue=TASK_QUEUE
    )
    try:
        policy = SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_LATE)
        await client.create_schedule(name, Schedule(action, ScheduleSpec(intervals=[interval]), policy))
    except ScheduleAlreadyRunningError:
        return
