"""`python -m tests.faults --seeds 1-30`: load with faults, and whether everything is counted exactly once."""

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from tests.faults.apply import apply
from tests.faults.check import drained, judge
from tests.faults.clocks import Clocks
from tests.faults.load import Load
from tests.faults.report import Run, options, write_report
from tests.faults.schedule import LOAD_S, MORE_SERVERS, schedule
from tests.faults.system import System

_MOST_TOLD = 20


async def run_seed(system: System, seed: int, more: Collection[str]) -> Run:
    """Load with this seed's faults; then twice everything again."""
    run = Run(seed, schedule(seed, more))
    started = time.monotonic()
    prefix = f"s{seed}-{int(time.time())}-"
    load = Load(system.urls, prefix, seed)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(load.run(LOAD_S))
        for fault in run.faults:
            tasks.create_task(apply(system, load, fault))
    system.revive()
    system.link.heal()
    sent = load.sent
    run.sent, run.acknowledged = len(sent.bodies), len(sent.acknowledged)
    run.answers = ", ".join(f"{count} {answer}" for answer, count in sorted(sent.answers.items()))
    url, settings = system.postgres.url, system.settings
    try:
        await system.ready()
        await drained(url)
        run.verdicts.append(await judge(settings, prefix, sent, sent.acknowledged))
        await load.send_all_again()
        await drained(url)
        run.verdicts.append(await judge(settings, prefix, sent, set(sent.bodies)))
        sums = await load.send_all_again()
        if sums["accepted"]:
            run.stuck = f"{sums['accepted']} of those that were there already were accepted again"
        run.verdicts.append(await judge(settings, prefix, sent, set(sent.bodies)))
    except AssertionError as error:
        run.stuck = str(error)
    run.seconds = time.monotonic() - started
    return run


async def _run_all(seeds: list[int], folder: Path, more: Collection[str]) -> list[Run]:
    system = System(folder, more)
    runs = []
    try:
        await system.start()
        await system.ready()
        for seed in seeds:
            run = await run_seed(system, seed, more)
            runs.append(run)
            _tell(run)
    finally:
        await system.stop()
    return runs


def _tell(run: Run) -> None:
    faults = "; ".join(map(str, run.faults))
    words = "WRONG" if run.wrong else "right"
    counts = f"{run.acknowledged} of {run.sent} acknowledged ({run.answers})"
    print(f"seed {run.seed}: {words}, {run.seconds:.0f} s: {counts}; {faults}", flush=True)
    for one in run.wrong[:_MOST_TOLD]:
        print(f"  {one}", flush=True)
    if len(run.wrong) > _MOST_TOLD:
        print(f"  and {len(run.wrong) - _MOST_TOLD} more", flush=True)


def main(
    seeds: Annotated[str, typer.Option(help="One, or from-to.")] = "1-30",
    cassandra: Annotated[
        bool, typer.Option(help="The blocks in a Cassandra, which has faults too (Java and Maven).")
    ] = False,
    redis: Annotated[bool, typer.Option(help="Signals in a Redis, which has faults too (redis-server).")] = False,
    need_all: Annotated[bool, typer.Option(help="Fail where a fault can't be had on this machine.")] = False,
    out: Annotated[Path | None, typer.Option(help="File for the table, Markdown.")] = None,
) -> None:
    if os.geteuid() != 0:
        print("A full disk can't be had: mounting one takes root.", file=sys.stderr)
        if need_all:
            raise typer.Exit(1)
    if not Clocks.can_be_stepped:
        print("Clocks can't be stepped: libfaketime is not here.", file=sys.stderr)
        if need_all:
            raise typer.Exit(1)
    first, _, last = seeds.partition("-")
    folder = Path(tempfile.mkdtemp(prefix="footfall-faults-"))
    folder.chmod(0o755)
    more = [server for server, asked in zip(MORE_SERVERS, (cassandra, redis), strict=True) if asked]
    runs = asyncio.run(_run_all(list(range(int(first), int(last or first) + 1)), folder, more))
    if out is not None:
        write_report(out, runs, more)
    wrong = [run.seed for run in runs if run.wrong]
    if wrong:
        again = f"python -m tests.faults --seeds {wrong[0]}{options(more)}"
        print(f"wrong: seeds {wrong}; logs in {folder}; once more: {again}")
        raise typer.Exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    typer.run(main)
