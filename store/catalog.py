"""The catalog in PostgreSQL: items, and the profiles of accounts."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import msgspec

from domain.catalog import Item, NewItem, NewProfile, Profile
from domain.week import from_us, to_us
from store.postgres import Connection, Pool, transaction, translated_errors
from store.queries import load_queries

_QUERIES = load_queries("store", "catalog.sql")

_PATIENCE_S = 10.0
"""How long a change waits for those before it; were PostgreSQL away, each of them would wait for it in turn."""


class AfterChange(NamedTuple):
    """The place among the changes to go on from: behind this one."""

    changed_at: datetime
    item_id: str
    """Empty: behind all changes before that moment."""


class CatalogStore:
    """All methods raise TransientError or PermanentError."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        # Changes to items wait for one another in PostgreSQL; those of this process wait here, where they hold no
        # connection that a reader could use.
        self._changing = asyncio.Lock()

    async def put_items(self, items: Sequence[NewItem]) -> None:
        """Puts items in the place of what was known by their ids, all or none; deleted ones are back.

        Of the same content as before, an item does not change. `items` hold each id once.
        """
        async with self._change() as (connection, moment):
            await connection.execute(_QUERIES["put_items"], _as_json(items), moment)

    async def delete_item(self, item_id: str) -> bool:
        """Marks an item as deleted; whether it is known."""
        async with self._change() as (connection, moment):
            return bool(await connection.fetchval(_QUERIES["delete_item"], item_id, moment))

    async def item(self, item_id: str) -> Item | None:
        with translated_errors():
            row = await self._pool.fetchrow(_QUERIES["item"], item_id)
        return None if row is None else _item(row)

    async def items_by_id(self, after: str, limit: int) -> list[Item]:
        """The items behind this id, in the order of ids; the first page is behind "". Deleted ones are among them,
        since accounts dealt with them.
        """
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["items_by_id"], after, limit)
        return [_item(row) for row in rows]

    async def changed_items(
        self, limit: int, after: AfterChange | None = None, *, category: str | None = None
    ) -> list[Item]:
        """Items in the order of their latest changes, deletions being changes; without `after` all there are.

        Changes become visible in this order, those of one `put_items` together: who has a page up to its last item
        and goes on behind that one misses none, and meets an item that was changed meanwhile again.
        """
        place = after or AfterChange(from_us(0), "")
        with translated_errors():
            if category is None:
                rows = await self._pool.fetch(_QUERIES["changed_items"], *place, limit)
            else:
                rows = await self._pool.fetch(_QUERIES["changed_items_of_category"], *place, limit, category)
        return [_item(row) for row in rows]

    @asynccontextmanager
    async def _change(self) -> AsyncIterator[tuple[Connection, datetime]]:
        """A transaction that changes items, and its moment. In PostgreSQL it is the only one."""
        with translated_errors():
            async with asyncio.timeout(_PATIENCE_S):
                await self._changing.acquire()
        try:
            async with transaction(self._pool) as connection:
                yield connection, await connection.fetchval(_QUERIES["tick"])
        finally:
            self._changing.release()

    async def put_profiles(self, profiles: Sequence[NewProfile]) -> None:
        """As `put_items`."""
        with translated_errors():
            await self._pool.execute(_QUERIES["put_profiles"], _as_json(profiles))

    async def delete_profile(self, account_id: str) -> bool:
        """Marks a profile as deleted; whether it is known."""
        with translated_errors():
            return bool(await self._pool.fetchval(_QUERIES["delete_profile"], account_id))

    async def profile(self, account_id: str) -> Profile | None:
        with translated_errors():
            row = await self._pool.fetchrow(_QUERIES["profile"], account_id)
        return None if row is None else _profile(row)

    async def profiles_by_id(self, after: str, limit: int) -> list[Profile]:
        """The profiles behind this id, in the order of ids; the first page is behind "". Without deleted ones."""
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["profiles_by_id"], after, limit)
        return [_profile(row) for row in rows]


def _as_json(rows: Sequence[NewItem | NewProfile]) -> str:
    """Rows with lists in them, which arrays of columns could not hold: those have to be rectangular."""
    return msgspec.json.encode([_with_time(row) for row in rows]).decode()


def _with_time(row: NewItem | NewProfile) -> dict[str, Any]:
    fields = msgspec.structs.asdict(row)
    created_at_us = fields.pop("created_at_us")
    return {**fields, "created_at": None if created_at_us is None else from_us(created_at_us)}


def _item(row: asyncpg.Record) -> Item:
    return Item(**_moments(row) | {"tags": tuple(row["tags"])})


def _profile(row: asyncpg.Record) -> Profile:
    return Profile(**_moments(row) | {"preferred_categories": tuple(row["preferred_categories"])})


def _moments(row: asyncpg.Record) -> dict[str, Any]:
    """A row whose times are microseconds, under names that say so."""
    return {
        f"{name}_us" if name.endswith("_at") else name: to_us(value) if isinstance(value, datetime) else value
        for name, value in row.items()
    }
