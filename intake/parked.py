"""Fan-outs that are parked: which they are, and how many batches of them are replayed at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.ids import new_id
from intake.dispatch import StartWorkflow
from intake.log import IntakeLog
from intake.packing import packed
from store.postgres import Pool, translated_errors
from store.queries import load_queries

_QUERIES = load_queries("intake", "parked.sql")
_ENDS_AT_ONCE = 32

EndWorkflow = Callable[[UUID, str], Awaitable[None]]
"""Ends the workflow of a batch whose rows another one carries, with a reason; a closed one stays as it is."""


@dataclass(frozen=True, slots=True)
class ParkedFanOut:
    batch_id: UUID
    fan_out: str
    reason: str
    parked_at: datetime
    events: int
    """Interactions of the batch."""
    accepted_at: datetime
    """Of the oldest of them."""


@dataclass(frozen=True, slots=True)
class Which:
    """Which parked fan-outs are meant; all conditions that are given hold."""

    batch_ids: Sequence[UUID] = ()
    fan_out: str | None = None
    since: datetime | None = None
    """Parked then or later."""
    until: datetime | None = None
    """Parked before."""
    reason: str | None = None
    """Part of the reason, in any case."""
    account_id: str | None = None
    """Somebody whose interactions are in the batch."""


@dataclass(frozen=True, slots=True)
class Carried:
    """Parked batches whose rows a new batch carries."""

    batch_id: UUID
    events: int
    replaced: list[UUID]


class ParkedFanOuts:
    """Raises TransientError or PermanentError."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._log = IntakeLog(pool)

    async def find(self, which: Which) -> list[ParkedFanOut]:
        """The oldest first."""
        conditions = (list(which.batch_ids) or None, which.fan_out, which.since, which.until, which.reason)
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["find"], *conditions)
        found = [ParkedFanOut(*row.values()) for row in rows]
        if which.account_id is None:
            return found
        mine = {one.batch_id for one in found if await self._has(one.batch_id, which.account_id)}
        return [one for one in found if one.batch_id in mine]

    async def count(self) -> dict[str, int]:
        """In how many batches each fan-out is parked; those that are in none are left out."""
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["count"])
        return {row["fan_out"]: row["count"] for row in rows}

    async def left(self, batch_ids: Sequence[UUID]) -> set[UUID]:
        """Those batches that have rows in the log."""
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["left"], list(batch_ids))
        return {row["batch_id"] for row in rows}

    async def _has(self, batch_id: UUID, account_id: str) -> bool:
        rows = await self._log.read(batch_id)
        return any(one.account_id == account_id for row in rows for one in row.interactions)


async def replay(
    parked: Sequence[ParkedFanOut], log: IntakeLog, start: StartWorkflow, *, max_events: int
) -> AsyncIterator[Carried]:
    """Carries the parked batches anew: many of them as one batch of up to `max_events`, which is why it is quick.

    Marks go with the rows, so what was applied is not applied again. The rows get their new batch first: should the
    start fail, the sweeper finds them there.
    """
    events_of = {one.batch_id: one.events for one in parked}
    for group in packed(events_of, events_of.__getitem__, max_events):
        batch_id = new_id()
        events = await log.move(group, batch_id)
        if events:  # else all of it was released or moved meanwhile
            await start(batch_id, events)
            yield Carried(batch_id, events, group)


async def end_replaced(carried: Sequence[Carried], end: EndWorkflow, ended: Callable[[], None]) -> None:
    """Ends the workflows of batches that are carried anew, and tells of each; left open, they find nothing to do."""
    at_once = asyncio.Semaphore(_ENDS_AT_ONCE)

    async def one_of(batch_id: UUID, by: UUID) -> None:
        async with at_once:
            await end(batch_id, f"its interactions are carried by batch {by}")
        ended()

    await asyncio.gather(*(one_of(batch_id, one.batch_id) for one in carried for batch_id in one.replaced))
