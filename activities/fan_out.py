"""What a fan-out is, and the activity around it that is the same for all."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar, Protocol
from uuid import UUID

from temporalio import activity

from activities.batches import BatchReader
from activities.failures import heartbeats
from activities.metrics import FAN_OUT_INTERACTIONS, VISIBLE_SECONDS
from activities.poison import find_poison
from domain.batch import FanOutInput, FanOutResult, account_keys
from domain.errors import TransientError
from domain.event_types import EventWeight
from domain.interaction import Interaction
from domain.week import from_us
from intake.log import IntakeLog, IntakeRow
from store.blocks.protocol import BlockStore
from store.postgres import Pool
from store.signals import SignalStore
from store.topic import Topic

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Resources:
    """What fan-outs are built from."""

    pool: Pool
    log: IntakeLog
    blocks: BlockStore
    signals: SignalStore
    weights: dict[str, EventWeight]
    topic: Topic | None = None
    """None where nothing is published."""


class FanOut(Protocol):
    """One way out of the intake: applies accepted interactions to one store, each exactly once.

    `apply` marks the rows it applies in the transaction of their effect (IntakeLog.mark). Where the effect is
    outside PostgreSQL, it writes so that writing twice is writing once, and the mark is committed after that.
    """

    name: ClassVar[str]
    """The noun that names its activity, its marks, its place in receipts and its metrics."""

    def __init__(self, resources: Resources) -> None: ...

    async def apply(self, rows: Sequence[IntakeRow]) -> set[UUID]:
        """Applies those rows that it had not applied; which these were, once that is committed."""

    async def probe(self, interactions: Sequence[Interaction]) -> None:
        """Raises what `apply` would raise because of these interactions, and has no effect that lasts."""


def fan_out_activity(
    fan_out: FanOut, batches: BatchReader, log: IntakeLog
) -> Callable[[FanOutInput], Awaitable[FanOutResult]]:
    """The activity of this fan-out's name: reads a batch and has the fan-out apply it."""

    @activity.defn(name=fan_out.name)
    async def run(batch: FanOutInput) -> FanOutResult:
        async with heartbeats():
            rows = await batches.read(batch.batch_id)
            try:
                applied = await fan_out.apply(rows) if rows else set()
            except TransientError:
                raise
            except Exception as fault:  # whatever it is, the rest of the batch need not share it
                rows = await _without_poison(fan_out, log, rows, fault)
                applied = await fan_out.apply(rows)
            _count_applied(fan_out.name, rows, applied)
            return _result(rows, len(applied))

    return run


def _count_applied(fan_out: str, rows: Sequence[IntakeRow], applied: set[UUID]) -> None:
    """What is committed now and was not before: an attempt that finds its rows applied counts none."""
    now, interactions, visible = datetime.now(UTC), 0, VISIBLE_SECONDS.labels(fan_out)
    for row in rows:
        if row.intake_id in applied:
            interactions += len(row.interactions)
            visible.observe(max(0.0, (now - row.accepted_at).total_seconds()))
    FAN_OUT_INTERACTIONS.labels(fan_out).inc(interactions)


async def _without_poison(
    fan_out: FanOut, log: IntakeLog, rows: Sequence[IntakeRow], fault: Exception
) -> list[IntakeRow]:
    """The rows with their poison apart; raises `fault` again where it is not in single interactions."""
    done = await log.marked(fan_out.name, [row.intake_id for row in rows])
    left = [row for row in rows if row.intake_id not in done]
    found = await find_poison(fan_out.probe, [one for row in left for one in row.interactions])
    if not found:
        raise fault
    _log.error("%s: %d interactions can't be applied and go into quarantine: %s", fan_out.name, len(found), fault)
    poison = {one.interaction.event_id: one for one in found}
    return [
        replace(
            row,
            interactions=[one for one in row.interactions if one.event_id not in poison],
            poison=[poison[one.event_id] for one in row.interactions if one.event_id in poison],
        )
        for row in rows
    ]


def _result(rows: Sequence[IntakeRow], applied: int) -> FanOutResult:
    interactions = [one for row in rows for one in row.interactions]
    poison = [one.interaction for row in rows for one in row.poison]
    interactions += poison
    if not interactions:
        return FanOutResult(events=0, accounts=0, applied_rows=applied)
    times = [one.occurred_at for one in interactions]
    accounts = {one.account_id for one in interactions}
    return FanOutResult(
        events=len(interactions),
        accounts=len(accounts),
        applied_rows=applied,
        quarantined=len(poison),
        account_keys=account_keys(accounts),
        first_occurred_at=from_us(min(times)),
        last_occurred_at=from_us(max(times)),
    )
