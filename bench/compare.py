"""Footfall beside other ways to the same counts, in one run: `python -m bench.compare [--quick] [--out FOLDER]`.

Round after round each system is started, warmed, loaded and stopped, so that none works while another is measured and
what the machine does at a time hits all of them. Figures are medians with their spread; ratios are of medians of the
same run. Every interaction that was answered with success has to be in the system's counts in the end, once: else
there are no figures.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from bench import plots
from bench.events import bundles, requests
from bench.loadgen import Result, load
from bench.machine import describe_hardware
from bench.peers.footfall import footfall, footfall_cassandra
from bench.peers.postgres import peer_postgres
from bench.peers.postgres_alone import events_a_second
from bench.peers.restate_peer import VERSION as RESTATE_VERSION
from bench.peers.restate_peer import restate
from bench.peers.system import HOST, Running
from bench.peers.temporal_peer import temporal_a_request
from bench.stack import data_folder, fastapi_alone
from intake.ledger import LedgerPartitions
from migrations.runner import migrate_postgres
from store.postgres import create_pool

_DRAIN_PATIENCE_S = 900.0
_WARM_S = 2.0
_RESTATE = "Restate"

SYSTEMS = {
    "footfall": footfall,
    "footfall_cassandra": footfall_cassandra,
    "restate": restate,
    "temporal": temporal_a_request,
}


@dataclass(frozen=True)
class Load:
    events: int
    """A request."""
    connections: int

    @property
    def name(self) -> str:
        connections = "1 connection" if self.connections == 1 else f"{self.connections} connections"
        return f"{self.events} a request, {connections}"


LOADS = (Load(1, 1), Load(1, 32), Load(100, 32))


@dataclass
class Figures:
    """Of one system under one load; one value a round."""

    accepted_per_s: list[float] = field(default_factory=list)
    drained_per_s: list[float] = field(default_factory=list)
    accept_p50_ms: list[float] = field(default_factory=list)
    accept_p99_ms: list[float] = field(default_factory=list)


Table = dict[Load, dict[str, Figures]]
Limits = dict[str, list[float]]
Systems = Mapping[str, Callable[[Path], AbstractContextManager[Running]]]


def measure(system: Running, one: Load, seconds: float, figures: Figures) -> None:
    before, started = system.counted(), time.perf_counter()
    result = _loaded(system, one, seconds)
    sent = result.answers * one.events
    _wait_for(system, before + sent)
    figures.accepted_per_s.append(sent / result.seconds)
    figures.drained_per_s.append(sent / (time.perf_counter() - started))
    figures.accept_p50_ms.append(result.percentile_ms(50))
    figures.accept_p99_ms.append(result.percentile_ms(99))
    rates = f"{figures.accepted_per_s[-1]:,.0f} accepted/s, {figures.drained_per_s[-1]:,.0f} drained/s"
    print(f"  {system.name}, {one.name}: {rates}, p50 {figures.accept_p50_ms[-1]:.2f} ms", flush=True)


def _loaded(system: Running, one: Load, seconds: float) -> Result:
    request = system.requests(bundles(one.events))
    result = load(HOST, system.port, request, connections=one.connections, seconds=seconds)
    bad = {status: count for status, count in result.statuses.items() if status not in {200, 202}}
    if bad or result.cut:
        raise SystemExit(f"{system.name}: answers other than success: {bad}, cut: {result.cut}")
    return result


def _wait_for(system: Running, expected: int) -> None:
    """Returns when all is counted; more than that is a fault as well."""
    deadline = time.perf_counter() + _DRAIN_PATIENCE_S
    while (counted := system.counted()) < expected:
        if time.perf_counter() > deadline:
            raise SystemExit(f"{system.name}: {counted} of {expected} are counted, and no more come")
        time.sleep(0.05)
    if counted > expected:
        raise SystemExit(f"{system.name}: {counted} are counted, {expected} were accepted")


def _round(folder: Path, chosen: Systems, seconds: float, table: Table) -> None:
    for name, started in chosen.items():
        with started(folder / name) as system:
            before = system.counted()
            _wait_for(system, before + _loaded(system, Load(1, 4), _WARM_S).answers)
            for one in LOADS:
                measure(system, one, seconds, table[one].setdefault(system.name, Figures()))


def _limits(folder: Path, seconds: float, limits: Limits) -> None:
    """What the parts can do at their most, on the same machine in the same round."""

    def note(name: str, rate: float) -> None:
        limits.setdefault(name, []).append(rate)
        print(f"  {name}: {rate:,.0f}/s", flush=True)

    with peer_postgres(folder) as database:
        asyncio.run(_footfall_tables(database))
        for events in (1, 100, 1_000):
            rate = events_a_second(database, events, seconds)
            note(f"PostgreSQL alone, ids and counts, {events:,} a statement, 8 connections", rate)
    with fastapi_alone() as port:
        for one in LOADS:
            request = requests(HOST, one.events)
            result = load(HOST, port, request, connections=one.connections, seconds=seconds)
            note(
                f"FastAPI alone, validates and answers 202, {one.name}", result.answers * one.events / result.seconds
            )


async def _footfall_tables(database: str) -> None:
    await migrate_postgres(database)
    async with create_pool(database, name="bench", size=1, timeout_s=30) as pool:
        await LedgerPartitions(pool, 1).make()


def page(table: Table, limits: Limits) -> str:
    """Markdown: a table a load, the systems beneath each other, with what they drain by what Restate does."""
    parts = []
    for one, systems in table.items():
        lines = [
            f"## {one.name}\n",
            "| system | accepted/s | drained/s | min - max | by Restate | accept p50 ms | p99 ms |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        base = statistics.median(systems[_RESTATE].drained_per_s) if _RESTATE in systems else None
        for name, found in systems.items():
            drained = statistics.median(found.drained_per_s)
            times = f"{drained / base:.1f}" if base else ""
            spread = f"{min(found.drained_per_s):,.0f} - {max(found.drained_per_s):,.0f}"
            accepted, p50, p99 = (
                statistics.median(values)
                for values in (found.accepted_per_s, found.accept_p50_ms, found.accept_p99_ms)
            )
            lines.append(
                f"| {name} | {accepted:,.0f} | {drained:,.0f} | {spread} | {times} | {p50:.2f} | {p99:.1f} |"
            )
        parts.append("\n".join(lines))
    lines = ["## The limits of the parts\n", "| part | interactions/s | min - max |", "| --- | --- | --- |"]
    for name, rates in limits.items():
        lines.append(f"| {name} | {statistics.median(rates):,.0f} | {min(rates):,.0f} - {max(rates):,.0f} |")
    return "\n\n".join([*parts, "\n".join(lines)]) + "\n"


def write(out: Path, machine: str, table: Table, limits: Limits) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "compare.md").write_text(
        f"# Beside others\n\n`python -m bench.compare`\n\n{machine}\n\n{page(table, limits)}"
    )
    figures = {one.name: {name: asdict(found) for name, found in systems.items()} for one, systems in table.items()}
    (out / "compare.json").write_text(
        json.dumps({"machine": machine, "figures": figures, "limits": limits}, indent=1) + "\n"
    )
    for one, systems in table.items():
        drained = {name: found.drained_per_s for name, found in systems.items()}
        place = out / f"compare-{one.events}-{one.connections}"
        plots.bars(place, f"Counted in popularity: {one.name}", "interactions a second", drained, logarithmic=True)


def main(
    quick: Annotated[bool, typer.Option(help="One short round.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the page, the plots and the figures.")] = None,
    systems: Annotated[str, typer.Option(help="Which, with commas between.")] = ",".join(SYSTEMS),
    rounds: int = 5,
    seconds: float = 15.0,
) -> None:
    if quick:
        rounds, seconds = 1, 3.0
    chosen = {name: SYSTEMS[name] for name in systems.split(",")}
    table: Table = {one: {} for one in LOADS}
    limits: Limits = {}
    with data_folder() as folder:
        for number in range(rounds):
            print(f"round {number + 1}", flush=True)
            _round(folder, chosen, seconds, table)
            _limits(folder / "limits", seconds / 3, limits)
    print(page(table, limits))
    if out is not None:
        write(out, describe_hardware(f"Restate {RESTATE_VERSION}"), table, limits)


if __name__ == "__main__":
    typer.run(main)
