"""The shopnexus flow on Restate: a durable handler inserts interactions, then sends two calls for each of them.

Run as an application of granian; PostgreSQL's URL is in BENCH_POSTGRES_URL.
"""

import os
from typing import Any

import asyncpg
import restate
from restate import Context, RunOptions, Service

from bench.events import Event

WEIGHTS = {"view": 0.3, "purchase": 0.8, "add_to_cart": 0.5}

SCHEMA = """
CREATE TABLE IF NOT EXISTS interaction (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id text NOT NULL, event_type text NOT NULL, ref_type text NOT NULL, ref_id text NOT NULL,
    date_created timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS restate_popularity (
    product_id text PRIMARY KEY, score double precision NOT NULL, view_count bigint NOT NULL,
    date_updated timestamptz NOT NULL);
CREATE INDEX IF NOT EXISTS restate_popularity_top ON restate_popularity (score DESC);
"""
_INSERT = """
INSERT INTO interaction (account_id, event_type, ref_type, ref_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) RETURNING id
"""
_COUNT = """
INSERT INTO restate_popularity AS p VALUES ($1, $2, 1, now())
ON CONFLICT (product_id) DO UPDATE
SET score = p.score + excluded.score, view_count = p.view_count + 1, date_updated = now()
"""

analytic = Service("Analytic")
catalog = Service("Catalog")
_pool: "asyncpg.Pool[asyncpg.Record] | None" = None


async def _connected() -> "asyncpg.Pool[asyncpg.Record]":
    global _pool  # noqa: PLW0603  (granian's worker has one loop, and the pool is of that loop)
    if _pool is None:
        _pool = await asyncpg.create_pool(os.environ["BENCH_POSTGRES_URL"], min_size=1, max_size=8)
    return _pool


@analytic.handler("CreateInteraction")
async def create_interaction(ctx: Context, events: list[Event]) -> dict[str, int]:
    async def insert() -> int:
        pool = await _connected()
        columns = [[one[key] for one in events] for key in ("account_id", "event_type", "ref_type", "ref_id")]
        return len(await pool.fetch(_INSERT, *columns))

    inserted = await ctx.run_typed("insert", insert, RunOptions())
    for one in events:
        ctx.service_send(handle_popularity_event, one)
        ctx.service_send(add_interaction, one)
    return {"accepted": inserted}


@analytic.handler("HandlePopularityEvent")
async def handle_popularity_event(ctx: Context, event: Event) -> None:
    weight = WEIGHTS.get(event["event_type"])
    if weight is None or event["ref_type"] != "Product":
        return

    async def count() -> None:
        pool = await _connected()
        await pool.execute(_COUNT, event["ref_id"], weight)

    await ctx.run_typed("count", count, RunOptions())


@catalog.handler("AddInteraction")
async def add_interaction(ctx: Context, event: Event) -> None:
    """The recommender's side, which costs nothing here."""
    del ctx, event


app: Any = restate.app([analytic, catalog])
