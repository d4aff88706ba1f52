"""Erasures in PostgreSQL: what was asked for, how far it is, and what is kept of it without the person."""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec

from domain.errors import ConflictError, TransientError
from domain.event_types import EventWeight
from domain.ids import new_id
from domain.interaction import PRODUCT, Interaction
from domain.week import date_of, day_of, from_us
from store.popularity import PopularityDelta, PopularityStore, ProductDay, by_product, count_popularity
from store.postgres import Connection, Pool, driver_ids, transaction, translated_errors
from store.queries import load_queries

_QUERIES = load_queries("store", "erasure.sql")
_KEY_BYTES = 16

Counts = dict[str, int]


@dataclass(frozen=True, slots=True)
class Erasure:
    erasure_id: UUID
    account_id: str | None
    """None once it is done."""
    subtract: bool
    asked_at: datetime
    erased_before: int | None
    """What occurred before goes, microseconds since the Unix epoch; None: it has not begun."""
    erased_at: datetime | None
    done_at: datetime | None
    counts: Counts = field(default_factory=dict)

    @property
    def state(self) -> str:
        if self.done_at is not None:
            return "done"
        if self.erased_at is not None:
            return "settling"
        return "waiting" if self.erased_before is None else "erasing"


@dataclass(frozen=True, slots=True)
class Open:
    """An erasure under way, as its steps need it."""

    erasure_id: UUID
    account_id: str
    subtract: bool
    erased_before: int

    def covers(self, one: Interaction) -> bool:
        return one.account_id == self.account_id and one.occurred_at < self.erased_before


def account_key(key: bytes, account_id: str) -> bytes:
    """What an erased account is known by."""
    return hashlib.blake2b(account_id.encode(), digest_size=_KEY_BYTES, key=key).digest()


class ErasureStore:
    """All methods raise TransientError or PermanentError."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._popularity = PopularityStore(pool)

    async def ask(self, account_id: str, *, subtract: bool) -> Erasure:
        """A new erasure, or the one that was asked for and has not begun.

        Raises:
            ConflictError: that one treats popularity otherwise.

        """
        async with transaction(self._pool) as connection:
            key = account_key(await connection.fetchval(_QUERIES["key"]), account_id)
            await connection.execute(_QUERIES["ask"], new_id(), account_id, key, subtract)
            row = await connection.fetchrow(_QUERIES["asked"], account_id)
            if row is None:
                raise TransientError("an erasure of this account begins just now")
            if row["subtract"] != subtract:
                how = "with" if row["subtract"] else "without"
                raise ConflictError(f"erasure {row['erasure_id']} of this account waits, {how} subtract")
            return _erasure(row)

    async def find(self, erasure_id: UUID) -> Erasure | None:
        with translated_errors():
            row = await self._pool.fetchrow(_QUERIES["find"], erasure_id)
        return None if row is None else _erasure(row)

    async def under_way(self, older_than: timedelta, limit: int) -> list[UUID]:
        """Those that were asked for so long ago and are not done, the oldest first."""
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["under_way"], older_than, limit)
        return [row["erasure_id"] for row in rows]

    async def known(self) -> tuple[bytes, dict[bytes, int]]:
        """The key of accounts' hashes, and by hash the moment before which an account's interactions are erased."""
        with translated_errors():
            key: bytes = await self._pool.fetchval(_QUERIES["key"])
            rows = await self._pool.fetch(_QUERIES["known"])
        return key, {row["account_key"]: row["erased_before"] for row in rows}

    async def fix_moment(self, erasure_id: UUID, newest_us: int) -> None:
        """From now on it is of what occurred before now, and of what says that it occurred later, up to `newest_us`.

        Again it changes nothing.
        """
        with translated_errors():
            await self._pool.execute(_QUERIES["fix_moment"], erasure_id, newest_us)

    async def start_removing(self, erasure_id: UUID) -> None:
        """Until `stop_removing` no rebuild begins: blocks and popularity may differ.

        Raises:
            TransientError: a rebuild is recounting. What it has not read yet must not go.

        """
        async with transaction(self._pool) as connection:
            if await self._popularity.is_noting(connection):
                raise TransientError("a rebuild or verification reads the blocks: the erasure waits for it")
            await connection.execute(_QUERIES["start_removing"], erasure_id)

    async def stop_removing(self, erasure_id: UUID) -> None:
        with translated_errors():
            await self._pool.execute(_QUERIES["stop_removing"], erasure_id)

    async def settled(self, connection: Connection, erasure_id: UUID, event_ids: Collection[bytes]) -> set[bytes]:
        """Takes note, in the caller's transaction, that the share of these is settled; those of which it was not."""
        rows = await connection.fetch(_QUERIES["settle"], driver_ids(event_ids), erasure_id)
        return {row["event_id"].bytes for row in rows}

    async def take_share(
        self,
        connection: Connection,
        counted: Sequence[Interaction],
        weights: Mapping[str, EventWeight],
        *,
        subtract: bool,
    ) -> None:
        """What these added to popularity is taken out, or remembered without the account: a recount needs it."""
        if subtract:
            await self._subtract(connection, count_popularity(counted, weights))
            return
        shares = Counter(
            (date_of(day_of(one.occurred_at)), one.ref_id, one.event_type)
            for one in counted
            if one.ref_type == PRODUCT
        )
        keys = sorted(shares)
        columns = [list(column) for column in zip(*keys, strict=True)] or [[], [], []]
        await connection.execute(_QUERIES["remember"], *columns, [shares[key] for key in keys])

    async def _subtract(self, connection: Connection, deltas: Mapping[ProductDay, PopularityDelta]) -> None:
        if not deltas:
            return
        await self._popularity.add(connection, {key: delta.negated() for key, delta in deltas.items()})
        await connection.execute(_QUERIES["drop_empty_totals"], list(by_product(deltas)))
        days, products = (list(column) for column in zip(*deltas, strict=True))
        await connection.execute(_QUERIES["drop_empty_days"], days, products)

    async def count(self, connection: Connection, erasure_id: UUID, removed: Counts) -> None:
        """Adds to what is said to have been removed, in the caller's transaction."""
        row = await connection.fetchrow(_QUERIES["lock"], erasure_id)
        assert row is not None  # noqa: S101  (it is under way)
        counts = Counter(_erasure(row).counts)
        counts.update(removed)
        await connection.execute(_QUERIES["write_counts"], erasure_id, msgspec.json.encode(counts).decode())

    async def remove_traces(self, erasure: Open) -> None:
        """Profile, recommendations made ahead and the account's rows in experiments."""
        moment = from_us(erasure.erased_before)
        account_id = erasure.account_id
        async with transaction(self._pool) as connection:
            removed = {
                "profiles": await connection.fetch(_QUERIES["remove_profile"], account_id, moment),
                "recommendations": await connection.fetch(_QUERIES["remove_precomputed"], account_id),
                "experiments": await connection.fetch(
                    _QUERIES["remove_experiments"], account_id, erasure.erased_before, moment
                ),
            }
            await self.count(connection, erasure.erasure_id, {name: len(rows) for name, rows in removed.items()})

    async def note_erased(self, erasure_id: UUID) -> None:
        with translated_errors():
            await self._pool.execute(_QUERIES["note_erased"], erasure_id)

    async def finish(self, erasure_id: UUID) -> None:
        """What is kept has no account in it, but for the keyed hash that late interactions are known by."""
        async with transaction(self._pool) as connection:
            await connection.execute(_QUERIES["forget_rows"], erasure_id)
            await connection.execute(_QUERIES["forget_events"], erasure_id)
            await connection.execute(_QUERIES["finish"], erasure_id)

    async def open(self, erasure_id: UUID) -> Open | None:
        """None where it is done, or was never asked for.

        Raises:
            ConflictError: its moment is not fixed.

        """
        found = await self.find(erasure_id)
        if found is None or found.account_id is None:
            return None
        if found.erased_before is None:
            raise ConflictError(f"erasure {erasure_id} has not begun")
        return Open(erasure_id, found.account_id, found.subtract, found.erased_before)

    async def forget(self, before: date, acceptable_for: timedelta, ledger_knows_for: timedelta) -> None:
        """Drops what nothing depends on any more: days that are not recounted, hashes that nothing so old can come
        for, notes of ids that the ledger has forgotten.
        """
        with translated_errors():
            await self._pool.execute(_QUERIES["forget_days"], before)
            await self._pool.execute(_QUERIES["forget_keys"], acceptable_for)
            await self._pool.execute(_QUERIES["forget_receipts"], ledger_knows_for)


async def remembered(
    connection: Connection, first_day: date, last_day: date, weights: Mapping[str, EventWeight]
) -> dict[ProductDay, PopularityDelta]:
    """What popularity counts of erased accounts, of these days, by these weights."""
    deltas: dict[ProductDay, PopularityDelta] = {}
    for row in await connection.fetch(_QUERIES["remembered"], first_day, last_day):
        weight = weights.get(row["event_type"])
        if weight is not None:
            delta = deltas.setdefault((row["day"], row["product_id"]), PopularityDelta())
            delta.add(PopularityDelta.of(weight, row["events"]))
    return deltas


def _erasure(row: asyncpg.Record) -> Erasure:
    return Erasure(
        row["erasure_id"],
        row["account_id"],
        row["subtract"],
        row["asked_at"],
        row["erased_before"],
        row["erased_at"],
        row["done_at"],
        msgspec.json.decode(row["counts"], type=Counts),
    )
