"""What accepting costs as the ledger grows."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import uvloop

from bench.blocks import NOW_US, Fill
from bench.growth.axis import Axis
from bench.growth.measuring import (
    PATIENCE_S,
    WHOLE_PAGES,
    Effort,
    filler,
    lacks_room,
    median,
    p99,
    settle,
    times_ms,
    wal_bytes,
)
from bench.peers.postgres import peer_postgres
from bench.stack import data_folder
from domain.ids import new_id, new_id_bytes
from domain.interaction import Interaction
from intake.ledger import LedgerPartitions
from intake.log import IntakeLog, NewInteraction
from migrations.runner import migrate_postgres
from store.postgres import Pool, create_pool

_ROW_BYTES = 160
_WINDOW_DAYS = 7
_PIECES = 9
"""Of ten times as many as before, in so many statements."""


@dataclass(frozen=True)
class _Ids:
    name: str
    make: Callable[[], bytes]
    sql: str
    most: int
    """So many rows at the most."""


_IDS = (
    _Ids("ids of clients (v4)", lambda: uuid4().bytes, "gen_random_uuid()", 10**9),
    _Ids("ids of ours (v7)", new_id_bytes, "uuidv7()", 10**7),
)


def measure(sizes: Sequence[int], effort: Effort) -> Axis:
    axis = Axis(
        "ledger",
        "Ledger",
        "ids",
        f"""\
Today's partition is filled by `INSERT … SELECT … ORDER BY event_id`, from each size to the next in {_PIECES}
statements of as many rows: random ids (version 4) come in order within a statement, which is quicker and leaves
the index as wide as they do one by one. VACUUM ANALYZE, CHECKPOINT. Then IntakeLog.append of interactions of
today with new ids: of the same kind as those that are there. `fsync` is on: an append of one is mostly the wait
for the disk.""",
    )
    axis.note(WHOLE_PAGES)
    with data_folder() as folder, peer_postgres(folder) as url:
        uvloop.run(_tables(url))
        for ids in _IDS:
            uvloop.run(_empty(url))
            for before, size in itertools.pairwise([0, *(one for one in sizes if one <= ids.most)]):
                if lack := lacks_room(folder, size, _ROW_BYTES):
                    axis.note(lack)
                    break
                uvloop.run(_fill(url, ids, before, size))
                uvloop.run(_cost(axis, url, ids, size, effort))
    return axis


async def _tables(url: str) -> None:
    await migrate_postgres(url)
    async with create_pool(url, name="bench", size=1, timeout_s=30) as pool:
        await LedgerPartitions(pool, _WINDOW_DAYS).make()


async def _empty(url: str) -> None:
    async with filler(url) as connection:
        await connection.execute("TRUNCATE event_ledger, intake_log")


async def _fill(url: str, ids: _Ids, before: int, size: int) -> None:
    statement = f"""
    INSERT INTO event_ledger (day, event_id, intake_id)
    SELECT $1, event_id, $2 FROM (SELECT {ids.sql} AS event_id FROM generate_series(1, $3::bigint)) AS made
    ORDER BY event_id
    """
    today = datetime.now(UTC).date()
    bounds = [before + (size - before) * piece // _PIECES for piece in range(_PIECES + 1)]
    async with filler(url) as connection:
        for low, high in itertools.pairwise(bounds):
            await connection.execute(statement, today, new_id(), high - low, timeout=PATIENCE_S * 3)
        await settle(connection, f"event_ledger_{today:%Y%m%d}")


async def _cost(axis: Axis, url: str, ids: _Ids, size: int, effort: Effort) -> None:
    async with create_pool(url, name="bench", size=1, timeout_s=PATIENCE_S) as pool, filler(url) as connection:
        for events, repeats in ((1, effort.repeats * 10), (1_000, effort.repeats)):
            before = await wal_bytes(connection)
            times = await _append_times(pool, ids, events, repeats)
            written = (await wal_bytes(connection) - before) / (repeats * events)
            name = f"append of {events:,}, {ids.name}"
            axis.add(size, f"{name}: for each", median(times) * 1000 / events, "µs", "each")
            axis.add(size, f"{name}: p99 for each", p99(times) * 1000 / events, "µs", "figure")
            axis.add(size, f"{name}: write-ahead log for each", written / 1000, "kB", "each")
        await connection.execute("TRUNCATE intake_log")
        width = await connection.fetchval(
            "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('event_ledger')"
        )
        axis.add(size, f"on disk, {ids.name}, for each", int(width) / size, "bytes", "figure")


async def _append_times(pool: Pool, ids: _Ids, events: int, repeats: int) -> list[float]:
    made, today, log = Fill(), datetime.now(UTC).date(), IntakeLog(pool)

    def fresh(one: Interaction) -> NewInteraction:
        values = {name: getattr(one, name) for name in one.__struct_fields__} | {"event_id": ids.make()}
        return NewInteraction(Interaction(**values), today)

    batches = [[fresh(made.one(f"a{number}", NOW_US)) for number in range(events)] for _ in range(repeats)]
    await log.append(new_id(), [fresh(made.one("a", NOW_US))])  # prepares the statement
    ready = iter(batches)

    async def append() -> None:
        if await log.append(new_id(), next(ready)):
            raise SystemExit("new ids were known already")

    return await times_ms(repeats, append)
