"""The front door: accept beside a bare commit, accept and visible at 70 % of what is drained, visible when idle."""

import asyncio
import time

import asyncpg

from bench.beside import open_loop
from bench.comparison.closed import Bench
from bench.comparison.figures import Report, Section
from bench.events import bundles
from bench.latency import Latency
from bench.peers.system import Running
from bench.processes import core_seconds
from bench.visible import Prober
from domain.ids import new_id, new_id_bytes
from domain.interaction import Interaction, encode_interactions
from intake.ledger import now_us

BARE_COMMIT = "a bare PostgreSQL commit: 1 connection, INSERT of an intake row"
LOADED_RATE = "open loop at 70 % of what it drained in this round, 1 a request: intended requests/s"
LOADED_SENT = "open loop at 70 %: answered requests/s"
ACCEPT_LOADED = "accept at 70 %, open loop, from the intended start"
VISIBLE_LOADED = "visible in popularity at 70 %"
RAN, WAITED = (f"open loop at 70 %: the API {did}, % of the time" for did in ("runs", "could run and has no core"))

_SHARE = 0.7
_PROBES_A_SECOND = 10.0
_UNDER_WAY_S = 1.0
_MAKE = "CREATE TABLE bare_commit (LIKE intake_log INCLUDING ALL)"
_INSERT = "INSERT INTO bare_commit VALUES ($1, $2, now(), 1, '{}', $3)"


def visible_idle(system: str) -> str:
    return f"visible in popularity, one client and nothing else: {system}"


def bare_commits(system: Running, seconds: float, report: Report) -> None:
    """In the system's own PostgreSQL, so with its settings on its disk, while it has nothing to do."""
    report.took(Section.LATENCY, BARE_COMMIT, Latency(asyncio.run(_commits(system.database, seconds))))


async def _commits(database: str, seconds: float) -> list[float]:
    event = bundles(1)[0][0]
    row = encode_interactions(
        [Interaction(new_id_bytes(), event["account_id"], "view", "Product", event["ref_id"], now_us())]
    )
    connection = await asyncpg.connect(database)
    found, end = [], time.perf_counter() + seconds
    try:
        await connection.execute(_MAKE)
        insert = await connection.prepare(_INSERT)
        while (started := time.perf_counter()) < end:
            await insert.fetch(new_id(), new_id(), row)
            found.append((time.perf_counter() - started) * 1_000_000)
        await connection.execute("DROP TABLE bare_commit")
    finally:
        await connection.close()
    return found


def idle(bench: Bench, probes: int) -> None:
    found = asyncio.run(Prober(bench.system).one_by_one(probes))
    bench.tally.add(probes)
    bench.tally.wait_everywhere()
    bench.report.took(Section.LATENCY, visible_idle(bench.system.name), Latency(found))


def loaded(bench: Bench, drained_per_s: float, seconds: float) -> None:
    """Accepts as the open loop sees them, and probes of visibility begun at random meanwhile."""
    system, report, rate = bench.system, bench.report, drained_per_s * _SHARE
    with open_loop(system.port, rate, seconds) as beside:
        time.sleep(_UNDER_WAY_S)
        started, before = time.perf_counter(), core_seconds(system.pids["api"])
        found = asyncio.run(Prober(system).at_random(_PROBES_A_SECOND, seconds - _UNDER_WAY_S))
        took, after = time.perf_counter() - started, core_seconds(system.pids["api"])
    bench.tally.add(beside.accepted + len(found))
    bench.tally.wait_everywhere()
    report.note(Section.LATENCY, LOADED_RATE, rate)
    report.note(Section.LATENCY, LOADED_SENT, beside.accepted / beside.seconds)
    for name, earlier, later in zip((RAN, WAITED), before, after, strict=True):
        report.note(Section.LATENCY, name, (later - earlier) / took * 100)
    report.took(Section.LATENCY, ACCEPT_LOADED, beside.latency)
    report.took(Section.LATENCY, VISIBLE_LOADED, Latency(found))
