"""What the sizing says of costs that are easy to reckon with."""

import dataclasses
import json
import subprocess
import sys
import time
from uuid import UUID

import pytest

from bench.costs import costs_of
from bench.events import safe_requests
from bench.processes import family_cpu_seconds
from bench.sizing import Costs, Size, Stored, markdown, sizing
from bench.table import Table

COSTS = Costs(
    api_us=100,
    worker_us=10,
    worker_batch_ms=10,
    postgres_us=20,
    postgres_batch_ms=1,
    temporal_batch_ms=30,
    cassandra_us=10,
    wal_bytes=500,
    request_bytes=250,
    blocks=1,
    batches_a_process=1,
)
STORED = Stored(
    ledger_bytes=100,
    ledger_index_bytes=40,
    intake_bytes=100,
    history_bytes=5_000,
    block_bytes=40,
    popularity_per_s={1_000: 20_000, 10_000: 100_000},
    compaction_per_s=50_000,
)


def test_processes_are_as_many_as_are_half_busy() -> None:
    size = Size(10_000, COSTS, STORED)
    assert size.api_processes() == 2  # one core is busy
    assert size.batches() == 2
    assert size.worker_processes() == 1  # 0.1 for events, 0.02 for batches: by 0.5
    assert size.temporal_cores() == pytest.approx(0.12)
    assert size.postgres_cores() == pytest.approx((0.2 + 0.002) / 0.5)
    assert size.cassandra_cores() == pytest.approx(0.1 * 3 / 0.5)


def test_a_batch_holds_no_more_than_it_may() -> None:
    cheap = dataclasses.replace(COSTS, api_us=1)
    size = Size(1_000_000, cheap, STORED)
    assert size.api_processes() == 2
    assert size.batches() == 100  # not 2
    assert size.events_a_batch() == 10_000


def test_shards_are_by_whatever_is_scarcest() -> None:
    size = Size(1_000_000, COSTS, STORED)
    assert size.by_cores() == pytest.approx((20 + 0.2) / 0.5 / 32)
    index_gb = 500_000 * 86_400 * 40 / 1e9
    assert size.by_wal() == pytest.approx((500 + index_gb * 1e3 / 1_800) / 200 / 0.5)
    assert size.by_memory() == pytest.approx(index_gb / 256 / 0.5)
    assert size.by_popularity() == pytest.approx(1_000_000 / 20_000 / 0.5)  # 5,000 events a batch
    assert size.by_compaction() == pytest.approx(500_000 / 50_000 / 0.5)
    assert size.shards() == 100
    assert size.connections_a_shard() == pytest.approx(-(-(200 * 12 + 25 * 8) // 100))
    assert Size(10, COSTS, STORED).shards() == 1


def test_disks_are_by_the_average() -> None:
    size = Size(2, COSTS, STORED)
    assert size.ledger_gb() == pytest.approx(86_400 * 15 * 100 / 1e9)
    assert size.blocks_tb() == pytest.approx(26 * 7 * 86_400 * 40 * 3 * 2 / 1e12)


def test_the_table_has_a_column_a_rate() -> None:
    rates = [10_000.0, 1_000_000.0]
    lines = markdown(rates, sizing(rates, [COSTS, COSTS], STORED)).splitlines()
    assert lines[0] == "|  | formula | 10,000 events/s | 1,000,000 events/s |"
    assert "| API processes, a core each | ⌈R · api µs / U⌉ | 2 | 200 |" in lines


def test_what_a_batch_takes_is_not_charged_to_its_events_too() -> None:
    table = Table()
    for name, value in {
        "100 a request: batches/s": 8.0,
        "100 a request: events a batch": 1_000.0,
        **{f"100 a request: CPU of {part}, µs an event": 30.0 for part in ("api", "worker", "postgres", "cassandra")},
        "100 a request: CPU of temporal, ms a batch": 25.0,
        "100 a request: WAL bytes an event": 400.0,
        "100 a request: request bytes an event": 220.0,
        **{f"a batch of an event or two: CPU of {part}, ms": 12.0 for part in ("worker", "postgres")},
    }.items():
        table.add(name, value)
    costs = costs_of(table, 100)
    assert (costs.api_us, costs.temporal_batch_ms, costs.batches_a_process) == (30, 25, 8)
    assert (costs.worker_us, costs.worker_batch_ms) == (18, 12)


@pytest.mark.parametrize("events", [1, 3])
def test_every_request_has_new_ids_and_the_length_that_it_says(events: int) -> None:
    next_request = safe_requests("h", events)
    seen: set[UUID] = set()
    for _ in range(5):
        head, _, body = next_request().partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        sent = json.loads(body)
        seen |= {UUID(one["event_id"]) for one in sent.get("interactions", [sent])}
    assert len(seen) == 5 * events


def test_the_cpu_of_children_counts_when_they_have_ended_too() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])\ninput()"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while family_cpu_seconds(process.pid) < 0.3:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)
        assert 0.3 <= family_cpu_seconds(process.pid) < 1.5
        assert process.stdin is not None
        process.stdin.close()
        process.kill()
