"""The ledger's days: which day an event id is filed under, and the partitions behind the days.

An id must be filed under the same day whenever it comes, or a duplicate would not be met. An event with a time
of its own has the UTC date of that time. An event without one has the day it arrives; see `append` in log.sql
for the look back over midnight. Events older than the dedup window are filed under one day, LATE_DAY.

Which those are is said by a clock, and the clocks of two front doors are never quite the same. So around the window's
edge an event is filed under its day and under LATE_DAY too: whichever side another clock has it on, the two meet.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from domain.ids import earliest_id
from domain.interaction import Interaction
from domain.week import date_of, day_of, to_us
from intake.log import LATE_DAY, NewInteraction
from store.postgres import Pool, translated_errors
from store.queries import load_queries

_DAYS_AHEAD = 3
_CLOCKS_APART_DAYS = 1
_PREFIX = "event_ledger_"
_QUERIES = load_queries("intake", "log.sql")


@dataclass(frozen=True, slots=True)
class LedgerDays:
    """Files interactions that have a time of their own under ledger days, with a window of `window_days`."""

    window_days: int

    def file(self, one: Interaction, now_us: int) -> NewInteraction:
        day, edge = day_of(one.occurred_at), day_of(now_us) - self.window_days
        if day < edge - _CLOCKS_APART_DAYS:
            return NewInteraction(one, LATE_DAY)
        return NewInteraction(one, date_of(day), late_too=day <= edge + _CLOCKS_APART_DAYS)

    def file_sent(self, one: Interaction, now_us: int) -> NewInteraction:
        """Files an interaction with the app's id, whose time is that at which the app sent it.

        Sent again it has another time, which may be of the next day: so it is filed under the day before too.
        """
        filed = self.file(one, now_us)
        return filed if filed.day == LATE_DAY else replace(filed, day_before_too=True)


class LedgerPartitions:
    """Makes the ledger's partitions ahead and drops them behind; safe to run at any time, from anywhere."""

    def __init__(self, pool: Pool, window_days: int) -> None:
        self._pool = pool
        self._window_days = window_days

    async def make(self, today: date | None = None) -> list[str]:
        """Partitions for every day of the window and some days ahead; the names of those made now."""
        today = today or datetime.now(UTC).date()
        made = []
        with translated_errors():
            for offset in range(-self._window_days - 2 * _CLOCKS_APART_DAYS, _DAYS_AHEAD + 1):
                day = today + timedelta(days=offset)
                name = _name(day)
                bounds = (day.isoformat(), (day + timedelta(days=1)).isoformat())
                if await self._pool.fetchval(_QUERIES["make_ledger_partition"], name, *bounds):
                    made.append(name)
        return made

    async def ends(self, today: date | None = None) -> date:
        """The first day from today on that has no partition: nothing of that day can be accepted."""
        with translated_errors():
            names = {row["name"] for row in await self._pool.fetch(_QUERIES["ledger_partitions"])}
        day = today or datetime.now(UTC).date()
        while _name(day) in names:
            day += timedelta(days=1)
        return day

    async def drop(self, today: date | None = None) -> list[str]:
        """Drops the days behind the window, and forgets late events accepted before it; the dropped names.

        Ids of rows that are still in the log are kept, however old: no block may know them yet.
        """
        today = await self._oldest_accepted(today or datetime.now(UTC).date())
        oldest = today - timedelta(days=2 * self._window_days + 1)
        dropped = []
        with translated_errors():
            names = [row["name"] for row in await self._pool.fetch(_QUERIES["ledger_partitions"])]
            for name in sorted(names):
                if name < _name(oldest):
                    await self._pool.execute(_QUERIES["drop_partition"], name)
                    dropped.append(name)
            late = today - timedelta(days=self._window_days + 1)
            midnight = datetime(late.year, late.month, late.day, tzinfo=UTC)
            await self._pool.execute(_QUERIES["forget_late_events"], earliest_id(midnight))
            await self._pool.execute(_QUERIES["forget_batches"], timedelta(days=self._window_days))
        return dropped

    async def _oldest_accepted(self, today: date) -> date:
        """The day on which the oldest row in the log was accepted, or today."""
        with translated_errors():
            row = await self._pool.fetchrow(_QUERIES["backlog"])
        return today if row is None or row["oldest"] is None else min(today, row["oldest"].date())


def _name(day: date) -> str:
    return _PREFIX + day.strftime("%Y%m%d")


def now_us() -> int:
    """The present in microseconds since the Unix epoch."""
    return to_us(datetime.now(UTC))
