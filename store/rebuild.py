"""A rebuild of popularity in PostgreSQL: its state, and the difference that is to be added to the live rows.

docs/decisions/0012-rebuild-by-difference.md says why nothing is lost or doubled.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import asyncpg
import msgspec

from domain.errors import ConflictError, TransientError
from domain.event_types import EventWeight
from domain.rebuild import Counts, Difference, RecountResult
from store.popularity import PopularityDelta, ProductDay, by_product, columns
from store.postgres import Connection, Pool, transaction, translated_errors
from store.queries import load_queries

_QUERIES = load_queries("store", "rebuild.sql")

LONG_S = 6 * 3600.0
"""For the few statements that go over whole tables."""

# Those who apply events wait while a rebuild waits for those who came before it: not for long.
_GATE_WAIT = "5s"
_PRODUCTS_A_CHUNK = 500
_FIRST_DAY = date(1, 1, 1)


@dataclass(frozen=True, slots=True)
class Rebuild:
    """What is recounted, and the moment that the difference is of."""

    rebuild_id: UUID
    moment: datetime
    first_day: date
    last_day: date
    weights: dict[str, EventWeight]
    ledger: bool
    """Whether the ids found in blocks are kept, to be held against the ledger."""


@dataclass(frozen=True, slots=True)
class Piece:
    """How far the recount of a token range is."""

    after_account: str | None
    done: bool
    result: RecountResult


class RebuildStore:
    """All methods raise TransientError or PermanentError."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def beginning(self, rebuild_id: UUID) -> AsyncIterator[tuple[Connection, datetime] | None]:
        """A transaction that sees what was applied up to one moment, and that moment; None where it was done before.

        From that moment on, who applies events notes their ids. Inside, the base is written; it is committed at the
        end. Cut off and called again it begins anew, with another moment.

        Raises:
            ConflictError: another rebuild is on.
            TransientError: another attempt is under way, those who apply events are slow, or an erasure has taken
                its account's share of popularity and not yet its blocks.

        """
        with translated_errors():
            async with self._pool.acquire() as base, _alone(base):
                if await self._is_begun(base, rebuild_id):
                    yield None
                    return
                async with AsyncExitStack() as stack:
                    async with self._pool.acquire() as gate, gate.transaction():
                        await gate.execute(_QUERIES["limits"], _GATE_WAIT, "60s")
                        await gate.execute(_QUERIES["close_gate"])
                        if await gate.fetchval(_QUERIES["is_erasing"]):
                            raise TransientError("an erasure is taking blocks away: the rebuild waits for it")
                        await gate.execute(_QUERIES["clear"])
                        await gate.execute(_QUERIES["start_noting"], rebuild_id)
                        await stack.enter_async_context(base.transaction(isolation="repeatable_read"))
                        moment: datetime = await base.fetchval(_QUERIES["moment"])
                    await base.execute(_QUERIES["limits"], _GATE_WAIT, "0")
                    yield base, moment

    async def _is_begun(self, connection: Connection, rebuild_id: UUID) -> bool:
        other = await connection.fetchval(_QUERIES["state"])
        if other is None:
            return False
        if other != rebuild_id:
            raise ConflictError(f"rebuild {other} is on; `footfall rebuild stop` ends it")
        return await connection.fetchrow(_QUERIES["load"], rebuild_id) is not None

    async def write_base(self, connection: Connection, rebuild: Rebuild) -> None:
        """What is live, with the other sign."""
        days = rebuild.first_day, rebuild.last_day
        await connection.execute(_QUERIES["base_total"], *days, timeout=LONG_S)
        await connection.execute(_QUERIES["base_daily"], *days, timeout=LONG_S)

    async def note_base(self, connection: Connection, rebuild: Rebuild) -> None:
        """The base is complete: once this is committed, the rebuild has begun."""
        weights = msgspec.json.encode(rebuild.weights).decode()
        values = (
            rebuild.rebuild_id, rebuild.moment, rebuild.first_day, rebuild.last_day, weights, rebuild.ledger,
        )  # fmt: skip
        await connection.execute(_QUERIES["note_base"], *values)

    async def add(self, connection: Connection, deltas: Mapping[ProductDay, PopularityDelta]) -> None:
        """Adds what was counted to the difference, inside the caller's transaction."""
        totals = by_product(deltas)
        products, days = sorted(totals), sorted(deltas, key=lambda key: (key[1], key[0]))
        await connection.execute(_QUERIES["add_total"], products, *columns(totals[one] for one in products))
        await connection.execute(
            _QUERIES["add_daily"],
            [product_id for _, product_id in days],
            [day for day, _ in days],
            *columns(deltas[one] for one in days),
        )

    async def load(self, rebuild_id: UUID) -> Rebuild:
        """A rebuild that has begun.

        Raises:
            ConflictError: it has ended.

        """
        with translated_errors():
            row = await self._pool.fetchrow(_QUERIES["load"], rebuild_id)
        if row is None:
            raise ConflictError(f"rebuild {rebuild_id} has ended")
        weights = msgspec.json.decode(row["weights"], type=dict[str, EventWeight])
        return Rebuild(rebuild_id, row["moment"], row["first_day"], row["last_day"], weights, row["ledger"])

    async def piece(self, rebuild_id: UUID, range_start: int) -> Piece:
        """How far a range is; at its start where it was never looked at."""
        with translated_errors():
            await self._pool.execute(_QUERIES["open_piece"], rebuild_id, range_start)
            row = await self._pool.fetchrow(_QUERIES["piece"], rebuild_id, range_start)
        if row is None:
            raise ConflictError(f"rebuild {rebuild_id} has ended")
        result = RecountResult(1, row["accounts"], row["events"], row["counted"])
        return Piece(row["after_account"], row["done"], result)

    async def move_piece(
        self,
        connection: Connection,
        place: tuple[UUID, int],
        moved: tuple[str | None, str | None],
        result: RecountResult,
        *,
        done: bool,
    ) -> None:
        """Notes that a range was recounted from after one account up to another, in the transaction that adds this.

        Raises:
            TransientError: it is somewhere else: another attempt went on, or the rebuild has ended.

        """
        counts = (result.accounts, result.events, result.counted)
        if not await connection.fetchval(_QUERIES["move_piece"], *place, *moved, done, *counts):
            raise TransientError("another attempt went on with this range")

    async def keep_found(self, connection: Connection, found: Iterable[tuple[UUID, date]]) -> None:
        await connection.copy_records_to_table("rebuild_found", records=found, columns=["event_id", "day"])

    async def stop_noting(self, rebuild_id: UUID) -> None:
        """All ranges are recounted: what is applied from now on is nothing to the difference."""
        with translated_errors():
            await self._pool.execute(_QUERIES["stop_noting"], rebuild_id)

    async def count_differences(self) -> tuple[int, int]:
        """Of products, and of products' days."""
        async with long_transaction(self._pool) as connection:
            row = await connection.fetchrow(_QUERIES["count_differences"], timeout=LONG_S)
        assert row is not None  # noqa: S101
        return row["products"], row["product_days"]

    async def worst(self, count: int) -> list[Difference]:
        """The largest differences, largest first."""
        async with long_transaction(self._pool) as connection:
            return [_difference(row) for row in await connection.fetch(_QUERIES["worst"], count, timeout=LONG_S)]

    async def differences(self, rows_a_page: int = 1_000) -> AsyncIterator[Difference]:
        """All of them: first the totals, then the days, each by product."""
        product_id: str = ""
        day = _FIRST_DAY
        while True:
            with translated_errors():
                rows = await self._pool.fetch(_QUERIES["differing_totals"], product_id, rows_a_page)
            for row in rows:
                yield _difference(row)
            if len(rows) < rows_a_page:
                break
            product_id = rows[-1]["product_id"]
        product_id = ""
        while True:
            with translated_errors():
                rows = await self._pool.fetch(_QUERIES["differing_days"], product_id, day, rows_a_page)
            for row in rows:
                yield _difference(row)
            if len(rows) < rows_a_page:
                return
            product_id, day = rows[-1]["product_id"], rows[-1]["day"]

    async def add_chunk(self, after_product: str) -> str | None:
        """Moves the difference of the next products into the live rows; the last of them, None where none is left."""
        async with transaction(self._pool) as connection:
            last: str | None = await connection.fetchval(_QUERIES["end_of_chunk"], after_product, _PRODUCTS_A_CHUNK)
            if last is None:
                return None
            empty = await connection.fetch(_QUERIES["move_totals"], after_product, last)
            empty_days = await connection.fetch(_QUERIES["move_days"], after_product, last)
            if empty:
                await connection.execute(_QUERIES["drop_totals"], [row["product_id"] for row in empty])
            if empty_days:
                days, products = ([row[place] for row in empty_days] for place in ("day", "product_id"))
                await connection.execute(_QUERIES["drop_days"], days, products)
            return last

    async def current(self) -> UUID | None:
        """The rebuild that is on, if one is."""
        with translated_errors():
            found: UUID | None = await self._pool.fetchval(_QUERIES["state"])
        return found

    async def end(self, rebuild_id: UUID) -> None:
        """Clears what a rebuild left, and lets another begin. Twice is once."""
        async with transaction(self._pool) as connection:
            await connection.execute(_QUERIES["limits"], _GATE_WAIT, "60s")
            if await connection.fetchval(_QUERIES["release_state"], rebuild_id):
                await connection.execute(_QUERIES["clear"])


@asynccontextmanager
async def long_transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A transaction whose statements may take long; each says so to the driver with `timeout=LONG_S`."""
    async with transaction(pool) as connection:
        await connection.execute(_QUERIES["limits"], _GATE_WAIT, "0")
        yield connection


@asynccontextmanager
async def _alone(connection: Connection) -> AsyncIterator[None]:
    """Nobody else is in here. The lock is the session's and ends with it: not even an attempt that was given up, and
    does not know that, is there at the same time.
    """
    if not await connection.fetchval(_QUERIES["try_lock"]):
        raise TransientError("another attempt to begin a rebuild is under way")
    try:
        yield
    finally:
        try:
            await connection.execute(_QUERIES["unlock"])
        except BaseException:
            connection.terminate()
            raise


def _difference(row: asyncpg.Record) -> Difference:
    product_id, day, *counts = row.values()
    change, live = counts[:6], counts[6:]
    recount = (was + by for was, by in zip(live, change, strict=True))
    return Difference(product_id, None if day is None else day.isoformat(), Counts(*live), Counts(*recount))
