"""A recount of popularity from blocks on PostgreSQL, and live traffic beside it.

`python -m bench.rebuild [--quick] [--out FOLDER]`. Server, workers, database and the load generator share one
machine, so compare figures of one run with each other.
"""

import asyncio
import random
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from temporalio.client import Client, WorkflowHandle

from activities.persist import delta_blocks
from activities.popularity import Popularity
from bench.blocks import NOW_US, WEEKS, Fill, intake_rows
from bench.events import requests
from bench.loadgen import load
from bench.machine import describe_machine
from bench.peers.system import views
from bench.stack import data_folder, footfall_up
from bench.table import Table, write_page
from domain.batch import TASK_QUEUE
from domain.event_types import load_event_weights
from domain.rebuild import REBUILD_POPULARITY, WORKFLOW_ID, Purpose, RebuildInput, RebuildResult
from runtime.instance import Instance
from store.blocks.postgres import PostgresBlockStore
from store.popularity import PopularityStore, count_popularity
from store.postgres import create_pool, transaction

HOST = "127.0.0.1"
_ACCOUNTS = 10_000
_SPAN_US = (WEEKS - 2) * 7 * 86_400_000_000
_CHUNK = 20_000


async def fill(url: str, events: int) -> None:
    """Blocks and popularity of so many interactions, as the fan-outs leave them; the ledger has none of them."""
    made, picker, weights = Fill(7), random.Random(7), load_event_weights()
    async with create_pool(url, name="bench", size=4, timeout_s=120) as pool:
        blocks, popularity = PostgresBlockStore(pool), PopularityStore(pool)
        for _ in range(0, events, _CHUNK):
            some = [
                made.one(f"r{picker.randrange(_ACCOUNTS)}", NOW_US - picker.randrange(_SPAN_US))
                for _ in range(_CHUNK)
            ]
            await blocks.write([block for row in intake_rows(some, 2_000) for block in delta_blocks(row)])
            async with transaction(pool) as connection:
                await popularity.add(connection, count_popularity(some, weights))
        await pool.execute("VACUUM ANALYZE")


class Rebuilds:
    def __init__(self, instance: Instance, seconds: float) -> None:
        self._instance = instance
        self._seconds = seconds
        self._port = int(instance.api_url.rsplit(":", 1)[1])

    async def rebuild(self, purpose: Purpose) -> tuple[RebuildResult, float]:
        client = await Client.connect(self._instance.temporal_address)
        handle: WorkflowHandle[Any, RebuildResult] = await client.start_workflow(
            REBUILD_POPULARITY, RebuildInput(purpose), id=WORKFLOW_ID, task_queue=TASK_QUEUE,
            result_type=RebuildResult,
        )  # fmt: skip
        done = await handle.result()
        described = await handle.describe()
        assert described.close_time is not None
        return done, (described.close_time - described.start_time).total_seconds()

    def measure(self, table: Table, events: int, *, first: bool) -> None:
        """Alone, then beside as much traffic as comes through, which is measured without a rebuild too."""
        done, seconds = asyncio.run(self.rebuild("rebuild"))
        if done.recounted.events < events or (first and done.settled.any):
            raise SystemExit(f"{done} of {events} events")
        table.add("recount, nothing beside it: events/s", done.recounted.events / seconds)
        table.add("recount, nothing beside it: s", seconds)
        alone = self._drained(self._seconds)
        table.add("live traffic, no rebuild: counted events/s", alone)
        stop = threading.Event()
        found: list[tuple[RebuildResult, float]] = []
        beside = threading.Thread(target=self._rebuild_until, args=(stop, found))
        beside.start()
        both = self._drained(self._seconds)
        stop.set()
        beside.join()
        table.add("live traffic, a rebuild beside it: counted events/s", both)
        table.add("live traffic beside a rebuild by without", both / alone)
        for result, took in found:
            if result.settled.any:
                raise SystemExit(f"beside live traffic: {result}")
            table.add("recount beside live traffic: events/s", result.recounted.events / took)

    def _rebuild_until(self, stop: threading.Event, found: list[tuple[RebuildResult, float]]) -> None:
        """One after the other, so that there is one all the time."""
        while not stop.is_set():
            found.append(asyncio.run(self.rebuild("compare")))

    def _drained(self, seconds: float) -> float:
        """100 a request over 8 connections, until all is counted; events a second."""
        before = self._counted()
        started = time.perf_counter()
        result = load(HOST, self._port, requests(HOST, 100), connections=8, seconds=seconds)
        if set(result.statuses) - {202} or result.cut:
            raise SystemExit(f"answers other than success: {dict(result.statuses)}, cut: {result.cut}")
        while self._counted() < before + result.answers * 100:
            time.sleep(0.05)
        return result.answers * 100 / (time.perf_counter() - started)

    def _counted(self) -> int:
        return views(self._instance.postgres_url)

    async def noting_costs(self, table: Table) -> None:
        """What the question whether a rebuild is on costs each transaction that applies events."""
        async with create_pool(self._instance.postgres_url, name="bench", size=1, timeout_s=30) as pool:
            store = PopularityStore(pool)
            async with transaction(pool) as connection:
                started = time.perf_counter()
                for _ in range(2_000):
                    await store.is_noting(connection)
                table.add("asking whether a rebuild is on: ms", (time.perf_counter() - started) / 2_000 * 1_000)


def main(
    quick: Annotated[bool, typer.Option(help="Small and short.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for rebuild.md and rebuild.json.")] = None,
    rounds: int = 2,
) -> None:
    events, seconds, rounds = (100_000, 5.0, 1) if quick else (1_000_000, 10.0, rounds)
    table = Table()
    with data_folder() as folder, footfall_up(folder) as (instance, _):
        machine = describe_machine(instance)
        asyncio.run(fill(instance.postgres_url, events))
        rebuilds = Rebuilds(instance, seconds)
        asyncio.run(rebuilds.noting_costs(table))
        for number in range(rounds):
            rebuilds.measure(table, events, first=number == 0)
    if out is not None:
        heading = f"{Popularity.name.capitalize()} of {events:,} interactions of {_ACCOUNTS:,} accounts, in deltas"
        write_page(out, "rebuild", "A rebuild of popularity", machine, {heading: table})


if __name__ == "__main__":
    typer.run(main)
