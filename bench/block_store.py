"""The block store on one Cassandra: `python -m bench.block_store [--quick] [--durable] [--out FOLDER]`.

Persisting, reading over HTTP, compaction with readers beside it, and how costs grow. Cassandra, PostgreSQL, Temporal,
our processes and the load generator share one machine, so compare figures of one run with each other.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from itertools import count, groupby
from operator import attrgetter
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
import uvloop
from temporalio.client import Client

from activities.persist import delta_blocks
from bench.blocks import NOW_US, WEEKS, Fill, block_store, intake_rows, persist
from bench.loadgen import Result, get, load
from bench.machine import describe_hardware
from bench.peers.cassandra_alone import raw_batches
from bench.stack import data_folder, footfall_up
from bench.table import Table, write_page
from domain.batch import TASK_QUEUE
from domain.compaction import COMPACT_BLOCKS, CompactionInput, CompactionResult
from domain.week import week_of, week_start_us
from runtime.cassandra.jars import VERSION
from runtime.cassandra.server import HOST, CassandraServer
from store.blocks.folding import fold_week
from store.blocks.history import HistoryRange, read_history

_READS_A_SECOND = 100.0
_UNPACED = 10**9
_TARGETS_MS = {("sealed", 50, 1): ("≤ 3", ""), ("sealed", 50, 8): ("≤ 3", ""), ("sealed", 2_000, 8): ("≤ 5", "≤ 10")}
_SIZES = ((1_000, 1), (10_000, 100), (100_000, 1_000), (1_000_000, 10_000), (10_000_000, 100_000))


async def measure_persist(table: Table, server: CassandraServer, events: int) -> None:
    """Accounts at random, so that nearly every interaction is a block of its own."""
    fill, picker = Fill(), random.Random(2)
    week_us = 7 * 86_400_000_000
    made = [fill.one(f"w{picker.randrange(10_000)}", NOW_US - picker.randrange(week_us)) for _ in range(events)]
    async with block_store(server) as (session, store):
        started = time.perf_counter()
        await raw_batches(session, events)
        raw = events / (time.perf_counter() - started)
        halves = intake_rows(made[: events // 2]), intake_rows(made[events // 2 :])
        started = time.perf_counter()
        await asyncio.gather(*(persist(store, rows) for rows in halves))
        ours = events / (time.perf_counter() - started)
    table.add("raw unlogged batches of 100 rows: rows/s", raw)
    table.add("persist: events/s", ours, "≥ 40,000")
    table.add("persist by raw batches", ours / raw)


async def fill_accounts(server: CassandraServer, kind: str, accounts: int, events: int) -> None:
    """`accounts` of so many interactions: as they come one by one ("deltas"), folded just now ("folded"), or as
    folded ones are when the server has done away with what was deleted ("sealed").
    """
    fill = Fill(events)
    async with block_store(server) as (_, store):
        for number in range(accounts):
            rows = intake_rows(fill.account(f"{kind}{events}-{number}", events), 1)
            blocks = sorted((block for row in rows for block in delta_blocks(row)), key=attrgetter("week"))
            if kind != "sealed":
                await store.write(blocks)
            if kind != "deltas":
                folds = [fold_week(list(of_week)) for _, of_week in groupby(blocks, key=attrgetter("week"))]
                if kind == "folded":
                    await store.fold([fold for fold in folds if fold is not None])
                else:
                    await store.write([block for fold in folds if fold is not None for block in fold.added])


class Reads:
    """Histories over HTTP, of accounts at random."""

    def __init__(self, api_url: str, seconds: float) -> None:
        self._port = int(api_url.rsplit(":", 1)[1])
        self._seconds = seconds

    def load(self, kind: str, accounts: int, events: int, connections: int, rate: float | None = None) -> Result:
        picker = random.Random(3)
        requests = [
            get(HOST, f"/interactions/{kind}{events}-{picker.randrange(accounts)}?limit={events}") for _ in range(997)
        ]
        place = 0

        def next_request() -> bytes:
            nonlocal place
            place = (place + 1) % len(requests)
            return requests[place]

        result = load(HOST, self._port, next_request, connections=connections, seconds=self._seconds, rate=rate)
        if set(result.statuses) != {200} or result.cut:
            raise SystemExit(f"answers other than 200: {dict(result.statuses)}, cut: {result.cut}")
        return result

    def measure(self, table: Table, kind: str, accounts: int, events: int) -> None:
        self.load(kind, accounts, events, 8)  # the first of a kind is slower: not counted
        for connections in (1, 8, 32):
            result = self.load(kind, accounts, events, connections)
            name = f"{events} events, {kind}, {connections} connections"
            table.add(f"{name}: answers/s", result.answers / result.seconds)
            p50, p99 = _TARGETS_MS.get((kind, events, connections), ("", ""))
            table.add(f"{name}: p50 ms", result.percentile_ms(50), p50)
            table.add(f"{name}: p99 ms", result.percentile_ms(99), p99)
        half = table.values[f"{events} events, {kind}, 32 connections: answers/s"][-1] / 2
        result = self.load(kind, accounts, events, 8, half)
        name = f"{events} events, {kind}, 8 connections at {half:,.0f}/s, half of the most"
        table.add(f"{name}: p50 ms", result.percentile_ms(50))
        table.add(f"{name}: p99 ms", result.percentile_ms(99))


class Compactions:
    """CompactBlocks in the worker of a running Footfall, with readers of other accounts beside it."""

    def __init__(self, server: CassandraServer, temporal_address: str, reads: Reads) -> None:
        self._server = server
        self._address = temporal_address
        self._reads = reads
        self._names = count()

    def measure_rest(self, table: Table) -> None:
        """What the measurements before left to fold: hardly anything a week."""
        handle_id = asyncio.run(self._start(_UNPACED))
        done, seconds = asyncio.run(self._wait(handle_id))
        few = f"compaction as fast as it can, {done.events / done.weeks_folded:.0f} interactions a folded week"
        table.add(f"{few}: events/s", done.events / seconds)
        table.add(f"{few}: weeks of an account/s", done.weeks_folded / seconds)

    def measure(self, table: Table, accounts: int, pace: int) -> None:
        """Eight weeks of so many accounts, each with ten deltas of five interactions a week."""
        asyncio.run(self._fill(accounts))
        idle = self._reads.load("sealed", 100, 50, 4, _READS_A_SECOND)
        handle_id = asyncio.run(self._start(pace))
        during = self._reads.load("sealed", 100, 50, 4, _READS_A_SECOND)
        done, seconds = asyncio.run(self._wait(handle_id))
        words = "as fast as it can" if pace == _UNPACED else f"at a pace of {pace:,}/s"
        table.add(f"compaction {words}: events/s", done.events / seconds, "≥ 50,000" if pace == _UNPACED else "")
        table.add(f"compaction {words}: interactions a folded week", done.events / done.weeks_folded)
        table.add(f"compaction {words}: bytes after by before", done.bytes_after / done.bytes_before)
        table.add(f"reads of 50 at {_READS_A_SECOND:.0f}/s, idle: p50 ms", idle.percentile_ms(50))
        table.add(f"reads of 50 at {_READS_A_SECOND:.0f}/s, idle: p99 ms", idle.percentile_ms(99))
        for percent in (50, 99):
            table.add(f"compaction {words}: reads of 50 meanwhile: p{percent} ms", during.percentile_ms(percent))
            ratio = during.percentile_ms(percent) / idle.percentile_ms(percent)
            table.add(f"compaction {words}: reads meanwhile by idle, p{percent}", ratio, "≤ 2")

    async def _fill(self, accounts: int) -> None:
        name = next(self._names)
        fill, week = Fill(name), week_of(NOW_US)
        async with block_store(self._server) as (_, store):
            for number in range(accounts):
                starts = [week_start_us(week - ago) for ago in range(1, 9)]
                minutes = [start + minute * 60_000_000 for start in starts for minute in range(50)]
                rows = intake_rows([fill.one(f"c{name}-{number}", minute) for minute in minutes], 5)
                await persist(store, rows)

    async def _start(self, pace: int) -> str:
        client = await Client.connect(self._address)
        handle = await client.start_workflow(
            COMPACT_BLOCKS, CompactionInput(24, pace), id=f"bench-{uuid4()}", task_queue=TASK_QUEUE
        )
        return handle.id

    async def _wait(self, workflow_id: str) -> tuple[CompactionResult, float]:
        client = await Client.connect(self._address)
        handle = client.get_workflow_handle(workflow_id, result_type=CompactionResult)
        done = await handle.result()
        described = await handle.describe()
        assert described.close_time is not None
        return done, (described.close_time - described.start_time).total_seconds()


async def measure_growth(table: Table, server: CassandraServer, sizes: Sequence[tuple[int, int]]) -> None:
    """From a thousand to millions of interactions: what writing and reading cost as the tables fill."""
    fill, picker = Fill(5), random.Random(5)
    span = (WEEKS - 1) * 7 * 86_400_000_000
    total = 0
    async with block_store(server) as (_, store):
        for events, accounts in sizes:
            name = f"{events:,} events, {accounts:,} accounts"
            started, before_it = time.perf_counter(), total
            while total < events:
                some = min(20_000, events - total)
                made = [
                    fill.one(f"g{picker.randrange(accounts)}", NOW_US - picker.randrange(span)) for _ in range(some)
                ]
                await persist(store, intake_rows(made))
                total += some
            table.add(f"{name}: made and persisted, events/s", (total - before_it) / (time.perf_counter() - started))
            times = []
            for _ in range(300):
                account = f"g{picker.randrange(accounts)}"
                before = time.perf_counter()
                await read_history(store, account, HistoryRange(NOW_US - span, NOW_US + 1), 500)
                times.append((time.perf_counter() - before) * 1000)
            times.sort()
            table.add(f"{name}: history of at most 500, p50 ms", times[150])
            table.add(f"{name}: history of at most 500, p99 ms", times[297])


def main(
    quick: Annotated[bool, typer.Option(help="Small and short.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for block_store.md and .json.")] = None,
    durable: Annotated[
        bool, typer.Option(help="Cassandra syncs before it acknowledges, as one node has to.")
    ] = False,
    most_events: Annotated[int, typer.Option(help="Where growth ends.")] = 10_000_000,
) -> None:
    seconds, accounts = (3.0, 50) if quick else (10.0, 200)
    tables = {name: Table() for name in ("Persist", "Reads over HTTP", "Compaction", "Growth")}
    with tempfile.TemporaryDirectory(prefix="footfall-bench-") as folder, data_folder() as data:
        server = CassandraServer(Path(folder) / "cassandra", Path(folder), heap_mb=2_048, durable=durable)
        server.start()
        try:
            with footfall_up(data, server.environment) as (instance, _):
                reads = Reads(instance.api_url, seconds)
                for kind in ("sealed", "folded", "deltas"):
                    for events in (50, 500, 2_000):
                        uvloop.run(fill_accounts(server, kind, accounts, events))
                        reads.measure(tables["Reads over HTTP"], kind, accounts, events)
                for _ in range(1 if quick else 3):
                    uvloop.run(measure_persist(tables["Persist"], server, 50_000 if quick else 200_000))
                compactions = Compactions(server, instance.temporal_address, reads)
                compactions.measure_rest(tables["Compaction"])
                for pace, accounts in ((_UNPACED, 200 if quick else 2_400), (20_000, 300), (10_000, 200)):
                    for _ in range(1 if quick else 3):
                        compactions.measure(tables["Compaction"], accounts, pace)
            grow = [size for size in _SIZES if size[0] <= (100_000 if quick else most_events)]
            uvloop.run(measure_growth(tables["Growth"], server, grow))
        finally:
            server.stop()
    if out is not None:
        machine = describe_hardware(f"Cassandra {VERSION} with a heap of 2 GiB")
        write_page(out, "block_store", "The block store on Cassandra", machine, tables)


if __name__ == "__main__":
    typer.run(main)
