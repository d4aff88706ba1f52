"""Signals in PostgreSQL: a row is what one account did in one batch, packed, in partitions that are dropped whole."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from asyncpg import Record

from domain.actions import Action, Hidden, hidden_of, newest_first
from domain.week import WEEKS_PER_PARTITION, week_of, week_start_us
from store.postgres import Connection, Pool, transaction, translated_errors, undone_transaction
from store.queries import load_queries
from store.signals import LASTING, RECENT, Kind, now_us, pack, to_keep, unpack

_QUERIES = load_queries("store", "signals_postgres.sql")
_SLACK_US = 2 * 86_400_000_000  # the clocks of two workers may be over a day apart


def _newest(account_id: str, rows: Iterable[Record], kind: Kind, now: int, limit: int) -> list[Action]:
    """Of what the rows hold, which may be older and more than what was asked for."""
    since_us = kind.since_us(now)
    actions = (one for row in rows for one in unpack(account_id, row["actions"]) if one.occurred_at >= since_us)
    return newest_first(actions)[:limit]


@dataclass(frozen=True, slots=True)
class _Table:
    """Where a kind of signals is kept."""

    kind: Kind
    name: str
    partition_weeks: int

    def slot_of(self, moment_us: int) -> int:
        """The number of the partition that holds this moment."""
        return week_of(moment_us) // self.partition_weeks

    def partition(self, slot: int) -> str:
        return f"{self.name}_{slot:06}"

    def bounds(self, slot: int) -> tuple[str, str]:
        """From (included) and to (excluded), microseconds since the Unix epoch."""
        first, end = (week_start_us(one * self.partition_weeks) for one in (slot, slot + 1))
        return str(first), str(end)


_RECENT = _Table(RECENT, "recent_signal", 1)
_LASTING = _Table(LASTING, "lasting_signal", WEEKS_PER_PARTITION)
_TABLES = (_RECENT, _LASTING)


class PostgresSignalStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, connection: Connection, actions: Sequence[Action]) -> None:
        for table in _TABLES:
            await self._add(connection, table, actions)

    async def _add(self, connection: Connection, table: _Table, actions: Sequence[Action]) -> None:
        rows = to_keep(table.kind, actions, now_us())
        if rows:
            await connection.execute(
                _QUERIES[f"add_{table.name}"],
                list(rows),
                [some[0].occurred_at for some in rows.values()],
                [pack(some) for some in rows.values()],
            )

    async def probe(self, actions: Sequence[Action]) -> None:
        async with undone_transaction(self._pool) as connection:
            await self.add(connection, actions)

    async def recent(self, account_id: str, limit: int = RECENT.most) -> list[Action]:
        return await self._read(_RECENT, account_id, limit)

    async def hidden(self, account_id: str) -> Hidden:
        return hidden_of(await self._read(_LASTING, account_id, LASTING.most))

    async def both(self, account_id: str) -> tuple[list[Action], Hidden]:
        now = now_us()
        bounds = [bound for table in _TABLES for bound in (table.kind.since_us(now), table.kind.most)]
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["read_both"], account_id, *bounds)
        recent, lasting = (
            _newest(account_id, [row for row in rows if row["name"] == table.name], table.kind, now, table.kind.most)
            for table in _TABLES
        )
        return recent, hidden_of(lasting)

    async def erase(self, account_id: str, before_us: int) -> int:
        removed = 0
        async with transaction(self._pool) as connection:
            for table in _TABLES:
                rows = await connection.fetch(_QUERIES[f"take_{table.name}"], account_id)
                actions = [one for row in rows for one in unpack(account_id, row["actions"])]
                kept = [one for one in actions if one.occurred_at >= before_us]
                removed += len(actions) - len(kept)
                await self._add(connection, table, kept)
        return removed

    async def _read(self, table: _Table, account_id: str, limit: int) -> list[Action]:
        now = now_us()
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES[f"read_{table.name}"], account_id, table.kind.since_us(now), limit)
        return _newest(account_id, rows, table.kind, now, limit)

    async def maintain(self) -> None:
        """Partitions from the oldest that anyone may still write to, to the next but one; older ones go."""
        now = now_us()
        with translated_errors():
            for table in _TABLES:
                oldest, newest = table.slot_of(table.kind.since_us(now) - _SLACK_US), table.slot_of(now) + 2
                for slot in range(oldest, newest + 1):
                    bounds = table.bounds(slot)
                    await self._pool.fetchval(_QUERIES["make_partition"], table.name, table.partition(slot), *bounds)
                for row in await self._pool.fetch(_QUERIES["partitions"], table.name):
                    if row["name"] < table.partition(oldest):
                        await self._pool.execute(_QUERIES["drop_partition"], row["name"])

    async def ping(self) -> None:
        with translated_errors():
            await self._pool.execute(_QUERIES["ping"])
