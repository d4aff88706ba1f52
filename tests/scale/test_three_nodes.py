"""Three Cassandra nodes with three copies of each block; the one that the others found the cluster by is killed."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from migrations.runner import migrate_postgres
from runtime.cassandra.server import CassandraServer
from runtime.connections import migrate_stores
from runtime.postgres_server import EmbeddedPostgres
from runtime.settings import Settings
from tests.conftest import Temporal, new_database, new_namespace
from tests.cql import three_nodes
from tests.faults.check import drained, judge
from tests.faults.load import Load
from tests.stack import Stack

LOAD_S = 12.0


@pytest.fixture(scope="module")
def nodes(servers_dir: Path) -> Iterator[list[CassandraServer]]:
    with three_nodes(servers_dir / "ring") as started:
        yield started


@pytest.fixture
async def stack(
    nodes: list[CassandraServer], postgres_server: EmbeddedPostgres, temporal: Temporal, servers_dir: Path
) -> AsyncIterator[Stack]:
    """With the consistencies as they are set by default: reads LOCAL_ONE, writes LOCAL_QUORUM."""
    logs = servers_dir / "logs-ring"
    logs.mkdir()
    async with new_database(postgres_server.url) as url:
        settings = {**nodes[0].environment, "TEMPORAL_NAMESPACE": await new_namespace(temporal.address)}
        await migrate_postgres(url)
        await migrate_stores(Settings.model_validate(settings), url)
        running = Stack(url, temporal.address, logs, settings)
        running.start()
        yield running
        running.stop()


class Reader:
    """Asks for accounts' histories all the time."""

    def __init__(self, url: str, load: Load) -> None:
        self._url = url
        self._load = load
        self.answers: Counter[int] = Counter()

    async def run(self) -> None:
        async with httpx.AsyncClient(base_url=self._url, timeout=30) as http:
            while True:
                for body in list(self._load.sent.bodies.values())[-50:]:
                    answer = await http.get(f"/interactions/{body['account_id']}")
                    self.answers[answer.status_code] += 1
                await asyncio.sleep(0.02)


@pytest.mark.long
@pytest.mark.timeout(400)  # four starts of a Cassandra, three of them at once
async def test_one_of_three_dies_and_comes_back(stack: Stack, nodes: list[CassandraServer]) -> None:
    load = Load([stack.url], f"ring-{uuid4().hex[:8]}-", seed=3)
    reader = Reader(stack.url, load)
    reading = asyncio.create_task(reader.run())
    try:
        await _with_two_of_three(stack, nodes[0], load, reader)
        await asyncio.to_thread(nodes[0].start)
        # The consistency of writes is that of exact reads too: every copy has to answer, and what one lacks it gets.
        await _nothing_is_missing(stack, load, SCYLLA_WRITE_CONSISTENCY="ALL")
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    assert set(reader.answers) == {200}


async def _with_two_of_three(stack: Stack, node: CassandraServer, load: Load, reader: Reader) -> None:
    """Load, in the middle of which the node dies, until everything is worked off."""
    loading = asyncio.create_task(load.run(LOAD_S))
    await asyncio.sleep(LOAD_S / 3)
    assert node.process is not None
    node.process.kill()
    node.process.wait()
    before = reader.answers[200]
    await loading
    assert set(load.sent.answers) == {"202"}
    assert set(reader.answers) == {200}
    assert reader.answers[200] - before > 20
    await drained(stack.database_url)
    await _nothing_is_missing(stack, load)


async def _nothing_is_missing(stack: Stack, load: Load, **changed: str) -> None:
    settings = Settings.model_validate({**stack.settings, "postgres_url": stack.database_url, **changed})
    everything = set(load.sent.bodies)
    verdict = await judge(settings, load.prefix, load.sent, everything)
    assert (verdict.faults, verdict.events) == ([], len(everything))
