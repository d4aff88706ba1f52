"""What popularity costs as products grow."""

import itertools
import random
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

import uvloop

from bench.growth.axis import Axis, Kind
from bench.growth.measuring import (
    PATIENCE_S,
    WHOLE_PAGES,
    Effort,
    Filler,
    filler,
    lacks_room,
    median,
    read_ms,
    settle,
    times_ms,
    wal_bytes,
)
from bench.loadgen import get, load
from bench.peers.system import HOST
from bench.stack import data_folder, footfall_up
from domain.event_types import COUNTERS, load_event_weights
from runtime.instance import Instance
from store.popularity import PopularityDelta, PopularityStore, ProductDay
from store.postgres import create_pool, transaction

_ROW_BYTES = 600
_CHUNK = 1_000_000
_ADD = 1_000
_MOST_DRAWS = 20_000
_ZIPF = 1.3
_PAGE = 21  # as GET /popularity/top asks, for its 20

# Views by rank, the rest in proportion; in the order of the ids, as products come into a shop.
_FILL = """
INSERT INTO {table}
SELECT {day} 'p' || n, views * $3 + purchases * $4 + favorites * $5 + carts * $6 + reviews * $7,
       views, purchases, favorites, carts, reviews, now()
FROM (SELECT n, views, views / 50 AS purchases, views / 30 AS favorites, views / 20 AS carts, views / 200 AS reviews
      FROM (SELECT n, 1 + 1000000 / (n + 1) AS views FROM generate_series($1::bigint, $2::bigint - 1) AS n) AS seen
     ) AS counted
"""

Pick = Callable[[int], int]
"""A product of so many."""


def measure(sizes: Sequence[int], effort: Effort) -> Axis:
    axis = Axis(
        "products",
        "Products",
        "products",
        f"""\
Both tables of popularity are filled by `INSERT … SELECT generate_series`, in the order of the ids, each product
with a row of today; VACUUM ANALYZE, CHECKPOINT. An add is one transaction of the fan-out's, of {_ADD:,}
different products: at random, or by Zipf({_ZIPF}), which is what a large batch brings; µs for each are ms for a
thousand. Reads are asked after the adds.""",
    )
    axis.note(WHOLE_PAGES)
    axis.note(
        "A window's top reads every product's rows of these days and sorts their sums: in proportion, by its making."
    )
    with data_folder() as folder, footfall_up(folder) as (instance, _):
        for before, size in itertools.pairwise([0, *sizes]):
            if lack := lacks_room(folder, size, _ROW_BYTES):
                axis.note(lack)
                break
            uvloop.run(_fill(instance.postgres_url, before, size))
            uvloop.run(_stores_cost(axis, instance.postgres_url, size, effort))
            for name, path in (("top", "/popularity/top"), ("top of 7 days", "/popularity/top?window=7d")):
                _read_over_http(axis, instance, size, (name, path), effort.seconds / 4)
    return axis


async def _fill(url: str, before: int, size: int) -> None:
    weights = load_event_weights()
    scores = [
        next(one.score_delta for one in weights.values() if one.counter == counter and one.score_delta > 0)
        for counter in COUNTERS
    ]
    today = f"DATE '{_today()}',"
    async with filler(url) as connection:
        for low in range(before, size, _CHUNK):
            high = min(size, low + _CHUNK)
            for table, day in (("product_popularity", ""), ("product_popularity_daily", today)):
                await connection.execute(_FILL.format(table=table, day=day), low, high, *scores, timeout=PATIENCE_S)
        await settle(connection, "product_popularity", "product_popularity_daily")


async def _stores_cost(axis: Axis, url: str, size: int, effort: Effort) -> None:
    picker = random.Random(size)
    async with create_pool(url, name="bench", size=1, timeout_s=PATIENCE_S) as pool, filler(url) as connection:
        store = PopularityStore(pool)

        async def add(deltas: dict[ProductDay, PopularityDelta]) -> None:
            async with transaction(pool) as transaction_of:
                await store.is_noting(transaction_of)
                await store.add(transaction_of, deltas)

        async def adds(name: str, pick: Pick) -> None:
            made = [_deltas(size, pick) for _ in range(effort.repeats)]
            ready = iter(made)
            await add(_deltas(size, pick))  # prepares the statements
            before = await wal_bytes(connection)
            times = await times_ms(effort.repeats, lambda: add(next(ready)))
            written = await wal_bytes(connection) - before
            products = len(made[0])
            axis.add(size, f"add, products {name}: for each", median(times) * 1000 / products, "µs", "each")
            logged = written / sum(map(len, made)) / 1000
            axis.add(size, f"add, products {name}: write-ahead log for each", logged, "kB", "each")

        await adds("by Zipf", lambda products: _zipf(picker, products))
        await adds("at random", picker.randrange)
        top = await read_ms(effort.repeats * 10, lambda: store.top(_PAGE))
        axis.add(size, "top", top, "ms", "each")
        week = _today() - timedelta(days=6)
        window = await times_ms(
            max(3, effort.repeats * 1000 // max(size, 1000)), lambda: store.top_since(week, _PAGE)
        )
        axis.add(size, "top of 7 days", median(window), "ms", "whole")
        one = await read_ms(effort.repeats * 10, lambda: store.of_product(f"p{picker.randrange(size)}"))
        axis.add(size, "one product", one, "ms", "each")
        await _widths(axis, connection, size)


async def _widths(axis: Axis, connection: Filler, size: int) -> None:
    both = "pg_total_relation_size('product_popularity') + pg_total_relation_size('product_popularity_daily')"
    axis.add(size, "on disk, for each", int(await connection.fetchval(f"SELECT {both}")) / size, "bytes", "figure")


def _read_over_http(axis: Axis, instance: Instance, size: int, read: tuple[str, str], seconds: float) -> None:
    name, path = read
    request = get(HOST, path)
    port = int(instance.api_url.rsplit(":", 1)[1])
    result = load(HOST, port, lambda: request, connections=1, seconds=seconds)
    if set(result.statuses) == {200} and not result.cut:
        kind: Kind = "whole" if "window" in path else "each"
        axis.add(size, f"{name}, over HTTP", result.percentile_ms(50), "ms", kind)
    else:
        axis.note(f"GET {path} at {size:,} products was answered {dict(result.statuses)}.")


def _deltas(size: int, pick: Pick) -> dict[ProductDay, PopularityDelta]:
    """A view of each of up to a thousand different products."""
    today, chosen = _today(), set[int]()
    for _ in range(_MOST_DRAWS):
        chosen.add(pick(size))
        if len(chosen) >= _ADD:
            break
    return {(today, f"p{product}"): PopularityDelta(score=300_000, view=1) for product in chosen}


def _zipf(picker: random.Random, products: int) -> int:
    """By the inverse of the distribution, taken as continuous: no table of ten million weights."""
    power = 1 - _ZIPF
    rank = (1 + picker.random() * ((products + 1) ** power - 1)) ** (1 / power)
    return min(int(rank), products) - 1


def _today() -> date:
    return datetime.now(UTC).date()
