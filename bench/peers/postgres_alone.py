"""The limits of PostgreSQL: the writes of a batch in one statement, from ready arguments.

`COUNTS` is what counting each event once takes: ids into the ledger, counts into popularity. `EVERYTHING` is all that
Footfall writes: an intake row in and out, ids, totals and daily rows of popularity, a block row an account.
"""

import asyncio
import gc
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from activities.persist import delta_blocks
from bench.events import Event, bundles
from domain.ids import new_id, new_id_bytes
from domain.interaction import Interaction, encode_interactions
from intake.ledger import now_us
from intake.log import IntakeRow
from store.postgres import driver_ids

_CONNECTIONS = 8
_MOST_STATEMENTS_A_SECOND = 25_000
_LEDGER = """
known AS (
    INSERT INTO event_ledger (day, event_id, intake_id)
    SELECT $1, e.event_id, $2 FROM unnest($3::uuid[]) AS e (event_id) ORDER BY e.event_id
    ON CONFLICT DO NOTHING RETURNING event_id
)"""
_COUNTS = f"""
WITH {_LEDGER}, counted AS (
    SELECT product_id, count(*) AS views FROM unnest($3::uuid[], $4::text[]) AS e (event_id, product_id)
    JOIN known USING (event_id) GROUP BY product_id
)
INSERT INTO product_popularity AS p
SELECT product_id, 300000 * views, views, 0, 0, 0, 0, now() FROM counted ORDER BY product_id
ON CONFLICT (product_id) DO UPDATE
SET score = p.score + excluded.score, view_count = p.view_count + excluded.view_count, date_updated = now()
"""
_EVERYTHING = f"""
WITH {_LEDGER}, logged AS (
    INSERT INTO intake_log (intake_id, batch_id, accepted_at, event_count, duplicate_ids, events)
    VALUES ($2, $2, now(), cardinality($3::uuid[]), '{{}}', $6)
), released AS (
    DELETE FROM intake_log WHERE intake_id = $7
), persisted AS (
    INSERT INTO interaction_block (account_id, week, block_id, event_count, data)
    SELECT account_id, week, $2, event_count, data
    FROM unnest($8::text[], $9::int[], $10::int[], $11::bytea[]) AS b (account_id, week, event_count, data)
), daily AS (
    INSERT INTO product_popularity_daily AS p
    SELECT $1, product_id, 300000 * views, views, 0, 0, 0, 0, now()
    FROM unnest($4::text[], $5::int[]) AS c (product_id, views) ORDER BY product_id
    ON CONFLICT (day, product_id) DO UPDATE
    SET score = p.score + excluded.score, view_count = p.view_count + excluded.view_count, date_updated = now()
)
INSERT INTO product_popularity AS p
SELECT product_id, 300000 * views, views, 0, 0, 0, 0, now()
FROM unnest($4::text[], $5::int[]) AS c (product_id, views) ORDER BY product_id
ON CONFLICT (product_id) DO UPDATE
SET score = p.score + excluded.score, view_count = p.view_count + excluded.view_count, date_updated = now()
"""

Arguments = tuple[object, ...]


@dataclass(frozen=True)
class Writes:
    statement: str
    arguments: Callable[[list[Event], UUID, UUID], Arguments]
    """Of a bundle, with the id of its intake row and of the one before on the same connection."""
    made_a_second: int
    """Events whose arguments are made ahead, for a second of all connections: more than PostgreSQL takes."""


def _counts(events: list[Event], intake_id: UUID, _before: UUID) -> Arguments:
    ids = driver_ids(random.randbytes(16) for _ in events)
    return (datetime.now(UTC).date(), intake_id, ids, [one["ref_id"] for one in events])


def _everything(events: list[Event], intake_id: UUID, before: UUID) -> Arguments:
    moment = datetime.now(UTC)
    interactions = [
        Interaction(new_id_bytes(), one["account_id"], "view", "Product", one["ref_id"], now_us()) for one in events
    ]
    ids = driver_ids(one.event_id for one in interactions)
    products = Counter(one.ref_id for one in interactions)
    blocks = list(delta_blocks(IntakeRow(intake_id, moment, interactions)))
    return (
        moment.date(), intake_id, ids, list(products), list(products.values()), encode_interactions(interactions),
        before, [one.account_id for one in blocks], [one.week for one in blocks],
        [one.event_count for one in blocks], [one.data for one in blocks],
    )  # fmt: skip


COUNTS = Writes(_COUNTS, _counts, 250_000)
EVERYTHING = Writes(_EVERYTHING, _everything, 60_000)


def _ready(writes: Writes, events: int, count: int) -> list[Arguments]:
    """Fresh ids each; products and accounts as of the traffic."""
    traffic, before, made = bundles(events), UUID(int=0), []
    for number in range(count):
        intake_id = new_id()
        made.append(writes.arguments(traffic[number % len(traffic)], intake_id, before))
        before = intake_id
    return made


async def _run(database: str, writes: Writes, events: int, seconds: float) -> float:
    statements_a_second = min(writes.made_a_second / events, _MOST_STATEMENTS_A_SECOND)
    each_makes = max(200, int(statements_a_second * seconds)) // _CONNECTIONS
    ready = [iter(_ready(writes, events, each_makes)) for _ in range(_CONNECTIONS)]
    gc.freeze()  # or the collector goes through all that is ready, again and again
    done = 0
    async with asyncpg.create_pool(database, min_size=_CONNECTIONS, max_size=_CONNECTIONS) as pool:
        started = time.perf_counter()

        async def each(own: Iterator[Arguments]) -> None:
            nonlocal done
            async with pool.acquire() as connection:
                statement = await connection.prepare(writes.statement)
                for arguments in own:
                    await statement.fetch(*arguments)
                    done += events
                    if time.perf_counter() - started > seconds:
                        return

        await asyncio.gather(*(each(own) for own in ready))
        rate = done / (time.perf_counter() - started)
    gc.unfreeze()
    return rate


def events_a_second(database: str, events: int, seconds: float, writes: Writes = COUNTS) -> float:
    """By so many events a statement, on 8 connections, into a database of Footfall's tables."""
    return asyncio.run(_run(database, writes, events, seconds))
