"""At rest: bytes on disk an event once blocks are sealed, and accounts whose histories are read from them.

Through the front door, a past week of so many accounts, a hundred interactions each; then `footfall blocks compact`
and a plain VACUUM, as autovacuum does it. What deltas took is free space in the files then, and counts.
"""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench.comparison.closed import Bench, Tally, insist
from bench.comparison.figures import Plan, Report, Section
from bench.comparison.reads import HISTORY_EVENTS
from bench.events import Event, bundles
from bench.loadgen import load
from bench.peers.footfall import running
from bench.peers.system import HOST, Running, ask, execute
from bench.stack import environment, footfall_up
from domain.week import WEEKS_KEPT, from_us, week_of, week_start_us
from intake.ledger import now_us

ALL_BLOCKS = "sealed blocks and their metadata, tables and indexes: bytes an event"
WITH_LEDGER = "the ledger's partitions too: bytes an event"

_EVENTS_AN_ACCOUNT = 100
_EVENTS_A_REQUEST = 100
_EVENTS_A_POST = 500
_CONNECTIONS = 16
_WEEK_US = 7 * 86_400_000_000
_UNPACED = 1_000_000
# So that the ledger's window holds all of last week, on whatever day this runs.
_SETTINGS = {"FOOTFALL_DEDUP_WINDOW_DAYS": "15"}
_SIZE = """
SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint FROM pg_inherits
WHERE inhparent = '{table}'::regclass
"""
_PATIENCE_S = 300.0


def prepare(folder: Path, plan: Plan, report: Report) -> list[str]:
    """Fills and seals, notes the bytes; the accounts with 2,000 interactions over 23 weeks each."""
    with resting(folder) as system:
        bench = Bench(system, Tally(system, report), report)
        sent = _fill_week(bench, plan.disk_events)
        compact(folder)
        _measure(system, sent, report)
        accounts = _fill_histories(bench, plan.history_accounts)
        compact(folder)
        bench.tally.close()
        return accounts


@contextmanager
def resting(folder: Path) -> Iterator[Running]:
    """Footfall on the folder that `prepare` fills."""
    with footfall_up(folder, _SETTINGS) as (instance, _):
        yield running(instance, "Footfall, at rest")


def compact(folder: Path) -> None:
    """Every week, as fast as it goes."""
    command = [sys.executable, "-m", "runtime.cli", "blocks", "compact", "--events-per-s", str(_UNPACED)]
    own = environment({"FOOTFALL_DATA_DIR": str(folder)})
    subprocess.run(command, env=own, stdout=subprocess.DEVNULL, check=True, timeout=_PATIENCE_S)


def _fill_week(bench: Bench, events: int) -> int:
    """At least so many over all of last week; how many."""
    picker, start = random.Random(11), week_start_us(week_of(now_us()) - 1)
    accounts = events // _EVENTS_AN_ACCOUNT
    traffic = bundles(_EVENTS_A_REQUEST)

    def next_request() -> bytes:
        bundle = picker.choice(traffic)
        return bench.system.request(
            [_moved(one, f"d{picker.randrange(accounts)}", start + picker.randrange(_WEEK_US)) for one in bundle]
        )

    sent = 0
    while sent < events:
        sent += _send(bench, next_request, 1.0)
    _wait_for_release(bench)
    return sent


def _fill_histories(bench: Bench, accounts: int) -> list[str]:
    """None in the present week, so that compaction seals all of them."""
    first, last = (week_start_us(week_of(now_us()) - weeks) for weeks in (WEEKS_KEPT - 1, 0))
    step = (last - first) // HISTORY_EVENTS
    traffic = bundles(HISTORY_EVENTS, seed=12)
    names = [f"h{number}" for number in range(accounts)]
    with httpx.Client(base_url=f"http://{HOST}:{bench.system.port}", timeout=60) as client:
        for name, bundle in zip(names, traffic, strict=False):
            events = [_moved(one, name, first + number * step) for number, one in enumerate(bundle)]
            for at in range(0, HISTORY_EVENTS, _EVENTS_A_POST):
                body = bench.system.body(events[at : at + _EVENTS_A_POST])
                client.post(bench.system.path, json=body).raise_for_status()
            bench.tally.add(HISTORY_EVENTS)
    _wait_for_release(bench)
    return names


def _moved(one: Event, account: str, at_us: int) -> Event:
    return {**one, "account_id": account, "occurred_at": from_us(at_us).isoformat()}


def _send(bench: Bench, next_request: Callable[[], bytes], seconds: float) -> int:
    result = load(HOST, bench.system.port, next_request, connections=_CONNECTIONS, seconds=seconds)
    insist(result, bench.system.name)
    bench.tally.add(result.answers * _EVENTS_A_REQUEST)
    return result.answers * _EVENTS_A_REQUEST


def _wait_for_release(bench: Bench) -> None:
    """Until every fan-out has applied everything, not only popularity."""
    bench.tally.wait()
    deadline = time.perf_counter() + _PATIENCE_S
    while ask(bench.system.database, "SELECT EXISTS (SELECT FROM intake_log)"):
        if time.perf_counter() > deadline:
            raise SystemExit("the intake log does not become empty")
        time.sleep(0.1)


def _measure(system: Running, sent: int, report: Report) -> None:
    execute(system.database, "VACUUM")

    def number(query: str) -> float:
        return float(str(ask(system.database, query)))

    events = number("SELECT sum(event_count)::bigint FROM interaction_block WHERE sealed")
    deltas = number("SELECT count(*) FROM interaction_block WHERE NOT sealed")
    if events != sent or deltas:
        raise SystemExit(f"{events:.0f} of {sent} interactions are in sealed blocks, {deltas:.0f} deltas are left")
    blocks = number(_SIZE.format(table="interaction_block"))
    metadata = number("SELECT pg_total_relation_size('block_metadata')")
    ledger = number(_SIZE.format(table="event_ledger"))
    weeks = number("SELECT count(*) FROM block_metadata")
    data = number("SELECT sum(octet_length(data))::bigint FROM interaction_block")
    report.note(Section.DISK, "events", events)
    report.note(Section.DISK, "events of an account's week", events / weeks)
    report.note(Section.DISK, "sealed blocks, what is in them: bytes an event", data / events)
    report.note(Section.DISK, ALL_BLOCKS, (blocks + metadata) / events)
    report.note(Section.DISK, WITH_LEDGER, (blocks + metadata + ledger) / events)
    execute(system.database, "VACUUM FULL")
    full = number(_SIZE.format(table="interaction_block")) + number("SELECT pg_total_relation_size('block_metadata')")
    report.note(
        Section.DISK, "the sealed blocks and their metadata after a VACUUM FULL: bytes an event", full / events
    )
