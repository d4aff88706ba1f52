"""Two APIs and two workers on one PostgreSQL and one Temporal: nobody of them knows of the others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from domain.batch import TASK_QUEUE
from migrations.runner import migrate_postgres
from runtime.postgres_server import EmbeddedPostgres
from runtime.settings import Settings
from tests.conftest import Temporal, eventually, new_database, new_namespace
from tests.faults.check import drained, judge
from tests.scale.loads import TwiceAtOnce
from tests.stack import Stack

LOAD_S = 8.0


@pytest.fixture
async def twins(
    postgres_server: EmbeddedPostgres, temporal: Temporal, servers_dir: Path
) -> AsyncIterator[list[Stack]]:
    """Two times an API and a worker, on one database and one namespace."""
    async with new_database(postgres_server.url) as url:
        await migrate_postgres(url)
        settings = {"TEMPORAL_NAMESPACE": await new_namespace(temporal.address)}
        stacks = []
        for name in ("first", "second"):
            logs = servers_dir / f"logs-{name}-twin"
            logs.mkdir()
            stacks.append(Stack(url, temporal.address, logs, settings))
        for stack in stacks:
            stack.start_unready("worker", "api")
        for stack in stacks:
            stack.wait_until_ready()
        yield stacks
        for stack in stacks:
            stack.stop()


@asynccontextmanager
async def _half_way(url: str) -> AsyncIterator[None]:
    """Inside, both workers have batches in hand that are in popularity and in no block: these can't be written."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE interaction_block IN SHARE MODE")
            await asyncio.sleep(1)
            counted = "SELECT count(*) FROM applied p WHERE fan_out = 'popularity' AND NOT EXISTS "
            marked = "(SELECT FROM applied b WHERE b.intake_id = p.intake_id AND b.fan_out = 'persist')"
            assert await connection.fetchval(counted + marked) > 0
            yield
    finally:
        await connection.close()


async def _pollers(stack: Stack) -> set[int]:
    """The processes that ask Temporal for work, by their identities, which begin with the process's id."""
    namespace = stack.settings["TEMPORAL_NAMESPACE"]
    client = await Client.connect(stack.temporal_address, namespace=namespace)
    asked = DescribeTaskQueueRequest(
        namespace=namespace,
        task_queue=TaskQueue(name=TASK_QUEUE),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    )
    described = await client.workflow_service.describe_task_queue(asked)
    return {int(one.identity.partition("@")[0]) for one in described.pollers}


async def test_what_comes_to_both_at_once_counts_once_though_a_worker_dies(twins: list[Stack]) -> None:
    prefix = f"twins-{uuid4().hex[:8]}-"
    load = TwiceAtOnce([stack.url for stack in twins], prefix, seed=1)
    loading = asyncio.create_task(load.run(LOAD_S))
    await asyncio.sleep(LOAD_S / 2)

    async def both_ask() -> None:
        assert await _pollers(twins[0]) == {stack.processes["worker"].pid for stack in twins}

    await eventually(both_ask)
    async with _half_way(twins[0].database_url):
        twins[1].kill("worker")  # and nobody starts it again
    await loading
    sent, url = load.sent, twins[0].database_url
    assert set(sent.answers) == {"202"}
    assert sent.sums["accepted"] == len(sent.bodies) > 1_000
    assert sent.sums["duplicates"] >= len(sent.bodies)
    await drained(url)
    settings = Settings.model_validate({"postgres_url": url})
    verdict = await judge(settings, prefix, sent, set(sent.bodies))
    assert verdict.faults == []
    assert verdict.events == len(sent.bodies)
    assert (await load.send_all_again())["accepted"] == 0
