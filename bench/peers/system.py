"""What every system under measurement can do, whatever is behind it."""

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg

from bench.events import Event
from bench.loadgen import post

HOST = "127.0.0.1"
_LOOK_EVERY_S = 0.05


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
    popularity: str | None = None
    """The path to read a product's popularity at, its id to be put behind; None: there is none but the table."""
    busy: str | None = None
    """A query that is true while something that was counted has still to go elsewhere; None: nothing has."""
    pids: Mapping[str, int] = field(default_factory=dict)
    """Its own processes that are worth a look, by name."""

    def request(self, events: list[Event]) -> bytes:
        return post(HOST, self.path, json.dumps(self.body(events)).encode())

    def requests(self, bundles: Sequence[list[Event]]) -> Callable[[], bytes]:
        """The requests of these bundles, built before the clock starts, in a ring."""
        return itertools.cycle([self.request(bundle) for bundle in bundles]).__next__

    def counted(self) -> int:
        """All views."""
        return views(self.database, self.table)

    def is_busy(self) -> bool:
        return self.busy is not None and bool(ask(self.database, self.busy))


def views(database: str, table: str = "product_popularity") -> int:
    """The sum over all products."""
    return int(str(ask(database, f"SELECT coalesce(sum(view_count), 0)::bigint FROM {table}")))


def wait_until_counted(
    counted: Callable[[], int], expected: int, *, patience_s: float, name: str = "Footfall"
) -> None:
    """Returns when so many are counted; more than that is a fault as well, and ends the run."""
    deadline = time.perf_counter() + patience_s
    while (now := counted()) < expected:
        if time.perf_counter() > deadline:
            raise SystemExit(f"{name}: {now:,} of {expected:,} are counted, and no more come")
        time.sleep(_LOOK_EVERY_S)
    insist_on_count(now, expected, name)


def insist_on_count(counted: int, expected: int, name: str) -> None:
    """Ends the run where something was lost or counted twice."""
    if counted != expected:
        raise SystemExit(f"{name}: {counted:,} are counted, {expected:,} were accepted")


def ask(database: str, query: str) -> object:
    """The one value that a query answers, over a connection of its own."""

    async def run() -> object:
        connection = await asyncpg.connect(database)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(run())


async def fetch_row(database: str, query: str) -> asyncpg.Record:
    """The one row that a query answers, over a connection of its own."""
    connection = await asyncpg.connect(database)
    try:
        row = await connection.fetchrow(query)
    finally:
        await connection.close()
    assert row is not None
    return row


def execute(database: str, script: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(database)
        try:
            await connection.execute(script)
        finally:
            await connection.close()

    asyncio.run(run())
