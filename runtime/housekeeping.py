"""The schedules of the housekeeping, in Temporal, where operators see them, pause them and start them by hand."""

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleSpec,
)

from domain.batch import MAINTAIN_STORES, TASK_QUEUE
from domain.compaction import COMPACT_BLOCKS, CompactionInput
from domain.week import WEEKS_KEPT


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
