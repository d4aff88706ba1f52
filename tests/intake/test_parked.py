"""Parked fan-outs: found by what an operator knows of them, carried anew by many at once, and never twice."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.errors import TransientError
from domain.ids import new_id
from intake.log import IntakeLog
from intake.parked import Carried, ParkedFanOut, ParkedFanOuts, Which, end_replaced, replay
from store.postgres import Pool
from tests.factories import new_interaction


@pytest.fixture
def log(pool: Pool) -> IntakeLog:
    return IntakeLog(pool)


@pytest.fixture
def parked(pool: Pool) -> ParkedFanOuts:
    return ParkedFanOuts(pool)


async def _park(
    log: IntakeLog, *fan_outs: str, events: int = 1, reason: str = "table is gone", account: str = "alice"
) -> UUID:
    batch = new_id()
    await log.append(batch, [new_interaction(account_id=account) for _ in range(events)])
    for fan_out in fan_outs or ("popularity",):
        await log.park(batch, fan_out, reason)
    return batch


async def test_found_by_every_condition(log: IntakeLog, parked: ParkedFanOuts, pool: Pool) -> None:
    old = await _park(log, reason="Disk 100% full")
    await pool.execute("UPDATE parked SET parked_at = now() - interval '2 hours'")
    both = await _park(log, "persist", "popularity", events=3, account="bob")

    async def found(which: Which) -> set[tuple[UUID, str]]:
        return {(one.batch_id, one.fan_out) for one in await parked.find(which)}

    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert [one.batch_id for one in await parked.find(Which())] == [old, both, both]
    assert await found(Which(batch_ids=[old])) == {(old, "popularity")}
    assert await found(Which(fan_out="persist")) == {(both, "persist")}
    assert await found(Which(since=an_hour_ago)) == {(both, "persist"), (both, "popularity")}
    assert await found(Which(until=an_hour_ago)) == {(old, "popularity")}
    assert await found(Which(reason="disk 100%")) == {(old, "popularity")}
    assert await found(Which(account_id="bob", fan_out="popularity")) == {(both, "popularity")}
    assert await found(Which(fan_out="persist", until=an_hour_ago)) == set()
    (one,) = await parked.find(Which(batch_ids=[both], fan_out="persist"))
    assert (one.events, one.reason) == (3, "table is gone")


class Workflows:
    """What would be asked of Temporal."""

    def __init__(self) -> None:
        self.started: dict[UUID, int] = {}
        self.ended: dict[UUID, str] = {}
        self.down = False

    async def start(self, batch_id: UUID, events: int) -> None:
        if self.down:
            raise TransientError("Temporal is away")
        self.started[batch_id] = events

    async def end(self, batch_id: UUID, reason: str) -> None:
        self.ended[batch_id] = reason


async def _replay(found: list[ParkedFanOut], log: IntakeLog, workflows: Workflows, most: int) -> list[Carried]:
    carried = [one async for one in replay(found, log, workflows.start, max_events=most)]
    told: list[None] = []
    await end_replaced(carried, workflows.end, lambda: told.append(None))
    assert len(told) == sum(len(one.replaced) for one in carried)
    return carried


async def test_as_many_go_together_as_a_batch_holds(log: IntakeLog, parked: ParkedFanOuts) -> None:
    sizes = (4, 4, 4, 30, 1)
    batches = [await _park(log, "persist", "popularity", events=size) for size in sizes]
    workflows = Workflows()
    carried = await _replay(await parked.find(Which()), log, workflows, most=10)
    assert [one.replaced for one in carried] == [batches[:2], batches[2:3], batches[3:4], batches[4:]]
    assert workflows.started == {one.batch_id: one.events for one in carried}
    assert list(workflows.started.values()) == [8, 4, 30, 1]
    for one in carried:
        assert sum(len(row.interactions) for row in await log.read(one.batch_id)) == one.events
        assert {workflows.ended[batch] for batch in one.replaced} == {
            f"its interactions are carried by batch {one.batch_id}"
        }
    assert await parked.find(Which()) == []


async def test_marks_go_with_the_rows(log: IntakeLog, parked: ParkedFanOuts) -> None:
    await log.mark_alone("persist", rows := await log.read(await _park(log)))
    (carried,) = await _replay(await parked.find(Which()), log, Workflows(), most=10)
    assert await log.marked("persist", [row.intake_id for row in await log.read(carried.batch_id)]) == {
        row.intake_id for row in rows
    }


async def test_what_was_released_meanwhile_is_left_alone(log: IntakeLog, parked: ParkedFanOuts) -> None:
    batch = await _park(log)
    found = await parked.find(Which())
    await log.mark_alone("popularity", await log.read(batch))
    await log.release(batch, ["popularity"])
    workflows = Workflows()
    assert await _replay(found, log, workflows, most=10) == []
    assert (workflows.started, workflows.ended) == ({}, {})


async def test_with_temporal_down_the_old_workflows_are_not_ended(log: IntakeLog, parked: ParkedFanOuts) -> None:
    """The rows have their new batch, where the sweeper finds them."""
    await _park(log, events=2)
    workflows = Workflows()
    workflows.down = True
    with pytest.raises(TransientError):
        await _replay(await parked.find(Which()), log, workflows, most=10)
    assert workflows.ended == {}
    (stale,) = await log.stale_batches(timedelta(0))
    assert stale.events == 2


async def test_a_workflow_that_parks_after_its_rows_were_moved_parks_nothing(
    log: IntakeLog, parked: ParkedFanOuts, pool: Pool
) -> None:
    batch = await _park(log)
    await _replay(await parked.find(Which()), log, Workflows(), most=10)
    await log.park(batch, "persist", "too late")
    assert await pool.fetchval("SELECT count(*) FROM parked") == 0


async def test_batches_with_rows_are_told_from_those_that_are_done(log: IntakeLog, parked: ParkedFanOuts) -> None:
    batch = await _park(log)
    assert await parked.left([batch, new_id()]) == {batch}
