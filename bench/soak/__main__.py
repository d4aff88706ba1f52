"""An hour at 70 % of what it can: `python -m bench.soak [--minutes 60] [--out FOLDER]`.

Memory, latency and the disk are to be flat, and what holds only work under way is to be as small after it as before.
Server, workers, databases and the load generator share one machine.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from bench.events import requests
from bench.front import Front
from bench.machine import describe_machine
from bench.peers.system import HOST, fetch_row
from bench.soak.page import Interval, Soak, page, write
from bench.soak.watch import INTERVAL_S, Watch, watch
from bench.stack import data_folder, footfall_up
from domain.event_types import COUNTERS, load_event_weights
from runtime.instance import Instance

_SHARE = 0.7
_WARM_S, _MEASURE_S = 5.0, 10.0
_CONNECTIONS = 32
_SETTLE_S = 60.0
"""Some rounds of autovacuum, which looks every 10 s."""

_TOTALS = f"""
SELECT {", ".join(f"sum({counter}_count)::bigint AS {counter}" for counter in COUNTERS)},
       (SELECT count(*) FROM batch_end) AS batches
FROM product_popularity
"""

Counts = dict[str, int]
"""By counter of popularity."""


async def _soak(instance: Instance, data_dir: Path, soak: Soak, front: Front) -> None:
    async with watch(instance, data_dir) as watching:
        await asyncio.sleep(soak.settle_s)
        await watching.take_sample()
        before = await _totals(instance)
        soak.began = time.time()
        lines = await _load(front.port, soak, watching)
        soak.ended = time.time()
        soak.intervals = [Interval(**line) for line in lines[:-1]]
        soak.probes = watching.probes
        expected = _expected(lines[-1], soak)
        front.accepted += expected["view"] + soak.probes
        await asyncio.to_thread(front.wait_counted)
        after = await _totals(instance)
        soak.batches = after.pop("batches") - before.pop("batches")
        _check(before, after, expected | {"view": expected["view"] + soak.probes})
        soak.drained = len(watching.samples)
        await watching.take_sample()
        await asyncio.sleep(soak.settle_s)
        await watching.take_sample()
        soak.samples = watching.samples


async def _load(port: int, soak: Soak, watching: Watch) -> list[dict[str, Any]]:
    """What the generator printed, line by line."""
    command = [str(port), str(soak.rate), str(soak.minutes * 60), str(INTERVAL_S)]
    generator = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "bench.soak.traffic", *command], stdout=asyncio.subprocess.PIPE
    )
    assert generator.stdout is not None
    probing = asyncio.create_task(watching.keep_probing())
    lines = []
    async for line in generator.stdout:
        lines.append(json.loads(line))
        if "p99" in lines[-1]:
            print(f"  {time.time() - soak.began:,.0f} s: {_short(lines[-1], watching)}", flush=True)
    await watching.end_probing(probing)
    if await generator.wait() != 0 or not lines:
        raise SystemExit("the load generator failed")
    return lines


def _short(line: dict[str, float], watching: Watch) -> str:
    sample = watching.samples[-1]
    memory = ", ".join(f"{name} {mb:,.0f}" for name, mb in sample.memory_mb.items())
    answers = f"{line['answers_per_s']:,.0f} answers/s, p50 {line['p50']:.1f} ms, p99 {line['p99']:.1f} ms"
    return f"{answers}; backlog {sample.backlog:,}; MB: {memory}, temporal.db {sample.disk_mb['temporal.db']:,.0f}"


def _expected(done: dict[str, Any], soak: Soak) -> Counts:
    """What the load has to have added, by counter."""
    if set(done["statuses"]) != {"202"} or done["cut"]:
        raise SystemExit(f"answers other than 202: {done['statuses']}, cut: {done['cut']}")
    soak.accepted, soak.again = sum(done["first"].values()), done["again"]
    weights = load_event_weights()
    return {str(weights[event_type].counter): count for event_type, count in done["first"].items()}


async def _totals(instance: Instance) -> Counts:
    """And the batches that were ever released."""
    return dict(await fetch_row(instance.postgres_url, _TOTALS))


def _check(before: Counts, after: Counts, expected: Counts) -> None:
    found = {counter: after[counter] - before[counter] for counter in expected}
    if found != expected:
        raise SystemExit(f"counted {found}, accepted {expected}")


async def _retention_h(instance: Instance) -> float:
    client = await Client.connect(instance.temporal_address)
    described = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
    return described.config.workflow_execution_retention_ttl.ToTimedelta().total_seconds() / 3600


def main(
    minutes: Annotated[float, typer.Option(help="Of the load.")] = 60.0,
    out: Annotated[Path | None, typer.Option(help="Folder for soak.md, soak.json and the plot.")] = None,
) -> None:
    with data_folder() as folder, footfall_up(folder) as (instance, _):
        front = Front(instance)
        most = front.most_per_s(requests(HOST, 1), 1, _CONNECTIONS, _WARM_S, _MEASURE_S)
        soak = Soak(
            machine=describe_machine(instance),
            minutes=minutes,
            most_per_s=most,
            rate=most * _SHARE,
            settle_s=min(_SETTLE_S, minutes * 60 / 4),
            retention_h=asyncio.run(_retention_h(instance)),
        )
        print(f"{most:,.0f} a second drained; {soak.rate:,.0f} a second for {minutes:g} minutes", flush=True)
        asyncio.run(_soak(instance, folder, soak, front))
    print(page(soak))
    if out is not None:
        write(out, soak)


if __name__ == "__main__":
    typer.run(main)
