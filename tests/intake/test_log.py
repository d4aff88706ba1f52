"""The intake log: invariants 1, 3 and 4, and duplicates found once, for everybody."""

import asyncio
import random
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain.errors import PermanentError
from domain.ids import new_id
from intake.ledger import LedgerDays, LedgerPartitions
from intake.log import LATE_DAY, IntakeLog, NewInteraction
from store.postgres import Pool, transaction
from tests.factories import interaction, new_interaction, now_us, undated

FAN_OUTS = ["persist", "popularity"]
DAY_US = 86_400_000_000


@pytest.fixture
def log(pool: Pool) -> IntakeLog:
    return IntakeLog(pool)


async def _event_ids(log: IntakeLog, *batches: UUID) -> list[bytes]:
    return [one.event_id for batch in batches for row in await log.read(batch) for one in row.interactions]


async def test_what_is_appended_is_read(log: IntakeLog) -> None:
    batch, events = new_id(), [new_interaction(account_id=f"a{n}") for n in range(50)]
    assert await log.append(batch, events) == set()
    (row,) = await log.read(batch)
    assert row.interactions == [event.interaction for event in events]


async def test_known_events_drop_out_and_the_others_stay(log: IntakeLog) -> None:
    old, new = [new_interaction() for _ in range(3)], [new_interaction() for _ in range(4)]
    first, second = new_id(), new_id()
    await log.append(first, old)
    assert await log.append(second, [*old, *new]) == {event.interaction.event_id for event in old}
    assert sorted(await _event_ids(log, first, second)) == sorted(
        event.interaction.event_id for event in [*old, *new]
    )


async def test_a_row_with_nothing_new_is_not_written(log: IntakeLog) -> None:
    events = [new_interaction(), undated(uuid4())]
    await log.append(new_id(), events)
    second = new_id()
    assert len(await log.append(second, events)) == 2
    assert await log.read(second) == []


async def test_an_event_that_is_released_is_known_still(log: IntakeLog) -> None:
    batch, events = new_id(), [new_interaction()]
    await log.append(batch, events)
    await _apply_and_release(log, batch)
    assert len(await log.append(new_id(), events)) == 1


async def test_an_append_is_whole_or_not_at_all(log: IntakeLog, pool: Pool) -> None:
    """A day without a partition fails the statement: nothing of it, ledger included, may stay."""
    good = new_interaction()
    bad = NewInteraction(interaction(), date(2090, 1, 1))
    with pytest.raises(PermanentError):
        await log.append(new_id(), [good, bad])
    assert await pool.fetchval("SELECT count(*) FROM event_ledger") == 0
    assert await pool.fetchval("SELECT count(*) FROM intake_log") == 0


async def test_the_same_events_from_many_sides_at_once_count_once(log: IntakeLog) -> None:
    """Sorted ids: neither lost, nor doubled, nor deadlocked, whatever order they were sent in."""
    events = [new_interaction() for _ in range(2_000)] + [undated(uuid4()) for _ in range(100)]
    batches = [new_id() for _ in range(12)]

    async def append(batch: UUID) -> set[bytes]:
        mixed = random.sample(events, len(events))
        return await log.append(batch, mixed)

    known = await asyncio.gather(*(append(batch) for batch in batches))
    assert sum(len(events) - len(ids) for ids in known) == len(events)
    assert sorted(await _event_ids(log, *batches)) == sorted(event.interaction.event_id for event in events)


async def test_discarding_marks_what_was_not_applied_and_keeps_why(log: IntakeLog, pool: Pool) -> None:
    batch = new_id()
    for _ in range(2):
        await log.append(batch, [new_interaction(), new_interaction()])
    rows = await log.read(batch)
    first, second = rows
    await log.mark_alone("popularity", [first])
    await log.park(batch, "popularity", "table is gone")
    for reason in ("a test shop", "once more"):
        await log.discard(batch, "popularity", reason, rows)
    kept = await pool.fetch("SELECT intake_id, fan_out, batch_id, event_count, reason FROM discarded")
    assert [tuple(row) for row in kept] == [(second.intake_id, "popularity", batch, 2, "a test shop")]
    one_by_one = await pool.fetch("SELECT event_id, fan_out, reason FROM discarded_event")
    assert {tuple(row) for row in one_by_one} == {
        (UUID(bytes=one.event_id), "popularity", "a test shop") for one in second.interactions
    }
    assert await pool.fetchval("SELECT count(*) FROM parked") == 0
    async with pool.acquire() as connection:
        assert await log.mark(connection, "popularity", [first, second]) == set()
    await log.mark_alone("persist", [first, second])
    assert (await log.release(batch, ["persist", "popularity"])).released_rows == 2


async def test_partitions_can_be_made_from_many_sides_at_once(pool: Pool) -> None:
    """API and worker start at the same moment, and both find days missing."""
    day = datetime.now(UTC).date() + timedelta(days=30)
    made = await asyncio.gather(*(LedgerPartitions(pool, 7).make(day) for _ in range(8)))
    names = [name for one in made for name in one]
    assert len(names) == len(set(names)) == 13


async def test_late_events_are_known_too_and_forgotten_with_the_window(log: IntakeLog, pool: Pool) -> None:
    event = LedgerDays(7).file(interaction(occurred_at=now_us() - 60 * DAY_US), now_us())
    assert event.day == LATE_DAY
    batch = new_id()
    await log.append(batch, [event])
    assert len(await log.append(new_id(), [event])) == 1
    await _apply_and_release(log, batch)
    partitions = LedgerPartitions(pool, 7)
    await partitions.drop()
    assert len(await log.append(new_id(), [event])) == 1
    await partitions.drop(datetime.now().date() + timedelta(days=20))
    assert await log.append(new_id(), [NewInteraction(event.interaction, LATE_DAY)]) == set()


@pytest.mark.parametrize("days_later", range(1, 8))
async def test_an_id_is_known_for_a_window_after_its_acceptance(log: IntakeLog, pool: Pool, days_later: int) -> None:
    """Also when the event was in the window when it came first and is behind it when it comes again."""
    now, later = now_us(), now_us() + days_later * DAY_US
    times = [now - age * DAY_US for age in (0, 1, 6, 7, 8, 60)]
    ids = [uuid4().bytes for _ in times]

    def sent(at: int) -> list[NewInteraction]:
        return [
            LedgerDays(7).file(interaction(event_id=one, occurred_at=time), at)
            for one, time in zip(ids, times, strict=True)
        ]

    batch = new_id()
    assert await log.append(batch, sent(now)) == set()
    await _apply_and_release(log, batch)
    partitions, today = LedgerPartitions(pool, 7), datetime.now(UTC).date()
    await partitions.make(today + timedelta(days=days_later))
    await partitions.drop(today + timedelta(days=days_later))
    assert await log.append(new_id(), sent(later)) == set(ids)


@pytest.mark.parametrize("apart_us", [0, 1_000, DAY_US])
@pytest.mark.parametrize("ahead_first", [True, False])
async def test_clocks_that_are_apart_count_an_event_once(
    log: IntakeLog, pool: Pool, apart_us: int, ahead_first: bool
) -> None:
    """Of two front doors one has it that the event is late. Also when both have it at the same moment."""
    midnight = now_us() - now_us() % DAY_US
    behind, ahead = (midnight - apart_us // 2 - 1, midnight + apart_us // 2)
    clocks = (ahead, behind) if ahead_first else (behind, ahead)
    events = [interaction(occurred_at=midnight - age * DAY_US // 2) for age in range(22)]
    first, second = ([LedgerDays(7).file(one, clock) for one in events] for clock in clocks)
    assert {one.day == LATE_DAY for one in first} == {one.day == LATE_DAY for one in second} == {True, False}
    ids = {one.event_id for one in events}
    async with transaction(pool) as connection:
        await connection.execute("LOCK TABLE intake_log")  # the first statement has its ids, and waits with them
        appends = [asyncio.create_task(log.append(new_id(), sent)) for sent in (first, second)]
        await _wait_for_a_lock(pool)
    assert sorted([await one for one in appends], key=len) == [set(), ids]
    for sent in (first, second):
        assert await log.append(new_id(), sent) == ids


def test_the_window_has_an_edge() -> None:
    days, now = LedgerDays(7), now_us()
    midnight = now - now % DAY_US

    def filed(age_us: int) -> tuple[bool, bool]:
        new = days.file(interaction(occurred_at=midnight - age_us), now)
        return new.day != LATE_DAY, new.late_too or new.day == LATE_DAY

    assert filed(0) == filed(5 * DAY_US) == (True, False)
    assert filed(5 * DAY_US + 1) == filed(8 * DAY_US) == (True, True)
    assert filed(8 * DAY_US + 1) == (False, True)


async def _apply_and_release(log: IntakeLog, batch: UUID) -> None:
    rows = await log.read(batch)
    for fan_out in FAN_OUTS:
        await log.mark_alone(fan_out, rows)
    assert (await log.release(batch, FAN_OUTS)).released_rows == len(rows)


async def test_release_waits_for_every_fan_out(log: IntakeLog, pool: Pool) -> None:
    batch = new_id()
    await log.append(batch, [new_interaction()])
    rows = await log.read(batch)
    assert (await log.release(batch, FAN_OUTS)).remaining_rows == 1
    await log.mark_alone("persist", rows)
    assert (await log.release(batch, FAN_OUTS)).released_rows == 0
    assert len(await log.read(batch)) == 1
    await log.mark_alone("popularity", rows)
    released = await log.release(batch, FAN_OUTS)
    assert (released.released_rows, released.remaining_rows) == (1, 0)
    assert await pool.fetchval("SELECT count(*) FROM intake_log") == 0
    assert await pool.fetchval("SELECT count(*) FROM applied") == 0


async def test_a_row_is_marked_once_a_fan_out(log: IntakeLog, pool: Pool) -> None:
    batch = new_id()
    await log.append(batch, [new_interaction()])
    rows = await log.read(batch)

    async def mark() -> set[UUID]:
        async with transaction(pool) as connection:
            return await log.mark(connection, "popularity", rows)

    marked = await asyncio.gather(*(mark() for _ in range(8)))
    assert sorted(map(len, marked)) == [0] * 7 + [1]


async def test_a_mark_that_is_rolled_back_is_none(log: IntakeLog, pool: Pool) -> None:
    batch = new_id()
    await log.append(batch, [new_interaction()])
    rows = await log.read(batch)
    with pytest.raises(ZeroDivisionError):
        async with transaction(pool) as connection:
            await log.mark(connection, "popularity", rows)
            raise ZeroDivisionError
    assert await log.mark_alone("popularity", rows) == {row.intake_id for row in rows}


async def test_a_released_row_can_not_be_marked_again(log: IntakeLog) -> None:
    """A slow run of a fan-out must not apply what another run applied and released meanwhile."""
    batch = new_id()
    await log.append(batch, [new_interaction()])
    rows = await log.read(batch)
    await _apply_and_release(log, batch)
    assert await log.mark_alone("popularity", rows) == set()


async def test_release_waits_for_a_mark_under_way(log: IntakeLog, pool: Pool) -> None:
    """While a fan-out's transaction holds its rows, they can't be released by somebody who saw older marks."""
    batch = new_id()
    await log.append(batch, [new_interaction()])
    rows = await log.read(batch)
    await log.mark_alone("persist", rows)
    async with transaction(pool) as connection:
        await log.mark(connection, "popularity", rows)
        release = asyncio.create_task(log.release(batch, ["persist"]))
        await _wait_for_a_lock(pool)
        assert not release.done()
    assert (await release).released_rows == 1


async def _wait_for_a_lock(pool: Pool) -> None:
    for _ in range(1_000):
        waiting = await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        if waiting:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waits for a lock")
