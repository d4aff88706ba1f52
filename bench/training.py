"""How long a training takes, step by step, on a planted shop; and what stays on the disk.

`python -m bench.training [--quick] [--out FOLDER]`. Servers, worker and training share one machine.
"""

import asyncio
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from temporalio.client import Client

from bench.machine import describe_machine
from bench.planted_blocks import record_planted
from bench.stack import data_folder, environment, footfall_up
from bench.table import Table, write_page
from domain.batch import TASK_QUEUE
from domain.precompute import PRECOMPUTE_RECOMMENDATIONS, PrecomputeInput
from domain.training import GATE_METRIC
from recommend.planted import plant
from runtime.instance import Instance
from store.blocks.postgres import PostgresBlockStore
from store.catalog import CatalogStore
from store.postgres import create_pool

_SHOP = {"accounts": 10_000, "items": 10_000, "events": 500_000}
_SMALL = {"accounts": 1_000, "items": 1_000, "events": 20_000}
_WEEKS = 12
_TARGET = "≤ 180"
_MADE = "SELECT count(*) FROM precomputed_recommendation"


async def record(url: str, sizes: dict[str, int]) -> None:
    shop = plant(**sizes, weeks=_WEEKS)
    async with create_pool(url, name="bench", size=4, timeout_s=120) as pool:
        await record_planted(shop, PostgresBlockStore(pool), CatalogStore(pool))
        await pool.execute("VACUUM ANALYZE")


def train(folder: Path) -> tuple[dict[str, Any], float]:
    """What `footfall train --json` says, and the seconds that it took."""
    started = time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-m", "runtime.cli", "train", "--json"],
        env=environment({"FOOTFALL_DATA_DIR": str(folder)}),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise SystemExit(f"the training ended with {run.returncode}: {run.stdout}{run.stderr}")
    return json.loads(run.stdout), time.perf_counter() - started


class StepMemory(threading.Thread):
    """Looks at the steps' processes until it is told to end; the most memory that each had for itself, in bytes."""

    def __init__(self, worker: int) -> None:
        super().__init__(daemon=True)
        self._worker = psutil.Process(worker)
        self._end = threading.Event()
        self.most: dict[str, int] = {}

    def run(self) -> None:
        while not self._end.wait(0.2):
            for child in self._worker.children():
                try:
                    words = child.cmdline()
                    if "runtime.training_step" in words:
                        step = words[words.index("runtime.training_step") + 1]
                        self.most[step] = max(self.most.get(step, 0), child.memory_full_info().uss)
                except psutil.NoSuchProcess:
                    continue

    def end(self) -> dict[str, int]:
        self._end.set()
        self.join()
        return self.most


def measure(table: Table, folder: Path, instance: Instance) -> None:
    memory = StepMemory(instance.pids["worker"])
    memory.start()
    said, seconds = train(folder)
    most = memory.end()
    for step in said["done"]:
        table.add(f"{step['step']}: s", step["result"]["seconds"])
    for name, size in most.items():
        table.add(f"{name}: memory, MB", size / 1e6)
    figures = {step["step"]: step["result"]["figures"] for step in said["done"]}
    collect, judge = said["done"][0]["result"], figures["judge"]
    table.add("collect: actions/s", figures["collect"]["actions"] / collect["seconds"])
    table.add("footfall train, from start to a model that answers: s", seconds, _TARGET)
    table.add(
        f"{GATE_METRIC}, of {judge['questions']:.0f} questions after all that was learned from", judge[GATE_METRIC]
    )
    table.add(f"{GATE_METRIC} of popularity", judge[f"popularity_{GATE_METRIC}"])
    run = folder / "models" / said["version"]
    table.add("model: MB", size_of(run / "model"))
    table.add("all files of a training: MB", size_of(run))


async def make_ahead(table: Table, instance: Instance, seconds: float) -> None:
    """As fast as the recommender answers two at a time: the pace of the settings is below that."""
    client = await Client.connect(instance.temporal_address)
    async with create_pool(instance.postgres_url, name="bench", size=1, timeout_s=30) as pool:
        handle = await client.start_workflow(
            PRECOMPUTE_RECOMMENDATIONS,
            PrecomputeInput(weeks_back=_WEEKS, accounts_a_second=100_000),
            id="bench-precompute",
            task_queue=TASK_QUEUE,
        )
        before = 0
        while not before:
            await asyncio.sleep(0.1)
            before = await pool.fetchval(_MADE)
        started = time.perf_counter()
        await asyncio.sleep(seconds)
        table.add(
            "answers made ahead, 100 items each: accounts/s",
            (await pool.fetchval(_MADE) - before) / (time.perf_counter() - started),
        )
        await handle.terminate()


def size_of(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def main(
    quick: Annotated[bool, typer.Option(help="Small and short.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for training.md and training.json.")] = None,
) -> None:
    sizes = _SMALL if quick else _SHOP
    table = Table()
    with data_folder() as folder, footfall_up(folder) as (instance, _):
        machine = describe_machine(instance)
        asyncio.run(record(instance.postgres_url, sizes))
        measure(table, folder, instance)
        asyncio.run(make_ahead(table, instance, 5.0 if quick else 20.0))
    if out is not None:
        shop = ", ".join(f"{count:,} {name}" for name, count in sizes.items())
        write_page(out, "training", "A training", machine, {f"A planted shop of {shop}, in PostgreSQL": table})


if __name__ == "__main__":
    typer.run(main)
