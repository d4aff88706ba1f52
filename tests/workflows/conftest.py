"""A worker of RecordInteractions whose activities do as a test says; a queue of its own for each test."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from domain.batch import (
    DISCARD,
    PARK,
    RELEASE,
    BatchInput,
    DiscardInput,
    FanOutInput,
    FanOutResult,
    ParkInput,
    ReleaseInput,
    ReleaseResult,
)
from domain.ids import new_id
from domain.week import from_us
from workflows import WORKFLOWS
from workflows.record_interactions import RecordInteractions

RESULT = FanOutResult(
    events=3, accounts=2, applied_rows=1, first_occurred_at=from_us(0), last_occurred_at=from_us(60_000_000)
)


@dataclass
class Carriage:
    """The activities' doubles, and how to run a batch past them."""

    client: Client
    queue: str
    local_first: bool
    calls: list[str] = field(default_factory=list)
    parked: list[tuple[str, str]] = field(default_factory=list)
    persist: Callable[[], FanOutResult] = lambda: RESULT
    popularity: Callable[[], FanOutResult] = lambda: RESULT

    @property
    def attempts(self) -> int:
        """How often a step that fails for good is tried."""
        return 2 if self.local_first else 1

    async def start(self) -> WorkflowHandle[RecordInteractions, ReleaseResult]:
        batch = BatchInput(new_id(), ["persist", "popularity"], local_first=self.local_first)
        return await self.client.start_workflow(
            RecordInteractions.run, batch, id=str(batch.batch_id), task_queue=self.queue
        )

    def activities(self) -> list[Callable[..., Any]]:
        @activity.defn(name="persist")
        async def persist(_batch: FanOutInput) -> FanOutResult:
            self.calls.append("persist")
            return self.persist()

        @activity.defn(name="popularity")
        async def popularity(_batch: FanOutInput) -> FanOutResult:
            self.calls.append("popularity")
            return self.popularity()

        @activity.defn(name=RELEASE)
        async def release(batch: ReleaseInput) -> ReleaseResult:
            self.calls.append(f"release {' '.join(batch.fan_outs)}")
            return ReleaseResult(1, 0)

        @activity.defn(name=PARK)
        async def park(parked: ParkInput) -> None:
            self.parked.append((parked.fan_out, parked.reason))

        @activity.defn(name=DISCARD)
        async def discard(discarded: DiscardInput) -> None:
            self.calls.append(f"discard {discarded.fan_out}: {discarded.reason}")

        return [persist, popularity, release, park, discard]


class Doubles(Protocol):
    """Activities that do as a test says, on a queue of their own."""

    client: Client
    queue: str

    def activities(self) -> list[Callable[..., Any]]: ...


def workflow_runner() -> SandboxedWorkflowRunner:
    """The sandbox that holds workflows to determinism; what is pure already is not loaded anew for each of them."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules("domain", "workflows.policies")
    )


def worker_of(doubles: Doubles) -> Worker:
    """All workflows, with these activities."""
    return Worker(
        doubles.client,
        task_queue=doubles.queue,
        workflows=WORKFLOWS,
        activities=doubles.activities(),
        workflow_runner=workflow_runner(),
    )


@pytest.fixture(params=[True, False], ids=["local_first", "activities"])
async def carriage(temporal_client: Client, request: pytest.FixtureRequest) -> AsyncIterator[Carriage]:
    """Of batches as they are started now, and of those from before first attempts were local."""
    made = Carriage(temporal_client, f"test-{uuid4()}", request.param)
    async with worker_of(made):
        yield made
