"""What Temporal has to have beside workflows: the search attributes of batches, and the housekeeping's schedules.

Operators see the schedules in Temporal, pause them there and start them by hand.
"""

import asyncio
import logging
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleSpec,
)
from temporalio.service import RPCError

from domain.batch import MAINTAIN_STORES, TASK_QUEUE
from domain.compaction import COMPACT_BLOCKS, CompactionInput
from domain.precompute import PRECOMPUTE_RECOMMENDATIONS, PrecomputeInput
from domain.training import TRAIN_MODEL, TrainInput
from domain.training import WORKFLOW_ID as TRAINING_ID
from domain.week import WEEKS_KEPT
from runtime.connections import register_search_attributes

_log = logging.getLogger(__name__)


async def keep_house(client: Client, every_s: float) -> None:
    """Looks again and again until cancelled. A Temporal that lost its database has neither, and without the search
    attributes no batch comes to its end.
    """
    while True:
        await asyncio.sleep(every_s)
        try:
            await register_search_attributes(client)
            await schedule_housekeeping(client)
        except RPCError as error:
            _log.warning("Temporal could not be asked for its schedules and search attributes: %s", error)


async def schedule_housekeeping(client: Client) -> None:
    """Makes the schedules that are missing; those that are there stay as their operator has them."""
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
    # By night, by UTC; what is made ahead is of the new model, and still good when the next night begins.
    nightly = _every(timedelta(days=1), timedelta(hours=2))
    await _schedule(client, "footfall-train-model", nightly, TRAIN_MODEL, TrainInput(), TRAINING_ID)
    after = _every(timedelta(days=1), timedelta(hours=3))
    await _schedule(client, "footfall-precompute", after, PRECOMPUTE_RECOMMENDATIONS, PrecomputeInput())


def _every(interval: timedelta, offset: timedelta = timedelta()) -> ScheduleIntervalSpec:
    return ScheduleIntervalSpec(every=interval, offset=offset)


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
        await client.create_schedule(name, Schedule(action=action, spec=ScheduleSpec(intervals=[interval])))
    except ScheduleAlreadyRunningError:
        return
