"""What the axes that look into PostgreSQL have in common."""

import shutil
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import asyncpg

from bench.growth.axis import Axis

Filler: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

WHOLE_PAGES = """\
What is written into the write-ahead log grows with the pages that there are: a page's first change after a
checkpoint logs the whole page of 8 KB. Few pages are soon logged, all of them; of many, each row at random is
on one of its own, and there it ends."""

PATIENCE_S = 600.0
_WARM = 20
_ROOM_LEFT = 6e9
"""Bytes: the write-ahead log takes up to 4 GB of them."""


@dataclass(frozen=True)
class Effort:
    """How long to look at each size."""

    repeats: int
    seconds: float


QUICK, FULL = Effort(10, 1.5), Effort(40, 8.0)


@asynccontextmanager
async def filler(url: str) -> AsyncIterator[Filler]:
    """A connection for statements that take minutes."""
    connection = await asyncpg.connect(url, server_settings={"work_mem": "256MB", "maintenance_work_mem": "512MB"})
    try:
        yield connection
    finally:
        await connection.close()


async def settle(connection: Filler, *tables: str) -> None:
    """As autovacuum would leave them in a while, so that it does not work beside what is measured; and on disk.

    A page's first change after a checkpoint writes the whole page into the write-ahead log: that is measured too.
    """
    for table in tables:
        await connection.execute(f"VACUUM ANALYZE {table}", timeout=PATIENCE_S * 3)
    await connection.execute("CHECKPOINT", timeout=PATIENCE_S)


async def wal_bytes(connection: Filler) -> int:
    """Ever written into the write-ahead log."""
    return int(await connection.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


async def read_ms(repeats: int, read: Callable[[], Awaitable[object]]) -> float:
    """The median of so many reads, after some that prepare the statement and wake the processor."""
    return median((await times_ms(_WARM + repeats, read))[_WARM:])


async def times_ms(repeats: int, work: Callable[[], Awaitable[object]]) -> list[float]:
    """How long it took each time."""
    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        await work()
        found.append((time.perf_counter() - started) * 1000)
    return found


def add_processors(axis: Axis, size: int, before: dict[str, float], after: dict[str, float], events: int) -> None:
    """The processor's time that an event took, part by part."""
    for name, seconds in after.items():
        spent = (seconds - before[name]) / events * 1e6
        axis.add(size, f"processor, {name}, for each event", spent, "µs", "figure")


def median(values: list[float]) -> float:
    return statistics.median(values)


def p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def lacks_room(folder: Path, rows: int, row_bytes: int) -> str:
    """What to say where so many rows do not fit on the disk; empty where they do."""
    free, needed = shutil.disk_usage(folder).free, rows * row_bytes * 1.3 + (_ROOM_LEFT if rows > 1e6 else 0)
    if free > needed:
        return ""
    return f"Not measured at {rows:,}: that needs {needed / 1e9:.0f} GB of disk, {free / 1e9:.0f} GB are free."
