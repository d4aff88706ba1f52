"""What a fan-out is, and the activity around it that is the same for all."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from temporalio import activity

from activities.batches import BatchReader
from activities.failures import heartbeats
from domain.batch import FanOutInput, FanOutResult
from domain.event_types import EventWeight
from domain.week import from_us
from intake.log import IntakeLog, IntakeRow
from store.blocks.protocol import BlockStore
from store.postgres import Pool


@dataclass(frozen=True, slots=True)
class Resources:
    """What fan-outs are built from."""

    pool: Pool
    log: IntakeLog
    blocks: BlockStore
    weights: dict[str, EventWeight]


class FanOut(Protocol):
    """One way out of the intake: applies accepted interactions to one store, each exactly once.

    `apply` marks the rows it applies in the transaction of their effect (IntakeLog.mark). Where the effect is
    outside PostgreSQL, it writes so that writing twice is writing once, and marks after that.
    """

    name: ClassVar[str]
    """The noun that names its activity, its marks, its place in receipts and its metrics."""

    def __init__(self, resources: Resources) -> None: ...

    async def apply(self, rows: Sequence[IntakeRow]) -> int:
        """Applies those rows that it had not applied; how many these were."""


def fan_out_activity(fan_out: FanOut, batches: BatchReader) -> Callable[[FanOutInput], Awaitable[FanOutResult]]:
    """The activity of this fan-out's name: reads a batch and has the fan-out apply it."""

    @activity.defn(name=fan_out.name)
    async def run(batch: FanOutInput) -> FanOutResult:
        async with heartbeats():
            rows = await batches.read(batch.batch_id)
            applied = await fan_out.apply(rows) if rows else 0
            return _result(rows, applied)

    return run


def _result(rows: Sequence[IntakeRow], applied: int) -> FanOutResult:
    interactions = [one for row in rows for one in row.interactions]
    if not interactions:
        return FanOutResult(events=0, accounts=0, applied_rows=applied)
    times = [one.occurred_at for one in interactions]
    return FanOutResult(
        events=len(interactions),
        accounts=len({one.account_id for one in interactions}),
        applied_rows=applied,
        first_occurred_at=from_us(min(times)),
        last_occurred_at=from_us(max(times)),
    )
