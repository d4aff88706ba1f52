"""The intake log and its ledger: what was accepted, once, and is not yet in every read model."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

import asyncpg

from domain.ids import new_id
from domain.interaction import Interaction, decode_interactions, encode_interactions
from domain.week import date_of, day_of
from store.postgres import Connection, DriverUUID, Pool, driver_ids, translated_errors
from store.queries import load_queries

RELEASED_CHANNEL = "footfall_released"

LATE_DAY = date(1970, 1, 1)
"""The ledger's day of all events that are older than its window."""

_DAY = timedelta(days=1)
_QUERIES = load_queries("intake", "log.sql")


@dataclass(frozen=True, slots=True)
class NewInteraction:
    """An interaction on its way in, and the ledger day that its id is filed under.

    `day` is None where the client gave an id and no time: then only the day of arrival is known.
    """

    interaction: Interaction
    day: date | None
    late_too: bool = False
    """At the window's edge: the id is filed under LATE_DAY as well."""
    day_before_too: bool = False
    """The id is the app's and the time is not: sent again after midnight, it would have another day."""


@dataclass(frozen=True, slots=True)
class Poison:
    """An interaction that a fan-out can't apply."""

    interaction: Interaction
    reason: str


@dataclass(frozen=True, slots=True)
class IntakeRow:
    """One group commit as the fan-outs read it: without the duplicates."""

    intake_id: UUID
    accepted_at: datetime
    interactions: list[Interaction]
    poison: list[Poison] = field(default_factory=list)
    """Taken out of `interactions` for one fan-out; goes into quarantine with that fan-out's mark."""


@dataclass(frozen=True, slots=True)
class Released:
    released_rows: int
    remaining_rows: int


@dataclass(frozen=True, slots=True)
class StaleBatch:
    batch_id: UUID
    events: int


class IntakeLog:
    """Appends, reads, marks and releases intake rows. All methods raise TransientError or PermanentError."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def append(self, batch_id: UUID, events: Sequence[NewInteraction]) -> set[bytes]:
        """Records events as one intake row of `batch_id`; the ids of those that were known already.

        One statement, one commit. `events` hold each id once. When all are known, no row is written.
        """
        certain = [event for event in events if event.day not in {None, LATE_DAY}]
        edge = [event for event in events if event.late_too]
        again = [event for event in certain if event.day_before_too]
        undated = [event for event in events if event.day is None]
        late = [event for event in events if event.day == LATE_DAY]
        days = [event.day for event in certain] + [LATE_DAY] * len(edge)
        days += [event.day - _DAY for event in again if event.day is not None]
        dated = days, _ids(certain + edge + again)
        undated_or_late = (
            _ids(undated),
            LATE_DAY,
            [date_of(day_of(one.interaction.occurred_at)) for one in late],
            _ids(late),
        )
        data = encode_interactions([event.interaction for event in events])
        row = new_id(), batch_id, data, len(events)
        with translated_errors():
            if undated or late:
                known = await self._pool.fetchval(_QUERIES["append"], *row, *dated, *undated_or_late)
            else:
                known = await self._pool.fetchval(_QUERIES["append_dated"], *row, *dated)
        return {event_id.bytes for event_id in known}

    async def read(self, batch_id: UUID) -> list[IntakeRow]:
        """The rows of a batch.

        Raises:
            CorruptBlockError: a row's bytes are not what was written.

        """
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["read_batch"], batch_id)
        return [IntakeRow(row["intake_id"], row["accepted_at"], interactions_of(row)) for row in rows]

    async def mark(self, connection: Connection, fan_out: str, rows: Sequence[IntakeRow]) -> set[UUID]:
        """Marks rows as applied inside the caller's transaction; those that the caller must apply now.

        A row that was applied before, or was released meanwhile, is not among them. Poison of those that are goes
        into quarantine.
        """
        marked = await connection.fetch(_QUERIES["mark"], fan_out, *_mark_arguments(rows))
        return {row["intake_id"] for row in marked}

    async def mark_alone(self, fan_out: str, rows: Sequence[IntakeRow]) -> set[UUID]:
        """`mark` for a fan-out whose effect is elsewhere, written before and safe to write twice."""
        with translated_errors():
            marked = await self._pool.fetch(_QUERIES["mark"], fan_out, *_mark_arguments(rows))
        return {row["intake_id"] for row in marked}

    async def marked(self, fan_out: str, intake_ids: Iterable[UUID]) -> set[UUID]:
        """Those rows that this fan-out need not look at any more."""
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["marked"], fan_out, list(intake_ids))
        return {row["intake_id"] for row in rows}

    async def release(self, batch_id: UUID, fan_outs: Sequence[str]) -> Released:
        """Deletes the rows of a batch that all `fan_outs` have applied, with their marks, in one transaction."""
        with translated_errors():
            row = await self._pool.fetchrow(_QUERIES["release"], batch_id, list(fan_outs))
        assert row is not None  # noqa: S101  (an aggregate has a row)
        return Released(row["released_rows"], row["remaining_rows"])

    async def park(self, batch_id: UUID, fan_out: str, reason: str) -> None:
        with translated_errors():
            await self._pool.execute(_QUERIES["park"], batch_id, fan_out, reason)

    async def unpark(self, batch_id: UUID, fan_out: str) -> None:
        with translated_errors():
            await self._pool.execute(_QUERIES["unpark"], batch_id, fan_out)

    async def discard(self, batch_id: UUID, fan_out: str, reason: str, rows: Sequence[IntakeRow]) -> None:
        """Marks the rows of a batch that this fan-out has not applied, and keeps why. Twice is once.

        `rows` are those of the batch that can be read: their interactions are noted one by one for recounts.
        """
        events = [(row.intake_id, one.event_id) for row in rows for one in row.interactions]
        with translated_errors():
            await self._pool.execute(
                _QUERIES["discard"],
                batch_id,
                fan_out,
                reason,
                [intake_id for intake_id, _ in events],
                driver_ids(event_id for _, event_id in events),
            )

    async def backlog(self) -> tuple[int, datetime | None]:
        """Interactions accepted and not yet released, and when the oldest of them was accepted."""
        with translated_errors():
            row = await self._pool.fetchrow(_QUERIES["backlog"])
        assert row is not None  # noqa: S101
        return row["events"], row["oldest"]

    async def stale_batches(self, older_than: timedelta) -> list[StaleBatch]:
        """Batches with a row of that age or more, the oldest first."""
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["stale_batches"], older_than)
        return [StaleBatch(row["batch_id"], row["events"]) for row in rows]

    async def move(self, batch_ids: Sequence[UUID], to_batch_id: UUID) -> int:
        """Puts the rows of several batches under another batch; how many interactions these hold."""
        with translated_errors():
            events: int = await self._pool.fetchval(_QUERIES["move_batches"], list(batch_ids), to_batch_id)
        return events


def _mark_arguments(rows: Sequence[IntakeRow]) -> tuple[Sequence[object], ...]:
    poison = [(row.intake_id, one) for row in rows for one in row.poison]
    return (
        [row.intake_id for row in rows],
        [intake_id for intake_id, _ in poison],
        driver_ids(one.interaction.event_id for _, one in poison),
        [one.interaction.account_id for _, one in poison],
        [one.reason for _, one in poison],
        [encode_interactions([one.interaction]) for _, one in poison],
    )


def _ids(events: Sequence[NewInteraction]) -> list[DriverUUID]:
    return driver_ids(event.interaction.event_id for event in events)


def interactions_of(row: asyncpg.Record) -> list[Interaction]:
    """Those of a record of the log with its `events` and `duplicate_ids`, without the duplicates.

    Raises:
        CorruptBlockError: its bytes are not what was written.

    """
    interactions, ids = decode_interactions(row["events"]), row["duplicate_ids"]
    if not ids:
        return interactions
    skipped = {event_id.bytes for event_id in ids}
    return [one for one in interactions if one.event_id not in skipped]
