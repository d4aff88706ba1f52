"""The limit of CQL: rows of a delta block's size in unlogged batches of 100, values that are there already."""

import asyncio
import time
from pathlib import Path
from uuid import uuid4

import uvloop
from cassandra.query import BatchStatement, BatchType

from migrations.cql_runner import migrate_cql
from runtime.cassandra.server import HOST, LOCAL_DC, PASSWORD, USERNAME, CassandraServer
from store.cql import CqlCluster, CqlSession, open_session

_ROWS_A_BATCH = 100
_BATCHES_AT_ONCE = 16
_ROW_BYTES = 90
_WARM_ROWS = 20_000


async def raw_batches(session: CqlSession, rows: int) -> None:
    """What the driver and the node do at the most, into the blocks' own table."""
    insert = await session.prepare(
        "INSERT INTO {keyspace}.blocks (account_id, week, block_id, sealed, event_count, data) "
        "VALUES (?, 1, ?, 0, 1, ?) USING TTL 86400"
    )
    data, ids = b"x" * _ROW_BYTES, [uuid4() for _ in range(_ROWS_A_BATCH)]
    left = iter(range(0, rows, _ROWS_A_BATCH))

    async def send() -> None:
        for at in left:
            batch = BatchStatement(BatchType.UNLOGGED)
            for number, block_id in enumerate(ids):
                batch.add(insert, (f"raw{at + number}", block_id, data))
            await session.execute(batch, profile="write")

    await asyncio.gather(*(send() for _ in range(_BATCHES_AT_ONCE)))


def rows_a_second(folder: Path, database: str, rows: int) -> float:
    """A node of its own, set as Footfall's is beside the others; the PostgreSQL holds the lock of migrations."""
    server = CassandraServer(folder / "cassandra", folder / "logs", durable=False)
    server.start()
    try:
        return uvloop.run(_run(server.port, database, rows))
    finally:
        server.stop()


async def _run(port: int, database: str, rows: int) -> float:
    cluster = CqlCluster([HOST], port, "footfall", 1, LOCAL_DC, USERNAME, PASSWORD, timeout_s=30)
    await migrate_cql(cluster, database)
    async with open_session(cluster) as session:
        await raw_batches(session, _WARM_ROWS)
        started = time.perf_counter()
        await raw_batches(session, rows)
        return rows / (time.perf_counter() - started)
