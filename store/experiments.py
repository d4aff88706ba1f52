"""Experiments in PostgreSQL: their plans, their accounts, and the sums of their arms by UTC day."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import starmap
from typing import NamedTuple

import asyncpg
import msgspec

from domain.errors import ConflictError
from domain.experiment import Experiment, Plan, State, encode_plan, read_plan
from domain.outcomes import MILLIONTHS, AccountCount, Outcome, Tally
from domain.week import from_us
from store.postgres import Connection, Pool, transaction, translated_errors
from store.queries import load_queries

LATE = timedelta(days=7)
"""For how long after its end an experiment counts what occurred before and comes late."""

_WAIT = timedelta(days=1)
"""For how long an outcome at least waits for its account's first answer, which may be applied after it."""
_GRACE = timedelta(days=1)

_QUERIES = load_queries("store", "experiments.sql")

_encode_waiting = msgspec.msgpack.Encoder().encode
_decode_waiting = msgspec.msgpack.Decoder(list[Outcome]).decode


class InExperiment(NamedTuple):
    """An account in an experiment."""

    account_id: str
    experiment: str
    arm: str


class ArmDay(NamedTuple):
    experiment: str
    day: date
    arm: str


@dataclass(frozen=True, slots=True)
class OfAccount:
    """What is counted of one account in one experiment."""

    experiment: str
    arm: str
    exposed_at: datetime | None
    """Its first answer."""
    answers: int
    clicks: int
    purchases: int
    revenue: Decimal


class ExperimentStore:
    """Raises TransientError or PermanentError, and what stands at its methods."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def create(self, plan: Plan) -> Experiment:
        """A draft.

        Raises:
            ConflictError: there is one of that name.

        """
        with translated_errors():
            created_at = await self._pool.fetchval(_QUERIES["create"], plan.name, encode_plan(plan).decode())
        if created_at is None:
            raise ConflictError(f"there is an experiment {plan.name!r} already")
        return Experiment(plan, 0, created_at)

    async def start(self, name: str, rollout: int) -> None:
        """Begins to assign so many percent of all accounts.

        Raises:
            ConflictError: it is no draft, or a running one changes the same: an account could not be in both.

        """
        async with transaction(self._pool) as connection:
            await connection.execute(_QUERIES["lock"])
            mine = await _existing(connection, name, "draft")
            for other in map(_experiment, await connection.fetch(_QUERIES["running"])):
                if shared := mine.plan.changes & other.plan.changes:
                    raise ConflictError(f"{other.name!r} is running and changes {', '.join(sorted(shared))} too")
            await connection.execute(_QUERIES["start"], name, rollout)

    async def roll_out(self, name: str, rollout: int) -> None:
        """Has more accounts take part.

        Raises:
            ConflictError: it is not running, or as many take part already.

        """
        async with transaction(self._pool) as connection:
            await connection.execute(_QUERIES["lock"])
            now = (await _existing(connection, name, "running")).rollout
            if rollout <= now:
                raise ConflictError(f"{name!r} is rolled out to {now} % of the accounts, which can only grow")
            await connection.execute(_QUERIES["roll_out"], name, rollout)

    async def stop(self, name: str) -> None:
        """Ends it for good.

        Raises:
            ConflictError: it is not running.

        """
        async with transaction(self._pool) as connection:
            await connection.execute(_QUERIES["lock"])
            await _existing(connection, name, "running")
            await connection.execute(_QUERIES["stop"], name)

    async def of_name(self, name: str) -> Experiment | None:
        with translated_errors():
            row = await self._pool.fetchrow(_QUERIES["of_name"], name)
        return None if row is None else _experiment(row)

    async def newest(
        self, limit: int, after: tuple[datetime, str] | None = None, state: State | None = None
    ) -> list[Experiment]:
        """The newest first; behind the one that was created then and has that name."""
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["newest"], limit, *(after or (None, None)), state)
        return [_experiment(row) for row in rows]

    async def running(self) -> list[Experiment]:
        """In the order in which they were started."""
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["running"])
        return [_experiment(row) for row in rows]

    async def counted(self) -> list[Experiment]:
        """Those that count what comes now: the running ones, and those that ended of late."""
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["counted"], LATE)
        return [_experiment(row) for row in rows]

    async def locked_accounts(
        self, connection: Connection, keys: Sequence[InExperiment]
    ) -> dict[InExperiment, AccountCount]:
        """What is counted of accounts so far. To the end of the caller's transaction nobody else changes that: an
        outcome and the answer before it, in two transactions at the same time, would not see each other.
        """
        ordered = sorted(keys)
        columns = [list(column) for column in zip(*ordered, strict=True)]
        await connection.execute(_QUERIES["lock_accounts"], *columns)
        rows = await connection.fetch(_QUERIES["accounts"], *columns[:2])
        found = {(row["account_id"], row["experiment"]): _account(row) for row in rows}
        return {key: found[key.account_id, key.experiment] for key in ordered}

    async def of_account(self, account_id: str) -> list[OfAccount]:
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["of_account"], account_id)
        return [_of_account(row) for row in rows]

    async def write_accounts(self, connection: Connection, accounts: Mapping[InExperiment, AccountCount]) -> None:
        """Inside the transaction that locked them."""
        rows = list(starmap(_account_row, accounts.items()))
        await connection.execute(_QUERIES["write_accounts"], *zip(*rows, strict=True))

    async def add_days(self, connection: Connection, days: Mapping[ArmDay, Tally]) -> None:
        """Adds inside the caller's transaction, in the one order that every caller keeps to."""
        rows = [(*key, *_tally_row(days[key])) for key in sorted(days)]
        await connection.execute(_QUERIES["add_days"], *zip(*rows, strict=True))

    async def days(self, name: str) -> list[tuple[date, str, Tally]]:
        """The sums of each arm by day, in the order of the days. They may be added up."""
        with translated_errors():
            rows = await self._pool.fetch(_QUERIES["days"], name)
        return [(row["day"], row["arm"], _tally(row)) for row in rows]

    async def forget(self) -> None:
        """Drops what no answer came to, and the accounts of experiments that ended and count nothing more."""
        with translated_errors():
            await self._pool.execute(_QUERIES["forget_waiting"], _WAIT)
            await self._pool.execute(_QUERIES["forget_accounts"], LATE + _GRACE)


def sums_by_arm(days: Iterable[tuple[date, str, Tally]]) -> dict[str, Tally]:
    sums: dict[str, Tally] = {}
    for _, arm, tally in days:
        sums.setdefault(arm, Tally()).add(tally)
    return sums


async def _existing(connection: Connection, name: str, state: State) -> Experiment:
    row = await connection.fetchrow(_QUERIES["of_name"], name)
    if row is None:
        raise ConflictError(f"there is no experiment {name!r}")
    found = _experiment(row)
    if found.state != state:
        raise ConflictError(f"the experiment {name!r} is {found.state}, not {state}")
    return found


def _experiment(row: asyncpg.Record) -> Experiment:
    return Experiment(**{**row, "plan": read_plan(row["plan"])})


def _of_account(row: asyncpg.Record) -> OfAccount:
    exposed_at = None if row["exposed_at"] is None else from_us(row["exposed_at"])
    return OfAccount(**{**row, "exposed_at": exposed_at, "revenue": row["revenue"] / MILLIONTHS})


def _account(row: asyncpg.Record) -> AccountCount:
    return AccountCount(
        row["exposed_at"],
        row["answers"],
        row["clicks"],
        row["purchases"],
        int(row["revenue"]),
        [] if row["waiting"] is None else _decode_waiting(row["waiting"]),
    )


def _account_row(key: InExperiment, one: AccountCount) -> tuple[object, ...]:
    waiting = _encode_waiting(one.waiting) if one.waiting else None
    counts = one.exposed_at, one.answers, one.clicks, one.purchases, Decimal(one.revenue)
    return key.account_id, key.experiment, *counts, waiting


_COLUMNS = [field.name for field in fields(Tally)]
_NUMERIC = {
    "revenue", "attributed_revenue", "answers_squared", "clicks_squared", "answers_clicks", "revenue_squared",
}  # fmt: skip


def _tally_row(tally: Tally) -> list[int | Decimal]:
    counts = [(name, int(getattr(tally, name))) for name in _COLUMNS]
    return [Decimal(value) if name in _NUMERIC else value for name, value in counts]


def _tally(row: asyncpg.Record) -> Tally:
    return Tally(**{name: int(row[name]) for name in _COLUMNS})
