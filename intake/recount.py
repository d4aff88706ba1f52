"""What a rebuild asks the intake: which interactions of blocks a fan-out had applied at the rebuild's moment, and
whether the ledger and the blocks know the same.
"""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from domain.ids import earliest_id, new_id
from domain.interaction import Interaction
from intake.log import interactions_of
from store.postgres import Connection, Pool, driver_ids, translated_errors
from store.queries import load_queries
from store.rebuild import LONG_S, Rebuild, long_transaction

_QUERIES = load_queries("intake", "recount.sql")

# An intake id is made before its row is committed, by another clock: ids that much older than the moment are sure.
_SURE_AFTER = timedelta(minutes=5)
_ROWS_AHEAD = 8


@dataclass(frozen=True, slots=True)
class MarkedRow:
    """An intake row that a fan-out has marked and that is not released."""

    interactions: list[Interaction]
    left_out: set[bytes]
    """Of these, those that the fan-out did without."""


@dataclass(frozen=True, slots=True)
class LedgerFault:
    event_id: UUID
    day: date
    fault: str


class Recount:
    """Of one fan-out."""

    def __init__(self, pool: Pool, fan_out: str) -> None:
        self._pool = pool
        self._fan_out = fan_out
        self._waiting: dict[UUID, frozenset[bytes]] = {}
        """Events of the rows that are not applied yet, by intake row; rows never change."""

    async def note_logged(self, connection: Connection) -> None:
        """Keeps which rows are in the log, as `connection` sees it."""
        await connection.execute(_QUERIES["note_logged"], timeout=LONG_S)

    async def marked_rows(self, connection: Connection) -> AsyncIterator[MarkedRow]:
        """The rows that are applied and not released, as `connection` sees it, inside of its transaction."""
        async for row in connection.cursor(_QUERIES["marked_rows"], self._fan_out, prefetch=_ROWS_AHEAD):
            interactions = interactions_of(row)
            ids = [one.event_id for one in interactions]
            if row["discarded"]:
                yield MarkedRow(interactions, set(ids))
            else:
                left_out = await connection.fetch(_QUERIES["left_out"], self._fan_out, driver_ids(ids))
                yield MarkedRow(interactions, {one["event_id"].bytes for one in left_out})

    async def not_before(self, event_ids: Collection[bytes]) -> set[bytes]:
        """Of events that were read from blocks: those that were not applied before the rebuild's moment.

        To be asked after the blocks were read, never before.
        """
        with translated_errors():
            rows = await self._pool.fetch(
                _QUERIES["not_before"], self._fan_out, driver_ids(event_ids), list(self._waiting)
            )
        found = {row["event_id"].bytes for row in rows if row["event_id"] is not None}
        waiting: dict[UUID, frozenset[bytes]] = {}
        for row in rows:
            if row["intake_id"] is None:
                continue
            known = self._waiting.get(row["intake_id"])
            if known is None:
                events = interactions_of(row)
                known = frozenset(one.event_id for one in events)
            waiting[row["intake_id"]] = known
            found |= known.intersection(event_ids)
        self._waiting = waiting
        return found


class LedgerCheck:
    """Holds the ledger against the ids that were found in blocks."""

    def __init__(self, pool: Pool, window_days: int) -> None:
        self._pool = pool
        self._window = timedelta(days=window_days)

    async def find(self, rebuild: Rebuild, writer: str, *, whole: bool) -> tuple[int, int]:
        """How many ids are known and in no block, and how many in a block and not known.

        `writer` is the fan-out that writes blocks. Unless the `whole` range was read, the first can't be said.
        """
        today = rebuild.moment.date()
        async with long_transaction(self._pool) as connection:
            await connection.execute(_QUERIES["clear_ledger_faults"], timeout=LONG_S)
            if whole:
                sure = earliest_id(rebuild.moment - _SURE_AFTER)
                days = rebuild.first_day, rebuild.last_day
                await connection.execute(_QUERIES["find_in_no_block"], writer, *days, sure, timeout=LONG_S)
            window = today - self._window, today + timedelta(days=1)
            await connection.execute(_QUERIES["find_unknown"], *window, timeout=LONG_S)
            row = await connection.fetchrow(_QUERIES["count_ledger_faults"], timeout=LONG_S)
        assert row is not None  # noqa: S101
        return row["in_no_block"], row["unknown"]

    async def faults(self, rows_a_page: int = 1_000) -> AsyncIterator[LedgerFault]:
        after = UUID(int=0)
        while True:
            with translated_errors():
                rows = await self._pool.fetch(_QUERIES["ledger_faults"], after, rows_a_page)
            for row in rows:
                yield LedgerFault(*row.values())
            if len(rows) < rows_a_page:
                return
            after = rows[-1]["event_id"]

    async def repair(self) -> None:
        """Files what the ledger does not know, and forgets what is in no block, so that it can be sent again."""
        async with long_transaction(self._pool) as connection:
            await connection.execute(_QUERIES["file_unknown"], new_id(), timeout=LONG_S)
            await connection.execute(_QUERIES["forget_in_no_block"], timeout=LONG_S)
