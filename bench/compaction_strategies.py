"""Which tables and compaction strategy suit blocks: `python -m bench.compaction_strategies [--out FOLDER]`.

The life of the blocks over 32 weeks at a pace of some seconds a week, in one table and in three (of eight week slots
each, a slot being a week's number mod 24). Each week accounts get deltas, some of them for weeks before; the week
after, all of them are folded (a sealed block in, the deltas out). Timestamps are those of the weeks, TTL and
gc_grace_seconds are shortened to the same pace, and memtables are flushed twice a week.
"""

import asyncio
import random
import tempfile
import time
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import typer
import uvloop
from cassandra.query import BatchStatement, BatchType, PreparedStatement

from bench.machine import describe_hardware
from bench.table import Table, write_page
from runtime.cassandra.jars import VERSION
from runtime.cassandra.server import HOST, LOCAL_DC, PASSWORD, USERNAME, CassandraServer
from store.cql import CqlCluster, CqlSession, open_session

STRATEGIES = {
    "STCS": "{'class': 'SizeTieredCompactionStrategy'}",
    "TWCS": "{'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'DAYS',"
    " 'compaction_window_size': 7}",
    "LCS": "{'class': 'LeveledCompactionStrategy'}",
    "UCS": "{'class': 'UnifiedCompactionStrategy'}",
}
_LAYOUTS = {"one table": 1, "three tables": 3}
_WEEK_S = 3.0
_WEEKS, _KEPT = 32, 24
_ACCOUNTS, _DELTAS = 1_500, 6
_LATE_SHARE = 0.1
_WEEK_US = 7 * 86_400_000_000
_FIRST_US = 1_700_000_000_000_000
_CREATE = """
CREATE TABLE {{keyspace}}.{table} (
    account_id text, week int, block_id uuid, sealed int, event_count int, data blob,
    PRIMARY KEY (account_id, week, block_id)
) WITH CLUSTERING ORDER BY (week DESC, block_id ASC) AND compression = {{'enabled': 'false'}}
  AND compaction = {strategy} AND gc_grace_seconds = {gc_grace_s} AND memtable_flush_period_in_ms = {flush_ms}
"""


class Life:
    """The blocks' weeks in one keyspace."""

    def __init__(self, session: CqlSession, tables: int) -> None:
        self._session = session
        self._tables = tables
        self._random = random.Random(4)
        self._inserts: list[PreparedStatement] = []
        self._deletes: list[PreparedStatement] = []
        self._reads: list[PreparedStatement] = []
        self._surveys: list[PreparedStatement] = []
        self._deltas: dict[tuple[str, int], list[UUID]] = {}

    async def prepare(self, strategy: str) -> None:
        await self._session.execute(
            "CREATE KEYSPACE {keyspace} WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
            profile="write",
        )
        for table in (f"blocks_{number}" for number in range(self._tables)):
            made = _CREATE.format(
                table=table, strategy=strategy, gc_grace_s=int(_WEEK_S), flush_ms=int(_WEEK_S * 500)
            )
            await self._session.execute(made.replace("{{", "{").replace("}}", "}"), profile="write")
            self._inserts.append(await self._session.prepare(
                f"INSERT INTO {{keyspace}}.{table} (account_id, week, block_id, sealed, event_count, data) "
                "VALUES (?, ?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?"
            ))  # fmt: skip
            self._deletes.append(await self._session.prepare(
                f"DELETE FROM {{keyspace}}.{table} USING TIMESTAMP ? "
                "WHERE account_id = ? AND week = ? AND block_id IN ?"
            ))  # fmt: skip
            self._reads.append(await self._session.prepare(
                f"SELECT week, block_id, event_count, data, sealed FROM {{keyspace}}.{table} "
                "WHERE account_id = ? AND week >= ? AND week <= ?"
            ))  # fmt: skip
            self._surveys.append(await self._session.prepare(
                f"SELECT account_id, week, count(*), sum(sealed), sum(event_count) FROM {{keyspace}}.{table} "
                "WHERE week >= ? AND week <= ? GROUP BY account_id, week ALLOW FILTERING"
            ))  # fmt: skip

    async def live(self) -> None:
        for week in range(_WEEKS):
            started = time.monotonic()
            await self._write_deltas(week)
            await self._fold(week - 1)
            await asyncio.sleep(max(0.0, _WEEK_S - (time.monotonic() - started)))

    async def read_times_ms(self, count: int) -> list[float]:
        """All 24 weeks of accounts at random, one after the other."""
        times = []
        for _ in range(count):
            started = time.perf_counter()
            await self._read()
            times.append((time.perf_counter() - started) * 1000)
        return sorted(times)

    async def reads_a_second(self, count: int) -> float:
        """The same, 32 at a time."""

        async def some() -> None:
            for _ in range(count // 32):
                await self._read()

        started = time.perf_counter()
        await asyncio.gather(*(some() for _ in range(32)))
        return count / (time.perf_counter() - started)

    async def survey_ms(self, last_weeks: int) -> float:
        """What compaction asks to find what is due, in the tables that these weeks are in."""
        weeks = range(_WEEKS - last_weeks, _WEEKS)
        started = time.perf_counter()
        for table in {self._table(week) for week in weeks}:
            async for _ in self._session.pages(self._surveys[table], (weeks[0], weeks[-1]), rows_a_page=2_000):
                pass
        return (time.perf_counter() - started) * 1000

    async def _read(self) -> None:
        values = (f"a{self._random.randrange(_ACCOUNTS)}", _WEEKS - _KEPT, _WEEKS)
        await asyncio.gather(*(self._session.execute(one, values, profile="read") for one in self._reads))

    async def _write_deltas(self, now: int) -> None:
        for number in range(_ACCOUNTS):
            account, batch = f"a{number}", BatchStatement(BatchType.UNLOGGED)
            for _ in range(_DELTAS):
                late = self._random.random() < _LATE_SHARE
                week = max(0, now - self._random.randrange(1, 8)) if late else now
                block_id = uuid4()
                self._deltas.setdefault((account, week), []).append(block_id)
                batch.add(self._inserts[self._table(week)], self._row(account, week, block_id, now, 0, 100))
            await self._session.execute(batch, profile="write")

    async def _fold(self, up_to: int) -> None:
        due = [key for key in self._deltas if key[1] <= up_to]
        for account, week in due:
            batch = BatchStatement(BatchType.UNLOGGED)
            table = self._table(week)
            batch.add(self._inserts[table], self._row(account, week, uuid4(), up_to + 1, 1, 300))
            batch.add(self._deletes[table], (_at(up_to + 1), account, week, self._deltas.pop((account, week))))
            await self._session.execute(batch, profile="write")

    def _row(self, account: str, week: int, block_id: UUID, now: int, sealed: int, size: int) -> tuple[object, ...]:
        ttl_s = max(1, int((week + _KEPT + 2 - now) * _WEEK_S))
        return account, week, block_id, sealed, 1, self._random.randbytes(size), ttl_s, _at(now)

    def _table(self, week: int) -> int:
        return week % _KEPT * self._tables // _KEPT


def _at(week: int) -> int:
    """A write's timestamp in the middle of a week."""
    return _FIRST_US + week * _WEEK_US + _WEEK_US // 2


async def measure(table: Table, server: CassandraServer, folder: Path, layout: str, strategy: str) -> None:
    tables = _LAYOUTS[layout]
    keyspace = f"life_{tables}_{strategy.lower()}"
    cluster = CqlCluster([HOST], server.port, keyspace, 1, LOCAL_DC, USERNAME, PASSWORD, timeout_s=30)
    name = f"{layout}, {strategy}"
    async with open_session(cluster) as session:
        life = Life(session, tables)
        await life.prepare(STRATEGIES[strategy])
        await life.live()
        await asyncio.sleep(2 * _WEEK_S)
        files = list((folder / "data" / keyspace).glob("blocks_*/*-Data.db"))
        await life.reads_a_second(3_200)
        times = await life.read_times_ms(1_500)
        table.add(f"{name}: SSTables", len(files))
        table.add(f"{name}: MB", sum(file.stat().st_size for file in files) / 1e6)
        table.add(f"{name}: all 24 weeks of an account, p50 ms", times[len(times) // 2])
        table.add(f"{name}: all 24 weeks of an account, p99 ms", times[int(len(times) * 0.99)])
        for _ in range(3):
            table.add(f"{name}: the same, 32 at a time, reads/s", await life.reads_a_second(6_400))
            table.add(f"{name}: survey of the last 2 weeks, ms", await life.survey_ms(2))
            table.add(f"{name}: survey of 24 weeks, ms", await life.survey_ms(24))


def main(
    out: Annotated[Path | None, typer.Option(help="Folder for compaction_strategies.md and .json.")] = None,
) -> None:
    table = Table()
    with tempfile.TemporaryDirectory(prefix="footfall-bench-") as name:
        folder = Path(name)
        server = CassandraServer(folder, folder, durable=False)
        server.start()
        try:
            for strategy in STRATEGIES:
                for layout in _LAYOUTS:
                    uvloop.run(measure(table, server, folder, layout, strategy))
        finally:
            server.stop()
    if out is not None:
        machine = describe_hardware(f"Cassandra {VERSION} with a heap of 1 GiB")
        title = "Tables and compaction strategies under the blocks' life"
        write_page(out, "compaction_strategies", title, machine, {"After 32 weeks": table})


if __name__ == "__main__":
    typer.run(main)
