"""At rest: bytes on disk an event once blocks are sealed, and accounts whose histories are read from them.

Through the front door, one past week after the other of so many accounts, a hundred interactions each; after each
`footfall blocks compact` and a plain VACUUM, as autovacuum does it. What deltas took is free space in the files then,
which the next week's deltas take: so it counts in full after the first week, and hardly when a partition is full.
"""

import random
import subprocess
import sys
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
from domain.week import WEEKS_KEPT, WEEKS_PER_PARTITION, from_us, week_of, week_start_us
from intake.ledger import now_us

FIRST_WEEK = "sealed blocks and their metadata, after the first week: bytes an event"
ALL_BLOCKS = "sealed blocks and their metadata, after the last week: bytes an event"
WITH_LEDGER = "the ledger's partitions too, after the last week: bytes an event"
AFTER_FULL = "sealed blocks and their metadata, after the last week and a VACUUM FULL: bytes an event"

_EVENTS_AN_ACCOUNT = 100
_EVENTS_A_REQUEST = 100
_EVENTS_A_POST = 500
_FILL_S = 0.3
_CONNECTIONS = 16
_WEEK_US = 7 * 86_400_000_000
_UNPACED = 1_000_000
_SIZE = """
SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint FROM pg_inherits
WHERE inhparent = '{table}'::regclass
"""
_PATIENCE_S = 300.0


def prepare(folder: Path, plan: Plan, report: Report) -> list[str]:
    """Fills and seals, notes the bytes; the accounts with 2,000 interactions over 23 weeks each."""
    with resting(folder) as system:
        bench = Bench(system, Tally(system, report), report)
        sent, weeks = 0, _weeks(plan.disk_weeks)
        for week in weeks:
            sent += _fill_week(bench, week, plan.disk_events // len(weeks))
            compact(folder)
            execute(system.database, "VACUUM")
            if week == weeks[0]:
                report.note(Section.DISK, FIRST_WEEK, _blocks(system) / sent)
        _measure(system, sent, report)
        accounts = _fill_histories(bench, plan.history_accounts)
        compact(folder)
        bench.tally.close()
        return accounts


def _weeks(count: int) -> range:
    """The first ones of the last partition that is all in the past."""
    first = (week_of(now_us()) // WEEKS_PER_PARTITION - 1) * WEEKS_PER_PARTITION
    return range(first, first + count)


@contextmanager
def resting(folder: Path) -> Iterator[Running]:
    """Footfall on the folder that `prepare` fills."""
    with footfall_up(folder) as (instance, _):
        yield running(instance, "Footfall, at rest")


def compact(folder: Path) -> None:
    """Every week, as fast as it goes."""
    command = [sys.executable, "-m", "runtime.cli", "blocks", "compact", "--events-per-s", str(_UNPACED)]
    own = environment({"FOOTFALL_DATA_DIR": str(folder)})
    subprocess.run(command, env=own, stdout=subprocess.DEVNULL, check=True, timeout=_PATIENCE_S)


def _fill_week(bench: Bench, week: int, events: int) -> int:
    """At least so many over all of the week; how many."""
    picker, start = random.Random(week), week_start_us(week)
    accounts = events // _EVENTS_AN_ACCOUNT
    traffic = bundles(_EVENTS_A_REQUEST)

    def next_request() -> bytes:
        bundle = picker.choice(traffic)
        return bench.system.request(
            [_moved(one, f"d{picker.randrange(accounts)}", start + picker.randrange(_WEEK_US)) for one in bundle]
        )

    sent = 0
    while sent < events:
        sent += _send(bench, next_request, _FILL_S)
    bench.tally.wait_everywhere()
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
    bench.tally.wait_everywhere()
    return names


def _moved(one: Event, account: str, at_us: int) -> Event:
    return {**one, "account_id": account, "occurred_at": from_us(at_us).isoformat()}


def _send(bench: Bench, next_request: Callable[[], bytes], seconds: float) -> int:
    result = load(HOST, bench.system.port, next_request, connections=_CONNECTIONS, seconds=seconds)
    insist(result, bench.system.name)
    bench.tally.add(result.answers * _EVENTS_A_REQUEST)
    return result.answers * _EVENTS_A_REQUEST


def _number(system: Running, query: str) -> float:
    return float(str(ask(system.database, query)))


def _blocks(system: Running) -> float:
    """Bytes of the partitions of blocks and of their metadata, with indexes."""
    partitions = _number(system, _SIZE.format(table="interaction_block"))
    return partitions + _number(system, "SELECT pg_total_relation_size('block_metadata')")


def _measure(system: Running, sent: int, report: Report) -> None:
    events = _number(system, "SELECT sum(event_count)::bigint FROM interaction_block WHERE sealed")
    deltas = _number(system, "SELECT count(*) FROM interaction_block WHERE NOT sealed")
    if events != sent or deltas:
        raise SystemExit(f"{events:.0f} of {sent} interactions are in sealed blocks, {deltas:.0f} deltas are left")
    weeks = _number(system, "SELECT count(*) FROM block_metadata")
    data = _number(system, "SELECT sum(octet_length(data))::bigint FROM interaction_block")
    ledger = _number(system, _SIZE.format(table="event_ledger"))
    blocks = _blocks(system)
    report.note(Section.DISK, ALL_BLOCKS, blocks / events)
    report.note(Section.DISK, WITH_LEDGER, (blocks + ledger) / events)
    report.note(Section.DISK, "the bytes inside the sealed blocks alone: bytes an event", data / events)
    report.note(Section.DISK, "events", events)
    report.note(Section.DISK, "events of an account's week", events / weeks)
    report.note(Section.DISK, "weeks", _number(system, "SELECT count(DISTINCT week) FROM block_metadata"))
    execute(system.database, "VACUUM FULL")
    report.note(Section.DISK, AFTER_FULL, _blocks(system) / events)
