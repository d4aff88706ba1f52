"""Interactions that a fan-out could not apply: what an operator sees of them, retries or gives up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from uuid import UUID

import asyncpg

from domain.ids import made_at, new_id, new_id_of_time
from domain.interaction import Interaction, decode_interactions, encode_interactions
from intake.packing import packed
from store.postgres import Connection, Pool, transaction, translated_errors
from store.queries import load_queries

_QUERIES = load_queries("intake", "quarantine.sql")


@dataclass(frozen=True, slots=True)
class Quarantined:
    fan_out: str
    event_id: UUID
    intake_id: UUID
    batch_id: UUID
    account_id: str
    reason: str
    quarantined_at: datetime
    interaction: Interaction


@dataclass(frozen=True, slots=True)
class Choice:
    """Which ones are meant; all conditions that are given hold."""

    event_ids: Sequence[UUID] = ()
    fan_out: str | None = None
    reason: str | None = None
    """Part of the reason, in any case."""
    account_id: str | None = None
    batch_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Retried:
    """A batch that carries some again."""

    batch_id: UUID
    events: int


class Quarantine:
    """Raises TransientError or PermanentError."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self, choice: Choice, limit: int | None = None) -> list[Quarantined]:
        """The oldest first."""
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["find"], *_conditions(choice), limit)
        return [_quarantined(row) for row in rows]

    async def count(self) -> dict[str, int]:
        """How many there are for each fan-out that has some."""
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["count"])
        return {row["fan_out"]: row["count"] for row in rows}

    async def retry(self, choice: Choice, fan_outs: Sequence[str], most_events: int) -> list[Retried]:
        """Puts them back into the intake log, in batches that are still to be started, in one transaction.

        Each goes into a new intake row with the time of its old one, marked for all `fan_outs` but its own. Should
        the start of a batch fail, the sweeper finds its rows.
        """
        async with transaction(self._pool) as connection:
            rows = await connection.fetch(_QUERIES["take"], *_conditions(choice))
            taken = sorted(map(_quarantined, rows), key=_row_of)
            groups = [list(group) for _, group in groupby(taken, key=_row_of)]
            return [await self._again(connection, part, fan_outs) for part in packed(groups, len, most_events)]

    async def drop(self, choice: Choice, reason: str) -> int:
        """Gives them up for their fan-outs, and keeps why; how many."""
        async with transaction(self._pool) as connection:
            rows = await connection.fetch(_QUERIES["take"], *_conditions(choice))
            ids, fan_outs = [row["event_id"] for row in rows], [row["fan_out"] for row in rows]
            await connection.execute(_QUERIES["give_up"], ids, fan_outs, reason)
        return len(rows)

    async def _again(
        self, connection: Connection, groups: Sequence[Sequence[Quarantined]], fan_outs: Sequence[str]
    ) -> Retried:
        batch_id = new_id()
        for group in groups:
            first = group[0]
            others = [name for name in fan_outs if name != first.fan_out]
            data = encode_interactions([one.interaction for one in group])
            ids = [one.event_id for one in group]
            row = (new_id_of_time(first.intake_id), batch_id, made_at(first.intake_id), len(group), data)
            await connection.execute(_QUERIES["log_again"], *row, others, ids)
        return Retried(batch_id, sum(map(len, groups)))


_row_of = attrgetter("fan_out", "intake_id")


def _conditions(choice: Choice) -> tuple[object, ...]:
    return list(choice.event_ids) or None, choice.fan_out, choice.reason, choice.account_id, choice.batch_id


def _quarantined(row: asyncpg.Record) -> Quarantined:
    (interaction,) = decode_interactions(row["interaction"])
    return Quarantined(**{**row, "interaction": interaction})
