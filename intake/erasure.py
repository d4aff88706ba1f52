"""What the intake has of an account that is erased: rows of the log that are under way, quarantine, the ledger.

A row of the log never changes, since who read it may be at work with it. So a row that has interactions of the
account is replaced by another, without them, that has its marks. Whoever read the old one finds that it is gone when
he marks it, and applies nothing.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from operator import attrgetter
from uuid import UUID

from domain import frame
from domain.errors import CorruptBlockError
from domain.ids import new_id_of_time
from domain.interaction import Interaction, decode_interactions, encode_interactions
from domain.week import date_of, day_of
from intake.log import interactions_of
from store.erasure import ErasureStore, Open
from store.postgres import Connection, DriverUUID, Pool, driver_ids, transaction, translated_errors
from store.queries import load_queries

_log = logging.getLogger(__name__)

_QUERIES = load_queries("intake", "erasure.sql")
_LOG_AGAIN = load_queries("intake", "quarantine.sql")["log_again"]
_LEFT_OUT = load_queries("intake", "recount.sql")["left_out"]
_ROWS_AHEAD = 8


@dataclass(frozen=True, slots=True)
class LoggedRow:
    """A row of the log that has interactions of an account."""

    intake_id: UUID
    mine: list[Interaction]
    others: list[Interaction]


@dataclass(frozen=True, slots=True)
class InQuarantine:
    fan_out: str
    interaction: Interaction


class IntakeErasure:
    """`writer` and `counter`: the fan-outs that write blocks and popularity.

    Raises TransientError or PermanentError.
    """

    def __init__(self, pool: Pool, *, writer: str, counter: str) -> None:
        self._pool = pool
        self._store = ErasureStore(pool)
        self._writer = writer
        self._counter = counter

    async def cut(self, erasure: Open, rows: Sequence[LoggedRow]) -> int:
        """Replaces rows by others without what the erasure covers; how many interactions that are.

        What popularity had applied of these is kept until `uncounted`; of the rest nothing is to be counted.
        """
        taken = 0
        async with transaction(self._pool) as connection:
            for row in sorted(rows, key=attrgetter("intake_id")):  # as all who lock rows
                taken += await self._replace(connection, erasure, row)
        return taken

    async def _replace(self, connection: Connection, erasure: Open, row: LoggedRow) -> int:
        found = await connection.fetchrow(_QUERIES["take_row"], row.intake_id)
        if found is None:
            return 0  # released, or moved into another row, meanwhile: it is looked for again
        marks = [one["fan_out"] for one in await connection.fetch(_QUERIES["marks"], row.intake_id)]
        if row.others:
            new_id, data = new_id_of_time(row.intake_id), encode_interactions(row.others)
            values = (new_id, found["batch_id"], found["accepted_at"], len(row.others), data)
            await connection.execute(_LOG_AGAIN, *values, marks, [])
            await connection.execute(_QUERIES["follow_row"], *_filed(row.others), new_id)
        await connection.execute(_QUERIES["drop_row"], row.intake_id)
        is_counted = self._counter in marks
        kept = encode_interactions(row.mine) if is_counted else None
        await connection.execute(_QUERIES["keep_row"], erasure.erasure_id, row.intake_id, found["batch_id"], kept)
        if not is_counted:
            fresh = await self._store.settled(connection, erasure.erasure_id, {one.event_id for one in row.mine})
            await self._store.count(connection, erasure.erasure_id, {"interactions": len(fresh)})
        await self.note_erased(connection, row.mine)
        if not row.others:
            await connection.execute(_QUERIES["end_if_empty"], found["batch_id"])
        return len(row.mine)

    async def emptied_batches(self, erasure_id: UUID) -> list[UUID]:
        """Batches of which nothing is left."""
        with translated_errors():
            return [row["batch_id"] for row in await self._pool.fetch(_QUERIES["emptied_batches"], erasure_id)]

    async def uncounted(self, erasure_id: UUID) -> list[tuple[UUID, list[Interaction]]]:
        """By intake row, what was taken out of the log and is counted in popularity."""
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["uncounted_rows"], erasure_id)
        return [(row["intake_id"], decode_interactions(row["events"])) for row in rows]

    async def note_counted(self, connection: Connection, erasure_id: UUID, intake_id: UUID) -> None:
        await connection.execute(_QUERIES["note_counted"], erasure_id, intake_id)

    async def quarantined(self, erasure: Open) -> list[InQuarantine]:
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["quarantined"], erasure.account_id)
        found = [InQuarantine(row["fan_out"], *decode_interactions(row["interaction"])) for row in rows]
        return [one for one in found if erasure.covers(one.interaction)]

    async def unquarantine(self, connection: Connection, some: Sequence[InQuarantine]) -> None:
        ids = driver_ids(one.interaction.event_id for one in some)
        await connection.execute(_QUERIES["unquarantine"], ids, [one.fan_out for one in some])

    async def note_erased(self, connection: Connection, interactions: Sequence[Interaction]) -> None:
        """So that nobody takes them for lost: the ledger goes on to know them, should they be sent again."""
        await connection.execute(_QUERIES["note_erased"], *_filed(interactions), self._writer)

    async def not_counted(self, connection: Connection, event_ids: Collection[bytes]) -> set[bytes]:
        """Those that popularity does without: in quarantine, or given up."""
        rows = await connection.fetch(_LEFT_OUT, self._counter, driver_ids(event_ids))
        return {row["event_id"].bytes for row in rows}


def _filed(interactions: Sequence[Interaction]) -> tuple[list[DriverUUID], list[date]]:
    """Ids, and the days that the ledger finds them by."""
    days = [date_of(day_of(one.occurred_at)) for one in interactions]
    return driver_ids(one.event_id for one in interactions), days


async def logged_rows(pool: Pool, account_id: str) -> AsyncIterator[LoggedRow]:
    """The rows of the log with interactions of an account, as they are at one moment.

    The log is not indexed by account: all of it is read. Rows that can't be read no fan-out can apply either: they
    are left to whoever discards their batch.
    """
    text = account_id.encode()
    async with transaction(pool) as connection:
        async for row in connection.cursor(_QUERIES["log"], prefetch=_ROWS_AHEAD):
            await asyncio.sleep(0)  # to unpack is work for the processor: others take turns
            try:
                if text not in frame.unpack(row["events"])[1]:
                    continue
                interactions = interactions_of(row)
            except CorruptBlockError as error:
                _log.error("intake row %s can't be searched for an account: %s", row["intake_id"], error)
                continue
            mine = [one for one in interactions if one.account_id == account_id]
            if mine:
                others = [one for one in interactions if one.account_id != account_id]
                yield LoggedRow(row["intake_id"], mine, others)


async def erased_rows(pool: Pool, intake_ids: Collection[UUID]) -> list[tuple[UUID, str]]:
    """Of rows that could not be marked: those that an erasure under way took an account out of, and that account."""
    with translated_errors():
        rows = await pool.fetch(_QUERIES["erased_rows"], list(intake_ids))
    return [(row["intake_id"], row["account_id"]) for row in rows]
