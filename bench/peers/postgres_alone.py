"""The limit of PostgreSQL: ids into the ledger and counts into popularity, in one statement, from ready arguments."""

import asyncio
import random
import time
from datetime import UTC, date, datetime
from uuid import UUID

import asyncpg

from bench.events import bundles

_CONNECTIONS = 8
_STATEMENT = """
WITH known AS (
    INSERT INTO event_ledger (day, event_id, intake_id)
    SELECT $1, e.event_id, $2 FROM unnest($3::uuid[]) AS e (event_id) ORDER BY e.event_id
    ON CONFLICT DO NOTHING RETURNING event_id
), counted AS (
    SELECT product_id, count(*) AS views FROM unnest($3::uuid[], $4::text[]) AS e (event_id, product_id)
    JOIN known USING (event_id) GROUP BY product_id
)
INSERT INTO product_popularity AS p
SELECT product_id, 300000 * views, views, 0, 0, 0, 0, now() FROM counted ORDER BY product_id
ON CONFLICT (product_id) DO UPDATE
SET score = p.score + excluded.score, view_count = p.view_count + excluded.view_count, date_updated = now()
"""

Arguments = tuple[date, UUID, list[UUID], list[str]]


def _arguments(events: int, count: int, seed: int) -> list[Arguments]:
    """Fresh ids each; times and products as of the traffic."""
    picker, today = random.Random(seed), datetime.now(UTC).date()
    products = [[one["ref_id"] for one in bundle] for bundle in bundles(events)]
    return [
        (
            today,
            UUID(bytes=picker.randbytes(16)),
            [UUID(bytes=picker.randbytes(16)) for _ in range(events)],
            products[number % len(products)],
        )
        for number in range(count)
    ]


async def _run(database: str, events: int, seconds: float) -> float:
    made = max(200, int(150_000 * seconds / events / 4))
    ready = iter(_arguments(events, made, random.randrange(2**31)))
    done = 0
    async with asyncpg.create_pool(database, min_size=_CONNECTIONS, max_size=_CONNECTIONS) as pool:
        started = time.perf_counter()

        async def each() -> None:
            nonlocal done
            for arguments in ready:
                await pool.execute(_STATEMENT, *arguments)
                done += events
                if time.perf_counter() - started > seconds:
                    return

        await asyncio.gather(*(each() for _ in range(_CONNECTIONS)))
        return done / (time.perf_counter() - started)


def events_a_second(database: str, events: int, seconds: float) -> float:
    """By so many events a statement, on 8 connections, into a database of Footfall's tables."""
    return asyncio.run(_run(database, events, seconds))
