"""What persisting and reading histories cost as accounts grow, with blocks in PostgreSQL."""

import itertools
import random
from collections.abc import Callable, Sequence

import uvloop

from activities.persist import delta_blocks
from bench.blocks import NOW_US, Fill, intake_rows
from bench.growth.axis import Axis
from bench.growth.measuring import (
    PATIENCE_S,
    WHOLE_PAGES,
    Effort,
    filler,
    lacks_room,
    median,
    read_ms,
    settle,
    times_ms,
    wal_bytes,
)
from bench.peers.postgres import peer_postgres
from bench.stack import data_folder
from domain.block import encode_block
from domain.week import week_of, week_start_us
from migrations.runner import migrate_postgres
from store.blocks.history import HistoryRange, read_history
from store.blocks.postgres import PostgresBlockStore
from store.blocks.protocol import Block
from store.postgres import create_pool

_ROW_BYTES = 300
_EVENTS = 1_000
_FEW = 10
_READERS, _EVENTS_A_READER = 100, 50
_WEEK = week_of(NOW_US)
_CHUNK = 1_000_000


def measure(sizes: Sequence[int], effort: Effort) -> Axis:
    axis = Axis(
        "accounts",
        "Accounts",
        "accounts",
        f"""\
This week's partition is filled by `INSERT … SELECT generate_series` with a delta of one interaction an account;
VACUUM ANALYZE, CHECKPOINT. Then PostgresBlockStore.write of the delta blocks of {_EVENTS:,} interactions: each
of another account, at random, or all of {_FEW} accounts. Histories of this week: of accounts at random, with
the one interaction, and of {_READERS} accounts with {_EVENTS_A_READER}, each a delta of its own.""",
    )
    axis.note(WHOLE_PAGES)
    with data_folder() as folder, peer_postgres(folder) as url:
        uvloop.run(_tables(url))
        for before, size in itertools.pairwise([0, *sizes]):
            if lack := lacks_room(folder, size, _ROW_BYTES):
                axis.note(lack)
                break
            uvloop.run(_fill(url, before, size))
            uvloop.run(_cost(axis, url, size, effort))
    return axis


async def _tables(url: str) -> None:
    await migrate_postgres(url)
    made = Fill(9)
    async with create_pool(url, name="bench", size=1, timeout_s=30) as pool:
        store = PostgresBlockStore(pool)
        await store.maintain(_WEEK)
        events = [made.one(f"reader{number}", NOW_US) for _ in range(_EVENTS_A_READER) for number in range(_READERS)]
        await store.write([block for row in intake_rows(events, _READERS) for block in delta_blocks(row)])


async def _fill(url: str, before: int, size: int) -> None:
    data = encode_block([Fill(8).one("a0", NOW_US)], level=1)
    statement = """
    INSERT INTO interaction_block (account_id, week, block_id, event_count, data, sealed)
    SELECT 'a' || n, $1, uuidv7(), 1, $2, false FROM generate_series($3::bigint, $4::bigint - 1) AS n
    """
    async with filler(url) as connection:
        for low in range(before, size, _CHUNK):
            await connection.execute(statement, _WEEK, data, low, min(size, low + _CHUNK), timeout=PATIENCE_S)
        await settle(connection, "interaction_block")


async def _cost(axis: Axis, url: str, size: int, effort: Effort) -> None:
    picker, made = random.Random(size), Fill(size)
    async with create_pool(url, name="bench", size=1, timeout_s=PATIENCE_S) as pool, filler(url) as connection:
        store = PostgresBlockStore(pool)

        def deltas(accounts: list[int]) -> list[Block]:
            events = [made.one(f"a{account}", NOW_US) for account in accounts]
            return [block for row in intake_rows(events, _EVENTS) for block in delta_blocks(row)]

        async def writes(name: str, batches: list[list[Block]]) -> None:
            before, ready = await wal_bytes(connection), iter(batches)
            times = await times_ms(len(batches), lambda: store.write(next(ready)))
            written = (await wal_bytes(connection) - before) / (len(batches) * _EVENTS) / 1000
            axis.add(size, f"persist, {name}: for each", median(times) * 1000 / _EVENTS, "µs", "each")
            axis.add(size, f"persist, {name}: write-ahead log for each", written, "kB", "each")

        async def reads(name: str, account: Callable[[], str]) -> None:
            week = HistoryRange(week_start_us(_WEEK), NOW_US + 1)
            time = await read_ms(effort.repeats * 10, lambda: read_history(store, account(), week, 500))
            axis.add(size, f"history of {name}", time, "ms", "each")

        await store.write(deltas([0]))  # prepares the statement
        others = [deltas(picker.sample(range(size), min(size, _EVENTS))) for _ in range(effort.repeats)]
        await writes("each of another account", others)
        few = [deltas(picker.sample(range(size), _FEW) * (_EVENTS // _FEW)) for _ in range(effort.repeats)]
        await writes(f"of {_FEW} accounts", few)
        await reads("one interaction", lambda: f"a{picker.randrange(size)}")
        await reads(f"{_EVENTS_A_READER} interactions", lambda: f"reader{picker.randrange(_READERS)}")
