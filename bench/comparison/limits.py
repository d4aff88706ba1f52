"""What the parts can do at their most, on the same machine in the same round."""

import asyncio
from pathlib import Path
from typing import NamedTuple

from bench.comparison.closed import insist
from bench.comparison.figures import LOADS, Load, Plan, Report, Section
from bench.events import requests
from bench.loadgen import ceiling, get, load
from bench.peers.cassandra_alone import rows_a_second
from bench.peers.postgres import peer_postgres
from bench.peers.postgres_alone import COUNTS, EVERYTHING, Writes, events_a_second
from bench.peers.system import HOST
from bench.stack import fastapi_alone
from domain.week import week_of
from intake.ledger import LedgerPartitions, now_us
from migrations.runner import migrate_postgres
from store.blocks.postgres import PostgresBlockStore
from store.postgres import create_pool

_SHORTEST_S = 1.0

FASTAPI_TOP = "FastAPI alone, a GET of the same bytes as /popularity/top, 32 connections: answers/s"
CASSANDRA = "Cassandra alone, rows of 90 bytes in unlogged batches of 100: rows/s"


class Writing(NamedTuple):
    words: str
    writes: Writes
    events: int
    """A statement."""

    @property
    def name(self) -> str:
        return f"PostgreSQL alone, {self.words}, {self.events:,} a statement, 8 connections: events/s"


def fastapi(one: Load) -> str:
    return f"FastAPI alone, validates and answers 202, {one.name}: events/s"


def generator(connections: int) -> str:
    few = "1 connection" if connections == 1 else f"{connections} connections"
    return f"the load generator alone, against a responder that does nothing, {few}: requests/s"


def generator_cpu(connections: int) -> str:
    return generator(connections).replace(": requests/s", ": µs of its processor time a request")


_BY_1, BY_100, _BY_1_000 = (Writing("ids and counts", COUNTS, events) for events in (1, 100, 1_000))
ALL_BY_100 = Writing("all that Footfall writes", EVERYTHING, 100)


def limits(folder: Path, plan: Plan, report: Report, top: Path | None, *, cassandra: bool) -> None:
    """`top` is a file with the answer that FastAPI alone is to give to a GET."""
    seconds = max(plan.seconds / 3, _SHORTEST_S)
    _generator(seconds / 2, report)
    with peer_postgres(folder) as database:
        asyncio.run(_footfall_tables(database))
        for one in (_BY_1, BY_100, _BY_1_000, ALL_BY_100):
            report.note(Section.LIMITS, one.name, events_a_second(database, one.events, seconds, one.writes))
        if cassandra:
            report.note(Section.LIMITS, CASSANDRA, rows_a_second(folder, database, plan.cassandra_rows))
    _fastapi(seconds, report, top)


def _generator(seconds: float, report: Report) -> None:
    for connections in (1, 32):
        most = ceiling(connections, seconds)
        report.note(Section.LIMITS, generator(connections), most.requests_per_s)
        report.note(Section.LIMITS, generator_cpu(connections), most.cpu_us)


def _fastapi(seconds: float, report: Report, top: Path | None) -> None:
    with fastapi_alone(top) as port:
        for one in LOADS:
            result = load(HOST, port, requests(HOST, one.events), connections=one.connections, seconds=seconds)
            insist(result, "FastAPI alone")
            report.note(Section.LIMITS, fastapi(one), result.rate * one.events)
        if top is not None:
            request = get(HOST, "/popularity/top")
            result = load(HOST, port, lambda: request, connections=32, seconds=seconds)
            insist(result, "FastAPI alone")
            report.note(Section.LIMITS, FASTAPI_TOP, result.rate)


async def _footfall_tables(database: str) -> None:
    await migrate_postgres(database)
    async with create_pool(database, name="bench", size=1, timeout_s=30) as pool:
        await LedgerPartitions(pool, 1).make()
        await PostgresBlockStore(pool).maintain(week_of(now_us()))
