"""Receipts: what became of an accepted event or batch, read from the ledger, the log and the marks alone."""

import json
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from store.postgres import Pool, translated_errors
from store.queries import load_queries

_QUERIES = load_queries("intake", "log.sql")


@dataclass(frozen=True, slots=True)
class EventReceiptRow:
    intake_id: UUID
    batch_id: UUID | None
    accepted_at: datetime | None
    """None once the row is released: then the intake id tells, which is a UUIDv7."""
    released: bool
    applied: list[str]
    discarded: dict[str, str]
    """Fan-out → why it was given up."""
    quarantined: dict[str, str]
    """Fan-out → why it can't apply this one."""


@dataclass(frozen=True, slots=True)
class BatchReceiptRow:
    rows_left: int
    events_left: int
    events_released: int
    accepted_at: datetime | None
    ended_at: datetime | None
    moved_to: UUID | None
    applied: dict[str, int]
    """Fan-out → how many of the rows left it has applied."""
    discarded: dict[str, str]
    """Fan-out → why it was given up for rows of this batch."""
    quarantined: dict[str, int]
    """Fan-out → how many interactions of this batch it can't apply."""


@dataclass(frozen=True, slots=True)
class Parked:
    reason: str
    parked_at: datetime


class Receipts:
    """Reads what became of events and batches."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def event(self, event_id: UUID) -> EventReceiptRow | None:
        with translated_errors():
            row = await self._pool.fetchrow(_QUERIES["event_receipt"], event_id)
        if row is None:
            return None
        return EventReceiptRow(
            **{**row, **{name: json.loads(row[name] or "{}") for name in ("discarded", "quarantined")}}
        )

    async def batch(self, batch_id: UUID) -> BatchReceiptRow | None:
        with translated_errors():
            row = await self._pool.fetchrow(_QUERIES["batch_receipt"], batch_id)
        if row is None or (row["rows_left"] == 0 and row["ended_at"] is None):
            return None
        return BatchReceiptRow(
            rows_left=row["rows_left"],
            events_left=row["events_left"] or 0,
            events_released=row["events_released"] or 0,
            accepted_at=row["accepted_at"],
            ended_at=row["ended_at"],
            moved_to=row["moved_to"],
            applied=json.loads(row["applied"] or "{}"),
            discarded=json.loads(row["discarded"] or "{}"),
            quarantined=json.loads(row["quarantined"] or "{}"),
        )

    async def parked(self, batch_id: UUID) -> dict[str, Parked]:
        """Fan-out → why and since when it is parked."""
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["parked"], batch_id)
        return {row["fan_out"]: Parked(row["reason"], row["parked_at"]) for row in rows}
