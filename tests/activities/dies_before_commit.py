"""A worker that dies when its fan-out has written and not yet committed: `DATABASE_URL REDIS_URL|- BATCH_ID`.

It says so on its standard output and waits to be killed.
"""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from uuid import UUID

from activities.fan_out import Resources
from activities.feed_recommendations import Recommendations
from domain.actions import Action
from domain.event_types import load_event_weights
from intake.log import IntakeLog
from store.blocks.postgres import PostgresBlockStore
from store.postgres import Connection, create_pool
from store.redis import open_redis
from store.signals_postgres import PostgresSignalStore
from store.signals_redis import RedisSignalStore


class _ToPostgres(PostgresSignalStore):
    async def add(self, connection: Connection, actions: Sequence[Action]) -> None:
        await super().add(connection, actions)
        await _wait_to_be_killed()


class _ToRedis(RedisSignalStore):
    async def add(self, connection: Connection, actions: Sequence[Action]) -> None:
        await super().add(connection, actions)
        await _wait_to_be_killed()


async def _wait_to_be_killed() -> None:
    print("written", flush=True)
    await asyncio.Event().wait()


async def _main(database_url: str, redis_url: str, batch_id: UUID) -> None:
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(create_pool(database_url, name="dying", size=2, timeout_s=30))
        signals: PostgresSignalStore | RedisSignalStore = _ToPostgres(pool)
        if redis_url != "-":
            signals = _ToRedis(await stack.enter_async_context(open_redis(redis_url, name="dying", timeout_s=30)))
        log = IntakeLog(pool)
        resources = Resources(pool, log, PostgresBlockStore(pool), signals, load_event_weights())
        await Recommendations(resources).apply(await log.read(batch_id))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], UUID(sys.argv[3])))
