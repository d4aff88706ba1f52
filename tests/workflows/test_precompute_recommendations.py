"""PrecomputeRecommendations against a real Temporal: range after range, whatever becomes of an attempt."""

from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError

from domain.precompute import (
    PLAN_PRECOMPUTE,
    PRECOMPUTE_RANGE,
    PrecomputeInput,
    PrecomputePlan,
    PrecomputeProgress,
    PrecomputeRange,
    PrecomputeResult,
)
from tests.workflows.conftest import worker_of
from workflows.precompute_recommendations import PrecomputeRecommendations


class Maker:
    """The activities' doubles, and how to run them."""

    def __init__(self, client: Client, queue: str) -> None:
        self.client = client
        self.queue = queue
        self.ranges = [(0, 10), (10, 20)]
        self.failures = 0
        self.done: list[PrecomputeRange] = []

    async def start(self, request: PrecomputeInput) -> WorkflowHandle[PrecomputeRecommendations, PrecomputeResult]:
        return await self.client.start_workflow(
            PrecomputeRecommendations.run, request, id=f"test-{uuid4()}", task_queue=self.queue
        )

    def activities(self) -> list[Callable[..., Any]]:
        @activity.defn(name=PLAN_PRECOMPUTE)
        async def plan(request: PrecomputeInput) -> PrecomputePlan:
            return PrecomputePlan(100 - request.weeks_back, 100, self.ranges)

        @activity.defn(name=PRECOMPUTE_RANGE)
        async def precompute(work: PrecomputeRange) -> PrecomputeResult:
            if self.failures:
                self.failures -= 1
                raise ApplicationError("the recommender does not answer", type="TransientError")
            self.done.append(work)
            return PrecomputeResult(1, 5, 2)

        return [plan, precompute]


@pytest.fixture
async def maker(temporal_client: Client) -> AsyncIterator[Maker]:
    maker = Maker(temporal_client, f"test-{uuid4()}")
    async with worker_of(maker):
        yield maker


async def test_range_after_range_and_what_is_asked_reaches_them(maker: Maker) -> None:
    handle = await maker.start(PrecomputeInput(weeks_back=3, accounts_a_second=7))
    assert await handle.result() == PrecomputeResult(2, 10, 4)
    assert maker.done == [PrecomputeRange(0, 10, 97, 100, 7), PrecomputeRange(10, 20, 97, 100, 7)]
    assert await handle.query(PrecomputeRecommendations.progress) == PrecomputeProgress(PrecomputeResult(2, 10, 4), 0)


async def test_a_range_whose_recommender_is_gone_is_tried_again_and_no_other(maker: Maker) -> None:
    maker.failures = 2
    handle = await maker.start(PrecomputeInput())
    await handle.result()
    assert [work.start for work in maker.done] == [0, 10]


async def test_without_a_model_it_ends_at_once(maker: Maker) -> None:
    maker.ranges = []
    handle = await maker.start(PrecomputeInput())
    assert await handle.result() == PrecomputeResult()
