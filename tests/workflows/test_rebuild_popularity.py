"""RebuildPopularity against a real Temporal: what runs when, and that its end comes whatever happened before."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError

from domain.event_types import EventWeight
from domain.rebuild import (
    ADD_DIFFERENCE,
    BEGIN_REBUILD,
    END_REBUILD,
    RECOUNT_RANGE,
    REPAIR_LEDGER,
    SETTLE_REBUILD,
    BeginInput,
    Counts,
    Difference,
    Purpose,
    RebuildInput,
    RebuildPlan,
    RebuildProgress,
    RebuildResult,
    RecountInput,
    RecountResult,
    Settled,
)
from tests.conftest import eventually
from tests.workflows.conftest import worker_of
from workflows.rebuild_popularity import RebuildPopularity

Handle = WorkflowHandle[RebuildPopularity, RebuildResult]

NONE = Counts(0, 0, 0, 0, 0, 0)
DIFFERS = Settled(1, 1, 2, 3, [Difference("cup", "2026-01-31", NONE, Counts(300_000, 1, 0, 0, 0, 0))])


class Rebuilder:
    """The activities' doubles, and how to run a rebuild past them."""

    def __init__(self, client: Client, queue: str) -> None:
        self.client = client
        self.queue = queue
        self.ranges = [(0, 10), (10, 20), (20, 30)]
        self.settled = DIFFERS
        self.begun: list[BeginInput] = []
        self.recounted: list[int] = []
        self.calls: list[str] = []
        self.ended: list[UUID] = []
        self.failures: list[ApplicationError] = []
        self.hold = asyncio.Event()
        self.hold.set()

    async def start(self, purpose: Purpose = "rebuild", **fields: Any) -> Handle:
        request = RebuildInput(purpose, **fields)
        return await self.client.start_workflow(
            RebuildPopularity.run, request, id=f"test-{uuid4()}", task_queue=self.queue
        )

    def activities(self) -> list[Callable[..., Any]]:
        @activity.defn(name=BEGIN_REBUILD)
        async def begin(work: BeginInput) -> RebuildPlan:
            self.begun.append(work)
            return RebuildPlan(work.rebuild_id, 90, 100, self.ranges)

        @activity.defn(name=RECOUNT_RANGE)
        async def recount(work: RecountInput) -> RecountResult:
            if self.failures:
                raise self.failures.pop()
            while not self.hold.is_set():
                activity.heartbeat()
                await asyncio.sleep(0.05)
            self.recounted.append(work.start)
            return RecountResult(1, 2, 30, 20)

        @activity.defn(name=SETTLE_REBUILD)
        async def settle(plan: RebuildPlan) -> Settled:
            self.calls.append("settle")
            return self.settled

        @activity.defn(name=ADD_DIFFERENCE)
        async def add(plan: RebuildPlan) -> None:
            self.calls.append("add")

        @activity.defn(name=REPAIR_LEDGER)
        async def repair(plan: RebuildPlan) -> None:
            self.calls.append("repair")

        @activity.defn(name=END_REBUILD)
        async def end(rebuild_id: UUID) -> None:
            self.calls.append("end")
            self.ended.append(rebuild_id)

        return [begin, recount, settle, add, repair, end]


@pytest.fixture
async def rebuilder(temporal_client: Client) -> AsyncIterator[Rebuilder]:
    made = Rebuilder(temporal_client, f"test-{uuid4()}")
    async with worker_of(made):
        yield made


async def test_each_range_in_turn_then_the_difference_is_added(rebuilder: Rebuilder) -> None:
    weights = {"view": EventWeight(7, "view"), "ask_question": EventWeight(-1, None)}
    handle = await rebuilder.start(from_day="2026-01-01", to_day="2026-01-31", weights=weights)
    result = await handle.result()
    assert result == RebuildResult(RecountResult(3, 6, 90, 60), DIFFERS, added=True)
    (begun,) = rebuilder.begun
    assert (begun.from_day, begun.to_day, begun.weights) == ("2026-01-01", "2026-01-31", weights)
    assert str(begun.rebuild_id) == handle.first_execution_run_id
    assert rebuilder.recounted == [0, 10, 20]
    assert rebuilder.calls == ["settle", "add", "end"]
    assert rebuilder.ended == [begun.rebuild_id]


async def test_comparing_adds_nothing(rebuilder: Rebuilder) -> None:
    result = await (await rebuilder.start("compare")).result()
    assert (result.settled, result.added) == (DIFFERS, False)
    assert rebuilder.calls == ["settle", "end"]


@pytest.mark.parametrize(
    ("purpose", "calls"), [("verify", ["settle", "end"]), ("repair", ["settle", "add", "repair", "end"])]
)
async def test_what_differs_is_kept_until_it_was_read(
    rebuilder: Rebuilder, purpose: Purpose, calls: list[str]
) -> None:
    handle = await rebuilder.start(purpose)

    async def waits() -> None:
        progress = await handle.query(RebuildPopularity.progress)
        assert progress == RebuildProgress(
            "waiting until what differs is read", RecountResult(3, 6, 90, 60), 0, DIFFERS
        )

    await eventually(waits)
    assert rebuilder.calls == ["settle"]
    await handle.signal(RebuildPopularity.names_read)
    assert (await handle.result()).added is (purpose == "repair")
    assert rebuilder.calls == calls


async def test_where_nothing_differs_nobody_is_waited_for(rebuilder: Rebuilder) -> None:
    rebuilder.settled = Settled()
    assert (await (await rebuilder.start("verify")).result()).settled == Settled()
    assert rebuilder.calls == ["settle", "end"]


async def test_a_range_is_retried_until_its_store_is_there_again(rebuilder: Rebuilder) -> None:
    rebuilder.failures = [ApplicationError("the store is down", type="TransientError") for _ in range(3)]
    assert (await (await rebuilder.start()).result()).recounted.ranges == 3
    assert rebuilder.recounted == [0, 10, 20]


async def test_one_that_fails_for_good_ends_all_the_same(rebuilder: Rebuilder) -> None:
    rebuilder.failures = [ApplicationError("checksum", type="CorruptBlockError", non_retryable=True)]
    handle = await rebuilder.start()
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, ActivityError)
    assert "checksum" in str(failed.value.cause.cause)
    assert rebuilder.calls == ["end"]


async def test_one_that_is_cancelled_ends_after_what_is_under_way(rebuilder: Rebuilder) -> None:
    rebuilder.hold.clear()
    handle = await rebuilder.start()

    async def recounting() -> None:
        assert rebuilder.begun
        assert (await handle.query(RebuildPopularity.progress)).stage == "recounting"

    await eventually(recounting)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, CancelledError)
    assert rebuilder.calls == ["end"]
    assert rebuilder.ended == [rebuilder.begun[0].rebuild_id]


async def test_a_person_sees_how_far_it_is(rebuilder: Rebuilder) -> None:
    handle = await rebuilder.start()
    await handle.result()
    details = str(await handle.query("__temporal_workflow_metadata", result_type=object))
    assert "**ended**" in details
    assert "3 ranges done, 0 left" in details
    assert "90 interactions of 6 accounts found in blocks, 60 counted" in details
    assert "**1** products and 1 of their days differ" in details
    assert "2 ids are in no block, 3 unknown to the ledger" in details


async def test_very_many_ranges_go_on_in_a_new_run(rebuilder: Rebuilder) -> None:
    """It is still the same rebuild, and does not end in between."""
    rebuilder.ranges = [(n, n + 1) for n in range(1_024)]
    handle = await rebuilder.start()
    result = await handle.result()
    assert rebuilder.recounted == list(range(1_024))
    assert len(rebuilder.begun) == 1
    assert rebuilder.calls == ["settle", "add", "end"]
    assert rebuilder.ended == [rebuilder.begun[0].rebuild_id]
    assert result.recounted.events == 30_720
    first = await rebuilder.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id).describe()
    assert first.status is not None
    assert first.status.name == "CONTINUED_AS_NEW"
