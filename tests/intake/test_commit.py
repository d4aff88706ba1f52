"""Group commit and batches: invariants 1, 2 and 5, and the bound of 7."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from domain.errors import TransientError
from intake.backlog import Backlog
from intake.commit import Accepted, GroupCommit
from intake.dispatch import Dispatcher
from intake.late import LateEvents
from intake.log import IntakeLog, NewInteraction
from store.blocks.postgres import PostgresBlockStore
from store.postgres import Pool
from tests.conftest import eventually
from tests.factories import new_interaction


class Starts:
    """Records which batches were started; can be down."""

    def __init__(self) -> None:
        self.batches: list[UUID] = []
        self.down = False

    async def start(self, batch_id: UUID, _events: int) -> None:
        if self.down:
            raise TransientError("Temporal is down")
        self.batches.append(batch_id)


class HeldLog(IntakeLog):
    """The real log, whose appends wait until they are let go, and may fail before or after the commit."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self.let_go = asyncio.Event()
        self.let_go.set()
        self.fail_before = self.fail_after = False
        self.groups: list[int] = []

    async def append(self, batch_id: UUID, events: Sequence[NewInteraction]) -> set[bytes]:
        self.groups.append(len(events))
        await self.let_go.wait()
        if self.fail_before:
            raise TransientError("connection refused")
        known = await super().append(batch_id, events)
        if self.fail_after:
            raise TransientError("the connection was lost after the commit")
        return known


@pytest.fixture
def starts() -> Starts:
    return Starts()


@pytest.fixture
def log(pool: Pool) -> HeldLog:
    return HeldLog(pool)


@pytest.fixture
def dispatcher(starts: Starts) -> Dispatcher:
    return Dispatcher(starts.start, max_events=1_000, max_age_s=60, pace_s=0, give_up_s=0.3)


@pytest.fixture
def late(pool: Pool) -> LateEvents:
    return LateEvents(pool, PostgresBlockStore(pool), 7)


@pytest.fixture
def commit(log: HeldLog, dispatcher: Dispatcher, late: LateEvents) -> GroupCommit:
    return GroupCommit(log, dispatcher, late, max_events=500)


def _events(count: int) -> list[NewInteraction]:
    return [new_interaction() for _ in range(count)]


async def test_idle_commits_at_once_busy_gathers(commit: GroupCommit, log: HeldLog) -> None:
    log.let_go.clear()
    first = asyncio.create_task(commit.submit(_events(1)))
    await eventually(lambda: _equal(log.groups, [1]))
    others = [asyncio.create_task(commit.submit(_events(2))) for _ in range(10)]
    await asyncio.sleep(0)
    log.let_go.set()
    answers = await asyncio.gather(first, *others)
    assert log.groups == [1, 20]
    assert sum(answer.accepted for answer in answers) == 21


async def _equal(one: object, other: object) -> None:
    assert one == other


async def test_nothing_is_answered_before_its_commit(commit: GroupCommit, log: HeldLog, pool: Pool) -> None:
    log.let_go.clear()
    answer = asyncio.create_task(commit.submit(_events(3)))
    await eventually(lambda: _equal(log.groups, [3]))
    assert not answer.done()
    assert await pool.fetchval("SELECT count(*) FROM intake_log") == 0
    log.let_go.set()
    assert (await answer).accepted == 3
    assert await pool.fetchval("SELECT sum(event_count) FROM intake_log") == 3


async def test_a_failed_commit_is_no_answer_to_anybody_in_the_group(
    commit: GroupCommit, log: HeldLog, pool: Pool, starts: Starts
) -> None:
    log.fail_before = True
    answers = await asyncio.gather(*(commit.submit(_events(2)) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(answer, TransientError) for answer in answers)
    assert await pool.fetchval("SELECT count(*) FROM event_ledger") == 0
    assert starts.batches == []


async def test_a_commit_in_doubt_is_refused_and_safe_to_send_again(
    commit: GroupCommit, log: HeldLog, pool: Pool
) -> None:
    events = _events(4)
    log.fail_after = True
    with pytest.raises(TransientError):
        await commit.submit(events)
    log.fail_after = False
    assert await commit.submit(events) == Accepted(0, 4, None)
    assert await pool.fetchval("SELECT sum(event_count) FROM intake_log") == 4


async def test_of_the_same_id_in_one_group_the_first_wins(commit: GroupCommit, log: HeldLog, pool: Pool) -> None:
    log.let_go.clear()
    head = asyncio.create_task(commit.submit(_events(1)))
    await eventually(lambda: _equal(log.groups, [1]))
    events = _events(3)
    one = asyncio.create_task(commit.submit([*events, events[0]]))
    other = asyncio.create_task(commit.submit(events))
    await asyncio.sleep(0)
    log.let_go.set()
    assert (await head).accepted == 1
    assert ((await one).accepted, (await one).duplicates) == (3, 1)
    assert await other == Accepted(0, 3, None)
    assert await pool.fetchval("SELECT sum(event_count) FROM intake_log") == 4


async def test_a_caller_that_goes_away_keeps_nobody_from_an_answer(commit: GroupCommit, log: HeldLog) -> None:
    log.let_go.clear()
    gone = asyncio.create_task(commit.submit(_events(1)))
    await eventually(lambda: _equal(log.groups, [1]))
    staying = asyncio.create_task(commit.submit(_events(1)))
    await asyncio.sleep(0)
    gone.cancel()
    log.let_go.set()
    assert (await staying).accepted == 1


async def test_a_group_is_bounded(commit: GroupCommit, log: HeldLog) -> None:
    log.let_go.clear()
    waiting = [asyncio.create_task(commit.submit(_events(1)))]
    await eventually(lambda: _equal(log.groups, [1]))
    waiting += [asyncio.create_task(commit.submit(_events(200))) for _ in range(4)]
    await asyncio.sleep(0)
    log.let_go.set()
    await asyncio.gather(*waiting)
    assert log.groups == [1, 400, 400]


async def test_quiet_starts_at_once_busy_lets_it_fill(
    commit: GroupCommit, dispatcher: Dispatcher, starts: Starts
) -> None:
    first = await commit.submit(_events(1))
    await eventually(lambda: _equal(starts.batches, [first.batch_id]))
    second, third = await commit.submit(_events(1)), await commit.submit(_events(1))
    assert second.batch_id == third.batch_id != first.batch_id
    assert starts.batches == [first.batch_id]
    dispatcher.released(first.batch_id)
    await eventually(lambda: _equal(starts.batches, [first.batch_id, second.batch_id]))


async def test_a_busy_process_paces_its_batches_and_a_few_events_never_wait(
    log: HeldLog, starts: Starts, late: LateEvents
) -> None:
    dispatcher = Dispatcher(starts.start, max_events=1_000, max_age_s=60, pace_s=0.2, give_up_s=1)
    commit = GroupCommit(log, dispatcher, late, max_events=500)
    first = await commit.submit(_events(50))
    await eventually(lambda: _equal(starts.batches, [first.batch_id]))
    dispatcher.released(first.batch_id)
    second = await commit.submit(_events(5))
    await eventually(lambda: _equal(starts.batches, [first.batch_id, second.batch_id]))
    dispatcher.released(second.batch_id)
    sealed_at = asyncio.get_running_loop().time()
    third = await commit.submit(_events(50))
    assert starts.batches == [first.batch_id, second.batch_id]
    await eventually(lambda: _equal(starts.batches[2:], [third.batch_id]))
    assert asyncio.get_running_loop().time() - sealed_at > 0.1


async def test_a_trickle_without_an_end_is_paced_and_a_pause_earns_its_haste_back(
    starts: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intake.dispatch._AHEAD", 3)
    dispatcher = Dispatcher(starts.start, max_events=1_000, max_age_s=60, pace_s=0.2, give_up_s=1)

    async def come_and_go() -> bool:
        """Whether the batch of an event was sealed at once; it is released again."""
        batch, sealed = dispatcher.begin_flush(), len(starts.batches)
        dispatcher.end_flush(batch, 1)
        await asyncio.sleep(0)
        at_once = len(starts.batches) > sealed
        await eventually(lambda: _equal(starts.batches[-1:], [batch.batch_id]))
        dispatcher.released(batch.batch_id)
        return at_once

    assert [await come_and_go() for _ in range(4)] == [True] * 4
    assert [await come_and_go() for _ in range(3)] == [False] * 3
    await asyncio.sleep(0.5)  # the pace of two and a half batches
    assert [await come_and_go() for _ in range(2)] == [True] * 2


async def test_a_full_batch_is_sealed_though_others_are_under_way(commit: GroupCommit, starts: Starts) -> None:
    await commit.submit(_events(1))
    answers = [await commit.submit(_events(400)) for _ in range(3)]
    assert len({answer.batch_id for answer in answers}) == 1
    await eventually(lambda: _equal(len(starts.batches), 2))


async def test_an_old_batch_is_sealed_though_others_are_under_way(
    log: HeldLog, starts: Starts, late: LateEvents
) -> None:
    dispatcher = Dispatcher(starts.start, max_events=1_000, max_age_s=0.05, pace_s=0, give_up_s=1)
    commit = GroupCommit(log, dispatcher, late, max_events=500)
    first, second = await commit.submit(_events(1)), await commit.submit(_events(1))
    await eventually(lambda: _equal(starts.batches, [first.batch_id, second.batch_id]))


async def test_a_batch_is_never_sealed_while_a_flush_into_it_is_under_way(log: HeldLog, starts: Starts) -> None:
    dispatcher = Dispatcher(starts.start, max_events=1_000, max_age_s=0.01, pace_s=0, give_up_s=1)
    slow, quick = dispatcher.begin_flush(), dispatcher.begin_flush()
    dispatcher.end_flush(quick, 5)
    await asyncio.sleep(0.05)  # past its age: it takes no further flush, and still is not sealed
    assert dispatcher.begin_flush() is not slow
    assert starts.batches == []
    dispatcher.end_flush(slow, 0)
    await eventually(lambda: _equal(starts.batches, [slow.batch_id]))


async def test_temporal_down_is_no_matter_for_the_front_door(
    commit: GroupCommit, dispatcher: Dispatcher, starts: Starts
) -> None:
    starts.down = True
    assert (await commit.submit(_events(1))).accepted == 1
    await dispatcher.drain()  # gives up after its time: the sweeper's
    starts.down = False
    answer = await commit.submit(_events(1))
    await dispatcher.drain()
    assert starts.batches == [answer.batch_id]


async def test_the_backlog_has_a_bound(log: HeldLog, commit: GroupCommit) -> None:
    backlog = Backlog(log, limit_events=10)
    assert backlog.retry_after_s(0, 10) is None
    await commit.submit(_events(6))
    await backlog.take_sample()
    assert backlog.events == 6
    assert backlog.retry_after_s(0, 4) is None
    assert backlog.retry_after_s(0, 5)
    assert backlog.retry_after_s(3, 2)
    backlog.added(2)
    assert backlog.retry_after_s(0, 3)
    assert backlog.oldest_age_s() > 0
