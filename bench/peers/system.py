"""What every system under measurement can do, whatever is behind it."""

import asyncio
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import asyncpg

from bench.events import Event
from bench.loadgen import post

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Running:
    """A system that takes interactions over HTTP and counts them in PostgreSQL."""

    name: str
    port: int
    path: str
    body: Callable[[list[Event]], object]
    """What is sent for some events, as JSON."""
    database: str
    """URL of the PostgreSQL that the counts are in."""
    table: str
    """With the columns product_id and view_count."""

    def requests(self, bundles: Sequence[list[Event]]) -> Callable[[], bytes]:
        """The requests of these bundles, built before the clock starts, in a ring."""
        built = [post(HOST, self.path, json.dumps(self.body(bundle)).encode()) for bundle in bundles]
        return itertools.cycle(built).__next__

    def counted(self) -> int:
        """All views."""
        return views(self.database, self.table)


def views(database: str, table: str = "product_popularity") -> int:
    """The sum over all products."""

    async def ask() -> int:
        connection = await asyncpg.connect(database)
        try:
            return int(await connection.fetchval(f"SELECT coalesce(sum(view_count), 0)::bigint FROM {table}"))
        finally:
            await connection.close()

    return asyncio.run(ask())


def execute(database: str, script: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(database)
        try:
            await connection.execute(script)
        finally:
            await connection.close()

    asyncio.run(run())
