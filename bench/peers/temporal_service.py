"""A Temporal workflow a request, the payload inside: what one builds with Temporal before thinking of batches.

`python -m bench.peers.temporal_service api PORT` and `… worker`; addresses are in the environment.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import asyncpg
import uvicorn
import uvloop
from fastapi import FastAPI, Request, Response
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from bench.events import Event

SCHEMA = """
CREATE TABLE IF NOT EXISTS peer_interaction (
    workflow_id text NOT NULL, place integer NOT NULL, account_id text NOT NULL, event_type text NOT NULL,
    ref_id text NOT NULL, PRIMARY KEY (workflow_id, place));
CREATE TABLE IF NOT EXISTS peer_applied (workflow_id text PRIMARY KEY);
CREATE TABLE IF NOT EXISTS peer_popularity (
    product_id text PRIMARY KEY, score bigint NOT NULL, view_count bigint NOT NULL);
"""
_INSERT = """
INSERT INTO peer_interaction SELECT $1, * FROM unnest($2::int[], $3::text[], $4::text[], $5::text[])
ON CONFLICT DO NOTHING
"""
_MARK = "INSERT INTO peer_applied VALUES ($1) ON CONFLICT DO NOTHING RETURNING true"
_COUNT = """
INSERT INTO peer_popularity AS p
SELECT product_id, 300000 * count(*), count(*) FROM unnest($1::text[]) AS e (product_id) GROUP BY 1 ORDER BY 1
ON CONFLICT (product_id) DO UPDATE
SET score = p.score + excluded.score, view_count = p.view_count + excluded.view_count
"""
_QUEUE = "peer"
_LIMIT = timedelta(seconds=30)


class Activities:
    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    @activity.defn(name="insert")
    async def insert(self, events: list[Event]) -> None:
        columns = [[one[key] for one in events] for key in ("account_id", "event_type", "ref_id")]
        await self._pool.execute(_INSERT, activity.info().workflow_id, list(range(len(events))), *columns)

    @activity.defn(name="count")
    async def count(self, events: list[Event]) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(_MARK, activity.info().workflow_id):
                await connection.execute(_COUNT, [one["ref_id"] for one in events])


@workflow.defn(name="Record")
class Record:
    @workflow.run
    async def run(self, events: list[Event]) -> None:
        await asyncio.gather(
            *(workflow.execute_activity(name, events, start_to_close_timeout=_LIMIT) for name in ("insert", "count"))
        )


async def _client() -> Client:
    return await Client.connect(os.environ["BENCH_TEMPORAL_ADDRESS"])


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Client]]:
    yield {"client": await _client()}


app = FastAPI(lifespan=_lifespan)


@app.post("/interaction", status_code=202)
async def accept(request: Request) -> Response:
    events = await request.json()
    await request.state.client.start_workflow("Record", events, id=str(uuid4()), task_queue=_QUEUE)
    return Response(b"{}", 202, media_type="application/json")


async def work() -> None:
    async with asyncpg.create_pool(os.environ["BENCH_POSTGRES_URL"], min_size=1, max_size=8) as pool:
        do = Activities(pool)
        await Worker(
            await _client(), task_queue=_QUEUE, workflows=[Record], activities=[do.insert, do.count],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ).run()  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1] == "api":
        uvicorn.run(
            app, port=int(sys.argv[2]), loop="uvloop", http="httptools", access_log=False, log_level="warning"
        )
    else:
        uvloop.run(work())
