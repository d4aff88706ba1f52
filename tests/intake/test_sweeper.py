"""The sweeper: rows that no open workflow will read are carried by a new batch, once (invariant 5)."""

import asyncio
from uuid import UUID

import pytest

from domain.errors import TransientError
from domain.ids import new_id
from intake.log import IntakeLog
from intake.receipts import Receipts
from intake.sweeper import Sweeper
from store.postgres import Pool
from tests.factories import new_interaction


class Workflows:
    """Which batches have an open workflow, and which were started."""

    def __init__(self) -> None:
        self.open: set[UUID] = set()
        self.started: list[UUID] = []
        self.down = False

    async def is_open(self, batch_id: UUID) -> bool:
        if self.down:
            raise TransientError("Temporal is down")
        return batch_id in self.open

    async def start(self, batch_id: UUID, _events: int) -> None:
        if self.down:
            raise TransientError("Temporal is down")
        self.started.append(batch_id)
        self.open.add(batch_id)


@pytest.fixture
def workflows() -> Workflows:
    return Workflows()


@pytest.fixture
def log(pool: Pool) -> IntakeLog:
    return IntakeLog(pool)


@pytest.fixture
def sweeper(pool: Pool, log: IntakeLog, workflows: Workflows) -> Sweeper:
    return Sweeper(
        pool, log, is_open=workflows.is_open, start=workflows.start, older_than_s=30, interval_s=1, max_events=10
    )


async def _batch(log: IntakeLog, pool: Pool, events: int, *, age_s: int) -> UUID:
    batch_id = new_id()
    await log.append(batch_id, [new_interaction() for _ in range(events)])
    await pool.execute(
        "UPDATE intake_log SET accepted_at = now() - make_interval(secs => $2) WHERE batch_id = $1", batch_id, age_s
    )
    return batch_id


async def test_lost_rows_are_carried_by_a_new_batch(
    sweeper: Sweeper, workflows: Workflows, log: IntakeLog, pool: Pool
) -> None:
    lost = await _batch(log, pool, 3, age_s=31)
    (carrier,) = await sweeper.sweep()
    assert workflows.started == [carrier]
    assert await log.read(lost) == []
    assert sum(len(row.interactions) for row in await log.read(carrier)) == 3
    row = await Receipts(pool).batch(lost)
    assert row is not None
    assert row.moved_to == carrier
    assert await sweeper.sweep() == []


async def test_young_rows_and_open_workflows_are_left_alone(
    sweeper: Sweeper, workflows: Workflows, log: IntakeLog, pool: Pool
) -> None:
    await _batch(log, pool, 1, age_s=10)
    workflows.open.add(await _batch(log, pool, 1, age_s=600))
    assert await sweeper.sweep() == []


async def test_small_lost_batches_are_carried_together_up_to_a_size(
    sweeper: Sweeper, log: IntakeLog, pool: Pool
) -> None:
    for age_s in (100, 90, 80, 70, 60):
        await _batch(log, pool, 4, age_s=age_s)
    carriers = await sweeper.sweep()
    sizes = [sum(len(row.interactions) for row in await log.read(one)) for one in carriers]
    assert sizes == [8, 8, 4]


async def test_one_process_sweeps_at_a_time(
    sweeper: Sweeper, workflows: Workflows, log: IntakeLog, pool: Pool
) -> None:
    await _batch(log, pool, 3, age_s=31)
    await asyncio.gather(*(sweeper.sweep() for _ in range(4)))
    assert len(workflows.started) == 1


async def test_marks_go_with_the_rows(sweeper: Sweeper, log: IntakeLog, pool: Pool) -> None:
    """What had been applied under the old batch is not applied again under the new one."""
    lost = await _batch(log, pool, 3, age_s=31)
    rows = await log.read(lost)
    assert await log.mark_alone("popularity", rows) == {row.intake_id for row in rows}
    await sweeper.sweep()
    assert await log.mark_alone("popularity", rows) == set()


async def test_with_temporal_down_nothing_moves(
    sweeper: Sweeper, workflows: Workflows, log: IntakeLog, pool: Pool
) -> None:
    lost = await _batch(log, pool, 3, age_s=31)
    workflows.down = True
    with pytest.raises(TransientError):
        await sweeper.sweep()
    assert len(await log.read(lost)) == 1
