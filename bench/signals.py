"""What it costs to keep accounts' signals, and to read them, in several ways side by side.

`python -m bench.signals [--quick] [--out FOLDER]`. Writes are what the fan-out does with decoded interactions, but
for its mark: CPU of this process and of the server, the server's log, and bytes on disk at the end. First those of a
live shop, in whose batches hardly an account is twice, then an import's. Reads are one at a time, of 200 actions.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Protocol

import typer

from activities.persist import delta_blocks
from bench.blocks import NOW_US, intake_rows
from bench.machine import describe_hardware
from bench.processes import family_cpu_seconds
from bench.signal_layouts import RowAnAccount, RowAnAction
from bench.stack import data_folder
from bench.table import Table, write_page
from domain.actions import Action, actions_of
from domain.interaction import Interaction
from domain.week import week_of
from migrations.runner import migrate_postgres
from runtime.postgres_server import EmbeddedPostgres
from store.blocks.folding import fold_week
from store.blocks.history import HistoryRange, read_history
from store.blocks.postgres import PostgresBlockStore
from store.postgres import Connection, Pool, create_pool, transaction
from store.redis import open_redis
from store.signals import RECENT
from store.signals_postgres import PostgresSignalStore
from store.signals_redis import RedisSignalStore
from tests.redis_server import RedisServer, why_not

_SPAN_US = 27 * 86_400_000_000
_PRODUCTS = 10_000
_TABLES = ("recent_signal", "lasting_signal", RowAnAction.table, RowAnAccount.table)
_SIZE = """
SELECT coalesce(sum(pg_total_relation_size(relid)), pg_total_relation_size($1::text::regclass))::bigint
FROM pg_partition_tree($1::text::regclass)
"""
_LIVE, _IMPORT = "live", "import"


class Layout(Protocol):
    async def add(self, connection: Connection, actions: Sequence[Action]) -> None: ...

    async def recent(self, account_id: str, limit: int = RECENT.most) -> list[Action]: ...


def traffic(events: int, accounts: int, seed: int = 1) -> Iterator[Interaction]:
    """Over 27 days, in the order of time; all with a session, a tenth with metadata, a thirtieth purchases."""
    picker = random.Random(seed)
    for number in range(events):
        yield Interaction(
            picker.randbytes(16),
            f"account-{picker.randrange(accounts)}",
            "purchase" if picker.random() < 1 / 30 else "view",
            "Product",
            f"p{picker.randrange(_PRODUCTS)}",
            NOW_US - _SPAN_US + number * (_SPAN_US // events),
            session_id=f"s-{picker.getrandbits(40):010x}",
            metadata='{"recommendation_id":"r-5d41402abc","position":7}' if picker.random() < 1 / 10 else None,
        )


class Bench:
    """The load that each layout gets: `accounts` with 200 events each."""

    def __init__(self, table: Table, pool: Pool, accounts: int, reads: int) -> None:
        self._table = table
        self._pool = pool
        self._accounts = accounts
        self._reads = reads
        self.events = list(traffic(200 * accounts, accounts))

    async def measure(self, name: str, layout: Layout, pid: int) -> None:
        half = len(self.events) // 2
        await self._write(f"{name}, {_LIVE}", layout, pid, self.events[:half], self._accounts // 5)
        await self._write(f"{name}, {_IMPORT}", layout, pid, self.events[half:], self._accounts * 5)
        await self.read(name, layout.recent)

    async def _write(self, name: str, layout: Layout, pid: int, events: list[Interaction], a_batch: int) -> None:
        own = 0.0
        theirs, wal = family_cpu_seconds(pid), await self._wal()
        for at in range(0, len(events), a_batch):
            started = time.process_time()
            async with transaction(self._pool) as connection:
                await layout.add(connection, actions_of(events[at : at + a_batch]))
            own += time.process_time() - started
        self._table.add(f"{name}: CPU of the worker, µs an event", own / len(events) * 1e6)
        theirs = family_cpu_seconds(pid) - theirs
        self._table.add(f"{name}: CPU of the server, µs an event", theirs / len(events) * 1e6)
        self._table.add(f"{name}: WAL bytes an event", (await self._wal() - wal) / len(events))

    async def read(self, name: str, recent: Callable[[str], Awaitable[Sequence[object]]]) -> None:
        picker, took, found = random.Random(2), [], 0
        for _ in range(self._reads):
            account_id = f"account-{picker.randrange(self._accounts)}"
            started = time.perf_counter()
            found += len(await recent(account_id))
            took.append(time.perf_counter() - started)
        took.sort()
        self._table.add(f"{name}: actions a read", found / self._reads)
        self._table.add(f"{name}: read p50, ms", took[len(took) // 2] * 1e3)
        self._table.add(f"{name}: read p99, ms", took[len(took) * 99 // 100] * 1e3)

    async def _wal(self) -> int:
        return int(await self._pool.fetchval("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"))


async def _from_blocks(table: Table, pool: Pool, bench: Bench) -> None:
    """Reads without signals: of delta blocks, and of folded ones."""
    blocks = PostgresBlockStore(pool)
    await blocks.maintain(week_of(NOW_US))
    for row in intake_rows(bench.events, 500):
        await blocks.write(list(delta_blocks(row)))

    async def recent(account_id: str) -> list[Interaction]:
        wanted = HistoryRange(RECENT.since_us(NOW_US), NOW_US + 1)
        return await read_history(blocks, account_id, wanted, RECENT.most)

    await bench.read("from deltas, no signals", recent)
    weeks = range(week_of(NOW_US - _SPAN_US), week_of(NOW_US) + 1)
    async for page in blocks.accounts(blocks.ranges()[0], weeks[0], weeks[-1]):
        folded = [fold_week(await blocks.read_exact(one, week, week)) for one in page for week in weeks]
        await blocks.fold([one for one in folded if one is not None])
    await bench.read("from sealed blocks, no signals", recent)
    size = await pool.fetchval(_SIZE, "interaction_block")
    table.add("blocks, deltas and what they were folded into: bytes an event on disk", size / len(bench.events))


async def _measure(
    table: Table, server: EmbeddedPostgres, redis: RedisServer | None, accounts: int, reads: int
) -> None:
    await migrate_postgres(server.url)
    async with _postgres(server.url) as pool:
        assert server.process is not None
        bench = Bench(table, pool, accounts, reads)
        ours, action, account = PostgresSignalStore(pool), RowAnAction(pool), RowAnAccount(pool)
        await ours.maintain()
        await action.make()
        await account.make()
        layouts: dict[str, Layout] = {"ours": ours, "a row an action": action, "a row an account": account}
        for name, layout in layouts.items():
            await bench.measure(name, layout, server.process.pid)
        for one in _TABLES:
            size = await pool.fetchval(_SIZE, one)
            table.add(f"{one}: bytes an event on disk", size / len(bench.events))
        await _from_blocks(table, pool, bench)
        if redis is not None and redis.process is not None:
            async with open_redis(redis.url, name="bench", timeout_s=30) as client:
                await bench.measure("Redis", RedisSignalStore(client), redis.process.pid)
                used = (await client.info("memory"))["used_memory"]
                table.add("Redis: bytes an event in memory", used / len(bench.events))


@asynccontextmanager
async def _postgres(url: str) -> AsyncIterator[Pool]:
    async with create_pool(url, name="bench", size=1, timeout_s=300) as pool:
        yield pool


def main(
    quick: Annotated[bool, typer.Option(help="One round, a tenth of the accounts.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for signals.md and signals.json.")] = None,
    rounds: int = 3,
    accounts: int = 2_000,
) -> None:
    if quick:
        rounds, accounts = 1, accounts // 10
    table = Table()
    for _ in range(rounds):
        with data_folder() as folder:
            server = EmbeddedPostgres(folder / "postgres", folder / "logs")
            server.start()
            redis = None
            if lacking := why_not():
                print(lacking)
            else:
                redis = RedisServer(folder / "redis", ("--appendfsync", "everysec"))
                redis.start()
            try:
                asyncio.run(_measure(table, server, redis, accounts, 200 if quick else 2_000))
            finally:
                if redis is not None:
                    redis.stop()
                server.stop()
    if out is not None:
        machine = describe_hardware(f"{accounts:,} accounts with 200 events each, {rounds} rounds")
        write_page(out, "signals", "What signals cost", machine, {"Signals": table})


if __name__ == "__main__":
    typer.run(main)
