"""From what an event and a batch cost to what so many events a second need: formulas, and nothing else."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.markdown import table

UTILISATION = 0.5
PEAK_BY_AVERAGE = 2.0
PRIMARY_CORES = 32
PRIMARY_WAL_MB_S = 200.0
PRIMARY_MEMORY_GB = 256
COPIES = 3
LEDGER_DAYS = 15
WEEKS_LIVED = 26
BATCH_MAX_EVENTS = 10_000
CHECKPOINT_S = 1_800
BACKLOG_S = 600
_DAY_S = 86_400
_WEEK_S = 7 * _DAY_S
_API_CONNECTIONS, _WORKER_CONNECTIONS = 12, 8

ASSUMED = f"""\
- R is the highest rate that is to be carried; the average is R / {PEAK_BY_AVERAGE:.0f}, and disks are by that.
- Processors are planned to be busy for U = {UTILISATION:.0%} of the time: the rest is for what is worked off after an
  outage, for compaction and reads, and for other processors than these.
- A PostgreSQL primary has {PRIMARY_CORES} cores, {PRIMARY_MEMORY_GB} GB of memory, and writes
  {PRIMARY_WAL_MB_S:.0f} MB of WAL a second, of which U is planned for: put what your machine has in their place.
- Event ids are random, as most apps make them, and each lands on another page of today's index: that is to stay in
  memory, and after each checkpoint, every {CHECKPOINT_S / 60:.0f} minutes, the log gets an image of every page of it.
  Ids in the order of their time (UUIDv7) need neither.
- {COPIES} copies of blocks, kept for {WEEKS_LIVED} weeks, in twice their room, as SizeTiered compaction needs; the
  ledger's {LEDGER_DAYS} days: two windows of 7, and today.
- Bytes of blocks are those of [sealed blocks](block_format.md) from browsers, without what a node adds to a row;
  compaction is [as fast as it can](block_store.md), one token range after the other."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What one kind of load costs. µs and bytes are an event's, ms a batch's, of one core."""

    api_us: float
    worker_us: float
    worker_batch_ms: float
    postgres_us: float
    postgres_batch_ms: float
    temporal_batch_ms: float
    cassandra_us: float
    wal_bytes: float
    request_bytes: float
    blocks: float
    """Delta blocks an event."""
    batches_a_process: float
    """Batches a second of one API process."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What does not depend on the load's kind: bytes, and what one primary does at the most."""

    ledger_bytes: float
    ledger_index_bytes: float
    intake_bytes: float
    history_bytes: float
    """Of Temporal, a batch."""
    block_bytes: float
    """Sealed, an event."""
    popularity_per_s: dict[int, float]
    """By events a batch: events a second, one batch after the other."""
    compaction_per_s: float


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: what, how it is computed, and for each rate how much."""

    what: str
    formula: str
    values: list[float]


class Size:
    """What a rate of events a second needs."""

    def __init__(self, rate: float, costs: Costs, stored: Stored) -> None:
        self._rate = rate
        self._costs = costs
        self._stored = stored
        self._average = rate / PEAK_BY_AVERAGE

    def api_processes(self) -> float:
        return math.ceil(self._rate * self._costs.api_us / 1e6 / UTILISATION)

    def batches(self) -> float:
        return max(self.api_processes() * self._costs.batches_a_process, self._rate / BATCH_MAX_EVENTS)

    def events_a_batch(self) -> float:
        return self._rate / self.batches()

    def worker_processes(self) -> float:
        busy = self._rate * self._costs.worker_us / 1e6 + self.batches() * self._costs.worker_batch_ms / 1e3
        return math.ceil(busy / UTILISATION)

    def temporal_cores(self) -> float:
        return self.batches() * self._costs.temporal_batch_ms / 1e3 / UTILISATION

    def postgres_cores(self) -> float:
        busy = self._rate * self._costs.postgres_us / 1e6 + self.batches() * self._costs.postgres_batch_ms / 1e3
        return busy / UTILISATION

    def wal_mb_s(self) -> float:
        return self._rate * self._costs.wal_bytes / 1e6

    def page_images_mb_s(self) -> float:
        return self.todays_index_gb() * 1e3 / CHECKPOINT_S

    def by_cores(self) -> float:
        return self.postgres_cores() / PRIMARY_CORES

    def by_wal(self) -> float:
        return (self.wal_mb_s() + self.page_images_mb_s()) / PRIMARY_WAL_MB_S / UTILISATION

    def by_memory(self) -> float:
        return self.todays_index_gb() / PRIMARY_MEMORY_GB / UTILISATION

    def by_popularity(self) -> float:
        known = self._stored.popularity_per_s
        fitting = [size for size in known if size <= self.events_a_batch()] or [min(known)]
        return self._rate / known[max(fitting)] / UTILISATION

    def by_compaction(self) -> float:
        return self._average / self._stored.compaction_per_s / UTILISATION

    def shards(self) -> float:
        return math.ceil(
            max(self.by_cores(), self.by_wal(), self.by_memory(), self.by_popularity(), self.by_compaction())
        )

    def connections_a_shard(self) -> float:
        all_of_them = self.api_processes() * _API_CONNECTIONS + self.worker_processes() * _WORKER_CONNECTIONS
        return math.ceil(all_of_them / self.shards())

    def ledger_gb(self) -> float:
        return self._average * _DAY_S * LEDGER_DAYS * self._stored.ledger_bytes / 1e9

    def todays_index_gb(self) -> float:
        return self._average * _DAY_S * self._stored.ledger_index_bytes / 1e9

    def backlog_events_a_shard(self) -> float:
        return self._rate * BACKLOG_S / self.shards()

    def backlog_gb_a_shard(self) -> float:
        return self.backlog_events_a_shard() * self._stored.intake_bytes / 1e9

    def history_gb_a_day(self) -> float:
        return self.batches() / PEAK_BY_AVERAGE * _DAY_S * self._stored.history_bytes / 1e9

    def block_writes(self) -> float:
        return self._rate * self._costs.blocks

    def cassandra_cores(self) -> float:
        return self._rate * self._costs.cassandra_us * COPIES / 1e6 / UTILISATION

    def blocks_tb(self) -> float:
        return self._average * _WEEK_S * WEEKS_LIVED * self._stored.block_bytes * COPIES * 2 / 1e12

    def network_gbit_s(self) -> float:
        return self._rate * self._costs.request_bytes * 8 / 1e9


_LINES: tuple[tuple[str, str, Callable[[Size], float]], ...] = (
    ("API processes, a core each", "⌈R · api µs / U⌉", Size.api_processes),
    ("into the API, Gbit/s", "R · request bytes · 8", Size.network_gbit_s),
    ("batches/s", "the larger of API processes · batches/s of one, R / 10,000", Size.batches),
    ("events a batch", "R / batches/s", Size.events_a_batch),
    ("worker processes, a core each", "⌈(R · worker µs + batches/s · worker ms) / U⌉", Size.worker_processes),
    ("Temporal, cores", "batches/s · temporal ms / U", Size.temporal_cores),
    ("Temporal, GB of histories a day of retention", "batches/s / 2 · day · history bytes", Size.history_gb_a_day),
    ("PostgreSQL, cores of all primaries", "(R · postgres µs + batches/s · postgres ms) / U", Size.postgres_cores),
    ("WAL, MB/s", "R · WAL bytes", Size.wal_mb_s),
    ("ledger of 15 days, GB", "R / 2 · day · 15 · ledger bytes", Size.ledger_gb),
    ("index of today's ids when the day ends, GB", "R / 2 · day · index bytes", Size.todays_index_gb),
    ("WAL of its pages' images at the most, MB/s", "that / time between checkpoints", Size.page_images_mb_s),
    ("primaries by cores", f"cores / {PRIMARY_CORES}", Size.by_cores),
    ("primaries by WAL", f"both WAL / ({PRIMARY_WAL_MB_S:.0f} MB/s · U)", Size.by_wal),
    ("primaries by memory", f"today's index / ({PRIMARY_MEMORY_GB} GB · U)", Size.by_memory),
    ("primaries by popularity", "R / (popularity in turn · U)", Size.by_popularity),
    ("primaries by compaction", "R / 2 / (compaction · U)", Size.by_compaction),
    ("**shards**", "⌈the largest of these⌉", Size.shards),
    (
        "connections to a shard's PostgreSQL, at the most",
        "(API · 12 + workers · 8) / shards",
        Size.connections_a_shard,
    ),
    ("a shard's backlog of ten minutes, events", "R · 600 s / shards", Size.backlog_events_a_shard),
    ("a shard's backlog of ten minutes, GB", "these · intake bytes", Size.backlog_gb_a_shard),
    ("block writes/s, each to 3 nodes", "R · blocks an event", Size.block_writes),
    ("ScyllaDB or Cassandra, cores of all nodes", "R · cassandra µs · 3 / U", Size.cassandra_cores),
    ("blocks, TB of all nodes", "R / 2 · 26 weeks · block bytes · 3 · 2", Size.blocks_tb),
)


def sizing(rates: Sequence[float], costs: Sequence[Costs], stored: Stored) -> list[Line]:
    """The table for these rates, each by the costs of its place."""
    sizes = [Size(rate, its, stored) for rate, its in zip(rates, costs, strict=True)]
    return [Line(what, formula, [compute(size) for size in sizes]) for what, formula, compute in _LINES]


def markdown(rates: Sequence[float], lines: Sequence[Line]) -> str:
    head = ["", "formula", *(f"{rate:,.0f} events/s" for rate in rates)]
    return table(head, ([line.what, line.formula, *map(_shown, line.values)] for line in lines))


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"
