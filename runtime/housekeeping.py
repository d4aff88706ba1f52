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
    await _schedule(client, "footfall-maintain-stores", timedelta(hours=6), MAINTAIN_STORES)
    # Busy accounts of this week, and what the last week got since; once a day whatever came late to older ones.
    recent = CompactionInput(weeks_back=1)
    await _schedule(client, "footfall-compact-recent", timedelta(hours=1), COMPACT_BLOCKS, recent, "recent")
    every = CompactionInput(weeks_back=WEEKS_KEPT)
    await _schedule(client, "footfall-compact-all", timedelta(days=1), COMPACT_BLOCKS, every, "all")


async def _schedule(
    client: Client,
    name: str,
    every: timedelta,
    workflow: str,
    argument: CompactionInput | None = None,
    suffix: str | None = None,
) -> None:
    """A run that is still under way when the next one is due goes on, and the next one is left out."""
    action = ScheduleActionStartWorkflow(
        workflow,
        args=[] if argument is None else [argument],
        id=workflow if suffix is None else f"{workflow}-{suffix}",
        task_queue=TASK_QUEUE,
    )
    spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)])
    try:
        await client.create_schedule(name, Schedule(action=action, spec=spec))
    except ScheduleAlreadyRunningError:
        return
