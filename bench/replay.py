"""How quickly parked batches are replayed: `python -m bench.replay [--quick] [--out FOLDER]`.

Batches whose table is gone are parked, the table comes back, and all are replayed: by `footfall fan-outs replay` and,
for comparison, by the update `replay` on each workflow, as a script around Temporal's own client would do it.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from temporalio.client import Client

from bench.machine import describe_machine
from bench.stack import data_folder, footfall_up
from bench.table import Table, write_page
from domain.ids import new_id
from intake.carrier import Carrier
from intake.log import IntakeLog
from runtime.fan_outs_wanted import fan_outs_of
from runtime.instance import Instance
from runtime.settings import Settings
from store.postgres import Pool, create_pool
from tests.factories import new_interaction

_AT_ONCE = 32
_PATIENCE_S = 600.0
_HIDE = "ALTER TABLE product_popularity RENAME TO hidden"
_BRING_BACK = "ALTER TABLE hidden RENAME TO product_popularity"


class Bench:
    def __init__(self, instance: Instance, pool: Pool, client: Client, data_dir: Path) -> None:
        self._instance = instance
        self._pool = pool
        self._client = client
        self._data_dir = data_dir
        self.events = 0

    async def park(self, count: int, events: int) -> list[UUID]:
        """So many batches of so many interactions, parked; the table is back."""
        await self._pool.execute(_HIDE)
        log, carrier = IntakeLog(self._pool), Carrier(self._client, fan_outs_of(Settings()))

        async def start(batch_id: UUID) -> None:
            await log.append(batch_id, [new_interaction(ref_id=f"p{n % 100}") for n in range(events)])
            await carrier.start(batch_id, events)

        batches = [new_id() for _ in range(count)]
        await _each(batches, start)
        await self._until("SELECT count(*) FROM parked", count)
        await self._pool.execute(_BRING_BACK)
        self.events += count * events
        return batches

    async def by_command(self) -> tuple[float, float]:
        """Seconds until everything is applied, as the command says; and until it ends, from its very start."""
        command = [sys.executable, "-m", "runtime.cli", "fan-outs", "replay", "--all", "--json"]
        environment = {**os.environ, "FOOTFALL_DATA_DIR": str(self._data_dir)}
        started = time.perf_counter()
        done = await asyncio.to_thread(
            subprocess.run, command, env=environment, stdout=subprocess.PIPE, check=True, text=True
        )
        seconds = time.perf_counter() - started
        report = json.loads(done.stdout)
        if report["parked_again"]:
            raise SystemExit("some are parked again")
        await self._check()
        return report["seconds"], seconds

    async def by_updates(self, batches: list[UUID]) -> float:
        """Likewise, one workflow after the other, some at a time."""

        async def replay(batch_id: UUID) -> None:
            await self._client.get_workflow_handle(str(batch_id)).execute_update("replay", [])

        started = time.perf_counter()
        await _each(batches, replay)
        await self._until("SELECT count(*) FROM intake_log", 0)
        seconds = time.perf_counter() - started
        await self._check()
        return seconds

    async def _check(self) -> None:
        counted = await self._pool.fetchval("SELECT sum(view_count) FROM product_popularity")
        if counted != self.events:
            raise SystemExit(f"{counted} counted in place of {self.events}")

    async def _until(self, query: str, wanted: int) -> None:
        deadline = time.perf_counter() + _PATIENCE_S
        while (found := await self._pool.fetchval(query)) != wanted:
            if time.perf_counter() > deadline:
                raise SystemExit(f"{query}: {found}, not {wanted}")
            await asyncio.sleep(0.05)


async def _each(batches: list[UUID], do: Callable[[UUID], Awaitable[None]]) -> None:
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def one(batch_id: UUID) -> None:
        async with at_once:
            await do(batch_id)

    await asyncio.gather(*map(one, batches))


async def measure(instance: Instance, data_dir: Path, table: Table, *, quick: bool) -> None:
    client = await Client.connect(instance.temporal_address)
    async with create_pool(instance.postgres_url, name="bench", size=8, timeout_s=60) as pool:
        bench = Bench(instance, pool, client, data_dir)
        for _ in range(1 if quick else 2):
            for count, events in ((200, 5),) if quick else ((1_000, 5), (1_000, 100)):
                name = f"{count:,} batches of {events}"
                await bench.park(count, events)
                applied_s, whole_s = await bench.by_command()
                table.add(f"{name}: fan-outs replay, batches/s until applied", count / applied_s, "≥ 200")
                table.add(f"{name}: the same until the old workflows are ended too", count / whole_s)
            few = 100
            batches = await bench.park(few, 5)
            table.add(f"{few} batches of 5: the update on each, batches/s", few / await bench.by_updates(batches))


def main(
    quick: Annotated[bool, typer.Option(help="One small round.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the page.")] = None,
) -> None:
    table = Table()
    with data_folder() as folder, footfall_up(folder) as (instance, _):
        machine = describe_machine(instance)
        asyncio.run(measure(instance, folder, table, quick=quick))
    print(table.markdown())
    if out is not None:
        write_page(out, "replay", "Replaying parked batches", machine, {"Replay": table})


if __name__ == "__main__":
    typer.run(main)
