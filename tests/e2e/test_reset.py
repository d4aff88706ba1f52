"""Temporal's own Reset, at every point where it can be done, of workflows in every state: it changes no count."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from domain.batch import DiscardRequest
from tests.conftest import eventually
from tests.e2e.conftest import Broken, Database
from tests.factories import body

Handle = WorkflowHandle[Any, Any]


class Batch:
    """A batch of three views of a product, by one account."""

    def __init__(self, http: httpx.AsyncClient, client: Client) -> None:
        self._http, self._client = http, client
        self.product, self.account = str(uuid4()), str(uuid4())
        self.batch_id = ""
        self.run_id = ""

    async def send(self) -> None:
        three = [body(ref_id=self.product, account_id=self.account) for _ in range(3)]
        accepted = await self._http.post("/interaction", json={"interactions": three})
        self.batch_id = accepted.json()["batch_id"]

        async def started() -> str:
            answer = await self._http.get(f"/batches/{self.batch_id}")
            assert answer.json()["state"] != "waiting"
            return str((await self.handle().describe()).run_id)

        self.run_id = await eventually(started)

    def handle(self, run_id: str | None = None) -> Handle:
        return self._client.get_workflow_handle(self.batch_id, run_id=run_id)

    async def reset_points(self) -> list[int]:
        """The events of the first run to which Temporal lets it be reset."""
        history = await self.handle(self.run_id).fetch_history()
        done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        return [event.event_id for event in history.events if event.event_type == done]

    async def reset(self, to_event: int) -> Handle:
        """As the UI does it, which applies later updates again; the new run."""
        answer = await self._client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=self._client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=self.batch_id, run_id=self.run_id),
                reason="a test",
                workflow_task_finish_event_id=to_event,
                request_id=str(uuid4()),
            ),
            timeout=timedelta(seconds=10),
        )
        return self.handle(answer.run_id)

    async def counts(self) -> tuple[int, int]:
        """Views of the product, and interactions of the account."""
        answer = await self._http.get(f"/popularity/{self.product}")
        views = answer.json()["view_count"] if answer.status_code == httpx.codes.OK else 0
        return views, len((await self._http.get(f"/interactions/{self.account}")).json()["items"])


@pytest.fixture
def batch(http: httpx.AsyncClient, temporal_client: Client) -> Batch:
    return Batch(http, temporal_client)


async def _replay_when_parked(run: Handle) -> None:
    """Until it is closed: a run that parks is replayed, as an operator would."""
    while (await run.describe()).status == WorkflowExecutionStatus.RUNNING:
        details = str(await run.query("__temporal_workflow_metadata", result_type=object))
        if "**parked**" in details:
            await run.execute_update("replay", [])
        await asyncio.sleep(0.05)


async def test_of_a_batch_that_is_done(batch: Batch) -> None:
    await batch.send()
    await batch.handle().result()
    points = await batch.reset_points()
    assert len(points) == 1  # with stores that are well it is one task
    for point in points:
        await (await batch.reset(point)).result()
        assert await batch.counts() == (3, 3)


async def test_of_a_batch_that_was_parked_and_replayed(batch: Batch, broken: Broken) -> None:
    async with broken():
        await batch.send()
    await _replay_when_parked(batch.handle())
    points = await batch.reset_points()
    assert len(points) >= 4
    for point in points:
        run = await batch.reset(point)
        await asyncio.wait_for(_replay_when_parked(run), 30)
        await run.result()
        assert await batch.counts() == (3, 3)


async def test_of_a_batch_that_is_parked(batch: Batch, broken: Broken) -> None:
    async with broken():
        await batch.send()
        for point in await batch.reset_points():
            run = await batch.reset(point)

            async def parked(run: Handle = run) -> None:
                assert "**parked**" in str(await run.query("__temporal_workflow_metadata", result_type=object))

            await eventually(parked)
            assert await batch.counts() == (0, 3)
    await _replay_when_parked(batch.handle())
    assert await batch.counts() == (3, 3)


async def test_of_a_parked_batch_whose_cause_is_mended_is_a_replay(
    batch: Batch, database: Database, broken: Broken
) -> None:
    async with broken():
        await batch.send()
    await (await batch.reset((await batch.reset_points())[0])).result()
    assert await batch.counts() == (3, 3)
    assert await database.fetchval("SELECT count(*) FROM parked WHERE batch_id = $1", UUID(batch.batch_id)) == 0


async def test_of_a_batch_that_was_discarded(batch: Batch, broken: Broken) -> None:
    """What was given up stays given up: its marks are there, or gone with its rows."""
    async with broken():
        await batch.send()
        await batch.handle().execute_update("discard", DiscardRequest("a test shop"))
        await batch.handle().result()
        points = await batch.reset_points()
    for point in points:
        run = await batch.reset(point)
        await asyncio.wait_for(_replay_when_parked(run), 30)
        await run.result()
        assert await batch.counts() == (0, 3)
