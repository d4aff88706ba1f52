"""What one PostgreSQL keeps, and does at the most: the ledger's bytes, WAL after a checkpoint, popularity in turn."""

import asyncio
import bisect
import itertools
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from bench.blocks import NOW_US, Fill
from bench.events import PRODUCTS
from bench.peers.postgres import peer_postgres
from bench.table import Table
from domain.event_types import load_event_weights
from domain.ids import new_id
from domain.interaction import Interaction, encode_interactions
from domain.week import date_of, day_of
from intake.ledger import LedgerPartitions
from intake.log import IntakeLog, NewInteraction
from migrations.runner import migrate_postgres
from store.popularity import PopularityStore, count_popularity
from store.postgres import Pool, create_pool, transaction

_IDS: dict[str, tuple[str, Callable[[], UUID]]] = {
    "random ids": ("gen_random_uuid()", uuid4),
    "ids in the order of their time": ("uuidv7()", new_id),
}
_FILL = (
    "INSERT INTO {partition} (day, event_id, intake_id) "
    "SELECT $1::date, {new_id}, gen_random_uuid() FROM generate_series(1, $2::int)"
)
_APPENDS, _EVENTS_AN_APPEND = 25, 200
_EXPONENT = 1.3


def measure_store(table: Table, folder: Path, ids: int) -> None:
    """In a PostgreSQL of its own."""
    with peer_postgres(folder) as url:
        asyncio.run(_measure(table, url, ids))


async def _measure(table: Table, url: str, ids: int) -> None:
    await migrate_postgres(url)
    async with create_pool(url, name="bench", size=2, timeout_s=300) as pool:
        await LedgerPartitions(pool, 7).make()
        for days_ago, kind in enumerate(_IDS):
            await _ledger(table, pool, kind, ids, days_ago)
        for events in (1_000, 10_000):
            await _popularity(table, pool, events)
    for events in (10, 100):
        fill = Fill()
        made = [fill.one(f"a{number}", NOW_US) for number in range(events)]
        table.add(f"intake log: bytes an event, {events} in a row", len(encode_interactions(made)) / events)


async def _ledger(table: Table, pool: Pool, kind: str, ids: int, days_ago: int) -> None:
    """A day of so many ids, and what is added to it just after a checkpoint."""
    new_id_sql, make_id = _IDS[kind]
    day = datetime.now(UTC).date() - timedelta(days=days_ago)
    partition = f"event_ledger_{day:%Y%m%d}"
    await pool.execute(_FILL.format(partition=partition, new_id=new_id_sql), day, ids)
    sizes = await pool.fetchrow("SELECT pg_relation_size($1::regclass), pg_indexes_size($1::regclass)", partition)
    assert sizes is not None
    table.add(f"ledger, {kind}: bytes an id, the table", sizes[0] / ids)
    table.add(f"ledger, {kind}: bytes an id, its index", sizes[1] / ids)
    await pool.execute("CHECKPOINT")
    before, log, fill = await _wal(pool), IntakeLog(pool), Fill()
    for _ in range(_APPENDS):
        made = [_with_id(fill, make_id(), days_ago) for _ in range(_EVENTS_AN_APPEND)]
        await log.append(new_id(), made)
    written = (await _wal(pool) - before) / (_APPENDS * _EVENTS_AN_APPEND)
    table.add(f"ledger, {kind}: WAL bytes an event just after a checkpoint, a day of {ids:,} ids", written)


def _with_id(fill: Fill, event_id: UUID, days_ago: int) -> NewInteraction:
    one = fill.one("a", NOW_US - days_ago * 86_400_000_000)
    return NewInteraction(
        Interaction(event_id.bytes, one.account_id, one.event_type, one.ref_type, one.ref_id, one.occurred_at),
        date_of(day_of(one.occurred_at)),
    )


async def _wal(pool: Pool) -> int:
    return int(await pool.fetchval("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"))


async def _popularity(table: Table, pool: Pool, events: int, batches: int = 12) -> None:
    """Batches with the most popular products in common wait for each other: how many go one after the other."""
    store, picker, weights = PopularityStore(pool), random.Random(4), load_event_weights()
    shares = list(itertools.accumulate(1 / rank**_EXPONENT for rank in range(1, PRODUCTS + 1)))
    took = 0.0
    for _ in range(batches):
        made = [
            Interaction(
                b"", "a", "view", "Product", f"p{bisect.bisect_left(shares, picker.random() * shares[-1])}", NOW_US
            )
            for _ in range(events)
        ]
        deltas = count_popularity(made, weights)
        started = time.perf_counter()
        async with transaction(pool) as connection:
            await store.add(connection, deltas)
        took += time.perf_counter() - started
    table.add(f"popularity, batches of {events:,} one after the other: events/s", events * batches / took)
