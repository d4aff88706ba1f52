"""What an event and a batch cost, and what 10⁴, 10⁵ and 10⁶ events a second need by that.

`python -m bench.costs [--quick] [--out FOLDER]`. A steady load, far below the most that the machine does: CPU of each
process, WAL and batches are counted from its first request until everything is in every read model, without what the
processes use at rest. Where there are Java and Maven, also with blocks in Cassandra, which the sizing is for.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from temporalio.client import Client

from bench import sizing
from bench.events import safe_requests
from bench.loadgen import load
from bench.machine import describe_machine
from bench.meter import CASSANDRA, PARTS, Meter, Reading
from bench.peers.system import HOST
from bench.stack import data_folder, footfall_up
from bench.store_costs import measure_store
from bench.table import Table, write_page
from domain.batch import RECORD_INTERACTIONS, ReleaseResult
from runtime.cassandra.jars import why_not
from runtime.cassandra.server import CassandraServer
from runtime.instance import Instance
from workflows.record_interactions import EVENTS

_PAGES = Path(__file__).parents[1] / "docs" / "performance"
_DRAIN_PATIENCE_S = 120.0
_CONNECTIONS = 32
_RATES = {1: 1_000.0, 100: 75.0}
"""Requests a second, by events a request: what keeps an API process busy for a third of the time or half of it."""
_STEADY = 0.97
_TRICKLE = 20.0
_SMALL = "a batch of an event or two"
_BATCHES_LOOKED_AT = 20
_HISTORY_BYTES, _HISTORY_EVENTS = "a batch's history: bytes", "a batch's history: events"

IN_POSTGRES, IN_CASSANDRA = "Blocks in PostgreSQL", "Blocks in Cassandra"
IN_CASSANDRA_SLOW = "Blocks in Cassandra, a batch a second"
ONE_POSTGRES = "One PostgreSQL"
_SLOW = {"FOOTFALL_BATCH_PACE_MS": "1000", "FOOTFALL_BATCH_MAX_AGE_MS": "1000"}
_SETTINGS: dict[str, dict[str, str]] = {IN_POSTGRES: {}, IN_CASSANDRA: {}, IN_CASSANDRA_SLOW: _SLOW}

SIZES = ((10_000.0, IN_CASSANDRA), (100_000.0, IN_CASSANDRA_SLOW), (1_000_000.0, IN_CASSANDRA_SLOW))


class Bench:
    """A running Footfall, and the load that it is under."""

    def __init__(self, instance: Instance, cassandra: CassandraServer | None, seconds: float) -> None:
        self._meter = Meter(instance, cassandra.process if cassandra else None)
        self._instance = instance
        self._port = int(instance.api_url.rsplit(":", 1)[1])
        self._seconds = seconds
        self._sent = 0
        self._at_rest: dict[str, float] = {}

    def rest(self, table: Table) -> None:
        """What the processes use when nothing comes."""
        before = self._meter.read()
        time.sleep(self._seconds)
        used = self._meter.read().since(before)
        self._at_rest = {part: cpu_s / used.at_s for part, cpu_s in used.cpu_s.items()}
        for part, share in self._at_rest.items():
            table.add(f"at rest: CPU of {part}, ms a second", share * 1e3)

    def load(self, events: int, rate: float, seconds: float | None = None) -> tuple[Reading, float, float]:
        """What a steady load uses until it is worked off; its bytes an event, and how long it was sent."""
        request = safe_requests(HOST, events, seed=self._sent)
        before = self._meter.read()
        result = load(
            HOST, self._port, request, connections=_CONNECTIONS, seconds=seconds or self._seconds, rate=rate
        )
        if set(result.statuses) != {202} or result.cut:
            raise SystemExit(f"answers other than 202: {dict(result.statuses)}, cut: {result.cut}")
        self._sent += result.answers * events
        deadline = time.monotonic() + _DRAIN_PATIENCE_S
        while (now := self._meter.read()).events < self._sent:
            if time.monotonic() > deadline:
                raise SystemExit(f"{now.events} of {self._sent} events are done, and no more come")
            time.sleep(0.1)
        return now.since(before).without(self._at_rest), len(request()) / events, result.seconds

    def warm_up(self, seconds: float) -> None:
        """The first requests are dearer, those of a JVM for long."""
        self._at_rest = dict.fromkeys(self._meter.parts, 0.0)
        for events, rate in _RATES.items():
            self.load(events, rate, seconds)

    def steady(self, table: Table, events: int) -> None:
        began = datetime.now(UTC)
        used, request_bytes, seconds = self.load(events, _RATES[events])
        asyncio.run(self._batches(table, events, began))
        name = f"{events} a request"
        if used.events / seconds < _STEADY * events * _RATES[events]:
            print(f"  NOT STEADY: {events * _RATES[events]:,.0f} events/s are more than this machine does")
        table.add(f"{name}: events/s sent", used.events / seconds)
        table.add(f"{name}: batches/s", used.batches / seconds)
        table.add(f"{name}: events a batch", used.events / used.batches)
        for part, cpu_s in used.cpu_s.items():
            table.add(f"{name}: CPU of {part}, µs an event", cpu_s / used.events * 1e6)
        table.add(f"{name}: CPU of temporal, ms a batch", used.cpu_s["temporal"] / used.batches * 1e3)
        table.add(f"{name}: WAL bytes an event", used.wal_bytes / used.events)
        table.add(f"{name}: request bytes an event", request_bytes)
        table.add(f"{name}: loopback bytes an event, all but PostgreSQL's", used.loopback_bytes / used.events)

    def trickle(self, table: Table) -> None:
        """Every event a batch of its own: what a batch costs, whatever it holds."""
        used, _, _ = self.load(1, _TRICKLE)
        for part in (*PARTS, *({CASSANDRA} & used.cpu_s.keys())):
            table.add(f"{_SMALL}: CPU of {part}, ms", used.cpu_s[part] / used.batches * 1e3)

    async def _batches(self, table: Table, events: int, since: datetime) -> None:
        """Of the last batches: what Temporal keeps of them, and how many commits they had come in."""
        client = await Client.connect(self._instance.temporal_address)
        ended = f"WorkflowType = '{RECORD_INTERACTIONS}' AND ExecutionStatus = 'Completed'"
        query = f"{ended} AND StartTime > '{since.isoformat()}'"
        carried = commits = 0
        async for one in client.list_workflows(query, limit=_BATCHES_LOOKED_AT):
            handle = client.get_workflow_handle(one.id, result_type=ReleaseResult)
            described = await handle.describe()
            table.add(
                _HISTORY_BYTES, described.raw_description.workflow_execution_info.history_size_bytes, tell=False
            )
            table.add(_HISTORY_EVENTS, described.history_length, tell=False)
            carried += described.typed_search_attributes[EVENTS]
            commits += (await handle.result()).released_rows
        table.add(f"{events} a request: events a commit", carried / commits)


def _measure(name: str, table: Table, cassandra: CassandraServer | None, seconds: float) -> str:
    """One Footfall, new, under each load; the machine."""
    settings = {**_SETTINGS[name], **(cassandra.environment if cassandra else {})}
    with data_folder() as folder, footfall_up(folder, settings) as (instance, _):
        bench = Bench(instance, cassandra, seconds)
        bench.warm_up(2 * seconds if cassandra else seconds)
        bench.rest(table)
        for events in _RATES:
            bench.steady(table, events)
        bench.trickle(table)
        return describe_machine(instance)


@contextmanager
def _cassandra(folder: Path) -> Iterator[CassandraServer | None]:
    """It acknowledges before it syncs, as in a cluster of three."""
    lacking = why_not()
    if lacking is not None:
        print(f"without Cassandra, and so without a sizing: {lacking}")
        yield None
        return
    server = CassandraServer(folder / "cassandra", folder / "logs", durable=False)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def costs_of(table: Table, events: int) -> sizing.Costs:
    """Per event and batch, of what a load used; what a batch takes whatever it holds is taken out of an event's."""

    def figure(name: str) -> float:
        return _median(table, name)

    def each(part: str) -> tuple[float, float]:
        batch_ms = figure(f"{_SMALL}: CPU of {part}, ms")
        an_event = figure(f"{events} a request: CPU of {part}, µs an event")
        return max(0.0, an_event - batch_ms * 1e3 / figure(f"{events} a request: events a batch")), batch_ms

    name = f"{events} a request"
    worker_us, worker_batch_ms = each("worker")
    postgres_us, postgres_batch_ms = each("postgres")
    return sizing.Costs(
        api_us=figure(f"{name}: CPU of api, µs an event"),
        worker_us=worker_us,
        worker_batch_ms=worker_batch_ms,
        postgres_us=postgres_us,
        postgres_batch_ms=postgres_batch_ms,
        temporal_batch_ms=figure(f"{name}: CPU of temporal, ms a batch"),
        cassandra_us=figure(f"{max(_RATES)} a request: CPU of {CASSANDRA}, µs an event"),  # it sees batches alone
        wal_bytes=figure(f"{name}: WAL bytes an event"),
        request_bytes=figure(f"{name}: request bytes an event"),
        blocks=1.0,  # accounts are many: hardly two events of one come in the same intake row
        batches_a_process=figure(f"{name}: batches/s"),
    )


def stored_of(store: Table, history: Table) -> sizing.Stored:
    popularity = {
        events: _median(store, f"popularity, batches of {events:,} one after the other: events/s")
        for events in (1_000, 10_000)
    }
    return sizing.Stored(
        ledger_bytes=_median(store, "ledger, random ids: bytes an id, the table")
        + _median(store, "ledger, random ids: bytes an id, its index"),
        ledger_index_bytes=_median(store, "ledger, random ids: bytes an id, its index"),
        intake_bytes=_median(store, "intake log: bytes an event, 10 in a row"),
        history_bytes=_median(history, _HISTORY_BYTES),
        block_bytes=_figure_of("block_format", "From browsers", "sealed, all: bytes an interaction"),
        popularity_per_s=popularity,
        compaction_per_s=_figure_of("block_store", "Compaction", "compaction as fast as it can: events/s"),
    )


def _median(table: Table, name: str) -> float:
    return statistics.median(table.values[name])


def _figure_of(page: str, heading: str, name: str) -> float:
    """Of another bench, as it was written last."""
    figures = json.loads((_PAGES / f"{page}.json").read_text())["figures"]
    values: list[float] = figures[heading][name]
    return statistics.median(values)


def _sizing_page(tables: Mapping[str, Table]) -> tuple[str, dict[str, object]]:
    """The sections, and the same as JSON."""
    stored = stored_of(tables[ONE_POSTGRES], tables[IN_CASSANDRA])
    sections = [f"## Sizes\n\nWhat is assumed and not measured:\n\n{sizing.ASSUMED}\n"]
    figures: dict[str, object] = {}
    rates = [rate for rate, _ in SIZES]
    for events in _RATES:
        costs = [costs_of(tables[name], events) for _, name in SIZES]
        lines = sizing.sizing(rates, costs, stored)
        heading = f"Where apps send {events} a request"
        sections.append(f"### {heading}\n\n{sizing.markdown(rates, lines)}\n")
        figures[heading] = [asdict(line) for line in lines]
    return "\n".join(sections), figures


def main(
    quick: Annotated[bool, typer.Option(help="One short round.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for costs.md and costs.json.")] = None,
    rounds: int = 3,
    seconds: float = 20.0,
) -> None:
    if quick:
        rounds, seconds = 1, 5.0
    tables = {name: Table() for name in (*_SETTINGS, ONE_POSTGRES)}
    machine = ""
    with data_folder() as folder, _cassandra(folder) as cassandra:
        for name in _SETTINGS:
            if name == IN_POSTGRES or cassandra is not None:
                for _ in range(rounds):
                    print(name)
                    machine = _measure(name, tables[name], None if name == IN_POSTGRES else cassandra, seconds)
        for number in range(rounds):
            measure_store(tables[ONE_POSTGRES], folder / f"store{number}", 200_000 if quick else 2_000_000)
    measured = {name: table for name, table in tables.items() if table.values}
    page, sizes = _sizing_page(tables) if cassandra is not None else ("", {})
    print(page)
    if out is not None:
        machine += f" {rounds} times {seconds:.0f} s of each load."
        write_page(out, "costs", "What an event costs, and what so many need", machine, measured)
        _add(out, page, sizes)


def _add(out: Path, page: str, sizes: Mapping[str, object]) -> None:
    """The sizing, behind what was measured."""
    with (out / "costs.md").open("a") as file:
        file.write(f"\n{page}")
    written = json.loads((out / "costs.json").read_text())
    (out / "costs.json").write_text(json.dumps({**written, "sizes": sizes}, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
