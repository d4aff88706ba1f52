"""CompactBlocks against a real Temporal: range after range, whatever becomes of an attempt, and however many."""

from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError

from domain.compaction import (
    COMPACT_RANGE,
    PLAN_COMPACTION,
    CompactionInput,
    CompactionPlan,
    CompactionProgress,
    CompactionResult,
    RangeInput,
)
from tests.workflows.conftest import worker_of
from workflows.compact_blocks import CompactBlocks

Handle = WorkflowHandle[CompactBlocks, CompactionResult]


class Compactor:
    """The activities' doubles, and how to run a compaction past them."""

    def __init__(self, client: Client, queue: str) -> None:
        self.client = client
        self.queue = queue
        self.ranges = [(0, 10), (10, 20), (20, 30)]
        self.done: list[RangeInput] = []
        self.planned: list[int] = []
        self.failures = 0

    async def start(self, request: CompactionInput) -> Handle:
        return await self.client.start_workflow(
            CompactBlocks.run, request, id=f"test-{uuid4()}", task_queue=self.queue
        )

    def activities(self) -> list[Callable[..., Any]]:
        @activity.defn(name=PLAN_COMPACTION)
        async def plan(weeks_back: int) -> CompactionPlan:
            self.planned.append(weeks_back)
            return CompactionPlan(100 - weeks_back, 100, self.ranges)

        @activity.defn(name=COMPACT_RANGE)
        async def compact(work: RangeInput) -> CompactionResult:
            if self.failures:
                self.failures -= 1
                raise ApplicationError("the store is down", type="TransientError")
            self.done.append(work)
            return CompactionResult(1, 2, 30, 4, 2, 100, 50, 1, [f"account {work.start}"])

        return [plan, compact]


@pytest.fixture
async def compactor(temporal_client: Client) -> AsyncIterator[Compactor]:
    made = Compactor(temporal_client, f"test-{uuid4()}")
    async with worker_of(made):
        yield made


async def test_each_range_in_turn(compactor: Compactor) -> None:
    result = await (await compactor.start(CompactionInput(weeks_back=3, events_a_second=7))).result()
    assert compactor.planned == [3]
    assert compactor.done == [RangeInput(start, start + 10, 97, 100, 7) for start in (0, 10, 20)]
    named = ["account 0", "account 10", "account 20"]
    assert result == CompactionResult(3, 6, 90, 12, 6, 300, 150, 3, named)


async def test_a_range_is_retried_until_its_store_is_there_again(compactor: Compactor) -> None:
    compactor.failures = 3
    result = await (await compactor.start(CompactionInput(weeks_back=1))).result()
    assert result.ranges == 3
    assert [work.start for work in compactor.done] == [0, 10, 20]


async def test_a_person_sees_how_far_it_is(compactor: Compactor) -> None:
    handle = await compactor.start(CompactionInput(weeks_back=1))
    result = await handle.result()
    assert await handle.query(CompactBlocks.progress) == CompactionProgress(result, 0)
    details = str(await handle.query("__temporal_workflow_metadata", result_type=object))
    assert "**3** ranges done, 0 left" in details
    assert "12 are now 6" in details
    assert "account 10" in details


async def test_very_many_ranges_go_on_in_a_new_run(compactor: Compactor) -> None:
    """Its history would grow too long otherwise; nothing is done twice and nothing is planned anew."""
    compactor.ranges = [(n, n + 1) for n in range(1_024)]
    handle = await compactor.start(CompactionInput(weeks_back=1))
    result = await handle.result()
    assert [work.start for work in compactor.done] == list(range(1_024))
    assert compactor.planned == [1]
    assert (result.ranges, result.events, len(result.unreadable_named)) == (1_024, 30_720, 10)
    first = await compactor.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id).describe()
    assert first.history_length < 10_000
    assert first.status is not None
    assert first.status.name == "CONTINUED_AS_NEW"
